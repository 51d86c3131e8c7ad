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
from regrow.system import aside_names
from regrow_marks.directory import Directory, join, open_child
from regrow_marks.errors import PathError, RegrowError, in_words
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regrow.rebuild.trees import Explains
    from regrow.records.store import Store

_WAY_OUT = "`regrow leftovers` shows it, and puts it back or removes it"
_SHOWN = 5  # paths that a sentence names


def settle(
    parent: Directory, name: str, store: "Store", explains: "Callable[[str], Explains]"
) -> list[str]:
    """Remove what a new directory brings back of those moved aside, and move the rest into it.

    What the user had cleared away is not moved back. *name* is the new directory's; *explains* is
    called with the path of each old one.

    Returns:
        What people should read of it, newest first.
    """
    found = aside.of(parent, name, store)
    return [said for old in found for said in _settle(parent, name, old, store, explains)]


def _settle(
    parent: Directory, name: str, old: str, store: "Store", explains: "Callable[[str], Explains]"
) -> list[str]:
    path = join(parent.path, old)
    moved: list[str] = []
    left: list[str] = []
    error = ""
    try:
        with open_child(parent, old) as directory, open_child(parent, name) as new:
            aside.lock(directory)
            if old.startswith(aside_names.CLEARED):
                trees.remove_explained(directory.fd, new.fd, Installed(path, None))
            else:
                known = explains(path)
                record = store.read(path)
                is_unfinished = record is not None and record.state == REBUILD
                trees.remove_explained(directory.fd, new.fd, known, is_unfinished=is_unfinished)
                moved = trees.move_back(directory.fd, new.fd, known)
            left = _end(parent, directory, store)
            path = directory.path
    except (OSError, RegrowError) as raised:
        error = in_words(raised) if isinstance(raised, OSError) else str(raised)
    said = [f"{path}: it is left as it is: {error}; {_WAY_OUT}"] if error else []
    said += [f"put back, for nothing else brings it: {_names(moved)}"] if moved else []
    said += [f"kept in {path}: {_names(left)}; {_WAY_OUT}"] if left else []
    return said


def _end(parent: Directory, directory: Directory, store: "Store") -> list[str]:
    """Remove a directory if it is empty, else take its marks off; return what is left in it."""
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


def _names(paths: "Sequence[str]") -> str:
    shown = ", ".join(paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
