"""The files of an environment that no distribution's RECORD names: people put them there."""

import os
import re

from regrow.recipes.distributions import DIRECTORY
from regrow.recipes.files import names_in, read_lines
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import RECORD_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Sequence

_BY_CREATORS = re.compile(
    r"__pycache__|_virtualenv\.(py|pth)|(pip|setuptools|wheel)-[\d.]+\.virtualenv"
    r"|easy-install\.pth|.*\.egg-link|~.*"  # pip renames what it removes to ~…
)
_BIN_BY_CREATORS = re.compile(
    r"python[\d.]*t?w?|pypy[\d.]*|[aA]ctivate.*|deactivate.*|pydoc\.bat|__pycache__"
    r"|(pip|wheel|easy_install)-?[\d.]*"
)
_TOP_BY_CREATORS = re.compile(
    r"bin|Scripts|lib|lib64|Lib|[iI]nclude|pyvenv\.cfg|CACHEDIR\.TAG|\.gitignore|\.lock|src"
)
_RECORDED = re.compile(rb'^(?:((?:\.\./)+[^,"\r\n]+)|"([^"/\r\n]+)|([^/,"\r\n]+))', re.MULTILINE)


def find_unowned(path: str, places: "Sequence[str]") -> list[str]:
    """Return the files and directories that no distribution brings back: their paths, sorted.

    *places* are the site-packages of the environment. A directory stands for all in it.

    Raises:
        OSError, ValueError: the metadata can't be read.
    """
    found: list[str] = []
    outside: set[str] = set()
    for place in places:
        below = place[len(path.rstrip("/")) + 1 :]
        found += (f"{below}/{entry}" for entry in _unowned_in(place, outside))
    for directory, by_creators in (
        ("", _TOP_BY_CREATORS),
        ("bin", _BIN_BY_CREATORS),
        ("Scripts", _BIN_BY_CREATORS),
    ):
        try:
            names = os.listdir(os.path.join(path, directory))
        except OSError:
            continue
        prefix = f"{directory}/" if directory else ""
        inside = (prefix + name for name in names if not by_creators.fullmatch(name))
        found += (name for name in inside if name not in outside)
    return sorted(found)


def _unowned_in(place: str, outside: set[str]) -> list[str]:
    """Return the names in one site-packages; what is recorded outside is added to *outside*."""
    fd = os.open(place, DIRECTORY)
    try:
        entries = names_in(fd)
        owned = {entry for entry in entries if entry.endswith((".dist-info", ".egg-info"))}
        owned |= {entry for entry in entries if entry.endswith(".egg") and _is_egg(place, entry)}
        prefix = os.fsencode(place) + b"/"
        for entry in sorted(owned):
            data = read_lines(f"{entry}/RECORD", RECORD_LIMIT, fd)
            if data is None:
                owned |= _without_record(fd, entry)
                continue
            # Poetry records the full paths of what it installs in editable mode.
            recorded = set(_RECORDED.findall(data.replace(prefix, b"")))
            owned.update(os.fsdecode(quoted or top) for _, quoted, top in recorded)
            for file, _, _ in recorded:
                outside |= _places_of(os.fsdecode(file).replace("../", ""))
    finally:
        os.close(fd)
    return [entry for entry in entries if entry not in owned and not _BY_CREATORS.fullmatch(entry)]


def _is_egg(place: str, entry: str) -> bool:
    return os.path.isdir(os.path.join(place, entry, "EGG-INFO"))


def _places_of(file: str) -> set[str]:
    """Return what a file outside site-packages accounts for: itself, and its topmost directory."""
    top, _, rest = file.partition("/")
    return {top, file} if rest else {top}


def _without_record(place: int, entry: str) -> set[str]:
    """Return the likely modules of a distribution without RECORD: by top_level.txt and its name."""
    text = read(f"{entry}/top_level.txt", place=place) or b""
    names = {os.fsdecode(line.strip()) for line in text.split(b"\n") if line.strip()}
    names.add(re.split(r"-\d", entry)[0].replace("-", "_"))
    return names | {f"{name}.py" for name in names}
