"""``regrow watch``: what appears in the start directories is marked within a second."""

import argparse
import contextlib
import os
import signal
import sys

from regrow import config
from regrow.cli.output import complain, parser, print_json, show
from regrow.decide.guards import Circumstances
from regrow.errors import ConfigurationError, RecordError, WatchError
from regrow.model import Result
from regrow.programs.export.fresh import Fresh
from regrow.records.store import Store
from regrow.rules import loader
from regrow.system import own_files
from regrow.watch import lock, upgrade
from regrow.watch.loop import Watch
from regrow.watch.reporter import Reporter
from regrow.watch.source import is_of_interest, watcher
from regrow.watch.upgrade import Upgrade
from regrow_marks.errors import in_words
from regrow_marks.model import FAILED, MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.config import Configuration
    from regrow.model import Rule


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
    """Run the command; returns its exit code: 0 where SIGTERM has ended it."""
    options = arguments().parse_args(words)
    report = _report_as_json if options.json else _report
    settings = _settings(options.directory)
    installed = Upgrade(complain)
    with Store() as store, only_one(installed.running), _Signals() as signals:
        store.remove_leftovers()
        try:
            while True:
                watch = Watch(
                    *settings,
                    store,
                    Reporter(report, complain),
                    Fresh(settings.configuration, store.path, complain),
                    installed,
                )
                changes = watcher(
                    settings.start, is_of_interest(settings.active_rules), signals.wake
                )
                with contextlib.closing(changes):
                    watch.run(changes, signals.is_reloading, signals.held)
                if installed.is_ready:
                    upgrade.go_on()
                try:
                    settings = _settings(options.directory)
                except ConfigurationError as error:
                    complain(f"{error}; what was read before holds on")
        except KeyboardInterrupt:
            if signals.is_terminated:
                return 0
            raise


class _Settings(NamedTuple):
    start: list[str]
    configuration: "Configuration"
    active_rules: "tuple[Rule, ...]"


def _settings(places: "Sequence[str]") -> _Settings:
    """Read the configuration and check all of it. Raises ConfigurationError."""
    configuration = config.read()
    active_rules = loader.active_rules(configuration, config.path())
    Circumstances(start=(), keep=configuration.keep)  # it refuses patterns that are none
    start = [os.path.realpath(os.path.expanduser(place)) for place in places or configuration.start]
    return _Settings(start, configuration, active_rules)


class _Signals:
    """Ends a watch between two marks, and lets it read its settings again. A context manager."""

    def __init__(self) -> None:
        self.is_terminated = False
        self._is_ending = False
        self._is_held = False
        self._is_reloading = False
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

    def is_reloading(self) -> bool:
        """Return, once, whether the settings are to be read again, and empty the wake-up pipe.

        Raises:
            KeyboardInterrupt: it is to end, and whoever was interrupted has kept that to itself.
        """
        if self._is_ending:
            raise KeyboardInterrupt
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)
        asked, self._is_reloading = self._is_reloading, False
        return asked

    @contextlib.contextmanager
    def held(self) -> "Iterator[None]":
        """Put off the end until this ``with`` block is done."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_ending:
            raise KeyboardInterrupt

    def _end(self, number: int, _: object) -> None:
        is_first = not self._is_ending
        self._is_ending = True
        self.is_terminated = self.is_terminated or number == signal.SIGTERM
        if is_first and not self._is_held:
            raise KeyboardInterrupt

    def _reload(self, *_: object) -> None:
        self._is_reloading = True


@contextlib.contextmanager
def only_one(code: str) -> "Iterator[None]":
    """Hold the lock of the one that watches for this user.

    Args:
        code: what code this process runs, for those who ask.

    Raises:
        WatchError: another process holds it.
        RecordError: the lock can't be made.
    """
    path = lock.path()
    try:
        fd = own_files.create(path, os.O_RDWR)
    except OSError as error:
        raise RecordError(f"{path}: {in_words(error)}") from error
    try:
        if not own_files.try_lock(fd):
            number = os.read(fd, 32).partition(b"\n")[0].decode(errors="replace")
            raise WatchError(
                f"another regrow watches already (process {number}); `regrow service status` shows"
                " more"
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, lock.content(code), 0)
        yield
    finally:
        os.close(fd)


def _report(result: Result) -> None:
    path = result.decision.candidate.path
    if result.outcome == FAILED:
        complain(result.problem)
    elif result.outcome == MARKED:
        print(f"marked  {show(path)}  ({result.decision.candidate.rule.name})", flush=True)
    elif result.outcome == UNMARKED:
        print(f"taken back  {show(path)}  {show(result.decision.reason)}", flush=True)
    for note in result.notes:
        complain(f"{path}: {note}")


def _report_as_json(result: Result) -> None:
    if result.outcome not in (MARKED, UNMARKED, FAILED) and not result.notes:
        return
    decision = result.decision
    print_json(
        {
            "path": decision.candidate.path,
            "rule": decision.candidate.rule.name,
            "outcome": result.outcome,
            "reason": decision.reason or None,
            "error": result.problem if result.outcome == FAILED else None,
            **({"notes": list(result.notes)} if result.notes else {}),
        }
    )
    sys.stdout.flush()
