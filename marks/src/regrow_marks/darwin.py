"""Apple's foreign interface, alone: libraries, signatures, constants.

The libraries' files are never looked for: since macOS 11 they exist only in the system's shared
cache, where ``dlopen`` finds them by their traditional path. Not yet run on a Mac.
"""

import ctypes
import errno
import os
import struct

CORE_FOUNDATION = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
SYSTEM = "/usr/lib/libSystem.B.dylib"

ENOATTR = 93  # <sys/errno.h>
EXCLUDED_FROM_BACKUP_KEY = b"NSURLIsExcludedFromBackupKey"  # NSURL.h; Cargo sets the same key

_UTF_8 = 0x08000100  # kCFStringEncodingUTF8, CFString.h
_DIRECTORY = 1  # Boolean: the URL names a directory

# <sys/attr.h>
_ATTR_BIT_MAP_COUNT = 5
_ATTR_VOL_INFO = 0x80000000
_ATTR_VOL_CAPABILITIES = 0x00020000
_VOL_CAPABILITIES_INTERFACES = 1
_VOL_CAP_INT_EXTENDED_ATTR = 0x00004000
# u_short bitmapcount, u_int16_t reserved, five attrgroup_t (common, vol, dir, file, fork)
_ATTRLIST = struct.Struct("=HHIIIII")
# u_int32_t length, vol_capabilities_attr_t { u_int32_t capabilities[4], valid[4] }
_CAPABILITIES = struct.Struct("=I4I4I")

_VALUE_LIMIT = 4096  # bytes; the value looked for has 61


class Darwin:
    """Apple's calls, on libraries that tests replace by a double."""

    def __init__(self, system: "ctypes.CDLL", core_foundation: "ctypes.CDLL | None") -> None:
        """Declare the signatures.

        Args:
            system: the library with the attribute calls.
            core_foundation: CoreFoundation; None where it can't be loaded.
        """
        fd, name, value, size = ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
        position, options = ctypes.c_uint32, ctypes.c_int
        self._fgetxattr = system.fgetxattr
        self._fgetxattr.argtypes = (fd, name, value, size, position, options)
        self._fgetxattr.restype = ctypes.c_ssize_t
        self._fsetxattr = system.fsetxattr
        self._fsetxattr.argtypes = (fd, name, value, size, position, options)
        self._fsetxattr.restype = ctypes.c_int
        self._fremovexattr = system.fremovexattr
        self._fremovexattr.argtypes = (fd, name, options)
        self._fremovexattr.restype = ctypes.c_int
        self._fgetattrlist = system.fgetattrlist
        self._fgetattrlist.argtypes = (fd, value, value, size, ctypes.c_uint32)
        self._fgetattrlist.restype = ctypes.c_int
        self._foundation = _declare(core_foundation) if core_foundation is not None else None

    def get_attribute(self, fd: int, name: bytes) -> "bytes | None":
        """Return an extended attribute; None if there is none. Raises OSError."""
        buffer = ctypes.create_string_buffer(_VALUE_LIMIT)
        length = self._fgetxattr(fd, name, buffer, _VALUE_LIMIT, 0, 0)
        if length >= 0:
            return buffer.raw[:length]
        if ctypes.get_errno() == ENOATTR:
            return None
        raise _last_error()

    def set_attribute(self, fd: int, name: bytes, value: bytes) -> None:
        """Set an extended attribute, whether it exists or not. Raises OSError."""
        if self._fsetxattr(fd, name, value, len(value), 0, 0) != 0:
            raise _last_error()

    def remove_attribute(self, fd: int, name: bytes) -> None:
        """Remove an extended attribute, if there is one. Raises OSError."""
        if self._fremovexattr(fd, name, 0) != 0 and ctypes.get_errno() != ENOATTR:
            raise _last_error()

    def has_native_attributes(self, fd: int) -> bool:
        """Return whether the volume stores attributes itself.

        Where it does not (exFAT, some SMB shares), the kernel keeps them in a file ``._name``
        beside the directory. Older kernels answer EINVAL unless the volume's root is asked.
        """
        words = self._capabilities(fd)
        if words is None and ctypes.get_errno() == errno.EINVAL:
            root = _volume_root(fd)
            try:
                words = self._capabilities(root)
            finally:
                os.close(root)
        if words is None:
            return False
        capable = words[1 + _VOL_CAPABILITIES_INTERFACES]
        valid = words[5 + _VOL_CAPABILITIES_INTERFACES]
        return bool(capable & valid & _VOL_CAP_INT_EXTENDED_ATTR)

    def _capabilities(self, fd: int) -> "tuple[int, ...] | None":
        """Return a volume's capabilities; None if the call fails."""
        request = ctypes.create_string_buffer(
            _ATTRLIST.pack(
                _ATTR_BIT_MAP_COUNT, 0, 0, _ATTR_VOL_INFO | _ATTR_VOL_CAPABILITIES, 0, 0, 0
            )
        )
        answer = ctypes.create_string_buffer(_CAPABILITIES.size)
        if self._fgetattrlist(fd, request, answer, _CAPABILITIES.size, 0) != 0:
            return None
        return _CAPABILITIES.unpack(answer.raw)

    def exclude_url(self, path: bytes) -> bool:
        """Ask CoreFoundation to exclude a directory from backups, by its path.

        Return whether the call was made and claims success. It does so even where it did nothing:
        read the attribute back.
        """
        foundation = self._foundation
        if foundation is None:
            return False
        url = foundation.CFURLCreateFromFileSystemRepresentation(None, path, len(path), _DIRECTORY)
        if not url:
            return False
        try:
            key = foundation.CFStringCreateWithCString(None, EXCLUDED_FROM_BACKUP_KEY, _UTF_8)
            if not key:
                return False
            try:
                true = ctypes.c_void_p.in_dll(foundation, "kCFBooleanTrue")
                return bool(foundation.CFURLSetResourcePropertyForKey(url, key, true, None))
            finally:
                foundation.CFRelease(key)
        finally:
            foundation.CFRelease(url)


def _declare(library: "ctypes.CDLL") -> "ctypes.CDLL | None":
    """Declare CoreFoundation's signatures; None if a symbol is missing."""
    reference, boolean = ctypes.c_void_p, ctypes.c_ubyte
    try:
        call = library.CFURLCreateFromFileSystemRepresentation
        call.argtypes = (reference, ctypes.c_char_p, ctypes.c_long, boolean)
        call.restype = reference
        call = library.CFStringCreateWithCString
        call.argtypes = (reference, ctypes.c_char_p, ctypes.c_uint32)
        call.restype = reference
        call = library.CFURLSetResourcePropertyForKey
        call.argtypes = (reference, reference, reference, ctypes.POINTER(reference))
        call.restype = boolean
        call = library.CFRelease
        call.argtypes = (reference,)
        call.restype = None
        ctypes.c_void_p.in_dll(library, "kCFBooleanTrue")
    except (AttributeError, ValueError):
        return None
    return library


_loaded: "Darwin | None" = None


def this_machine() -> "Darwin":
    """Return Apple's libraries, loaded once. Raises OSError where this is no Mac."""
    global _loaded
    if _loaded is None:
        system = ctypes.CDLL(SYSTEM, use_errno=True)
        try:
            foundation = ctypes.CDLL(CORE_FOUNDATION)
        except OSError:
            foundation = None
        _loaded = Darwin(system, foundation)
    return _loaded


def _volume_root(fd: int) -> int:
    """Return a descriptor of the root of a directory's volume; the caller closes it."""
    here = os.dup(fd)
    while True:
        up = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        below, above = os.fstat(here), os.fstat(up)
        if above.st_dev != below.st_dev or above.st_ino == below.st_ino:
            os.close(up)
            return here
        os.close(here)
        here = up


def _last_error() -> "OSError":
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
