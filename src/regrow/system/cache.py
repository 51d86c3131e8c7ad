"""Files in the cache directory: private, whole or not used at all, and no loss if they are gone."""

import os
import stat
import sys
from functools import lru_cache

import regrow
import regrow_marks
from regrow.system import ownership
from regrow_marks.plain import TYPE_CHECKING

try:  # the same function; hashlib loads OpenSSL, which costs 3 ms at start
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_SIZE = 16  # bytes: nobody meets another file's by chance
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def directory() -> str:
    """Say where caches are: ``~/Library/Caches/regrow`` on macOS, else in the cache directory.

    That is ``$XDG_CACHE_HOME/regrow``, else ``~/.cache/regrow``.
    """
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/regrow")
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "regrow")


def digest(data: bytes) -> bytes:
    """Give what tells damaged data from whole ones: marshal may crash on them."""
    return blake2b(data, digest_size=DIGEST_SIZE).digest()


def code() -> str:
    """Tell what was computed by this code from what was by another: every file's size and times.

    A version alone would not do: whoever works on regrow changes the code and not the version.
    """
    found = []
    pending = [*regrow.__path__, *regrow_marks.__path__]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".toml")):
                    status = entry.stat()
                    times = status.st_mtime_ns, status.st_ctime_ns
                    found.append((entry.path, status.st_size, *times))
                elif "." not in entry.name and not entry.name.startswith("__") and entry.is_dir():
                    pending.append(entry.path)
    version = (regrow.__version__, sys.implementation.cache_tag)
    return digest(repr((version, sorted(found))).encode(errors="surrogateescape")).hex()


@lru_cache(1)
def running_code() -> str:
    """Give ``code``, as it was when this process asked first."""
    return code()


def open_file(name: str) -> int | None:
    """Open a file that only this user can have written.

    Args:
        name: its name in the cache directory.

    Returns:
        The descriptor; None where there is no such file.
    """
    try:
        fd = os.open(
            os.path.join(directory(), name),
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
        )
    except OSError:
        return None
    status = os.fstat(fd)
    if (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & _OTHERS_MAY_WRITE
    ):
        return fd
    os.close(fd)
    return None


def refresh(name: str) -> None:
    """Count a file among the newest, since it is in use; see ``keep_newest``."""
    try:
        os.utime(os.path.join(directory(), name), follow_symlinks=False)
    except OSError:
        return  # another regrow has removed it, or its disk can't be written


def read(name: str) -> bytes | None:
    """Read a file that ``write`` wrote; None where there is none, or it is not whole."""
    fd = open_file(name)
    if fd is None:
        return None
    with open(fd, "rb") as file:
        data = file.read()
    content = data[DIGEST_SIZE:]
    return content if digest(content) == data[:DIGEST_SIZE] else None


def write(name: str, content: bytes) -> None:
    """Keep bytes for the next time, if that can be done."""
    replace(name, (digest(content), content))


def replace(name: str, parts: "Iterable[bytes]") -> None:
    """Write a file under a temporary name and rename it into place, if that can be done.

    Args:
        name: its name in the cache directory.
        parts: what is written, one after the other.
    """
    place = directory()
    temporary = os.path.join(place, f".{os.getpid()}-{name}")
    try:
        ownership.make_private(place)
        if os.stat(place).st_uid != os.geteuid():
            return  # with sudo, the home directory is somebody else's
        try:
            # Left by a process of the same number, if it is there.
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        fd = ownership.create_private(temporary, os.O_WRONLY | os.O_EXCL)
        try:
            with open(fd, "wb") as file:
                file.writelines(parts)
            os.replace(temporary, os.path.join(place, name))
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError:
        return  # a cache is no reason to stop


def keep_newest(prefix: str, count: int) -> None:
    """Remove files that were not used for long, and what was half written when a regrow was killed.

    Args:
        prefix: how their names begin.
        count: how many stay.
    """
    try:
        with os.scandir(directory()) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                for entry in entries
                if entry.name.startswith(prefix)
                or (entry.name[0] == "." and f"-{prefix}" in entry.name)
            ]
        for _, path in sorted(found)[:-count]:
            os.unlink(path)
    except OSError:
        return  # another regrow was quicker, or there is no cache directory
