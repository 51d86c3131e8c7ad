"""Taking one mark back: what regrow set goes, what it replaced returns, what others did stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from regrow_marks import markers, tag, xdg
from regrow_marks.directory import Directory, open_directory
from regrow_marks.model import FAILED, NOT_MARKED, UNMARKED
from regrow_marks.nodump import Nodump

if sys.platform != "linux":
    pytest.skip("Linux' own marks", allow_module_level=True)

UVS_TAG = tag.SIGNATURE + b"\n# This file is a cache directory tag created by uv.\n"

LEFT = "left as it is: somebody changed it since"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "cache"
    path.mkdir()
    os.utime(path, ns=(1_500_000_000_123_456_789, 1_500_000_000_987_654_321))
    return path


@pytest.fixture
def directory(place: Path) -> Iterator[Directory]:
    with open_directory(place) as opened:
        yield opened


def attributes(place: Path) -> dict[str, bytes]:
    return {name: os.getxattr(place, name) for name in os.listxattr(place)}


# The attribute.


def test_the_attribute_that_regrow_set_goes(place: Path, directory: Directory) -> None:
    mark = xdg.XdgRobots()
    mark.set(directory)
    assert markers.take_back(mark, directory, None) == (UNMARKED, "")
    assert attributes(place) == {}


@pytest.mark.parametrize("previous", [b"true", b"", b"\0\xff", b"x" * 1000])
def test_the_value_that_it_replaced_returns(
    previous: bytes, place: Path, directory: Directory
) -> None:
    mark = xdg.XdgRobots()
    mark.set(directory)
    assert markers.take_back(mark, directory, previous) == (UNMARKED, "")
    assert attributes(place) == {xdg.ATTRIBUTE: previous}


@pytest.mark.parametrize("previous", [None, b"true"])
def test_an_attribute_that_is_off_already_stays_off(
    previous: bytes | None, place: Path, directory: Directory
) -> None:
    assert markers.take_back(xdg.XdgRobots(), directory, previous) == (NOT_MARKED, "")
    assert attributes(place) == {}


@pytest.mark.parametrize("previous", [None, b"true"])
def test_a_value_that_somebody_changed_stays(
    previous: bytes | None, place: Path, directory: Directory
) -> None:
    os.setxattr(place, xdg.ATTRIBUTE, b"theirs")
    outcome = markers.take_back(xdg.XdgRobots(), directory, previous)
    assert outcome == (NOT_MARKED, f"{xdg.ATTRIBUTE}: {LEFT}")
    assert attributes(place) == {xdg.ATTRIBUTE: b"theirs"}


def test_the_value_that_was_to_be_replaced_and_still_stands_is_nobodys_change(
    place: Path, directory: Directory
) -> None:
    os.setxattr(place, xdg.ATTRIBUTE, b"true")
    assert markers.take_back(xdg.XdgRobots(), directory, b"true") == (NOT_MARKED, "")
    assert attributes(place) == {xdg.ATTRIBUTE: b"true"}


@pytest.mark.needs_root
@pytest.mark.needs("chattr")
def test_a_refusal_is_told_in_words(place: Path, directory: Directory) -> None:
    mark = xdg.XdgRobots()
    mark.set(directory)
    if subprocess.run(["chattr", "+i", place], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("this file system, or this container, has no immutable directories")
    try:
        outcome = markers.take_back(mark, directory, None)
    finally:
        subprocess.run(["chattr", "-i", place], check=True)
    assert outcome.state == FAILED
    assert outcome.error.startswith(f"{xdg.ATTRIBUTE}: no permission")
    assert attributes(place) == {xdg.ATTRIBUTE: b"false"}


# The tag.


def test_the_tag_that_regrow_wrote_goes_and_the_time_stays(
    place: Path, directory: Directory
) -> None:
    before = place.stat()
    tag.CachedirTag().set(directory)
    assert (place / tag.NAME).read_bytes().startswith(tag.SIGNATURE)
    assert place.stat().st_mtime_ns == before.st_mtime_ns
    assert markers.take_back(tag.CachedirTag(), directory, None) == (UNMARKED, "")
    assert os.listdir(place) == []
    assert place.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("content", [UVS_TAG, tag.SIGNATURE, b"no tag at all", b"x"])
def test_a_tag_of_others_stays(content: bytes, place: Path, directory: Directory) -> None:
    (place / tag.NAME).write_bytes(content)
    before = place.stat().st_mtime_ns
    outcome = markers.take_back(tag.CachedirTag(), directory, None)
    assert outcome == (NOT_MARKED, f"CACHEDIR.TAG: {LEFT}")
    assert (place / tag.NAME).read_bytes() == content
    assert place.stat().st_mtime_ns == before


def test_an_empty_tag_that_a_kill_left_goes(place: Path, directory: Directory) -> None:
    (place / tag.NAME).touch()
    assert tag.CachedirTag().read(directory).state == "absent"
    assert markers.take_back(tag.CachedirTag(), directory, None) == (UNMARKED, "")
    assert os.listdir(place) == []


def test_an_empty_tag_that_a_kill_left_is_filled(place: Path, directory: Directory) -> None:
    (place / tag.NAME).touch()
    before = place.stat().st_mtime_ns
    assert markers.put_on(tag.CachedirTag(), directory).state == "marked"
    assert tag.is_regrows(directory)
    assert place.stat().st_mtime_ns == before


def test_an_empty_file_with_another_name_is_not_filled(
    place: Path, directory: Directory, tmp_path: Path
) -> None:
    """It may be a file of somebody's that is empty now."""
    (tmp_path / "theirs").touch()
    os.link(tmp_path / "theirs", place / tag.NAME)
    markers.put_on(tag.CachedirTag(), directory)
    assert (tmp_path / "theirs").read_bytes() == b""


def test_a_missing_tag_is_not_marked(directory: Directory) -> None:
    assert markers.take_back(tag.CachedirTag(), directory, None) == (NOT_MARKED, "")


def test_a_linked_tag_is_neither_taken_nor_followed(
    place: Path, directory: Directory, tmp_path: Path
) -> None:
    tag.CachedirTag().set(directory)
    aside = (place / tag.NAME).rename(tmp_path / "aside")
    (place / tag.NAME).symlink_to(aside)
    assert markers.take_back(tag.CachedirTag(), directory, None).state == NOT_MARKED
    assert markers.take_off(tag.CachedirTag(), directory).state == NOT_MARKED
    assert (place / tag.NAME).is_symlink()
    assert aside.exists()


# The flag.


def test_the_flag_goes(directory: Directory) -> None:
    mark = Nodump()
    try:
        mark.set(directory)
    except OSError:
        pytest.skip("this file system has no nodump")
    assert markers.take_back(mark, directory, None) == (UNMARKED, "")
    assert markers.take_back(mark, directory, None) == (NOT_MARKED, "")


# The directory's time, after a kill.


def write_and_be_killed(directory: Directory, place: Path) -> int:
    """Write a tag without putting the directory's time back; gives that time."""
    before = place.stat().st_mtime_ns
    tag.CachedirTag().set(directory)
    written = (place / tag.NAME).stat().st_mtime_ns
    os.utime(place, ns=(written, written))
    return before


def test_the_time_before_the_tag_is_put_back(place: Path, directory: Directory) -> None:
    before = write_and_be_killed(directory, place)
    accessed = place.stat().st_atime_ns
    tag.put_time_back(directory, before)
    assert place.stat().st_mtime_ns == before
    assert place.stat().st_atime_ns == accessed


def test_the_time_is_put_back_beside_an_empty_tag_too(place: Path, directory: Directory) -> None:
    before = place.stat().st_mtime_ns
    (place / tag.NAME).touch()
    assert place.stat().st_mtime_ns > before
    tag.put_time_back(directory, before)
    assert place.stat().st_mtime_ns == before


def test_where_anything_else_was_made_since_the_time_stays(
    place: Path, directory: Directory
) -> None:
    before = write_and_be_killed(directory, place)
    written = (place / tag.NAME).stat().st_mtime_ns
    os.utime(place, ns=(written, written + 1_000_000_000))
    tag.put_time_back(directory, before)
    assert place.stat().st_mtime_ns == written + 1_000_000_000


@pytest.mark.parametrize("later", [0, 1])
def test_a_time_that_is_older_than_the_one_to_be_put_back_stays(
    later: int, place: Path, directory: Directory
) -> None:
    tag.CachedirTag().set(directory)
    now = place.stat().st_mtime_ns
    tag.put_time_back(directory, now + later)
    assert place.stat().st_mtime_ns == now


@pytest.mark.parametrize("content", [UVS_TAG, None])
def test_beside_a_tag_of_others_or_none_the_time_stays(
    content: bytes | None, place: Path, directory: Directory
) -> None:
    before = place.stat().st_mtime_ns
    file = place / (tag.NAME if content else "else")
    file.write_bytes(content or b"")
    written = file.stat().st_mtime_ns
    os.utime(place, ns=(written, written))
    tag.put_time_back(directory, before)
    assert place.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("content", "expected"),
    [(tag.COMMENT, True), (tag.SIGNATURE + b"\n" + tag.COMMENT, True), (b"", True),
     (tag.SIGNATURE, False), (UVS_TAG, False), (tag.COMMENT[:-2], False)],
)  # fmt: skip
def test_regrows_own_tags_are_known_by_their_line(
    content: bytes, expected: bool, place: Path, directory: Directory
) -> None:
    (place / tag.NAME).write_bytes(content)
    assert tag.is_regrows(directory) == expected
