"""``regrow watch``: what appears in the start directories is marked within a second."""

import argparse
import contextlib
import fcntl
import os
import signal
import sys

from regrow import config, rules
from regrow.cli.output import complain, parser, print_json, show
from regrow.directory import split
from regrow.errors import RecordError, RegrowError, in_words
from regrow.model import ALREADY_MARKED, FAILED, MARKED, UNMARKED, VANISHED, Result
from regrow.plain import TYPE_CHECKING
from regrow.records import Store, directory_path
from regrow.watch import watcher
from regrow.watch.loop import Watch, is_of_interest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOCK = "watch.lock"
"""Beside the records: held by the one that watches, with its process number inside."""

LIMIT = (
    "the kernel watches no more directories for you; until then they are swept every ten minutes."
    " Raise the limit: sysctl fs.inotify.max_user_watches=1048576 (and in /etc/sysctl.d)"
)


class AnotherWatchesError(RegrowError):
    """There is a watch of this user already."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "watch",
        "Watch the start directories: what appears is decided about, recorded and marked as by"
        " `regrow sweep`, within a second. Everything is swept at the start, and once a day. Runs"
        " until it is ended (SIGTERM, Ctrl-C); SIGHUP makes it read the configuration again."
        " `regrow service install` has it run always.",
        "  regrow watch\n  regrow watch ~/code\n  regrow watch --json ~/code | jq .path",
    )
    made.add_argument("directory", nargs="*", metavar="DIRECTORY", help="default: as configured")
    made.add_argument("--json", action="store_true", help="print a line of JSON for each change")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    report = _report_as_json if options.json else _report
    with Store() as store, only_one(), _Signals() as signals:
        while not signals.is_ended:
            signals.is_reloading = False
            configuration = config.read()
            in_force = rules.in_force(configuration, config.path())
            start = _start(options.directory or configuration.start)
            watch = Watch(start, configuration, in_force, store, report, _tell_limit)
            store.remove_leftovers()
            changes = watcher(start, is_of_interest(in_force), signals.wake)
            with contextlib.closing(changes):
                watch.run(changes, signals.is_due)
    return 0


def _start(places: "Iterable[str]") -> list[str]:
    found = []
    for place in places:
        path = os.path.realpath(os.path.expanduser(place))
        if os.path.isdir(path):
            found.append(path)
        else:
            complain(f"{place}: it is no directory, and is not watched")
    return found


def _tell_limit(count: int) -> None:
    complain(f"{count:,} directories are not watched: {LIMIT}")


class _Signals:
    """Ends and reloads at the next wait, never in the middle of a mark. A context manager."""

    def __init__(self) -> None:
        self.is_ended = False
        self.is_reloading = False
        self.wake, self._write = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> "_Signals":
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, self._reload)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)

    def is_due(self) -> bool:
        """Tell whether the present watch has to end; what has woken it is read."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)
        return self.is_ended or self.is_reloading

    def _end(self, *_: object) -> None:
        self.is_ended = True

    def _reload(self, *_: object) -> None:
        self.is_reloading = True


@contextlib.contextmanager
def only_one() -> "Iterator[None]":
    """Hold the lock of the one that watches for this user.

    Raises:
        AnotherWatchesError: another process holds it.
        RecordError: the lock can't be made.
    """
    path = lock_path()
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RecordError(f"{path}: {in_words(error)}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            number = os.read(fd, 32).decode(errors="replace").strip()
            raise AnotherWatchesError(
                f"another regrow watches already (process {number}); `regrow service status` tells"
                " more"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def lock_path() -> str:
    """Say where the lock is: beside the records."""
    return os.path.join(split(directory_path())[0], LOCK)


def _report(result: Result) -> None:
    path = result.decision.candidate.path
    if result.outcome == FAILED:
        complain(result.problem)
    elif result.outcome == MARKED:
        print(f"marked  {show(path)}  ({result.decision.candidate.rule.name})", flush=True)
    elif result.outcome == UNMARKED:
        print(f"taken back  {show(path)}  {show(result.decision.reason)}", flush=True)


def _report_as_json(result: Result) -> None:
    if result.outcome in (ALREADY_MARKED, VANISHED):
        return
    decision = result.decision
    print_json(
        {
            "path": decision.candidate.path,
            "rule": decision.candidate.rule.name,
            "outcome": result.outcome,
            "reason": decision.reason or None,
            "error": result.problem if result.outcome == FAILED else None,
        }
    )
    sys.stdout.flush()
