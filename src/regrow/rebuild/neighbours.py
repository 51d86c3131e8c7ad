"""What a package manager would touch besides the directories that it is to bring back.

``npm ci`` empties every ``node_modules`` of a workspace before it fills them; yarn, pnpm, bun and
``npm install`` remove what their lock does not name. So they run only where none of the workspace's
other ``node_modules`` holds anything.
"""

import os

from regrow.create.claim import HOLLOW_NAMES
from regrow.recipes import node
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MODULES = "node_modules"


def in_the_way(directory: str, lock: str, command: str, paths: "Collection[str]") -> str:
    """Return why a *command* may not run in a project; empty: it touches nothing but *paths*.

    *lock* is what it reads: in *directory*, or a copy beside the record.
    """
    lock = os.path.join(directory, os.path.basename(lock))
    for path in _touched(directory, lock):
        if path in paths:
            continue
        try:
            is_filled = not HOLLOW_NAMES.issuperset(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            is_filled = True  # it can't be read: it may be
        if is_filled:
            return (
                f"{command} would remove from {path}, which is there, what the lock does not"
                " name; move that away, or run it yourself"
            )
    return ""


def _touched(directory: str, lock: str) -> "Iterator[str]":
    """Yield the paths of a workspace's ``node_modules``, whether or not they are there."""
    yield os.path.join(directory, _MODULES)
    if not node.is_workspace(directory):
        return
    for parent, names, _ in os.walk(directory):
        if parent != directory and _MODULES in names and node.is_member(parent, lock):
            yield os.path.join(parent, _MODULES)
        names[:] = [name for name in names if name != _MODULES and name[:1] != "."]
