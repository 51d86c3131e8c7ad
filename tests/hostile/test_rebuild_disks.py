"""Disks that fill up or refuse, packages that are gone: a rebuild says so, and all is as it was."""

import inspect
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.create import creators
from regrow.recipes.recipe import build_recipe

# The ordinary user of these tests may not be able to read regrow's own files: all is loaded before.
from regrow.system import directories
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    fill,
    has_attribute,
    leftovers,
    read_records,
    run,
    snapshot,
    temporary_records,
)
from tests.mounts import mounted_image
from tests.rebuilding import (
    NPM,
    THIS_PYTHON,
    UV,
    Doubles,
    assert_rebuilt,
    environment,
    modules_without_lock,
    outcomes,
    python,
    rebuild,
    recorded,
    use_index,
    write,
    write_wheel,
)
from tests.sweeping import immutable

pytestmark = LINUX_ONLY

AsOrdinaryUser = Callable[[Callable[[], Any]], Any]
NOBODY = 65534
FULL = "the disk is full (ENOSPC)"
on_ext4 = [pytest.mark.needs("mkfs.ext4"), pytest.mark.needs_root]
KINDS = ("python", "node")


def on(marks: list[pytest.MarkDecorator]) -> Callable[[Any], Any]:
    def decorate(test: Any) -> Any:
        for mark in marks:
            test = mark(test)
        return test

    return decorate


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes."""
    with mounted_image(tmp_path, "ext4") as root:
        yield root


def project(place: Path, kind: str) -> Path:
    """Record what is missing in a project; gives its path."""
    record = environment(place, "a==1") if kind == "python" else modules_without_lock(place)
    return Path(record.path)


def filling(doubles: Doubles, disk: Path, end: str) -> None:
    """Let the tools do their work, and fill a disk to its last block."""
    program = doubles.place / "fill.py"
    program.write_text(
        "import contextlib, os, sys\nfrom pathlib import Path\n"
        f"{inspect.getsource(fill)}\nfill(Path(sys.argv[1]))"
    )
    for name, lines in (("uv", UV), ("npm", NPM)):
        doubles.write(name, f"{lines}\n{sys.executable} {program} {disk}\n{end}")


def mend(doubles: Doubles) -> None:
    doubles.write("uv", UV)
    doubles.write("npm", NPM)


# Disks that are full.


@on(on_ext4)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_begun_on_a_full_disk(
    inside: Regrow, doubles: Doubles, disk: Path, records_directory: Path, kind: str
) -> None:
    path = project(disk / "project", kind)
    fill(disk)
    before = snapshot(disk / "project"), snapshot(records_directory)
    code, [line] = rebuild(inside)
    assert (code, line["outcome"]) == (1, "failed")
    assert f"it can't be made: {FULL}" in line["detail"][0]
    assert str(path) in line["detail"][0]
    assert doubles.calls() == []
    assert (snapshot(disk / "project"), snapshot(records_directory)) == before
    (disk / "filler").unlink()
    assert_rebuilt(inside, path)


@on(on_ext4)
@pytest.mark.parametrize("end", ["exit 1", "exit 0"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fills_up_while_a_tool_works(
    inside: Regrow, doubles: Doubles, disk: Path, records_directory: Path, kind: str, end: str
) -> None:
    path = project(disk / "project", kind)
    before = snapshot(disk / "project"), snapshot(records_directory)
    filling(doubles, path / {"python": "lib", "node": "a"}[kind], end)
    code, [line] = rebuild(inside)
    if end == "exit 1":
        assert (code, line["outcome"]) == (1, "failed")
        assert (snapshot(disk / "project"), snapshot(records_directory)) == before
        mend(doubles)
        assert_rebuilt(inside, path)
    else:
        assert has_attribute(path), "the tool says that all is well"
        assert leftovers(disk / "project") == []


@on(on_ext4)
def test_a_lock_for_which_there_is_no_room_is_not_left_in_half(
    inside: Regrow, doubles: Doubles, disk: Path
) -> None:
    record = modules_without_lock(disk / "project")
    write(record, [("package-lock.json", b'{"x": "' + b"x" * 1_000_000 + b'"}')])
    fill(disk)
    os.truncate(disk / "filler", (disk / "filler").stat().st_size - 200_000)
    os.sync()
    code, [line] = rebuild(inside)
    assert (code, line["outcome"], line["detail"][0]) == (1, "failed", FULL)
    assert os.listdir(disk / "project") == ["package.json"]
    assert doubles.calls() == []
    (disk / "filler").unlink()
    assert_rebuilt(inside, Path(record.path))


@on(on_ext4)
@pytest.mark.parametrize("kind", KINDS)
def test_records_for_which_there_is_no_room(
    inside: Regrow,
    doubles: Doubles,
    place: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(disk))
    path = project(place / "project", kind)
    fill(disk)
    before = snapshot(place), snapshot(disk / "regrow/records")
    code, [line] = rebuild(inside)
    assert (code, line["outcome"]) == (1, "failed")
    assert f"{path}: its record can't be written: {disk}/regrow/records/" in line["detail"][0]
    assert FULL in line["detail"][0]
    assert (snapshot(place), snapshot(disk / "regrow/records")) == before
    assert doubles.calls() == []
    (disk / "filler").unlink()
    assert_rebuilt(inside, path)


@on(on_ext4)
@pytest.mark.parametrize("kind", KINDS)
def test_records_for_which_there_is_no_room_any_more_in_the_end(
    inside: Regrow,
    doubles: Doubles,
    place: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(disk))
    path = project(place / "project", kind)
    filling(doubles, disk, "exit 0")
    code, [line] = rebuild(inside)
    assert (code, line["outcome"]) == (1, "failed")
    assert FULL in line["detail"][0]
    [record] = read_records(disk / "regrow/records")
    assert record.recipe["kind"] == kind, "what brings it back is not lost"
    assert has_attribute(path)
    assert inside.json("list")[0]["state"] == "unfinished", "and the next run completes it"
    (disk / "filler").unlink()
    mend(doubles)
    assert_rebuilt(inside, path)


@on(on_ext4)
@pytest.mark.parametrize("kind", KINDS)
def test_logs_for_which_there_is_no_room(
    inside: Regrow,
    doubles: Doubles,
    place: Path,
    disk: Path,
    records_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    path = project(place / "project", kind)
    monkeypatch.setenv("XDG_STATE_HOME", str(disk))
    fill(disk)
    before = snapshot(place), snapshot(records_directory)
    code, [line] = rebuild(inside)
    assert (code, line["outcome"]) == (1, "failed")
    assert "its log can't be written" in line["detail"][0] or "regrow: " in line["detail"][0]
    assert FULL in line["detail"][0]
    assert (snapshot(place), snapshot(records_directory)) == before
    assert doubles.calls() == []
    (disk / "filler").unlink()
    doubles.write("uv", "cat /dev/zero")
    doubles.write("npm", "cat /dev/zero")
    code, [line] = rebuild(inside)
    assert (code, line["outcome"]) == (1, "failed")
    assert "failed (exit code 1)" in line["detail"][0]
    assert (snapshot(place), snapshot(records_directory)) == before
    mend(doubles)
    assert_rebuilt(inside, path)


# Disks and directories that refuse.


@on(on_ext4)
def test_a_project_on_a_read_only_disk_is_named_and_the_next_one_rebuilt(
    inside: Regrow, doubles: Doubles, place: Path, tmp_path: Path
) -> None:
    def prepare(root: Path) -> None:
        for kind in KINDS:
            project(root / kind, kind)

    good = project(place / "good", "python")
    with mounted_image(tmp_path, "ext4", read_only=True, prepare=prepare) as root:
        before = snapshot(root)
        code, lines = rebuild(inside)
        assert code == 1
        assert {line["path"]: line["outcome"] for line in lines} == {
            str(good): "rebuilt",
            f"{root}/python/.venv": "failed",
            f"{root}/node/node_modules": "failed",
        }
        for line in lines:
            if line["outcome"] == "failed":
                assert "the file system is read-only (EROFS)" in line["detail"][0]
                assert line["path"] in line["detail"][0]
        assert snapshot(root) == before
    assert all("uv" in call and str(good) in call for call in doubles.calls())


@on(on_ext4)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_rebuilt_where_records_can_not_be_written(
    inside: Regrow,
    doubles: Doubles,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "ext4"))

    def prepare(_: Path) -> None:
        project(place / "project", kind)

    with mounted_image(tmp_path, "ext4", read_only=True, prepare=prepare):
        before = snapshot(place)
        code, [line] = rebuild(inside)
        assert (code, line["outcome"]) == (1, "failed")
        assert "its record can't be written" in line["detail"][0]
        assert "the file system is read-only (EROFS)" in line["detail"][0]
        assert snapshot(place) == before
        assert doubles.calls() == []


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_that_nobody_may_change_is_named(
    inside: Regrow, place: Path, records_directory: Path, kind: str
) -> None:
    path = project(place / "project", kind)
    before = snapshot(place), snapshot(records_directory)
    with immutable(path.parent):
        code, [line] = rebuild(inside)
        assert (code, line["outcome"]) == (1, "failed")
        assert "no permission: only its owner may do that (EPERM)" in line["detail"][0]
    assert (snapshot(place), snapshot(records_directory)) == before
    assert_rebuilt(inside, path)


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_an_ordinary_user_without_permission(
    open_place: Path,
    as_ordinary_user: AsOrdinaryUser,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    home, locked = open_place / "home", open_place / "locked"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{open_place}:{os.environ['PATH']}")
    for directory in (home, locked):
        directory.mkdir()
    for name in ("uv", "npm"):
        shutil.copy("/bin/true", open_place / name)
    path = project(locked, kind)
    for directory in (home, *home.rglob("*"), locked, *locked.rglob("*")):
        os.chown(directory, NOBODY, NOBODY)
    locked.chmod(0o555)
    before = snapshot(locked)
    done = as_ordinary_user(lambda: run("rebuild", "--yes", "--json"))
    assert (done.code, outcomes(done.lines)) == (1, ["failed"])
    assert str(path) in done.lines[0]["detail"][0]
    assert "no permission (EACCES)" in done.lines[0]["detail"][0]
    assert snapshot(locked) == before


@on(on_ext4)
def test_a_file_system_without_attributes_is_said_not_to_be_excluded(
    inside: Regrow, doubles: Doubles, tmp_path: Path
) -> None:
    with mounted_image(tmp_path, "ramfs") as root:
        for kind in KINDS:
            project(root / kind, kind)
        code, lines = rebuild(inside)
        assert (code, outcomes(lines)) == (0, ["differs", "differs"])
        for line in lines:
            assert "it is not excluded from backups: " in line["detail"][0]
        assert (root / "python/.venv/pyvenv.cfg").exists()
        assert (root / "node/node_modules/a").exists()
        assert rebuild(inside) == (0, []), "what stands there is not made again"


# Packages that are gone, with the real installers.


@pytest.mark.parametrize(
    "creator",
    [
        pytest.param("uv 0.9.0", marks=pytest.mark.needs("uv")),
        pytest.param("venv", marks=pytest.mark.slow),
    ],
)
def test_a_package_that_is_gone_from_the_index(
    inside: Regrow,
    tmp_path: Path,
    records_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    creator: str,
) -> None:
    wheels, place = tmp_path / "wheels", tmp_path / "place"
    wheels.mkdir()
    place.mkdir()
    use_index(wheels, monkeypatch)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    if creator == "venv":
        monkeypatch.setattr(creators, "is_here", lambda name: name != "uv")
    write_wheel(wheels, "kept", "1.0")
    gone = write_wheel(wheels, "gone", "2.0")
    recipe = python("gone==2.0", "kept==1.0") | {"creator": creator} | THIS_PYTHON
    record = write(recorded(place / ".venv", recipe))
    gone.rename(tmp_path / gone.name)
    before = snapshot(place), snapshot(records_directory)

    done = inside("rebuild", "--yes")
    assert done.returncode == 1
    assert f"failed  {place}/.venv\n" in done.stdout
    assert "gone" in done.stdout.replace(str(tmp_path), ""), "the log's last lines say which"
    assert f"    the log: {directories.logs()}/" in done.stdout
    assert (snapshot(place), snapshot(records_directory)) == before

    (tmp_path / gone.name).rename(gone)
    assert_rebuilt(inside, place / ".venv")
    found = build_recipe("python", record.path, str(place)).recipe["requirements"]
    assert found == ["gone==2.0", "kept==1.0"]
    works = [str(place / ".venv/bin/python"), "-c", "import gone, kept"]
    assert subprocess.run(works, check=False).returncode == 0
    assert temporary_records(records_directory) == []
