"""The watcher for macOS, on stand-ins: watchfiles' polling and its backend for this system.

What its FSEvents tell on a Mac has not been seen yet: it was not yet run on one. The scenarios of
``test_loop.py`` that take ``watching`` run with these stand-ins, too.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow.watch.recursive import Recursive
from regrow.watch.source import Changes
from tests.hostile.helpers import has_attribute
from tests.sweeping import modules
from tests.watch.watching import Choice, InThread, agrees_with_a_sweep, eventually, native, polling


@pytest.fixture(params=[True, False], ids=["polling", "native"])
def watcher(request: pytest.FixtureRequest, code: Path) -> Iterator[Recursive]:
    made = Recursive([str(code)], lambda name: name == "package.json", force_polling=request.param)
    yield made
    made.close()


def enter(watcher: Recursive, *paths: Path) -> None:
    for path in paths:
        watcher.enter(-1, str(path))


def tells(watcher: Recursive, directory: Path | None = None, appeared: Path | None = None) -> None:
    """Wait until it tells of a directory that changed, or appeared."""
    seen = Changes()

    def is_told() -> bool:
        nonlocal seen
        more = watcher.wait(None)
        seen = Changes(seen.directories | more.directories, seen.appeared | more.appeared)
        return (directory is None or str(directory) in seen.directories) and (
            appeared is None or str(appeared) in seen.appeared
        )

    eventually(is_told, lambda: seen)


def test_it_tells_of_what_rules_look_for_and_of_directories(code: Path, watcher: Recursive) -> None:
    enter(watcher, code)

    (code / "new").mkdir()
    tells(watcher, appeared=code / "new")
    (code / "package.json").touch()
    tells(watcher, directory=code)
    (code / "package.json").unlink()
    tells(watcher, directory=code)


def test_what_was_not_entered_is_of_no_interest(code: Path, watcher: Recursive) -> None:
    (code / "marked").mkdir()
    enter(watcher, code)
    (code / "marked/new").mkdir()
    (code / "marked/package.json").touch()
    (code / "package.json").touch()  # the end of it

    changes = Changes()
    while not changes.directories:
        changes = watcher.wait(None)

    assert changes.directories == {str(code)}
    assert not any("marked/" in path for path in changes.appeared)


def test_what_was_deleted_is_watched_no_more(code: Path, watcher: Recursive) -> None:
    (code / "tree/leaf").mkdir(parents=True)
    (code / "tree-like").mkdir()
    enter(watcher, code)
    tells(watcher, appeared=code / "tree-like")
    enter(watcher, code / "tree", code / "tree/leaf", code / "tree-like")

    shutil.rmtree(code / "tree")

    def is_left() -> bool:
        watcher.wait(None)
        return watcher.watched == {str(code), str(code / "tree-like")}

    eventually(is_left, lambda: watcher.watched)


def test_staying_drops_what_is_below(code: Path, watcher: Recursive) -> None:
    enter(watcher, code, code / "one", code / "one/two", code / "one-more")
    watcher.stay(str(code / "one"))
    assert watcher.watched == {str(code), str(code / "one"), str(code / "one-more")}
    watcher.leave(str(code / "one"))
    assert watcher.watched == {str(code), str(code / "one-more")}


@pytest.mark.parametrize("choose", [polling, native], ids=["polling", "native"])
def test_a_start_directory_that_is_missing_is_watched_when_it_comes(
    code: Path, home: Path, choose: Choice
) -> None:
    with InThread([code, home / "later"], choose) as watch:
        eventually(lambda: watch.told)
        first = modules(home / "later/shop")
        eventually(lambda: has_attribute(first))
        second = modules(home / "later/other")
        eventually(lambda: has_attribute(second))
        agrees_with_a_sweep(code, home / "later", count=2)


@pytest.mark.parametrize("choose", [polling, native], ids=["polling", "native"])
def test_many_changes_at_once(code: Path, choose: Choice) -> None:
    with InThread([code], choose) as watch:
        eventually(lambda: str(code) in watch.watched)
        for number in range(30):
            modules(code / f"group-{number % 3}/project-{number}")
        os.rename(code / "group-0", code / "renamed")
        shutil.rmtree(code / "group-1")

        agrees_with_a_sweep(code, count=20)
