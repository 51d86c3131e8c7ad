"""Keeps a record's recipe while its directory holds less than the recipe lists.

After a restore an editor, direnv or an interrupted tool may have made an empty directory, or half
a one, before anybody rebuilds. What stands there would make a shorter recipe, and the record may be
the only place that still has the list. So the recorded recipe stays, and the record says that it is
awaited: until as much stands there, or something of the user's own, or until the user accepts what
is there.
"""

import os

from regrow_marks.directory import join, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Record
    from regrow.recipes.recipe import Recipe

LISTED = frozenset(("python", "conda", "pixi", "node", "cmake", "meson"))
"""The kinds of recipe that say more than the rule does."""

UNKNOWN = 0
"""The stamp of what stands there, where nothing is known of it yet."""

_HOLLOW = frozenset(("CACHEDIR.TAG", ".DS_Store", ".gitignore", ".lock"))
_OF_ENVIRONMENTS = _HOLLOW | {"bin", "lib", "lib64", "include", "share", "Scripts", "Lib"}


def stamp(former: "Record", present: "Recipe", *, is_same: bool, is_accepted: bool) -> int | None:
    """Return the stamp of what stands there, if its record's recipe is to stay, else None.

    Args:
        former: the record until now.
        present: the recipe of what stands there; ``{"kind": "none"}`` where there is none.
        is_same: whether the record is about this very directory: what the user takes out of that
            is meant to be gone.
        is_accepted: whether the user says that what is there is right.
    """
    if former.recipe.get("kind") not in LISTED or is_accepted:
        return None
    if is_same and former.awaited is None:
        return None
    if present.get("kind") == "none":
        return former.awaited if is_same else UNKNOWN
    from regrow.recipes import compare

    if not compare.is_poorer(former.recipe, present):
        return None
    found = present.get("stamp", UNKNOWN)
    return found if isinstance(found, int) else UNKNOWN


def sentence(record: "Record", present: "Recipe") -> str:
    """Return a sentence for people about a directory whose record is awaited.

    Args:
        record: its record.
        present: the recipe of what stands there.
    """
    from shlex import quote

    count = _count(record.recipe, present)
    what = f": {count} are missing" if count else ""
    return (
        f"it holds less than its record{what}; `regrow rebuild {quote(record.path)}` brings them"
        f" back, `regrow mark {quote(record.path)}` accepts what is there"
    )


def what_is_missing(record: "Record") -> str:
    """Return in words what a directory that is there lacks of its record; empty: nothing.

    What the user took out of the recorded directory itself is not missing, unless nothing is left
    of it. Nothing is known to be missing of what is out of reach, or can't be described.
    """
    from regrow.recipes.recipe import RecipeError, build_recipe, kind_of
    from regrow.records.store import identity_of, is_about

    kind = str(record.recipe.get("kind"))
    if kind not in LISTED:
        return ""
    if is_emptied(record) or _is_ruin(record):
        return "nothing that was installed is in it"
    try:
        with open_directory(record.path) as directory:
            is_same = is_about(record, identity_of(directory.fd))
    except PathError:
        return ""
    if is_same and record.awaited is None:
        return ""
    parent = split(record.path)[0]
    kind = kind_of(record.path) or kind
    project = parent if kind == "node" else str(record.recipe.get("directory", parent))
    try:
        present = build_recipe(kind, record.path, project).recipe
    except RecipeError:
        return ""  # it holds what regrow can't judge
    from regrow.recipes import compare

    if not compare.is_poorer(record.recipe, present):
        return ""
    return f"{_count(record.recipe, present)} are not there"


def is_emptied(record: "Record") -> bool:
    """Return whether a directory is there and nothing is in it of what its record lists."""
    kind = record.recipe.get("kind")
    if kind not in LISTED:
        return False
    try:
        names = frozenset(os.listdir(record.path))
    except OSError:
        return False
    if names <= _HOLLOW:
        return True
    if kind == "node":
        from regrow.recipes.node import TRACES

        # Every manager but bun notes there what it has finished.
        if not names.isdisjoint(TRACES):
            return False
        is_npms = bool(record.recipe.get("lock_is_copied"))
        return is_npms or all(name.startswith(".") for name in names)
    return False


def _is_ruin(record: "Record") -> bool:
    """Return whether a directory is an environment without its configuration file."""
    try:
        names = frozenset(os.listdir(record.path))
    except OSError:
        return False
    if record.recipe.get("kind") != "python" or not names <= _OF_ENVIRONMENTS:
        return False
    from regrow.recipes.distributions import site_packages

    return bool(site_packages(record.path)) or os.path.lexists(join(record.path, "bin/python"))


def _count(recorded: "Recipe", present: "Recipe") -> str:
    from regrow.recipes import compare

    total = len(compare.packages(recorded))
    return f"{len(compare.missing(recorded, present))} of {total} packages" if total else ""
