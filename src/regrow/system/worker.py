"""A second process for a piece of work, where that pays; whatever befalls it costs time only.

It is forked, so that it knows all that is known already, reads the disk and changes nothing. A
thread would not do: Python lets one at a time work on directory entries.
"""

import marshal
import os
import select
import sys

from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn, Self, TypeVar

    T = TypeVar("T")

PATIENCE = 20.0
"""Seconds without a word after which a helper is given up: a disk that wakes up takes ten."""

_SIGKILL = 9  # importing signal costs a millisecond
_LENGTH = 4  # bytes of a message's length, and of a job's number
_PIPE = 64 * 1024  # bytes that a pipe holds, by pipe(7)


class HelperLostError(RegrowError):
    """The other process is gone, or does not answer."""


def is_of_use() -> bool:
    """Tell whether a second process may be forked, and has a processor to run on.

    Apple's frameworks must not be used in a forked process, and they may be loaded already.
    """
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


class Channel:
    """Messages to and from the other process: what ``marshal`` can write. A context manager."""

    def __init__(self, reading: int, writing: int, child: int = 0) -> None:
        """Hold two pipes.

        Args:
            reading: the descriptor that the other's messages come from.
            writing: the one that ours go to.
            child: the number of the other process; 0: it is the one that forked us.
        """
        self._reading = reading
        self._writing = writing
        self._child = child
        # A helper needs none: when the one that forked it is gone, the pipes say so.
        self._patience = PATIENCE * 1000 if child else None
        self._incoming = select.poll()
        self._incoming.register(reading, select.POLLIN)
        self._outgoing = select.poll()
        self._outgoing.register(writing, select.POLLOUT)
        os.set_blocking(writing, False)  # or a stopped reader would stop us as well

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: "Any") -> None:
        """Send a message. Raises HelperLostError."""
        data = marshal.dumps(message)
        left = memoryview(len(data).to_bytes(_LENGTH, "little") + data)
        while left:
            self._wait(self._outgoing)
            try:
                left = left[os.write(self._writing, left) :]
            except OSError as error:
                raise HelperLostError("it is gone") from error

    def has_message(self) -> bool:
        """Tell whether the other has said something, or is gone."""
        return bool(self._incoming.poll(0))

    def receive(self) -> "Any":
        """Wait for a message. Raises HelperLostError."""
        return marshal.loads(self._read(int.from_bytes(self._read(_LENGTH), "little")))  # noqa: S302 - our own process wrote it

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            self._wait(self._incoming)
            try:
                part = os.read(self._reading, min(size, _PIPE))
            except OSError as error:
                raise HelperLostError("it is gone") from error
            if not part:
                raise HelperLostError("it is gone")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _wait(self, pipe: "select.poll") -> None:
        if not pipe.poll(self._patience):
            raise HelperLostError("it does not answer")

    def close(self) -> None:
        """End the other process, whatever it does."""
        os.close(self._reading)
        os.close(self._writing)
        if self._child:
            try:
                # Asked first: where children are not waited for, its number may be another's now.
                if os.waitpid(self._child, os.WNOHANG) == (0, 0):
                    os.kill(self._child, _SIGKILL)
                    os.waitpid(self._child, 0)
            except ChildProcessError:
                return


def fork(work: "Callable[[Channel], None]") -> Channel:
    """Begin a helper.

    Args:
        work: what it does; it ends with that, and with it.

    Returns:
        The channel to it, to be closed. Raises HelperLostError where there can be none.
    """
    parent = os.getpid()
    try:
        return _fork(work, parent)
    finally:
        if os.getpid() != parent:
            os._exit(1)  # interrupted before it began


def _fork(work: "Callable[[Channel], None]", parent: int) -> Channel:
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        child = os.fork()
    except OSError as error:
        for end in ends:
            os.close(end)
        raise HelperLostError("there are no more processes or descriptors") from error
    ours, its_writing, its_reading, our_writing = ends
    if child == 0:
        os.close(ours)
        os.close(our_writing)
        _work(work, Channel(its_reading, its_writing), parent)
    os.close(its_writing)
    os.close(its_reading)
    return Channel(ours, our_writing, child)


def _work(work: "Callable[[Channel], None]", channel: Channel, parent: int) -> "NoReturn":
    """Do a helper's work and leave at once: nothing of its parent's is to be ended twice."""
    code = 1
    try:
        if os.getppid() == parent:
            work(channel)
            code = 0
    finally:
        os._exit(code)  # an exception is told by the silence


def share(
    count: int,
    work: "Callable[[int], T]",
    meanwhile: "Callable[[], object] | None" = None,
    *,
    pays: bool,
) -> "Iterator[T]":
    """Do numbered jobs, one process or two taking the next in turn.

    Args:
        count: how many there are.
        work: does one by its number, from 0; what it returns has to be something that ``marshal``
            can write. A job may be done twice.
        meanwhile: what this process does before it takes jobs, where another one takes them, too.
        pays: whether there is enough to do.

    Yields:
        What came out, in the jobs' order.
    """
    done = _shared(count, work, meanwhile) if pays and is_of_use() else {}
    for number in range(count):
        yield done[number] if number in done else work(number)


def _shared(
    count: int, work: "Callable[[int], T]", meanwhile: "Callable[[], object] | None"
) -> "dict[int, T]":
    done: dict[int, T] = {}
    try:
        jobs, filling = os.pipe()
    except OSError:
        return done  # there are no more descriptors
    try:
        os.set_blocking(filling, False)  # what does not fit is done afterwards
        os.write(filling, b"".join(n.to_bytes(_LENGTH, "little") for n in range(count)))
        os.close(filling)
        parent = os.getpid()

        def help_out(channel: Channel) -> None:
            results = {}
            for number in _claims(jobs):
                results[number] = work(number)
                if os.getppid() != parent:
                    return
            channel.send(results)

        try:
            with fork(help_out) as channel:
                if meanwhile is not None:
                    meanwhile()
                for number in _claims(jobs):
                    done[number] = work(number)
                done |= channel.receive()
        except HelperLostError:
            pass  # what it has not done is done without it
    finally:
        os.close(jobs)
    return done


def _claims(jobs: int) -> "Iterator[int]":
    """Take the number of a job at a time: a pipe gives each to one reader."""
    while number := os.read(jobs, _LENGTH):
        yield int.from_bytes(number, "little")
