"""What searches a tree for directories of given names: find, fd, and C that only reads."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.tree import NAMES

_SOURCE = Path(__file__).with_name("reading.c")


def find(tree: Path) -> list[str]:
    """Give the find command that prints directories of these names and does not enter them."""
    named = [word for name in NAMES for word in ("-o", "-name", name)][1:]
    return ["find", str(tree), "-type", "d", "(", *named, ")", "-prune", "-print"]


def fd(tree: Path) -> list[str]:
    """Give the fd command for the same; empty: fd is not installed."""
    pattern = f"^({'|'.join(map(re.escape, NAMES))})$"
    options = ["--prune", "--hidden", "--no-ignore", "--type", "d", "--color", "never"]
    name = _fd()
    return [name, *options, pattern, str(tree)] if name else []


def reading(tree: Path, place: Path) -> list[str]:
    """Give the command that only reads, built if need be; empty: there is no compiler.

    Args:
        tree: what is read.
        place: where the program is put.
    """
    program = place / "reading"
    if not program.exists():
        if shutil.which("gcc") is None:
            return []
        subprocess.run(["gcc", "-O2", "-Wall", "-o", program, _SOURCE], check=True)
    return [str(program), str(tree), *NAMES]


def versions() -> dict[str, str]:
    """Give the programs' versions, as they say them."""
    named = {"find": "find", "fd": _fd(), "gcc": "gcc"}
    return {key: _version([name, "--version"]) for key, name in named.items() if name}


@cache
def _fd() -> str:
    """Find fd: Debian calls it fdfind, since another program had that name before."""
    names = (name for name in ("fdfind", "fd") if _version([name, "--version"]).startswith("fd"))
    return next(names, "")


def _version(words: Sequence[str]) -> str:
    if shutil.which(words[0]) is None:
        return ""
    said = subprocess.run(words, capture_output=True, text=True, env=os.environ)
    return said.stdout.partition("\n")[0]
