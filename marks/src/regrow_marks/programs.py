"""Which backup program honours which mark, and the option it needs for that.

To add a program, add a row here and a row to its tests; ``docs/backup-programs.md`` is generated.
"""

import sys

from regrow_marks.markers import CACHEDIR_TAG, NODUMP, TIME_MACHINE, XDG_ROBOTS
from regrow_marks.plain import NamedTuple

BY_DEFAULT = ""
"""In place of an option: the program honours the mark without one."""


class Program(NamedTuple):
    """One backup program."""

    name: str
    """The word for it in the configuration, on the command line and in JSON."""
    title: str
    """What people call it."""
    commands: "tuple[str, ...]"
    """The executables by which it is recognised as installed."""
    honours: "dict[str, str]"
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
    Program("bsdtar", "bsdtar (libarchive)", ("bsdtar",), {NODUMP: "--nodump"}, proven=True),
    Program(
        "crashplan", "CrashPlan", (), {TIME_MACHINE: BY_DEFAULT}, proven=False, platform="darwin"
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


def program(name: str) -> "Program":
    """Return the program of a name. Raises KeyError for an unknown one."""
    return {candidate.name: candidate for candidate in PROGRAMS}[name]


def names() -> "tuple[str, ...]":
    """Return every program's name, sorted."""
    return tuple(candidate.name for candidate in PROGRAMS)


def of_platform() -> "tuple[Program, ...]":
    """Return the programs that exist on this platform."""
    return tuple(candidate for candidate in PROGRAMS if candidate.platform in ("", sys.platform))
