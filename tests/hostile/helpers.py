"""What the hostile tests share: looking at marks and records, and a creator that does as told."""

import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow import records
from regrow.markers import tag, xdg
from regrow.model import Record

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own marks")

MAKE = """\
mkdir "$place/bin"
printf 'home = /usr\\nversion_info = 3.11.7\\n' > "$place/pyvenv.cfg"
ln -s /bin/true "$place/bin/python"
"""
"""What a creator does, as lines of sh; ``$place`` is the directory."""


def write_creator(directory: Path, lines: str = MAKE) -> None:
    """Put a ``uv`` into a directory that does these lines of sh."""
    directory.mkdir(exist_ok=True)
    program = directory / "uv"
    program.write_text(f"#!/bin/sh\nfor place; do :; done\n{lines}")
    program.chmod(0o755)


def use_creator(
    monkeypatch: pytest.MonkeyPatch, directory: Path, lines: str = MAKE
) -> Callable[[str], None]:
    """Make that ``uv`` the first on PATH; gives a function that changes what it does."""
    write_creator(directory, lines)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return lambda other: write_creator(directory, other)


def has_attribute(path: Path | str | bytes) -> bool:
    try:
        return os.getxattr(path, xdg.ATTRIBUTE, follow_symlinks=False) == xdg.VALUE
    except OSError:
        return False


def has_regrows_tag(path: Path | str | bytes) -> bool:
    file = os.path.join(os.fsencode(path), os.fsencode(tag.NAME))
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return False
        with open(file, "rb") as opened:
            return tag.COMMENT in opened.read()
    except OSError:
        return False


def is_untouched(path: Path) -> bool:
    """Tell that a victim has neither attribute nor tag."""
    return not has_attribute(path) and not os.path.lexists(path / tag.NAME)


def read_records(directory: Path) -> list[Record]:
    if not directory.exists():
        return []
    return [
        records.decode(file.read_bytes(), file.name)
        for file in directory.iterdir()
        if not file.name.startswith(".")
    ]


def record_of(path: Path | bytes, directory: Path) -> Record | None:
    with records.Store(str(directory)) as store:
        return store.read(os.fsdecode(path))


def leftovers(place: Path) -> list[str]:
    """Give the temporary names of regrow that stand in a directory."""
    return [name for name in os.listdir(place) if name.startswith((".regrow-", ".tmp"))]


def temporary_records(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(".")]


def assert_every_mark_has_its_record(place: Path, directory: Path) -> None:
    """Check that some record answers for each mark below a place: this directory, set by regrow."""
    known = {
        records.Identity(record.inode, record.born): record for record in read_records(directory)
    }
    for parent, _, _ in os.walk(os.fsencode(place)):
        fd = os.open(parent, os.O_RDONLY)
        this = records.identity(fd)
        os.close(fd)
        if has_attribute(parent):
            assert this in known, f"{parent!r} is marked without a record"
            assert "xdg-robots" in known[this].set, f"{parent!r}: not recorded as set"
        if has_regrows_tag(parent):
            assert this in known, f"{parent!r} is tagged without a record"
            assert "cachedir-tag" in known[this].set, f"{parent!r}: tag not recorded"


def snapshot(place: Path) -> dict[str, tuple[int, bytes]]:
    """Give every name below a place with its kind and content, to tell that nothing changed."""
    found = {}
    for parent, directories, files in os.walk(place):
        for name in (*directories, *files):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = b""
            if stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.fsencode(os.readlink(path))
            found[os.path.relpath(path, place)] = (stat.S_IFMT(status.st_mode), content)
    return found


def make_environment(path: Path) -> Path:
    """Make what passes for an environment, with a file that tells it from others."""
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr\nversion_info = 3.10.1\n")
    (path / "old").write_text("the old one")
    return path


def remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
