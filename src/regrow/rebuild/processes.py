"""Runs the tools of a rebuild: output into a log, a time limit, and an end for all of them."""

import os
import signal
import subprocess
import sys
import threading
import time

from regrow.errors import RegrowError, in_words
from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE = 5.0  # seconds that a tool has to end when it is told to
_NOT_SET = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
"""Variables that would lead a tool to another environment than the one it is given."""


class StepError(RegrowError):
    """A step of a rebuild failed; the text says which and how."""


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
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_stopped = False

    def run(self, words: "Sequence[str]", directory: str, log: int, held: "Sequence[int]") -> None:
        """Run one tool to its end.

        Args:
            words: the command.
            directory: where it is run.
            log: the descriptor that takes what it prints.
            held: descriptors that it inherits: the locks that tell others it is at work, even
                where we are killed.

        Raises:
            StepError: it can't be run, fails, takes too long, or was ended.
        """
        os.write(log, f"\n$ {' '.join(words)}\n".encode(errors="backslashreplace"))
        variables = {name: value for name, value in os.environ.items() if name not in _NOT_SET}
        with self._lock:
            if self._is_stopped:
                raise InterruptedError("interrupted")
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
                raise StepError(f"{words[0]} can't be run: {in_words(error)}") from error
            self._running.add(process)
        try:
            code = process.wait(self._limit)
        except subprocess.TimeoutExpired:
            raise StepError(
                f"{words[0]} took longer than {self._limit / 60:.0f} minutes (--timeout) and was"
                " ended"
            ) from None
        finally:
            self._end(process)
            with self._lock:
                self._running.discard(process)
        if self._is_stopped:
            raise InterruptedError("interrupted")
        if code < 0:
            raise StepError(f"{words[0]} was ended by {signal.Signals(-code).name}")
        if code != 0:
            raise StepError(f"{words[0]} failed (exit code {code})")

    def stop(self) -> None:
        """End all that run, and start none any more."""
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End a tool and what it left running in its session."""
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            deadline = time.monotonic() + _PATIENCE
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended meanwhile
