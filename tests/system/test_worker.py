"""Jobs shared with a worker: whatever happens to it, they are all done, and it is gone."""

import marshal
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.system import worker
from tests.forking import descriptors_left, have_two_processors, leaving_nothing

if sys.platform != "linux":
    pytest.skip("a second process is of use on Linux", allow_module_level=True)

COUNT = 50
PATIENCE = 30.0  # seconds for what takes a fraction of one unless it hangs


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Let no test leave a descriptor or a process behind."""
    with leaving_nothing():
        yield


@pytest.fixture
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    have_two_processors(monkeypatch)


def share(work: Callable[[int], Any], count: int = COUNT) -> list[Any]:
    return list(worker.share(count, work, pays=True))


def in_order(of: Callable[[int], Any] = lambda number: number, count: int = COUNT) -> list[Any]:
    return [of(number) for number in range(count)]


def pid_and(act: Callable[[], None] = lambda: None) -> Callable[[int], tuple[int, int]]:
    """Make a job that tells who did it; it takes so long that both have some to do."""

    def work(number: int) -> tuple[int, int]:
        time.sleep(0.002)
        act()
        return number, os.getpid()

    return work


def in_the_worker(act: Callable[[], Any], from_job: int = 10) -> Callable[[int], int]:
    """Make a job that does something in the worker alone."""
    here = os.getpid()

    def work(number: int) -> int:
        time.sleep(0.002)
        if os.getpid() != here and number >= from_job:
            act()
        return number

    return work


@pytest.mark.usefixtures("two_processors")
def test_jobs_are_shared_and_their_results_come_in_order() -> None:
    done = share(pid_and())
    assert [number for number, _ in done] == in_order()
    assert len({process for _, process in done}) == 2


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_jobs_are_done_as_well(count: int) -> None:
    assert share(lambda number: number, count) == in_order(count=count)


@pytest.mark.usefixtures("two_processors")
def test_more_jobs_than_a_pipe_holds_are_all_done() -> None:
    count = 100_000
    assert share(lambda number: number, count) == in_order(count=count)


@pytest.mark.usefixtures("two_processors")
def test_results_larger_than_a_pipe_are_taken_over_whole() -> None:
    assert share(lambda number: bytes(100_000 + number)) == in_order(lambda n: bytes(100_000 + n))


@pytest.mark.usefixtures("two_processors")
def test_where_it_does_not_pay_nothing_is_forked() -> None:
    done = list(worker.share(COUNT, pid_and(), pays=False))
    assert {process for _, process in done} == {os.getpid()}


@pytest.mark.usefixtures("two_processors")
def test_what_else_there_is_to_do_is_done_while_the_worker_works() -> None:
    reading, writing = os.pipe()
    unread = select.poll()
    unread.register(reading, select.POLLIN)

    def meanwhile() -> None:
        os.write(writing, b"x")
        deadline = time.monotonic() + PATIENCE
        while unread.poll(0) and time.monotonic() < deadline:
            time.sleep(0.002)

    try:
        work = in_the_worker(lambda: os.read(reading, 1), from_job=0)
        assert list(worker.share(1, work, meanwhile, pays=True)) == [0]
        assert not unread.poll(0), "the worker has not begun meanwhile"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.usefixtures("two_processors")
def test_nothing_is_done_meanwhile_where_there_is_no_worker() -> None:
    done: list[str] = []
    list(worker.share(COUNT, pid_and(), lambda: done.append("meanwhile"), pays=False))
    assert not done


@pytest.mark.usefixtures("two_processors")
def test_a_job_that_fails_in_both_is_told_as_if_there_were_one_process() -> None:
    def work(number: int) -> int:
        if number == 7:
            raise ZeroDivisionError(number)
        return number

    with pytest.raises(ZeroDivisionError):
        share(work)


@pytest.mark.usefixtures("two_processors")
def test_what_fails_in_the_worker_alone_is_done_again() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    assert share(in_the_worker(fail)) == in_order()


@pytest.mark.usefixtures("two_processors")
def test_an_exception_in_a_worker_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    share(in_the_worker(fail))
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_what_a_killed_worker_had_is_done_again(name: str) -> None:
    number = signal.Signals[name]
    assert share(in_the_worker(lambda: os.kill(os.getpid(), number))) == in_order()


def test_of_what_a_dying_worker_has_written_whole_results_count() -> None:
    parts = [marshal.dumps((number, "x" * number)) for number in (3, 1)]
    stream = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    for end in range(len(stream) + 1):
        reading, writing = os.pipe()
        os.write(writing, stream[:end])
        os.close(writing)
        half = object.__new__(worker._Worker)
        half._results = reading
        found = list(half.results())
        os.close(reading)
        count = (end >= 4 + len(parts[0])) + (end == len(stream))
        assert found == [(3, "xxx"), (1, "x")][:count]


@pytest.mark.usefixtures("two_processors")
def test_a_result_that_can_not_be_told_is_made_again() -> None:
    here = os.getpid()
    done = share(lambda number: number if os.getpid() == here else object())
    assert done == in_order()


@pytest.mark.usefixtures("two_processors")
def test_an_interruption_ends_the_worker() -> None:
    here = os.getpid()

    def work(number: int) -> int:
        if os.getpid() != here:
            time.sleep(3600)
        elif number > 3:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        share(work)


@pytest.mark.usefixtures("two_processors")
def test_where_no_process_can_be_forked_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", fork)
    assert share(lambda number: number) == in_order()


@pytest.mark.usefixtures("two_processors")
@pytest.mark.parametrize("left", range(8))
def test_where_descriptors_are_short_one_does_all(left: int) -> None:
    with descriptors_left(left):
        done = share(lambda number: number)
    assert done == in_order()


def test_an_ordinary_user_who_may_have_no_more_processes_does_all_alone(
    as_ordinary_user: Callable[[Callable[[], Any]], Any],
) -> None:
    def work() -> list[Any]:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        with pytest.raises(OSError, match="temporarily unavailable"):
            os.fork()
        os.sched_getaffinity = lambda _: {0, 1}
        return share(pid_and())

    if os.geteuid() != 0:
        pytest.skip("how many processes this user has is not known")
    done = as_ordinary_user(work)
    assert [number for number, _ in done] == in_order()
    assert len({process for _, process in done}) == 1


def test_with_one_processor_nothing_is_forked() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert not worker.is_useful()
        assert {process for _, process in share(pid_and())} == {os.getpid()}
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("two_processors")
def test_on_macos_nothing_is_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's frameworks may be loaded, and must not be used in a forked process."""
    assert worker.is_useful()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not worker.is_useful()
    assert {process for _, process in share(pid_and())} == {os.getpid()}


PARENT = """\
import os, sys, time
from regrow.system import worker

here = os.getpid()
os.sched_getaffinity = lambda _: {0, 1}

def work(number):
    if os.getpid() != here:
        os.write(1, b"%d\\n" % os.getpid())
        return b"x" * 1_000_000
    time.sleep(3600)

list(worker.share(2, work, lambda: time.sleep(3600), pays=True))
"""
"""Its worker does all there is to do, and can't write it, since nobody reads."""


def test_a_worker_whose_parent_was_killed_ends_by_itself() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    try:
        parent.communicate(timeout=PATIENCE)  # which waits until nobody holds the pipe any more
    except subprocess.TimeoutExpired:
        os.kill(child, signal.SIGKILL)
        raise
    assert not Path(f"/proc/{child}/exe").exists()


@pytest.mark.usefixtures("two_processors")
def test_a_worker_whose_number_was_waited_for_already_is_not_killed() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel waits for children
    try:
        assert share(lambda number: number) == in_order()
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("two_processors")
def test_a_worker_that_is_interrupted_as_it_begins_ends_nothing_of_its_parents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = os.getpid()
    close = os.close

    def interrupted(fd: int) -> None:
        if os.getpid() != here:
            raise KeyboardInterrupt
        close(fd)

    monkeypatch.setattr(os, "close", interrupted)
    try:
        assert share(lambda number: number) == in_order()
    finally:
        if os.getpid() != here:  # it has come back here as if it were the parent
            (tmp_path / "two").touch()
            os._exit(1)
    assert not (tmp_path / "two").exists()
