"""The project that a directory belongs to: ``run`` and the prompt hook mark what is in it."""

import os
import stat
from fnmatch import filter as matching

from regrow.model import true_paths
from regrow.system import ownership
from regrow_marks.directory import ancestors, is_below, join
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.model import Rule

_SHARED = stat.S_ISVTX | stat.S_IWOTH


def root_of(
    directory: str, active_rules: "Sequence[Rule]", skip: "Sequence[str]" = ()
) -> str | None:
    """Return the project that a directory belongs to.

    Args:
        directory: a true path.
        active_rules: the rules: what they expect beside a match is what makes a project.
        skip: directories in which nothing is looked for.

    Returns:
        The work tree of its git repository; else the directory furthest up, below the home
        directory, that holds what a rule expects beside a match, so that members of a workspace
        lead to its root; else the directory itself. None for the home directory and those above
        it, and for those that all users share (``/tmp``): they are nobody's project. None, too, for
        a project that is skipped.
    """
    root = _root_of(directory, active_rules)
    if root is None or any(is_below(root, path) for path in true_paths(skip)):
        return None
    return root


def _root_of(directory: str, active_rules: "Sequence[Rule]") -> str | None:
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
