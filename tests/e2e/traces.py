"""Reads what strace saw: when a directory got an attribute, and when its entries were made."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

MAKES = {
    "creat": (None, 0),
    "link": (None, 1),
    "linkat": (2, 3),
    "mkdir": (None, 0),
    "mkdirat": (0, 1),
    "mknod": (None, 0),
    "mknodat": (0, 1),
    "open": (None, 0),
    "openat": (0, 1),
    "openat2": (0, 1),
    "rename": (None, 1),
    "renameat": (2, 3),
    "renameat2": (2, 3),
    "symlink": (None, 1),
    "symlinkat": (1, 2),
}
"""By system call that can make an entry: its arguments with the entry's directory and its path."""

RENAMES = {"rename": (None, 0), "renameat": (0, 1), "renameat2": (0, 1)}
"""By system call that renames: its arguments with the old directory and the old path."""

MARKS = ("fsetxattr", "lsetxattr", "setxattr")

_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)")
_BEGUN = re.compile(r"(\d+) +(.*) <unfinished \.\.\.>$")
_ENDED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)$")
# A string, a descriptor with its path, or any other word.
_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>|([^,\s]+)')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


class Call(NamedTuple):
    """A system call that succeeded."""

    name: str
    arguments: tuple[str, ...]
    """Strings without their quotes, and descriptors as the paths that they lead to."""
    begun: int
    """The line of the trace on which it began."""
    ended: int
    """The line on which it returned: another one if other processes ran meanwhile."""


class Birth(NamedTuple):
    """How a directory came to be filled."""

    made: frozenset[str]
    """Every path inside at which an entry was made."""
    before_the_mark: tuple[str, ...]
    """Those that were made while the directory at that path had no mark, in order."""


def trace(command: Sequence[str | Path], output: Path, cwd: Path) -> tuple[Call, ...]:
    """Run a command and all its children under strace.

    Args:
        command: what is run.
        output: the file for the trace.
        cwd: where it is run.

    Returns:
        Its calls, in the order in which they began.
    """
    # With "?", a call that this machine's kernel never had is no error.
    watched = ",".join(f"?{name}" for name in (*MAKES, *MARKS))
    options = ("-f", "-y", "-qq", "-s", "65536", "-e", f"trace={watched}", "-e", "signal=none")
    done = subprocess.run(
        ["strace", *options, "-o", output, *command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    with output.open(encoding="ascii") as lines:
        return tuple(sorted(calls(lines), key=lambda call: call.begun))


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """Parse what ``strace -f -y -o`` writes, in the order in which calls returned.

    >>> next(calls(['7 mkdirat(4</w>, "x", 0777) = 0']))
    Call(name='mkdirat', arguments=('/w', 'x', '0777'), begun=0, ended=0)
    """
    open_calls: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        begun, text = number, line
        if match := _BEGUN.match(line):
            open_calls[match[1]] = (number, match[0].removesuffix(" <unfinished ...>"))
            continue
        if match := _ENDED.match(line):
            begun, text = open_calls.pop(match[1])
            text += match[2]
        if (match := _CALL.match(text)) and not match[4].startswith(("-", "?")):
            yield Call(match[2], tuple(_arguments(match[3])), begun, number)


def _arguments(text: str) -> Iterator[str]:
    for match in _ARGUMENT.finditer(text):
        string, path, word = match.groups()
        yield word if word is not None else _unescape(path if string is None else string)


def _unescape(text: str) -> str:
    def value(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if escape.startswith(b"x"):
            return bytes([int(escape[1:], 16)])
        return bytes([int(escape, 8)]) if escape.isdigit() else _ESCAPED.get(escape, escape)

    return os.fsdecode(_ESCAPE.sub(value, text.encode("ascii")))


def birth(directory: str, attribute: str, value: str, happened: Sequence[Call]) -> Birth:
    """Tell what was made in a directory, and whether its mark was there before.

    A mark counts from when the call that set it returned, an entry from when the call that made it
    began. A directory that is made anew has no mark, and one that is renamed takes its mark along.

    Args:
        directory: its path, absolute.
        attribute: the name of the extended attribute that marks it.
        value: the attribute's value.
        happened: the calls, in the order in which they began.
    """
    names = {directory}
    for call in reversed(happened):
        if call.name in RENAMES and _entry(call, MAKES) in names:
            names.add(_entry(call, RENAMES))
    marked_from: dict[str, int] = {}
    made: list[str] = []
    early: list[str] = []
    for call in happened:
        if call.name in MARKS:
            if call.arguments[1:3] == (attribute, value):
                marked_from.setdefault(os.path.normpath(call.arguments[0]), call.ended)
            continue
        if call.name.startswith("open") and "O_CREAT" not in " ".join(call.arguments):
            continue
        path = _entry(call, MAKES)
        if path in names:
            mark = marked_from.pop(_entry(call, RENAMES), None) if call.name in RENAMES else None
            marked_from.pop(path, None)
            if mark is not None:
                marked_from[path] = mark
        for name in names:
            if path.startswith(f"{name}/"):
                made.append(path)
                if call.begun <= marked_from.get(name, call.begun):
                    early.append(path)
    return Birth(frozenset(made), tuple(early))


def _entry(call: Call, places: dict[str, tuple[int | None, int]]) -> str:
    directory, path = places[call.name]
    given = call.arguments[path]
    if not given.startswith("/"):
        if directory is None or not call.arguments[directory].startswith("/"):
            raise ValueError(f"{call}: the trace does not tell where {given} is")
        given = f"{call.arguments[directory]}/{given}"
    return os.path.normpath(given)
