"""A directory held open safely: everything regrow does to it goes through its descriptor."""

import errno
import fcntl
import os
import stat
import sys

from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Union

    StrOrBytesPath = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OWNER = stat.S_IRUSR | stat.S_IWUSR
_F_GETPATH = 50  # macOS, <sys/fcntl.h>
_MAXPATHLEN = 1024  # macOS, <sys/param.h>: the buffer that F_GETPATH fills


class Directory:
    """A directory, its descriptor and its true path.

    The path is what the kernel says of the parent, joined with a name that was opened without
    following links: it was true when the directory was opened.
    """

    __slots__ = ("fd", "on_close", "path", "status")

    def __init__(self, fd: int, path: str, status: "os.stat_result | None" = None) -> None:
        self.fd = fd
        self.path = path
        self.status = status or os.fstat(fd)
        self.on_close: Callable[[], None] | None = None
        """Called once, before the descriptor is closed."""

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Call ``on_close``, and close the descriptor."""
        on_close, self.on_close = self.on_close, None
        if on_close is not None:
            on_close()
        os.close(self.fd)

    @property
    def identity(self) -> "tuple[int, int]":
        """The device and the inode."""
        return self.status.st_dev, self.status.st_ino

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition("/")[2]

    def has(self, name: str) -> bool:
        """Return whether there is an entry of that name, of any kind, directly inside."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise PathError(f"{join(self.path, name)}: {in_words(error)}") from error
        return True

    def is_at(self, path: str) -> bool:
        """Return whether this very directory is still at a path, not a link or another one."""
        try:
            now = os.lstat(path)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == self.identity


class Opener:
    """Opens directories, and keeps the last parent open for the next call.

    Use it as a context manager where many directories are opened in one go.
    """

    __slots__ = ("_given", "_parent")

    def __init__(self) -> None:
        self._given: str | None = None
        self._parent: Directory | None = None

    def __enter__(self) -> "Opener":
        return self

    def __exit__(self, *_: object) -> None:
        if self._parent is not None:
            self._parent.close()
            self._parent = None

    def open(self, path: "StrOrBytesPath") -> "Directory":
        """Open a directory that is named by a user; the caller closes it.

        Links on the way to it are followed once, by the one open call on its parent; the directory
        itself must not be a link.

        Raises:
            PathError: it is missing, a link, not a directory, or can't be opened.
        """
        given = os.fsdecode(path)
        parent, name = split(given)
        if name in ("", ".", ".."):
            # Such a name can't be opened below a parent: start again with the true path.
            with open_parent(given) as directory:
                true_path = directory.path
            if true_path == "/":
                raise PathError("/: the root directory can't be marked")
            parent, name = split(true_path)
        return open_child(self._parent_at(parent), name, given)

    def _parent_at(self, path: str) -> "Directory":
        if self._parent is None or self._given != path:
            fresh = open_parent(path)
            if self._parent is not None:
                self._parent.close()
            self._given, self._parent = path, fresh
        return self._parent


def open_directory(path: "StrOrBytesPath") -> "Directory":
    """Open one directory that is named by a user; see ``Opener.open``."""
    with Opener() as opener:
        return opener.open(path)


def open_parent(path: str) -> "Directory":
    """Open the parent directory of a name; links to it are followed.

    An empty path stands for the current directory. The result has the path that the kernel knows.

    Raises:
        PathError: it is missing, not a directory, or can't be opened.
    """
    given = path or "."
    try:
        fd = os.open(given, _OPEN)
    except ValueError:
        raise PathError(f"{given}: a path can't hold a null character") from None
    except OSError as error:
        raise PathError(f"{given}: {in_words(error)}") from error
    try:
        return Directory(fd, _true_path(fd, given))
    except BaseException:
        os.close(fd)
        raise


def open_child(parent: "Directory", name: str, given: str = "") -> "Directory":
    """Open a directory directly inside another one, never through a link; the caller closes it.

    Args:
        parent: the directory that holds it.
        name: its name, without a slash.
        given: the path as the user wrote it, for messages; default: parent and name.

    Raises:
        PathError: it is missing, a link, not a directory, or can't be opened.
    """
    shown = given or join(parent.path, name)
    try:
        fd = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=parent.fd)
    except ValueError:
        raise PathError(f"{shown}: a path can't hold a null character") from None
    except OSError as error:
        # Linux answers ENOTDIR for a link where O_DIRECTORY is asked for, macOS ELOOP.
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise PathError(_not_a_directory(parent, name, shown)) from error
        raise PathError(f"{shown}: {in_words(error)}") from error
    return Directory(fd, join(parent.path, name))


def _not_a_directory(parent: "Directory", name: str, shown: str) -> str:
    try:
        target = os.readlink(name, dir_fd=parent.fd)
    except OSError:
        return f"{shown}: it is not a directory; regrow marks directories only"
    return (
        f"{shown}: it is a symbolic link (to {target}); regrow never acts through a link:"
        " name the directory itself"
    )


def identity_at(path: str) -> "tuple[int, int] | None":
    """Return the device and the inode of what a path leads to; None if it leads nowhere."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def split(path: str) -> "tuple[str, str]":
    """Split a path into parent and name, slashes at the end aside.

    >>> split("a/b//"), split("b"), split("/b")
    (('a', 'b'), ('', 'b'), ('/', 'b'))
    """
    head, _, name = path.rstrip("/").rpartition("/")
    if not head and path.startswith("/"):
        head = "/"
    return head, name


def split_for_creation(path: "StrOrBytesPath") -> "tuple[str, str]":
    """Split the path of a directory that is to be made into its parent and its name.

    Raises PathError where the path ends in no name that could be given.
    """
    given = os.fsdecode(path)
    parent, name = split(given)
    if name in ("", ".", ".."):
        raise PathError(f"{given or repr(given)}: name the directory that is to be made")
    if "\0" in given:
        raise PathError(f"{given!r}: a path can't hold a null character")
    return parent, name


def join(parent: str, name: str) -> str:
    """Join a directory's path and a name in it."""
    return f"/{name}" if parent == "/" else f"{parent}/{name}"


def is_below(path: str, start: str) -> bool:
    """Return whether a true path is another one, or below it."""
    return path == start or path.startswith(start.rstrip("/") + "/")


def ancestors(path: str) -> "Iterator[str]":
    """Yield a true path's ancestors, nearest first, ``/`` last."""
    while path != "/":
        path = split(path)[0]
        yield path


def mount_point(path: str) -> str:
    """Return where the file system is mounted that holds the directory of a true path.

    This is the directory furthest up that is on the same mount: a bind mount counts as one. Empty
    if the path is gone or can't be reached.
    """
    from regrow_marks.libc import mount_id

    def mount(place: str) -> "tuple[int, int]":
        return os.lstat(place).st_dev, mount_id(place)

    try:
        here = mount(path)
        if here == mount("/"):
            return "/"  # the usual case: nothing above need be looked at
        for above in ancestors(path):
            if mount(above) != here:
                return path
            path = above
    except OSError:
        return ""
    return path


def _true_path(fd: int, given: str) -> str:
    """Return the path that the kernel knows of an open directory."""
    if sys.platform == "darwin":
        path = os.fsdecode(fcntl.fcntl(fd, _F_GETPATH, b"\0" * _MAXPATHLEN).rstrip(b"\0"))
    else:
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # no /proc: resolve by name, and compare below
            path = os.path.realpath(given)
    opened = os.fstat(fd)
    try:
        named = os.stat(path, follow_symlinks=False)
    except OSError as error:
        raise PathError(f"{given}: {in_words(error)}") from error
    if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino):
        raise PathError(f"{given}: it was moved or replaced while regrow opened it; try again")
    return path


def holds_file(directory: "Directory", name: str) -> bool:
    """Return whether there is a regular file of that name directly inside (a link is none)."""
    try:
        status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode)


def let_owner_in(fd: int) -> None:
    """Restore to the owner of a new file the permissions that the umask took. Raises OSError."""
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & _OWNER != _OWNER:
        os.fchmod(fd, mode | _OWNER)


def is_empty(directory: "Directory") -> bool:
    """Return whether a directory has no entry at all."""
    with os.scandir(directory.fd) as entries:
        return next(entries, None) is None
