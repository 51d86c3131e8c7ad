"""Reads TOML that others may have written: whatever is wrong with it is a ValueError, in words.

tomllib takes time and memory by the square of how many parts a dotted key has: 40 kB of one key
take gigabytes. Nobody writes such keys.
"""

import re

from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

LIMIT = 128 * 1024  # bytes: of short keys alone, that takes tomllib 100 MB
_PARTS = 32  # of a dotted key
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_PARTS}}}")


def loads(data: bytes) -> "dict[str, Any]":
    """Return the table of a TOML document.

    Args:
        data: its bytes, not more than ``LIMIT`` where they are not the user's own.

    Raises:
        ValueError: it is no TOML, or none that can be read in reasonable time.
    """
    import tomllib

    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8, as TOML must be") from error
    if _LONG_KEY.search(text):
        raise ValueError(f"a key in it has more than {_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (AttributeError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"it is no TOML that can be read: {error!r}") from error
