"""Reads other programs' files: text and JSON, by ``regrow_marks.safe_read``."""

import os
from itertools import islice

from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import TEXT_LIMIT, read

if TYPE_CHECKING:
    from typing import Any

_WEIGHT = 96 * 1024 * 1024  # bytes; the lock of a large monorepo weighs half as much
_LINES = 200_000  # of a RECORD; those of the largest distributions have 60,000
_ENTRIES = 100_000  # of one directory; large environments have 2,000


def read_text(path: str, limit: int = TEXT_LIMIT) -> str | None:
    """Return a regular file's text; see ``safe_read.read``. Not UTF-8 is a ValueError."""
    data = read(path, limit)
    return None if data is None else data.decode()


def parse_json(data: bytes | str) -> "Any":
    """Return what JSON holds. Whatever is wrong with it is a ValueError, its size included."""
    import json

    text = data.encode(errors="surrogatepass") if isinstance(data, str) else data
    if _weight(text) > _WEIGHT:
        raise ValueError("it holds too much to be read")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _weight(data: bytes) -> int:
    """Return about how many bytes Python takes for what JSON holds: sixty for the text ``[],``."""
    letters = len(data) if data.isascii() else 5 * len(data)
    lists, objects, quotes, commas = map(data.count, (b"[", b"{", b'"', b","))
    return letters + 64 * lists + 232 * objects + 30 * quotes + 32 * commas


def read_lines(path: str, limit: int, place: int | None = None) -> bytes | None:
    """Return a file of lines; see ``safe_read.read``. Too many of them are a ValueError."""
    data = read(path, limit, place)
    if data is not None and data.count(b"\n") > _LINES:
        raise ValueError(f"{path}: it has more than {_LINES:,} lines")
    return data


def names_in(place: int) -> list[str]:
    """Return the names in an open directory.

    Raises:
        OSError: it can't be read.
        ValueError: there are more than any tool makes.
    """
    with os.scandir(place) as entries:
        names = [entry.name for entry in islice(entries, _ENTRIES + 1)]
    if len(names) > _ENTRIES:
        raise ValueError(f"a directory in it has more than {_ENTRIES:,} entries")
    return names
