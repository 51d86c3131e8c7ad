"""What remains of directories that were replaced: the user's own files go back to their place.

A rebuild and ``regrow venv --clear`` move the old directory aside. Once the new one stands, what it
brings back is removed from the old one; what nothing brings back is moved into the new one where
its place is free, and otherwise stays aside: in the backup, and named.
"""

import os

from regrow import unmarking
from regrow.create import aside
from regrow.rebuild import trees
from regrow.rebuild.explained import Installed
from regrow.records.format import REBUILD
from regrow_marks.directory import Directory, join, open_child
from regrow_marks.errors import PathError, RegrowError, in_words
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from regrow.rebuild.trees import Explains
    from regrow.records.store import Store

WAY = "`regrow leftovers` shows it, and puts it back or removes it"
"""What people can do about what is left aside."""

_SHOWN = 5  # paths that a sentence names


class Remains(NamedTuple):
    """What became of one directory that was moved aside."""

    path: str
    moved: tuple[str, ...]
    """What was moved to its place, from the top of the directory."""
    left: tuple[str, ...]
    """What is left aside; empty: the directory is gone."""
    error: str = ""
    """Why nothing was done with it, in words."""


def settle(
    parent: Directory,
    name: str,
    store: "Store",
    explains: "Callable[[str], Explains]",
) -> list[Remains]:
    """Remove what a new directory brings back of those moved aside, and move the rest into it.

    What the user had cleared away is not moved back.

    Args:
        parent: the directory that holds them all, open.
        name: the new directory's name.
        store: where the records are.
        explains: called with the path of each, to learn what is explained in it.

    Returns:
        What became of each, newest first.
    """
    return [_settle(parent, name, old, store, explains) for old in aside.of(parent, name, store)]


def sentences(found: "Collection[Remains]") -> list[str]:
    """Return what people should read of directories that were moved aside."""
    said = []
    for one in found:
        if one.error:
            said.append(one.error)
        if one.moved:
            said.append(f"put back, for nothing else brings it: {_names(one.moved)}")
        if one.left:
            said.append(f"kept in {one.path}: {_names(one.left)}; {WAY}")
    return said


def _names(paths: "Sequence[str]") -> str:
    shown = ", ".join(paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _settle(
    parent: Directory,
    name: str,
    old: str,
    store: "Store",
    explains: "Callable[[str], Explains]",
) -> Remains:
    path = join(parent.path, old)
    moved: list[str] = []
    try:
        with open_child(parent, old) as directory, open_child(parent, name) as new:
            aside.lock(directory)
            if old.startswith(aside.CLEARED):
                trees.remove_explained(directory.fd, new.fd, Installed(path, None))
            else:
                known = explains(path)
                is_unfinished = _was_unfinished(path, store)
                trees.remove_explained(directory.fd, new.fd, known, is_unfinished=is_unfinished)
                moved = trees.move_back(directory.fd, new.fd, known)
            left = _end(parent, directory, store)
            return Remains(directory.path, tuple(moved), tuple(left))
    except (OSError, RegrowError) as error:
        words = in_words(error) if isinstance(error, OSError) else str(error)
        return Remains(path, tuple(moved), (), f"{path}: it is left as it is: {words}; {WAY}")


def _was_unfinished(path: str, store: "Store") -> bool:
    """Return whether a directory that was moved aside was being filled by a rebuild itself."""
    record = store.read(path)
    return record is not None and record.state == REBUILD


def _end(parent: Directory, directory: Directory, store: "Store") -> list[str]:
    """Remove a directory that nothing is left in; take the marks off another: it is somebody's.

    Returns:
        What is left in it.
    """
    path = directory.path
    try:
        os.rmdir(directory.name, dir_fd=parent.fd)
    except OSError:
        outcomes = unmarking.undo(directory, store, path)
        failed = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
        if failed:
            raise PathError(f"{path}: {'; '.join(failed)}") from None
        aside.keep(parent, directory)
        store.remove(path)
        return trees.left(directory.fd)
    store.remove(path)
    return []
