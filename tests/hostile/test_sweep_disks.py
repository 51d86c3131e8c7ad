"""Disks and records that refuse a sweep: it says which and why, and does the rest."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# The ordinary user of these tests may not be able to read regrow's own files: all is loaded before.
from regrow.records.format import encode
from regrow.records.store import file_name
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    Planted,
    Portrait,
    assert_all_are_marked,
    assert_marks_are_recorded,
    differences,
    fill,
    has_attribute,
    plant,
    portray,
    read_records,
    run,
    temporary_records,
)
from tests.mounts import mounted_image
from tests.sweeping import Inside

pytestmark = [LINUX_ONLY, pytest.mark.needs("git")]

AsOrdinaryUser = Callable[[Callable[[], Any]], Any]
NOBODY = 65534
ext4 = pytest.mark.needs("mkfs.ext4")


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


class Swept(NamedTuple):
    """What a sweep said of each path."""

    code: int
    outcomes: dict[str, str]
    errors: dict[str, str]
    """By path, of what failed: the record's error, or the markers'."""


def sweep(regrow: Regrow, *places: Path, under: tuple[str, ...] = ()) -> Swept:
    done = subprocess.run(
        [*under, *regrow.command, "sweep", "--yes", "--json", *places],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    errors = {
        line["path"]: line["error"]
        or " ".join(m.get("error", "") for m in line["markers"].values())
        for line in lines
        if line["outcome"] == "failed"
    }
    return Swept(done.returncode, {line["path"]: line["outcome"] for line in lines}, errors)


def assert_undone(regrow: Regrow, place: Path, before: dict[str, Portrait]) -> None:
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(before, portray(place)) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


@pytest.fixture
def planted(tree: Path) -> list[Planted]:
    return plant(tree, 30)


@pytest.fixture
def before(tree: Path, planted: list[Planted]) -> dict[str, Portrait]:
    return portray(tree)


# Where the records can't be written.


def assert_partly_done(
    swept: Swept, tree: Path, before: dict[str, Portrait], directory: Path, cause: str
) -> None:
    """Check that some were marked, and the others failed for a cause and carry no mark."""
    assert swept.code == 1
    assert {*swept.outcomes.values()} == {"marked", "failed"}
    for path, error in swept.errors.items():
        assert f"{path}: its record can't be written: {directory}" in error
        assert cause in error
    assert_marks_are_recorded(tree, before, directory)
    recorded = {record.path for record in read_records(directory)}
    assert recorded == {path for path, what in swept.outcomes.items() if what == "marked"}
    assert {path for path in swept.outcomes if has_attribute(path)} == recorded
    assert temporary_records(directory) == []


@ext4
@pytest.mark.needs_root
def test_records_on_a_disk_that_fills_up_meanwhile(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with mounted_image(tmp_path, "ext4") as disk:
        directory = disk / "data/regrow/records"
        directory.mkdir(parents=True)
        monkeypatch.setenv("XDG_DATA_HOME", str(disk / "data"))
        fill(disk)
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - (12 << 10))
        swept = sweep(regrow, tree)
        assert_partly_done(swept, tree, before, directory, "the disk is full (ENOSPC)")
        again = sweep(regrow, tree)
        assert again.code == 1
        assert "marked" not in again.outcomes.values()

        (disk / "filler").unlink()
        assert sweep(regrow, tree).code == 0
        assert_all_are_marked(planted, directory)
        fill(disk)
        assert_undone(regrow, tree, before)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", ["renameat", "write"])
def test_a_quota_that_is_used_up_meanwhile(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    records_directory: Path,
    call: str,
) -> None:
    injection = f"inject={call}:error=EDQUOT:when=9..18"
    under = ("strace", "-o", os.devnull, "-e", f"trace={call}", "-e", injection)
    swept = sweep(regrow, tree, under=under)
    assert swept.code == 1
    assert {*swept.outcomes.values()} == {"marked", "failed"}
    for path, error in swept.errors.items():
        assert "the disk quota is used up (EDQUOT)" in error, path
    assert_marks_are_recorded(tree, before, records_directory)
    assert temporary_records(records_directory) == []
    assert sweep(regrow, tree).code == 0
    assert_all_are_marked(planted, records_directory)
    assert_undone(regrow, tree, before)


@ext4
@pytest.mark.needs_root
def test_records_on_a_read_only_file_system(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def prepare(disk: Path) -> None:
        (disk / "with/regrow/records").mkdir(parents=True)

    with mounted_image(tmp_path, "ext4", read_only=True, prepare=prepare) as disk:
        monkeypatch.setenv("XDG_DATA_HOME", str(disk / "with"))
        swept = sweep(regrow, tree)
        assert swept.code == 1
        assert {*swept.outcomes.values()} == {"failed"}
        assert len(swept.errors) == len(planted)
        for path, error in swept.errors.items():
            assert f"{path}: its record can't be written: {disk}" in error
            assert "read-only (EROFS)" in error

        monkeypatch.setenv("XDG_DATA_HOME", str(disk / "without"))
        done = regrow("sweep", "--yes", tree)
        assert done.returncode == 1
        assert f"{disk / 'without/regrow/records'}: records can't be kept" in done.stderr
        assert "read-only (EROFS)" in done.stderr
        assert regrow("sweep", "--dry-run", tree).returncode == 0
        assert differences(before, portray(tree)) == []


def test_records_in_a_directory_that_may_not_be_written(
    open_place: Path, as_ordinary_user: AsOrdinaryUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, tree = open_place / "home", open_place / "tree"
    home.mkdir()
    plant(tree, 6)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-hR", f"{NOBODY}:{NOBODY}", home, tree], check=True)
    monkeypatch.setenv("HOME", str(home))
    directory = home / ".local/share/regrow/records"

    def both() -> tuple[Any, Any]:
        directory.mkdir(parents=True)
        directory.chmod(0o555)
        refused = run("sweep", "--yes", "--json", tree)
        directory.chmod(0o755)
        done = run("sweep", "--yes", "--json", tree)
        directory.chmod(0o555)
        return refused, (done, run("undo", "--yes", "--json"))

    refused, (done, undone) = as_ordinary_user(both)
    assert refused.code == 1
    assert len(refused.lines) == 6
    for line in refused.lines:
        assert line["outcome"] == "failed"
        assert f"{line['path']}: its record can't be written: {directory}" in line["error"]
        assert "no permission (EACCES)" in line["error"]
    assert done.code == 0, done.lines
    assert undone.code == 1, "the records can't be removed"
    assert [line["outcome"] for line in undone.lines] == ["failed"] * 6
    assert len(read_records(directory)) == 6


@pytest.mark.parametrize("kind", ["a file", "a dangling link", "below a file"])
def test_something_else_in_the_place_of_the_records(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    records_directory: Path,
    kind: str,
) -> None:
    above = records_directory.parent
    if kind == "below a file":
        above.parent.mkdir(parents=True)
        above.touch()
    else:
        above.mkdir(parents=True)
        if kind == "a file":
            records_directory.touch()
        else:
            records_directory.symlink_to("a-disk-that-is-not-mounted")
    commands = (
        ("sweep", "--yes", tree),
        ("sweep", "--dry-run", tree),
        ("list",),
        ("undo", "--yes"),
    )
    for words in commands:
        done = regrow(*words)
        assert done.returncode == 1, words
        assert str(records_directory) in done.stderr
        assert "Traceback" not in done.stderr
        assert "nothing to take back" not in done.stderr, "nobody can tell"
    assert differences(before, portray(tree)) == []


# Where the tree can't be written.


@ext4
@pytest.mark.needs_root
def test_a_tree_on_a_full_disk_gets_the_marks_that_need_no_room(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    other = plant(tmp_path / "other", 10)
    with mounted_image(tmp_path, "ext4") as disk:
        tree = disk / "tree"
        planted = plant(tree, 15)
        tags = {path for path, markers in planted if "cachedir-tag" in markers}
        tags -= {path for path in tags if (path / "CACHEDIR.TAG").exists()}  # uv wrote those
        fill(disk)
        before = portray(tree)
        swept = sweep(regrow, tree, tmp_path / "other")
        assert swept.code == 1
        assert {*map(Path, swept.errors)} == tags
        for error in swept.errors.values():
            assert error.strip() == "CACHEDIR.TAG: the disk is full (ENOSPC)"
        assert not any((path / "CACHEDIR.TAG").exists() for path in tags), "no half tag stays"
        assert all(has_attribute(path) for path, _ in (*planted, *other))
        assert_marks_are_recorded(tree, before, records_directory)
        unfinished = {Path(line["path"]) for line in regrow.json("list", "--state", "interrupted")}
        assert unfinished == tags
        assert_undone(regrow, tree, before)

        assert sweep(regrow, tree, tmp_path / "other").code == 1
        (disk / "filler").unlink()
        assert sweep(regrow, tree).code == 0
        assert_all_are_marked([*planted, *other], records_directory)
        assert_undone(regrow, tree, before)


@pytest.mark.needs_root
def test_a_file_system_without_attributes(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    other = plant(tmp_path / "other", 10)
    with mounted_image(tmp_path, "ramfs") as disk:
        environment, modules = disk / "shop/.venv", disk / "shop/node_modules"
        (environment / "bin").mkdir(parents=True)
        (environment / "pyvenv.cfg").write_text("home = /usr\nversion = 3.11.7\n")
        (environment / "bin/python").touch()
        modules.mkdir()
        (disk / "shop/package.json").write_text("{}")
        (disk / "shop/package-lock.json").write_text("{}")
        before = portray(disk)
        for _ in range(2):
            swept = sweep(regrow, disk, tmp_path / "other")
            assert swept.code == 1
            assert {*map(Path, swept.errors)} == {environment, modules}
            for error in swept.errors.values():
                assert error.strip() == (
                    "user.xdg.robots.backup: this file system does not support it (ENOTSUP)"
                )
            # What can be set is set, and what carries no mark has no record.
            assert [path.name for path in environment.iterdir() if path.suffix == ".TAG"]
            assert not (modules / "CACHEDIR.TAG").exists()
            [line] = regrow.json("list", disk)
            assert (Path(line["path"]), line["state"]) == (environment, "interrupted")
            assert line["set"] == ["cachedir-tag"]
        assert all(has_attribute(path) for path, _ in other)
        assert regrow("undo", disk).returncode == 0
        assert differences(before, portray(disk)) == []
        assert len(read_records(records_directory)) == len(other)
        assert regrow("list", "--json", disk).stdout == ""


# Records that can't be read.


def place_of(path: Path, directory: Path) -> Path:
    return directory / file_name(str(path))


def contents(record: Path) -> bytes:
    return record.read_bytes() if record.is_file() else b"a directory"


def assert_told_by_list_and_left_by_undo(
    regrow: Regrow, planted: list[Planted], record: Path, path: Path, cause: str
) -> None:
    content, portrait = contents(record), portray(path)
    done = regrow("list", "--json")
    assert done.returncode == 1
    assert str(record) in done.stderr
    assert cause in done.stderr
    listed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["path"] for line in listed} == {str(p) for p, _ in planted if p != path}
    assert {line["state"] for line in listed} == {"there"}

    done = regrow("undo", "--yes", "--json")
    assert done.returncode == 1
    assert str(record) in done.stderr
    assert "it is left alone" in done.stderr or "left as it is" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["path"] for line in lines} == {str(p) for p, _ in planted if p != path}
    assert contents(record) == content
    assert differences(portrait, portray(path)) == []


@pytest.mark.parametrize("spoil", ["newer", "directory", "link"])
@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "not marked"])
def test_what_stands_in_the_place_of_a_record_is_left_and_so_is_its_directory(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    records_directory: Path,
    spoil: str,
    is_marked: bool,
) -> None:
    path = planted[2].path
    record = place_of(path, records_directory)
    victim = tree.parent / "victim"
    victim.write_text("years of work")
    assert sweep(regrow, tree).code == 0
    if not is_marked:
        assert regrow("undo", path).returncode == 0
    record.unlink(missing_ok=True)
    if spoil == "newer":
        record.write_text("format = 2\n[directory]\nwhere = 'beyond the sea'\n")
    elif spoil == "directory":
        record.mkdir()
    else:
        record.symlink_to(victim)
    content, portrait = contents(record), portray(path)

    swept = sweep(regrow, tree)
    assert swept.code == 1
    [(failed, error)] = swept.errors.items()
    assert failed == str(path)
    assert record.name in error
    assert {*swept.outcomes.values()} == {"already marked", "failed"}
    assert contents(record) == content
    assert record.is_symlink() == (spoil == "link")
    assert differences(portrait, portray(path)) == []

    cause = {"newer": "a newer regrow wrote this record (format 2)", "directory": "", "link": ""}
    assert_told_by_list_and_left_by_undo(regrow, planted, record, path, cause[spoil])
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("damage", ["garbage", "empty", "truncated"])
def test_a_damaged_record_is_told_of_left_by_undo_and_written_anew_by_a_sweep(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    records_directory: Path,
    damage: str,
) -> None:
    path = planted[2].path
    record = place_of(path, records_directory)
    assert sweep(regrow, tree).code == 0
    content = record.read_bytes()
    cut = {"garbage": b"\0\xff\n" * 100, "empty": b"", "truncated": content[: len(content) // 2]}
    record.write_bytes(cut[damage])
    assert_told_by_list_and_left_by_undo(regrow, planted, record, path, "this record is damaged")

    assert sweep(regrow, tree).code == 0
    assert_all_are_marked(planted, records_directory)
    assert_undone(regrow, tree, before)


def test_a_record_cut_off_at_any_length_stops_nothing_and_undo_takes_its_marks_back(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    records_directory: Path,
) -> None:
    """Each record is cut off at another length: a thirtieth of what it holds, two thirtieths, …"""
    assert sweep(regrow, tree).code == 0
    foreign = {path for path, _ in planted if before[os.path.relpath(path, tree)].attributes}
    for number, (path, _) in enumerate(planted):
        if path not in foreign:
            record = place_of(path, records_directory)
            os.truncate(record, record.stat().st_size * number // len(planted))
    swept = sweep(regrow, tree)
    assert swept.code == 0
    assert {*swept.outcomes.values()} == {"already marked"}
    assert_all_are_marked(planted, records_directory)
    done = regrow("undo", "--yes")
    assert done.returncode == 0
    assert differences(before, portray(tree)) == []


def test_records_of_another_host_are_left_until_their_path_is_marked_here(
    regrow: Regrow,
    tree: Path,
    planted: list[Planted],
    before: dict[str, Portrait],
    records_directory: Path,
) -> None:
    """A home that was copied or is shared: the same paths, other directories behind them."""
    assert sweep(regrow, tree).code == 0
    elsewhere = tree / "gone/target"
    for record in read_records(records_directory):
        file = place_of(Path(record.path), records_directory)
        other = record._replace(host="another", inode=record.inode + 1, born=(record.born or 0) + 1)
        file.write_bytes(encode(other))
        lost = other._replace(path=str(elsewhere))
    place_of(elsewhere, records_directory).write_bytes(encode(lost))
    marked = portray(tree)

    assert {line["state"] for line in regrow.json("list")} == {"other machine"}
    done = regrow("undo", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert differences(marked, portray(tree)) == []
    assert len(read_records(records_directory)) == len(planted) + 1

    assert sweep(regrow, tree).code == 0
    states = {line["path"]: line["state"] for line in regrow.json("list")}
    assert states.pop(str(elsewhere)) == "other machine"
    assert {*states.values()} == {"there"}
    assert len(states) == len(planted)
