"""A snapshot is a cache: whatever befalls its file costs time, and nothing else."""

import contextlib
import errno
import os
import random
import signal
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow.scan import incremental, snapshot
from regrow.system import cache
from tests.conftest import NOBODY
from tests.hostile.helpers import LINUX_ONLY
from tests.mounts import mounted_image
from tests.scan.surveying import CACHE, RULES, paths, snapshots, sweep
from tests.sweeping import modules

pytestmark = [LINUX_ONLY, pytest.mark.usefixtures("at_once")]

DIRECTORIES = 20


@pytest.fixture
def code(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree that was swept; its snapshot has several sections."""
    monkeypatch.setattr(snapshot, "_SECTION", 8)
    place = home.resolve() / "code"
    for number in range(DIRECTORIES):
        (place / f"{number}").mkdir(parents=True)
    modules(place / "project")
    sweep(place)
    assert sweep(place).read == 0
    return place


@pytest.fixture
def file(code: Path, home: Path) -> Path:
    """The snapshot of the tree."""
    (found,) = snapshots(home)
    return found


def is_used(code: Path) -> bool:
    """Sweep; tell whether what was known was believed."""
    surveyed = sweep(code)
    assert paths(surveyed) == {str(code / "project/node_modules")}
    return surveyed.read == 0


def is_replaced(code: Path) -> bool:
    """Tell that it is read in full, and that there is a snapshot again afterwards."""
    return not is_used(code) and is_used(code)


def test_a_snapshot_that_was_deleted_is_written_again(code: Path, file: Path) -> None:
    file.unlink()
    assert is_replaced(code)


def test_a_snapshot_that_was_cut_off_anywhere_is_replaced(code: Path, file: Path) -> None:
    whole = file.read_bytes()
    footer = snapshot._FOOTER
    begin = len(whole) - footer
    lengths = (0, 1, 7, 8, 15, 16, 17, footer - 1, footer, footer + 1, len(whole) // 2, begin - 1,
               begin, begin + 8, begin + 16, len(whole) - 1)  # fmt: skip
    for length in lengths:
        file.write_bytes(whole[:length])
        assert is_replaced(code), length


def test_a_snapshot_that_lacks_its_beginning_is_replaced(code: Path, file: Path) -> None:
    whole = file.read_bytes()
    for missing in (1, 8, 100, len(whole) // 2):
        file.write_bytes(whole[missing:])
        assert is_replaced(code), missing


def test_a_byte_that_was_changed_anywhere_is_noticed(code: Path, file: Path) -> None:
    whole = bytearray(file.read_bytes())
    for place in (*range(0, len(whole), 17), *range(len(whole) - snapshot._FOOTER, len(whole))):
        damaged = whole.copy()
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        assert not is_used(code), place


@pytest.mark.parametrize("begin", [-(1 << 63), -1, 0, 1 << 40, (1 << 63) - 1])
@pytest.mark.parametrize("length", [-(1 << 63), -1, 0, 1, 1 << 40, (1 << 63) - 1])
def test_a_footer_that_points_anywhere_is_not_followed(
    code: Path, file: Path, begin: int, length: int
) -> None:
    whole = file.read_bytes()
    digest = whole[-cache.DIGEST_SIZE :]
    head = whole[: -snapshot._FOOTER]
    file.write_bytes(head + array("q", (begin, length)).tobytes() + digest)
    assert is_replaced(code)


def test_garbage_in_place_of_a_snapshot_is_replaced(code: Path, file: Path) -> None:
    chance = random.Random(1)
    for size in (10, 1000, 100_000):
        file.write_bytes(chance.randbytes(size))
        assert is_replaced(code), size


def test_sections_of_another_snapshot_are_noticed(code: Path, file: Path) -> None:
    """Sections of another snapshot, whole in themselves, in the place of this one's."""
    whole = file.read_bytes()
    modules(code / "other")
    sweep(code)
    other = file.read_bytes()
    half = len(whole) // 2
    file.write_bytes(other[:half] + whole[half:])
    surveyed = sweep(code)
    assert surveyed.read > DIRECTORIES


def test_a_disk_that_fails_while_a_snapshot_is_opened_costs_time_only(
    code: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pread", failing(os.pread, after=0))
    assert not is_used(code)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_disk_that_fails_while_a_snapshot_is_read_costs_time_only(
    code: Path, file: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(os, "pread", failing(os.pread, after))
    assert not is_used(code)


def failing(call: Callable[..., bytes], after: int) -> Callable[..., bytes]:
    """Stand in for a disk with an unreadable block: the call fails once, after some times."""
    left = [after]

    def read(*arguments: Any) -> bytes:
        left[0] -= 1
        if left[0] == -1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return call(*arguments)

    return read


def test_damage_that_shows_while_changes_are_looked_up_costs_time_only(
    code: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sections are read a second time where something has changed."""
    found = modules(code / "new")
    sections = len(range(0, DIRECTORIES + 3, 8))
    monkeypatch.setattr(os, "pread", failing(os.pread, 2 + sections + 1))
    surveyed = sweep(code)
    assert surveyed.read > DIRECTORIES
    assert str(found) in paths(surveyed)


# What stands in its place.


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_snapshot_that_others_may_write_is_not_believed(
    code: Path, file: Path, mode: int
) -> None:
    file.chmod(mode)
    assert is_replaced(code)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.needs_root
def test_a_snapshot_of_another_user_is_not_believed(code: Path, file: Path) -> None:
    os.chown(file, NOBODY, NOBODY)
    assert is_replaced(code)
    assert file.stat().st_uid == 0


def test_a_link_to_a_snapshot_is_not_followed(code: Path, file: Path, home: Path) -> None:
    file.rename(home / "elsewhere")
    file.symlink_to(home / "elsewhere")
    before = (home / "elsewhere").read_bytes()
    assert is_replaced(code)
    assert not file.is_symlink()
    assert (home / "elsewhere").read_bytes() == before


def test_a_pipe_in_place_of_a_snapshot_holds_nobody_up(code: Path, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    assert is_replaced(code)
    assert file.is_file()


def test_a_directory_in_place_of_a_snapshot_costs_time_only(code: Path, file: Path) -> None:
    file.unlink()
    file.mkdir()
    assert not is_used(code)
    assert not is_used(code)
    assert [path.name for path in file.parent.glob(".*")] == []


def test_a_file_in_place_of_the_cache_directory_costs_time_only(code: Path, file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("mine")
    assert not is_used(code)
    assert file.parent.read_text() == "mine"


def test_a_cache_directory_that_can_not_be_written_costs_time_only(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    home = open_place.resolve() / "home"
    code = home / "code"
    modules(code / "project")
    (home / CACHE).mkdir(parents=True)
    (home / CACHE).chmod(0o555)
    if os.geteuid() == 0:
        os.chown(home / CACHE, NOBODY, NOBODY)

    def work() -> None:
        os.environ["HOME"] = str(home)
        assert not is_used(code)
        assert not is_used(code)
        (home / CACHE).chmod(0o755)
        assert is_replaced(code)

    as_ordinary_user(work)


@pytest.mark.needs_root
def test_in_another_users_cache_directory_nothing_is_written(
    code: Path, file: Path, home: Path
) -> None:
    """It is the invoking user's where ``sudo`` leaves HOME alone."""
    file.unlink()
    os.chown(file.parent, NOBODY, NOBODY)
    assert not is_used(code)
    assert not is_used(code)
    assert list(file.parent.iterdir()) == []


@pytest.mark.needs_root
@pytest.mark.needs("mkfs.ext4")
def test_on_a_full_disk_the_earlier_snapshot_stays_and_changes_are_found(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted_image(tmp_path, "ext4") as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        sweep(code)
        (file,) = (disk / "regrow").iterdir()
        whole = file.read_bytes()
        fill(disk / "full")
        found = modules(code / "new/deep")
        for _ in range(2):
            surveyed = sweep(code)
            assert str(found) in paths(surveyed)
            assert surveyed.unchanged > DIRECTORIES / 2
        assert list((disk / "regrow").iterdir()) == [file]
        assert file.read_bytes() == whole
        (disk / "full").unlink()
        sweep(code)
        assert sweep(code).read == 0


def fill(path: Path) -> None:
    block = bytes(1024)
    with path.open("wb", buffering=0) as file:
        for _ in range(3):  # what was set aside for metadata is free once all is on the disk
            with contextlib.suppress(OSError):
                while file.write(block):
                    pass
            os.fsync(file)


# How many there are.


def test_no_more_than_eight_snapshots_are_kept_and_the_oldest_go(code: Path, home: Path) -> None:
    for number in range(10):
        sweep(code / str(number))
        assert len(snapshots(home)) <= 8
    assert sweep(code / "9").read == 0
    assert sweep(code / "2").read == 0
    assert sweep(code / "1").read == 1


def test_a_snapshot_in_use_is_not_among_those_that_go(code: Path) -> None:
    assert sweep(code / "project").read
    for number in range(10):
        sweep(code / str(number))
        assert sweep(code / "project").read == 0


def test_a_kill_before_a_snapshot_is_renamed_leaves_the_earlier_one(
    code: Path, file: Path, home: Path
) -> None:
    whole = file.read_bytes()
    found = modules(code / "new")
    child = os.fork()
    if child == 0:
        os.rename = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        incremental.survey([str(code)], RULES)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (left,) = (home / CACHE).glob(f".regrow-{child}-*")
    assert file.read_bytes() == whole
    surveyed = sweep(code)
    assert surveyed.unchanged > DIRECTORIES / 2
    assert str(found) in paths(surveyed)
    for number in range(8):
        sweep(code / str(number))
    assert not left.exists()


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(
    code: Path, file: Path
) -> None:
    file.with_name(f".regrow-{os.getpid()}-00000000").write_text("half")
    file.unlink()
    assert is_replaced(code)
