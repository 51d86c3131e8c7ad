"""Keeps the rules in compiled form: parsing their TOML takes a hundred times as long."""

import marshal
import os
import sys

from regrow import __version__
from regrow.model import Rule
from regrow.system import cache
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "rules"


def key(place: str, names: "Sequence[str]") -> str:
    """Return what the compiled rules depend on: their files, their fields, and who compiled them.

    Args:
        place: the directory of the files.
        names: the files.
    """
    files = []
    for name in names:
        status = os.stat(os.path.join(place, name))
        files.append((name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return repr((__version__, sys.implementation.cache_tag, Rule._fields, place, files))


def load(wanted: str) -> tuple[Rule, ...] | None:
    """Return the rules that were compiled under a key; None if there are none to trust."""
    content = cache.read(_NAME)
    if content is None:
        return None
    found, rows = marshal.loads(content)  # noqa: S302 - our own file, and whole
    return tuple(Rule(*row) for row in rows) if found == wanted else None


def save(wanted: str, rules: "Sequence[Rule]") -> None:
    """Keep compiled rules for the next start. If that can't be done, they are read again."""
    cache.write(_NAME, marshal.dumps((wanted, [tuple(rule) for rule in rules])))
