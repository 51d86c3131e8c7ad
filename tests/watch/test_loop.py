"""What appears is marked, and what the watch holds at the end is what a sweep would do."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow import pipeline
from regrow.config import Configuration
from regrow.decide import decisions, withdraw
from regrow.model import Decision, Survey
from regrow.records.format import PENDING
from regrow.records.store import Store
from regrow.scan.walk import Scan
from regrow.watch import waiting
from regrow.watch.source import Changes
from regrow_marks import tag
from regrow_marks.model import FAILED, MARKED, UNMARKED
from tests import attributes
from tests.hostile.helpers import has_attribute, has_regrows_tag
from tests.sweeping import (
    HOSTILE_NAMES,
    UVS_TAG,
    Inside,
    age,
    configure,
    distribution,
    environment,
    git,
    ignore,
    modules,
    modules_without_lock,
)
from tests.watch.watching import (
    Choice,
    InThread,
    agrees_with_a_sweep,
    eventually,
    marked_below,
    native,
    polling,
    records_by_path,
)

if sys.platform != "linux":
    pytest.skip("looks at Linux' own marks", allow_module_level=True)

from regrow.watch.inotify import Inotify


@pytest.fixture(params=[Inotify, native, polling], ids=["inotify", "native", "polling"])
def watching(request: pytest.FixtureRequest, code: Path) -> Iterator[InThread]:
    """A watch by each of the watchers; macOS' own is not here: its stand-ins are watchfiles'."""
    with InThread([code], request.param) as watch:
        eventually(lambda: str(code) in watch.watched)
        yield watch


@pytest.fixture
def watch(code: Path) -> Iterator[InThread]:
    with InThread([code]) as watch:
        eventually(lambda: str(code) in watch.watched)
        yield watch


def is_marked(path: Path) -> bool:
    return has_attribute(path)


def becomes_marked(path: Path) -> None:
    eventually(lambda: is_marked(path), lambda: f"{path} is not marked")


def becomes_unmarked(path: Path) -> None:
    eventually(lambda: not is_marked(path), lambda: f"{path} is marked still")


def becomes_unrecorded(path: Path) -> None:
    """The record goes after the marks."""
    eventually(lambda: str(path) not in records_by_path(), lambda: f"{path} has its record still")


def becomes_recorded(path: Path) -> None:
    eventually(
        lambda: (record := records_by_path().get(str(path))) and record.state == "marked",
        lambda: f"the record of {path}: {records_by_path().get(str(path))}",
    )


# By each watcher.


def test_an_environment_that_is_made_is_marked(code: Path, watching: InThread) -> None:
    path = environment(code / "shop/.venv")

    becomes_marked(path)
    becomes_recorded(path)


def test_a_directory_is_marked_when_its_evidence_comes_later(
    code: Path, watching: InThread
) -> None:
    path = code / "shop/target"
    path.mkdir(parents=True)
    becomes_watched(watching, path)

    (code / "shop/Cargo.toml").touch()

    becomes_marked(path)
    agrees_with_a_sweep(code, count=1)


def test_a_tree_that_is_moved_in_is_covered(code: Path, home: Path, watching: InThread) -> None:
    path = modules(home / "elsewhere/deep/down")
    shutil.move(home / "elsewhere", code / "here")

    becomes_marked(code / "here/deep/down/node_modules")
    assert not is_marked(home / path)

    made = environment(code / "here/deep/.venv")
    becomes_marked(made)


@pytest.mark.parametrize("choose", [Inotify, native])
def test_a_directory_made_anew_under_its_name_is_marked(code: Path, choose: Choice) -> None:
    """Polling is no stand-in here: it compares times to the second."""
    with InThread([code], choose) as watching:
        becomes_watched(watching, code)
        path = modules(code / "shop")
        becomes_recorded(path)

        for _ in range(3):
            shutil.rmtree(path)
            path.mkdir()
            becomes_marked(path)

        agrees_with_a_sweep(code, count=1)


def test_a_tree_is_covered_under_the_name_that_it_gets(code: Path, watching: InThread) -> None:
    (code / "old/deep/down").mkdir(parents=True)
    becomes_watched(watching, code / "old/deep/down")

    (code / "old").rename(code / "new")
    becomes_watched(watching, code / "new/deep/down")
    path = modules(code / "new/deep/down")

    becomes_marked(path)
    eventually(lambda: not any(one.startswith(str(code / "old")) for one in watching.watched))


def test_nothing_behind_a_link_is_marked(code: Path, home: Path, watching: InThread) -> None:
    outside = modules(home / "outside")
    (code / "link").symlink_to(home / "outside")
    inside = modules(code / "shop")

    becomes_marked(inside)
    agrees_with_a_sweep(code, count=1)
    assert not is_marked(outside)


def test_evidence_that_goes_and_comes_back(code: Path, watch: InThread) -> None:
    path = code / "shop/target"
    path.mkdir(parents=True)
    (code / "shop/Cargo.toml").touch()
    becomes_recorded(path)
    age(path)

    (code / "shop/Cargo.toml").unlink()
    becomes_unmarked(path)
    becomes_unrecorded(path)

    (code / "shop/Cargo.toml").touch()
    becomes_marked(path)
    agrees_with_a_sweep(code, count=1)


def test_what_was_taken_back_is_not_marked_by_what_was_known_before(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    # Where git is at work, it is to be looked at again: in this double, git is always.
    monkeypatch.setattr(waiting, "is_git_at_work", lambda _: True)
    path = code / "shop/target"
    path.mkdir(parents=True)
    (code / "shop/Cargo.toml").touch()
    becomes_recorded(path)
    age(path)
    (code / "shop/Cargo.toml").unlink()
    becomes_unmarked(path)

    eventually(lambda: not records_by_path(), records_by_path)
    eventually(lambda: not watch.loop._waiting, lambda: watch.loop._waiting)
    assert not is_marked(path)
    assert not records_by_path()


# What git, the user and other directories say.


def test_a_common_name_is_marked_once_git_ignores_it(code: Path, watch: InThread) -> None:
    path = code / "shop/build"
    path.mkdir(parents=True)
    (code / "shop/setup.py").touch()
    git(code / "shop", "init", "-q")
    (code / "shop/.gitignore").write_text("build/\n")

    becomes_marked(path)
    agrees_with_a_sweep(code, count=1)
    assert str(path) not in watch.watched


def test_a_common_name_is_taken_back_once_git_ignores_it_no_more(
    code: Path, watch: InThread
) -> None:
    ignore(code, "build/")
    path = code / "deep/shop/build"
    path.mkdir(parents=True)
    (code / "deep/shop/setup.py").touch()
    becomes_recorded(path)

    (code / ".gitignore").write_text("")

    becomes_unmarked(path)
    agrees_with_a_sweep(code, count=0)


def test_what_git_tracks_at_last_is_taken_back(code: Path, watch: InThread) -> None:
    path = modules(code / "shop")
    git(code / "shop", "init", "-q")
    becomes_recorded(path)

    git(code / "shop", "add", "--force", ".")

    becomes_unmarked(path)
    agrees_with_a_sweep(code, count=0)


def test_a_clone_whose_index_is_written_last_loses_its_mark(code: Path, watch: InThread) -> None:
    work = code / "shop"
    path = modules(work)
    git(work, "init", "-q")
    becomes_recorded(path)
    age(work / ".git")

    git(work, "add", "--force", "node_modules")

    # Nobody tells of the index: the directory is looked at again while git is at work.
    (work / "package.json").write_text('{"name": "shop"}')
    becomes_unmarked(path)


def test_a_projects_own_word_counts_at_once(code: Path, watch: InThread) -> None:
    path = modules(code / "deep/shop")
    becomes_recorded(path)

    (code / ".regrow.toml").write_text('keep = ["node_modules"]\n')

    becomes_unmarked(path)
    agrees_with_a_sweep(code, count=0)


def test_a_projects_own_word_counts_while_a_directory_is_being_filled(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    monkeypatch.setattr(waiting, "QUIET", 3600.0)
    path = modules(code / "shop")
    becomes_marked(path)

    (code / "shop/.regrow.toml").write_text('keep = ["node_modules"]\n')

    becomes_unmarked(path)


def test_a_lock_at_the_root_of_a_workspace_describes_its_members(
    code: Path, watch: InThread
) -> None:
    member = code / "packages/one"
    (member / "node_modules/left").mkdir(parents=True)
    (member / "package.json").write_text('{"name": "one"}')
    (code / "package.json").write_text('{"workspaces": ["packages/*"]}')
    eventually(lambda: watch.results)  # marked while it may be filled
    becomes_unmarked(member / "node_modules")

    (code / "package-lock.json").write_text("{}")

    becomes_marked(member / "node_modules")
    agrees_with_a_sweep(code, count=1)


def test_rules_with_a_path(code: Path, watch: InThread) -> None:
    (code / "stats/renv/library/R").mkdir(parents=True)
    (code / "stats/renv.lock").write_text("{}")
    (code / "dots").mkdir()
    (code / "dots/angular.json").write_text("{}")
    (code / "dots/.angular/cache").mkdir(parents=True)
    (code / "moon/.moon/cache").mkdir(parents=True)
    (code / "moon/.moon/workspace.yml").touch()

    agrees_with_a_sweep(code, count=3)


def test_a_container_is_swept_after_something_appeared_in_it(code: Path, home: Path) -> None:
    with InThread([home]) as watch:
        becomes_watched(watch, home / ".local/share")
        container = home / ".local/share/virtualenvs"
        becomes_marked(environment(container / "shop-x1"))
        becomes_marked(container)

        (container / "notes.txt").write_text("what no tool brings back")
        becomes_marked(environment(container / "shop-x2"))
        becomes_unmarked(container)


# While a tool fills a directory.


def test_what_is_being_filled_is_marked_with_no_file_of_ours_inside(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUIET", 3600.0)
    ignore(code, "node_modules/")
    with InThread([code]) as watch:
        eventually(lambda: str(code) in watch.watched)
        path = modules(code / "shop")

        becomes_marked(path)
        record = records_by_path()[str(path)]
        assert record.state == PENDING
        assert sorted(os.listdir(path)) == ["left-pad"]


def nothing_is_told(*_: object) -> Changes:
    time.sleep(0.05)
    return Changes()


def test_what_was_replaced_since_it_was_found_is_not_marked(
    code: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was decided about, something else stands there; and nobody tells of that."""
    true_decide = decisions.decide
    other = home / "other"
    (other / "thesis").mkdir(parents=True)

    def decide(*arguments: Any) -> list[Decision]:
        decided = true_decide(*arguments)
        if other.exists() and decided:
            (code / "shop/node_modules").rename(home / "away")
            other.rename(code / "shop/node_modules")
            (code / "shop/package.json").unlink()
        return decided

    monkeypatch.setattr(decisions, "decide", decide)
    monkeypatch.setattr(Inotify, "wait", nothing_is_told)
    modules(code / "shop")
    with InThread([code]) as watch:
        eventually(lambda: not other.exists())
        eventually(lambda: not watch.loop._waiting)
        assert not is_marked(code / "shop/node_modules")


def test_a_home_cache_that_is_in_use_is_recorded_when_it_is_quiet(code: Path, home: Path) -> None:
    cache = home / ".npm/_cacache"
    cache.mkdir(parents=True)
    with InThread([code], configuration=Configuration(caches=("~/.npm/_cacache",))):
        becomes_marked(cache)
        becomes_recorded(cache)


def test_what_was_filled_gets_its_recipe_and_its_tag(code: Path, watch: InThread) -> None:
    ignore(code, "node_modules/")
    path = modules(code / "shop")

    becomes_recorded(path)

    record = records_by_path()[str(path)]
    assert record.recipe["kind"] == "node"
    assert record.set == ("xdg-robots", "cachedir-tag")
    assert has_regrows_tag(path)
    told = [result.outcome for result in watch.results if result.outcome == MARKED]
    assert told == [MARKED], "it is told once"


def test_no_tag_is_put_back_into_what_is_being_removed(code: Path, watch: InThread) -> None:
    path = environment(code / "shop/.venv")
    becomes_recorded(path)
    assert has_regrows_tag(path)
    age(path)

    (path / tag.NAME).unlink()  # as rm -r does first
    (code / "shop/pyproject.toml").touch()

    becomes_recorded(modules(code / "later"))
    assert not has_regrows_tag(path)


def test_a_recipe_is_not_taken_while_the_directory_changes(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    monkeypatch.setattr(waiting, "QUIET", 1.5)
    path = environment(code / "shop/.venv")
    site_packages = path / "lib/python3.11/site-packages"
    becomes_marked(path)
    for number in range(20):
        assert records_by_path()[str(path)].state == PENDING
        (site_packages / f"some-{number}.dist-info").mkdir()
        (site_packages / f"some-{number}.dist-info/METADATA").write_text(
            f"Name: some-{number}\nVersion: 1\n"
        )
        time.sleep(waiting.LOOK / 2)

    becomes_recorded(path)
    requirements = records_by_path()[str(path)].recipe["requirements"]
    assert isinstance(requirements, list)
    assert len(requirements) == 20


def test_a_mark_is_withdrawn_where_no_recipe_can_be_taken(code: Path, watch: InThread) -> None:
    path = code / "shop/node_modules"
    path.mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    becomes_marked(path)

    becomes_unmarked(path)
    becomes_unrecorded(path)
    eventually(lambda: [result.outcome for result in watch.results] == [MARKED, UNMARKED])
    eventually(lambda: not watch.loop._waiting)


def test_a_recipe_that_comes_late_keeps_the_mark(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    monkeypatch.setattr(withdraw, "QUIET", 2.0)
    path = code / "shop/node_modules"
    path.mkdir(parents=True)
    (code / "shop/package.json").write_text('{"dependencies": {"a": "1.0.0"}}')
    becomes_marked(path)
    time.sleep(2 * waiting.QUIET)

    modules_without_lock(code / "other")
    shutil.copy(code / "other/node_modules/.package-lock.json", path)

    becomes_recorded(path)
    agrees_with_a_sweep(code, count=2)


def test_the_former_recipe_stays_while_a_directory_is_made_anew(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    monkeypatch.setattr(withdraw, "QUIET", 3600)
    path = modules_without_lock(code / "shop")
    becomes_recorded(path)
    recipe = records_by_path()[str(path)].recipe

    shutil.rmtree(path)
    path.mkdir()
    becomes_marked(path)

    record = records_by_path()[str(path)]
    assert (record.state, record.recipe) == (PENDING, recipe)
    with Store() as store:
        assert store.attachment(str(path), "package-lock.json")


def test_what_vanishes_before_it_has_a_recipe_leaves_no_record(code: Path, watch: InThread) -> None:
    path = code / "shop/node_modules"
    path.mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    becomes_marked(path)

    shutil.rmtree(code / "shop")

    eventually(lambda: not records_by_path())


def test_a_pending_record_of_a_killed_watch_is_completed(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = modules_without_lock(code / "shop")
    hidden = (path / ".package-lock.json").read_text()
    (path / ".package-lock.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(withdraw, "QUIET", 3600)
        with InThread([code]):
            becomes_marked(path)
    assert records_by_path()[str(path)].state == PENDING

    with InThread([code]):
        (path / ".package-lock.json").write_text(hidden)
        becomes_recorded(path)


def test_a_pending_record_of_a_killed_watch_is_withdrawn(code: Path) -> None:
    path = code / "shop/node_modules"
    path.mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    with InThread([code]):
        becomes_marked(path)
    age(path, 1)  # no longer being filled, and not yet given up

    with InThread([code]):
        becomes_unmarked(path)
        eventually(lambda: not records_by_path())


@pytest.mark.parametrize("clock", [-3600.0, 3600.0], ids=["set back", "set forward"])
def test_a_clock_that_is_set_anew_loses_nothing(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread, clock: float
) -> None:
    first = modules(code / "first")
    becomes_recorded(first)
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + clock)  # a double of the clock

    modules(code / "second")
    environment(code / "third/.venv")

    agrees_with_a_sweep(code, count=3)


def test_times_to_come_hold_nothing_up(code: Path, watch: InThread) -> None:
    path = environment(code / "shop/.venv")
    age(path, -86_400)

    becomes_recorded(path)
    agrees_with_a_sweep(code, count=1)


def test_times_to_come_do_not_pass_for_old_ones(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUIET", 3600.0)
    path = environment(code / "shop/.venv")
    age(path, -86_400)
    with InThread([code]):
        becomes_marked(path)
    assert records_by_path()[str(path)].state == PENDING


# What moves.


@pytest.mark.parametrize("has_lock", [True, False])
def test_what_moves_while_it_is_filled_is_regrows_still(
    code: Path, monkeypatch: pytest.MonkeyPatch, *, has_lock: bool
) -> None:
    monkeypatch.setattr(waiting, "QUIET", 3600.0)
    with InThread([code]) as watch:
        becomes_watched(watch, code)
        path = modules(code / "shop")
        if not has_lock:
            (code / "shop/package-lock.json").unlink()
        becomes_marked(path)
        (code / "shop").rename(code / "moved")
        after = code / "moved/node_modules"
        eventually(lambda: records_by_path().keys() == {str(after)}, records_by_path)
    record = records_by_path()[str(after)]
    assert (record.state, record.set, record.found) == (PENDING, ("xdg-robots",), ())

    assert Inside()("undo", "--yes").returncode == 0
    assert not is_marked(after)


def test_the_recipe_of_what_moves_while_it_is_made_anew_moves_along(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    path = modules_without_lock(code / "shop")
    becomes_recorded(path)
    recipe = records_by_path()[str(path)].recipe
    monkeypatch.setattr(withdraw, "QUIET", 3600)
    shutil.rmtree(path)
    path.mkdir()
    becomes_marked(path)

    (code / "shop").rename(code / "moved")
    after = str(code / "moved/node_modules")
    eventually(lambda: records_by_path().keys() == {after}, records_by_path)

    assert records_by_path()[after].recipe == recipe
    with Store() as store:
        assert store.attachment(after, "package-lock.json")


def test_what_moves_is_regrows_however_long_the_watch_has_run(code: Path, watch: InThread) -> None:
    """When the second moves, the records are not what they were when the first did."""
    for name in ("first", "second"):
        becomes_recorded(environment(code / name / ".venv"))
        after = code / f"{name}-moved/.venv"

        after.parent.with_name(name).rename(after.parent)

        becomes_recorded(after)
        assert records_by_path()[str(after)].found == ()
        assert not [path for path in records_by_path() if path.endswith(f"/{name}/.venv")]


def test_marks_do_not_stay_on_what_is_moved_or_copied_to_where_no_rule_is(
    code: Path, watch: InThread
) -> None:
    path = modules(code / "shop")
    eventually(lambda: has_attribute(path) and records_by_path()[str(path)].state == "marked")
    subprocess.run(["cp", "-a", path, code / "copy"], check=True)
    eventually(lambda: not has_attribute(code / "copy"))
    assert has_attribute(path)
    path.rename(code / "release")
    eventually(lambda: not records_by_path())
    assert not attributes.names(code / "release")


def test_what_moves_before_it_has_a_recipe_and_is_told_late_is_regrows_still(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    path = code / "shop/node_modules"
    path.mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    monkeypatch.setattr(withdraw, "QUIET", 3600)
    becomes_marked(path)
    true_wait = Inotify.wait
    is_late = threading.Event()

    def wait(self: Inotify, timeout: float | None) -> Changes:
        return true_wait(self, timeout) if is_late.is_set() else nothing_is_told()

    monkeypatch.setattr(Inotify, "wait", wait)
    os.write(watch._waking, b"x")
    time.sleep(4 * waiting.LOOK + 2 * waiting.QUIET)  # it is seen to be gone
    (code / "shop").rename(code / "moved")
    time.sleep(4 * waiting.LOOK + 2 * waiting.QUIET)
    is_late.set()

    after = str(code / "moved/node_modules")
    eventually(lambda: records_by_path().keys() == {after}, records_by_path)
    assert records_by_path()[after].set == ("xdg-robots",)


# What is inside.


def test_what_is_in_a_directory_whose_mark_was_taken_back_is_watched(
    code: Path, watch: InThread
) -> None:
    path = code / "shop/target"
    (path / "doc/deep").mkdir(parents=True)
    (code / "shop/Cargo.toml").touch()
    becomes_recorded(path)
    age(path)
    assert str(path / "doc/deep") not in watch.watched

    (code / "shop/Cargo.toml").unlink()
    becomes_unmarked(path)

    becomes_watched(watch, path / "doc/deep")
    becomes_recorded(environment(path / "doc/deep/.venv"))


def test_what_was_begun_inside_what_is_recognised_later_is_taken_back(
    code: Path, watch: InThread
) -> None:
    """As ``npm install`` does in an empty directory: it writes ``package.json`` last."""
    inner = code / "shop/node_modules/left/node_modules"
    inner.mkdir(parents=True)
    (inner.parent / "package.json").write_text("{}")
    becomes_marked(inner)
    (code / "shop/package-lock.json").write_text("{}")
    (code / "shop/package.json").write_text("{}")

    becomes_recorded(code / "shop/node_modules")
    becomes_unmarked(inner)
    agrees_with_a_sweep(code, count=1)
    assert records_by_path().keys() == {str(code / "shop/node_modules")}


def test_what_a_killed_watch_began_inside_another_candidate_is_taken_back(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = code / "shop/node_modules/left/node_modules"
    inner.mkdir(parents=True)
    (inner.parent / "package.json").write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "QUIET", 3600.0)
        with InThread([code]):
            becomes_marked(inner)
    (code / "shop/package-lock.json").write_text("{}")
    (code / "shop/package.json").write_text("{}")
    age(inner)

    with InThread([code]):
        becomes_unmarked(inner)
        agrees_with_a_sweep(code, count=1)


def test_a_container_that_is_in_use_at_the_start_keeps_its_mark(code: Path, home: Path) -> None:
    container = home / ".local/share/virtualenvs"
    path = environment(container / "shop-x1")
    age(path)
    with InThread([home]) as watch:
        becomes_recorded(container)
        eventually(lambda: not watch.loop._waiting)

        outcomes = [result.outcome for result in watch.results if result.outcome == UNMARKED]
        assert not outcomes
        assert is_marked(container)
        agrees_with_a_sweep(home, count=2)


# What is watched.


def becomes_watched(watching: InThread, path: Path) -> None:
    eventually(lambda: str(path) in watching.watched, lambda: f"{path} is not watched")


def test_nothing_inside_what_is_marked_is_watched(code: Path, watch: InThread) -> None:
    for number in range(5):
        (code / f"shop/node_modules/package-{number}/lib").mkdir(parents=True)
    becomes_watched(watch, code / "shop/node_modules/package-4/lib")

    (code / "shop/package.json").write_text("{}")
    (code / "shop/package-lock.json").write_text("{}")

    becomes_recorded(code / "shop/node_modules")
    assert watch.watched == {str(code), str(code / "shop")}


def test_an_environment_recognised_late_loses_the_watches_inside(
    code: Path, watch: InThread
) -> None:
    path = code / "shop/.venv"
    (path / "bin").mkdir(parents=True)
    (path / "bin/python").symlink_to("/bin/true")
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    becomes_watched(watch, path / "lib/python3.11")
    assert not is_marked(path)

    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")

    becomes_recorded(path)
    assert watch.watched == {str(code), str(code / "shop")}


def test_a_creators_tag_does_not_hide_what_becomes_an_environment(
    code: Path, watch: InThread
) -> None:
    path = code / "shop/.venv"
    path.mkdir(parents=True)
    (path / tag.NAME).write_bytes(UVS_TAG)
    becomes_watched(watch, path)
    time.sleep(0.5)  # it is looked at, and left alone

    (path / "bin").mkdir()
    (path / "bin/python").symlink_to("/bin/true")
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")

    becomes_recorded(path)
    assert watch.watched == {str(code), str(code / "shop")}


def test_a_common_name_is_marked_once_its_contents_decide(code: Path, watch: InThread) -> None:
    path = code / "shop/vendor"
    path.mkdir(parents=True)
    (code / "shop/go.mod").touch()
    becomes_watched(watch, path)
    assert not is_marked(path)

    (path / "modules.txt").touch()

    becomes_recorded(path)
    assert watch.watched == {str(code), str(code / "shop")}


def test_watches_follow_what_is_deleted(code: Path, watch: InThread) -> None:
    before = len(watch.watched)
    for number in range(300):
        (code / f"tree/branch-{number % 10}/leaf-{number}").mkdir(parents=True)
    eventually(lambda: len(watch.watched) == before + 311, lambda: len(watch.watched))

    shutil.rmtree(code / "tree")

    eventually(lambda: len(watch.watched) == before, lambda: watch.watched)
    assert isinstance(watch.watcher, Inotify)
    assert len(watch.watcher._paths) == before
    assert set(watch.watcher._children) == {str(code.parent)}


def test_watches_follow_what_is_moved_out(code: Path, home: Path, watch: InThread) -> None:
    (code / "tree/branch/leaf").mkdir(parents=True)
    becomes_watched(watch, code / "tree/branch/leaf")

    (code / "tree").rename(home / "outside")

    eventually(lambda: watch.watched == {str(code)}, lambda: watch.watched)
    path = modules(home / "outside/branch")
    becomes_recorded(modules(code / "shop"))
    assert not is_marked(path)


@pytest.mark.parametrize("moment", ["before the watch", "after the watch"])
def test_a_directory_filled_before_it_is_listed(
    code: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Each directory is filled just before, or just after, the moment when its watch is set."""
    for number in range(3):
        (code / f"empty-{number}").mkdir()
    made: list[Path] = []
    true_enter = Inotify.enter

    def enter(self: Inotify, fd: int, path: str) -> None:
        if moment == "after the watch":
            true_enter(self, fd, path)
        if len(made) < 4 and "new-" not in path:
            made.append(modules(Path(path) / f"new-{len(made)}"))
        if moment == "before the watch":
            true_enter(self, fd, path)

    monkeypatch.setattr(Inotify, "enter", enter)
    with InThread([code]):
        agrees_with_a_sweep(code, count=4)
    assert set(map(str, made)) == marked_below(code)


def test_a_directory_filled_between_its_listing_and_the_end_of_the_scan(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a directory has been listed, something appears in it."""
    made: list[Path] = []
    for number in range(4):
        (code / f"empty-{number}").mkdir()
    true_survey_of = pipeline.survey_of

    def survey_of(scan: Scan) -> Survey:
        found = true_survey_of(scan)
        if len(made) < 4:
            made.append(modules(code / f"empty-{len(made)}"))
        return found

    monkeypatch.setattr(pipeline, "survey_of", survey_of)
    with InThread([code]):
        agrees_with_a_sweep(code, count=4)


def test_a_start_directory_inside_another_keeps_its_watches(code: Path) -> None:
    inner = code / "inner"
    (inner / "deep/down").mkdir(parents=True)
    for start in ([inner, code], [code, inner]):
        with InThread(start) as watch:
            becomes_watched(watch, inner / "deep/down")
            becomes_watched(watch, code)
            environment(code / f"probe-{start.index(inner)}")
            becomes_recorded(code / f"probe-{start.index(inner)}")
            assert str(inner / "deep/down") in watch.watched


# What comes in between.


def test_a_start_directory_that_is_missing_is_watched_when_it_comes(code: Path, home: Path) -> None:
    with InThread([code, home / "later"]) as watch:
        eventually(lambda: watch.told)
        assert str(home / "later") in watch.told[0]
        path = modules(home / "later")

        becomes_recorded(path)
        other = environment(home / "later/.venv")
        becomes_recorded(other)


@pytest.mark.parametrize("how", ["removed", "moved away"])
def test_a_start_directory_that_goes_and_comes_back(
    code: Path, home: Path, how: str, watch: InThread
) -> None:
    if how == "removed":
        code.rmdir()
    else:
        code.rename(home / "away")
    eventually(lambda: not watch.watched, lambda: watch.watched)

    path = modules(code)

    becomes_recorded(path)
    becomes_watched(watch, code)


def test_hostile_names(code: Path, watch: InThread) -> None:
    for name in HOSTILE_NAMES:
        place = Path(os.fsdecode(os.fsencode(code) + b"/" + name))
        modules(place)
        environment(place / os.fsdecode(name))

    agrees_with_a_sweep(code, count=2 * len(HOSTILE_NAMES))


@pytest.mark.needs_root
def test_another_file_system_below_is_not_watched(code: Path, watch: InThread) -> None:
    mounted = code / "mounted"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", mounted], check=True)
    try:
        inside = modules(mounted / "shop")
        with InThread([code]) as later:
            path = modules(code / "shop")
            becomes_recorded(path)
            assert not is_marked(inside)
            assert not any(one.startswith(str(mounted)) for one in later.watched)
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)


def test_records_that_cannot_be_written_are_told_once_and_tried_again(
    code: Path, monkeypatch: pytest.MonkeyPatch, watch: InThread
) -> None:
    from regrow.errors import RecordError

    def full(*_: object) -> None:
        raise RecordError("the disk is full (a double)")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", full)
        path = modules(code / "shop")
        eventually(lambda: any(result.outcome == FAILED for result in watch.results))
        time.sleep(2 * waiting.SOON)
        assert not is_marked(path), "no mark without a record"
        problems = [result.problem for result in watch.results if result.outcome == FAILED]
        assert problems == ["the disk is full (a double)"]

    becomes_recorded(path)


def test_keep_patterns_of_the_configuration_hold(code: Path, home: Path) -> None:
    configure(home, 'keep = ["kept"]\n')
    kept = modules(code / "kept/shop")
    with InThread([code], configuration=Configuration(keep=("kept",))):
        path = modules(code / "shop")
        becomes_recorded(path)
        agrees_with_a_sweep(code, count=1)
    assert not is_marked(kept)


def test_a_distribution_without_metadata_keeps_an_environment_in_the_backup(
    code: Path, watch: InThread
) -> None:
    path = environment(code / "shop/.venv")
    distribution(path, described=False)
    becomes_marked(path)

    becomes_unmarked(path)
    agrees_with_a_sweep(code, count=0)


def test_a_fault_that_nobody_foresaw_ends_no_watch(
    watch: InThread, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(decisions, "decide", lambda *_: 1 // 0)
        modules(code / "one")
        eventually(lambda: any("ZeroDivisionError" in told for told in watch.told))
    becomes_marked(modules(code / "two"))
    assert sum("ZeroDivisionError" in told for told in watch.told) == 1
