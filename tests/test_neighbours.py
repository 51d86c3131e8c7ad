"""What another user puts where both may write decides nothing about this user's directories."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.rules import loader
from regrow.scan.project_root import root_of
from regrow.system import git, locks
from regrow_marks.directory import open_directory
from tests.conftest import NOBODY, Regrow
from tests.sweeping import modules

pytestmark = pytest.mark.needs_root

LOCK = '{"lockfileVersion": 3}'
STAGES = {"sticky": 0o1777, "everybody's": 0o777, "a group's": 0o2775}


@pytest.fixture(params=STAGES)
def shared(request: pytest.FixtureRequest, open_place: Path) -> Path:
    """A directory in which several users may write."""
    place = open_place / "shared"
    place.mkdir()
    os.chown(place, 0, NOBODY)
    place.chmod(STAGES[request.param])
    return place


@pytest.fixture
def theirs(
    shared: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> Callable[[str, str], None]:
    """Writes a file in the shared directory as another user."""

    def write(name: str, text: str) -> None:
        as_ordinary_user(lambda: (shared / name).write_text(text))

    return write


@pytest.fixture
def project(shared: Path) -> Path:
    """A project of this user's, below a directory of its own."""
    place = shared / "me/project"
    modules(place)
    (shared / "me").chmod(0o755)
    return place


def decision(regrow: Regrow, path: Path) -> tuple[str, str]:
    (line,) = regrow.json("explain", path)
    return line["decision"], line["reason"] or ""


def test_their_word_to_keep_is_not_heard(
    regrow: Regrow, project: Path, theirs: Callable[[str, str], None]
) -> None:
    assert decision(regrow, project / "node_modules") == ("mark", "")
    theirs(".regrow.toml", 'keep = ["*"]')
    assert decision(regrow, project / "node_modules") == ("mark", "")
    theirs(".regrow.toml", "no such thing")
    assert decision(regrow, project / "node_modules") == ("mark", "")
    shutil.copy(project.parent.parent / ".regrow.toml", project / ".regrow.toml")
    assert decision(regrow, project / "node_modules")[0] == "keep"  # the control: one's own is


def test_a_mark_is_not_taken_back_for_their_sake(
    regrow: Regrow, project: Path, theirs: Callable[[str, str], None], shared: Path
) -> None:
    regrow("sweep", "--yes", shared)
    theirs(".regrow.toml", 'keep = ["*"]')
    theirs(".git", "gitdir: /nowhere\n")
    (line,) = regrow.json("sweep", "--yes", shared)
    assert line["decision"] == "marked already"


@pytest.mark.needs("git")
def test_their_repository_is_none(
    shared: Path, project: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    path = str(project / "node_modules")
    as_ordinary_user(
        lambda: subprocess.run(
            ["git", "init", "-q", shared], check=True, env={**os.environ, "HOME": "/nowhere"}
        )
    )
    assert git.repository_of(path) is None
    assert git.Repositories().of(path) is None
    os.chown(shared / ".git", 0, 0)
    assert git.repository_of(path) == str(shared)  # the control


def test_their_files_are_no_evidence(
    regrow: Regrow, shared: Path, theirs: Callable[[str, str], None]
) -> None:
    (shared / "node_modules/a").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        theirs(name, LOCK)
    assert decision(regrow, shared / "node_modules")[0] == "keep"
    for name in ("package.json", "package-lock.json"):
        os.chown(shared / name, 0, 0)
    assert decision(regrow, shared / "node_modules") == ("mark", "")  # the control


def test_their_lock_is_in_no_record(
    regrow: Regrow, project: Path, theirs: Callable[[str, str], None], records_directory: Path
) -> None:
    (project / "package-lock.json").unlink()
    theirs("package.json", '{"workspaces": ["**"]}')
    theirs("package-lock.json", LOCK)
    assert decision(regrow, project / "node_modules")[0] == "keep"


def test_their_files_make_no_project_root(
    shared: Path, project: Path, theirs: Callable[[str, str], None]
) -> None:
    active_rules = loader.shipped()
    theirs("package.json", "{}")
    theirs(".git", "gitdir: /nowhere\n")
    assert root_of(str(project), active_rules) == str(project)


def test_ones_own_files_count_in_a_shared_directory(regrow: Regrow, shared: Path) -> None:
    assert decision(regrow, modules(shared)) == ("mark", "")


@pytest.fixture
def neighbours_lock() -> Iterator[Callable[[Path], None]]:
    """Locks a directory that another user may read, as that user."""
    held: list[subprocess.Popen[str]] = []

    def lock(place: Path) -> None:
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        program = [
            "flock",
            "--exclusive",
            "--no-fork",
            str(place),
            "sh",
            "-c",
            "echo locked; exec sleep 60",
        ]
        process = subprocess.Popen([*words, *program], stdout=subprocess.PIPE, text=True)
        held.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"

    yield lock
    for process in held:
        process.kill()
        process.communicate()


@pytest.mark.needs("flock", "setpriv")
def test_a_neighbours_lock_on_the_records_blocks_nobody(
    regrow: Regrow, open_place: Path, neighbours_lock: Callable[[Path], None]
) -> None:
    path = modules(open_place / "project")
    records = open_place / "data/regrow/records"
    records.mkdir(parents=True)
    records.chmod(0o755)  # as the umask had it before regrow made its own
    neighbours_lock(records)
    surroundings = {**os.environ, "XDG_DATA_HOME": str(open_place / "data")}
    done = regrow("mark", path, env=surroundings)
    assert done.returncode == 0, done.stderr
    assert not [one for one in records.iterdir() if one.stat().st_mode & 0o077]


@pytest.mark.needs("flock", "setpriv")
def test_a_neighbours_lock_on_a_directory_blocks_nobody(
    regrow: Regrow, open_place: Path, neighbours_lock: Callable[[Path], None]
) -> None:
    path = open_place / "project/.venv"
    path.mkdir(parents=True)
    neighbours_lock(path)
    done = regrow("venv", "--creator", "venv", path, "--", "--without-pip")
    assert done.returncode == 0, done.stderr


def test_who_is_killed_leaves_a_lock_that_the_next_one_takes_and_removes(
    tmp_path: Path, records_directory: Path
) -> None:
    place = records_directory.parent / "locks"
    with open_directory(tmp_path) as directory, open_directory(tmp_path) as again:
        assert locks.take(directory)
        assert not locks.take(again)
        (place / "1-2").touch()  # a killed one's
        with open_directory(records_directory.parent) as another:
            assert locks.take(another)
            assert len(os.listdir(place)) == 2
    with open_directory(tmp_path) as directory:
        assert locks.take(directory)
        assert all(path.stat().st_mode & 0o077 == 0 for path in (place, *place.iterdir()))
    assert os.listdir(place) == []
