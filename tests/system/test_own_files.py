"""Regrow's own files: private, whole or not at all, and locked."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.system import own_files


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    """The descriptor of a directory that holds a file."""
    (tmp_path / "name").write_bytes(b"before")
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_a_file_is_replaced_whole_and_for_this_user_alone(place: int, tmp_path: Path) -> None:
    fd = own_files.replace(place, "name", [b"one ", b"two"])
    assert os.path.samestat(os.fstat(fd), (tmp_path / "name").stat())
    os.close(fd)
    assert (tmp_path / "name").read_bytes() == b"one two"
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o600
    assert os.listdir(place) == ["name"]


def test_what_cannot_be_written_leaves_what_was_there(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="no space left"):
            own_files.replace(place, "name", [b"after"])
    assert (tmp_path / "name").read_bytes() == b"before"
    assert os.listdir(place) == ["name"]


def test_an_interrupt_just_after_the_file_has_its_name_is_an_interrupt(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def interrupted(*words: Any, **named: Any) -> None:
        rename(*words, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        own_files.replace(place, "name", [b"after"])
    assert (tmp_path / "name").read_bytes() == b"after"


def test_a_file_is_written_under_a_name_that_says_whose_it_is(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []

    def watched(fd: int) -> None:
        names.extend(os.listdir(place))

    monkeypatch.setattr(os, "fsync", watched)
    os.close(own_files.replace(place, "name", [b"after"], is_synced=True))
    assert any(name.startswith(own_files.TEMPORARY) for name in names)


def test_a_file_is_replaced_by_its_path_with_the_permissions_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        own_files.replace_at(str(tmp_path / "new"), [b"text"], 0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == b"text"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644


def test_one_at_a_time_has_the_lock_unless_it_is_shared(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, other, third = (own_files.create(path, os.O_RDWR) for _ in range(3))
    assert own_files.try_lock(one, is_shared=True)
    assert own_files.try_lock(other, is_shared=True)
    assert not own_files.try_lock(third)
    os.close(one)
    os.close(other)
    assert own_files.try_lock(third)
    os.close(third)


def test_a_file_system_without_locks_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    fd = own_files.create(str(tmp_path / "file"), os.O_RDWR)
    assert own_files.try_lock(fd)
    os.close(fd)
    lock = own_files.Lock(str(tmp_path / "lock"))
    with lock, lock:
        pass
    lock.close()


@pytest.mark.parametrize("size", [8, 16])
def test_the_hash_that_starts_fast_is_hashlibs_own(size: int) -> None:
    """``_blake2`` is private to CPython: this says when one has another."""
    found = own_files.blake2b(b"/home/ada/shop/.venv", digest_size=size).digest()
    assert found == hashlib.blake2b(b"/home/ada/shop/.venv", digest_size=size).digest()
