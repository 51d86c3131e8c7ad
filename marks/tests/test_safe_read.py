"""Files that others may have made are read only if they are regular and small enough."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from regrow_marks.safe_read import UnsafeFileError, read, read_head


def test_a_regular_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read(str(file), 5) == b"12345"
    assert read_head(str(file), 3) == b"123"
    with pytest.raises(UnsafeFileError, match="it is larger than 4 bytes"):
        read(str(file), 4)


def test_where_nothing_is_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read(str(tmp_path / "missing")) is None
    assert read(str(tmp_path / "file/inside")) is None


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "socket"])
def test_anything_else_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # sockets have short paths
    Path("target").touch()
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "link":
            os.symlink("target", kind)
        elif kind == "fifo":
            os.mkfifo(kind)
        elif kind == "directory":
            os.mkdir(kind)
        else:
            listening.bind(kind)
        with pytest.raises(UnsafeFileError, match=f"{kind}: it is"):
            read(kind)
        with pytest.raises(UnsafeFileError, match=f"{kind}: it is"):
            read_head(kind, 1)


def test_the_caller_may_refuse_by_the_status(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UnsafeFileError, match="file: it is empty"):
        read(str(file), why_refused=lambda status: "" if status.st_size else "it is empty")


def test_a_path_may_begin_in_an_open_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    place = os.open(tmp_path, os.O_RDONLY)
    try:
        assert read("file", place=place) == b"x"
    finally:
        os.close(place)
