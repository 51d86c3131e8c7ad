"""``CACHEDIR.TAG``: the file of the Cache Directory Tagging Specification."""

import errno
import os
import stat

from regrow_marks.directory import holds_file, let_owner_in
from regrow_marks.errors import MarkerError
from regrow_marks.model import ABSENT, FOREIGN, HOLDS, Reading
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import UnsafeFileError, read_head

if TYPE_CHECKING:
    from regrow_marks.directory import Directory

NAME = "CACHEDIR.TAG"
SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
"""The 43 bytes that make a file a tag: the MD5 of ``.IsCacheDirectory``, by the specification."""

COMMENT = b"# This file was written by regrow: this directory can be rebuilt.\n"
"""The line by which regrow knows the tags that it wrote."""

_CONTENT = (
    SIGNATURE
    + b"\n"
    + COMMENT
    + b"# Backup programs that honour cache directory tags leave the directory out.\n"
    + b"# For information about cache directory tags, see https://bford.info/cachedir/\n"
)
_READ_LIMIT = 4096  # bytes
_TICK = 10_000_000  # nanoseconds: Linux stamps files by a clock that ticks a hundred times a second


class CachedirTag:
    """Writes a tag only where no file of that name stands."""

    name = "cachedir-tag"
    title = NAME

    def read(self, directory: "Directory") -> "Reading":
        """See ``Marker.read``."""
        content = _content(directory)
        if isinstance(content, Reading):
            return content
        if content.startswith(SIGNATURE):
            return Reading(HOLDS)
        if not content:
            return Reading(ABSENT, detail="an empty file, as a kill leaves it")  # ``set`` fills it
        return Reading(FOREIGN, None, "it is there, without the signature; no program honours it")

    def set(self, directory: "Directory") -> None:
        """See ``Marker.set``. The directory's own times are put back."""
        if os.geteuid() == 0 and directory.status.st_uid != 0:
            raise MarkerError(
                "the directory belongs to another user, in which the superuser writes nothing:"
                " run regrow as that user"
            )
        standing = self.read(directory)
        if standing.state == FOREIGN:
            raise MarkerError(f"{standing.detail}; delete it if nothing needs it")
        before = os.fstat(directory.fd)
        fd = _open_new_or_empty(directory)
        if fd is None:
            return
        try:
            if os.write(fd, _CONTENT) != len(_CONTENT):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.unlink(NAME, dir_fd=directory.fd)
            raise
        finally:
            os.close(fd)
            _restore_times(directory, before)

    def clear(self, directory: "Directory", previous: "bytes | None" = None) -> bool:  # noqa: ARG002
        """See ``Marker.clear``. Only a tag with regrow's comment line is removed."""
        if not is_regrows(directory):
            return False
        before = os.fstat(directory.fd)
        os.unlink(NAME, dir_fd=directory.fd)
        _restore_times(directory, before)
        return True


def _open_new_or_empty(directory: "Directory") -> "int | None":
    """Return a descriptor of a new tag, or of an empty one that a kill left.

    None if another program has written a tag meanwhile.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(NAME, flags | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=directory.fd)
    except FileExistsError:
        fd = os.open(NAME, flags, dir_fd=directory.fd)
        if _is_empty_file(fd):
            return fd
        os.close(fd)
        return None
    let_owner_in(fd)  # a tag that backups can't read leaves nothing out
    return fd


def _restore_times(directory: "Directory", before: "os.stat_result") -> None:
    os.utime(directory.fd, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_time_back(directory: "Directory", modified: int) -> None:
    """Put a directory's time back where a kill came between writing the tag and doing so.

    Where anything else was made inside since, the directory is younger than the tag, and stays so.
    *modified* is its time before the tag was written, in nanoseconds since 1970 (UTC).
    """
    if not is_regrows(directory):
        return
    try:
        written = os.stat(NAME, dir_fd=directory.fd, follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return
    now = os.fstat(directory.fd)
    if modified < now.st_mtime_ns <= written + _TICK:
        os.utime(directory.fd, ns=(now.st_atime_ns, modified))


def is_regrows(directory: "Directory") -> bool:
    """Return whether regrow wrote the tag in a directory."""
    content = _content(directory)
    return not isinstance(content, Reading) and (not content or COMMENT in content)


def is_environment(directory: "Directory") -> bool:
    """Return whether a directory is a virtual environment or a conda environment."""
    return holds_file(directory, "pyvenv.cfg") or holds_file(directory, "conda-meta/history")


def _content(directory: "Directory") -> "bytes | Reading":
    """Return the beginning of the tag, or the reading where there is none to honour."""
    try:
        content = read_head(NAME, _READ_LIMIT, directory.fd)
    except UnsafeFileError as error:
        return Reading(FOREIGN, None, f"{error.why}; tar and others refuse that")
    return Reading(ABSENT) if content is None else content


def _is_empty_file(fd: int) -> bool:
    status = os.fstat(fd)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0 and status.st_nlink == 1
