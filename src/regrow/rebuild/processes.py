"""Runs the tools of a rebuild: output into a log, a time limit, and an end for all of them."""

import os
import signal
import subprocess
import sys
import threading
import time

from regrow.system.program import program_environment
from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 5.0  # seconds that a tool has to end when it is told to
_EVERY = 0.1  # seconds between two looks whether the user has ended the rebuild
_NOT_SET = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
"""Variables that would lead a tool to another environment than the one it is given."""


class StepError(RegrowError):
    """A step of a rebuild failed; the text says which and how."""


class ToolFailedError(StepError):
    """A tool can't be run, or says itself that it failed."""


class InterruptedError(StepError):  # noqa: A001 - within this module's name
    """The user ended the rebuild."""


def logs_directory() -> str:
    """Say where logs are kept: ``~/Library/Logs/regrow`` on macOS, else in the state directory.

    That is ``$XDG_STATE_HOME/regrow``, else ``~/.local/state/regrow``.
    """
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Logs/regrow")
    base = os.environ.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.local/state")
    return os.path.join(base, "regrow")


class Processes:
    """The tools that run now; several threads may start some, and one ends them all."""

    def __init__(self, limit: float) -> None:
        """Begin with none.

        Args:
            limit: seconds that a single tool may take.
        """
        self._limit = limit
        self._stopped = threading.Event()

    def run(self, words: "Sequence[str]", directory: str, log: int, held: "Sequence[int]") -> None:
        """Run one tool to its end; what it leaves running in its session is ended as well.

        Args:
            words: the command.
            directory: where it is run.
            log: the descriptor that takes what it prints.
            held: descriptors that it inherits: the locks that tell others it is at work, even
                where we are killed.

        Raises:
            InterruptedError: the user ended the rebuild.
            ToolFailedError: it can't be run, or fails.
            StepError: it takes too long, or there is no room for its log.
        """
        self.check()
        try:
            os.write(log, f"\n$ {' '.join(words)}\n".encode(errors="backslashreplace"))
        except OSError as error:
            raise StepError(f"its log can't be written: {in_words(error)}") from error
        variables = program_environment()
        for name in _NOT_SET:
            variables.pop(name, None)
        try:
            process = subprocess.Popen(
                list(words),
                cwd=directory,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # with all that it starts, it can be ended
                pass_fds=tuple(held),
            )
        except OSError as error:
            raise ToolFailedError(f"{words[0]} can't be run: {in_words(error)}") from error
        try:
            code = self._wait(process)
        finally:
            _end(process)
        self.check()
        if code is None:
            raise StepError(
                f"{words[0]} took longer than {self._limit / 60:g} minutes (--timeout) and was"
                " ended"
            )
        if code < 0:
            raise ToolFailedError(f"{words[0]} was ended by a signal: {signal.strsignal(-code)}")
        if code != 0:
            raise ToolFailedError(f"{words[0]} failed (exit code {code})")

    def stop(self) -> None:
        """End all that run, and start none any more."""
        self._stopped.set()

    def check(self) -> None:
        """Raise InterruptedError if the user has ended the rebuild."""
        if self._stopped.is_set():
            raise InterruptedError("interrupted")

    def _wait(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Wait for a tool's exit code; None: it takes too long, or has to end."""
        deadline = time.monotonic() + self._limit
        while not self._stopped.is_set() and time.monotonic() < deadline:
            try:
                return process.wait(_EVERY)
            except subprocess.TimeoutExpired:
                continue
        return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a tool, and what it left running in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE
        is_left = _signal(process, number)
        while is_left and time.monotonic() < deadline:
            time.sleep(_EVERY / 5)
            process.poll()  # once it has ended, it is no member of its group any more
            is_left = _signal(process, 0)
        if not is_left:
            break
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Send a signal to a tool's process group; tell whether it has a member."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # on macOS the latter, if all have ended
        return False
    return True
