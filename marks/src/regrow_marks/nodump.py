"""The nodump flag of ext2 and its successors (Linux). It is read by default, set only on request.

ext4, xfs and tmpfs hand the flag down to everything made inside, and a file moved out keeps it:
backups leave it out without a word. Clearing the directory leaves it on what is inside.
"""

import errno
import fcntl
import sys

from regrow_marks.model import ABSENT, HOLDS, Reading
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.directory import Directory

# <linux/fs.h>, 64-bit x86 and Arm. The kernel reads and writes an int, whatever the number says.
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_NODUMP_FL = 0x40
_BUFFER_SIZE = 8

WARNING = (
    "nodump is handed down to every file made inside, and a file moved out keeps it:"
    " backups would leave it out without a word"
)


class Nodump:
    """The flag behind ``chattr +d``."""

    name = "nodump"
    title = "nodump"

    def read(self, directory: "Directory") -> "Reading":
        """See ``Marker.read``. A file system without flags holds none."""
        try:
            flags = _flags(directory.fd)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                return Reading(ABSENT)
            raise
        return Reading(HOLDS if flags & FS_NODUMP_FL else ABSENT)

    def set(self, directory: "Directory") -> None:
        """See ``Marker.set``."""
        _set_flags(directory.fd, _flags(directory.fd) | FS_NODUMP_FL)

    def clear(self, directory: "Directory", previous: "bytes | None" = None) -> bool:  # noqa: ARG002
        """See ``Marker.clear``. What was made inside meanwhile keeps the flag."""
        _set_flags(directory.fd, _flags(directory.fd) & ~FS_NODUMP_FL)
        return True


def _flags(fd: int) -> int:
    buffer = bytearray(_BUFFER_SIZE)
    fcntl.ioctl(fd, FS_IOC_GETFLAGS, buffer)
    return int.from_bytes(buffer[:4], sys.byteorder)


def _set_flags(fd: int, flags: int) -> None:
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags.to_bytes(4, sys.byteorder).ljust(_BUFFER_SIZE, b"\0"))
