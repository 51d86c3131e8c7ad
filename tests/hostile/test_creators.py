"""Creators that fail, lie or are interrupted: nothing half made stays, the old comes back."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    MAKE,
    assert_every_mark_has_its_record,
    has_attribute,
    leftovers,
    make_environment,
    read_records,
    record_of,
    snapshot,
    use_creator,
)
from tests.sweeping import Inside

pytestmark = LINUX_ONLY

FAILURES = {
    "exits with 3": ('mkdir "$place/bin"; echo its words; exit 3', 3, "its words"),
    "is killed": ('mkdir "$place/bin"; echo its words; kill -9 $$', 137, "its words"),
    "makes nothing": ("echo its words", 1, "its words"),
    "makes something else": ('mkdir "$place/bin"; touch "$place/bin/python"', 1, "no environment"),
    "takes the directory away": ('rmdir "$place"', 1, "does not exist"),
    "takes the directory away and fails": ('rmdir "$place"; exit 4', 4, "exit code 4"),
    "leaves a link": ('rmdir "$place"; ln -s / "$place"', 1, "symbolic link"),
    "leaves a file": ('rmdir "$place"; touch "$place"; exit 5', 5, "exit code 5"),
    "leaves locked directories": ('mkdir -p "$place/lib/b"; chmod 0 "$place/lib"; exit 6', 6, "6"),
}


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A creator that makes an environment, until it is told something else."""
    return use_creator(monkeypatch, tmp_path / "programs")


@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_is_left_of_an_environment_whose_creator(
    regrow: Regrow,
    place: Path,
    records_directory: Path,
    change: Callable[[str], None],
    failure: str,
) -> None:
    lines, code, words = FAILURES[failure]
    change(lines)
    done = regrow("venv", "new/parent/.venv", cwd=place)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(place) == []
    assert read_records(records_directory) == []


@pytest.mark.parametrize("failure", FAILURES)
def test_the_old_environment_is_back_after_one_whose_creator(
    regrow: Regrow,
    place: Path,
    records_directory: Path,
    change: Callable[[str], None],
    failure: str,
) -> None:
    assert regrow("venv", cwd=place).returncode == 0
    (place / ".venv" / "old").write_text("the old one")
    before, record = snapshot(place), record_of(place / ".venv", records_directory)
    lines, code, _ = FAILURES[failure]
    change(lines)
    done = regrow("venv", "--clear", cwd=place)
    assert done.returncode == code, done.stderr
    assert snapshot(place) == before
    assert has_attribute(place / ".venv")
    assert record is not None
    assert read_records(records_directory) == [record]
    assert_every_mark_has_its_record(place, records_directory)


@pytest.mark.parametrize("marked", [False, True], ids=["unmarked", "marked"])
def test_an_empty_directory_is_as_it_was_after_a_failure(
    regrow: Regrow,
    place: Path,
    records_directory: Path,
    change: Callable[[str], None],
    marked: bool,
) -> None:
    (place / ".venv").mkdir()
    if marked:
        assert regrow("mark", ".venv", cwd=place).returncode == 0
    before = read_records(records_directory)
    change('mkdir -p "$place/lib/b"; ln -s / "$place/lib64"; exit 3')
    assert regrow("venv", cwd=place).returncode == 3
    assert os.listdir(place / ".venv") == []
    assert has_attribute(place / ".venv") == marked
    assert read_records(records_directory) == before


FOREIGN = 'mkdir "$place/bin"; echo years of work > "$place/thesis.tex"; exit 3'
"""A creator that fails after somebody has put a file of their own into the directory."""


@pytest.mark.parametrize("beginning", ["missing", "empty", "an environment"])
def test_a_file_that_no_creator_makes_is_kept_where_the_creator_fails(
    regrow: Regrow,
    place: Path,
    records_directory: Path,
    change: Callable[[str], None],
    beginning: str,
) -> None:
    words = ["--clear"] if beginning == "an environment" else []
    if beginning == "empty":
        (place / ".venv").mkdir()
    elif words:
        assert regrow("venv", cwd=place).returncode == 0
    before = read_records(records_directory)
    change(FOREIGN)
    done = regrow("venv", *words, cwd=place)
    assert done.returncode == 3
    [kept] = leftovers(place)
    assert os.listdir(place / kept) == ["thesis.tex"]
    assert f"kept in {place}/{kept}, for no tool made it: thesis.tex" in done.stderr
    assert not has_attribute(place / kept)
    assert (place / ".venv/pyvenv.cfg").exists() == bool(words)
    assert read_records(records_directory) == before
    if words:  # doctor looks beside what is recorded
        # Nothing need stand in its place: what a creator that failed had made is gone.
        shown = regrow("doctor", place, cwd=place).stdout
        assert f"{kept}: it holds what no tool made; 1 entry: thesis.tex" in shown
    change(MAKE)
    assert regrow("venv", *words, cwd=place).returncode == 0


def test_the_marks_are_set_again_where_the_creator_replaces_the_directory(
    regrow: Regrow, place: Path, records_directory: Path, change: Callable[[str], None]
) -> None:
    change(f'rmdir "$place"; mkdir "$place"; {MAKE}')
    done = regrow("venv", cwd=place)
    assert done.returncode == 0, done.stderr
    assert has_attribute(place / ".venv")
    assert_every_mark_has_its_record(place, records_directory)
    record = record_of(place / ".venv", records_directory)
    assert record is not None
    assert set(record.set) == {"xdg-robots", "cachedir-tag"}
    assert record.state == "marked"


def test_the_creators_words_come_through_as_they_are(
    regrow: Regrow, place: Path, change: Callable[[str], None]
) -> None:
    change(r"printf 'caf\303\251 \377'; echo to standard error >&2; exit 3")
    done = regrow("venv", cwd=place)
    assert "café \udcffto standard error\n" in done.stderr


def test_directories_made_on_the_way_go_where_a_later_one_can_not_be_made(
    regrow: Regrow, place: Path
) -> None:
    done = regrow("venv", f"one/two/{'x' * 256}/.venv", cwd=place)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert os.listdir(place) == []


# Signals.

SLOW = 'mkdir "$place/bin"; echo $$ > "$UV_STARTED"; exec sleep 60'
STUBBORN = 'trap "" TERM; mkdir "$place/bin"; echo $$ > "$UV_STARTED"; sleep 60'


def _signal_a_run(
    regrow: Regrow, place: Path, started: Path, number: int, *words: str
) -> tuple[int, int]:
    """Send a signal to `regrow venv` while the creator runs; gives exit code and creator's id."""
    process = subprocess.Popen(
        [*regrow.command, "venv", *words],
        cwd=place,
        env={**os.environ, "UV_STARTED": str(started)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 20
    while not (started.exists() and started.read_text().endswith("\n")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(30), int(started.read_text())


def _is_alive(process: int) -> bool:
    """Return whether a process runs. One that has ended may wait for init to take note of it."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("clear", [False, True], ids=["new", "clear"])
def test_a_signal_ends_the_creator_and_leaves_what_was_there(
    regrow: Regrow,
    place: Path,
    tmp_path: Path,
    records_directory: Path,
    change: Callable[[str], None],
    number: int,
    code: int,
    clear: bool,
) -> None:
    words = ["--clear"] if clear else []
    if clear:
        assert regrow("venv", cwd=place).returncode == 0
        (place / ".venv" / "old").write_text("the old one")
    before, recorded = snapshot(place), read_records(records_directory)
    change(SLOW)
    exit_code, creator = _signal_a_run(regrow, place, tmp_path / "started", number, *words)
    assert exit_code == code
    assert not _is_alive(creator)
    assert snapshot(place) == before
    assert read_records(records_directory) == recorded
    assert_every_mark_has_its_record(place, records_directory)


@pytest.mark.slow
def test_a_creator_that_ignores_the_signal_is_killed(
    regrow: Regrow, place: Path, tmp_path: Path, change: Callable[[str], None]
) -> None:
    change(STUBBORN)
    code, creator = _signal_a_run(regrow, place, tmp_path / "started", signal.SIGTERM)
    assert code == 143
    assert not _is_alive(creator)
    assert os.listdir(place) == []


def test_after_a_kill_while_the_creator_ran_clear_replaces_what_is_half_made(
    regrow: Regrow,
    place: Path,
    tmp_path: Path,
    records_directory: Path,
    change: Callable[[str], None],
) -> None:
    make_environment(place / ".venv")
    assert regrow("mark", place / ".venv").returncode == 0
    change(f'touch "$place/half"; {SLOW}')
    _, creator = _signal_a_run(regrow, place, tmp_path / "started", signal.SIGKILL, "--clear")
    os.kill(creator, signal.SIGKILL)  # nobody is left to end it
    assert has_attribute(place / ".venv")
    assert_every_mark_has_its_record(place, records_directory)
    [old] = leftovers(place)
    assert (place / old / "old").exists()

    change(MAKE)
    done = regrow("venv", cwd=place)
    assert done.returncode == 2
    assert "an earlier run was interrupted here; --clear replaces what it left" in done.stderr
    assert f"what it was replacing is {place / old}" in done.stderr

    done = regrow("venv", "--clear", cwd=place)
    assert done.returncode == 0, done.stderr
    kept = {name for left in leftovers(place) for name in os.listdir(place / left)}
    assert kept == {"old", "half"}, "what no package brought"
    for left in leftovers(place):
        assert str(place / left) in done.stderr
        assert not has_attribute(place / left)
    assert_every_mark_has_its_record(place, records_directory)


def test_a_record_alone_does_not_let_clear_delete_a_directory_of_files(
    regrow: Regrow, place: Path
) -> None:
    path = place / ".venv"
    path.mkdir()
    assert regrow("mark", path).returncode == 0
    (path / "thesis.tex").write_text("years of work")
    done = regrow("venv", "--clear", path)
    assert done.returncode == 2
    assert "it holds files and is no environment" in done.stderr
    assert (path / "thesis.tex").exists()
