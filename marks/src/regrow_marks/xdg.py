"""``user.xdg.robots.backup``: the extended attribute of the freedesktop.org proposal (Linux)."""

import errno
import os

from regrow_marks.model import ABSENT, FOREIGN, HOLDS, Reading
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.directory import Directory

ATTRIBUTE = "user.xdg.robots.backup"
VALUE = b"false"

_ABSENT = Reading(ABSENT)


class XdgRobots:
    """Says ``false`` to "may robots back this up?"; borg 2 asks by default."""

    name = "xdg-robots"
    title = ATTRIBUTE

    def read(self, directory: "Directory") -> Reading:
        """See ``Marker.read``. A file system without attributes holds none."""
        try:
            # Most directories have none: an empty list costs a fifth of an exception.
            if ATTRIBUTE not in os.listxattr(directory.fd):
                return _ABSENT
            value = os.getxattr(directory.fd, ATTRIBUTE)
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.ENOTSUP):
                return _ABSENT
            raise
        if value == VALUE:
            return Reading(HOLDS)
        return Reading(FOREIGN, value, f"its value is {value!r}, not {VALUE!r}")

    def set(self, directory: "Directory") -> None:
        """See ``Marker.set``."""
        os.setxattr(directory.fd, ATTRIBUTE, VALUE)

    def clear(self, directory: "Directory", previous: bytes | None = None) -> bool:
        """See ``Marker.clear``."""
        if previous is None:
            os.removexattr(directory.fd, ATTRIBUTE)
        else:
            os.setxattr(directory.fd, ATTRIBUTE, previous)
        return True
