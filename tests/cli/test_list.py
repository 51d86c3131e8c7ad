"""``regrow list``: what was marked, and what became of it."""

import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.cli import list as listing
from regrow.records import status
from regrow.records.store import Store, file_name
from tests import attributes
from tests.conftest import Regrow
from tests.hostile.helpers import LINUX_ONLY, record_of
from tests.sweeping import (
    HOSTILE_NAMES,
    Inside,
    environment,
    modules,
    modules_without_lock,
    rewrite,
    stamps,
)

pytestmark = LINUX_ONLY

XDG = "user.xdg.robots.backup"


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


def states(regrow: Regrow, *words: str | Path) -> dict[str, str]:
    """Give what ``list`` says, by path."""
    done = regrow("list", "--json", *words)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["path"]: line["state"] for line in lines}


@pytest.fixture
def work(regrow: Regrow, tmp_path: Path) -> Path:
    """Four marked directories of which three have met with something."""
    for name in ("there", "lost", "replaced", "gone"):
        modules(tmp_path / name)
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    attributes.remove(tmp_path / "lost/node_modules", XDG)
    for name in ("replaced", "gone"):
        (tmp_path / name / "node_modules").rename(tmp_path / name / "aside")
    (tmp_path / "replaced/node_modules").mkdir()
    return tmp_path


def test_where_nothing_is_recorded_that_is_said_and_no_trace_is_left(
    regrow: Regrow, home: Path
) -> None:
    done = regrow("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 recorded\n", "")
    assert regrow("list", "--forget", "--json").stdout == ""
    assert os.listdir(home) == []


def test_each_record_has_a_row_and_the_states_are_summed_up(regrow: Regrow, work: Path) -> None:
    done = regrow("list")
    assert (done.returncode, done.stderr) == (0, "")
    *rows, empty, summary = done.stdout.splitlines()
    assert [row.split("  ")[0] for row in rows] == [
        f"{work}/{name}/node_modules" for name in ("gone", "lost", "replaced", "there")
    ]
    assert [" ".join(row.split()[1:-1]) for row in rows] == [
        "gone node-modules",
        "mark lost: xdg-robots node-modules",
        "replaced node-modules",
        "there node-modules",
    ]
    assert empty == ""
    assert summary == "4 recorded (there 1, mark lost 1, replaced 1, gone 1)"


def test_json_has_the_record_and_what_became_of_it(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    lines = {line["path"]: line for line in regrow.json("list")}
    assert {path.split("/")[-2]: line["state"] for path, line in lines.items()} == {
        "there": "there",
        "lost": "mark lost",
        "replaced": "replaced",
        "gone": "gone",
    }
    line = lines[f"{work}/lost/node_modules"]
    record = record_of(work / "lost/node_modules", records_directory)
    assert record is not None
    recorded = line.pop("recorded")
    assert recorded.endswith("Z")
    assert line == {
        "path": f"{work}/lost/node_modules",
        "state": "mark lost",
        "detail": "xdg-robots",
        "rule": "node-modules",
        "evidence": ["package.json"],
        "recipe": record.recipe,
        "set": ["xdg-robots"],
        "found": [],
        "host": os.uname().nodename,
        "bytes": None,
    }


def test_print0_has_the_paths_alone(regrow: Regrow, work: Path) -> None:
    expected = "".join(
        f"{work}/{name}/node_modules\0" for name in ("gone", "lost", "replaced", "there")
    )
    assert regrow("list", "-0").stdout == expected


def test_states_narrow_it(regrow: Regrow, work: Path) -> None:
    assert set(states(regrow, "--state", "gone", "--state", "mark lost").values()) == {
        "gone",
        "mark lost",
    }
    assert states(regrow, "--state", "unknown") == {}
    assert regrow("list", "--state", "nonsense").returncode == 2
    assert regrow("list", "--json", "-0").returncode == 2


def test_every_state_is_explained_in_the_help(regrow: Regrow) -> None:
    text = regrow("list", "--help").stdout
    for state, meaning in status.STATES.items():
        assert f"  {state:15}{meaning}" in text


def test_listing_changes_nothing(regrow: Regrow, work: Path, records_directory: Path) -> None:
    before = stamps(work, records_directory)
    for words in ((), ("--json",), ("-0",), ("--sizes",), ("--state", "gone"), (work / "there",)):
        regrow("list", *words)
    assert stamps(work, records_directory) == before


def test_sizes_are_measured_of_what_is_there(regrow: Regrow, work: Path) -> None:
    (work / "there/node_modules/large").write_bytes(b"x" * 100_000)
    sizes = {line["path"].split("/")[-2]: line["bytes"] for line in regrow.json("list", "--sizes")}
    assert sizes["there"] >= 100_000
    assert sizes["lost"] > 0
    assert (sizes["replaced"], sizes["gone"]) == (None, None)
    text = regrow("list", "--sizes").stdout
    assert " kB  node-modules" in next(line for line in text.splitlines() if "/there/" in line)
    assert " kB (there 1" in text.splitlines()[-1]


# Paths.


def test_a_path_narrows_it_however_it_is_written(
    regrow: Regrow, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {f"{work}/there/node_modules": "there"}
    monkeypatch.chdir(work / "there")
    for word in (
        work / "there",
        f"{work}/there/",
        f"{work}/there/node_modules",
        ".",
        "node_modules",
        "node_modules/",
        "../there",
        "node_modules/..",
        f"{work}//there/../there/.",
    ):
        assert states(regrow, word) == only, word
    assert len(states(regrow, "..")) == len(states(regrow, "/")) == len(states(regrow)) == 4
    assert len(states(regrow, "../gone", "../lost")) == 2
    assert states(regrow, "../nothing") == {}


def test_a_link_to_a_start_directory_stands_for_it(regrow: Regrow, work: Path) -> None:
    (work / "link").symlink_to("there")
    only = {f"{work}/there/node_modules": "there"}
    assert states(regrow, work / "link") == only
    assert states(regrow, work / "link/node_modules") == only


def test_dots_after_a_link_count_from_where_it_leads(regrow: Regrow, work: Path) -> None:
    (work / "elsewhere").mkdir()
    (work / "elsewhere/link").symlink_to(work / "there/node_modules")
    assert states(regrow, f"{work}/elsewhere/link/..") == {f"{work}/there/node_modules": "there"}


def test_a_link_in_the_place_of_what_was_marked_is_found_by_its_own_path(
    regrow: Regrow, work: Path
) -> None:
    path = work / "gone/node_modules"
    path.symlink_to("aside")
    (line,) = regrow.json("list", path)
    assert (line["state"], line["detail"]) == ("replaced", "by what is no directory")


# Forgetting.


def test_only_what_is_gone_is_forgotten(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    done = regrow("list", "--forget")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{work}/gone/node_modules" in done.stdout.splitlines()[0]
    assert done.stdout.endswith("forgotten: 1\n")
    assert set(states(regrow).values()) == {"there", "mark lost", "replaced"}
    assert record_of(work / "gone/node_modules", records_directory) is None
    assert regrow("list", "--forget").stdout.endswith("forgotten: 0\n")


def test_a_path_limits_what_is_forgotten(regrow: Regrow, work: Path) -> None:
    shutil.rmtree(work / "there")
    assert regrow("list", "--forget", "--json", work / "lost").stdout == ""
    (line,) = regrow.json("list", "--forget", work / "there")
    assert line["path"] == f"{work}/there/node_modules"
    assert f"{work}/gone/node_modules" in states(regrow)


def test_what_another_machine_recorded_is_not_forgotten(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    file = records_directory / file_name(f"{work}/gone/node_modules")
    rewrite(file, f'host = "{os.uname().nodename}"', 'host = "elsewhere"')
    assert regrow("list", "--forget", "--json").stdout == ""
    assert states(regrow)[f"{work}/gone/node_modules"] == "other machine"


def test_what_stands_beside_a_record_is_forgotten_with_it(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules_without_lock(tmp_path / "old")
    regrow("sweep", "--yes", tmp_path)
    assert len(os.listdir(records_directory)) == 2
    shutil.rmtree(path)
    regrow("list", "--forget")
    assert os.listdir(records_directory) == []


def test_what_came_back_since_it_was_looked_at_is_not_forgotten(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    path = work / "gone/node_modules"
    with Store() as store:
        gone = [
            entry for entry in status.entries(store, [str(path)]) if isinstance(entry, status.Entry)
        ]
        path.mkdir()
        regrow("sweep", "--yes", work / "gone")
        assert listing._forget(store, gone) == []
    record = record_of(path, records_directory)
    assert record is not None
    assert record.inode == path.stat().st_ino


# Names, and records that can't be read.


def test_hostile_names_are_escaped_for_people_and_exact_for_programs(
    regrow: Regrow, tmp_path: Path
) -> None:
    paths = [modules(tmp_path / os.fsdecode(name)) for name in HOSTILE_NAMES]
    regrow("sweep", "--yes", tmp_path)
    text = regrow("list").stdout
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == len(paths) + 2
    for shown in ("new\\nline", "\\xff not UTF-8", "\\x1b[31mred", "\\u202ebidi \\x9b"):
        assert f"{tmp_path}/{shown}" in text

    lines = regrow.json("list")
    exact = {
        os.fsdecode(b64decode(line["path_b64"])) if "path_b64" in line else line["path"]
        for line in lines
    }
    assert exact == {str(path) for path in paths}
    assert {line["state"] for line in lines} == {"there"}
    assert set(regrow("list", "-0").stdout.split("\0")) == {str(path) for path in paths} | {""}
    assert regrow("list", "--json", paths[1]).stdout.count("\n") == 1


DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "truncated in a key": lambda text: text[:80],
    "truncated in a table": lambda text: text[: text.index("set = ")],
    "zeros": lambda text: "\0" * len(text),
    "no TOML": lambda text: "hello\n" + text,
    "nested too deeply": lambda _: "x = " + "[" * 5000,
    "a relative path": lambda text: text.replace('path = "/', 'path = "'),
    "a null in the path": lambda text: text.replace('path = "/', 'path = "/\\u0000'),
    "numbers for markers": lambda text: text.replace('set = ["xdg-robots"]', "set = [1]"),
    "a text for markers": lambda text: text.replace('set = ["xdg-robots"]', 'set = "xdg-robots"'),
    "a text for a number": lambda text: text.replace("inode = ", 'inode = "x" # '),
    "no format": lambda text: text.replace("format = 1\n", ""),
    "a format that is no number": lambda text: text.replace("format = 1", 'format = "new"'),
    "no time": lambda text: text.replace("time = ", "when = "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named_and_left_as_it_is_and_the_rest_is_listed(
    damage: str, regrow: Regrow, work: Path, records_directory: Path
) -> None:
    file = records_directory / file_name(f"{work}/lost/node_modules")
    before = file.read_text()
    after = DAMAGES[damage](before)
    assert after != before
    file.write_text(after)
    for words in ((), ("--json",), ("-0",), ("--sizes",)):
        done = regrow("list", *words)
        assert done.returncode == 1
        assert done.stderr.startswith(f"regrow: {file}: this record is damaged: ")
        assert done.stderr.count("\n") == 1
        assert f"{work}/there/node_modules" in done.stdout
        assert "/lost/" not in done.stdout
    assert regrow("list", "--forget").returncode == 1
    assert file.read_text() == after


def test_a_newer_record_is_named_and_left_as_it_is(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    file = records_directory / file_name(f"{work}/gone/node_modules")
    rewrite(file, "format = 1", "format = 2")
    newer = file.read_bytes()
    done = regrow("list", "--forget")
    assert done.returncode == 1
    assert done.stderr == (
        f"regrow: {file}: a newer regrow wrote this record (format 2); it is left alone\n"
    )
    assert file.read_bytes() == newer
    assert len(states(regrow)) == 3


@pytest.mark.parametrize("kind", ["directory", "link", "link to nowhere"])
def test_what_is_no_record_file_is_named(
    kind: str, regrow: Regrow, work: Path, records_directory: Path
) -> None:
    file = records_directory / "odd.toml"
    if kind == "directory":
        file.mkdir()
    else:
        file.symlink_to("/dev/null" if kind == "link" else "nowhere")
    done = regrow("list")
    assert done.returncode == 1
    assert done.stderr.startswith(f"regrow: {file}: ")
    assert "4 recorded" in done.stdout


def test_a_copy_of_a_record_is_no_record(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    """What synchronises homes leaves copies where two machines changed a file."""
    file = records_directory / file_name(f"{work}/gone/node_modules")
    copy = file.with_name(file.name.replace(".toml", " (conflict).toml"))
    shutil.copy(file, copy)
    done = regrow("list", "--forget")
    assert done.returncode == 1
    assert done.stderr.startswith(f"regrow: {copy}: this is a copy of the record of {work}/gone/")
    assert done.stdout.endswith("forgotten: 1\n")
    assert copy.exists()
    assert not file.exists()


def test_other_files_beside_the_records_are_no_matter(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    for name in (".DS_Store", "notes.txt", ".hidden.toml"):
        (records_directory / name).write_text("x")
    done = regrow("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 recorded" in done.stdout


def test_an_environments_requirements_are_in_its_json(regrow: Regrow, tmp_path: Path) -> None:
    environment(tmp_path / ".venv")
    regrow("sweep", "--yes", tmp_path)
    (line,) = regrow.json("list")
    assert (line["rule"], line["recipe"]["kind"]) == ("venv", "python")
    assert line["set"] == ["xdg-robots", "cachedir-tag"]
