"""Runs a command as if it had been started directly: signals, terminal and exit are its own."""

import errno
import os
import signal
import sys

from regrow.errors import RegrowError, in_words
from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A terminal sends these to the whole foreground process group, the command included.
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
# Sent to us alone, as by kill, timeout or a service manager; the command is to get them.
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_OF_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class NotStartedError(RegrowError):
    """The command can't be started; ``code`` is what a shell would exit with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(words: "Sequence[str]") -> int:
    """Run a command and wait for its end.

    It stands in our process group, so that the terminal treats it as if we were not there. When it
    stops (Ctrl-Z) we stop, so that the shell notices; when we go on, it does.

    Args:
        words: the command and its arguments.

    Returns:
        The wait status, as ``os.waitpid`` gives it.

    Raises:
        NotStartedError: it is not there, or can't be executed.
    """
    ours = [*_FROM_THE_TERMINAL, *_PASSED_ON, *_OF_JOB_CONTROL]
    before = {number: signal.getsignal(number) for number in ours}
    # What was ignored when we were started (nohup) stays ignored.
    default = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        pid = os.posix_spawnp(
            words[0], list(words), os.environ, setsigdef=[*default, *_IGNORED_BY_PYTHON]
        )
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else 126  # as POSIX shells do
        raise NotStartedError(f"{words[0]}: {in_words(error)}", code) from error

    def pass_on(number: int, _: object) -> None:
        os.kill(pid, number)

    def pass_on_unless_terminal(number: int, _: object) -> None:
        if not _is_in_foreground():
            os.kill(pid, number)

    for number in default:
        if number in _PASSED_ON:
            signal.signal(number, pass_on)
        elif number in _FROM_THE_TERMINAL:
            signal.signal(number, pass_on_unless_terminal)
        else:
            signal.signal(number, signal.SIG_IGN)
    try:
        return _wait(pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(pid: int) -> int:
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        os.kill(os.getpid(), signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)


def _is_in_foreground() -> bool:
    """Tell whether a terminal sends its signals to our process group."""
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False  # no terminal
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)


def exit_as(status: int) -> int:
    """End as a command did: by the same signal, or with the exit code that is returned.

    Args:
        status: the wait status.
    """
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    import resource

    number = os.WTERMSIG(status)
    sys.stdout.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # as a shell says it, where the signal is blocked
