"""Files in the cache directory: private, whole or not used at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import regrow
import regrow_marks
from regrow.system import cache, directories
from tests.conftest import NOBODY


@pytest.fixture
def place(home: Path) -> Path:
    """The cache directory, with a file in it."""
    cache.write("known", b"content")
    return Path(directories.caches())


def test_what_is_written_is_read_and_nobody_else_may(place: Path) -> None:
    assert cache.read("known") == b"content"
    assert (place / "known").stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o777 == 0o700
    assert os.listdir(place) == ["known"]


def test_what_is_written_replaces_what_was_there(place: Path) -> None:
    cache.write("known", b"other")
    assert cache.read("known") == b"other"
    assert os.listdir(place) == ["known"]


def test_what_is_not_there_is_none(place: Path) -> None:
    assert cache.read("unknown") is None
    assert cache.open_file("unknown") is None


def test_nothing_at_all_can_be_kept(place: Path) -> None:
    cache.write("empty", b"")
    assert cache.read("empty") == b""


def test_what_was_damaged_in_any_byte_is_none(place: Path) -> None:
    whole = (place / "known").read_bytes()
    for number in range(len(whole)):
        damaged = bytearray(whole)
        damaged[number] ^= 0x40
        (place / "known").write_bytes(damaged)
        assert cache.read("known") is None


def test_what_was_cut_off_anywhere_is_none(place: Path) -> None:
    whole = (place / "known").read_bytes()
    for length in range(len(whole)):
        (place / "known").write_bytes(whole[:length])
        assert cache.read("known") is None


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_may_write_is_none(place: Path, mode: int) -> None:
    (place / "known").chmod(mode)
    assert cache.read("known") is None


@pytest.mark.needs_root
def test_what_another_user_has_written_is_none(place: Path) -> None:
    os.chown(place / "known", NOBODY, NOBODY)
    assert cache.read("known") is None


def test_what_is_no_regular_file_is_none(place: Path) -> None:
    (place / "link").symlink_to("known")
    os.mkfifo(place / "pipe")
    (place / "directory").mkdir()
    before = len(os.listdir("/dev/fd"))
    for name in ("link", "pipe", "directory"):
        assert cache.open_file(name) is None
    assert len(os.listdir("/dev/fd")) == before


def test_what_can_not_be_finished_leaves_what_was_there(place: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.replace("known", parts())
    assert cache.read("known") == b"content"
    assert os.listdir(place) == ["known"]


def test_where_nothing_can_be_written_nothing_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    cache.write("known", b"content")
    cache.keep_newest("known", 1)
    assert cache.read("known") is None


def test_the_newest_files_of_a_kind_are_kept_and_no_other_kind_is_touched(place: Path) -> None:
    for number in range(6):
        (place / f"scan-{number}").touch()
        os.utime(place / f"scan-{number}", (number, number))
    (place / ".regrow-123-0a1b2c3d").touch()
    os.utime(place / ".regrow-123-0a1b2c3d", (0, 0))
    (place / "other-0").touch()
    cache.keep_newest("scan-", 3)
    assert sorted(os.listdir(place)) == ["known", "other-0", "scan-3", "scan-4", "scan-5"]


def test_what_is_in_use_counts_as_new(place: Path) -> None:
    for number in range(1, 4):
        cache.write(f"scan-{number}", b"content")
        os.utime(place / f"scan-{number}", (number, number))
    cache.refresh("scan-1")
    cache.refresh("scan-missing")
    cache.keep_newest("scan-", 2)
    assert sorted(os.listdir(place)) == ["known", "scan-1", "scan-3"]


def test_a_link_counts_by_its_own_age_and_what_it_names_stays(place: Path, home: Path) -> None:
    (home / "mine").touch()
    (place / "scan-link").symlink_to(home / "mine")
    os.utime(place / "scan-link", (1, 1), follow_symlinks=False)
    (place / "scan-dangling").symlink_to("nowhere")
    cache.keep_newest("scan-", 1)
    assert sorted(os.listdir(place)) == ["known", "scan-dangling"]
    assert (home / "mine").exists()


def test_other_code_is_told_by_each_modules_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "regrow/rules").mkdir(parents=True)
    (tmp_path / "marks").mkdir()
    names = ("regrow/config.py", "regrow/rules/python.toml", "marks/tag.py")
    for name in names:
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1, 1))
    monkeypatch.setattr(regrow, "__path__", [str(tmp_path / "regrow")])
    monkeypatch.setattr(regrow_marks, "__path__", [str(tmp_path / "marks")])
    seen = {cache.code()}
    assert cache.code() in seen
    for time, name in enumerate(names, start=2):
        os.utime(tmp_path / name, (time, time))
        seen.add(cache.code())
    (tmp_path / "regrow/rules/new.toml").touch()
    seen.add(cache.code())
    monkeypatch.setattr(regrow, "__version__", "another")
    seen.add(cache.code())
    assert len(seen) == 6
