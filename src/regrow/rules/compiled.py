"""The rules as they were read last time: parsing their TOML takes a hundred times as long.

It is a cache: whatever is wrong with it costs the time of reading the rules again. Its digest is
checked first, because marshal may crash on damaged data.
"""

import marshal
import os
import stat
import sys

from regrow import __version__
from regrow.model import Rule
from regrow.plain import TYPE_CHECKING
from regrow.records import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "rules"
_DIGEST_SIZE = 16  # characters, as ``records.digest`` gives them
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_directory() -> str:
    """Say where caches are: ``~/Library/Caches/regrow`` on macOS, else in the cache directory.

    That is ``$XDG_CACHE_HOME/regrow``, else ``~/.cache/regrow``.
    """
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/regrow")
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.cache")
    return os.path.join(base, "regrow")


def key(place: str, names: "Sequence[str]") -> str:
    """Tell what the rules depend on: their files, their fields, and who compiled them.

    Args:
        place: the directory of the files.
        names: the files.
    """
    files = []
    for name in names:
        status = os.stat(os.path.join(place, name))
        files.append((name, status.st_size, status.st_mtime_ns))
    return repr((__version__, sys.implementation.cache_tag, Rule._fields, place, files))


def load(wanted: str) -> tuple[Rule, ...] | None:
    """Read the rules that were compiled under a key; None if there are none, or none to trust."""
    try:
        fd = os.open(os.path.join(cache_directory(), _NAME), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
            return None
        data = file.read()
    content = data[_DIGEST_SIZE:]
    if digest(os.fsdecode(content)).encode() != data[:_DIGEST_SIZE]:
        return None
    found, rows = marshal.loads(content)  # noqa: S302 - our own file, and whole
    return tuple(Rule(*row) for row in rows) if found == wanted else None


def save(wanted: str, rules: "Sequence[Rule]") -> None:
    """Keep compiled rules for the next time, if that can be done."""
    content = marshal.dumps((wanted, [tuple(rule) for rule in rules]))
    place = cache_directory()
    temporary = os.path.join(place, f".{os.getpid()}-{_NAME}")
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        if os.stat(place).st_uid != os.geteuid():
            return  # with sudo, the home directory is somebody else's
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as file:
            file.write(digest(os.fsdecode(content)).encode() + content)
        os.replace(temporary, os.path.join(place, _NAME))
    except OSError:
        return  # a cache is no reason to stop
