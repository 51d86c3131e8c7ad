"""Installs the service: ``regrow watch``, kept running by launchd on macOS, systemd on Linux.

One unit is enough: ``regrow watch`` sweeps at its start and once a day by itself.
"""

import os
import sys

from regrow.system import own_files
from regrow.system.program import find_program, program_environment
from regrow_marks import safe_read
from regrow_marks.directory import split
from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

_MODE = 0o644  # of the unit: service managers read it, and some refuse what others may write

if TYPE_CHECKING:
    import subprocess
    from typing import Protocol

    class Manager(Protocol):
        """The program that keeps a user's services running."""

        title: str
        """What people call it."""
        file: str
        """The file that describes the service."""
        log_place: str
        """Where people find the log."""
        again: str
        """The command that restarts the service."""

        @property
        def left(self) -> tuple[str, ...]:
            """The files that an installation leaves besides ``file``."""

        @property
        def made(self) -> tuple[str, ...]:
            """The directories that an installation makes, the innermost first."""

        def compose(self, words: list[str], environment: dict[str, str]) -> bytes:
            """Describe the service: a command and what its environment needs."""

        def reach(self) -> None:
            """Raise ``NoManagerError`` if it does not answer."""

        def start(self) -> None:
            """Start the service from its file, now and at each login; if it runs, anew."""

        def stop(self) -> None:
            """Stop the service, and start it no more; that it does not run is no error."""

        def forget(self) -> None:
            """Forget the service once its file is gone."""

        def state(self) -> "State":
            """Return the state of the service."""

        def log(self, count: int) -> list[str]:
            """Return the last lines of its log."""

        def advice(self) -> str:
            """Return what people should know once it is installed; empty: nothing."""


INSTALLED = "installed"
UPGRADED = "upgraded"
RESTARTED = "restarted"

MADE_BY = "made by `regrow service install`; `regrow service uninstall` takes it away"
"""Marks each file as regrow's, in case that somebody else has one of that name."""

OUTDATED = "it runs another regrow than this one, as after an upgrade"
BY_HAND = "end it, and start it again"
"""What to do about an outdated watch that no service manager runs."""

PAUSE = 30
"""Seconds after which the manager starts a watch again that has failed."""

_DIRECTORIES = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")


class ServiceError(RegrowError):
    """The service can't be installed, started or taken away."""


class NoManagerError(ServiceError):
    """No service manager answers."""


class State(NamedTuple):
    """The state of the service, as its manager reports it."""

    is_loaded: bool
    """Whether the manager knows it."""
    pid: int | None = None
    """The process that watches; None: it does not run."""
    since: str = ""
    """When that process was started, as the manager writes times."""
    detail: str = ""
    """The manager's own words for its state."""


def service_manager(platform: str = sys.platform) -> "Manager":
    """Return the service manager of a platform."""
    if platform == "darwin":
        from regrow.service.launchd import Launchd

        return Launchd()
    from regrow.service.systemd import Systemd

    return Systemd()


def install(manager: "Manager") -> str:
    """Write the service's file and start it; where it is installed, write and start it anew.

    Returns:
        ``INSTALLED``, ``UPGRADED`` (the file was another one) or ``RESTARTED`` (it was the same).

    Raises:
        NoManagerError: no manager answers.
        ServiceError: it can't be written or started. What was there before is there again.
    """
    manager.reach()
    fresh, earlier = expected(manager), current(manager)
    if earlier is not None and MADE_BY.encode() not in earlier:
        raise ServiceError(
            f"{manager.file}: regrow did not write this file, and leaves it alone: rename it, or"
            " remove it"
        )
    if fresh != earlier:
        _write(manager.file, fresh)
    try:
        manager.start()
    except ServiceError:
        if earlier is None:
            uninstall(manager)
        elif fresh != earlier:
            _write(manager.file, earlier)
            manager.start()
        raise
    if earlier is None:
        return INSTALLED
    return RESTARTED if fresh == earlier else UPGRADED


def uninstall(manager: "Manager") -> bool:
    """Stop the service and remove all that an installation made; return whether there was one.

    Raises:
        ServiceError: it can't be stopped or removed. Where no manager answers, the files are gone
            all the same.
    """
    earlier = current(manager)
    if earlier is None or MADE_BY.encode() not in earlier:
        return False
    problem = None
    try:
        manager.reach()
        manager.stop()
    except NoManagerError as error:
        problem = error
    for path in (manager.file, *manager.left):
        _remove(path)
    for path in manager.made:
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            break  # others keep something there
    if problem is not None:
        raise ServiceError(
            f"{manager.file}: it is removed, and what runs goes on until it is ended: {problem}"
        )
    manager.forget()
    return True


def current(manager: "Manager") -> bytes | None:
    """Return the service's file; None where there is none. Raises ServiceError."""
    try:
        return safe_read.read(os.path.realpath(manager.file))
    except OSError as error:
        raise ServiceError(f"{manager.file}: {in_words(error)}") from error
    except safe_read.UnsafeFileError as error:
        raise ServiceError(f"{manager.file}: {error.why}") from error


def expected(manager: "Manager") -> bytes:
    """Return what the service's file would be now. Raises ServiceError."""
    return manager.compose(command(), environment())


def command() -> list[str]:
    """Return the command of the service: this interpreter and this regrow, not searched on PATH."""
    # -P: a regrow.py in the directory where the manager starts it is not ours.
    return [sys.executable, "-P", "-m", "regrow", "watch"]


def environment() -> dict[str, str]:
    """Return the variables that ``regrow watch`` needs, whatever shell it is installed from.

    Managers start services with a PATH of their own, which need not lead to git.
    """
    git = find_program("git")
    directories = [os.path.dirname(os.path.abspath(git))] if git else []
    directories += (place for place in _DIRECTORIES if place not in directories)
    found = {"PATH": ":".join(directories)}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        if os.environ.get(name, "").startswith("/"):
            found[name] = os.environ[name]
    return found


def ask(*words: str, limit: float) -> "subprocess.CompletedProcess[str]":
    """Run a program of the manager's, and return its answer in English.

    Args:
        words: the program and its arguments.
        limit: the seconds after which it is killed.

    Raises:
        NoManagerError: it is not installed.
        ServiceError: it can't be run, or takes longer.
    """
    import subprocess

    try:
        return subprocess.run(
            words,
            env=program_environment() | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
        )
    except FileNotFoundError as error:
        raise NoManagerError(f"{words[0]} is not installed here") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{words[0]}: {error}") from error


def _write(path: str, data: bytes) -> None:
    """Write a file, and make its directory where it is missing. Raises ServiceError."""
    try:
        own_files.make_directory(split(path)[0])
        own_files.replace_at(path, [data], _MODE, is_synced=True)
    except OSError as error:
        raise ServiceError(f"{path}: it can't be written: {in_words(error)}") from error


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ServiceError(f"{path}: it can't be removed: {in_words(error)}") from error
