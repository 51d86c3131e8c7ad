"""How each backup program is run, and how what it stored is read back: a row each."""

import hashlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BORG2 = os.environ.get("REGROW_BORG2") or str(
    Path(__file__).parents[2] / ".tools" / "borg2" / "bin" / "borg"
)

Tree = dict[str, bytes | str | None]
"""Everything below a directory, by relative path: a file's bytes, a link's target, or None.

Of a large file it holds a hash."""

_LARGE = 1 << 16  # bytes


class Backup(NamedTuple):
    """One backup program as the tests run it.

    In the commands ``{command}`` stands for the executable, ``{store}`` for a path where nothing is
    yet, ``{name}`` for the directory's name and ``{options}`` for any number of words.
    """

    name: str
    """Its name in ``regrow_marks.programs``, which tells the options."""
    command: str
    """The executable."""
    back_up: tuple[str, ...]
    """Run where the directory stands."""
    restore: tuple[str, ...]
    """Run in an empty directory, into which everything that the backup holds shall come."""
    keeps_of_tagged: tuple[str, ...] = ()
    """What it keeps of a directory with a tag; "." is the empty directory itself."""


BACKUPS = (
    Backup(
        "borg",
        "borg",
        back_up=(
            "{command} init --encryption none {store}",
            "{command} create {options} {store}::all {name}",
        ),
        restore=("{command} extract {store}::all",),
    ),
    Backup(
        "borg2",
        BORG2,
        back_up=(
            "{command} --repo {store} repo-create --encryption none-sha256",
            "{command} --repo {store} create {options} all {name}",
        ),
        restore=("{command} --repo {store} extract all",),
    ),
    Backup(
        "bsdtar",
        "bsdtar",
        back_up=("{command} -cf {store} {options} {name}",),
        restore=("{command} -xf {store}",),
    ),
    Backup(
        "dar",
        "dar",
        back_up=("{command} -N -Q -c {store} {options} -g {name}",),
        restore=("{command} -N -Q -x {store}",),
        keeps_of_tagged=(".",),
    ),
    Backup(
        "restic",
        "restic",
        back_up=(
            "{command} --no-cache --repo {store} init",
            "{command} --no-cache --repo {store} backup {options} {name}",
        ),
        restore=("{command} --no-cache --repo {store} restore latest --target .",),
        keeps_of_tagged=(".", "CACHEDIR.TAG"),
    ),
    Backup(
        "tar",
        "tar",
        back_up=("{command} -cf {store} {options} {name}",),
        restore=("{command} -xf {store}",),
    ),
)

_SETTINGS = {"LC_ALL": "C.UTF-8", "RESTIC_PASSWORD": "none"}
_OF_THE_DEVELOPER = ("BORG_", "RESTIC_", "TAR_OPTIONS")


def backup(name: str) -> Backup:
    """Give the row of a program."""
    return next(row for row in BACKUPS if row.name == name)


def read_back(program: Backup, source: Path, place: Path, options: str) -> Tree:
    """Back a directory up, restore the backup, and tell what came.

    Args:
        program: the backup program.
        source: the directory.
        place: an empty directory for the backup and what is restored from it.
        options: how the program is told to honour marks.

    Returns:
        All that stood in the directory when it was restored.
    """
    restored = place / "restored"
    restored.mkdir()
    back_up(program, source, place, shlex.split(options))
    restore(program, source.name, place, restored)
    return tree(restored / source.name)


def back_up(program: Backup, source: Path, place: Path, options: Sequence[str]) -> None:
    """Back a directory up into a store in another one, where none is yet."""
    _run_all(program, program.back_up, source.name, place, options, source.parent)


def restore(program: Backup, name: str, place: Path, into: Path) -> None:
    """Restore what was backed up under a name; it stands in *into* afterwards."""
    _run_all(program, program.restore, name, place, (), into)


def _run_all(
    program: Backup,
    commands: Sequence[str],
    name: str,
    place: Path,
    options: Sequence[str],
    directory: Path,
) -> None:
    words = {"command": program.command, "store": str(place / "store"), "name": name}
    for command in commands:
        _run(command, words, options, directory, home=place)


def _run(
    command: str, words: dict[str, str], options: Sequence[str], directory: Path, home: Path
) -> None:
    line: list[str] = []
    for word in command.split():
        line += options if word == "{options}" else [word.format(**words)]
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


def tree(root: Path) -> Tree:
    """List everything below a directory, with what it holds."""
    found: Tree = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            found[str(path.relative_to(root))] = _content(path)
    return found


def _content(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return None
    data = path.read_bytes()
    return data if len(data) <= _LARGE else hashlib.blake2b(data).digest()
