"""A scan with a worker finds what a scan without one finds, whatever happens to the worker."""

import contextlib
import errno
import fcntl
import marshal
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from regrow.model import Survey
from regrow.scan import incremental, snapshot, whole
from regrow.scan.walk import Frame, Scan
from regrow.system import worker
from tests.conftest import NOBODY
from tests.forking import have_two_processors, leaving_nothing
from tests.rules.trees import build
from tests.scan.surveying import RULES, everything, settle
from tests.sweeping import modules

if sys.platform != "linux":
    pytest.skip("a second process is of use on Linux", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("at_once")

SMALL_PIPE = 4096  # bytes, the least that a pipe holds
DIRECTORIES = 1500
PATIENCE = 30.0  # seconds for what takes a fraction of one unless it hangs


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    with leaving_nothing():
        yield


@pytest.fixture(autouse=True)
def forks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on any tree, however small, and on any machine."""
    have_two_processors(monkeypatch)
    monkeypatch.setattr(whole, "_FORK_AFTER", 20)


@pytest.fixture
def small_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes that are full at once."""
    pipe = os.pipe

    def small() -> tuple[int, int]:
        ends = pipe()
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, SMALL_PIPE)
        return ends

    monkeypatch.setattr(os, "pipe", small)


class Shares:
    """Counts what workers have read, in all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        self.forks = 0
        results, fork = worker._Worker.results, os.fork

        def told(this: worker._Worker) -> Iterator[tuple[int, Any]]:
            for number, result in results(this):
                self.read += result[1]
                yield number, result

        def forked() -> int:
            self.forks += 1
            return fork()

        monkeypatch.setattr(worker._Worker, "results", told)
        monkeypatch.setattr(os, "fork", forked)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(monkeypatch)


def grow(place: Path, chance: random.Random, directories: int = DIRECTORIES) -> None:
    """Make a random tree: lopsided, with projects of every kind anywhere in it."""
    known = [place]
    while len(known) < directories:
        # Where one is chosen again and again, trees get lopsided.
        parent = known[int(len(known) * chance.random() ** 2)]
        made = parent / f"{len(known)}"
        if chance.random() < 0.1:
            rule = chance.choice(RULES)
            with contextlib.suppress(FileExistsError):
                build(made, rule)
        made.mkdir(exist_ok=True, parents=True)
        known.append(made)


@pytest.fixture
def tree(home: Path) -> Path:
    place = home.resolve() / "code"
    place.mkdir()
    grow(place, random.Random(10))
    return place


def read_all(*start: Path) -> Survey:
    """Survey without a snapshot, and compare with one process."""
    for file in (Path.home() / ".cache/regrow").glob("scan-*"):
        file.unlink()
    settle()
    surveyed = incremental.survey(list(map(str, start)), RULES)
    assert surveyed.findings == everything(start)
    assert surveyed.findings
    assert surveyed.unchanged == 0
    return surveyed


def directories(*start: Path) -> int:
    alone = Scan(list(map(str, start)), RULES)
    for _ in alone:
        pass
    return alone.directories


@pytest.mark.parametrize("seed", range(6))
def test_two_processes_find_what_one_finds(home: Path, shares: Shares, seed: int) -> None:
    place = home.resolve() / "code"
    place.mkdir()
    grow(place, random.Random(seed))
    surveyed = read_all(place)
    assert surveyed.read == directories(place)
    assert shares.read > 0


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
def test_two_processes_find_what_one_finds_in_large_trees(
    home: Path, shares: Shares, turn: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    place = home.resolve() / "code"
    place.mkdir()
    grow(place, random.Random(seed), 20_000)
    read_all(place)
    assert shares.read > 1000


def test_what_two_processes_have_noted_is_a_snapshot(tree: Path, shares: Shares) -> None:
    read_all(tree)
    assert shares.read > 0
    settle()
    again = incremental.survey([str(tree)], RULES)
    assert again.findings == everything([tree])
    assert again.read < DIRECTORIES / 10 < again.unchanged
    evidence = tree / "package.json"
    evidence.touch()
    (tree / "node_modules").mkdir()
    for candidate in everything([tree])[::7]:
        os.utime(candidate.path)
    settle()
    assert incremental.survey([str(tree)], RULES).findings == everything([tree])


def test_dependencies_that_the_worker_has_noted_count(home: Path, shares: Shares) -> None:
    """Of many equal projects some are the worker's: what they depend on is not lost."""
    place = home.resolve() / "code"
    count = 200
    for number in range(count):
        venv = place / f"{number}/venv"
        (venv / "bin").mkdir(parents=True)
        (venv / "pyvenv.cfg").touch()
        (venv / "bin/python").symlink_to("/nowhere")
        (place / f"{number}/target/deep/down").mkdir(parents=True)
        (place / f"{number}/src/main/more").mkdir(parents=True)
        (place / f"{number}/Cargo.toml").touch()
    assert len(read_all(place).findings) == 2 * count
    assert shares.read > 0
    for number in range(0, count, 3):
        (place / f"{number}/venv/bin/python").unlink()
        (place / f"{number}/Cargo.toml").unlink()
        modules(place / f"{number}/target/deep")
    settle()
    found = incremental.survey([str(place)], RULES)
    assert found.unchanged > count
    assert found.findings == everything([place])


@pytest.mark.parametrize("is_lost", [False, True])
def test_no_directory_is_noted_twice(
    tree: Path, monkeypatch: pytest.MonkeyPatch, is_lost: bool
) -> None:
    """A worker is forked with what was recorded before, and what was lost is recorded again."""
    if is_lost:
        in_the_worker(monkeypatch, end(signal.SIGKILL), 20)
    read_all(tree)
    asked = incremental._Wanted([str(tree)], [str(tree)], RULES, (), print)
    known = snapshot.load(incremental._key(asked), RULES)
    assert known is not None
    with known:
        noted = [path for path, _, inode in known.rows() if inode and path not in known.owners]
    assert len(noted) > DIRECTORIES / 2
    assert len(noted) == len(set(noted))


def test_progress_is_told_by_one_process(tree: Path, home: Path, shares: Shares) -> None:
    with (home / "told").open("a") as file:
        incremental.survey(
            [str(tree)], RULES, (), lambda _: print(os.getpid(), file=file, flush=True)
        )
    assert shares.read > 0
    assert set((home / "told").read_text().split()) == {str(os.getpid())}


def test_several_start_directories_are_shared(tree: Path, home: Path, shares: Shares) -> None:
    other = home.resolve() / "other"
    other.mkdir()
    grow(other, random.Random(11))
    read_all(tree / "1", tree, other)
    assert shares.read > 0


def test_hidden_entries_of_the_home_directory_are_shared_by_name_alone(
    home: Path, shares: Shares
) -> None:
    place = home.resolve()
    for number in range(2000):
        (place / f"+first/{number}").mkdir(parents=True)  # meanwhile the others are given away
    for number in range(200):
        for hidden in (".virtualenvs", ".local/share/virtualenvs", ".local/share/other", ".x"):
            (place / f"{hidden}/{number}/bin").mkdir(parents=True)
            (place / f"{hidden}/{number}/bin/python").symlink_to("/nowhere")
            (place / f"{hidden}/{number}/pyvenv.cfg").touch()
    assert len(read_all(place).findings) == 400
    assert shares.read > 0


def test_a_small_tree_is_read_by_one_process(
    tree: Path, shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_FORK_AFTER", directories(tree) + 1)
    read_all(tree)
    assert shares.forks == 0


def test_with_one_processor_nothing_is_forked(
    tree: Path, shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    read_all(tree)
    assert shares.forks == 0


def test_on_macos_nothing_is_forked(
    tree: Path, shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "is_useful", is_useful_on_macos)
    read_all(tree)
    assert shares.forks == 0


_is_useful = worker.is_useful


def is_useful_on_macos() -> bool:
    before = sys.platform
    sys.platform = "darwin"
    try:
        return _is_useful()
    finally:
        sys.platform = before


# What happens to the worker.


def in_the_worker(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any], visits: int) -> None:
    """Let the worker do something at its nth directory."""
    here = os.getpid()
    left = [visits]
    visit = Scan._visit

    def visited(self: Scan, parent: Frame, name: str) -> Any:
        if os.getpid() != here:
            left[0] -= 1
            if left[0] == -1:
                act()
        return visit(self, parent, name)

    monkeypatch.setattr(Scan, "_visit", visited)


def end(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("visits", [0, 1, 7, 60, 300])
def test_a_worker_that_is_killed_while_it_reads_costs_time_only(
    tree: Path, monkeypatch: pytest.MonkeyPatch, visits: int
) -> None:
    in_the_worker(monkeypatch, end(signal.SIGKILL), visits)
    read_all(tree)


@pytest.mark.parametrize("results", [0, 1, 5])
def test_a_worker_that_is_killed_while_it_writes_costs_time_only(
    tree: Path, monkeypatch: pytest.MonkeyPatch, results: int
) -> None:
    here = os.getpid()
    left = [results]
    dumps = marshal.dumps

    def written(value: Any) -> bytes:
        if os.getpid() != here and isinstance(value, tuple) and isinstance(value[0], int):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return dumps(value)

    monkeypatch.setattr(marshal, "dumps", written)
    read_all(tree)


def test_what_fails_in_the_worker_is_done_without_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise MemoryError

    in_the_worker(monkeypatch, fail, 5)
    read_all(tree)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(100))
def test_a_worker_that_is_killed_at_any_moment_costs_time_only(
    tree: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    chance = random.Random(turn)
    delay = chance.random() * 0.1
    fork = os.fork

    def doomed() -> int:
        child = fork()
        if child and fork() == 0:
            time.sleep(delay)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os._exit(0)
        return child

    monkeypatch.setattr(os, "fork", doomed)
    read_all(tree)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break


# Full pipes.


@pytest.fixture
def broad(home: Path) -> Path:
    """A directory whose names do not fit into a pipe, and neither do its candidates."""
    place = home.resolve() / "broad"
    for number in range(400):
        modules(place / f"{number}-{'x' * 100}")
    return place


@pytest.mark.usefixtures("small_pipes")
def test_a_directory_with_more_names_than_a_pipe_holds_is_shared(
    broad: Path, shares: Shares
) -> None:
    assert len(read_all(broad).findings) == 400
    assert shares.read > 0


@pytest.mark.slow
def test_a_hundred_thousand_names_and_twenty_thousand_candidates_are_shared(
    home: Path, shares: Shares
) -> None:
    place = home.resolve() / "broad"
    for number in range(100_000):
        (place / f"{number}").mkdir(parents=True)
    for number in range(20_000):
        (place / f"{number}/node_modules").mkdir()
        (place / f"{number}/package.json").touch()
    assert len(read_all(place).findings) == 20_000
    assert shares.read > 10_000


# No process, no descriptor.


def test_where_no_process_can_be_forked_one_reads_all(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.setattr(incremental, "_SHARED_FROM", 1)
    read_all(tree)
    settle()
    assert incremental.survey([str(tree)], RULES).unchanged > DIRECTORIES / 2


@pytest.mark.parametrize("fine", range(4))
def test_where_no_pipe_can_be_opened_one_reads_all(
    tree: Path, monkeypatch: pytest.MonkeyPatch, fine: int
) -> None:
    pipe = os.pipe
    left = [fine]

    def short() -> tuple[int, int]:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return pipe()

    monkeypatch.setattr(os, "pipe", short)
    monkeypatch.setattr(incremental, "_SHARED_FROM", 1)
    read_all(tree)
    settle()
    assert incremental.survey([str(tree)], RULES).findings == everything([tree])
    assert left[0] < 0


@pytest.mark.needs_root
def test_a_user_who_may_have_no_more_processes_reads_all_alone(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    import resource

    place = open_place.resolve() / "code"
    place.mkdir()
    grow(place, random.Random(3), 200)
    (open_place / "home").mkdir()
    os.chown(open_place / "home", NOBODY, NOBODY)

    def work() -> None:
        os.environ["HOME"] = str(open_place / "home")
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        with pytest.raises(BlockingIOError):
            os.fork()
        read_all(place)

    as_ordinary_user(work)


# What befalls the one that forked it.

SLOW_SWEEP = """\
import os, sys, time
from regrow.scan import walk, whole

whole._FORK_AFTER = 20
os.sched_getaffinity = lambda _: {0, 1}
visit = walk.Scan._visit

def slowly(*arguments):
    time.sleep(0.002)
    return visit(*arguments)

fork = os.fork

def told():
    child = fork()
    if child:
        print(child, flush=True, file=sys.stderr)
    return child

walk.Scan._visit = slowly
os.fork = told

from regrow.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@contextlib.contextmanager
def slow_sweep(tree: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a sweep in a session of its own, up to where its worker works; give that one's number."""
    words: Sequence[str | Path] = ("sweep", "--dry-run", tree)
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_SWEEP, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as sweeping:
        assert sweeping.stderr is not None
        try:
            yield sweeping, int(sweeping.stderr.readline())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sweeping.pid, signal.SIGKILL)


def is_gone(process: int) -> bool:
    return not os.path.exists(f"/proc/{process}/exe")


@pytest.mark.parametrize("delay", [0, 0.05, 0.3])
def test_a_worker_goes_when_the_sweep_is_killed(tree: Path, delay: float) -> None:
    with slow_sweep(tree) as (sweeping, child):
        time.sleep(delay)
        sweeping.kill()
        sweeping.communicate(timeout=PATIENCE)  # until nobody holds its output any more
        assert is_gone(child)


@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.3])
@pytest.mark.parametrize("is_for_all", [True, False], ids=["terminal", "one process"])
def test_an_interrupted_sweep_leaves_no_worker_and_no_traceback(
    tree: Path, delay: float, is_for_all: bool
) -> None:
    """A terminal interrupts both."""
    with slow_sweep(tree) as (sweeping, child):
        time.sleep(delay)
        if is_for_all:
            os.killpg(sweeping.pid, signal.SIGINT)
        else:
            sweeping.send_signal(signal.SIGINT)
        out, err = sweeping.communicate(timeout=PATIENCE)
        assert sweeping.returncode == 130
        assert is_gone(child)
        assert "Traceback" not in err
        assert out == ""


def test_an_interruption_in_the_middle_leaves_no_process_and_no_descriptor(
    tree: Path, monkeypatch: pytest.MonkeyPatch, shares: Shares
) -> None:
    here = os.getpid()
    visit = Scan._visit
    left = [300]

    def interrupted(self: Scan, parent: Frame, name: str) -> Any:
        left[0] -= os.getpid() == here
        if left[0] == 0:
            raise KeyboardInterrupt
        return visit(self, parent, name)

    monkeypatch.setattr(Scan, "_visit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        incremental.survey([str(tree)], RULES)
    assert shares.forks == 1


# Depth.

DEEP = """\
import os, resource, sys
os.sched_getaffinity = lambda _: {0, 1}
from regrow.rules import loader
from regrow.scan import incremental, snapshot, whole
from regrow.scan.walk import Scan

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
whole._FORK_AFTER = 20
incremental._KEPT_FROM = incremental._MOSTLY = snapshot.FRESH = 0
start, = sys.argv[1:]
rules = [rule for rule in loader.shipped() if not rule.home]
expected = [finding.path for finding in incremental._sorted(Scan([start], rules))]
for _ in range(2):
    surveyed = incremental.survey([start], rules)
    assert [finding.path for finding in surveyed.findings] == expected
print(len(expected), surveyed.unchanged)
"""


def test_three_thousand_levels_are_read_with_few_descriptors(home: Path) -> None:
    """Paths get longer than the kernel takes: these are read each time."""
    place = home.resolve() / "deep"
    levels = 3000
    for number in range(100):
        (place / f"beside/{number}").mkdir(parents=True)
    fd = os.open(place, os.O_RDONLY)
    try:
        for level in range(levels):
            os.mkdir("d", dir_fd=fd)
            if level % 100 == 0:
                os.mkdir("target", dir_fd=fd)
                os.close(os.open("Cargo.toml", os.O_CREAT, dir_fd=fd))
            lower = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = lower
        done = subprocess.run(
            [sys.executable, "-c", DEEP, place], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        found, unchanged = map(int, done.stdout.split())
        assert 19 < found < levels / 100, "programs can't name what is further down; that is told"
        assert unchanged > 0
    finally:
        os.close(fd)
        subprocess.run(["rm", "-rf", place], check=True)
