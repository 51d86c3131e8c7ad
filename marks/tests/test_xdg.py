"""Linux' own marks: the attribute that the calls set, and the flag that they only read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import regrow_marks
from regrow_marks import signature
from regrow_marks.directory import open_directory
from regrow_marks.markers import NODUMP, XDG_ROBOTS

if sys.platform != "linux":
    pytest.skip("Linux' own marks", allow_module_level=True)

ATTRIBUTE = "user.xdg.robots.backup"


def attribute(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, ATTRIBUTE)
    except OSError:
        return None


def test_exclude_sets_the_attribute_and_says_so(tmp_path: Path) -> None:
    first = regrow_marks.exclude(tmp_path)
    again = regrow_marks.exclude(tmp_path)
    assert first == {XDG_ROBOTS: regrow_marks.Outcome("marked")}
    assert again == {XDG_ROBOTS: regrow_marks.Outcome("already marked")}
    assert attribute(tmp_path) == b"false"
    assert os.listdir(tmp_path) == []


def test_another_value_of_the_attribute_is_no_mark_and_is_replaced(tmp_path: Path) -> None:
    os.setxattr(tmp_path, ATTRIBUTE, b"true")
    assert regrow_marks.is_excluded(tmp_path)["borg2"] is None
    assert regrow_marks.exclude(tmp_path)[XDG_ROBOTS].state == "marked"
    assert attribute(tmp_path) == b"false"


def test_include_takes_the_attribute_away_whoever_set_it(tmp_path: Path) -> None:
    os.setxattr(tmp_path, ATTRIBUTE, b"false")
    assert regrow_marks.include(tmp_path)[XDG_ROBOTS].state == "unmarked"
    assert regrow_marks.include(tmp_path)[XDG_ROBOTS].state == "not marked"
    assert attribute(tmp_path) is None


def test_a_mark_that_needs_no_option_is_named_before_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    regrow_marks.exclude(tmp_path)
    regrow_marks.exclude(tmp_path / "inner", tag=True)
    found = regrow_marks.is_excluded(tmp_path / "inner")["borg2"]
    assert found is not None
    assert (found.marker, found.option) == (XDG_ROBOTS, None)


@pytest.mark.needs("chattr")
def test_nodump_is_read_and_never_set_by_default(tmp_path: Path) -> None:
    regrow_marks.exclude(tmp_path, tag=True)
    assert regrow_marks.is_excluded(tmp_path)["bsdtar"] is None
    if subprocess.run(["chattr", "+d", tmp_path], capture_output=True).returncode != 0:
        pytest.skip("this file system has no flags")
    found = regrow_marks.is_excluded(tmp_path)["bsdtar"]
    assert found == regrow_marks.Exclusion(NODUMP, os.path.realpath(tmp_path), "--nodump")


def test_the_signature_names_the_record_and_the_marks(tmp_path: Path) -> None:
    with open_directory(tmp_path) as directory:
        assert signature.read(directory) is None
        signature.put(directory, "1-a.toml", [XDG_ROBOTS, NODUMP])
        assert signature.is_on(directory.fd)
        assert signature.read(directory) == ("1-a.toml", (XDG_ROBOTS, NODUMP))
    regrow_marks.include(tmp_path)
    assert os.listxattr(tmp_path) == []


@pytest.mark.parametrize(
    "value",
    [b"", b"1", b"1 a.toml", b"2 a.toml nodump", b"1 a.toml other", b"1 ../a.toml ", b"1 .a.toml ",
     b"1 a.txt ", b"1 a.toml nodump more", b"1 \xff.toml ", b"1 " + b"a" * 250 + b".toml "],
)  # fmt: skip
def test_what_regrow_does_not_write_is_no_signature(value: bytes, tmp_path: Path) -> None:
    os.setxattr(tmp_path, signature.ATTRIBUTE, value)
    with open_directory(tmp_path) as directory:
        assert signature.is_on(directory.fd)
        assert signature.read(directory) is None
