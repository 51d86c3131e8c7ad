"""Directories are opened as they are named, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regrow_marks import places
from regrow_marks.directory import Opener, holds_file, mount_point, open_directory, open_parent
from regrow_marks.errors import PathError


def test_links_on_the_way_are_followed_and_the_true_path_is_known(tmp_path: Path) -> None:
    (tmp_path / "real/cache").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with open_directory(tmp_path / "link/cache") as directory:
        assert directory.path == f"{os.path.realpath(tmp_path)}/real/cache"


@pytest.mark.parametrize("target", ["real", "missing", "link"])
def test_a_link_is_refused_and_its_target_named(target: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(PathError, match=rf"link: it is a symbolic link \(to {target}\)"):
        open_directory(tmp_path / "link")


@pytest.mark.parametrize("name", ["file", "fifo"])
def test_what_is_no_directory_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(PathError, match=f"{name}: it is not a directory"):
        open_directory(tmp_path / name)


@pytest.mark.parametrize(
    "path", ["nul\0l", "nul\0l/inside", "missing", "missing/inside", "/", "/.."]
)
def test_what_can_not_be_opened_is_a_path_error(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PathError):
        open_directory(path)


@pytest.mark.parametrize("path", [".", "", "inner/..", "../{}", "./", "../{}//"])
def test_every_spelling_leads_to_one_path(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path)
    with open_directory(path.format(tmp_path.name)) as directory:
        assert directory.path == os.path.realpath(tmp_path)


def test_an_opener_opens_below_one_parent_after_another(tmp_path: Path) -> None:
    for name in ("a/1", "a/2", "b/3"):
        (tmp_path / name).mkdir(parents=True)
    with Opener() as opener:
        for name in ("a/1", "a/2", "b/3"):
            with opener.open(tmp_path / name) as directory:
                assert directory.name == name[-1]


def test_a_directory_knows_whether_it_is_still_at_a_path(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with open_directory(place) as directory:
        assert directory.is_at(str(place))
        place.rename(tmp_path / "moved")
        assert not directory.is_at(str(place))
        place.symlink_to("moved")
        assert not directory.is_at(str(place))
        assert directory.is_at(str(tmp_path / "moved"))


def test_entries_are_looked_at_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with open_directory(tmp_path) as directory:
        assert directory.has("file")
        assert directory.has("link")
        assert not directory.has("other")
        assert holds_file(directory, "file")
        assert not holds_file(directory, "link")
        with pytest.raises(PathError, match="File name too long"):
            directory.has("x" * 300)


def test_what_is_to_be_done_on_closing_is_done_once(tmp_path: Path) -> None:
    done = []
    directory = open_directory(tmp_path)
    directory.on_close = lambda: done.append(os.fstat(directory.fd).st_ino)
    directory.close()
    assert done == [tmp_path.stat().st_ino]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc is mounted here")
def test_mount_points_and_the_root_directory_are_refused() -> None:
    with open_parent("/proc") as directory:
        assert places.why_refused(directory) == "it is a mount point"
    with open_parent("/") as directory:
        assert "root directory" in places.why_refused(directory)
    assert mount_point("/proc/self/fd") == "/proc"
    assert mount_point("/missing") == ""
