"""File systems: what is mounted where, and whose times can be relied on."""

import sys

from regrow_marks.directory import is_below
from regrow_marks.plain import NamedTuple

_KEEPS_TIMES = frozenset(
    ("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "overlay", "tmpfs",
     "xfs", "zfs")
)  # fmt: skip
"""Local file systems on which a directory's ctime moves with every change in it. Others are not
known to do so: network file systems ask a server now and then, and vfat keeps no such time."""

# Blanks, tabs, newlines and backslashes stand as \040, \011, \012, \134 (proc(5)).
_ESCAPED = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


class Mount(NamedTuple):
    """A file system where it is mounted."""

    point: str
    kind: str
    options: str


def mounts() -> list[Mount]:
    """Return what is mounted, in the order of mounting (Linux); elsewhere nothing is known."""
    if sys.platform != "linux":
        return []
    found = []
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                # ID, parent, device, root, mount point, options, optional fields, -, kind, ...
                fields = line.split(" ")
                point = fields[4]
                if "\\" in point:
                    for code, character in _ESCAPED:
                        point = point.replace(code, character)
                kind = fields[fields.index("-", 6) + 1]
                found.append(Mount(point, kind, fields[5]))
    except (OSError, ValueError, IndexError):
        return []
    return found


def is_local(mount: Mount) -> bool:
    """Return whether a file system is on a disk of this machine, which always answers."""
    return mount.kind in _KEEPS_TIMES


def keeps_times(path: str) -> bool:
    """Return whether directories' ctimes can be relied on at a true path."""
    if sys.platform == "darwin":
        from regrow_marks.libc import file_system

        return file_system(path) in _KEEPS_TIMES
    kind = ""
    longest = 0
    for mount in mounts():
        # Of several at one point the last one is seen.
        if len(mount.point) >= longest and is_below(path, mount.point):
            kind, longest = mount.kind, len(mount.point)
    return kind in _KEEPS_TIMES
