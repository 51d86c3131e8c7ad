"""Extended attributes of files. Python has calls for them on Linux alone.

Tests that use them are skipped on other systems, but collected there: so this module can be
imported everywhere. Links are not followed.
"""

import os
import sys
from pathlib import Path

from regrow_marks import xdg


def names(path: Path | str | bytes) -> list[str]:
    """Return the names of a file's attributes."""
    if sys.platform != "linux":
        raise NotImplementedError
    return os.listxattr(path, follow_symlinks=False)


def get(path: Path | str | bytes, name: str = xdg.ATTRIBUTE) -> bytes | None:
    """Return an attribute's value, or None if it can't be read."""
    if sys.platform != "linux":
        raise NotImplementedError
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None


def put(path: Path | str | bytes, name: str, value: bytes) -> None:
    """Set an attribute."""
    if sys.platform != "linux":
        raise NotImplementedError
    os.setxattr(path, name, value, follow_symlinks=False)


def remove(path: Path | str | bytes, name: str) -> None:
    """Remove an attribute."""
    if sys.platform != "linux":
        raise NotImplementedError
    os.removexattr(path, name, follow_symlinks=False)


def everything(path: Path | str | bytes) -> dict[str, bytes]:
    """Return a file's attributes with their values."""
    if sys.platform != "linux":
        raise NotImplementedError
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names(path)}


def is_marked(path: Path | str | bytes) -> bool:
    """Return whether a directory carries regrow's mark of Linux."""
    return get(path) == xdg.VALUE
