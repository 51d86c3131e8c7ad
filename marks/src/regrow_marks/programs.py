"""Which backup program honours which mark, and the option it needs for that.

To add a program, add a row here and a row to its tests; ``docs/backup-programs.md`` is generated.
"""

import sys

from regrow_marks.markers import CACHEDIR_TAG, NODUMP, TIME_MACHINE, XDG_ROBOTS
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

BY_DEFAULT = ""
"""Stands for an option where the program honours the mark without any."""

_TIME_LIMIT = 10  # seconds; borg needs 0.3, a hung mount would need for ever


class Program(NamedTuple):
    """One backup program."""

    name: str
    """The word for it in the configuration, on the command line and in JSON."""
    title: str
    """What people call it."""
    commands: tuple[str, ...]
    """The executables by which it is recognised as installed."""
    honours: dict[str, str]
    """By marker: the option that makes the program honour it, or ``BY_DEFAULT``."""
    proven: bool
    """Whether regrow's tests run the program and read back what it stored."""
    note: str = ""
    """What users should know besides, in a sentence."""
    version: str = ""
    """How ``COMMAND --version`` must begin, where one command serves two programs."""
    platform: str = ""
    """The only ``sys.platform`` that it runs on; empty: any."""


PROGRAMS = (
    Program(
        "arq",
        "Arq",
        (),
        {TIME_MACHINE: BY_DEFAULT},
        proven=False,
        note="Only where its plan is set to skip what Time Machine skips.",
        platform="darwin",
    ),
    Program(
        "borg",
        "BorgBackup 1",
        ("borg", "borg1"),
        {CACHEDIR_TAG: "--exclude-caches", NODUMP: "--exclude-nodump"},
        proven=True,
        version="borg 1.",
    ),
    Program(
        "borg2",
        "BorgBackup 2",
        ("borg", "borg2"),
        {
            XDG_ROBOTS: BY_DEFAULT,
            TIME_MACHINE: BY_DEFAULT,
            CACHEDIR_TAG: "--exclude-caches",
            NODUMP: BY_DEFAULT,
        },
        proven=True,
        note=(
            "From 2.0.0b22; b18 to b21 had the attribute reversed."
            " --dry-run does not apply attributes, and --noxattrs turns them off."
        ),
        version="borg 2.",
    ),
    Program(
        "bsdtar",
        "bsdtar (libarchive)",
        ("bsdtar",),
        {NODUMP: "--nodump"},
        proven=True,
    ),
    Program(
        "crashplan",
        "CrashPlan",
        (),
        {TIME_MACHINE: BY_DEFAULT},
        proven=False,
        platform="darwin",
    ),
    Program(
        "dar",
        "dar",
        ("dar",),
        {CACHEDIR_TAG: "--cache-directory-tagging", NODUMP: "--nodump"},
        proven=True,
        note="With the tag, it keeps an empty directory.",
    ),
    Program(
        "dump",
        "dump",
        ("dump",),
        {NODUMP: "-h 0"},
        proven=False,
        note="Without -h 0, full dumps ignore the flag and only incremental ones honour it.",
    ),
    Program(
        "duplicacy",
        "Duplicacy",
        ("duplicacy",),
        {TIME_MACHINE: BY_DEFAULT},
        proven=False,
        note="It reads the attribute on macOS only, and may have to be told to.",
        platform="darwin",
    ),
    Program(
        "duplicati",
        "Duplicati",
        ("duplicati-cli",),
        {TIME_MACHINE: BY_DEFAULT},
        proven=False,
        note="On Linux it reads user.duplicati.exclude, which regrow does not set.",
        platform="darwin",
    ),
    Program(
        "kopia",
        "Kopia",
        ("kopia",),
        {CACHEDIR_TAG: BY_DEFAULT},
        proven=False,
        note="It keeps an empty directory.",
    ),
    Program(
        "restic",
        "restic",
        ("restic",),
        {CACHEDIR_TAG: "--exclude-caches"},
        proven=True,
        note="It keeps the directory with its tag, and nothing else of it.",
    ),
    Program(
        "tar",
        "GNU tar",
        ("tar", "gtar"),
        {CACHEDIR_TAG: "--exclude-caches-all"},
        proven=True,
        version="tar (GNU tar)",
    ),
    Program(
        "time-machine",
        "Time Machine",
        (),
        {TIME_MACHINE: BY_DEFAULT},
        proven=False,
        note="The attribute travels with a rename and with a copy.",
        platform="darwin",
    ),
)

NO_MARKS = ("bup", "duplicity", "rclone", "rdiff-backup", "rsync")
"""Programs that read no mark at all; only an exclude file reaches them."""


def program(name: str) -> Program:
    """Give the program of a name. Raises KeyError for an unknown one."""
    for candidate in PROGRAMS:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def names() -> tuple[str, ...]:
    """Give every program's name, sorted."""
    return tuple(candidate.name for candidate in PROGRAMS)


def installed() -> tuple[Program, ...]:
    """Find the programs on PATH.

    Where one command serves two programs (``borg``), it is asked for its version. Those without a
    command of their own (Time Machine comes with macOS) count as installed on their platform only
    if the system brings them.

    Returns:
        The programs found, in the order of ``PROGRAMS``.
    """
    from regrow.system.program import find_program

    found = []
    versions: dict[str, str] = {}
    for candidate in PROGRAMS:
        if candidate.platform not in ("", sys.platform):
            continue
        if candidate.name == TIME_MACHINE:
            found.append(candidate)
            continue
        for command in candidate.commands:
            path = find_program(command)
            if path is None:
                continue
            if candidate.version:
                if path not in versions:
                    versions[path] = _version(path)
                if not versions[path].startswith(candidate.version):
                    continue
            found.append(candidate)
            break
    return tuple(found)


def in_use(configured: "Iterable[str] | None", markers: "Iterable[str]") -> tuple[Program, ...]:
    """Give the programs that must leave marked directories out on this machine.

    Args:
        configured: the names in the configuration; None if it names none.
        markers: names of the markers that regrow sets here. A program that honours none of them
            is nobody's reason to mark, and not in use unless the configuration says so.

    Returns:
        The configured programs, else Time Machine on macOS, else the installed ones.
    """
    if configured is not None:
        return tuple(program(name) for name in configured)
    if sys.platform == "darwin":
        return (program(TIME_MACHINE),)
    wanted = set(markers)
    return tuple(candidate for candidate in installed() if wanted & candidate.honours.keys())


def _version(path: str) -> str:
    from regrow.system.program import ask_program

    try:
        answer = ask_program([path, "--version"], _TIME_LIMIT)
    except OSError:
        return ""
    return answer.output.decode(errors="replace")
