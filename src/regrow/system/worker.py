"""Shares numbered jobs with a forked worker process, where two processors make that faster.

The worker begins with everything that its parent has in memory, reads the disk, and changes
nothing. If it dies, the parent does its jobs again. A thread would not help: the interpreter's
lock is taken and given back for every directory entry.

The protocol is two pipes. One holds the numbers of all jobs; each process takes the next number
until none is left. Then the worker writes its results to the other pipe, and exits. A result is
its length and the marshalled pair of the job's number and what came out.
"""

import marshal
import os
import sys

from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    T = TypeVar("T")
    Work = Callable[[int], T]

_SIGKILL = 9  # importing signal costs a millisecond
_NUMBER = 4  # bytes of a job's number, and of a result's length


def is_useful() -> bool:
    """Return whether a worker may be forked, and has a processor to run on.

    Apple's frameworks must not be used in a forked process, and they may be loaded already.
    """
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def share(
    count: int, work: "Work[T]", meanwhile: "Callable[[], object] | None" = None, *, pays: bool
) -> "Iterator[T]":
    """Do numbered jobs, alone or with a worker.

    Args:
        count: how many jobs there are.
        work: does the job with a number, from 0. Its result must be something that ``marshal`` can
            write. A job may be done twice, but only once by each process.
        meanwhile: what this process does before it takes jobs, where a worker takes them already.
        pays: whether the jobs take long enough to be worth a worker.

    Yields:
        The results, in the jobs' order.
    """
    done = _shared(count, work, meanwhile) if pays and is_useful() else {}
    for number in range(count):
        yield done.pop(number) if number in done else work(number)


def _shared(
    count: int, work: "Work[T]", meanwhile: "Callable[[], object] | None"
) -> "dict[int, T]":
    """Return the results by number; those that a dead worker took with it are missing."""
    try:
        worker = _Worker(count, work)
    except OSError:
        return {}  # the system has no more processes or descriptors for this user
    try:
        if meanwhile is not None:
            meanwhile()
        done = {number: work(number) for number in worker.claimed()}
        done.update(worker.results())
        return done
    finally:
        worker.end()


class _Worker:
    """A forked process that does some of the jobs."""

    def __init__(self, count: int, work: "Work[Any]") -> None:
        """Fork it. Raises OSError."""
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            self._jobs, numbers, self._results, out = pipes
            os.set_blocking(numbers, False)  # the parent does alone what does not fit
            os.write(numbers, b"".join(n.to_bytes(_NUMBER, "little") for n in range(count)))
            self._pid = self._fork(work, numbers, out)
        except BaseException:
            for fd in pipes:
                os.close(fd)
            raise
        os.close(numbers)
        os.close(out)

    def _fork(self, work: "Work[Any]", numbers: int, out: int) -> int:
        parent = os.getpid()
        code = 1
        try:
            pid = os.fork()
            if pid == 0:
                os.close(numbers)  # the pipe of jobs ends when nobody can write to it
                os.close(self._results)
                self._serve(work, out, parent)
                code = 0
            return pid
        finally:
            if os.getpid() != parent:
                # At once, and silently: exit handlers and open files are the parent's. If work
                # has failed, the parent notices it, because results are missing.
                os._exit(code)

    def _serve(self, work: "Work[Any]", out: int, parent: int) -> None:
        done = []
        for number in self.claimed():
            done.append((number, work(number)))
            if os.getppid() != parent:
                return
        with open(out, "wb") as file:
            while done:  # each is dropped as it is written: a million directories are 40 MB
                data = marshal.dumps(done.pop())
                file.write(len(data).to_bytes(_NUMBER, "little"))
                file.write(data)

    def claimed(self) -> "Iterator[int]":
        """Take one job's number at a time from the pipe, which gives each to one reader."""
        while number := os.read(self._jobs, _NUMBER):
            yield int.from_bytes(number, "little")

    def results(self) -> "Iterator[tuple[int, Any]]":
        """Wait for the worker, and yield each job that it has done, with its result."""
        with open(self._results, "rb", closefd=False) as file:
            while len(head := file.read(_NUMBER)) == _NUMBER:
                size = int.from_bytes(head, "little")
                data = file.read(size)
                if len(data) < size:
                    return  # it died while it was writing
                yield marshal.loads(data)  # noqa: S302 - our own process wrote it

    def end(self) -> None:
        """End the worker, whatever it does."""
        os.close(self._jobs)
        os.close(self._results)
        try:
            # If children are not waited for here, the number may belong to another process by now.
            if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                os.kill(self._pid, _SIGKILL)
                os.waitpid(self._pid, 0)
        except ChildProcessError:
            return
