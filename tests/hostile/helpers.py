"""What the hostile tests share: looking at marks and records, and a creator that does as told."""

import contextlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from regrow.cli.main import main
from regrow.model import Record
from regrow.records.format import MARKED, decode
from regrow.records.store import Identity, Store, identity_of, is_about
from regrow_marks import tag, xdg
from tests import attributes

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
    return attributes.get(path) == xdg.VALUE


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
    return [decode(file.read_bytes(), file.name) for file in directory.glob("[!.]*.toml")]


def record_of(path: Path | bytes, directory: Path) -> Record | None:
    with Store(str(directory)) as store:
        return store.read(os.fsdecode(path))


def leftovers(place: Path) -> list[str]:
    """Give the temporary names of regrow that stand in a directory."""
    return [name for name in os.listdir(place) if name.startswith((".regrow-", ".tmp"))]


def temporary_records(directory: Path) -> list[str]:
    return [file.name for file in directory.glob(".*")]


def assert_every_mark_has_its_record(place: Path, directory: Path) -> None:
    """Check that some record answers for each mark below a place: this directory, set by regrow."""
    known = {Identity(record.inode, record.born): record for record in read_records(directory)}
    for parent, _, _ in os.walk(os.fsencode(place)):
        fd = os.open(parent, os.O_RDONLY)
        this = identity_of(fd)
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


class Done(NamedTuple):
    code: int
    lines: list[dict[str, Any]]
    errors: str


def run(*words: str | Path) -> Done:
    """Run regrow in this process, for the ordinary user."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Done(code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue())


def fill(place: Path) -> None:
    """Take the last byte of a file system, and the last inode that could be had."""
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    os.sync()
    with (place / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x"):
            pass


GATE = """
import os, sys
from regrow.cli.main import main
sys.stdin.read(1)  # all start at once
"""


def at_once(commands: Sequence[Sequence[str]], cwd: Path) -> list[tuple[int, str, str]]:
    """Run Python programs that wait for each other before they begin; gives code and output."""
    receiving, sending = os.pipe()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", *command],
            cwd=cwd,
            stdin=receiving,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    os.close(receiving)
    os.close(sending)  # the end of the file is the signal
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        results.append((process.returncode, out, err))
    return results


def cli(*words: str) -> list[str]:
    return [f"{GATE}\nsys.exit(main(sys.argv[1:]))", *words]


# Trees to sweep.

UVS_TAG = tag.SIGNATURE + b"\n# This file is a cache directory tag created by uv.\n"
SOMEONES_VALUE = b"true \0\xff"
_OLD = 1_500_000_000_000_000_000  # nanoseconds since 1970: in 2017


class Planted(NamedTuple):
    """A directory that a sweep marks."""

    path: Path
    markers: frozenset[str]
    """Which must hold afterwards."""


def plant(place: Path, count: int) -> list[Planted]:
    """Make projects with one directory each that a sweep marks, no two modified at one time.

    They are node_modules with and without a lock beside, targets, and environments with uv's tag
    and without one; a third is ignored by git, some carry somebody's attributes.
    """
    ignored = place / "ignored"
    ignored.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", ignored], check=True)
    (ignored / ".gitignore").write_text("node_modules/\ntarget/\n.venv/\n")
    planted = []
    for number in range(count):
        is_ignored = number % 3 == 0
        project = (ignored if is_ignored else place) / f"project{number:03}"
        path = _KINDS[number % len(_KINDS)](project)
        wants_tag = is_ignored or path.name == ".venv"
        markers = {"xdg-robots", "cachedir-tag"} if wants_tag else {"xdg-robots"}
        planted.append(Planted(path, frozenset(markers)))
        if number % 7 == 0:
            attributes.put(path, xdg.ATTRIBUTE, SOMEONES_VALUE)
        if number % 11 == 0:
            attributes.put(path, "user.note", b"mine")
        path.chmod((0o755, 0o700, 0o2750)[number % 3])
    for number, path in enumerate(sorted(place.rglob("*"), reverse=True)):
        os.utime(path, ns=(_OLD, _OLD + number * 1_000_000_007), follow_symlinks=False)
    return planted


def _project(path: Path, *files: tuple[str, str]) -> None:
    for name, content in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)


def _modules(project: Path) -> Path:
    _project(
        project,
        ("package.json", "{}"),
        ("package-lock.json", "{}"),
        ("node_modules/left-pad/index.js", "// left"),
    )
    return project / "node_modules"


def _modules_without_lock(project: Path) -> Path:
    lock = (
        '{"name": "x", "lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1.0.0"}}}'
    )
    _project(
        project,
        ("package.json", '{"dependencies": {"a": "1.0.0"}}'),
        ("node_modules/.package-lock.json", lock),
        ("node_modules/a/index.js", "// a"),
    )
    return project / "node_modules"


def _target(project: Path) -> Path:
    _project(project, ("Cargo.toml", ""), ("src/main.rs", ""), ("target/debug/app", "x" * 100))
    return project / "target"


def _environment(project: Path) -> Path:
    _project(project, ("main.py", ""), (".venv/pyvenv.cfg", "home = /usr\nversion = 3.11.7\n"))
    (project / ".venv/bin").mkdir()
    (project / ".venv/bin/python").symlink_to("/bin/true")
    return project / ".venv"


def _tagged_environment(project: Path) -> Path:
    path = _environment(project)
    (path / tag.NAME).write_bytes(UVS_TAG)
    return path


_KINDS = (_modules, _modules_without_lock, _target, _environment, _tagged_environment)


class Portrait(NamedTuple):
    """All that undo must leave as it was, of one name in a tree."""

    mode: int
    owner: tuple[int, int]
    modified: int
    """In nanoseconds since 1970."""
    content: bytes
    attributes: dict[str, bytes]


def portray(place: Path) -> dict[str, Portrait]:
    """Portray a directory and every name below it, by relative path."""
    found = {".": _portrait(str(place))}
    for parent, directories, files in os.walk(place):
        for name in (*directories, *files):
            path = os.path.join(parent, name)
            found[os.path.relpath(path, place)] = _portrait(path)
    return found


def _portrait(path: str) -> Portrait:
    status = os.lstat(path)
    content = b""
    if stat.S_ISREG(status.st_mode):
        content = Path(path).read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = os.fsencode(os.readlink(path))
    owner = (status.st_uid, status.st_gid)
    return Portrait(status.st_mode, owner, status.st_mtime_ns, content, attributes.everything(path))


def differences(before: dict[str, Portrait], after: dict[str, Portrait]) -> list[str]:
    """Name what is not as it was, in the two portraits of a tree."""
    return [
        f"{name}: {before.get(name)} became {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def assert_marks_are_recorded(place: Path, before: dict[str, Portrait], directory: Path) -> None:
    """Check that the record of this very directory names each mark that was not there before."""
    by_path = {record.path: record for record in read_records(directory)}
    for name, now in portray(place).items():
        earlier = before.get(name)
        file = place / name
        if file.name == tag.NAME and earlier is None:
            assert "cachedir-tag" in _recorded(file.parent, by_path).set, file
        elif earlier is not None and now.attributes != earlier.attributes:
            record = _recorded(file, by_path)
            assert "xdg-robots" in record.set, file
            assert record.previous.get("xdg-robots") == earlier.attributes.get(xdg.ATTRIBUTE), file


def _recorded(path: Path, by_path: dict[str, Record]) -> Record:
    record = by_path.get(str(path))
    assert record is not None, f"{path} is marked without a record"
    fd = os.open(path, os.O_RDONLY)
    try:
        assert is_about(record, identity_of(fd)), f"{path}: another one's record"
    finally:
        os.close(fd)
    return record


def assert_all_are_marked(planted: Sequence[Planted], directory: Path) -> None:
    """Check that every mark holds, and that one complete record a directory says so."""
    by_path = {record.path: record for record in read_records(directory)}
    others = by_path.keys() ^ {str(path) for path, _ in planted}
    assert not others, f"without a record, or recorded without being planted: {others}"
    for path, markers in planted:
        assert has_attribute(path), path
        assert (path / tag.NAME).exists() == ("cachedir-tag" in markers), path
        record = _recorded(path, by_path)
        assert record.state == MARKED, path
        assert {*record.set, *record.found} == markers, path
    assert temporary_records(directory) == []
