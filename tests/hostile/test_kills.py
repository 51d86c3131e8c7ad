"""A kill -9 before each system call that changes something: what is left is whole or said to be.

strace sends SIGKILL as the process enters its N-th call of one name, for every N until it survives.
"""

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    has_attribute,
    leftovers,
    make_environment,
    record_of,
    snapshot,
    use_creator,
)

pytestmark = [LINUX_ONLY, pytest.mark.needs("strace")]

CALLS = (
    "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
    "fsetxattr", "fremovexattr", "utimensat", "write", "pwrite64", "close_range",
    # These change nothing, and part those that do: creating a file is an openat among hundreds.
    "fgetxattr", "flock", "statx", "getdents64",
)  # fmt: skip
SAMPLE = 4  # the default run takes every fourth step

Step = tuple[str, int]


class Place:
    """A directory with the homes of one run each, so that every step starts from the same."""

    def __init__(self, regrow: Regrow, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.regrow = regrow
        self.directory = directory
        self.monkeypatch = monkeypatch
        self.work = directory / "work"
        self.records = directory / "home" / ".local/share/regrow/records"
        monkeypatch.setenv("HOME", str(directory / "home"))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # its writes are not regrow's

    def begin(self, *, environment: bool = False) -> None:
        for path in (self.work, self.directory / "home"):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        if environment:
            make_environment(self.work / ".venv")
            assert self.run("mark", ".venv").returncode == 0

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.regrow(*words, cwd=self.work)

    def steps(self, *words: str | Path) -> list[Step]:
        """Run a command to its end, and give each of its system calls that may be a step."""
        trace = self.directory / "trace"
        done = self._trace(["-o", str(trace), "-e", f"trace={','.join(CALLS)}"], words)
        assert done.returncode == 0, done.stderr
        counts = Counter(re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE))
        return [(call, number + 1) for call in CALLS for number in range(counts[call])]

    def kill(self, step: Step, *words: str | Path) -> None:
        call, number = step
        injection = f"inject={call}:signal=SIGKILL:when={number}"
        done = self._trace(["-o", os.devnull, "-e", f"trace={call}", "-e", injection], words)
        assert done.returncode in (-9, 137), f"{step}: {done.stderr}"

    def _trace(
        self, options: list[str], words: tuple[str | Path, ...]
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["strace", *options, *words],
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def command(self, *words: str) -> tuple[str, ...]:
        return (*self.regrow.command, *words)


@pytest.fixture
def place(inside: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(inside, tmp_path, monkeypatch)


def sample(steps: list[Step]) -> list[Step]:
    return steps[::SAMPLE]


def kill_mark(place: Place, steps: list[Step]) -> None:
    for step in steps:
        place.begin()
        (place.work / "cache").mkdir()
        place.kill(step, *place.command("mark", "--tag", "cache"))
        assert_every_mark_has_its_record(place.work, place.records)
        [line] = place.regrow.json("mark", "--tag", "cache", cwd=place.work)
        assert line["outcome"] in ("marked", "already marked"), step
        record = record_of(place.work / "cache", place.records)
        assert record is not None
        assert (record.state, set(record.set)) == ("marked", {"xdg-robots", "cachedir-tag"}), step
        assert_every_mark_has_its_record(place.work, place.records)
        [line] = place.regrow.json("unmark", "cache", cwd=place.work)
        assert snapshot(place.work / "cache") == {}, step


def mark_steps(place: Place) -> list[Step]:
    place.begin()
    (place.work / "cache").mkdir()
    return place.steps(*place.command("mark", "--tag", "cache"))


def test_a_kill_during_mark_leaves_every_mark_recorded(place: Place) -> None:
    kill_mark(place, sample(mark_steps(place)))


@pytest.mark.slow
def test_a_kill_at_any_step_of_mark_leaves_every_mark_recorded(place: Place) -> None:
    kill_mark(place, mark_steps(place))


def kill_unmark(place: Place, steps: list[Step]) -> None:
    for step in steps:
        place.begin()
        (place.work / "cache").mkdir()
        place.run("mark", "--tag", "cache")
        place.kill(step, *place.command("unmark", "cache"))
        assert_every_mark_has_its_record(place.work, place.records)
        assert place.run("unmark", "cache").returncode == 0
        assert snapshot(place.work / "cache") == {}, step
        assert not has_attribute(place.work / "cache")
        assert record_of(place.work / "cache", place.records) is None


def unmark_steps(place: Place) -> list[Step]:
    place.begin()
    (place.work / "cache").mkdir()
    place.run("mark", "--tag", "cache")
    return place.steps(*place.command("unmark", "cache"))


def test_a_kill_during_unmark_leaves_every_mark_recorded(place: Place) -> None:
    kill_unmark(place, sample(unmark_steps(place)))


@pytest.mark.slow
def test_a_kill_at_any_step_of_unmark_leaves_every_mark_recorded(place: Place) -> None:
    kill_unmark(place, unmark_steps(place))


CREATE = ("import regrow; regrow.create('made')",)


def kill_create(place: Place, steps: list[Step]) -> None:
    command = (place.regrow.command[0], "-c", *CREATE)
    for step in steps:
        place.begin()
        place.kill(step, *command)
        assert not (place.work / "made").exists() or has_attribute(place.work / "made"), step
        for name in leftovers(place.work):
            assert os.listdir(place.work / name) == []
        subprocess.run(command, cwd=place.work, check=True)
        assert has_attribute(place.work / "made"), step
        # A run that finds the directory there has no reason to look around; the next one has.
        subprocess.run(
            [*command[:2], "import regrow; regrow.create('b')"], cwd=place.work, check=True
        )
        assert sorted(os.listdir(place.work)) == ["b", "made"], step


def create_steps(place: Place) -> list[Step]:
    place.begin()
    return place.steps(place.regrow.command[0], "-c", *CREATE)


def test_a_kill_during_create_leaves_nothing_or_a_marked_directory(place: Place) -> None:
    kill_create(place, sample(create_steps(place)))


@pytest.mark.slow
def test_a_kill_at_any_step_of_create_leaves_nothing_or_a_marked_directory(place: Place) -> None:
    kill_create(place, create_steps(place))


def kill_venv(place: Place, steps: list[Step]) -> None:
    path = place.work / ".venv"
    for step in steps:
        place.begin()
        place.kill(step, *place.command("venv"))
        assert_every_mark_has_its_record(place.work, place.records)
        assert not path.exists() or has_attribute(path), step
        for name in leftovers(place.work):
            assert os.listdir(place.work / name) == []
        done = place.run("venv")
        if done.returncode != 0:
            assert done.returncode == 2, (step, done.stderr)
            assert "--clear replaces" in done.stderr
            done = place.run("venv", "--clear")
        assert done.returncode == 0, (step, done.stderr)
        assert_whole_and_alone(place, step)


def assert_whole_and_alone(place: Place, step: Step, *others: str) -> None:
    path = place.work / ".venv"
    assert (path / "bin" / "python").is_symlink(), step
    assert has_attribute(path)
    record = record_of(path, place.records)
    assert record is not None
    assert (record.state, record.inode) == ("marked", path.stat().st_ino), step
    assert {*record.set, *record.found} == {"xdg-robots", "cachedir-tag"}, step
    assert "xdg-robots" in record.set, step
    assert_every_mark_has_its_record(place.work, place.records)
    assert sorted(leftovers(place.work)) == sorted(others), step


def venv_steps(place: Place) -> list[Step]:
    place.begin()
    return place.steps(*place.command("venv"))


def test_a_kill_during_venv_leaves_nothing_or_a_marked_directory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, place.directory / "programs")
    kill_venv(place, sample(venv_steps(place)))


@pytest.mark.slow
def test_a_kill_at_any_step_of_venv_leaves_nothing_or_a_marked_directory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, place.directory / "programs")
    kill_venv(place, venv_steps(place))


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_a_kill_at_any_step_around_the_real_uv_leaves_nothing_or_a_marked_directory(
    place: Place,
) -> None:
    kill_venv(place, sample(venv_steps(place)))


def kill_clear(place: Place, steps: list[Step]) -> None:
    path = place.work / ".venv"
    for step in steps:
        place.begin(environment=True)
        place.kill(step, *place.command("venv", "--clear"))
        assert_every_mark_has_its_record(place.work, place.records)
        assert old_is_somewhere(place), f"{step}: the user's file is lost"
        assert not path.exists() or has_attribute(path)

        done = place.run("venv")
        assert done.returncode in (0, 2), (step, done.stderr)
        assert done.returncode == 0 or "--clear replaces" in done.stderr, step
        assert old_is_somewhere(place), f"{step}: the user's file is lost"
        assert_every_mark_has_its_record(place.work, place.records)

        done = place.run("venv", "--clear")
        assert done.returncode == 0, (step, done.stderr)
        assert old_is_somewhere(place), f"{step}: the user's file is lost"
        remaining = leftovers(place.work)
        shown = place.run("leftovers", str(place.work)).stdout
        for name in remaining:
            assert name in shown, step
            assert not has_attribute(place.work / name), step
        assert_whole_and_alone(place, step, *remaining)


def old_is_somewhere(place: Place) -> bool:
    """Tell whether the file that the user had put into the environment is there, as it was."""
    files = [place.work / name / "old" for name in (".venv", *leftovers(place.work))]
    return any(file.exists() and file.read_text() == "the old one" for file in files)


def clear_steps(place: Place) -> list[Step]:
    place.begin(environment=True)
    return place.steps(*place.command("venv", "--clear"))


def test_a_kill_during_clear_loses_no_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, place.directory / "programs")
    kill_clear(place, sample(sample(clear_steps(place))))  # each takes five runs


@pytest.mark.slow
def test_a_kill_at_any_step_of_clear_loses_no_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, place.directory / "programs")
    kill_clear(place, clear_steps(place))


def kill_failing_clear(place: Place, steps: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    for step in steps:
        place.begin(environment=True)
        use_creator(monkeypatch, place.directory / "programs", FAIL)
        place.kill(step, *place.command("venv", "--clear"))
        assert_every_mark_has_its_record(place.work, place.records)
        use_creator(monkeypatch, place.directory / "programs")
        done = place.run("venv")
        assert done.returncode in (0, 2), (step, done.stderr)
        assert old_is_somewhere(place), f"{step}: the user's file is lost"
        assert_every_mark_has_its_record(place.work, place.records)
        assert place.run("venv", "--clear").returncode == 0


FAIL = 'mkdir "$place/lib"; touch "$place/lib/made"; exit 3'


def failing_clear_steps(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    use_creator(monkeypatch, place.directory / "programs", FAIL)
    place.begin(environment=True)
    trace = place.directory / "trace"
    place._trace(
        ["-o", str(trace), "-e", f"trace={','.join(CALLS)}"], place.command("venv", "--clear")
    )
    counts = Counter(re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE))
    return [(call, number + 1) for call in CALLS for number in range(counts[call])]


@pytest.mark.slow
def test_a_kill_while_the_old_environment_is_put_back_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_failing_clear(place, failing_clear_steps(place, monkeypatch), monkeypatch)
