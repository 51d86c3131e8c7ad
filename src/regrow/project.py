"""One project through the whole pipeline: what ``run`` and the shell hook do after a command."""

import os

from regrow import decisions, pipeline
from regrow.directory import Opener, ancestors
from regrow.model import KEEP, Candidate, Result
from regrow.plain import TYPE_CHECKING
from regrow.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.model import Rule
    from regrow.records import Store


def root_of(directory: str, in_force: "Sequence[Rule]") -> str | None:
    """Find the project that a directory belongs to.

    Args:
        directory: a true path.
        in_force: the rules: what they expect beside a match is what makes a project.

    Returns:
        The work tree of its git repository; else the directory furthest up, below the home
        directory, that holds what a rule expects beside a match, so that members of a workspace
        lead to its root; else the directory itself. None for the home directory and those above
        it, which are nobody's project.
    """
    home = os.path.realpath(os.path.expanduser("~"))
    nobodys = {home, "/", *ancestors(home)}
    if directory in nobodys:
        return None
    names = {name.rstrip("/") for rule in in_force for name in (*rule.beside, *rule.beside_all)}
    furthest = directory
    for place in (directory, *ancestors(directory)):
        if place in nobodys:
            break
        try:
            found = os.listdir(place)
        except OSError:
            continue
        if ".git" in found:
            return place
        if not names.isdisjoint(found):
            furthest = place
    return furthest


def mark_all(
    root: str, in_force: "Sequence[Rule]", configuration: "Configuration", store: "Store"
) -> list[Result]:
    """Find, decide, record and mark everything in a project.

    Args:
        root: the project's directory, a true path.
        in_force: the rules.
        configuration: the user's settings.
        store: where the records go.

    Returns:
        What became of each directory that is not simply kept.
    """
    scan = Scan([root], in_force, configuration.skip)
    found = [finding for finding in scan if isinstance(finding, Candidate)]
    decided = decisions.decide(found, configuration, [root], (), store)
    decided += decisions.no_longer_recognised(found, configuration, [root], in_force, store)
    with Opener() as opener:
        return [
            pipeline.carry_out(decision, store, opener)
            for decision in decided
            if decision.decision != KEEP
        ]
