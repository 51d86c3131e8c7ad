"""Symbolic links, and other things that are not what their names say: nothing acts through them."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import regrow as library
from regrow import marking, unmarking
from regrow.config import Configuration
from regrow.records.store import Store
from regrow_marks import markers, tag
from regrow_marks.directory import Directory, open_directory
from regrow_marks.errors import PathError
from regrow_marks.model import FAILED, HOLDS, NOT_MARKED, Reading
from regrow_marks.tag import CachedirTag
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    has_attribute,
    has_regrows_tag,
    is_untouched,
    leftovers,
    make_environment,
    read_records,
    snapshot,
    use_creator,
)
from tests.sweeping import Inside

pytestmark = LINUX_ONLY

COMMANDS = (("mark",), ("mark", "--tag"), ("unmark",))


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory that holds someone's work, and must never be touched."""
    place = tmp_path / "victim"
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    return place


def mark(directory: Directory) -> dict[str, str]:
    with Store() as store:
        chosen = marking.choose_markers(directory, Configuration(), wants_tag=True)
        outcomes = marking.mark(directory, chosen, store, marking.Reason())
    return {name: outcome.state for name, outcome in outcomes.items()}


def call(function: str, path: str | Path) -> None:
    getattr(library, function)(path)


# A link as PATH.


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_a_link_to_a_directory_is_refused_with_or_without_a_slash(
    regrow: Regrow, tmp_path: Path, victim: Path, words: tuple[str, ...], ending: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to(victim)
    other = tmp_path / "other"
    other.mkdir()
    done = regrow(*words, f"{link}{ending}", other)
    assert done.returncode == 1
    assert f"{link}" in done.stderr
    assert f"symbolic link (to {victim})" in done.stderr
    assert is_untouched(victim)
    assert has_attribute(other) == (words[0] == "mark"), "the other path is done"


@pytest.mark.parametrize("target", ["nowhere", "link", "thesis"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_link_to_nothing_to_itself_or_to_a_file_is_refused(
    regrow: Regrow, tmp_path: Path, words: tuple[str, ...], target: str
) -> None:
    (tmp_path / "thesis").write_text("years of work")
    before = tmp_path / "link"
    before.symlink_to(tmp_path / target)
    done = regrow(*words, before)
    assert done.returncode == 1
    assert str(before) in done.stderr
    assert "symbolic link" in done.stderr
    assert (tmp_path / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("kind", ["file", "fifo", "socket", "device"])
def test_what_is_no_directory_is_refused_without_opening_it(
    regrow: Regrow, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "it"
    if kind == "file":
        path.touch()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path = Path("/dev/null")
    done = regrow("mark", path)
    assert done.returncode == 1
    assert f"{path}: it is not a directory" in done.stderr


@pytest.mark.parametrize("ending", [".", "./", "./.", "inside/.."])
def test_a_dot_behind_a_link_means_the_true_directory(
    regrow: Regrow, tmp_path: Path, victim: Path, ending: str
) -> None:
    # The user says "the directory that this leads to", as `cd` would.
    (victim / "inside").mkdir()
    (tmp_path / "link").symlink_to(victim)
    [line] = regrow.json("mark", f"{tmp_path}/link/{ending}")
    assert (line["path"], line["outcome"]) == (str(victim), "marked")
    assert [record.path for record in read_records(Path(Store().path))] == [str(victim)]


def test_links_on_the_way_are_followed_once(
    regrow: Regrow, tmp_path: Path, victim: Path, records_directory: Path
) -> None:
    (victim / "cache").mkdir()
    (tmp_path / "link").symlink_to(victim)
    [line] = regrow.json("mark", tmp_path / "link" / "cache")
    assert line["path"] == str(victim / "cache")
    assert has_attribute(victim / "cache")
    assert is_untouched(victim)
    assert [record.path for record in read_records(records_directory)] == [str(victim / "cache")]


def test_a_loop_of_links_on_the_way_is_an_error(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for words in (("mark",), ("unmark",), ("status",), ("venv",)):
        done = regrow(*words, tmp_path / "a" / "x")
        assert done.returncode == 1, words
        assert str(tmp_path / "a") in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("function", ["exclude", "include", "create"])
@pytest.mark.parametrize("target", ["victim", "nowhere", "link"])
def test_the_library_refuses_a_link(
    tmp_path: Path, victim: Path, function: str, target: str
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / target)
    before = snapshot(tmp_path)
    with pytest.raises(PathError, match="symbolic link"):
        call(function, link)
    with pytest.raises(PathError, match="symbolic link"):
        call(function, f"{link}/")
    assert snapshot(tmp_path) == before
    assert is_untouched(victim)


@pytest.mark.parametrize("clear", [(), ("--clear",)], ids=["plain", "clear"])
@pytest.mark.parametrize("target", ["nowhere", "empty", "environment"])
def test_an_environment_is_never_made_through_a_link(
    regrow: Regrow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records_directory: Path,
    target: str,
    clear: tuple[str, ...],
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    place = tmp_path / "place"
    place.mkdir()
    (place / "empty").mkdir()
    make_environment(place / "environment")
    (place / ".venv").symlink_to(target)
    before = snapshot(place)
    for path in (".venv", ".venv/"):
        done = regrow("venv", path, *clear, cwd=place)
        assert done.returncode == 1
        assert f"symbolic link (to {target})" in done.stderr
    assert snapshot(place) == before
    assert read_records(records_directory) == []


def test_a_parent_that_is_a_dangling_link_is_not_made(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    done = regrow("venv", "link/deep/.venv", cwd=tmp_path)
    assert done.returncode == 1
    assert "link" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["link"]


def test_a_link_inside_the_environment_is_deleted_and_not_what_it_leads_to(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: Path
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    make_environment(tmp_path / ".venv")
    (tmp_path / ".venv" / "shared").symlink_to(victim)
    before = snapshot(victim)
    assert regrow("venv", "--clear", cwd=tmp_path).returncode == 0
    assert not os.path.lexists(tmp_path / ".venv" / "shared")
    assert snapshot(victim) == before


# Links put in the way between the check and the use.


def test_the_mark_lands_on_the_directory_that_was_opened_and_not_on_its_successor(
    tmp_path: Path, victim: Path
) -> None:
    path, moved = tmp_path / "cache", tmp_path / "moved"
    path.mkdir()
    with open_directory(path) as directory:
        path.rename(moved)
        path.symlink_to(victim)
        assert set(mark(directory).values()) == {"marked"}
    assert has_attribute(moved)
    assert has_regrows_tag(moved)
    assert is_untouched(victim)


def test_unmark_works_on_the_directory_that_was_opened_and_not_on_its_successor(
    tmp_path: Path, victim: Path
) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    library.exclude(path, tag=True)
    library.exclude(victim, tag=True)
    with open_directory(path) as directory, Store() as store:
        path.rename(tmp_path / "moved")
        path.symlink_to(victim)
        unmarking.unmark(directory, store, Configuration())
    assert is_untouched(tmp_path / "moved")
    assert has_attribute(victim)
    assert has_regrows_tag(victim)


def test_a_link_in_place_of_the_parent_changes_nothing(tmp_path: Path, victim: Path) -> None:
    (victim / "cache").mkdir()
    path = tmp_path / "parent" / "cache"
    path.mkdir(parents=True)
    with open_directory(path) as directory:
        path.parent.rename(tmp_path / "moved")
        path.parent.symlink_to(victim)
        mark(directory)
    assert has_attribute(tmp_path / "moved" / "cache")
    assert is_untouched(victim / "cache")


def _plant(kind: str, path: Path, victim: Path) -> None:
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "directory"])
def test_a_tag_is_never_written_through_what_stands_in_its_place(
    regrow: Regrow, tmp_path: Path, kind: str
) -> None:
    cache, victim = tmp_path / "cache", tmp_path / "empty"
    cache.mkdir()
    victim.touch()  # an empty file is what a tag of our own looks like after a kill
    _plant(kind, cache / tag.NAME, victim)
    done = regrow("mark", "--tag", cache)
    assert done.returncode == 1
    assert f"{cache}: CACHEDIR.TAG: " in done.stderr
    assert has_attribute(cache), "the other mark is set all the same"
    done = regrow("unmark", cache)
    assert "left as it is" in done.stderr
    assert os.path.lexists(cache / tag.NAME)
    assert victim.read_bytes() == b""


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "directory"])
def test_what_takes_the_tags_place_at_the_last_moment_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cache, victim = tmp_path / "cache", tmp_path / "empty"
    cache.mkdir()
    victim.touch()
    read = CachedirTag.read
    calls = []

    def read_and_plant(self: CachedirTag, directory: Directory) -> Reading:
        calls.append(read(self, directory))
        if len(calls) == 2:  # the first by put_on, the second by set, right before it writes
            _plant(kind, cache / tag.NAME, victim)
        return calls[-1]

    monkeypatch.setattr(CachedirTag, "read", read_and_plant)
    with open_directory(cache) as directory:
        outcome = markers.put_on(CachedirTag(), directory)
    assert len(calls) >= 2
    assert outcome.state == FAILED
    assert outcome.error
    assert victim.read_bytes() == b""


def test_an_empty_tag_that_is_a_hard_link_to_a_file_elsewhere_is_seen_as_a_tag_to_complete(
    tmp_path: Path,
) -> None:
    # A hard link to somebody's empty file costs its owner nothing that a copy would not.
    cache = tmp_path / "cache"
    cache.mkdir()
    full = tmp_path / "full"
    full.write_text("years of work")
    os.link(full, cache / tag.NAME)
    with open_directory(cache) as directory:
        assert markers.put_on(CachedirTag(), directory).state == FAILED
        assert markers.take_off(CachedirTag(), directory).state == NOT_MARKED
    assert full.read_text() == "years of work"


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "directory"])
def test_what_stands_in_place_of_pyvenv_cfg_makes_no_environment(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    path = tmp_path / ".venv"
    path.mkdir()
    settings = tmp_path / "settings"
    settings.write_text("version = 3.11.7\n")
    _plant(kind, path / "pyvenv.cfg", settings)
    for words in ((), ("--clear",)):
        done = regrow("venv", path, *words)
        assert done.returncode == 2
        assert f"{path}: it holds files and is no environment" in done.stderr
    [line] = regrow.json("mark", path)
    assert "cachedir-tag" not in line["markers"]
    assert os.path.lexists(path / "pyvenv.cfg")


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "directory"])
def test_a_creator_that_leaves_something_else_as_pyvenv_cfg_made_no_environment(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    template = tmp_path / "template"
    _plant(kind, template, tmp_path)
    use_creator(monkeypatch, tmp_path / "programs", f"mv '{template}' \"$place/pyvenv.cfg\"")
    done = regrow("venv", ".venv", cwd=tmp_path)
    assert done.returncode == 1
    assert "made no environment" in done.stderr
    assert not os.path.lexists(tmp_path / ".venv")


# A real race.

SWAP = """
import os, sys
path, parked, victim = sys.argv[1:]
while True:
    os.rename(path, parked)
    os.symlink(victim, path)
    os.unlink(path)
    os.rename(parked, path)
"""


def test_a_directory_that_keeps_turning_into_a_link_never_leads_a_mark_astray(
    tmp_path: Path, victim: Path
) -> None:
    path, parked = tmp_path / "cache", tmp_path / "parked"
    path.mkdir()
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, path, parked, victim])
    refused, marked = 0, 0
    end = time.monotonic() + 20
    try:
        while (refused < 50 or marked < 50) and time.monotonic() < end:
            assert swapper.poll() is None
            try:
                with open_directory(path) as directory:
                    states = mark(directory)
                    assert FAILED not in states.values()
                    for marker in (*markers.selected(), CachedirTag()):
                        assert marker.read(directory).state == HOLDS
                        marker.clear(directory)
                marked += 1
            except PathError:
                refused += 1
            assert is_untouched(victim)
    finally:
        swapper.kill()
        swapper.wait()
    assert refused, "the race was run"
    assert marked, "the race was run"


def test_a_leftover_that_is_a_link_is_left_alone(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: Path
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    place = tmp_path / "place"
    place.mkdir()
    (place / ".regrow-new-0123456789abcdef").symlink_to(victim)
    (place / ".regrow-old-01234567-.venv").symlink_to(victim)
    done = regrow("venv", ".venv", cwd=place)
    assert done.returncode == 0, done.stderr
    assert not (place / ".venv").is_symlink()
    assert len(leftovers(place)) == 2
    assert is_untouched(victim)
