"""Runs the commands of a rebuild: with a log, a time limit, and an end of all at once."""

import os
import signal
import subprocess
import threading
import time

from regrow.system.program import find_program, program_environment
from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.rebuild.command import Command

_PATIENCE = 5.0  # seconds that a tool has to end when it is told to
_INTERVAL = 0.1  # seconds between two looks whether the user has ended the rebuild
_NOT_SET = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"),
    "UV_VENV_SEED",
)
"""Variables that would lead a tool to another environment than the one it is given, or have it
install more than it is told."""


class StepError(RegrowError):
    """A step of a rebuild failed; the text says which and how."""


class ToolFailedError(StepError):
    """A tool can't be run, says itself that it failed, or made nothing."""


class UserInterruptError(StepError):
    """The user ended the rebuild."""


class Processes:
    """The commands that are running. Each thread may run one; ``stop`` ends them all."""

    def __init__(self, limit: float) -> None:
        """Begin with none; *limit* is in seconds, for each command."""
        self._limit = limit
        self._stopped = threading.Event()

    def run(self, command: "Command", log: int) -> None:
        """Run one command to its end; what it leaves running in its session is ended as well.

        The descriptor *log* takes its text and what it prints. It inherits that, and so the lock
        which tells others that it is at work, even where we are killed.

        Raises:
            UserInterruptError: the user ended the rebuild.
            ToolFailedError: it can't be run, or fails.
            StepError: it takes too long, or there is no room for its log.
        """
        self.check()
        try:
            os.write(log, f"\n$ {command.text()}\n".encode(errors="backslashreplace"))
        except OSError as error:
            raise StepError(f"its log can't be written: {in_words(error)}") from error
        name = command.argv[0]
        with command.runnable() as argv:
            code = self._run(argv, command.cwd, log)
        self.check()
        if code is None:
            minutes = f"{self._limit / 60:g} minutes"
            raise StepError(f"{name} took longer than {minutes} (--timeout) and was ended")
        if code < 0:
            raise ToolFailedError(f"{name} was ended by a signal: {signal.strsignal(-code)}")
        if code != 0:
            raise ToolFailedError(f"{name} failed (exit code {code})")

    def _run(self, argv: "Sequence[str]", cwd: str, log: int) -> int | None:
        """Run a program; returns its exit code, or None if it took too long or has to end."""
        variables = program_environment()
        for name in _NOT_SET:
            variables.pop(name, None)
        try:
            process = subprocess.Popen(
                argv,
                executable=find_program(argv[0]),
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # with all that it starts, it can be ended
            )
        except OSError as error:
            raise ToolFailedError(f"{argv[0]} can't be run: {in_words(error)}") from error
        try:
            return self._wait(process)
        finally:
            _end(process)

    def stop(self) -> None:
        """End all that are running, and start none any more."""
        self._stopped.set()

    def check(self) -> None:
        """Raise UserInterruptError if the user has ended the rebuild."""
        if self._stopped.is_set():
            raise UserInterruptError("interrupted")

    def _wait(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Wait for a tool's exit code; None: it takes too long, or has to end."""
        deadline = time.monotonic() + self._limit
        while not self._stopped.is_set() and time.monotonic() < deadline:
            try:
                return process.wait(_INTERVAL)
            except subprocess.TimeoutExpired:
                continue
        return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a tool, and what it left running in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE
        is_left = _signal(process, number)
        while is_left and time.monotonic() < deadline:
            time.sleep(_INTERVAL / 5)
            process.poll()  # once it has ended, it is no member of its group any more
            is_left = _signal(process, 0)
        if not is_left:
            break
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Send a signal to a tool's process group; returns whether it has a member."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # on macOS the latter, if all have ended
        return False
    return True
