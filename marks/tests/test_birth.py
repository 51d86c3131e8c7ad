"""Directories that are marked before they have their name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

import regrow_marks
from regrow_marks import birth
from regrow_marks.directory import Directory, open_directory
from regrow_marks.errors import PathError


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Directory]:
    with open_directory(tmp_path) as directory:
        yield directory


def entries(parent: Directory) -> list[str]:
    return sorted(os.listdir(parent.path))


def test_it_is_prepared_under_a_temporary_name(parent: Directory) -> None:
    seen = []

    def prepare(directory: Directory) -> None:
        seen.append(directory.name)
        assert entries(parent) == [directory.name]

    with birth.create(parent, "new", prepare) as made:
        assert made.path == f"{parent.path}/new"
        assert made.is_at(made.path)
    (temporary,) = seen
    assert temporary.startswith(birth.PREFIX)
    assert entries(parent) == ["new"]


def test_where_its_temporary_directory_is_removed_another_one_is_made(parent: Directory) -> None:
    names = []

    def prepare(directory: Directory) -> None:
        names.append(directory.name)
        if len(names) < 3:
            os.rmdir(directory.path)

    birth.create(parent, "new", prepare).close()
    assert len(set(names)) == 3
    assert entries(parent) == ["new"]


def test_it_gives_up_where_that_never_ends(parent: Directory) -> None:
    with pytest.raises(PathError, match="keep removing"):
        birth.create(parent, "new", lambda directory: os.rmdir(directory.path))
    assert entries(parent) == []


def test_what_another_process_made_meanwhile_stays(parent: Directory) -> None:
    with pytest.raises(FileExistsError):
        birth.create(parent, "new", lambda _: os.mkdir(f"{parent.path}/new"))
    assert entries(parent) == ["new"]


def test_where_it_fails_nothing_is_left(parent: Directory) -> None:
    def prepare(directory: Directory) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        birth.create(parent, "new", prepare)
    assert entries(parent) == []


def test_a_parent_that_is_gone_is_told_in_words(parent: Directory) -> None:
    os.rmdir(parent.path)
    with pytest.raises(PathError, match="it can't be made: it does not exist"):
        birth.create(parent, "new", lambda _: None)


def test_create_marks_the_directory_that_another_process_made_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(parent: int, old: str, new: str) -> None:
        os.mkdir(new, dir_fd=parent)
        raise FileExistsError

    monkeypatch.setattr(birth, "rename_exclusive", rename)
    outcomes = regrow_marks.create(tmp_path / "new")
    assert all(outcome.state == "marked" for outcome in outcomes.values())
    assert os.listdir(tmp_path) == ["new"]
