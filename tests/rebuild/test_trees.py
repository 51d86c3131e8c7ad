"""Two trees walked together: what the new one holds goes, the rest moves; nothing is lost."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regrow.rebuild import trees
from regrow.rebuild.explained import Shell
from tests.mounts import bind_mount

FILES = {"a": "1", "deep/b": "2", "deep/er/c": "3", "link": None}


@contextlib.contextmanager
def opened(*paths: Path) -> Iterator[list[int]]:
    found = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in paths]
    try:
        yield found
    finally:
        for fd in found:
            os.close(fd)


def settle(old: Path, new: Path) -> list[str]:
    with opened(old, new) as (one, other):
        trees.remove_explained(one, other, Shell())
        return trees.move_back(one, other, Shell())


def plant(place: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)


def read(place: Path) -> dict[str, str]:
    return {
        str(file.relative_to(place)): file.read_text()
        for file in sorted(place.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    return old, new


def test_what_both_hold_equally_is_removed(pair: tuple[Path, Path]) -> None:
    old, new = pair
    for place in pair:
        plant(place, {"lib/a.py": "x", "lib/deep/b.py": "y"})
        (place / "lib64").symlink_to("lib")
    assert settle(old, new) == []
    assert os.listdir(old) == []
    assert read(new) == {"lib/a.py": "x", "lib/deep/b.py": "y"}


@pytest.mark.parametrize("is_unfinished", [True, False])
def test_the_beginning_of_a_file_is_what_a_kill_left_of_it_or_an_edit(
    pair: tuple[Path, Path], is_unfinished: bool
) -> None:
    old, new = pair
    plant(old, {"lib/a.py": "x = "})
    plant(new, {"lib/a.py": "x = 1"})
    with opened(old, new) as (one, other):
        trees.remove_explained(one, other, Shell(), is_unfinished=is_unfinished)
    assert read(old) == ({} if is_unfinished else {"lib/a.py": "x = "})


@pytest.mark.parametrize("place", ["lib", "lib/tool"])
def test_nothing_is_removed_from_what_is_mounted_inside(
    pair: tuple[Path, Path], tmp_path: Path, place: str
) -> None:
    old, new = pair
    files = {"tool.py": "theirs", "tool/tool.py": "theirs"}
    for tree in (tmp_path / "sources", old / "lib", new / "lib"):
        plant(tree, files)
    with bind_mount(tmp_path / "sources", old / place):
        settle(old, new)
        assert read(tmp_path / "sources") == files
        with opened(old) as (fd,):
            assert trees.left(fd) == [place], "it is named, and what is in it is elsewhere"


def test_ones_own_goes_to_its_place_where_that_is_free(pair: tuple[Path, Path]) -> None:
    old, new = pair
    plant(old, {"thesis/1.tex": "years", "lib/mine.py": "x", "lib/tool.py": "theirs"})
    plant(new, {"lib/tool.py": "theirs"})
    assert settle(old, new) == ["lib/mine.py", "thesis"]
    assert os.listdir(old) == []
    assert read(new) == {"thesis/1.tex": "years", "lib/mine.py": "x", "lib/tool.py": "theirs"}


def test_a_directory_that_can_not_be_read_keeps_no_other_from_its_place(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = pair
    plant(old, {"bad/a": "1", "thesis/b": "2"})
    plant(new, {"bad/c": "3"})
    bad, listdir = (old / "bad").stat(), os.listdir

    def listed(fd: int) -> list[str]:
        if os.path.samestat(os.fstat(fd), bad):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return listdir(fd)

    with opened(old, new) as (one, other), monkeypatch.context() as patch:
        patch.setattr(os, "listdir", listed)
        assert trees.move_back(one, other, Shell()) == ["thesis"]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_nothing_is_written_over(pair: tuple[Path, Path], kind: str) -> None:
    old, new = pair
    plant(old, {"place": "mine"})
    if kind == "file":
        plant(new, {"place": "theirs"})
    elif kind == "directory":
        (new / "place").mkdir()
    else:
        (new / "place").symlink_to("/nowhere")
    assert settle(old, new) == []
    assert read(old) == {"place": "mine"}


def test_nothing_is_followed_out_of_the_trees(pair: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = pair
    plant(tmp_path / "victim", {"a": "years of work"})
    for place in pair:
        (place / "x").symlink_to(tmp_path / "victim")
    (old / "y").mkdir()
    plant(old, {"y/a": "years of work"})
    (new / "y").symlink_to(tmp_path / "victim")
    settle(old, new)
    assert read(tmp_path / "victim") == {"a": "years of work"}
    assert read(old) == {"y/a": "years of work"}, "the link stands in its place"


def test_fifos_sockets_and_links_are_moved_and_never_opened(pair: tuple[Path, Path]) -> None:
    old, new = pair
    for place in pair:
        os.mkfifo(place / "both")
    os.mkfifo(old / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(old / "socket"))
    (old / "link").symlink_to("/nowhere")
    assert settle(old, new) == ["link", "pipe", "socket"]
    assert os.listdir(old) == ["both"]


def test_a_tree_of_a_thousand_levels_moves_as_a_whole(pair: tuple[Path, Path]) -> None:
    old, new = pair
    depth = 1100
    here = os.open(old, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert settle(old, new) == ["d"]
    assert os.listdir(old) == []


def test_two_trees_too_deep_to_walk_are_left_apart(pair: tuple[Path, Path]) -> None:
    for place in pair:
        here = os.open(place, os.O_RDONLY)
        for _ in range(300):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)
    old, new = pair
    settle(old, new)
    assert os.listdir(old) == ["d"], "what was not compared is not removed"


NAMES = st.sampled_from(["a", "b", "c"])
TREES = st.recursive(
    st.text("xy", max_size=2), lambda inner: st.dictionaries(NAMES, inner), max_leaves=8
).filter(lambda tree: isinstance(tree, dict))


def write(place: Path, tree: object) -> None:
    if isinstance(tree, dict):
        place.mkdir(exist_ok=True)
        for name, inner in tree.items():
            write(place / name, inner)
    else:
        place.write_text(str(tree))


@settings(max_examples=150, deadline=None)
@given(TREES, TREES)
def test_every_content_is_somewhere_afterwards(one: object, other: object) -> None:
    with TemporaryDirectory() as directory:
        old, new = Path(directory, "old"), Path(directory, "new")
        write(old, one)
        write(new, other)
        mine, theirs = read(old), read(new)
        settle(old, new)
        now_old, now_new = read(old), read(new)
        for name, content in theirs.items():
            assert now_new[name] == content, "the new tree loses nothing"
        for name, content in mine.items():
            assert content in (now_old.get(name), now_new.get(name))
