"""A million directories, ten thousand candidates: memory and time grow with the tree alone."""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regrow.config import Configuration
from regrow.decide import decisions
from regrow.decide.cache import Memory
from regrow.model import Candidate, Scope
from regrow.scan import incremental
from tests.hostile.helpers import LINUX_ONLY
from tests.scan.surveying import RULES, settle, snapshots

pytestmark = [LINUX_ONLY, pytest.mark.slow]

MILLION = 1_000_000
MEGABYTE = 1_000_000
MEMORY = 60 * MEGABYTE  # beside the snapshot, for a million directories

IN_MEMORY = Path("/dev/shm")  # where directories are made and removed fastest

MEASURED = """\
import os, re, sys
from regrow.system import worker
from regrow.rules import loader
from regrow.scan import incremental

def told(what, channel=sys.stdout):
    with open("/proc/self/status") as file:
        status = file.read()
    print(what, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024,
          int(re.search(r"VmRSS:\\s+(\\d+)", status)[1]) * 1024, flush=True, file=channel)

serve = worker._Worker._serve

def measured(*arguments):
    serve(*arguments)
    told("worker")

worker._Worker._serve = measured
os.sched_getaffinity = lambda _: {0, 1}
found = incremental.survey(sys.argv[1:], [rule for rule in loader.shipped() if not rule.home])
told("parent")
print("read", found.read, found.unchanged)
"""
"""A survey that tells the largest and the last amount of memory of each process."""


@pytest.fixture(scope="module")
def million() -> Iterator[Path]:
    """A million directories, with names as long as those of a developer's."""
    where = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="regrow-test-", dir=where)).resolve()
    try:
        for package in range(99):
            for source in range(100):
                path = f"{place}/package-{package:03}/source-{source:03}"
                os.makedirs(path)
                for module in range(100):
                    os.mkdir(f"{path}/module-{module:03}")
        yield place
    finally:
        shutil.rmtree(place)


class Measured:
    """What a survey took, in bytes beside the snapshot, and what it did."""

    def __init__(self, place: Path, home: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, place], capture_output=True, text=True, check=True
        )
        told = re.findall(r"(\w+) (\d+) (\d+)", done.stdout)
        self.read, self.unchanged = next((int(a), int(b)) for what, a, b in told if what == "read")
        (file,) = snapshots(home)
        # A worker drops each result that it has written, and its parent takes it over: together
        # they have the most when all is written.
        parent = next(int(most) for what, most, _ in told if what == "parent")
        worker = next((int(last) for what, _, last in reversed(told) if what == "worker"), 0)
        self.helped = worker > 0
        self.memory = parent + worker - file.stat().st_size
        print(f"{self.read} read, {self.memory / MEGABYTE:.0f} MB beside the snapshot")


def test_a_million_directories_take_little_memory_beside_the_snapshot(
    million: Path, home: Path
) -> None:
    """Whether none is known, all are unchanged, few have changed, or all have."""
    first = Measured(million, home)
    assert first.read > MILLION * 0.99
    assert first.helped
    Measured(million, home)  # the last of them were fresh
    same = Measured(million, home)
    assert (same.read, same.helped) == (0, True)
    (million / "package-001/new").mkdir()
    few = Measured(million, home)
    assert 0 < few.read < 10
    touch(million / "package-002", million / "package-003", million / "package-004")
    many = Measured(million, home)
    assert MILLION / 50 < many.read < MILLION / 20
    touch(million)
    all_of_them = Measured(million, home)
    assert all_of_them.read > MILLION * 0.99
    for measured in (first, same, few, many, all_of_them):
        assert measured.memory < MEMORY


def touch(*places: Path) -> None:
    """Let every directory below be one that has changed."""
    for place in places:
        for path, _, _ in os.walk(place):
            os.chmod(path, 0o755)


def processor_time(of: Callable[[], object]) -> float:
    """Measure what this process and its workers take, in seconds; the least of three times."""
    taken = []
    for _ in range(3):
        before = _used()
        of()
        taken.append(_used() - before)
    return min(taken)


def _used() -> float:
    """Tell it to the microsecond: ``os.times`` counts ticks."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def projects(place: Path, count: int) -> None:
    for number in range(count):
        project = place / f"{number // 100}/{number}"
        (project / "node_modules").mkdir(parents=True)
        (project / "src").mkdir()
        (project / "package.json").write_text("{}")
        (project / "package-lock.json").write_text("{}")


@pytest.mark.usefixtures("at_once")
def test_ten_times_the_candidates_take_ten_times_as_long(home: Path) -> None:
    """No more than twice as long for each, which is far from ten times."""
    costs: dict[str, list[float]] = {}
    for count in (1000, 10_000):
        place = home.resolve() / f"{count}"
        projects(place, count)
        start = [str(place)]

        def sweep(start: list[str] = start) -> list[Candidate]:
            settle()
            found = incremental.survey(start, RULES).findings
            return [one for one in found if isinstance(one, Candidate)]

        def first(sweep: Callable[[], object] = sweep) -> None:
            for file in snapshots(home):
                file.unlink()
            sweep()

        def unchanged(sweep: Callable[[], object] = sweep) -> None:
            sweep()

        def with_one_change(place: Path = place, sweep: Callable[[], object] = sweep) -> None:
            (place / f"0/{len(list(place.iterdir()))}").mkdir(exist_ok=True)
            os.utime(place / "0")
            sweep()

        candidates = sweep()
        assert len(candidates) == count

        def decide(candidates: list[Candidate] = candidates, start: list[str] = start) -> None:
            for file in (home / ".cache/regrow").glob("decisions-*"):
                file.unlink()
            scope = Scope(start, Configuration(), ())
            decisions.decide(candidates, scope, None, Memory(scope))

        def recall(candidates: list[Candidate] = candidates, start: list[str] = start) -> None:
            scope = Scope(start, Configuration(), ())
            decisions.decide(candidates, scope, None, Memory(scope))

        for work in (first, unchanged, with_one_change, decide, recall):
            costs.setdefault(work.__name__, []).append(processor_time(work) / count)
    print({name: [f"{cost * 1e6:.0f} µs" for cost in pair] for name, pair in costs.items()})
    for name, (of_few, of_many) in costs.items():
        assert of_many < 2 * of_few, name
