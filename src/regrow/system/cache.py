"""Files in the cache directory: private, whole or not used at all, and no loss if they are gone."""

import os
import stat
import sys
from functools import lru_cache

import regrow
import regrow_marks
from regrow.system import directories, own_files
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_SIZE = 16  # bytes: nobody meets another file's by chance
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def digest(data: bytes) -> bytes:
    """Return what tells damaged data from whole ones: marshal may crash on them."""
    return own_files.blake2b(data, digest_size=DIGEST_SIZE).digest()


def code() -> str:
    """Return a digest of the code that runs: of the size and the times of each of its files.

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
    """Return ``code``, as it was when this process asked first."""
    return code()


def open_file(name: str) -> int | None:
    """Return a descriptor of a file that only this user can have written; None: there is none."""
    try:
        fd = os.open(
            os.path.join(directories.caches(), name),
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
        os.utime(os.path.join(directories.caches(), name), follow_symlinks=False)
    except OSError:
        return  # another regrow has removed it, or its disk can't be written


def read(name: str) -> bytes | None:
    """Return what ``write`` wrote; None where there is none, or it is not whole."""
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
    """Write the parts of a file one after the other, if that can be done."""
    place = directories.caches()
    try:
        own_files.make_directory(place)
        if os.stat(place).st_uid == os.geteuid():  # with sudo, the home may be somebody else's
            own_files.replace_at(os.path.join(place, name), parts)
    except OSError:
        return  # a cache is no reason to stop


def keep_newest(prefix: str, count: int) -> None:
    """Keep so many files of a prefix, and remove older ones and what killed regrows half wrote."""
    try:
        with os.scandir(directories.caches()) as entries:
            found = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                for entry in entries
                if entry.name.startswith((prefix, own_files.TEMPORARY))
            ]
        for _, path in sorted(found)[:-count]:
            os.unlink(path)
    except OSError:
        return  # another regrow was quicker, or there is no cache directory
