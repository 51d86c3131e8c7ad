import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regrow.create import environment
from regrow.errors import ConfigurationError, RecordError
from regrow.model import Record
from regrow.plugins import steps
from regrow.records.format import MARKED, PENDING
from regrow.records.store import Store
from regrow.system import locks
from regrow_marks import birth, tag
from regrow_marks.directory import open_directory
from regrow_marks.errors import PathError
from tests.attributes import is_marked
from tests.conftest import NOBODY
from tests.plugins.making import (
    RECIPE,
    configure,
    fill,
    install,
    record_of,
    recorded,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")


@contextmanager
def prepared(path: Path) -> Iterator[None]:
    """What a tool does in the block is done between regrow's first step and its last."""
    with steps.prepared(str(path), RECIPE) as is_prepared:
        assert is_prepared
        yield


def make(path: Path) -> None:
    """Make an environment as a tool with a plugin does."""
    with prepared(path):
        fill(path)
        steps.complete(str(path), RECIPE)


def is_left_alone(path: Path) -> bool:
    with steps.prepared(str(path), RECIPE) as is_prepared:
        return not is_prepared and record_of(path) is None


def test_a_directory_is_made_empty_marked_and_recorded(place: Path) -> None:
    path = place / "missing" / "env"
    with prepared(path):
        assert is_marked(path)
        assert os.listdir(path) == []
        assert recorded(path).state == PENDING
        assert os.listdir(path.parent) == ["env"]


def test_an_empty_directory_that_is_there_is_marked(place: Path) -> None:
    path = place / "env"
    path.mkdir()
    inode = path.stat().st_ino
    with prepared(path):
        assert is_marked(path)
        assert path.stat().st_ino == inode


def test_what_tox_has_put_into_it_does_not_keep_it_from_being_marked(place: Path) -> None:
    path = place / "env"
    (path / "log").mkdir(parents=True)
    (path / steps.TOX_INFO).touch()
    with prepared(path):
        assert is_marked(path)


@pytest.mark.parametrize("name", ["thesis.tex", "log", ".git", "pyvenv.cfg"])
def test_a_directory_with_anything_else_in_it_is_left_alone(place: Path, name: str) -> None:
    path = place / "env"
    path.mkdir()
    (path / name).touch()
    assert is_left_alone(path)
    assert not is_marked(path)


def test_tox_files_beside_others_make_no_difference(place: Path) -> None:
    path = place / "env"
    path.mkdir()
    (path / steps.TOX_INFO).touch()
    (path / "thesis.tex").touch()
    assert is_left_alone(path)


def test_below_the_temporary_directory_nothing_is_touched(place: Path, home: Path) -> None:
    path = place.parent / "temporary" / "deep" / "env"
    with steps.prepared(str(path), RECIPE) as is_prepared:
        assert not is_prepared
    assert not path.parent.exists()
    fill(path)
    steps.mark_made(str(path), RECIPE)
    assert not is_marked(path)
    assert not (home / ".local").exists()


def test_the_current_directory_is_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = place / "project" / "below"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert is_left_alone(below)
    fill(below)
    steps.mark_made(str(below), RECIPE)
    steps.mark_made(str(place / "project"), RECIPE)
    assert not is_marked(below)


@pytest.mark.parametrize("text", ['keep = ["env"]\n', 'disable = ["venv"]\n'])
def test_the_configuration_has_its_word(place: Path, home: Path, text: str) -> None:
    configure(home, text)
    path = place / "env"
    assert is_left_alone(path)
    assert not path.exists()
    fill(path)
    steps.mark_made(str(path), RECIPE)
    assert not is_marked(path)


def test_a_project_has_its_word(place: Path) -> None:
    (place / ".regrow.toml").write_text('keep = ["env"]\n')
    assert is_left_alone(place / "env")


def test_with_a_broken_configuration_nothing_is_marked(place: Path, home: Path) -> None:
    configure(home, "keeep = []\n")
    path = place / "env"
    with pytest.raises(ConfigurationError), prepared(path):
        pass
    assert not path.exists()
    fill(path)
    with pytest.raises(ConfigurationError):
        steps.mark_made(str(path), RECIPE)
    assert not is_marked(path)


def test_without_a_record_nothing_is_marked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, empty, made = place / "new", place / "empty", fill(place / "made")
    empty.mkdir()

    def refuse(store: Store, record: Record, *_: object) -> None:
        raise RecordError(f"{record.path}: the disk is full")

    monkeypatch.setattr(Store, "write", refuse)
    for directory in (path, empty):
        with pytest.raises(RecordError), prepared(directory):
            pass
    with pytest.raises(RecordError):
        steps.mark_made(str(made), RECIPE)
    assert sorted(os.listdir(place)) == ["empty", "made"]
    assert not is_marked(empty)
    assert not is_marked(made)


def test_a_link_is_followed_once_as_virtualenv_does(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    with prepared(place / "link"):
        assert is_marked(place / "real")


def test_a_directory_at_which_another_regrow_is_at_work_is_left_to_it(place: Path) -> None:
    path = place / "env"
    path.mkdir()
    with open_directory(path) as held:
        assert locks.take(held)
        assert is_left_alone(path)
        fill(path)
        steps.mark_made(str(path), RECIPE)
        assert not is_marked(path)
    steps.mark_made(str(path), RECIPE)
    assert is_marked(path)


def test_an_empty_directory_that_is_not_ours_is_left_alone(place: Path) -> None:
    path = place / "env"
    path.mkdir(mode=0o555)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    assert is_left_alone(path)
    assert not is_marked(path)


def test_a_directory_that_another_process_makes_meanwhile_is_left_to_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "env"

    def lose(*_: object) -> None:
        path.mkdir()
        raise FileExistsError(path)

    monkeypatch.setattr(birth, "rename_exclusive", lose)
    assert is_left_alone(path)
    assert os.listdir(place) == ["env"]
    assert not is_marked(path)


def test_a_directory_that_can_not_be_made_leaves_no_record(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr(birth, "rename_exclusive", fail)
    with pytest.raises(PathError, match="quota"), prepared(place / "env"):
        pass
    assert os.listdir(place) == []
    assert record_of(place / "env") is None


def test_a_file_system_without_attributes_takes_the_tag_and_the_log_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    caplog.set_level(logging.INFO)
    path = place / "env"
    make(path)
    assert (path / tag.NAME).exists()
    assert recorded(path).set == ("cachedir-tag",)
    assert "this file system does not support it" in caplog.text


def test_a_finished_environment_has_tag_and_recipe(place: Path) -> None:
    path = place / "env"
    make(path)
    record = recorded(path)
    assert (record.rule, record.state) == (environment.RULE, MARKED)
    assert record.evidence == ("pyvenv.cfg",)
    assert set(record.set) == {"xdg-robots", "cachedir-tag"}
    assert record.recipe["requirements"] == ["one==1.0"]
    assert record.recipe["command"] == ["make-it"]
    assert (path / tag.NAME).read_bytes().startswith(tag.SIGNATURE)


def test_without_a_recipe_the_command_that_made_it_is_recorded(place: Path) -> None:
    path = place / "env"
    with prepared(path):
        fill(path)
        (path / "lib/python3.11/site-packages/two-1.0.dist-info").mkdir()
        steps.complete(str(path), RECIPE)
    record = recorded(path)
    assert record.state == MARKED
    assert record.recipe == RECIPE


def test_what_became_no_environment_stays_pending(place: Path) -> None:
    with prepared(place / "env"):
        (place / "env" / "file").touch()
        steps.complete(str(place / "env"), RECIPE)
    assert recorded(place / "env").state == PENDING


def test_a_new_directory_goes_if_its_creator_leaves_nothing(place: Path) -> None:
    with prepared(place / "env"):
        pass
    assert os.listdir(place) == []
    assert record_of(place / "env") is None


def test_a_directory_that_the_creator_took_away_has_no_record_left(place: Path) -> None:
    with prepared(place / "env"):
        (place / "env").rmdir()
    assert record_of(place / "env") is None


def test_a_directory_that_was_there_is_left_as_it_was(place: Path) -> None:
    path = place / "env"
    path.mkdir()
    with prepared(path):
        pass
    assert os.listdir(path) == []
    assert not is_marked(path)
    assert record_of(path) is None


def test_undoing_leaves_marks_and_record_of_earlier_runs(place: Path) -> None:
    path = place / "env"
    make(path)
    for file in sorted(path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    before = recorded(path)
    with prepared(path):
        pass
    assert is_marked(path)
    assert recorded(path) == before


def test_what_a_failed_creator_leaves_stays_marked_and_recorded(place: Path) -> None:
    with prepared(place / "env"):
        (place / "env" / "bin").mkdir()
    assert is_marked(place / "env")
    assert recorded(place / "env").state == PENDING


def test_an_environment_that_stands_is_marked_late(place: Path) -> None:
    path = fill(place / "env")
    steps.mark_made(str(path), RECIPE)
    assert is_marked(path)
    assert recorded(path).recipe["requirements"] == ["one==1.0"]


def test_so_is_one_with_tox_files_in_it(place: Path) -> None:
    path = fill(place / "env")
    for name in steps.TOX_OWN:
        (path / name).touch()
    steps.mark_made(str(path), RECIPE)
    assert is_marked(path)


def test_what_is_recorded_as_it_is_now_is_not_recorded_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(place / "env")
    steps.mark_made(str(path), RECIPE)

    def refuse(*_: object) -> None:
        pytest.fail("it was recorded again")

    with monkeypatch.context() as patched:
        patched.setattr("regrow.marking.mark", refuse)
        steps.mark_made(str(path), RECIPE)
    install(path, "two")
    steps.mark_made(str(path), RECIPE)
    assert recorded(path).recipe["requirements"] == ["one==1.0", "two==1.0"]


@pytest.mark.parametrize(
    "name",
    ["thesis.tex", "src/mine.py", "lib/python3.11/site-packages/two-1.0.dist-info/no-metadata"],
)
def test_late_nothing_is_marked_that_a_guard_keeps(place: Path, name: str) -> None:
    path = fill(place / "env")
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).touch()
    steps.mark_made(str(path), RECIPE)
    assert not is_marked(path)
    assert record_of(path) is None


def test_a_directory_that_is_no_environment_is_not_looked_at(place: Path, home: Path) -> None:
    steps.mark_made(str(place), RECIPE)
    steps.mark_made(str(place / "missing"), RECIPE)
    assert not (home / ".local").exists()
