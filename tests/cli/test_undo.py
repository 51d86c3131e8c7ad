"""``regrow undo``: exactly what regrow set is taken back, and nothing else is touched."""

import json
import os
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from regrow.records.format import encode
from regrow.records.store import file_name
from regrow_marks import tag
from tests import attributes, terminal
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    differences,
    has_attribute,
    has_regrows_tag,
    is_untouched,
    portray,
    read_records,
    record_of,
)
from tests.sweeping import (
    HOSTILE_NAMES,
    UVS_TAG,
    Inside,
    age,
    attribute,
    configure,
    distribution,
    environment,
    ignore,
    immutable,
    modules,
    modules_without_lock,
    rewrite,
    set_attribute,
    stamps,
)
from tests.terminal import CTRL_C, CTRL_D

pytestmark = LINUX_ONLY

XDG = "user.xdg.robots.backup"
COUNT = 13  # of what a sweep marks in ``work``


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """One of each: with and without a tag, with marks of others, in a repository and in none."""
    ignore(tmp_path / "ignored", "target", "node_modules")
    (tmp_path / "ignored/target/debug").mkdir(parents=True)
    (tmp_path / "ignored/Cargo.toml").touch()
    modules(tmp_path / "ignored")
    modules(tmp_path / "shop")
    modules_without_lock(tmp_path / "old")
    distribution(environment(tmp_path / "web/.venv"))
    by_uv = environment(tmp_path / "uv/.venv")
    (by_uv / tag.NAME).write_bytes(UVS_TAG)
    set_attribute(modules(tmp_path / "foreign"), b"true")
    set_attribute(modules(tmp_path / "found"), b"false")
    noted = modules(tmp_path / "noted")
    attributes.put(noted, "user.note", b"mine \0\xff")
    noted.chmod(0o2750)
    for name in HOSTILE_NAMES:
        modules(tmp_path / os.fsdecode(name))
    (tmp_path / "shop/link").symlink_to("node_modules")
    for number, path in enumerate(sorted(tmp_path.rglob("*"), reverse=True)):
        moment = 1_500_000_000_000_000_000 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return tmp_path


def undo(regrow: Regrow, *words: str | Path, code: int = 0) -> dict[str, dict[str, Any]]:
    """Undo without a question, and give what it says by path."""
    done = regrow("undo", "--yes", "--json", *words)
    assert done.returncode == code, done.stderr
    return {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}


def sweep(regrow: Regrow, *words: str | Path) -> None:
    done = regrow("sweep", "--yes", *words)
    assert (done.returncode, done.stderr) == (0, "")


# All of it.


@pytest.mark.needs("git")
def test_after_undo_a_tree_is_as_it_was(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    before = portray(work)
    sweep(regrow, work)
    assert len(differences(before, portray(work))) > 10
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(before, portray(work)) == []
    assert os.listdir(records_directory) == []
    lines = done.stdout.splitlines()
    assert lines[-2:] == [
        f"taken back {COUNT - 1}, nothing to take back from 1",  # others marked it
        "a later sweep marks them again; a keep pattern in the configuration, or in a project's"
        " .regrow.toml, keeps them in the backup",
    ]


@pytest.mark.needs("git")
def test_after_many_sweeps_undo_leaves_a_tree_as_it_was(
    regrow: Regrow, work: Path, records_directory: Path
) -> None:
    before = portray(work)
    sweep(regrow, work)
    for path in (work / "shop/node_modules", work / "web/.venv"):
        attributes.remove(path, XDG)
    for file in records_directory.glob("*shop*.toml"):
        rewrite(file, 'state = "marked" ', 'state = "pending"')
    sweep(regrow, work)
    regrow("mark", work / "foreign/node_modules", work / "shop/node_modules")
    sweep(regrow, work)
    undo(regrow)
    assert differences(before, portray(work)) == []
    assert os.listdir(records_directory) == []


@pytest.mark.needs("git")
def test_a_second_undo_finds_nothing(regrow: Regrow, work: Path) -> None:
    sweep(regrow, work)
    assert len(undo(regrow)) == COUNT
    before = portray(work)
    assert undo(regrow) == {}
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stdout, done.stderr) == (0, "taken back 0\n", "")
    assert differences(before, portray(work)) == []


def test_where_regrow_was_never_used_nothing_is_taken_back_and_no_trace_left(
    regrow: Regrow, home: Path
) -> None:
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "there is nothing to take back\n"
    assert os.listdir(home) == []


def test_what_was_taken_back_is_said(regrow: Regrow, tmp_path: Path) -> None:
    path, virtual = modules(tmp_path / "shop"), environment(tmp_path / "web/.venv")
    sweep(regrow, tmp_path)
    lines = undo(regrow)
    assert lines[str(path)] == {
        "path": str(path),
        "outcome": "unmarked",
        "error": None,
        "markers": {"xdg-robots": {"state": "unmarked"}},
    }
    assert set(lines[str(virtual)]["markers"]) == {"xdg-robots", "cachedir-tag"}
    sweep(regrow, tmp_path)
    rows = [line.split("  ") for line in regrow("undo", "--yes").stdout.splitlines()]
    assert [cell for cell in rows[0] if cell] == [str(path), "taken back", "xdg-robots"]


def test_what_the_user_marked_is_taken_back_as_well(regrow: Regrow, tmp_path: Path) -> None:
    before = portray(tmp_path)
    assert regrow("mark", "--tag", tmp_path).returncode == 0
    assert undo(regrow)[str(tmp_path)]["outcome"] == "unmarked"
    assert differences(before, portray(tmp_path)) == []


def test_home_caches_are_taken_back(regrow: Regrow, home: Path) -> None:
    cache = home / ".npm/_cacache"
    cache.mkdir(parents=True)
    configure(home, 'caches = ["~/.npm/_cacache"]\n')
    sweep(regrow)
    assert attribute(cache) == b"false"
    undo(regrow)
    assert is_untouched(cache)


# What others did stays.


def test_a_mark_that_was_found_stays(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    set_attribute(path, b"false")
    sweep(regrow, tmp_path)
    assert has_regrows_tag(path)
    assert undo(regrow)[str(path)]["markers"] == {"cachedir-tag": {"state": "unmarked"}}
    assert attribute(path) == b"false"
    assert not (path / tag.NAME).exists()
    assert record_of(path, records_directory) is None


@pytest.mark.parametrize("value", [b"true", b"", b"\0\xff"])
def test_a_value_that_regrow_replaced_comes_back(
    value: bytes, regrow: Regrow, tmp_path: Path
) -> None:
    path = modules(tmp_path)
    set_attribute(path, value)
    sweep(regrow, tmp_path)
    assert attribute(path) == b"false"
    sweep(regrow, tmp_path)
    assert undo(regrow)[str(path)]["outcome"] == "unmarked"
    assert attribute(path) == value


def test_a_value_that_somebody_changed_since_stays(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path)
    set_attribute(path, b"true")
    sweep(regrow, tmp_path)
    set_attribute(path, b"changed")
    done = regrow("undo", "--yes")
    assert done.returncode == 0
    assert "nothing to take back" in done.stdout
    assert done.stderr == (
        f"regrow: {path}: user.xdg.robots.backup: left as it is: somebody changed it since\n"
    )
    assert attribute(path) == b"changed"
    assert read_records(records_directory) == []


def test_a_value_that_somebody_took_off_since_stays_off(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path)
    set_attribute(path, b"true")
    sweep(regrow, tmp_path)
    attributes.remove(path, XDG)
    line = undo(regrow)[str(path)]
    assert (line["outcome"], line["markers"]) == (
        "not marked",
        {"xdg-robots": {"state": "not marked"}},
    )
    assert attribute(path) is None
    assert read_records(records_directory) == []


@pytest.mark.parametrize("when", ["before", "since"])
def test_a_tag_that_uv_wrote_stays(when: str, regrow: Regrow, tmp_path: Path) -> None:
    path = environment(tmp_path / ".venv")
    if when == "before":
        (path / tag.NAME).write_bytes(UVS_TAG)
    sweep(regrow, tmp_path)
    (path / tag.NAME).write_bytes(UVS_TAG)
    before = path.stat().st_mtime_ns
    line = undo(regrow)[str(path)]
    assert line["markers"]["xdg-robots"] == {"state": "unmarked"}
    assert ("cachedir-tag" in line["markers"]) == (when == "since")
    assert (path / tag.NAME).read_bytes() == UVS_TAG
    assert path.stat().st_mtime_ns == before


def test_a_tag_without_regrows_line_stays(regrow: Regrow, tmp_path: Path) -> None:
    path = environment(tmp_path / ".venv")
    sweep(regrow, tmp_path)
    edited = (path / tag.NAME).read_bytes().replace(tag.COMMENT, b"# mine\n")
    (path / tag.NAME).write_bytes(edited)
    line = undo(regrow)[str(path)]
    assert line["outcome"] == "unmarked"
    assert line["markers"]["cachedir-tag"] == {
        "state": "not marked",
        "error": "CACHEDIR.TAG: left as it is: somebody changed it since",
    }
    assert (path / tag.NAME).read_bytes() == edited


@pytest.mark.parametrize("kind", ["a link", "a directory", "a fifo"])
def test_what_is_no_tag_any_more_stays(kind: str, regrow: Regrow, tmp_path: Path) -> None:
    path = environment(tmp_path / ".venv")
    sweep(regrow, tmp_path)
    file = path / tag.NAME
    aside = file.rename(tmp_path / "aside")
    if kind == "a link":
        file.symlink_to(aside)
    elif kind == "a directory":
        file.mkdir()
    else:
        os.mkfifo(file)
    assert undo(regrow)[str(path)]["markers"]["cachedir-tag"]["state"] == "not marked"
    assert os.path.lexists(file)
    assert tag.COMMENT in aside.read_bytes()


def test_other_attributes_stay(regrow: Regrow, tmp_path: Path) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    attributes.put(path, "user.since", b"1")
    undo(regrow)
    assert attributes.names(path) == ["user.since"]


# Times.


def test_what_was_changed_since_keeps_its_time(regrow: Regrow, tmp_path: Path) -> None:
    path = environment(tmp_path / ".venv")
    age(path)
    sweep(regrow, tmp_path)
    (path / "since").touch()
    before = path.stat().st_mtime_ns
    undo(regrow)
    assert not (path / tag.NAME).exists()
    assert path.stat().st_mtime_ns == before


def interrupt(path: Path, records_directory: Path, *, is_empty: bool) -> None:
    """Leave a marked directory as a kill does between the tag and the end of marking."""
    rewrite(
        records_directory / file_name(str(path)),
        'state = "marked" ',
        'state = "pending"',
    )
    if is_empty:
        (path / tag.NAME).write_bytes(b"")
    written = (path / tag.NAME).stat().st_mtime_ns
    os.utime(path, ns=(written, written))


@pytest.mark.parametrize("is_empty", [False, True], ids=["whole", "empty"])
@pytest.mark.parametrize("command", ["undo", "unmark", "sweep and undo"])
def test_what_a_kill_left_goes_and_the_time_is_put_back(
    command: str, is_empty: bool, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / ".venv")
    age(tmp_path)
    before = portray(tmp_path)
    sweep(regrow, tmp_path)
    interrupt(path, records_directory, is_empty=is_empty)
    if command == "unmark":
        assert regrow("unmark", path).returncode == 0
    else:
        if command == "sweep and undo":
            sweep(regrow, tmp_path)
            assert has_regrows_tag(path)
        undo(regrow)
    assert differences(before, portray(tmp_path)) == []
    assert read_records(records_directory) == []


def test_an_empty_tag_without_a_record_goes_with_unmark(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / tag.NAME).touch()
    assert regrow("unmark", tmp_path).stdout == f"unmarked  {tmp_path}\n"
    assert os.listdir(tmp_path) == []


def test_a_kill_before_the_first_mark_leaves_what_stood_there(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path)
    set_attribute(path, b"true")
    sweep(regrow, tmp_path)
    rewrite(records_directory / file_name(str(path)), 'state = "marked" ', 'state = "pending"')
    set_attribute(path, b"true")  # as before the mark
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert attribute(path) == b"true"
    assert read_records(records_directory) == []


# What is not there.


@pytest.mark.parametrize("successor", ["a directory", "a link", "a file"])
def test_what_took_the_place_of_a_marked_directory_is_not_touched(
    successor: str, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / "shop/.venv")
    sweep(regrow, tmp_path)
    aside = path.rename(tmp_path / "aside")
    if successor == "a directory":
        environment(path)
        set_attribute(path, b"false")
        (path / tag.NAME).write_bytes((aside / tag.NAME).read_bytes())
    elif successor == "a link":
        path.symlink_to(aside)
    else:
        path.write_text("a file")
    before = portray(tmp_path)
    recorded = record_of(path, records_directory)
    assert recorded is not None
    assert undo(regrow) == {}
    assert undo(regrow, path) == {}
    assert differences(before, portray(tmp_path)) == []
    assert record_of(path, records_directory) == recorded


def test_what_is_gone_keeps_its_record_for_rebuilding(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    gone, there = modules(tmp_path / "gone"), modules(tmp_path / "there")
    sweep(regrow, tmp_path)
    shutil.rmtree(gone)
    assert set(undo(regrow)) == {str(there)}
    (record,) = read_records(records_directory)
    assert record.path == str(gone)


def test_what_another_machine_recorded_is_not_touched(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    (file,) = records_directory.iterdir()
    record = record_of(path, records_directory)
    assert record is not None
    text = encode(record._replace(host="elsewhere", inode=record.inode + 1))
    file.write_bytes(text)
    assert undo(regrow) == {}
    assert attribute(path) == b"false"
    assert file.read_bytes() == text


def test_where_a_moved_project_left_a_link_its_marks_are_taken_back(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / "shop/.venv")
    age(tmp_path)
    before = portray(tmp_path / "shop")
    sweep(regrow, tmp_path)
    (tmp_path / "shop").rename(tmp_path / "moved")
    (tmp_path / "shop").symlink_to("moved")
    assert undo(regrow)[str(path)]["outcome"] == "unmarked"
    assert differences(before, portray(tmp_path / "moved")) == []
    assert read_records(records_directory) == []


# Paths.


def test_paths_limit_what_is_taken_back_and_need_no_yes(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    paths = {name: modules(tmp_path / name) for name in ("shop", "shop2", "shop/sub", "web")}
    sweep(regrow, tmp_path)
    done = regrow("undo", "shop", cwd=tmp_path)
    assert done.returncode == 0
    assert "taken back 2\n" in done.stdout
    assert [attribute(path) for path in paths.values()] == [None, b"false", None, b"false"]
    assert regrow("undo", tmp_path / "web/node_modules").returncode == 0
    assert [record.path for record in read_records(records_directory)] == [str(paths["shop2"])]
    assert "taken back 0" in regrow("undo", tmp_path / "nothing").stdout


def test_a_link_to_a_start_directory_stands_for_it(regrow: Regrow, tmp_path: Path) -> None:
    path = modules(tmp_path / "real/shop")
    (tmp_path / "link").symlink_to("real")
    sweep(regrow, tmp_path / "link")
    assert attribute(path) == b"false"
    assert set(undo(regrow, tmp_path / "link")) == {str(path)}
    assert attribute(path) is None


# Questions.


def test_without_a_terminal_and_without_paths_somebody_has_to_say_yes(
    regrow: Regrow, tmp_path: Path
) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    for words in ((), ("--json",), ("-0",)):
        done = regrow("undo", *words)
        assert done.returncode == 2
        assert "not a terminal: pass --yes to take everything back" in done.stderr
    for contradiction in (("--yes", "--dry-run"), ("--yes", "--json", "-0")):
        assert regrow("undo", *contradiction).returncode == 2
    assert attribute(path) == b"false"


@pytest.mark.needs("git")
@pytest.mark.parametrize("words", [(), ("--json",), ("-0",)], ids=["text", "json", "print0"])
def test_a_dry_run_changes_nothing(
    words: tuple[str, ...], regrow: Regrow, work: Path, records_directory: Path
) -> None:
    sweep(regrow, work)
    before = stamps(work, records_directory)
    done = regrow("undo", "--dry-run", *words)
    assert (done.returncode, done.stderr) == (0, "")
    if not words:
        assert done.stdout.endswith(f"\nwould take back {COUNT}\n")
    elif "--json" in words:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert {line["outcome"] for line in lines} == {"would take back"}
        assert len(lines) == COUNT
    else:
        assert done.stdout.count("\0") == COUNT
    assert stamps(work, records_directory) == before


@pytest.mark.parametrize(
    ("answer", "code"), [("n", 0), ("", 0), (CTRL_D, 0), (CTRL_C, 130)],
    ids=["no", "Return", "Ctrl-D", "Ctrl-C"],
)  # fmt: skip
def test_on_a_terminal_anything_but_yes_leaves_all_untouched(
    answer: str, code: int, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    modules(tmp_path)
    sweep(regrow, tmp_path)
    before = stamps(tmp_path, records_directory)
    session = terminal.run("undo", answer=answer)
    assert session.asked
    assert session.code == code
    assert "Take back the marks of 1? [y/N]" in session.text
    assert ("nothing was changed" in session.text) == (code == 0)
    assert "Traceback" not in session.text
    assert stamps(tmp_path, records_directory) == before


def test_on_a_terminal_yes_takes_back(regrow: Regrow, tmp_path: Path) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    session = terminal.run("undo", answer="y")
    assert session.code == 0
    assert "taken back 1" in session.text
    assert is_untouched(path)
    session = terminal.run("undo")
    assert (session.code, session.asked) == (0, False), "nothing to do is no question"
    assert "taken back 0" in session.text


def test_on_a_terminal_a_path_is_word_enough(regrow: Regrow, tmp_path: Path) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    assert not terminal.run("undo", tmp_path).asked
    assert is_untouched(path)


# Failures, and names.


@pytest.mark.parametrize("damage", ["truncated", "empty", "newer"])
def test_a_record_that_cannot_be_read_is_named_and_left_and_the_rest_is_taken_back(
    damage: str, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, second, third = (modules(tmp_path / name) for name in "abc")
    sweep(regrow, tmp_path)
    file = records_directory / file_name(str(second))
    if damage == "newer":
        rewrite(file, "format = 1", "format = 2")
    else:
        file.write_bytes(file.read_bytes()[: 150 if damage == "truncated" else 0])
    left = file.read_bytes()
    done = regrow("undo", "--yes")
    assert done.returncode == 1
    assert done.stderr.startswith(f"regrow: {file}: ")
    assert done.stderr.endswith("; it is left as it is\n")
    assert "taken back 2\n" in done.stdout
    assert [attribute(path) for path in (first, second, third)] == [None, b"false", None]
    assert file.read_bytes() == left
    assert os.listdir(records_directory) == [file.name]


@pytest.mark.needs_root
@pytest.mark.needs("chattr")
@pytest.mark.parametrize("words", [(), ("-0",), ("--json",)], ids=["text", "print0", "json"])
def test_a_directory_that_refuses_is_named_keeps_its_record_and_the_rest_is_taken_back(
    words: tuple[str, ...], regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    first, stubborn, last = (modules(tmp_path / name) for name in "abc")
    sweep(regrow, tmp_path)
    recorded = record_of(stubborn, records_directory)
    cause = "user.xdg.robots.backup: no permission: only its owner may do that (EPERM)"
    with immutable(stubborn):
        done = regrow("undo", "--yes", *words)
    assert done.returncode == 1
    assert [attribute(path) for path in (first, stubborn, last)] == [None, b"false", None]
    assert record_of(stubborn, records_directory) == recorded
    if "--json" in words:
        by_path = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
        assert by_path[str(stubborn)]["outcome"] == "failed"
        assert by_path[str(stubborn)]["error"] == f"{stubborn}: {cause}"
    else:
        assert done.stderr == f"regrow: {stubborn}: {cause}\n"
    if "-0" in words:
        assert done.stdout == f"{first}\0{last}\0"
    if not words:
        assert "taken back 2, failed 1\n" in done.stdout
    assert set(undo(regrow)) == {str(stubborn)}
    assert is_untouched(stubborn)


@pytest.mark.needs_root
@pytest.mark.needs("chattr")
def test_a_time_that_cannot_be_put_back_stops_nothing(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    """A kill, and then a directory that nobody may change."""
    stubborn, other = environment(tmp_path / "a/.venv"), environment(tmp_path / "b/.venv")
    age(tmp_path)
    sweep(regrow, tmp_path)
    interrupt(stubborn, records_directory, is_empty=False)
    with immutable(stubborn):
        done = regrow("sweep", "--yes", tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), "all marks hold"
        record = record_of(stubborn, records_directory)
        assert record is not None
        assert record.state == "marked"
        done = regrow("undo", "--yes")
    assert done.returncode == 1
    assert str(stubborn) in done.stderr
    assert is_untouched(other)


@pytest.mark.needs_root
@pytest.mark.needs("chattr")
def test_a_record_that_cannot_be_removed_is_named(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path)
    sweep(regrow, tmp_path)
    with immutable(records_directory):
        done = regrow("undo", "--yes")
    assert done.returncode == 1
    assert str(records_directory / file_name(str(path))) in done.stderr
    assert "no permission" in done.stderr
    assert undo(regrow)[str(path)]["outcome"] == "not marked"
    assert os.listdir(records_directory) == []


def test_hostile_names_are_escaped_for_people_and_exact_for_programs(
    regrow: Regrow, tmp_path: Path
) -> None:
    paths = [modules(tmp_path / os.fsdecode(name)) for name in HOSTILE_NAMES]
    sweep(regrow, tmp_path)
    text = regrow("undo", "--dry-run").stdout
    assert text.replace("\n", "").isprintable()
    assert f"{tmp_path}/new\\nline/node_modules" in text
    assert set(regrow("undo", "--dry-run", "-0").stdout.split("\0")) == {*map(str, paths), ""}
    lines = regrow.json("undo", "--yes")
    exact = {
        os.fsdecode(b64decode(line["path_b64"])) if "path_b64" in line else line["path"]
        for line in lines
    }
    assert exact == {str(path) for path in paths}
    assert all(is_untouched(path) for path in paths)


def test_messages_about_hostile_names_are_escaped(regrow: Regrow, tmp_path: Path) -> None:
    path = modules(tmp_path / "\x1b[31mred\nx")
    sweep(regrow, tmp_path)
    set_attribute(path, b"changed")
    errors = regrow("undo", "--yes").stderr
    assert errors.count("\n") == 1
    assert errors.rstrip("\n").isprintable()
    assert "\\x1b[31mred\\nx/node_modules" in errors


def test_nodump_is_taken_back_where_regrow_set_it(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    def flags(path: Path) -> str:
        done = subprocess.run(["lsattr", "-d", path], capture_output=True, text=True, check=False)
        return done.stdout.split(" ")[0]

    path, others = modules(tmp_path / "ours"), modules(tmp_path / "theirs")
    if subprocess.run(["chattr", "+d", others], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no nodump")
    configure(home, "[markers]\nnodump = true\n")
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    assert ("d" in flags(path), "d" in flags(others)) == (True, True)
    assert set(undo(regrow)[str(path)]["markers"]) == {"xdg-robots", "nodump"}
    assert ("d" in flags(path), "d" in flags(others)) == (False, True)


# What moved.


def test_a_project_that_moved_is_regrows_still(regrow: Regrow, tmp_path: Path) -> None:
    before = modules(tmp_path / "shop")
    sweep(regrow, tmp_path)
    (tmp_path / "shop").rename(tmp_path / "moved")
    sweep(regrow, tmp_path)
    (line,) = regrow.json("list")
    after = tmp_path / "moved/node_modules"
    assert (line["path"], line["set"], line["found"]) == (str(after), ["xdg-robots"], [])
    assert undo(regrow).keys() == {str(after)}
    assert attribute(after) is None
    assert not before.exists()


def test_what_moved_to_where_it_is_kept_loses_its_mark(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    configure(home, 'keep = ["thesis/"]\n')
    modules(tmp_path / "shop")
    sweep(regrow, tmp_path)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "shop").rename(tmp_path / "thesis/shop")

    sweep(regrow, tmp_path)

    assert attribute(tmp_path / "thesis/shop/node_modules") is None
    assert regrow("list", "--json").stdout == ""


def test_a_copy_has_a_record_of_its_own_and_its_marks_are_regrows(
    regrow: Regrow, tmp_path: Path
) -> None:
    modules(tmp_path / "shop")
    sweep(regrow, tmp_path)
    subprocess.run(["cp", "-a", tmp_path / "shop", tmp_path / "copy"], check=True)
    sweep(regrow, tmp_path)
    found = {line["path"]: line["set"] for line in regrow.json("list")}
    assert found == {
        str(tmp_path / "shop/node_modules"): ["xdg-robots"],
        str(tmp_path / "copy/node_modules"): ["xdg-robots"],
    }


def test_a_tag_with_regrows_line_is_regrows_whoever_carried_it(
    regrow: Regrow, tmp_path: Path
) -> None:
    distribution(environment(tmp_path / "web/.venv"))
    sweep(regrow, tmp_path)
    subprocess.run(["cp", "-r", tmp_path / "web", tmp_path / "copy"], check=True)
    sweep(regrow, tmp_path)
    (line,) = regrow.json("list", tmp_path / "copy")
    assert line["set"] == ["xdg-robots", "cachedir-tag"]
    undo(regrow)
    assert not has_regrows_tag(tmp_path / "copy/.venv")


def test_a_rebuild_that_was_interrupted_keeps_its_record(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path / "shop")
    modules(tmp_path / "other")
    sweep(regrow, tmp_path)
    file = records_directory / file_name(str(path))
    file.write_bytes(file.read_bytes().replace(b'state = "marked" ', b'state = "rebuild"'))
    done = regrow("undo", "--yes")
    assert done.returncode == 0
    assert "taken back 2" in done.stdout
    assert not has_attribute(path)
    [line] = regrow.json("list")
    assert (line["path"], line["state"], line["set"]) == (str(path), "unfinished", [])
    assert line["recipe"]["kind"] == "node", "`regrow rebuild` needs it"
    assert "taken back 0" in regrow("undo", "--yes").stdout
