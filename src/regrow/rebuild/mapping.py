"""Records of a home that stood elsewhere: old paths in them become new ones."""

import os
import re
from urllib.parse import quote

from regrow.errors import ConfigurationError
from regrow.records import history
from regrow.records.store import ATTACHMENTS
from regrow_marks.directory import is_below
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from regrow.model import Record
    from regrow.records.store import Store

    Mapping = Sequence[tuple[str, str]]

# In a word of a command a path begins behind what parts paths, or -I or -L, and ends where a name
# ends; in an address all but these is quoted.
_IN_WORDS = (r"(?:(?<=[\s=:;,\"'])|(?<=-[IL])|(?<=file://))", r"(?=/|$|[\s:;,\"'])")
_IN_URLS = (r"(?<=file://)", r"(?=/|$|[@#?])")
_PATHS = re.compile(r"(-D[^=]*:(?:FILE)?PATH=)(.*)", re.DOTALL)  # CMake's lists have semicolons


def parse(words: "Sequence[str]") -> "Mapping":
    """Return the pairs of paths that words of the form ``OLD=NEW`` name.

    Of two that both fit a path, the longer one is first.

    Raises:
        ConfigurationError: a word is not two absolute paths.
    """
    pairs = []
    for word in words:
        old, equals, new = word.partition("=")
        if not equals or not old.startswith("/") or not new.startswith("/"):
            raise ConfigurationError(
                f"--map {word}: give two absolute paths, as in --map /Users/ada=/home/ada"
            )
        pairs.append((_normal(old), _normal(new)))
    return sorted(pairs, key=lambda pair: len(pair[0]), reverse=True)


def apply(record: "Record", mapping: "Mapping") -> "Record":
    """Return a record with new paths in place of old ones: its own, and those in its recipe."""
    if not mapping:
        return record

    def mapped(value: "Any") -> "Any":
        if isinstance(value, list):
            return [mapped(item) for item in value]
        return _text(value, mapping) if isinstance(value, str) else value

    recipe = {key: mapped(value) for key, value in record.recipe.items()}
    return record._replace(path=_path(record.path, mapping), recipe=recipe)


def adopt(record: "Record", before: str, store: "Store") -> None:
    """Record a directory under its new path, not under the one *before*. Raises RecordError."""
    found = ((name, store.attachment(before, name)) for name in ATTACHMENTS)
    files = [(name, content) for name, content in found if content is not None]
    with store.locked():
        store.write(record, files).close()
        history.move(store, {before: record.path})
        store.remove(before)


def _normal(path: str) -> str:
    return os.path.normpath(f"/{path.lstrip('/')}")


def _text(text: str, mapping: "Mapping") -> str:
    """Map a path, a line of requirements, an address, or a word of a command."""
    if text.startswith("/"):
        return _path(text, mapping)
    if text.startswith("-e /"):
        return f"-e {_path(text.removeprefix('-e '), mapping)}"
    if text.startswith("-") and not text.startswith("-e "):
        paths = _PATHS.fullmatch(text)
        if paths:
            return paths[1] + ";".join(_path(path, mapping) for path in paths[2].split(";"))
        return _within(text, mapping, _IN_WORDS)
    quoted = [(quote(os.fsencode(old)), quote(os.fsencode(new))) for old, new in mapping]
    return _within(text, quoted, _IN_URLS)


def _path(path: str, mapping: "Mapping") -> str:
    for old, new in mapping:
        if is_below(path, old):
            return new.rstrip("/") + path[len(old.rstrip("/")) :] or "/"
    return path


def _within(text: str, mapping: "Mapping", ends: tuple[str, str]) -> str:
    """Map every path in a text, each by the first pair that fits."""
    new_of = {old.rstrip("/"): new.rstrip("/") for old, new in mapping}
    begin, end = ends
    olds = "|".join(map(re.escape, new_of))
    return re.sub(f"{begin}({olds}){end}", lambda found: new_of[found[1]], text)
