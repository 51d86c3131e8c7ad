"""What became of the directories that records tell of."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

# The ordinary user of one test may not be able to read regrow's own files: all is loaded before.
import regrow_marks.libc
import regrow_marks.xdg  # noqa: F401
from regrow import marking
from regrow.config import Configuration
from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
from regrow.records import status
from regrow.records.format import PENDING
from regrow.records.status import (
    ELSEWHERE,
    GONE,
    INTERRUPTED,
    LOST,
    REPLACED,
    STATES,
    THERE,
    UNKNOWN,
)
from regrow.records.store import Store
from regrow_marks import tag
from regrow_marks.directory import open_directory
from tests import attributes
from tests.hostile.helpers import LINUX_ONLY
from tests.sweeping import rewrite

pytestmark = LINUX_ONLY

XDG = "user.xdg.robots.backup"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "shop" / "cache"
    path.mkdir(parents=True)
    return path


def mark(path: Path, *, with_tag: bool = True) -> Record:
    """Mark a directory, and give its record."""
    with Store() as store, open_directory(path) as directory:
        chosen = marking.choose_markers(directory, Configuration(), with_tag)
        marking.mark(directory, chosen, store, marking.Reason())
        record = store.read(str(path))
    assert record is not None
    return record


def state_of(record: Record) -> tuple[str, str]:
    entry = status.what_became_of(record)
    assert entry.record == record
    assert entry.state in STATES
    return entry.state, entry.detail


def test_a_directory_with_its_marks_is_there(place: Path) -> None:
    assert state_of(mark(place)) == (THERE, "")


def test_marks_that_others_set_are_asked_for_too(place: Path) -> None:
    attributes.put(place, XDG, b"false")
    record = mark(place)
    assert record.found == ("xdg-robots",)
    assert state_of(record) == (THERE, "")
    attributes.remove(place, XDG)
    assert state_of(record) == (LOST, "xdg-robots")


def test_a_record_that_was_not_completed_tells_of_an_interruption(place: Path) -> None:
    record = mark(place)._replace(state=PENDING)
    assert state_of(record) == (INTERRUPTED, "")


@pytest.mark.parametrize(
    ("lost", "detail"),
    [
        ((XDG,), "xdg-robots"),
        ((tag.NAME,), "cachedir-tag"),
        ((XDG, tag.NAME), "xdg-robots, cachedir-tag"),
    ],
)
def test_which_marks_are_lost_is_told(lost: tuple[str, ...], detail: str, place: Path) -> None:
    record = mark(place)
    if XDG in lost:
        attributes.remove(place, XDG)
    if tag.NAME in lost:
        (place / tag.NAME).write_text("no signature")
    assert state_of(record) == (LOST, detail)


def test_a_mark_of_another_platform_is_lost_here(place: Path) -> None:
    record = mark(place)._replace(set=("xdg-robots", "time-machine"))
    assert state_of(record) == (LOST, "time-machine")


@pytest.mark.parametrize("successor", ["a file", "a link", "a dangling link", "a fifo"])
def test_what_is_no_directory_has_replaced_it(successor: str, place: Path) -> None:
    record = mark(place)
    place.rename(place.with_name("aside"))
    if successor == "a file":
        place.touch()
    elif successor == "a fifo":
        os.mkfifo(place)
    else:
        place.symlink_to("aside" if successor == "a link" else "nowhere")
    assert state_of(record) == (REPLACED, "by what is no directory")


def test_another_directory_has_replaced_it(place: Path) -> None:
    record = mark(place)
    place.rename(place.with_name("aside"))
    place.mkdir()
    assert state_of(record) == (REPLACED, "")


def test_a_directory_that_got_the_inode_of_the_former_one_has_replaced_it(place: Path) -> None:
    for _ in range(100):
        record = mark(place)
        shutil.rmtree(place)
        place.mkdir()
        if place.stat().st_ino == record.inode:
            break
    else:
        pytest.skip("this file system does not use an inode again soon")
    if record.born is None:
        pytest.skip("this file system keeps no birth times")
    assert state_of(record) == (REPLACED, "")


@pytest.mark.parametrize("level", ["cache", "shop"])
def test_what_was_deleted_is_gone(level: str, place: Path, tmp_path: Path) -> None:
    record = mark(place)
    shutil.rmtree(place if level == "cache" else tmp_path / "shop")
    assert state_of(record) == (GONE, "")


@pytest.mark.parametrize("successor", ["a file", "a link to itself"])
def test_below_what_is_no_directory_any_more_it_is_gone(
    successor: str, place: Path, tmp_path: Path
) -> None:
    record = mark(place)
    shutil.rmtree(tmp_path / "shop")
    if successor == "a file":
        (tmp_path / "shop").touch()
    else:
        (tmp_path / "shop").symlink_to("shop")
    assert state_of(record) == (GONE, "")


def test_where_a_moved_project_left_a_link_it_is_still_there(place: Path, tmp_path: Path) -> None:
    record = mark(place)
    (tmp_path / "shop").rename(tmp_path / "moved")
    (tmp_path / "shop").symlink_to("moved")
    assert state_of(record) == (THERE, "")


def test_what_cannot_be_looked_at_is_unknown_and_the_cause_is_told(
    open_place: Path,
    as_ordinary_user: Callable[[Callable[[], tuple[str, str]]], tuple[str, str]],
) -> None:
    locked = open_place / "locked"
    (locked / "cache").mkdir(parents=True)
    record = mark(locked / "cache")
    locked.chmod(0)
    assert as_ordinary_user(lambda: state_of(record)) == (UNKNOWN, "no permission (EACCES)")
    locked.chmod(0o755)
    (locked / "cache").chmod(0)
    assert as_ordinary_user(lambda: state_of(record)) == (UNKNOWN, "no permission (EACCES)")


def test_a_machine_that_changed_its_name_knows_its_directories_by_their_birth(place: Path) -> None:
    record = mark(place)._replace(host="as it was called before")
    if record.born is None:
        pytest.skip("this file system keeps no birth times")
    assert state_of(record) == (THERE, "")


@pytest.mark.parametrize("born", [None, 1])
def test_another_directory_here_is_not_the_one_of_another_machine(
    born: int | None, place: Path
) -> None:
    record = mark(place)._replace(host="elsewhere", born=born)
    assert state_of(record) == (ELSEWHERE, "")


def test_what_is_missing_here_may_be_there_on_another_machine(place: Path) -> None:
    record = mark(place)._replace(host="elsewhere")
    shutil.rmtree(place)
    assert state_of(record) == (ELSEWHERE, "")


def test_looking_changes_nothing(place: Path) -> None:
    record = mark(place)
    before = place.stat().st_ctime_ns, place.stat().st_mtime_ns
    state_of(record)
    assert (place.stat().st_ctime_ns, place.stat().st_mtime_ns) == before


# All of them.


def found(*paths: Path) -> set[str]:
    with Store() as store:
        entries = list(status.entries(store, map(str, paths)))
    return {entry.record.path for entry in entries if isinstance(entry, status.Entry)}


def test_only_what_is_at_a_path_or_below_is_gone_through(tmp_path: Path) -> None:
    names = ("shop", "shop/a", "shop/b/c", "shop2", "sho")
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        mark(tmp_path / name)
    assert found() == {str(tmp_path / name) for name in names}
    assert found(tmp_path / "shop") == {str(tmp_path / name) for name in names[:3]}
    assert found(tmp_path / "shop/a", tmp_path / "sho") == {f"{tmp_path}/shop/a", f"{tmp_path}/sho"}
    assert found(Path("/")) == found()
    assert found(tmp_path / "nothing") == set()


def test_a_record_that_cannot_be_read_comes_as_its_error_among_the_others(
    tmp_path: Path, records_directory: Path
) -> None:
    for name in ("damaged", "newer", "sound"):
        (tmp_path / name).mkdir()
        mark(tmp_path / name)
    files = {
        name: next(records_directory.glob(f"*-{name}-*.toml")) for name in ("damaged", "newer")
    }
    files["damaged"].write_bytes(files["damaged"].read_bytes()[:100])
    rewrite(files["newer"], "format = 1", "format = 2")
    with Store() as store:
        damaged, newer, sound = sorted(
            status.entries(store), key=lambda entry: ("sound" in str(entry), str(entry))
        )
    assert isinstance(damaged, RecordError)
    assert str(damaged).startswith(f"{files['damaged']}: this record is damaged: ")
    assert isinstance(newer, NewerRecordError)
    assert str(newer).startswith(f"{files['newer']}: a newer regrow wrote this record (format 2)")
    assert isinstance(sound, status.Entry)
    assert sound.state == THERE
