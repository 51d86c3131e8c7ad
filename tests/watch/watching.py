"""What the tests of the watcher share: a watch in a thread, one in a process, and what must hold.

Both are hurried: what takes a minute for people takes a second here.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pytest

from regrow import config
from regrow.config import Configuration
from regrow.decide import withdraw
from regrow.model import Record, Result
from regrow.programs.export.fresh import Fresh
from regrow.records.format import MARKED
from regrow.records.store import Identity, Store, identity_of
from regrow.rules import loader
from regrow.watch import loop, recursive, source, waiting
from regrow.watch.recursive import Recursive
from regrow.watch.reporter import Reporter
from regrow.watch.upgrade import Upgrade
from regrow_marks.directory import open_directory
from tests.hostile.helpers import has_attribute
from tests.sweeping import Inside

if TYPE_CHECKING:
    from regrow.watch.source import Watcher

PATIENCE = 60.0
"""Seconds until something that must happen counts as not happening: machines may be busy."""

HURRIED = {
    loop: {"_ABSENT": 0.1, "_BREATH": 0.2},
    waiting: {"QUIET": 0.15, "LOOK": 0.05, "SOON": 0.3},
}
QUIET = 0.7

HURRY = f"""
import sys
from regrow.decide import withdraw
from regrow.cli.main import main
from regrow.watch import loop, recursive, source, waiting
withdraw.QUIET = {QUIET}
vars(loop).update({HURRIED[loop]})
vars(waiting).update({HURRIED[waiting]})
sys.exit(main(sys.argv[1:]))
"""


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process' watches and sweeps wait for seconds only."""
    monkeypatch.setattr(withdraw, "QUIET", QUIET)
    for module, constants in HURRIED.items():
        for name, seconds in constants.items():
            monkeypatch.setattr(module, name, seconds)
    monkeypatch.setattr(recursive, "_TIMEOUT", 100)


def eventually(condition: Callable[[], object], what: Callable[[], object] | None = None) -> None:
    """Wait until a condition holds; *what* tells how it is instead, when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"it never held: {what() if what else condition.__name__}")
        time.sleep(0.02)


Choice = Callable[[Sequence[str], Callable[[str], bool], int], "Watcher"]


class InThread:
    """A watch in a thread of this process. A context manager."""

    def __init__(
        self,
        start: Sequence[Path],
        choose: Choice = source.watcher,
        configuration: Configuration | None = None,
    ) -> None:
        self.results: list[Result] = []
        self.told: list[str] = []
        self._configuration = configuration or Configuration()
        self._start = [str(path) for path in start]
        self._wake, self._waking = os.pipe()
        self._is_ended = False
        self._error: BaseException | None = None
        active_rules = loader.active_rules(self._configuration, config.path())
        self.watcher = choose(self._start, source.is_of_interest(active_rules), self._wake)
        self._active_rules = active_rules
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            with Store() as store:
                fresh = Fresh(self._configuration, store.path, self.told.append)
                self.loop = loop.Watch(
                    self._start,
                    self._configuration,
                    self._active_rules,
                    store,
                    Reporter(self.results.append, self.told.append),
                    fresh,
                    Upgrade(self.told.append),
                )
                self.loop.run(self.watcher, lambda: self._is_ended)
        except BaseException as error:  # noqa: BLE001 - it is raised where the watch ends
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_ended = True
        os.write(self._waking, b"x")
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.watcher.close()
        os.close(self._wake)
        os.close(self._waking)
        if self._error is not None:
            raise self._error

    @property
    def watched(self) -> frozenset[str]:
        """What is watched at this moment."""
        while True:
            with contextlib.suppress(RuntimeError):  # it changed while it was read
                return frozenset(self.watcher.watched)  # type: ignore[call-overload, no-any-return]


def polling(start: Sequence[str], is_of_interest: Callable[[str], bool], _: int) -> "Watcher":
    """Stand in for macOS: watchfiles compares what is there with what was."""
    return Recursive(start, is_of_interest, force_polling=True)


def native(start: Sequence[str], is_of_interest: Callable[[str], bool], _: int) -> "Watcher":
    """Stand in for macOS: watchfiles with what this system has."""
    return Recursive(start, is_of_interest, force_polling=False)


class Process:
    """A ``regrow watch`` as a process of its own. A context manager."""

    def __init__(self, *words: str | Path, program: str = HURRY, **more: Any) -> None:
        # Files: a pipe that nobody reads would hold it up.
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._err = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "watch", *map(str, words)],
            stdin=subprocess.DEVNULL,
            **{"stdout": self._out, "stderr": self._err, **more},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self._out.close()
        self._err.close()

    @property
    def out(self) -> bytes:
        """What it has printed so far."""
        return os.pread(self._out.fileno(), 1 << 24, 0)

    @property
    def err(self) -> bytes:
        """What it has complained of so far."""
        return os.pread(self._err.fileno(), 1 << 24, 0)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of JSON printed so far."""
        return [json.loads(line) for line in self.out.rpartition(b"\n")[0].splitlines()]

    def says(self, text: str) -> bool:
        """Tell whether it has printed something by now."""
        return text.encode() in self.out + self.err

    def is_running(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; gives the exit code."""
        self.send(number)
        return self.process.wait(PATIENCE)


def marked_below(*places: Path) -> set[str]:
    """Give every directory on disk that carries the mark; what is inside one is looked at, too."""
    return {parent for place in places for parent, _, _ in os.walk(place) if has_attribute(parent)}


def records_by_path() -> dict[str, Record]:
    found = {}
    with Store() as store:
        for record in store.all():
            assert isinstance(record, Record), record
            found[record.path] = record
    return found


def assert_each_is_recorded_as_set(*places: Path) -> None:
    """Check that some record says of each marked directory that regrow has set its mark.

    Where a directory was moved meanwhile, that may be the record of its earlier place.
    """
    known = {
        Identity(record.inode, record.born)
        for record in records_by_path().values()
        if "xdg-robots" in record.set
    }
    for path in marked_below(*places):
        with open_directory(path) as directory:
            assert identity_of(directory.fd) in known, f"{path} is marked without a record"


class Comparison:
    """A sweep's word, the marks on disk, and the records, side by side."""

    def __init__(self, *places: Path) -> None:
        done = Inside()("sweep", "--dry-run", "--json", *places)
        planned = [json.loads(line) for line in done.stdout.splitlines()]
        by_decision: dict[str, set[str]] = {}
        for line in planned:
            exact = b64decode(line["path_b64"]) if "path_b64" in line else line["path"]
            by_decision.setdefault(line["decision"], set()).add(os.fsdecode(exact))
        self.to_do = {
            decision: paths
            for decision, paths in by_decision.items()
            if decision not in ("keep", "marked already", "unreadable")
        }
        self.sweep = by_decision.get("marked already", set())
        self.disk = marked_below(*places)
        known = records_by_path()
        self.unrecorded = {
            path for path in self.disk if path not in known or known[path].state != MARKED
        }

    @property
    def agrees(self) -> bool:
        return not self.to_do and self.sweep == self.disk and not self.unrecorded

    def __str__(self) -> str:
        differences = {
            **{f"a sweep would still {decision}": paths for decision, paths in self.to_do.items()},
            "the sweep alone": self.sweep - self.disk,
            "the disk alone": self.disk - self.sweep,
            "not recorded": self.unrecorded,
        }
        return f"{len(self.disk)} are marked; " + "; ".join(
            f"{what} {len(paths)}: {sorted(paths)[:3]}" for what, paths in differences.items()
        )


def agrees_with_a_sweep(*places: Path, count: int | None = None) -> None:
    """Wait until what was marked is what a sweep would mark, each with a complete record.

    Args:
        places: where to look.
        count: how many directories are marked then.
    """
    eventually(lambda: _is_agreed(Comparison(*places), count), lambda: Comparison(*places))


def _is_agreed(now: Comparison, count: int | None) -> bool:
    return now.agrees and (count is None or len(now.disk) == count)


@contextlib.contextmanager
def stopped(process: Process) -> Iterator[None]:
    """Let a process stand still, as a suspended machine does."""
    process.send(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send(signal.SIGCONT)
