"""Runs a command as if it had been started directly: signals, terminal and exit are its own."""

import errno
import os
import signal
import sys

from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A terminal sends these to the whole foreground process group, the command included.
_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
# Sent to us alone, as by kill, timeout or a service manager; the command is to get them.
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Whoever touches the terminal from the background has the whole group stopped: we stop after it.
_OF_THE_BACKGROUND = (signal.SIGTTIN, signal.SIGTTOU)
_OURS = (*_FROM_THE_TERMINAL, *_PASSED_ON, *_OF_THE_BACKGROUND)
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
    before = {number: signal.getsignal(number) for number in _OURS}
    # What was ignored when we were started (nohup) stays ignored.
    default = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A signal that comes while the command is being started waits until there is one to get it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
    try:
        pid = _spawn(words, default, mask)
        for number in default:
            signal.signal(number, _handler(number, pid))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return _wait(pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _spawn(words: "Sequence[str]", default: "Sequence[int]", mask: "Iterable[int]") -> int:
    def spawn(name: str, words: "Sequence[str]") -> int:
        return os.posix_spawnp(
            name,
            list(words),
            os.environ,
            setsigdef=[*default, *_IGNORED_BY_PYTHON],
            setsigmask=mask,
        )

    try:
        if not words[0]:
            raise FileNotFoundError(errno.ENOENT, "")  # Python calls it a wrong value
        try:
            return spawn(words[0], words)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            from regrow.system.program import find_program

            # A script without #! is the shell's, as execvp has it; glibc's posix_spawnp has not.
            return spawn("/bin/sh", ["sh", find_program(words[0]) or words[0], *words[1:]])
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else 126  # as POSIX shells do
        raise NotStartedError(f"{words[0] or repr('')}: {in_words(error)}", code) from error


def _handler(number: int, pid: int) -> "signal._HANDLER":
    """Return what we do with a signal while the command runs."""

    def pass_on(number: int, _: object) -> None:
        _send(pid, number)

    def pass_on_unless_terminal(number: int, _: object) -> None:
        if not _is_in_foreground():
            _send(pid, number)

    if number in _PASSED_ON:
        return pass_on
    return signal.SIG_IGN if number in _OF_THE_BACKGROUND else pass_on_unless_terminal


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it has ended this moment, or is another user's (sudo), who gets no signals of ours


def _wait(pid: int) -> int:
    _, status = os.waitpid(pid, os.WUNTRACED)
    while os.WIFSTOPPED(status):
        terminal = _terminal()
        if terminal is not None:  # else no shell is there that would let us go on
            os.close(terminal)
            _stop(os.WSTOPSIG(status))
            # Whoever let us go on has mostly let the command go on, too: by now it may have been
            # stopped again, and another signal of ours would undo that.
            changed, status = os.waitpid(pid, os.WUNTRACED | os.WCONTINUED | os.WNOHANG)
            if not changed:
                _send(pid, signal.SIGCONT)
            elif not os.WIFCONTINUED(status):
                continue
        _, status = os.waitpid(pid, os.WUNTRACED)
    return status


def _stop(number: int) -> None:
    """Stop ourselves by a signal until we are told to go on; the shell says by which one."""
    if number == signal.SIGSTOP:
        os.kill(os.getpid(), number)
        return
    handler = signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether a terminal sends its signals to our process group."""
    terminal = _terminal()
    if terminal is None:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _terminal() -> int | None:
    """Open the terminal that we belong to, if there is one."""
    try:
        return os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def exit_as(status: int) -> int:
    """End as a command did, by its wait status: by the same signal, or return its exit code."""
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    import resource

    number = os.WTERMSIG(status)
    sys.stdout.flush()
    # The command has left its core. 1 byte is too little for a second one, and tells Linux not to
    # start a collector of cores (core(5)), which 0 does not.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # as a shell says it, where the signal is blocked
