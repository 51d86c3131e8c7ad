"""Finds a program, and reads what it prints: subprocess and shutil cost 8 ms at start."""

import errno
import os
import select
import signal
import sys
import time

from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_READ_SIZE = 64 * 1024  # bytes: what a pipe holds on Linux
_OUTPUT_LIMIT = 64 << 20  # bytes: more than any program prints that regrow asks


class Answer(NamedTuple):
    """What a program printed, and how it ended."""

    code: int
    """Its exit code; that of a signal is negative."""
    output: bytes
    errors: bytes


def program_directories() -> list[str]:
    """Return where programs are looked for: the full paths in PATH.

    Its other entries (``.``, ``bin``, the empty one) lead into the current directory, where a
    project decides what stands, not the user.
    """
    return [place for place in _path(os.environ).split(os.pathsep) if place.startswith("/")]


def program_environment(given: "Mapping[str, str] | None" = None) -> dict[str, str]:
    """Return an environment (default: this process's) in which PATH holds full paths alone."""
    found = dict(os.environ if given is None else given)
    entries = _path(found).split(os.pathsep)
    found["PATH"] = os.pathsep.join(place for place in entries if place.startswith("/"))
    return found


def _path(given: "Mapping[str, str]") -> str:
    return given.get("PATH", os.defpath)


def find_program(name: str) -> str | None:
    """Return the path of the program that a name means, None where there is none."""
    paths = [os.path.join(place, name) for place in program_directories()]
    for path in [name] if "/" in name else paths:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def ask_program(
    words: "Sequence[str]",
    limit: float,
    variables: "Mapping[str, str] | None" = None,
    *,
    most: int = _OUTPUT_LIMIT,
    memory: int | None = None,
) -> Answer:
    """Run a program with no input, and return what it prints.

    Args:
        words: the program and its arguments.
        limit: the seconds after which it is killed.
        variables: its environment; default: this process's.
        most: the bytes that it may print.
        memory: the bytes that it may take, on Linux; default: as many as this process.

    Returns:
        What it printed, and how it ended.

    Raises:
        TimeoutError: it took longer.
        OSError: EFBIG: it printed more.
        OSError: it can't be run; FileNotFoundError where it is not there.
    """
    program = find_program(words[0])
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    output, output_end = os.pipe()
    errors, errors_end = os.pipe()
    try:
        try:
            process = os.posix_spawn(
                program,
                list(words),
                program_environment(variables),
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
            if memory is not None:
                _limit_memory(process, memory)
            said = _read((output, errors), time.monotonic() + limit, most)
        except BaseException:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise
        _, status = os.waitpid(process, 0)
        return Answer(os.waitstatus_to_exitcode(status), *said)
    finally:
        os.close(output)
        os.close(errors)


def _limit_memory(process: int, size: int) -> None:
    """Limit what a process that was just started may take for its data."""
    if sys.platform == "linux":  # elsewhere a process can only limit itself
        import resource

        try:
            _, most = resource.prlimit(process, resource.RLIMIT_DATA)
            size = size if most == resource.RLIM_INFINITY else min(size, most)
            resource.prlimit(process, resource.RLIMIT_DATA, (size, most))
        except OSError:  # it has ended, or changed its rights: it goes without
            return


def _read(pipes: "Sequence[int]", end: float, most: int) -> list[bytes]:
    """Return what pipes hold, read side by side: a program stops where one of them is full."""
    said = {pipe: bytearray() for pipe in pipes}
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
            if len(said[pipe]) > most:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
            if not data:
                waiting.unregister(pipe)
                left -= 1
    return [bytes(said[pipe]) for pipe in pipes]
