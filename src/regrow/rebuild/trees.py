"""Removes from a replaced directory what its successor brings back; moves the rest to its place.

Both trees are walked together by descriptor, never through a link or into a mount. Nothing is
removed that the new tree does not hold equally, or that the caller does not explain; nothing is
written over. Each step is one unlink, rmdir or exclusive rename, so that a kill leaves the rest for
the next run.
"""

import contextlib
import os
import stat

from regrow.system.descend import step_into
from regrow_marks.libc import rename_exclusive
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Explains(Protocol):
        """What the caller knows of a directory's contents."""

        def owns(self, path: str, status: os.stat_result, parent: int) -> bool:
            """Return whether the recipe brings back the entry at a path, or nobody misses it.

            Args:
                path: from the top of the old tree.
                status: the entry's own, if it is a link.
                parent: descriptor of the directory that holds it.
            """

        def may_own_below(self, path: str) -> bool:
            """Return whether anything below a directory may be owned."""

        def stays(self, path: str) -> bool:
            """Return whether an entry must not go back: it would spoil the new tree."""


_DEEPEST = 200  # directories; the tools' own trees have at most some thirty
_CHUNK = 1 << 20  # bytes that are compared at a time
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def remove_explained(
    old: int, new: int | None, explains: "Explains", below: str = "", *, is_unfinished: bool = False
) -> None:
    """Remove from the old tree what the new one holds equally, and what is explained.

    What can't be read or removed stays.

    Args:
        old: descriptor of the old directory.
        new: descriptor of the new one; None: there is none.
        explains: what is known of the old one's contents.
        below: the path of both from the tops of their trees, with a slash at its end.
        is_unfinished: whether an installer was stopped while it filled the old one: a file that is
            the beginning of the new one counts as equal.
    """
    for name in os.listdir(old):
        path = f"{below}{name}"
        try:
            status = os.stat(name, dir_fd=old, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                with _opened(name, old, new, below) as (inner, inner_new):
                    if inner is None or (inner_new is None and not explains.may_own_below(path)):
                        continue
                    remove_explained(
                        inner, inner_new, explains, f"{path}/", is_unfinished=is_unfinished
                    )
                os.rmdir(name, dir_fd=old)  # raises where something is left in it
            elif (
                new is not None and _is_same(old, new, name, status, is_unfinished)
            ) or explains.owns(path, status, old):
                os.unlink(name, dir_fd=old)
        except (OSError, ValueError):
            continue  # it stays, and is named with what else is left


def move_back(old: int, new: int, explains: "Explains", below: str = "") -> list[str]:
    """Move what is left of the old tree to its place in the new one, where that is free.

    For the arguments see ``remove_explained``.

    Returns:
        The paths that were moved, from the top. A directory that the new tree lacks is moved as a
        whole. What has no free place stays.
    """
    moved = []
    for name in sorted(os.listdir(old)):
        path = f"{below}{name}"
        try:
            if explains.stays(path):
                raise FileExistsError
            rename_exclusive(old, name, name, new)
            moved.append(path)
        except FileExistsError:
            with contextlib.suppress(OSError), _opened(name, old, new, below) as (inner, there):
                if inner is not None and there is not None:
                    moved += move_back(inner, there, explains, f"{path}/")
                    os.rmdir(name, dir_fd=old)  # raises where something is left in it
        except OSError:
            continue  # a mount point, or no permission: it stays
    return moved


@contextlib.contextmanager
def _opened(
    name: str, old: int, new: int | None, below: str
) -> "Iterator[tuple[int | None, int | None]]":
    """Open the directories of one name in both trees; None: there is none, or it is too deep."""
    is_too_deep = below.count("/") >= _DEEPEST
    found = [
        None if place is None or is_too_deep else step_into(name, place) for place in (old, new)
    ]
    try:
        yield found[0], found[1]
    finally:
        for fd in found:
            if fd is not None:
                os.close(fd)


def left(directory: int, below: str = "", limit: int = 1000) -> list[str]:
    """Return the first paths, sorted, of what is in a directory and is no directory itself.

    *directory* is its descriptor, *below* what the paths begin with.
    """
    found: list[str] = []
    for name in sorted(os.listdir(directory)):
        if len(found) >= limit:
            break
        inner = step_into(name, directory) if below.count("/") < _DEEPEST else None
        if inner is None:
            found.append(f"{below}{name}")
            continue
        try:
            inside = left(inner, f"{below}{name}/", limit - len(found))
            found += inside or [f"{below}{name}/"]
        finally:
            os.close(inner)
    return found


def _is_same(old: int, new: int, name: str, status: os.stat_result, is_unfinished: bool) -> bool:
    """Return whether the new directory holds an entry's equal."""
    try:
        now = os.stat(name, dir_fd=new, follow_symlinks=False)
    except OSError:
        return False
    if stat.S_IFMT(now.st_mode) != stat.S_IFMT(status.st_mode):
        return False
    if stat.S_ISLNK(now.st_mode):
        return os.readlink(name, dir_fd=old) == os.readlink(name, dir_fd=new)
    if not stat.S_ISREG(now.st_mode) or status.st_size > now.st_size:
        return False
    if status.st_size < now.st_size and not is_unfinished:
        return False
    if (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino):
        return True  # both are links to a file in the installer's cache
    return _begins_alike(old, new, name, status.st_size)


def _begins_alike(old: int, new: int, name: str, size: int) -> bool:
    with (
        open(name, "rb", opener=lambda path, _: os.open(path, _OPEN_FILE, dir_fd=old)) as one,
        open(name, "rb", opener=lambda path, _: os.open(path, _OPEN_FILE, dir_fd=new)) as other,
    ):
        if not all(stat.S_ISREG(os.fstat(file.fileno()).st_mode) for file in (one, other)):
            return False
        while size > 0:
            chunk = one.read(min(_CHUNK, size))
            if not chunk or chunk != other.read(len(chunk)):
                return False
            size -= len(chunk)
        return not one.read(1)  # it has not grown meanwhile
