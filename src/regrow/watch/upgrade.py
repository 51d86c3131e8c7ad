"""Replaces a running watch by the regrow that was installed in its place meanwhile.

Loaded modules stay as they were, and what is imported later comes from the new files: the process
would mix two versions. It is replaced in place, since a watch that was started by crontab or a
login script has no manager that would start it again.
"""

import os
import signal
import sys
import time
from hashlib import blake2b

import regrow
import regrow_marks
from regrow.errors import WatchError
from regrow.system.cache import DIGEST_SIZE
from regrow.system.program import ask_program
from regrow_marks.directory import join
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# All in seconds.
_BETWEEN = 60 * 60.0  # two looks, where nothing has changed
_SETTLED = 60.0  # without a change, after which an installation counts as complete
_PATIENCE = 60.0  # for the new one's answer; it needs a tenth of one


def code() -> str:
    """Return a digest of this regrow's files as they are installed now.

    Their times would not do: uv links one file into every environment that has regrow, and each
    of these links changes the ctime of them all.

    Returns:
        The digest; empty if they can't be read because they are being replaced.
    """
    digest = blake2b(digest_size=DIGEST_SIZE)
    try:
        for place in (*regrow.__path__, *regrow_marks.__path__):
            for directory, below, names in os.walk(place):
                below[:] = sorted(name for name in below if name != "__pycache__")
                for name in sorted(names):
                    path = join(directory, name)
                    with open(path, "rb") as file:
                        content = file.read()
                    digest.update(os.fsencode(f"{path.removeprefix(place)}\0{len(content)}\0"))
                    digest.update(content)
    except OSError:
        return ""
    return digest.hexdigest()


class Upgrade:
    """Compares the installed code with the running one, at most once an hour."""

    def __init__(self, tell: "Callable[[str], None]") -> None:
        """Take note of the code that runs.

        Args:
            tell: called with a sentence about what becomes of an upgrade.
        """
        self._tell = tell
        self.running = code()
        """The code that runs, as ``code`` returns it."""
        self.is_ready = False
        """Whether the regrow that is installed is to take over."""
        self.due = float("inf")
        """When the next look is due by itself, as ``time.monotonic`` counts."""
        self._seen = self._considered = self.running
        self._next = time.monotonic() + _BETWEEN

    def look(self) -> bool:
        """Look at what is installed, if a look is due, and return ``is_ready``.

        An installation that changes between two looks is half-done: it is looked at again.
        """
        if time.monotonic() < self._next:
            return False
        installed = code()
        is_settled, self._seen = installed == self._seen, installed
        is_new = installed not in (self.running, self._considered)
        if is_new and not is_settled:
            self._next = self.due = time.monotonic() + _SETTLED
            return False
        self._next, self.due = time.monotonic() + _BETWEEN, float("inf")
        if is_new:
            self._considered = installed
            self.is_ready = self._consider()
        return self.is_ready

    def _consider(self) -> bool:
        """Return whether the new one is to take over; at a terminal, its owner is only informed."""
        if sys.stdout.isatty() or sys.stderr.isatty():
            self._tell("another regrow was installed; end this watch and start it again to use it")
            return False
        problem = _problem()
        if problem:
            self._tell(f"another regrow was installed, and this one goes on watching: {problem}")
            return False
        self._tell("another regrow was installed, and goes on watching")
        return True


def _command() -> list[str]:
    """Return the words that started this process, with the interpreter's path."""
    return [sys.executable, *sys.orig_argv[1:]]


def _problem() -> str:
    """Return why the regrow that is installed can't take over; empty if it can."""
    words = [*_command(), "--help"]  # it imports all that a watch needs
    try:
        answer = ask_program(words, _PATIENCE)
    except TimeoutError:
        return f"{sys.executable} does not answer"
    except OSError as error:
        return f"{sys.executable} can't be started: {in_words(error)}"
    if answer.code != 0:
        said = answer.errors.decode(errors="replace").strip().splitlines()
        said = said or [f"exit code {answer.code}"]
        return f"it does not start: {said[-1].removeprefix('regrow: ')}"
    return ""


def go_on() -> None:
    """Execute the regrow that is installed in this process, which keeps its number.

    The kernel closes everything that is open at that moment, the lock included.

    Raises:
        WatchError: it can't be started.
    """
    # Until its handler is set, a SIGHUP would end it. It reads the configuration anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        os.execv(sys.executable, _command())  # noqa: S606 - the words that started this process
    except OSError as error:
        raise WatchError(f"{sys.executable}: it can't be started: {in_words(error)}") from error
