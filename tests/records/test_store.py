"""The directory of records: written whole, private, cleared of what was left."""

import os
import stat
import time
from pathlib import Path

import pytest

from regrow.errors import RecordError
from regrow.records.format import MARKED, PENDING
from regrow.records.store import Identity, Store, file_name, host, is_about
from tests.records.making import a_record


def test_records_and_their_directory_are_private(records_directory: Path) -> None:
    with Store() as store:
        store.write(a_record()).close()
    (written,) = records_directory.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(records_directory.stat().st_mode) == 0o700


def test_a_pending_record_is_completed_in_place(records_directory: Path) -> None:
    with Store() as store:
        with store.write(a_record()) as written:
            before = store.read("/home/ada/shop/.venv")
            written.complete()
        after = store.read("/home/ada/shop/.venv")
    assert before is not None
    assert after == before._replace(state=MARKED)


def test_completing_a_record_that_another_process_replaced_changes_nothing() -> None:
    with Store() as store:
        first = store.write(a_record())
        store.write(a_record()._replace(host="other")).close()
        first.complete()
        first.close()
        read = store.read("/home/ada/shop/.venv")
    assert read is not None
    assert (read.host, read.state) == ("other", PENDING)


def test_a_failed_write_leaves_the_former_record_and_no_temporary_file(
    records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store() as store:
        store.write(a_record()).close()

        def full(fd: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RecordError, match="the disk is full"):
            store.write(a_record()._replace(host="other"))
        monkeypatch.undo()
        read = store.read("/home/ada/shop/.venv")
    assert read == a_record()


def test_a_directory_is_the_same_by_inode_and_birth_whatever_the_machine_is_called() -> None:
    here = a_record()._replace(host=host())
    renamed = here._replace(host="as it was called before")
    this = Identity(here.inode, here.born)
    assert is_about(here, this)
    assert is_about(renamed, this)
    for record in (here, renamed):
        assert not is_about(record, this._replace(inode=8))
        assert not is_about(record, this._replace(born=8))
        assert not is_about(record, this._replace(born=None))
        assert not is_about(record._replace(born=None), this)


def test_without_a_birth_time_only_the_machine_that_recorded_it_knows_a_directory() -> None:
    here = a_record()._replace(host=host(), born=None)
    this = Identity(here.inode, None)
    assert is_about(here, this)
    assert not is_about(here._replace(host="elsewhere"), this)


# The files.


def make_old(path: Path, seconds: int = 3600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_what_killed_writers_left_goes_and_what_is_fresh_or_not_regrows_stays(
    records_directory: Path,
) -> None:
    with Store() as store:
        store.write(a_record(), [("package-lock.json", b"{}")]).close()
        record, lock = sorted(os.listdir(records_directory), reverse=True)
        leftover, fresh = ".regrow-12-0123abcd", ".regrow-13-0123abcd"
        of_lock = ".regrow-12-89abcdef"
        strangers = (".DS_Store", ".gitignore", ".12-notours", f".{record}", "notes.txt")
        for name in (leftover, fresh, of_lock, *strangers):
            (records_directory / name).touch()
        (records_directory / ".git").mkdir()
        for path in records_directory.iterdir():
            make_old(path)
        make_old(records_directory / fresh, 30)
        store.remove_leftovers()
    assert set(os.listdir(records_directory)) == {record, lock, fresh, ".git", *strangers}


def test_a_temporary_record_is_known_for_one_whatever_the_path(
    records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that are written are the names that are cleared away."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with Store() as store:
        for path in ("/home/ada/shop/.venv", "/\n", "/\udcff/x", "/-rf/--x"):
            with monkeypatch.context() as patch:
                patch.setattr(os, "rename", killed)
                patch.setattr(os, "unlink", lambda *_, **__: None)
                with pytest.raises(KeyboardInterrupt):
                    store.write(a_record(path), [("package-lock.json", b"{}")])
        left = os.listdir(records_directory)
        for name in left:
            make_old(records_directory / name)
        store.remove_leftovers()
    assert len(left) == 4
    assert os.listdir(records_directory) == []


def test_a_copy_under_another_name_is_refused_and_the_record_is_read(
    records_directory: Path,
) -> None:
    with Store() as store:
        store.write(a_record()).close()
        (file,) = records_directory.iterdir()
        (records_directory / "copy.toml").write_bytes(file.read_bytes())
        read = list(store.all())
        assert a_record() in read
        (error,) = (entry for entry in read if isinstance(entry, RecordError))
        assert str(error).startswith(f"{records_directory}/copy.toml: this is a copy")
        assert store.read(a_record().path) == a_record()


def test_names_are_readable_and_differ_where_paths_differ() -> None:
    first = file_name("/home/ada/shop/.venv")
    assert first.startswith("shop-.venv-")
    assert first != file_name("/home/bob/shop/.venv")
    for hostile in ("/a/..", "/\n/\x1b", "/-rf/--x", "/" + "ü" * 300, "/\udcff/x"):
        name = file_name(hostile)
        assert name.isascii()
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert "/" not in name
        assert len(name) < 100
