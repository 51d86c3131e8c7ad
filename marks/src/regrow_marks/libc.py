"""System calls that Python's os module lacks, by ctypes: birth time, exclusive rename, statfs."""

import ctypes
import errno
import os
import struct
import sys

# Linux, <linux/stat.h>: struct statx
_STATX_SIZE = 256  # bytes
_STATX_MASK_AT = 0  # u32: the fields that are filled in
_STATX_ATTRIBUTES_AT = 8  # u64
_STATX_BTIME_AT = 80  # s64 seconds, u32 nanoseconds
_STATX_MNT_ID_AT = 144  # u64
_STATX_BTIME = 0x800
_STATX_MNT_ID = 0x1000  # Linux 5.8
_STATX_ATTR_MOUNT_ROOT = 0x2000  # Linux 5.8
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_RENAME_NOREPLACE = 1  # Linux, <linux/fs.h>
_RENAME_EXCL = 4  # macOS, <sys/stdio.h>
# macOS, <sys/mount.h>: struct statfs with 64-bit inodes; f_fstypename of 16 bytes at 72.
_STATFS_SIZE = 2168
_STATFS_KIND = slice(72, 72 + 16)

_libc = ctypes.CDLL(None, use_errno=True)


def _statx(fd: int, path: bytes, flags: int, field: int) -> "bytes | None":
    """Return a ``struct statx`` in which a field is filled in (Linux).

    None if the system does not know the field, or has no such call: glibc has it from 2.28 on, musl
    from 1.2.
    """
    call = getattr(_libc, "statx", None)
    if sys.platform != "linux" or call is None:
        return None
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    if call(fd, path, flags, field, buffer) != 0:
        return None
    (filled,) = struct.unpack_from("=I", buffer, _STATX_MASK_AT)
    return buffer.raw if filled & field == field else None


def birth_time(fd: int) -> "int | None":
    """Return when the file behind a descriptor was made, in nanoseconds since 1970 (UTC).

    None where the system or the file system keeps no such time.
    """
    if sys.platform == "darwin":
        return int(os.fstat(fd).st_birthtime * 1_000_000_000)
    status = _statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME)
    if status is None:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", status, _STATX_BTIME_AT)
    return int(seconds * 1_000_000_000 + nanoseconds)


def mount_id(path: str) -> int:
    """Return the number of the mount that a path is on, as long as that is mounted (Linux).

    A link at the path's end is not followed. 0 where the system has no number: the device must do.
    """
    status = _statx(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_MNT_ID)
    return 0 if status is None else int.from_bytes(status[_STATX_MNT_ID_AT:][:8], sys.byteorder)


def is_mount_point(fd: int) -> bool:
    """Return whether the kernel says of an open directory that a file system is mounted there.

    Linux before 5.8, and other systems, never say so.
    """
    status = _statx(fd, b"", _AT_EMPTY_PATH, 0)
    if status is None:
        return False
    attributes = int.from_bytes(status[_STATX_ATTRIBUTES_AT:][:8], sys.byteorder)
    return bool(attributes & _STATX_ATTR_MOUNT_ROOT)


def rename_exclusive(parent: int, old: str, new: str, target: "int | None" = None) -> None:
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


def file_system(path: str, library: "ctypes.CDLL" = _libc) -> str:
    """Return the kind of file system that a path leads to, as ``mount`` shows it: ``apfs`` (macOS).

    Empty where the call fails. Not yet run on a Mac.
    """
    # On x86-64 the plain name stands for the old structure, with 32-bit inodes.
    call = getattr(library, "statfs$INODE64", None) or library.statfs
    call.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    call.restype = ctypes.c_int
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    if call(os.fsencode(path), buffer) != 0:
        return ""
    return os.fsdecode(buffer.raw[_STATFS_KIND].partition(b"\0")[0])
