"""Records of a home that stood elsewhere: old paths in them become new ones."""

import os
import re
from urllib.parse import quote

from regrow.errors import ConfigurationError
from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.model import Record
    from regrow.recipes import Recipe

    Mapping = Sequence[tuple[str, str]]


def parse(words: "Sequence[str]") -> "Mapping":
    """Read ``OLD=NEW``.

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
        pairs.append((old.rstrip("/") or "/", new.rstrip("/") or "/"))
    return pairs


def apply(record: "Record", mapping: "Mapping") -> "Record":
    """Put new paths in the place of old ones: the record's own, and those in its recipe."""
    if not mapping:
        return record
    recipe: Recipe = {}
    for key, value in record.recipe.items():
        if isinstance(value, str):
            recipe[key] = _text(value, mapping)
        elif isinstance(value, list):
            recipe[key] = [_text(item, mapping) for item in value]
        else:
            recipe[key] = value
    return record._replace(path=_text(record.path, mapping), recipe=recipe)


def _text(text: str, mapping: "Mapping") -> str:
    for old, new in mapping:
        for before, after in ((old, new), (_quoted(old), _quoted(new))):
            # A path begins after file:// or where no name goes on, and ends where a name does.
            pattern = rf"(?:(?<=file://)|(?<![\w./~-])){re.escape(before)}(?=/|$|[\s;:,\"'@#&])"
            changed = re.sub(pattern, lambda _, after=after: after, text)  # type: ignore[misc]
            if changed != text:
                return changed
    return text


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))
