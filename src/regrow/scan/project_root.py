"""One project through the whole pipeline: what ``run`` and the shell hook do after a command."""

import os
import stat
from fnmatch import filter as matching

from regrow import pipeline
from regrow.decide import decisions
from regrow.model import KEEP, Candidate, Result
from regrow.scan.walk import Scan
from regrow.system import ownership
from regrow_marks.directory import Opener, ancestors, is_below, join
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.model import Rule
    from regrow.records.store import Store

_SHARED = stat.S_ISVTX | stat.S_IWOTH


def root_of(directory: str, active_rules: "Sequence[Rule]") -> str | None:
    """Find the project that a directory belongs to.

    Args:
        directory: a true path.
        active_rules: the rules: what they expect beside a match is what makes a project.

    Returns:
        The work tree of its git repository; else the directory furthest up, below the home
        directory, that holds what a rule expects beside a match, so that members of a workspace
        lead to its root; else the directory itself. None for the home directory and those above
        it, and for those that all users share (``/tmp``): they are nobody's project.
    """
    home = os.path.realpath(os.path.expanduser("~"))
    nobodys = {home, "/", *ancestors(home)}
    wanted = {
        name.partition("/")[0] for rule in active_rules for name in (*rule.beside, *rule.beside_all)
    }
    globs = [name for name in wanted if "*" in name]
    furthest = None
    for place in (directory, *ancestors(directory)):
        if place in nobodys or _is_shared(place):
            break
        furthest = furthest or place
        try:
            found = os.listdir(place)
        except OSError:
            continue
        if ".git" in found and not ownership.is_strangers(join(place, ".git")):
            return place
        named = {*wanted.intersection(found), *(n for g in globs for n in matching(found, g))}
        if any(not ownership.is_strangers(join(place, name)) for name in named):
            furthest = place
    return furthest


def _is_shared(place: str) -> bool:
    try:
        return os.stat(place).st_mode & _SHARED == _SHARED
    except OSError:
        return False


def mark_all(
    root: str, active_rules: "Sequence[Rule]", configuration: "Configuration", store: "Store"
) -> list[Result]:
    """Find, decide, record and mark everything in a project.

    Args:
        root: the project's directory, a true path.
        active_rules: the rules.
        configuration: the user's settings.
        store: where the records go.

    Returns:
        What became of each directory that is not simply kept. In what the user skips: nothing.
    """
    skipped = (os.path.realpath(os.path.expanduser(path)) for path in configuration.skip)
    if any(is_below(root, path) for path in skipped):
        return []
    scan = Scan([root], active_rules, configuration.skip)
    found = [finding for finding in scan if isinstance(finding, Candidate)]
    decided = decisions.decide(found, configuration, [root], (), store)
    decided += decisions.no_longer_recognised(found, configuration, [root], active_rules, store)
    signed = decisions.to_look_at(scan.signed, decided, store)
    if signed:
        from regrow.decide import withdraw
        from regrow.records import moves

        candidates = {candidate.path for candidate in found}
        strays = withdraw.strays(signed, candidates, configuration, [root], active_rules, store)
        moves.follow(strays.moved, store)
        decided += strays.decisions
    with Opener() as opener:
        return [
            pipeline.carry_out(decision, store, opener)
            for decision in decided
            if decision.decision != KEEP
        ]
