"""The superuser goes no way that another user can turn elsewhere, and keeps records at home."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.cli.main import main
from tests import attributes
from tests.conftest import NOBODY, Regrow

pytestmark = pytest.mark.needs_root

ATTRIBUTE = "user.xdg.robots.backup"


def is_marked(path: Path) -> bool:
    return ATTRIBUTE in attributes.names(path)


@pytest.fixture
def precious(open_place: Path) -> Path:
    """A directory of root's, with one inside that could be marked."""
    place = open_place / "precious"
    (place / "cache").mkdir(parents=True)
    (place / "keys").write_text("my key")
    return place


@pytest.fixture
def shared(open_place: Path) -> Path:
    """A directory as /tmp is one."""
    place = open_place / "shared"
    place.mkdir()
    place.chmod(0o1777)
    return place


@pytest.fixture
def theirs(open_place: Path) -> Path:
    place = open_place / "theirs"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    return place


def link_by_nobody(place: Path, target: Path) -> None:
    place.symlink_to(target)
    os.lchown(place, NOBODY, NOBODY)


@pytest.mark.parametrize("command", ["mark", "unmark"])
def test_no_way_through_another_users_link_or_directory_is_gone(
    command: str, regrow: Regrow, precious: Path, shared: Path, theirs: Path
) -> None:
    if command == "unmark":
        attributes.put(precious / "cache", ATTRIBUTE, b"false")
    link_by_nobody(shared / "link", precious)
    (theirs / "below").mkdir()
    (theirs / "below/link").symlink_to(precious)  # root's own, where another user may rename it
    os.chown(theirs / "below", 0, 0)
    open_to_all = shared.parent / "open"
    (open_to_all / "cache").mkdir(parents=True)
    open_to_all.chmod(0o777)
    for path in (
        shared / "link/cache",
        f"{shared}/link/../precious/cache",
        theirs / "below/link/cache",
        open_to_all / "cache",
        shared / "link/cache/.",
    ):
        done = regrow(command, path)
        assert (done.returncode, done.stdout) == (1, ""), path
        assert "the superuser goes no way that others can change" in done.stderr
        assert "run regrow as the user whose directory it is" in done.stderr
    assert is_marked(precious / "cache") == (command == "unmark")
    done = regrow(command, precious / "cache")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["mark", "unmark"])
def test_another_users_directory_is_left_alone(
    command: str, regrow: Regrow, shared: Path, theirs: Path
) -> None:
    (shared / "cache").mkdir()
    os.chown(shared / "cache", NOBODY, NOBODY)
    for path in (theirs, shared / "cache"):
        done = regrow(command, path)
        assert done.returncode == 1
        assert (
            done.stderr == f"regrow: {path}: it belongs to another user: run regrow as that user\n"
        )
        assert not is_marked(path)


def test_from_inside_another_users_directory_nothing_is_marked(
    regrow: Regrow, theirs: Path
) -> None:
    (theirs / "cache").mkdir()
    done = regrow("mark", "cache", cwd=theirs)
    assert done.returncode == 1
    assert not is_marked(theirs / "cache")


def test_in_a_sticky_directory_roots_own_is_marked(regrow: Regrow, shared: Path) -> None:
    (shared / "cache").mkdir()
    done = regrow("mark", shared / "cache")
    assert (done.returncode, done.stderr) == (0, "")


# --- exclude files


def export(regrow: Regrow, path: Path) -> "subprocess.CompletedProcess[str]":
    return regrow("export", "tar", "--marked-only", "--output", path)


def test_an_exclude_file_is_written_through_nobody_elses_link(
    regrow: Regrow, precious: Path, shared: Path, theirs: Path
) -> None:
    (precious / "own").symlink_to(precious / "list")
    link_by_nobody(shared / "file", precious / "keys")
    link_by_nobody(shared / "directory", precious)
    link_by_nobody(shared / "dangling", precious / "new")
    link_by_nobody(shared / "fifo", precious / "fifo")
    os.mkfifo(precious / "fifo")
    for path in ("file", "directory/keys", "directory/new", "dangling", "fifo"):
        done = export(regrow, shared / path)
        assert (done.returncode, done.stdout) == (1, ""), path
        assert str(shared / path) in done.stderr
    assert export(regrow, theirs / "list").returncode == 1
    assert os.listdir(theirs) == []
    assert (precious / "keys").read_text() == "my key"
    assert sorted(os.listdir(precious)) == ["cache", "fifo", "keys", "own"]
    assert export(regrow, precious / "own").returncode == 0
    assert (precious / "own").is_symlink()
    assert (precious / "list").is_file()
    assert export(regrow, shared / "list").returncode == 0


def test_a_file_that_another_user_has_put_there_opens_nothing(regrow: Regrow, shared: Path) -> None:
    assert export(regrow, shared / "list").returncode == 0
    os.chown(shared / "list", NOBODY, NOBODY)
    (shared / "list").chmod(0o666)
    assert export(regrow, shared / "list").returncode == 0
    status = (shared / "list").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o644)


def test_no_exclude_file_is_written_where_others_may_write(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    from regrow.programs.export import files
    from regrow_marks.errors import PathError

    def write() -> str:
        place = open_place / "mine"
        place.mkdir()
        files.write(str(place / "list"), b"1")
        files.write(str(place / "list"), b"2")
        place.chmod(0o777)
        with pytest.raises(PathError) as raised:
            files.write(str(place / "list"), b"3")
        assert (place / "list").read_bytes() == b"2"
        assert os.listdir(place) == ["list"]
        return str(raised.value)

    open_place.chmod(0o1777)
    assert "everybody may write to it; name one in a directory of your own" in as_ordinary_user(
        write
    )


# --- homes


@pytest.mark.parametrize("words", [("mark", "cache"), ("sweep", "--yes", "."), ("venv", "env")])
def test_nothing_is_written_into_another_users_home(
    words: tuple[str, ...],
    regrow: Regrow,
    open_place: Path,
    precious: Path,
    theirs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = open_place / "work"
    (work / "cache").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(theirs))
    before = sorted(os.listdir(precious))
    for link in (".local", ".cache", ".config"):
        link_by_nobody(theirs / link, precious)
    done = regrow(*words, cwd=work)
    assert done.returncode == 1
    assert "belongs to another user" in done.stderr
    assert "sudo -H" in done.stderr
    assert sorted(os.listdir(precious)) == before
    assert os.listdir(work) == ["cache"]
    assert not is_marked(work / "cache")


def test_a_home_of_roots_that_another_user_may_move_is_none(
    regrow: Regrow, theirs: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (theirs / "root").mkdir()
    (open_place / "cache").mkdir()
    monkeypatch.setenv("HOME", str(theirs / "root"))
    done = regrow("mark", open_place / "cache")
    assert done.returncode == 1
    assert os.listdir(theirs / "root") == []


def test_a_command_runs_whosever_home_it_is(
    regrow: Regrow, theirs: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(theirs))
    (open_place / "package.json").write_text("{}")
    (open_place / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    done = regrow("run", "--", "sh", "-c", "mkdir -p node_modules/a; exit 3", cwd=open_place)
    assert done.returncode == 3
    assert not is_marked(open_place / "node_modules")
    stamp = theirs / ".cache/regrow/hooks/1-1"
    assert regrow("hook", "--check", stamp, cwd=open_place).returncode == 1
    assert os.listdir(theirs) == []


# --- races


@pytest.fixture
def racer(shared: Path, precious: Path) -> Iterator[Path]:
    """Another user turns a directory into a link to root's and back, as fast as it can."""
    place = shared / "turned"
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            (shared / "aside/cache").mkdir(parents=True)
            while True:
                os.rename(shared / "aside", place)
                os.rename(place, shared / "aside")
                os.symlink(precious, place)
                os.unlink(place)
        finally:
            os._exit(1)
    yield place
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_racer_changes_nothing_outside(
    racer: Path, precious: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.listdir(precious))
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert main(["mark", str(racer / "cache")]) == 1
        assert main(["export", "tar", "--marked-only", "--output", str(racer / "keys")]) == 1
    assert not is_marked(precious / "cache")
    assert (precious / "keys").read_text() == "my key"
    assert sorted(os.listdir(precious)) == before
