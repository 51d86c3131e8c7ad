"""Time Machine's sticky exclusion: an extended attribute that covers the tree below (macOS)."""

import os

from regrow_marks.errors import MarkerError
from regrow_marks.model import ABSENT, FOREIGN, HOLDS, Reading
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.darwin import Darwin
    from regrow_marks.directory import Directory

ATTRIBUTE = b"com.apple.metadata:com_apple_backup_excludeItem"

VALUE = bytes.fromhex(
    "62706c6973743030"  # bplist00
    "5f1011"  # a string of 17 (0x11) characters
    "636f6d2e6170706c652e6261636b757064"  # com.apple.backupd
    "08"  # the offset table: the string starts at byte 8
    "000000000000010100000000000000010000000000000000000000000000001c"  # the trailer
)
"""The binary property list of the string ``com.apple.backupd``, 61 bytes: what Apple writes.

Equal to ``plistlib.dumps("com.apple.backupd", fmt=plistlib.FMT_BINARY)``, which a test compares;
importing plistlib costs 15 ms at start.
"""

PREFERENCES = "/Library/Preferences/com.apple.TimeMachine.plist"
STANDARD_EXCLUSIONS = (
    "/private/tmp",
    "/private/var/folders",
    "~/Library/Caches",
    "~/Library/Logs",
)
"""Left out by Time Machine in any case, whatever the attributes say."""


class TimeMachine:
    """Sets the attribute as Cargo does, through CoreFoundation, and trusts only the read-back."""

    name = "time-machine"
    title = "Time Machine's attribute"

    def __init__(self, apple: "Darwin") -> None:
        self._apple = apple

    def read(self, directory: "Directory") -> "Reading":
        """See ``Marker.read``. The value counts: other values are not proven to be honoured."""
        value = self._apple.get_attribute(directory.fd, ATTRIBUTE)
        if value is None:
            return Reading(ABSENT)
        if value == VALUE:
            return Reading(HOLDS)
        return Reading(FOREIGN, value, f"its value is {value[:40]!r}, not the one Apple writes")

    def set(self, directory: "Directory") -> None:
        """See ``Marker.set``.

        CoreFoundation looks its path up by name, so it is asked only while that name leads to the
        directory held open, and never as superuser: then, and where it did not do its work, the
        attribute goes on the descriptor.
        """
        if not self._apple.has_native_attributes(directory.fd):
            raise MarkerError(
                "this file system keeps no attributes (macOS would put a file"
                f" ._{directory.name} beside it); have Time Machine leave the volume out instead"
            )
        if os.geteuid() != 0 and directory.is_at(directory.path):
            self._apple.exclude_url(os.fsencode(directory.path))
        if self._apple.get_attribute(directory.fd, ATTRIBUTE) != VALUE:
            self._apple.set_attribute(directory.fd, ATTRIBUTE, VALUE)

    def clear(self, directory: "Directory", previous: "bytes | None" = None) -> bool:
        """See ``Marker.clear``."""
        if previous is None:
            self._apple.remove_attribute(directory.fd, ATTRIBUTE)
        else:
            self._apple.set_attribute(directory.fd, ATTRIBUTE, previous)
        return True


def fixed_paths(preferences: str = PREFERENCES) -> "tuple[str, ...]":
    """Return the paths that Time Machine leaves out by name, the user's and the system's.

    None are known where its property list is missing, can't be read (that may need Full Disk
    Access) or is damaged.
    """
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        with open(preferences, "rb") as file:
            settings = plistlib.load(file)
    # plistlib promises InvalidFileException, a ValueError, and lets these out as well.
    except (OSError, ValueError, ExpatError, LookupError, AttributeError):
        return ()
    if not isinstance(settings, dict):
        return ()
    found = []
    for key in ("SkipPaths", "ExcludeByPath"):
        paths = settings.get(key, ())
        if isinstance(paths, list):
            found += [os.path.expanduser(path) for path in paths if isinstance(path, str)]
    return tuple(found)
