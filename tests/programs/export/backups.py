"""How each program is run with an exclude file, and how what it stored is read back: a row each.

The command that backs up is the one that ``regrow.programs.export`` tells, word for word.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

from regrow.programs.export import formats
from tests.e2e.backups import BORG2
from tests.programs.export.trees import below


class Backup(NamedTuple):
    """One program as the tests run it, in words of the export's own commands."""

    name: str
    """Its name in ``regrow.programs.export``."""
    command: str
    """The executable, which takes the place of each command's first word."""
    prepare: tuple[str, ...] = ()
    """Run before the backup."""
    restore: tuple[str, ...] = ()
    """Run in an empty directory, somewhere in which the source then is. Where there is nothing to
    run, TARGET is what was stored."""
    restores_contents: bool = False
    """Whether that directory holds instead what is in the source."""
    archive: str = "archive"
    target: str = "{place}/target"
    keeps_directory: bool = False
    """Whether it keeps an empty directory of what is excluded."""
    not_stored: tuple[bytes, ...] = ()
    """Names that hold one of these it stops at, whatever is excluded."""
    in_make_test: bool = False


BACKUPS = (
    Backup(
        "borg",
        "borg",
        prepare=("borg init --encryption none REPOSITORY",),
        restore=("borg extract REPOSITORY::ARCHIVE",),
        in_make_test=True,
    ),
    Backup(
        "borg2",
        BORG2,
        prepare=("borg --repo REPOSITORY repo-create --encryption none-sha256",),
        restore=("borg --repo REPOSITORY extract ARCHIVE",),
        not_stored=(b"..\\", b"\\.."),
    ),
    Backup("bsdtar", "bsdtar", restore=("tar -xf ARCHIVE",), archive="{place}/archive"),
    Backup(
        "bup",
        "bup",
        prepare=("bup init",),
        restore=("bup restore --outdir . /ARCHIVE/latest/.",),
    ),
    Backup(
        "dar",
        "dar",
        restore=("dar -Q -x ARCHIVE -R .",),
        restores_contents=True,
        archive="{place}/archive",
    ),
    Backup(
        "duplicity",
        "duplicity",
        restore=("duplicity restore TARGET NAME",),
        keeps_directory=True,
        target="file://{place}/target",
    ),
    Backup("rclone", "rclone", not_stored=("\u201b".encode(),)),
    Backup("rdiff-backup", "rdiff-backup"),
    Backup(
        "restic",
        "restic",
        prepare=("restic --repo REPOSITORY init",),
        restore=("restic --repo REPOSITORY restore latest --target .",),
        in_make_test=True,
    ),
    Backup("rsync", "rsync", in_make_test=True),
    Backup(
        "tar", "tar", restore=("tar -xf ARCHIVE",), archive="{place}/archive", in_make_test=True
    ),
)

_SETTINGS = {"LC_ALL": "C.UTF-8", "RESTIC_PASSWORD": "none", "PASSPHRASE": "none"}
_OF_THE_DEVELOPER = ("BORG_", "RESTIC_", "RCLONE_", "BUP_", "TAR_OPTIONS", "XDG_")


def read_back(
    program: Backup, data: bytes, source: str, place: Path, directory: Path
) -> set[bytes]:
    """Back a directory up with an exclude file, and tell what the backup holds.

    Args:
        program: the backup program.
        data: what the exclude file holds.
        source: the directory, as the program is given it.
        place: an empty directory for the backup and what is restored from it.
        directory: where the program runs.

    Returns:
        All that was stored, relative to the source.
    """
    file = place / "exclude file"
    file.write_bytes(data)
    restored = place / "restored"
    restored.mkdir()
    commands = formats.by_name(program.name).commands
    words = {
        commands[0].split()[0]: program.command,
        "FILE": str(file),
        "SOURCE": source,
        "NAME": os.path.basename(source.rstrip("/")),
        "REPOSITORY": str(place / "repository"),
        "ARCHIVE": program.archive.format(place=place),
        "TARGET": program.target.format(place=place),
    }
    for command in (*program.prepare, *commands):
        _run(command, words, directory, home=place)
    if not program.restore:
        return _without_own(below(place / "target"))
    for command in program.restore:
        _run(command, words, restored, home=place)
    return below(restored if program.restores_contents else next(restored.rglob(words["NAME"])))


def _without_own(stored: set[bytes]) -> set[bytes]:
    """Leave aside what rdiff-backup keeps beside its mirror."""
    return {path for path in stored if path.split(b"/")[0] != b"rdiff-backup-data"}


def _run(command: str, words: dict[str, str], directory: Path, home: Path) -> None:
    line = [_filled(word, words) for word in shlex.split(command)]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_DEVELOPER)
    }
    done = subprocess.run(
        line,
        cwd=directory,
        env=inherited | _SETTINGS | {"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(line)}: {done.stdout}"


def _filled(word: str, words: dict[str, str]) -> str:
    """Put what they stand for in place of the words in capitals, and of the executable."""
    return re.sub(r"\b[A-Z]+\b|^\w+$", lambda found: words.get(found[0], found[0]), word)
