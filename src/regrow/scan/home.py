"""Candidates in the home directory that its own rules name."""

from regrow.model import Candidate
from regrow.rules import loader
from regrow_marks.directory import open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow.model import Rule


def at_home(active_rules: "Iterable[Rule]") -> list[Candidate]:
    """Return the candidates of the rules for the home directory, which a scan does not look for.

    Args:
        active_rules: the rules.

    Returns:
        The home caches that the configuration names, and the containers of environments.
    """
    found = []
    for path, rule in loader.at_home(active_rules).items():
        try:
            with open_directory(path) as directory:
                status = directory.status
        except PathError:
            continue  # none here
        project = split(directory.path)[0]
        found.append(
            Candidate(directory.path, rule, project, (), False, status.st_dev, status.st_ino)
        )
    return found
