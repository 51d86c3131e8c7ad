"""``regrow watch``: from creation to mark, idle, and with many directories."""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Bench, Environment
from benchmarks.report import Result

DIRECTORIES = 20_000
_EACH = 20  # marks timed for each counted run
_IDLE = 60.0  # seconds
_PATIENCE = 60.0  # seconds that something may take before the measurement is given up
_ATTRIBUTE = "user.xdg.robots.backup"
_MEDIAN_BOUND = 250.0  # milliseconds
_LAST_BOUND = 1000.0  # milliseconds
_IDLE_BOUND = 0.1  # seconds of processor time in a minute
_MEMORY_BOUND = 80.0  # MB


def live(bench: Bench) -> list[Result]:
    """Marking what appears; an idle minute; memory with 20,000 watched directories."""
    if sys.platform != "linux":
        return []  # its figures come from /proc
    tree = bench.place / "watching"
    for number in range(DIRECTORIES):
        (tree / f"{number // 1000}/{number // 100}/{number}").mkdir(parents=True)
    with _watching(bench.tool("regrow"), tree, bench.environment) as watch:
        _wait_for(lambda: _watches(watch) > DIRECTORIES)
        memory, share = _memory(watch)
        watches = _watches(watch)
        times = _latencies(tree, bench.runs * _EACH)
        time.sleep(5)  # what was marked is completed
        before = _processor_time(watch)
        time.sleep(_IDLE)
        idle = _processor_time(watch) - before
    ordered = sorted(times)
    last = ordered[len(ordered) * 99 // 100]
    shown = f"{len(times)} made at random moments; the slowest after {ordered[-1]:.0f} ms"
    watched = f"{watches:,} directories watched"
    return [
        Result(
            "watch, from creation to mark", statistics.median(times), "ms", _MEDIAN_BOUND, shown
        ),
        Result("the same, 99th percentile", last, "ms", _LAST_BOUND, shown),
        Result("watch, processor time of an idle minute", idle, "s", _IDLE_BOUND, watched),
        Result(
            "watch, resident memory",
            memory,
            "MB",
            _MEMORY_BOUND,
            f"{watched}; its proportional share {share:.0f} MB",
        ),
    ]


@contextlib.contextmanager
def _watching(
    regrow: str, tree: Path, environment: Environment
) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(
        [regrow, "watch", tree], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _wait_for(condition: "Callable[[], bool]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the watch does not do what is measured")
        time.sleep(0.1)


def _latencies(tree: Path, count: int) -> list[float]:
    """Make environments and node_modules by turns; gives the milliseconds until each is marked."""
    times = []
    for number in range(count):
        time.sleep(random.uniform(0.02, 0.3))
        project = tree / f"{number % 20}/new-{number}"
        before = time.perf_counter()
        made = (_environment, _modules)[number % 2](project)
        while not _is_marked(made):
            if time.perf_counter() - before > _PATIENCE:
                raise TimeoutError(f"{made} is not marked")
            time.sleep(0.001)
        times.append((time.perf_counter() - before) * 1000)
    return times


def _environment(project: Path) -> Path:
    path = project / ".venv"
    (path / "bin").mkdir(parents=True)
    (path / "bin/python").symlink_to("/bin/true")
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    return path


def _modules(project: Path) -> Path:
    path = project / "node_modules"
    project.mkdir()
    (project / "package.json").write_text("{}")
    (project / "package-lock.json").write_text("{}")
    path.mkdir()
    return path


def _is_marked(path: Path) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return os.getxattr(path, _ATTRIBUTE) == b"false"
    except OSError:
        return False


def _watches(process: "subprocess.Popen[bytes]") -> int:
    """Count the kernel's watches of a process."""
    count = 0
    for file in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += file.read_text().count("inotify wd:")
    return count


def _processor_time(process: "subprocess.Popen[bytes]") -> float:
    """Give the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: "subprocess.Popen[bytes]") -> tuple[float, float]:
    """Give a process' resident memory and its proportional share, in MB."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines[1:]}
    return sizes["Rss:"], sizes["Pss:"]
