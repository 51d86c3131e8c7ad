"""Finds a program, and reads what it prints: subprocess and shutil cost 8 ms at start."""

import errno
import os
import select
import signal
import time

from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_READ_SIZE = 64 * 1024  # bytes: what a pipe holds on Linux


class Answer(NamedTuple):
    """What a program said until its end."""

    code: int
    """Its exit code; that of a signal is negative."""
    output: bytes
    errors: bytes


def find(name: str) -> str | None:
    """Find the program that a shell would run by a name; None where there is none."""
    places = [""] if "/" in name else os.get_exec_path()
    for path in (os.path.join(place, name) for place in places):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def ask(
    words: "Sequence[str]", limit: float, environment: "Mapping[str, str] | None" = None
) -> Answer:
    """Run a program that reads nothing, and gather what it prints.

    Args:
        words: the program and its arguments.
        limit: the seconds after which it is killed.
        environment: its environment; default: this process's.

    Returns:
        What it printed, and how it ended.

    Raises:
        TimeoutError: it took longer.
        OSError: it can't be run; FileNotFoundError where it is not there.
    """
    output, output_end = os.pipe()
    errors, errors_end = os.pipe()
    try:
        try:
            process = os.posix_spawnp(
                words[0],
                list(words),
                os.environ if environment is None else environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output_end, 1),
                    (os.POSIX_SPAWN_DUP2, errors_end, 2),
                ],
                setsigdef=_IGNORED_BY_PYTHON,
            )
        finally:
            os.close(output_end)
            os.close(errors_end)
        try:
            said = _read((output, errors), time.monotonic() + limit)
        except BaseException:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise
        _, status = os.waitpid(process, 0)
        return Answer(os.waitstatus_to_exitcode(status), *said)
    finally:
        os.close(output)
        os.close(errors)


def _read(pipes: "Sequence[int]", end: float) -> list[bytes]:
    """Read pipes to their ends side by side: a program stops where one of them is full."""
    said = dict.fromkeys(pipes, b"")
    waiting = select.poll()
    for pipe in pipes:
        waiting.register(pipe, select.POLLIN)
    left = len(pipes)
    while left:
        ready = waiting.poll(max(0.0, end - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        for pipe, _ in ready:
            data = os.read(pipe, _READ_SIZE)
            said[pipe] += data
            if not data:
                waiting.unregister(pipe)
                left -= 1
    return [said[pipe] for pipe in pipes]
