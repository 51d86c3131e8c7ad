"""A kill -9 at any instant of a sweep: marks have their records, and both ways out are whole.

One way is a second sweep, which completes the first; the other is ``undo``, with the second sweep
or without it, after which the tree is as it was.
"""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow.system import directories
from tests.conftest import Regrow
from tests.hostile.helpers import (
    SOMEONES_VALUE,
    Planted,
    assert_all_are_marked,
    assert_marks_are_recorded,
    differences,
    plant,
    portray,
    read_records,
    temporary_records,
)

if sys.platform != "linux":
    pytest.skip("strace runs on Linux", allow_module_level=True)

pytestmark = pytest.mark.needs("git")

PAUSE = 0.0005  # seconds between two looks at how far a sweep is
BLUR = 0.002  # seconds that a kill comes after the look, at most: a mark takes a tenth of it
OLD = 3600  # seconds; what a kill leaves behind is removed when it is a minute old

# Each of these changes something; a kill comes as the process enters the call.
CALLS = ("openat", "write", "renameat", "fsetxattr", "utimensat", "pwrite64")


class Place:
    """A tree that each round finds as it was planted: undo has to see to that."""

    def __init__(self, regrow: Regrow, tree: Path, records: Path, count: int) -> None:
        self.regrow = regrow
        self.tree = tree
        self.records = records
        self.planted: list[Planted] = plant(tree, count)
        self.before = portray(tree)
        self.trace = tree.parent / "trace"
        self.command = (*regrow.command, "sweep", "--yes", tree)
        # The first one compiles the rules, and so makes more calls than those that are killed.
        subprocess.run([*regrow.command, "sweep", "--dry-run", tree], check=True)

    def recorded(self) -> int:
        """Count the records."""
        return sum(1 for _ in self.records.glob("[!.]*.toml"))

    def kill_after(self, count: int, pause: float) -> None:
        """Kill a sweep some time after it has written its so many-th record."""
        sweep = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while sweep.poll() is None and self.recorded() < count:
                time.sleep(PAUSE)
            time.sleep(pause)
        finally:
            sweep.kill()
            sweep.wait()

    def calls_while_marking(self) -> dict[str, list[int]]:
        """Run a sweep to its end and number its calls; gives those from the first record on."""
        self._strace(["-o", str(self.trace), "-e", f"trace={','.join(CALLS)}"])
        numbers: Counter[str] = Counter()
        found: dict[str, list[int]] = {call: [] for call in CALLS}
        is_marking = False
        for line in self.trace.read_text().splitlines():
            call = line.partition("(")[0]
            numbers[call] += 1
            is_marking = is_marking or ".toml" in line
            if is_marking and call in CALLS and (call != "openat" or "O_CREAT" in line):
                found[call].append(numbers[call])
        assert all(found.values()), found
        return found

    def kill_at(self, call: str, number: int) -> None:
        """Kill a sweep as it enters a call for the so many-th time."""
        injection = f"inject={call}:signal=SIGKILL:when={number}"
        code = self._strace(["-o", os.devnull, "-e", f"trace={call}", "-e", injection])
        assert code in (-9, 137)

    def _strace(self, options: list[str]) -> int:
        """Trace a sweep that makes the same calls each time: by one process, nothing remembered."""
        for file in Path(directories.caches()).glob("*-*"):  # the compiled rules stay
            file.unlink()
        processor = str(min(os.sched_getaffinity(0)))
        return subprocess.run(
            ["taskset", "--cpu-list", processor, "strace", *options, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=120,
            check=False,
        ).returncode

    def check_records(self) -> None:
        """Check what a kill has left."""
        assert_marks_are_recorded(self.tree, self.before, self.records)
        assert len(temporary_records(self.records)) <= 1

    def complete(self) -> None:
        """Check that a second sweep completes the first, and removes what it left behind."""
        self._age()
        done = self.regrow("sweep", "--yes", self.tree)
        assert (done.returncode, done.stderr) == (0, "")
        assert_all_are_marked(self.planted, self.records)

    def undo(self) -> None:
        """Check that undo leaves the tree as it was, and nothing among the records."""
        self._age()
        done = self.regrow("undo", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert differences(self.before, portray(self.tree)) == []
        assert os.listdir(self.records) == []

    def _age(self) -> None:
        past = time.time() - OLD
        for file in self.records.iterdir():
            os.utime(file, (past, past))


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("REGROW_TEST_SEED") or random.SystemRandom().getrandbits(32))


@contextlib.contextmanager
def repeatable(seed: int, what: str) -> Iterator[None]:
    """Say in a failure how to have it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{what}; REGROW_TEST_SEED={seed} chooses the same instants")
        raise


def kill_and_recover(place: Place, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    total = len(place.planted)
    in_the_middle = 0
    for number in range(rounds):
        count, pause = chance.randint(1, total), chance.uniform(0, BLUR)
        with repeatable(seed, f"round {number}: killed {pause} s after record {count}"):
            place.kill_after(count, pause)
            in_the_middle += 0 < place.recorded() < total
            place.check_records()
            if number % 2:
                place.complete()
            place.undo()
    assert in_the_middle > 0, "no sweep was killed while it marked"


def kill_at_calls_and_recover(place: Place, instants: int, seed: int) -> None:
    chance = random.Random(seed)
    calls = place.calls_while_marking()
    place.undo()
    turn = 0
    for call, numbers in calls.items():
        for number in chance.sample(numbers, instants):
            turn += 1
            with repeatable(seed, f"killed at {call} {number}"):
                place.kill_at(call, number)
                place.check_records()
                if turn % 2:
                    place.complete()
                place.undo()


@pytest.fixture
def small(inside: Regrow, tmp_path: Path, records_directory: Path) -> Place:
    return Place(inside, tmp_path / "tree", records_directory, 60)


def test_what_a_sweep_marks_undo_takes_back(small: Place) -> None:
    assert small.regrow("sweep", "--yes", small.tree).returncode == 0
    marked = portray(small.tree)
    small.complete()
    assert differences(marked, portray(small.tree)) == []
    small.undo()


def test_a_sweep_killed_at_random_instants_is_completed_and_undone(small: Place, seed: int) -> None:
    kill_and_recover(small, 5, seed)


@pytest.mark.needs("strace", "taskset")
def test_a_sweep_killed_at_calls_that_change_something_is_completed_and_undone(
    small: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # its writes are not regrow's
    kill_at_calls_and_recover(small, 1, seed)


@pytest.mark.needs("strace", "taskset")
def test_a_file_beside_a_record_goes_where_a_kill_came_before_the_record(
    small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # its writes are not regrow's
    small.calls_while_marking()
    renames = [line for line in small.trace.read_text().splitlines() if "renameat(" in line]
    of_a_lock = next(n for n, line in enumerate(renames, 1) if ".package-lock.json" in line)
    for recover in (small.complete, small.undo):
        small.undo()
        small.kill_at("renameat", of_a_lock + 1)
        small.check_records()
        [lock] = small.records.glob("[!.]*.package-lock.json")
        assert not lock.with_name(lock.name.replace("package-lock.json", "toml")).exists()
        recover()


@pytest.mark.needs("strace", "taskset")
def test_someones_value_that_a_kill_left_in_place_is_not_said_to_be_changed(
    small: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # its writes are not regrow's
    small.kill_at("fsetxattr", 1)
    [record] = read_records(small.records)
    assert record.previous == {"xdg-robots": SOMEONES_VALUE}
    assert differences(small.before, portray(small.tree)) == []
    small.undo()


@pytest.mark.slow
def test_a_sweep_over_500_directories_killed_a_hundred_times_is_completed_and_undone(
    regrow: Regrow, tmp_path: Path, records_directory: Path, seed: int
) -> None:
    kill_and_recover(Place(regrow, tmp_path / "tree", records_directory, 500), 100, seed)


@pytest.mark.slow
@pytest.mark.needs("strace", "taskset")
def test_a_sweep_killed_at_many_calls_that_change_something_is_completed_and_undone(
    small: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # its writes are not regrow's
    kill_at_calls_and_recover(small, 10, seed)
