"""Linux' own watcher: what the kernel refuses, what it loses, and what it tells in what order."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from regrow.errors import WatchError
from regrow.system import directories
from regrow.watch import waiting
from regrow.watch.source import Changes
from regrow_marks.directory import open_directory
from tests.hostile.helpers import assert_every_mark_has_its_record, has_attribute
from tests.sweeping import environment, modules
from tests.watch.watching import (
    HURRY,
    InThread,
    Process,
    agrees_with_a_sweep,
    eventually,
    marked_below,
    stopped,
)

if sys.platform != "linux":
    pytest.skip("inotify is Linux' own", allow_module_level=True)

from regrow.watch import inotify
from regrow.watch.inotify import Inotify

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def watcher(code: Path) -> Iterator[Inotify]:
    """A watcher of the start directory, which nobody scans."""
    wake, waking = os.pipe()
    made = Inotify([str(code)], lambda name: name == "package.json", wake)
    yield made
    made.close()
    os.close(wake)
    os.close(waking)


def enter(watcher: Inotify, *paths: Path) -> None:
    for path in paths:
        with open_directory(path) as directory:
            watcher.enter(directory.fd, str(path))


def test_it_tells_of_what_rules_look_for_and_of_directories(code: Path, watcher: Inotify) -> None:
    enter(watcher, code)
    (code / "new").mkdir()
    (code / "notes.txt").touch()
    (code / "link").symlink_to("new")
    changes = watcher.wait(1)
    assert changes == Changes(appeared=frozenset({str(code / "new")}))

    (code / "package.json").touch()
    assert watcher.wait(1) == Changes(frozenset({str(code)}))

    (code / "package.json").unlink()
    assert watcher.wait(1).directories == {str(code)}

    (code / "notes.txt").write_text("of no interest")
    assert watcher.wait(1) == Changes()


def test_what_lies_below_an_unwatched_directory_is_not_watched(
    code: Path, watcher: Inotify
) -> None:
    (code / "one/two").mkdir(parents=True)
    enter(watcher, code)

    enter(watcher, code / "one/two")  # who would tell that one was moved?

    assert set(watcher.watched) == {str(code)}
    assert watcher.unwatched == 1


def test_a_directory_that_is_moved_while_it_is_scanned_has_one_path(
    code: Path, watcher: Inotify
) -> None:
    (code / "old/below").mkdir(parents=True)
    enter(watcher, code, code / "old")
    with open_directory(code / "old/below") as below:
        (code / "old").rename(code / "new")
        watcher.enter(below.fd, str(code / "old/below"))  # the scan has not seen it yet

    changes = watcher.wait(1)
    assert str(code / "new") in changes.appeared
    assert set(watcher.watched) == {str(code)}

    enter(watcher, code / "new", code / "new/below")
    (code / "new/below/package.json").touch()
    assert watcher.wait(1).directories == {str(code / "new/below")}


def test_a_move_that_is_told_after_the_new_place_was_scanned(code: Path, watcher: Inotify) -> None:
    (code / "old/below").mkdir(parents=True)
    enter(watcher, code, code / "old", code / "old/below")
    (code / "old").rename(code / "new")
    enter(watcher, code, code / "new", code / "new/below")
    assert set(watcher.watched) == {str(code), str(code / "new"), str(code / "new/below")}

    changes = watcher.wait(1)

    # Whatever is no longer watched now is looked at again.
    unwatched = {str(code / "new"), str(code / "new/below")} - set(watcher.watched)
    assert not unwatched or str(code / "new") in changes.appeared


def test_a_move_that_is_told_after_the_new_place_was_found_to_be_a_candidate(
    code: Path, watcher: Inotify
) -> None:
    (code / "old/below").mkdir(parents=True)
    enter(watcher, code, code / "old", code / "old/below")
    (code / "old").rename(code / "new")
    enter(watcher, code, code / "new")
    watcher.leave(str(code / "new"))

    watcher.wait(1)

    assert set(watcher.watched) == {str(code)}


def test_after_an_overflow_nothing_of_what_was_watched_counts(
    code: Path, home: Path, watcher: Inotify
) -> None:
    (code / "tree/below").mkdir(parents=True)
    enter(watcher, code, code / "tree", code / "tree/below")
    overflow(code)
    (code / "tree").rename(home / "outside")  # nobody tells of it any more

    assert watcher.wait(1) == Changes(is_overflown=True)

    assert not watcher.watched
    enter(watcher, code)
    (code / "new").mkdir()
    assert watcher.wait(1).appeared == {str(code / "new")}


def test_a_directory_replaced_by_a_rename_is_looked_at(code: Path, watcher: Inotify) -> None:
    (code / "one").mkdir()
    (code / "two").mkdir()
    enter(watcher, code, code / "one", code / "two")

    os.rename(code / "one", code / "two")

    assert str(code / "two") in watcher.wait(1).appeared
    assert set(watcher.watched) == {str(code)}


def test_instances_that_the_kernel_refuses_are_told_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(inotify, "INotify", refuse)
    with pytest.raises(WatchError, match="max_user_instances"):
        Inotify([], bool, 0)


# The kernel's limit. It is one for the whole machine: here it is only as if it were reached.


def refuse_after(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the kernel refuse further watches, in a double; gives a list whose item is the limit."""
    limit = [count]

    class Limited(inotify.INotify):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._numbers: set[int] = set()

        def add_watch(self, path: str, mask: int) -> int:
            number: int = super().add_watch(path, mask)
            self._numbers.add(number)
            if len(self._numbers) > limit[0]:
                self.rm_watch(number)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return number

        def rm_watch(self, number: int) -> None:
            self._numbers.discard(number)
            super().rm_watch(number)

    monkeypatch.setattr(inotify, "INotify", Limited)
    return limit


def test_what_the_kernel_does_not_watch_is_swept(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (code / f"group/project-{number:02}").mkdir(parents=True)
    limit = refuse_after(10, monkeypatch)
    with InThread([code]) as watch:
        eventually(lambda: watch.told)
        assert watch.told[0].startswith("12 directories are not watched")
        assert "fs.inotify.max_user_watches" in watch.told[0]

        for number in range(20):
            modules(code / f"group/project-{number:02}")
        agrees_with_a_sweep(code, count=20)
        time.sleep(2 * waiting.SOON)
        assert len(watch.told) == 1, "it is told once"

        limit[0] = 1000
        eventually(lambda: len(watch.watched) == 22, lambda: watch.watched)
        eventually(lambda: not watch.watcher.unwatched)
        environment(code / "group/project-00/.venv")
        agrees_with_a_sweep(code, count=21)


def test_a_limit_that_is_reached_later_is_told_and_swept(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_after(5, monkeypatch)
    with InThread([code]) as watch:
        eventually(lambda: str(code) in watch.watched)
        (code / "a/b/c/d/e/f").mkdir(parents=True)
        eventually(lambda: watch.told)

        modules(code / "a/b/c/d/e/f/shop")

        agrees_with_a_sweep(code, count=1)


@pytest.mark.needs("strace")
def test_the_real_call_refused(code: Path, tmp_path: Path) -> None:
    """strace answers in the kernel's place: the calls and errors are the real ones."""
    for number in range(20):
        (code / f"project-{number:02}").mkdir()
    # -D: the watch stays the child of this process, so that it ends with the test.
    program = f"""
import os, sys
inject = "inject=inotify_add_watch:error=ENOSPC:when=10+"
words = ["strace", "-D", "-qq", "-o", {str(tmp_path / "trace")!r}, "-e",
    "trace=inotify_add_watch", "-e", inject, sys.executable, "-c", {HURRY!r}, *sys.argv[1:]]
os.execvp("strace", words)
"""
    with Process(str(code), program=program) as watch:
        eventually(lambda: watch.says("directories are not watched"))
        for number in range(20):
            modules(code / f"project-{number:02}")
        agrees_with_a_sweep(code, count=20)


# The kernel's queue.


def overflow(place: Path) -> None:
    """Change more in a directory than the kernel keeps for somebody who does not read."""
    size = int(QUEUE.read_text())
    program = """
import os, sys
os.chdir(sys.argv[1])
for number in range(int(sys.argv[2]) + 2):
    os.close(os.open("ab"[number % 2], os.O_CREAT | os.O_WRONLY))
"""
    subprocess.run([sys.executable, "-c", program, place, str(size)], check=True)


def test_a_queue_that_overflows_is_told_and_everything_is_swept(code: Path) -> None:
    (code / "old/deep").mkdir(parents=True)
    with Process(str(code)) as watch:
        probe = modules(code / "probe")
        eventually(lambda: has_attribute(probe))
        with stopped(watch):
            (code / "old").rename(code / "new")
            overflow(code)
            modules(code / "new/deep/shop")
            (code / "new").rename(code / "newer")
            shutil.rmtree(probe)

        agrees_with_a_sweep(code, count=1)
        assert watch.says("more changed at once than the kernel keeps")
        environment(code / "newer/deep/.venv")
        agrees_with_a_sweep(code, count=2)


@pytest.mark.parametrize("seconds", [0.5, pytest.param(60, marks=pytest.mark.slow)])
def test_nothing_is_lost_while_it_stands_still(code: Path, seconds: float) -> None:
    with Process(str(code)) as watch:
        probe = modules(code / "probe")
        eventually(lambda: has_attribute(probe))
        with stopped(watch):
            for number in range(50):
                modules(code / f"group/project-{number}")
            time.sleep(seconds)
        agrees_with_a_sweep(code, count=51)
        assert watch.end() == 0


def are_more(before: int, place: Path) -> bool:
    return len(marked_below(place)) > before


def test_killed_at_any_moment_every_mark_has_its_record(code: Path) -> None:
    for turn in range(3):
        before = len(marked_below(code))
        with Process(str(code)) as watch:
            for number in range(30):
                environment(code / f"turn-{turn}/{number}/.venv")
                modules(code / f"turn-{turn}/{number}")
            eventually(partial(are_more, before, code))
            watch.end(signal.SIGKILL)
        assert_every_mark_has_its_record(code, Path(directories.records()))

    with Process(str(code)):
        agrees_with_a_sweep(code, count=180)
