"""Whether the regrow that PATH leads to is the one that runs."""

import os
import re
import sys

from regrow import __version__
from regrow.doctor import installed
from regrow.doctor.findings import OK, REGROW, TO_DO, WRONG, Finding
from regrow.system.program import ask_program, find_program

_PATIENCE = 5  # seconds; it needs a twentieth of one


def check() -> list[Finding]:
    """Compare the running regrow with the first on PATH."""
    mine = Finding(REGROW, "version", OK, f"{__version__}, on {sys.executable}")
    return [mine, _first_on_path()]


def _first_on_path() -> Finding:
    first = find_program("regrow")
    if first is None:
        text = "regrow is not on PATH: prompt hooks and what you type do not find it"
        remedy = "`uv tool install regrow`, or `pipx install regrow`"
        return Finding(REGROW, "path", TO_DO, text, remedy)
    first = os.path.abspath(first)
    where = installed.place(first)
    if where is not None and os.path.realpath(where.prefix) == os.path.realpath(sys.prefix):
        return Finding(REGROW, "path", OK, first)
    remedy = f"remove the one that you don't use, or put the other's directory first: {first}"
    if os.path.basename(os.path.realpath(first)) != "regrow":
        text = f"{first} comes first on PATH, and leads to {os.path.realpath(first)}"
        return Finding(REGROW, "path", WRONG, text, remedy)
    version = _version(first)
    if version is None:
        text = f"{first} comes first on PATH, and does not tell its version"
        return Finding(REGROW, "path", WRONG, text, remedy)
    text = f"{first} comes first on PATH: another installation, of version {version}"
    if _as_numbers(version) < _as_numbers(__version__):
        return Finding(REGROW, "path", WRONG, f"{text}, which is older", remedy)
    if version != __version__:
        return Finding(REGROW, "path", TO_DO, f"{text}; this one is older", remedy)
    return Finding(REGROW, "path", OK, text)


def _version(regrow: str) -> str | None:
    try:
        answer = ask_program([regrow, "--version"], _PATIENCE)
    except OSError:
        return None
    name, _, version = answer.output.decode(errors="replace").strip().partition(" ")
    return version if name == "regrow" and version[:1].isdecimal() else None


def _as_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with.

    >>> _as_numbers("0.10.1"), _as_numbers("1.2rc1")
    ((0, 10, 1), (1, 2))
    """
    begins = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(map(int, begins[0].split("."))) if begins else ()
