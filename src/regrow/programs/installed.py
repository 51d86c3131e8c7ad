"""Which backup programs this machine has, and which of them must leave marked directories out."""

import sys

from regrow.system.program import ask_program, find_program
from regrow_marks import programs
from regrow_marks.markers import TIME_MACHINE
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow_marks.programs import Program

_TIME_LIMIT = 10  # seconds; borg needs 0.3, a hung mount would need for ever


def installed() -> "tuple[Program, ...]":
    """Return the programs on PATH, in the order of ``programs.PROGRAMS``.

    Where one command serves two programs (``borg``), it is asked for its version. Time Machine has
    no command: macOS brings it.
    """
    versions: dict[str, str] = {}

    def is_it(program: "Program", path: str) -> bool:
        if program.version and path not in versions:
            versions[path] = _version(path)
        return not program.version or versions[path].startswith(program.version)

    def is_installed(program: "Program") -> bool:
        found = filter(None, map(find_program, program.commands))
        return program.name == TIME_MACHINE or any(is_it(program, path) for path in found)

    return tuple(filter(is_installed, programs.of_platform()))


def in_use(configured: "Iterable[str] | None", markers: "Iterable[str]") -> "tuple[Program, ...]":
    """Return the programs that must leave marked directories out on this machine.

    Args:
        configured: the names in the configuration; None if it names none.
        markers: names of the markers that regrow sets here. A program that honours none of them is
            in use only if the configuration names it.

    Returns:
        The configured programs, else Time Machine on macOS, else the installed ones.
    """
    if configured is not None:
        return tuple(map(programs.program, configured))
    if sys.platform == "darwin":
        return (programs.program(TIME_MACHINE),)
    wanted = set(markers)
    return tuple(program for program in installed() if wanted & program.honours.keys())


def _version(path: str) -> str:
    try:
        answer = ask_program([path, "--version"], _TIME_LIMIT)
    except OSError:
        return ""
    return answer.output.decode(errors="replace")
