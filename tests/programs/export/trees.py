"""A tree of names that break escaping, and of names that differ from them by one character."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

LONGEST = 255  # bytes; NAME_MAX of Linux' file systems
INSIDE = b".venv"

NAMES = (
    b"plain",
    b" space before",
    b"space after ",
    b"two after  ",
    b"tab after\t",
    b"in the  middle",
    b" ",
    b"\t",
    b"[brackets]",
    b"[a-z]",
    b"[!a]",
    b"[^a]",
    b"[",
    b"]",
    b"open [",
    b"close ]",
    b"[]",
    b"[[:alpha:]]",
    b"{a,b}",
    b"{",
    b"}",
    b"{{x}}",
    b"*",
    b"**",
    b"***",
    b"star*",
    b"*star",
    b"?",
    b"what?",
    b"# comment",
    b"a#b",
    b"; comment",
    b"! not",
    b"!not",
    b"\\!not",
    b"$",
    b"$$",
    b"$HOME",
    b"${HOME}",
    b"price$",
    b"\\",
    b"\\\\",
    b"back\\slash",
    b"at the end\\",
    b"two at the end\\\\",
    b"star\\*",
    b"\\n",
    b"\\x41",
    b"'single'",
    b'"double"',
    b"`back`",
    b"it's",
    b"\n",
    b"new\nline",
    b"at the end\n",
    b"\nat the start",
    b"carriage\rreturn",
    b"return at the end\r",
    b"\r\n",
    b"tab\tin",
    b"vertical\vtab",
    b"form\ffeed",
    b"bell\a",
    b"escape\x1b[31m",
    b"\x01",
    b"delete\x7f",
    b"latin \xe4",
    b"\xff",
    b"\xff\xfe",
    b"cut short \xe2\x82",
    b"surrogate \xed\xa0\x80",
    b"- minus",
    b"+ plus",
    b"-rf",
    b"--",
    b"-",
    b"+",
    b"~",
    b"~ada",
    b"^caret",
    b"^",
    b"a|b",
    b"(a)",
    b"a+",
    b"a.b",
    b"...",
    b"re:x",
    b"pp:x",
    b"sh:x",
    b"fm:x",
    b"e:x",
    b"i:x",
    b"@file",
    b"%41",
    b"a&b",
    b"a=b",
    b"a:b",
    b"a,b",
    b"<a>",
    b"R x",
    b"ignorecase:x",
    b"clear",
    b"\xc3\xa4 composed",
    b"a\xcc\x88 decomposed",
    "日本語".encode(),
    "🐍".encode(),
    "👩‍💻".encode(),
    "right-to-left \u202e".encode(),
    "no-break\u00a0".encode(),
    "\u2028line".encode(),
    "next\u0085line".encode(),
    "wide\u3000".encode(),
    "\ufeffmark".encode(),
    "replaced \ufffd".encode(),
    "picture \u2401".encode(),
    "picture of return \u240d".encode(),
    "quoted \u201b".encode(),
    "wide slash \uff0f".encode(),
    "wide dot \uff0e".encode(),
    "private \U000f0000".encode(),
    b"l" * LONGEST,
    b"*" * LONGEST,
    b"CASE",
    b"\xc3\x84",
)

_INSTEAD = (b"x", b"\n", b"\r", b"\t", b" ", b"\\", b"\xff", "\ufffd".encode())
_BEFORE = (b"x", b" ", b"\\", b"!", b"#")
_AFTER = (b"x", b" ", b"\n", b"\r", b"\\", b"$", b"*", b"?")


class Tree(NamedTuple):
    """A directory to be backed up."""

    root: Path
    excluded: frozenset[bytes]
    """The directories that an exclude file shall name, as absolute paths."""

    def without(self, directories: frozenset[bytes]) -> set[bytes]:
        """List all of it but for some directories, relative to the root."""
        return below(self.root, directories)


def neighbours(name: bytes) -> Iterator[bytes]:
    """Give names that a pattern for this one, badly escaped, might match."""
    yield from (before + name for before in _BEFORE)
    yield from (name + after for after in _AFTER)
    yield name.swapcase()
    parts = [os.fsencode(character) for character in os.fsdecode(name)]
    for position, part in enumerate(parts):
        if len(parts) == LONGEST and 0 < position < LONGEST - 1:
            continue
        before, after = b"".join(parts[:position]), b"".join(parts[position + 1 :])
        yield before + after
        yield before + part + part + after
        # Blanks and what nobody can see are taken for one another most easily.
        others = (b"x",) if part.isalnum() else _INSTEAD
        yield from (before + other + after for other in others)


def is_name(name: bytes) -> bool:
    return 0 < len(name) <= LONGEST and name not in (b".", b"..") and not set(name) & set(b"/\0")


def plant(root: Path, names: Iterable[bytes], not_stored: tuple[bytes, ...] = ()) -> Tree:
    """Make a tree in which each name is excluded once as a directory, and once as the parent of
    one; neighbours stand beside them, and the same names and whole paths further down.

    Args:
        root: the directory, which is made.
        names: what is excluded.
        not_stored: names that hold one of these are left aside.
    """

    def is_stored(name: bytes) -> bool:
        return is_name(name) and not any(part in name for part in not_stored)

    wanted = set(filter(is_stored, names))
    others = {other for name in wanted for other in filter(is_stored, neighbours(name))} - wanted
    after = {name + more for name in wanted for more in _AFTER} & others
    base = os.fsencode(root)
    for name in wanted | others:
        _write(base, b"code", name)
    for name in wanted | after:
        _write(base, b"parents", name, INSIDE)
    for name in wanted:
        _write(base, b"code", name, b"deeper")
        _write(base, b"code", b"deeper", name)
        _write(base, b"deeper", b"code", name)
        _write(base, base[1:], b"code", name)
        _write(base, b"parents", name)
        for more in _AFTER:
            _touch(base, b"parents", name, INSIDE + more)
    directories = {b"/".join((base, b"code", name)) for name in wanted}
    inside = {b"/".join((base, b"parents", name, INSIDE)) for name in wanted}
    return Tree(root, frozenset(directories | inside))


def _write(*parts: bytes) -> None:
    os.makedirs(b"/".join(parts), exist_ok=True)
    _touch(*parts, b"file")


def _touch(*parts: bytes) -> None:
    with open(b"/".join(parts), "xb") as file:
        file.write(b"x")


def below(root: Path, without: frozenset[bytes] = frozenset()) -> set[bytes]:
    """List everything below a directory, relative to it, but for some directories."""
    base = os.fsencode(root)
    found = set()
    for directory, names, files in os.walk(base):
        names[:] = [name for name in names if b"/".join((directory, name)) not in without]
        found |= {b"/".join((directory, name))[len(base) + 1 :] for name in (*names, *files)}
    return found
