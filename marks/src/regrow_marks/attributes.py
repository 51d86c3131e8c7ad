"""Extended attributes of what is open. Python has calls for them on Linux alone."""

import errno
import os
import sys

if sys.platform == "darwin":
    from regrow_marks.darwin import this_machine

    def get(fd: int, name: str) -> "bytes | None":
        """Return an attribute's value; None if there is none. Raises OSError."""
        return this_machine().get_attribute(fd, name.encode())

    def put(fd: int, name: str, value: bytes) -> None:
        """Set an attribute. Raises OSError, where the file system stores none of its own, too."""
        if not this_machine().has_native_attributes(fd):
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        this_machine().set_attribute(fd, name.encode(), value)

    def remove(fd: int, name: str) -> None:
        """Remove an attribute. Raises OSError."""
        this_machine().remove_attribute(fd, name.encode())

else:

    def get(fd: int, name: str) -> "bytes | None":
        """Return an attribute's value; None if there is none. Raises OSError."""
        try:
            # Most directories have none: an empty list costs a fifth of an exception.
            return os.getxattr(fd, name) if name in os.listxattr(fd) else None
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.ENOTSUP):
                return None
            raise

    def put(fd: int, name: str, value: bytes) -> None:
        """Set an attribute. Raises OSError, where the file system stores none, too."""
        os.setxattr(fd, name, value)

    def remove(fd: int, name: str) -> None:
        """Remove an attribute. Raises OSError."""
        os.removexattr(fd, name)
