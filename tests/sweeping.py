"""What the tests of sweep, list and undo share: small projects, and regrow in this process."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regrow.cli.main import main
from regrow_marks import tag, xdg
from tests import attributes
from tests.conftest import Regrow

UVS_TAG = tag.SIGNATURE + b"\n# This file is a cache directory tag created by uv.\n"
HOSTILE_NAMES = (b"new\nline", b"\xff not UTF-8", b"\x1b[31mred\x1b[0m", "\u202ebidi \x9b".encode())


class Inside(Regrow):
    """Runs regrow in this process: ten times as fast as starting one."""

    def __call__(
        self, *words: str | bytes | Path, cwd: Path | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        assert not more, "only a process of its own can be told these"
        out, err = (io.TextIOWrapper(io.BytesIO(), errors="surrogateescape") for _ in range(2))
        given = [os.fsdecode(word) for word in words]
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.chdir(cwd or os.getcwd()),
            _without_stdin(),
        ):
            try:
                code = main(given)
            except SystemExit as end:  # argparse's way out
                code = end.code if isinstance(end.code, int) else 1
        return subprocess.CompletedProcess(given, code, _text(out), _text(err))


@contextlib.contextmanager
def _without_stdin() -> Iterator[None]:
    before = sys.stdin
    with open(os.devnull) as sys.stdin:
        try:
            yield
        finally:
            sys.stdin = before


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.detach()
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(errors="surrogateescape")


def modules(project: Path) -> Path:
    """Make a project whose ``node_modules`` a lock file brings back."""
    path = project / "node_modules"
    (path / "left-pad").mkdir(parents=True)
    (path / "left-pad/index.js").write_text("// left")
    (project / "package.json").write_text("{}")
    (project / "package-lock.json").write_text("{}")
    return path


def modules_without_lock(project: Path) -> Path:
    """Make a project whose ``node_modules`` only npm's lock inside describes."""
    path = project / "node_modules"
    (path / "a").mkdir(parents=True)
    (path / "a/index.js").write_text("// a")
    (project / "package.json").write_text('{"dependencies": {"a": "1.0.0"}}')
    lock = {"name": "x", "lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1.0.0"}}}
    (path / ".package-lock.json").write_text(json.dumps(lock))
    return path


def environment(path: Path) -> Path:
    """Make an environment without a tag, such as venv makes them, with a site-packages."""
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin/python").symlink_to(sys.executable)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    return path


def distribution(environment: Path, *, described: bool = True) -> Path:
    """Install something, as its metadata tell; without a description no recipe brings it back."""
    information = environment / "lib/python3.11/site-packages/some-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: some\nVersion: 1.0\n\n" if described else "\n")
    return information


def git(place: Path, *words: str | Path) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid")
    subprocess.run(["git", *who, "-C", place, *words], check=True, capture_output=True)


def ignore(place: Path, *patterns: str) -> None:
    """Make a repository that ignores these patterns."""
    place.mkdir(parents=True, exist_ok=True)
    git(place, "init", "-q")
    (place / ".gitignore").write_text("".join(f"{pattern}\n" for pattern in patterns))


def age(place: Path, seconds: int = 3600) -> None:
    """Let everything in a tree have been changed a while ago."""
    then = time.time() - seconds
    for path in (*place.rglob("*"), place):
        os.utime(path, (then, then), follow_symlinks=False)


def attribute(path: Path) -> bytes | None:
    return attributes.get(path)


def set_attribute(path: Path, value: bytes) -> None:
    attributes.put(path, xdg.ATTRIBUTE, value)


def configure(home: Path, text: str) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def rewrite(record: Path, old: str, new: str) -> None:
    """Change one place in the text of a record."""
    text = record.read_text()
    assert text.count(old) == 1, text
    record.write_text(text.replace(old, new))


def stamps(*places: Path) -> dict[str, tuple[int, int, int]]:
    """Give what any change of a tree would change: inode, mtime and ctime of everything in it."""
    found = {}
    for place in places:
        for path in (place, *place.rglob("*")):
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return found


@contextlib.contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Let nobody change a directory, the superuser neither (``chattr +i``)."""
    import pytest

    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system, or this container, has no immutable directories")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
