"""Finds out where a Python program on PATH is installed, without running it."""

import glob
import os
import re

from regrow.system.program import find_program
from regrow_marks.plain import NamedTuple
from regrow_marks.safe_read import read, read_head

UV = "uv"
PIPX = "pipx"
HOMEBREW = "Homebrew"
DISTRIBUTION = "the distribution"
VENV = "venv"
PIP = "pip"

_HEAD = 2048  # bytes: the first two lines, with a path as long as paths may be on macOS
_SHEBANG = re.compile(rb"#!\s*(?:/usr/bin/env\s+)?(\S*python[^\s/]*)")
_LONG = re.compile(rb"""#!/bin/sh\n'''exec' (?:"([^"\n]+)"|'([^'\n]+)'|(\S+)) """)
"""How pip and uv begin a script whose interpreter's path is long or holds blanks."""


class Place(NamedTuple):
    """The Python environment that a program runs in."""

    interpreter: str
    prefix: str
    """The environment's directory; for a system's Python, ``/usr``."""
    by: str
    """What installed the program: one of the names above."""
    version: tuple[int, int] | None
    """The interpreter's; None: its name does not contain it."""


def place(script: str) -> Place | None:
    """Return where the program that PATH leads to is installed; links are followed.

    None where it is no Python script: a binary, a shell script (pyenv's shims).
    """
    true_path = os.path.realpath(script)
    try:
        head = read_head(true_path, _HEAD) or b""
    except (OSError, ValueError):
        return None
    found = _LONG.match(head) or _SHEBANG.match(head)
    if found is None:
        return None
    written = os.fsdecode(next(group for group in found.groups() if group))
    interpreter = written if "/" in written else find_program(written)
    if interpreter is None:
        return None
    prefix = os.path.dirname(os.path.dirname(interpreter))
    name = re.search(r"python(\d+)\.(\d+)", os.path.basename(os.path.realpath(interpreter)))
    version = (int(name[1]), int(name[2])) if name else None
    return Place(interpreter, prefix, _installer(true_path, prefix), version)


def _installer(script: str, prefix: str) -> str:
    def holds(name: str) -> bool:
        return os.path.exists(os.path.join(prefix, name))

    if "/Cellar/" in script or "/Cellar/" in os.path.realpath(prefix):
        return HOMEBREW
    if holds("uv-receipt.toml"):
        return UV
    if holds("pipx_metadata.json"):
        return PIPX
    if holds("pyvenv.cfg"):
        return VENV
    return DISTRIBUTION if os.path.dirname(script) == "/usr/bin" else PIP


def has_plugin(where: Place) -> bool:
    """Return whether regrow's plugins are installed in an environment, by their entry points."""
    for directory in _packages(where):
        for name in glob.glob(f"{glob.escape(directory)}/regrow-*.dist-info/entry_points.txt"):
            try:
                if b"[virtualenv.activate]" in (read(os.path.realpath(name)) or b""):
                    return True
            except (OSError, ValueError):
                continue
    return False


def _packages(where: Place) -> list[str]:
    """Return the directories in which an environment's interpreter looks for packages."""
    python = f"python{where.version[0]}.{where.version[1]}" if where.version else "python3.*"
    bases = [f"{glob.escape(where.prefix)}/lib", f"{glob.escape(where.prefix)}/lib64"]
    patterns = [f"{base}/{python}/site-packages" for base in bases]
    if not os.path.exists(os.path.join(where.prefix, "pyvenv.cfg")):
        home = glob.escape(os.path.expanduser("~"))
        patterns += [
            f"{bases[0]}/{python}/dist-packages",
            f"{bases[0]}/python3/dist-packages",
            f"/usr/local/lib/{python}/dist-packages",
            f"{home}/.local/lib/{python}/site-packages",
        ]
    return [directory for pattern in patterns for directory in glob.glob(pattern)]


def has_pip(where: Place) -> bool:
    """Return whether an environment has pip; those that uv makes have none."""
    return any(os.path.isdir(os.path.join(directory, "pip")) for directory in _packages(where))
