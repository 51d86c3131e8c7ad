import os
from pathlib import Path

import pytest

from regrow.programs.export import files
from regrow_marks.errors import PathError


def test_a_new_file_gets_the_mode_of_every_new_file(tmp_path: Path) -> None:
    files.write(str(tmp_path / "new"), b"data")
    (tmp_path / "other").touch()
    assert (tmp_path / "new").read_bytes() == b"data"
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_file_is_replaced_whole_and_its_mode_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a longer text than the new one")
    file.chmod(0o640)
    before = file.stat()
    files.write(str(file), b"data")
    assert file.read_bytes() == b"data"
    assert file.stat().st_mode == before.st_mode
    assert file.stat().st_ino != before.st_ino
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_goes_on_leading_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/file")
    files.write(str(tmp_path / "link"), b"data")
    assert os.readlink(tmp_path / "link") == "elsewhere/file"
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"data"


def test_a_name_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write("file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"


def test_what_can_not_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"before")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PathError, match=r"file: .*the disk is full"):
        files.write(str(file), b"data")
    assert file.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(PathError, match="does not exist"):
        files.write(str(tmp_path / "missing" / "file"), b"data")


def test_what_a_file_holds_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert files.read(str(file)) is None
    file.write_bytes(b"data")
    assert files.read(str(file)) == b"data"


def test_only_a_regular_file_is_read() -> None:
    with pytest.raises(PathError, match="not a regular file"):
        files.read(os.devnull)
