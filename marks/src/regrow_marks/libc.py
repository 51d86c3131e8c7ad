"""System calls that Python's os module lacks, by ctypes: birth time, exclusive rename, statfs."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

# Linux, <linux/stat.h>: struct statx has 256 bytes, stx_mask at 0, stx_btime at 80.
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_STATX_ATTRIBUTES_OFFSET = 8
_STATX_ATTR_MOUNT_ROOT = 0x2000  # Linux 5.8
_STATX_BTIME_OFFSET = 80
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_MNT_ID = 0x1000  # Linux 5.8
_STATX_MNT_ID_OFFSET = 144
_RENAME_NOREPLACE = 1  # <linux/fs.h>
_RENAME_EXCL = 4  # macOS, <sys/stdio.h>
# macOS, <sys/mount.h>: struct statfs with 64-bit inodes; f_fstypename of 16 bytes at 72.
_STATFS_SIZE = 2168
_STATFS_KIND = slice(72, 72 + 16)

_libc = ctypes.CDLL(None, use_errno=True)


def birth_time(fd: int) -> int | None:
    """Tell when the file behind a descriptor was made.

    Args:
        fd: an open descriptor.

    Returns:
        Nanoseconds since 1970 (UTC), or None where the system or the file system keeps none.
    """
    if sys.platform == "darwin":
        return int(os.fstat(fd).st_birthtime * 1_000_000_000)
    try:
        statx = _libc.statx
    except AttributeError:  # a C library older than glibc 2.28 or musl 1.2
        return None
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    if statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return None
    (mask,) = struct.unpack_from("=I", buffer, 0)
    if not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _STATX_BTIME_OFFSET)
    return int(seconds * 1_000_000_000 + nanoseconds)


def mount_id(path: str) -> int:
    """Return the number of the mount that a path is on, as long as that is mounted (Linux).

    Args:
        path: the path; a link at its end is not followed.

    Returns:
        The number; 0 where the system tells none, and the device has to do.
    """
    statx = getattr(_libc, "statx", None)
    if sys.platform != "linux" or statx is None:
        return 0
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    name = os.fsencode(path)
    if statx(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _STATX_MNT_ID, buffer) != 0:
        return 0
    (mask,) = struct.unpack_from("=I", buffer, 0)
    if not mask & _STATX_MNT_ID:
        return 0
    (number,) = struct.unpack_from("=Q", buffer, _STATX_MNT_ID_OFFSET)
    return int(number)


def is_mount_point(fd: int) -> bool:
    """Tell whether the kernel says of an open directory that a file system is mounted there.

    Older kernels than Linux 5.8, and other systems, never say so.

    Args:
        fd: an open descriptor.
    """
    statx = getattr(_libc, "statx", None)
    if statx is None or sys.platform == "darwin":
        return False
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    if statx(fd, b"", _AT_EMPTY_PATH, 0, buffer) != 0:
        return False
    (attributes,) = struct.unpack_from("=Q", buffer, _STATX_ATTRIBUTES_OFFSET)
    return bool(attributes & _STATX_ATTR_MOUNT_ROOT)


def rename_exclusive(parent: int, old: str, new: str, target: int | None = None) -> None:
    """Rename, never over something that exists.

    Plain rename(2) replaces a file or an empty directory; another process may just have made it.
    Where the file system can't do better (EINVAL), the name is looked at before a plain rename.

    Args:
        parent: descriptor of the directory that holds the present name.
        old: the present name.
        new: the name to give.
        target: descriptor of the directory that gets the name; default: *parent*.

    Raises:
        FileExistsError: *new* exists.
        OSError: the rename failed otherwise.
    """
    name, flag = (
        ("renameatx_np", _RENAME_EXCL)
        if sys.platform == "darwin"
        else ("renameat2", _RENAME_NOREPLACE)
    )
    into = parent if target is None else target
    call = getattr(_libc, name, None)
    if call is not None:
        if call(parent, os.fsencode(old), into, os.fsencode(new), flag) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), new)
    try:
        os.stat(new, dir_fd=into, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=parent, dst_dir_fd=into)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def file_system(path: str, library: ctypes.CDLL = _libc) -> str:
    """Tell the kind of file system that holds a path, as ``mount`` shows it (macOS).

    Not yet run on a Mac.

    Args:
        path: the path; links are followed.
        library: the C library.

    Returns:
        Its name, such as ``apfs``; empty where it can't be told.
    """
    # On x86-64 the plain name stands for the old structure, with 32-bit inodes.
    call = getattr(library, "statfs$INODE64", None) or library.statfs
    call.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    call.restype = ctypes.c_int
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    if call(os.fsencode(path), buffer) != 0:
        return ""
    return os.fsdecode(buffer.raw[_STATFS_KIND].partition(b"\0")[0])
