"""Several processes at once, on the same directories."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from regrow.system.aside_names import KEPT
from tests.conftest import Regrow
from tests.hostile.helpers import (
    GATE,
    LINUX_ONLY,
    MAKE,
    assert_every_mark_has_its_record,
    at_once,
    cli,
    has_attribute,
    has_regrows_tag,
    leftovers,
    read_records,
    record_of,
    temporary_records,
    use_creator,
)

pytestmark = LINUX_ONLY


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "place"
    made.mkdir()
    return made


def assert_no_litter(place: Path, records_directory: Path) -> None:
    assert leftovers(place) == []
    assert temporary_records(records_directory) == []


def test_eight_processes_that_mark_the_same_directories_all_succeed(
    place: Path, records_directory: Path
) -> None:
    names = [f"cache{number}" for number in range(25)]
    for name in names:
        (place / name).mkdir()
    turned = [names if number % 2 else names[::-1] for number in range(8)]
    done = at_once([cli("mark", "--json", "--tag", *order) for order in turned], place)
    for code, out, err in done:
        assert (code, err) == (0, "")
        outcomes = [json.loads(line)["outcome"] for line in out.splitlines()]
        assert set(outcomes) <= {"marked", "already marked"}
        assert len(outcomes) == len(names)
    for name in names:
        record = record_of(place / name, records_directory)
        assert record is not None
        assert (record.state, set(record.set)) == ("marked", {"xdg-robots", "cachedir-tag"})
        assert has_attribute(place / name)
        assert has_regrows_tag(place / name)
    assert_no_litter(place, records_directory)


LOOP = f"""{GATE}
import contextlib, io
for _ in range(60):
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(sys.argv[1:])
    if code:
        sys.exit(code)
"""


def test_mark_and_unmark_at_once_leave_both_mark_and_record_or_neither(
    place: Path, records_directory: Path
) -> None:
    (place / "cache").mkdir()
    mark, unmark = [LOOP, "mark", "--tag", "cache"], [LOOP, "unmark", "cache"]
    for code, _, err in at_once([mark, unmark, mark, unmark], place):
        assert (code, err) == (0, "")
    record = record_of(place / "cache", records_directory)
    assert has_attribute(place / "cache") == (record is not None)
    assert has_regrows_tag(place / "cache") == (record is not None)
    assert_every_mark_has_its_record(place, records_directory)
    assert_no_litter(place, records_directory)


CREATE = """
import sys
import regrow
sys.stdin.read(1)
for number in range(30):
    for outcome in regrow.create(f"made{number}").values():
        assert outcome.holds, outcome
"""


def test_eight_processes_that_create_the_same_directories_all_succeed(place: Path) -> None:
    for code, _, err in at_once([[CREATE]] * 8, place):
        assert (code, err) == (0, "")
    assert len(os.listdir(place)) == 30
    assert all(has_attribute(place / name) for name in os.listdir(place))


SLOWLY = f"sleep 0.3; {MAKE}"
REASONS = (
    "another regrow is at work on it",
    "there is an environment already",
    "another regrow is replacing it",
    "it was moved or replaced just now",
    "another program is filling it",
    "another process has just made it",
)


def _check(done: list[tuple[int, str, str]]) -> int:
    """Check that who failed said why; gives how many made an environment."""
    for code, _, err in done:
        assert "Traceback" not in err
        if code != 0:
            assert code in (1, 2)
            assert any(reason in err for reason in REASONS), err
    return sum(code == 0 for code, _, _ in done)


def _assert_works(place: Path, records_directory: Path) -> None:
    assert [name for name in os.listdir(place) if not name.startswith(KEPT)] == [".venv"]
    assert (place / ".venv" / "bin" / "python").exists()
    assert has_attribute(place / ".venv")
    [record] = read_records(records_directory)
    assert record.state == "marked"
    assert set(record.set) == {"xdg-robots", "cachedir-tag"}
    assert_every_mark_has_its_record(place, records_directory)
    assert_no_litter(place, records_directory)


@pytest.mark.parametrize("empty", [False, True], ids=["new", "in an empty directory"])
@pytest.mark.parametrize("lines", [MAKE, SLOWLY], ids=["fast", "slow"])
def test_of_six_processes_that_make_one_environment_one_succeeds(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records_directory: Path,
    lines: str,
    empty: bool,
) -> None:
    use_creator(monkeypatch, tmp_path / "programs", lines)
    if empty:
        (place / ".venv").mkdir()
    assert _check(at_once([cli("venv")] * 6, place)) == 1
    _assert_works(place, records_directory)


@pytest.mark.parametrize("lines", [MAKE, SLOWLY], ids=["fast", "slow"])
def test_of_six_processes_that_replace_one_environment_some_succeed_and_none_harms_it(
    regrow: Regrow,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records_directory: Path,
    lines: str,
) -> None:
    use_creator(monkeypatch, tmp_path / "programs", lines)
    assert regrow("venv", cwd=place).returncode == 0
    (place / ".venv" / "old").write_text("years of work")
    assert _check(at_once([cli("venv", "--clear")] * 6, place)) >= 1
    assert not (place / ".venv" / "old").exists()
    [kept] = [name for name in os.listdir(place) if name.startswith(KEPT)]
    assert (place / kept / "old").read_text() == "years of work"
    (place / kept / "old").unlink()
    (place / kept).rmdir()
    _assert_works(place, records_directory)


def test_failing_creators_at_once_leave_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records_directory: Path
) -> None:
    use_creator(monkeypatch, tmp_path / "programs", 'mkdir "$place/bin"; exit 3')
    for code, _, err in at_once([cli("venv")] * 6, place):
        assert code in (1, 2, 3)
        assert "Traceback" not in err
    assert os.listdir(place) == []
    assert read_records(records_directory) == []
    assert_no_litter(place, records_directory)


@pytest.mark.needs("uv")
def test_of_four_processes_with_the_real_uv_one_succeeds(
    place: Path, records_directory: Path
) -> None:
    assert _check(at_once([cli("venv", "--creator", "uv")] * 4, place)) == 1
    python = place / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0
    [record] = read_records(records_directory)
    assert "xdg-robots" in record.set
    assert_every_mark_has_its_record(place, records_directory)
    assert_no_litter(place, records_directory)


def test_marking_an_environment_while_it_is_made_loses_no_record(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records_directory: Path
) -> None:
    use_creator(monkeypatch, tmp_path / "programs", f"sleep 0.1; {MAKE}")
    [made, *_] = at_once([cli("venv"), *[[LOOP_ANYWAY, "mark", ".venv"]] * 3], place)
    assert made[0] == 0, made
    _assert_works(place, records_directory)
    [record] = read_records(records_directory)
    command = record.recipe["command"]
    assert isinstance(command, list)
    assert command[:2] == ["regrow", "venv"]


LOOP_ANYWAY = f"""{GATE}
import contextlib, io
for _ in range(100):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(sys.argv[1:])
"""
