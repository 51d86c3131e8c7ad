"""Directories that were moved, and whose places others have taken before anybody looked."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.model import Record
from regrow.records.index import by_identity
from regrow.records.store import Identity, Store, file_name, identity_of, is_about
from regrow.system import directories
from regrow.watch.source import Changes
from regrow_marks.directory import open_directory
from tests.conftest import Regrow
from tests.hostile.helpers import has_attribute
from tests.sweeping import Inside, age, environment, modules, modules_without_lock
from tests.watch.watching import InThread, agrees_with_a_sweep, eventually, records_by_path

if sys.platform != "linux":
    pytest.skip("holds inotify up", allow_module_level=True)

from regrow.watch.inotify import Inotify

Look = Callable[..., None]
"""Does something in one go, and then has regrow look: by these paths stand the records to come."""


@pytest.fixture(params=["sweep", "watch"])
def look(request: pytest.FixtureRequest, code: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    def sweep(act: Callable[[], object], *_: Path) -> None:
        act()
        age(code)
        assert Inside()("sweep", "--yes", code).returncode == 0

    def watch(act: Callable[[], object], *paths: Path) -> None:
        true_wait = Inotify.wait

        def wait(self: Inotify, timeout: float | None) -> Changes:
            if str(code / "shop") not in self.watched or is_acting:
                time.sleep(0.01)
                return Changes()
            return true_wait(self, timeout)

        is_acting = True
        monkeypatch.setattr(Inotify, "wait", wait)
        with InThread([code]) as watching:
            eventually(lambda: str(code / "shop") in watching.watched)
            act()
            is_acting = False
            eventually(lambda: all(map(is_recorded, paths)), records_by_path)
            agrees_with_a_sweep(code)

    return sweep if request.param == "sweep" else watch


def marked(path: Path) -> Path:
    """Let a sweep mark a directory."""
    age(path.parent)
    assert Inside()("sweep", "--yes", path.parent).returncode == 0
    assert records_by_path()[str(path)].set
    return path


def is_recorded(path: Path) -> bool:
    record = records_by_path().get(str(path))
    return record is not None and is_about_path(record, path)


def is_about_path(record: Record, path: Path) -> bool:
    with open_directory(path) as directory:
        return is_about(record, identity_of(directory.fd))


def assert_all_are_regrows(code: Path, *paths: Path) -> None:
    """Check that each is marked by regrow's own record, and that undo leaves no mark."""
    known = records_by_path()
    for path in paths:
        assert has_attribute(path), path
        assert is_about_path(known[str(path)], path), path
        assert "xdg-robots" in known[str(path)].set, path
        assert known[str(path)].found == (), path
    assert Inside()("undo", "--yes").returncode == 0
    for path in paths:
        assert not has_attribute(path), path
        assert not (path / "CACHEDIR.TAG").exists(), path
    assert not [one for one in records_by_path() if one.startswith(str(code))]


@pytest.mark.parametrize("name", [".venv.old", ".a-venv", "old"])
def test_an_environment_whose_place_another_one_took_is_regrows_still(
    code: Path, look: Look, name: str
) -> None:
    path = marked(environment(code / "shop/.venv"))
    aside = path.parent / name

    def act() -> None:
        path.rename(aside)
        environment(path)

    look(act, path, aside)

    assert_all_are_regrows(code, path, aside)


def test_one_that_came_back_to_where_another_one_stood_is_regrows_still(
    code: Path, look: Look
) -> None:
    path = marked(environment(code / "shop/.venv"))
    good = marked(environment(code / "shop/.venv.good"))

    def act() -> None:
        shutil.rmtree(path)
        good.rename(path)

    look(act, path)

    assert_all_are_regrows(code, path)


def test_two_that_changed_their_places_are_regrows_still(code: Path, look: Look) -> None:
    one = marked(environment(code / "shop/.venv"))
    other = marked(environment(code / "shop/.venv.other"))

    def act() -> None:
        between = code / "shop/between"
        one.rename(between)
        other.rename(one)
        between.rename(other)

    look(act, one, other)

    assert_all_are_regrows(code, one, other)


def test_what_no_rule_knows_by_its_new_name_gets_its_mark_taken_off(code: Path, look: Look) -> None:
    path = marked(modules(code / "shop"))
    aside = path.with_name("node_modules.old")

    def act() -> None:
        path.rename(aside)
        (path / "left-pad").mkdir(parents=True)

    look(act, path)
    age(code)
    assert Inside()("sweep", "--yes", code).returncode == 0

    assert not has_attribute(aside), "nothing would bring it back under this name"
    assert_all_are_regrows(code, path)


def test_what_stood_beside_its_record_goes_along(code: Path) -> None:
    path = marked(modules_without_lock(code / "shop"))
    with Store() as store:
        lock = store.attachment(str(path), "package-lock.json")
        assert lock
        aside = path.with_name("node_modules.old")
        path.rename(aside)
        path.mkdir()
        assert Inside()("mark", path).returncode == 0
        assert store.attachment(str(aside), "package-lock.json") == lock
    assert is_about_path(records_by_path()[str(aside)], aside)


@pytest.mark.slow
def test_where_regrow_itself_makes_the_next_one_the_last_one_keeps_its_record(
    code: Path, regrow: Regrow
) -> None:
    path, aside = code / "shop/.venv", code / "shop/.venv.old"
    path.parent.mkdir()
    assert regrow("venv", "--creator", "venv", path).returncode == 0
    path.rename(aside)
    assert regrow("venv", "--creator", "venv", path).returncode == 0

    assert_all_are_regrows(code, path, aside)


def test_an_environment_that_is_replaced_leaves_one_record(code: Path, regrow: Regrow) -> None:
    path = code / "shop/.venv"
    path.parent.mkdir()
    for _ in range(2):
        words = ("--creator", "venv", "--clear", path, "--", "--without-pip")
        assert regrow("venv", *words).returncode == 0
    assert records_by_path().keys() == {str(path)}


def test_a_link_in_the_old_place_leaves_the_record_there(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    (code / "shop").rename(code / "moved")
    (code / "shop").symlink_to("moved")

    assert Inside()("mark", code / "moved/.venv").returncode == 0

    assert records_by_path()[str(path)].set, "it is true still"


def test_the_record_of_what_was_deleted_is_carried_nowhere(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    shutil.rmtree(path)
    environment(code / "shop/other")
    environment(path)
    marked(path)
    assert records_by_path().keys() == {str(path), str(code / "shop/other")}


def test_a_newer_regrows_record_beside_is_left_alone(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    aside = path.with_name(".venv.old")
    path.rename(aside)
    newer = Path(directories.records()) / file_name(str(aside))
    newer.write_text("format = 99\n")
    environment(path)
    age(path)

    assert Inside()("mark", path).returncode == 0

    assert newer.read_text() == "format = 99\n"
    assert os.path.isdir(aside)


def test_a_record_that_it_has_already_is_not_replaced(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    aside = path.with_name(".venv.old")
    path.rename(aside)
    environment(path)
    with Store() as store:
        record = store.read(str(path))
        assert record is not None
        store.write(record._replace(path=str(aside), rule="its-own")).close()

    assert Inside()("mark", path).returncode == 0

    assert records_by_path()[str(aside)].rule == "its-own"


def test_another_directory_with_the_inode_of_one_that_is_gone_gets_no_record(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    other = code / "shop/other"
    other.mkdir()
    with Store() as store:
        record = store.read(str(path))
        assert record is not None
        store.write(record._replace(inode=other.stat().st_ino)).close()

    assert Inside()("mark", path).returncode == 0

    assert records_by_path().keys() == {str(path)}


def test_a_record_that_was_replaced_since_is_not_found_by_what_it_was_about(code: Path) -> None:
    path = marked(environment(code / "shop/.venv"))
    with Store() as store:
        record = store.read(str(path))
        assert record is not None
        this = Identity(record.inode, record.born)
        assert by_identity(store, this) == record

        store.write(record._replace(inode=record.inode + 1)).close()

        assert by_identity(store, this) is None
