"""Scans everything below the start directories; a worker takes a share of a large tree.

Projects differ in size by a factor of thousands, so the tree is not cut into two halves. The
uppermost directories are visited first; what is left below them are many parts, of which each of
the two processes takes one after the other.
"""

import os
from itertools import count as counter

from regrow.model import Survey
from regrow.scan import snapshot
from regrow.scan.snapshot import Recorder
from regrow.scan.walk import Frame, Scan
from regrow.system import worker
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regrow.model import Rule
    from regrow.scan.snapshot import Packed
    from regrow.scan.walk import Finding

    # A directory that was listed, and some of its children that were not visited yet.
    Part = tuple[Frame, list[str]]
    # What was found in a part, as plain data: the findings, how many directories were read, the
    # paths of signed ones, and what was recorded.
    Result = tuple[list[Packed], int, list[str], Packed]

_FORK_AFTER = 2000  # directories: reading them takes twenty times as long as forking
_OPEN = 64  # descriptors of directories that have parts
_JOBS = 128  # so many that both processes run out of them at about the same time
_BETWEEN = 16  # visits between two reports


def scan(
    start: "Sequence[str]",
    active_rules: "Sequence[Rule]",
    skip: "Sequence[str]",
    began: int,
    tick: "Callable[[int], None]",
) -> tuple[Survey, Recorder]:
    """Scan the start directories.

    Args:
        start: the start directories.
        active_rules: the rules.
        skip: directories that are never entered.
        began: when the scan began, in nanoseconds since 1970 (UTC).
        tick: called now and then with how many visits this process has made.

    Returns:
        What was found, in any order, and what that depends on.
    """
    recorder = Recorder(began)
    with _Spread(start, active_rules, skip, recorder=recorder, tick=_ticking(tick)) as spread:
        findings = list(spread.uppermost())
        directories, signed = spread.directories, spread.signed
        parts = spread.parts()

        def do(number: int) -> "Result":
            recorded = Recorder(began)
            found = [snapshot.pack(finding) for finding in spread.walk(parts[number], recorded)]
            return found, spread.directories, spread.signed, recorded.packed()

        packed: list[Packed] = []
        for found, count, more, recorded in _done(do, len(parts), directories):
            packed += found
            directories += count
            signed += more
            recorder.add(recorded)
    recorder.end()
    findings += snapshot.unpack(packed, active_rules)
    return Survey(findings, directories, signed=signed), recorder


def _ticking(tick: "Callable[[int], None]") -> "Callable[[], None]":
    """Return a function that counts this process's visits, and ends a worker without parent."""
    here, visits = os.getpid(), counter(1)

    def visited() -> None:
        number = next(visits)
        if number % _BETWEEN:
            return
        if os.getpid() == here:
            tick(number)
        elif os.getppid() != here:
            os._exit(1)

    return visited


def _done(do: "Callable[[int], Result]", jobs: int, read: int) -> "Iterator[Result]":
    """Do jobs alone until it pays to fork a worker, then share them.

    Args:
        do: does the job with a number.
        jobs: how many there are.
        read: how many directories were read before.
    """
    first = 0
    while first < jobs and read < _FORK_AFTER:
        result = do(first)
        read += result[1]
        first += 1
        yield result
    yield from worker.share(jobs - first, lambda number: do(first + number), pays=first < jobs)


class _Spread(Scan):
    """A scan that can be cut into parts. Use it as a context manager until all are scanned."""

    def uppermost(self) -> "Iterator[Finding]":
        """Visit the uppermost directories alone, breadth first."""
        yield from self._begin()
        frames = self._frames
        while frames and len(frames) < _OPEN and self.directories < _FORK_AFTER:
            if not frames[0].children:
                os.close(frames.popleft().fd)
                continue
            found = self._visit(frames[0], frames[0].children.pop())
            if isinstance(found, Frame):
                frames.append(found)
            elif found is not None:
                yield found
            self._tick()

    def parts(self) -> "list[Part]":
        """Return what is left to be visited."""
        size = sum(len(frame.children) for frame in self._frames) // _JOBS + 1
        return [
            (frame, frame.children[begin : begin + size])
            for frame in self._frames
            for begin in range(0, len(frame.children), size)
        ]

    def walk(self, part: "Part", recorder: Recorder) -> "Iterator[Finding]":
        """Visit one part. What is found, counted and recorded is of this part alone."""
        self._recorder, self.directories, self.signed = recorder, 0, []
        frame, children = part
        top = Frame(os.dup(frame.fd), frame.path, frame.status)
        top.children, top.hints, top.trees = children, frame.hints, frame.trees
        return self._walk(top)
