"""A record is never replaced by a poorer one: it stays until as much is there, or accepted."""

import json
import os
import shutil
from pathlib import Path

import pytest

from regrow.model import Record
from regrow.records import awaited
from regrow.records.format import decode, encode, is_awaited
from regrow.records.store import Store, file_name, identity_of
from regrow.system import directories
from tests.conftest import Regrow
from tests.environments import environment, requirements, sweep
from tests.hostile.helpers import LINUX_ONLY, has_attribute
from tests.rebuilding import (
    Doubles,
    install_doubles,
    modules_without_lock,
    python,
    rebuild,
    recorded,
    write,
)
from tests.records.test_history import earlier
from tests.sweeping import Inside

pytestmark = LINUX_ONLY

FULL = ["a==1", "b==1", "c==1"]


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


@pytest.fixture
def path(regrow: Regrow, tmp_path: Path) -> Path:
    """An environment of three packages that was recorded, and is gone."""
    made = tmp_path / "project/.venv"
    environment(made, *FULL)
    sweep(regrow, made.parent)
    made.rename(tmp_path / "backup")
    shutil.rmtree(tmp_path / "backup")
    return made


def record_at(path: Path) -> Record:
    with Store() as store:
        found = store.read(str(path))
    assert found is not None
    return found


def planned(regrow: Regrow, path: Path) -> dict[str, str]:
    """Give what a rebuild would do, and why, by path."""
    done = regrow("rebuild", "--dry-run", "--json", path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["path"]: line["why"] for line in lines}


POORER = {
    "empty": ((), 3),
    "with the seeds of venv": (("pip==24.0", "setuptools==69.0"), 3),
    "half of it": (("a==1", "c==1"), 1),
    "half of it in other versions": (("a==2", "pip==24.0"), 2),
}


@pytest.mark.parametrize("kind", POORER)
def test_less_than_was_recorded_does_not_take_the_records_place(
    regrow: Regrow, path: Path, kind: str
) -> None:
    present, count = POORER[kind]
    environment(path, *present)
    said = sweep(regrow, path.parent)
    assert (
        f"{path}: it holds less than its record: {count} of 3 packages are missing; `regrow"
        f" rebuild {path}` brings them back, `regrow mark {path}` accepts what is there"
    ) in said
    assert requirements(path) == FULL
    assert has_attribute(path)
    assert planned(regrow, path) == {str(path): f"incomplete: {count} of 3 packages are not there"}
    assert "it holds less than its record" in regrow("list", path).stdout
    assert earlier(path) == []


def test_each_sweep_says_so_and_writes_the_record_only_once(regrow: Regrow, path: Path) -> None:
    environment(path, "a==1")
    for _ in ("marks", "writes the tag, for nobody is removing it all"):
        sweep(regrow, path.parent)
    file = Path(directories.records()) / file_name(str(path))
    before = file.stat().st_ino
    assert "it holds less than its record" in sweep(regrow, path.parent)
    assert file.stat().st_ino == before
    environment(path, "a==1", "c==1")
    assert "1 of 3 packages" in sweep(regrow, path.parent)
    assert requirements(path) == FULL


def test_a_damaged_record_of_what_is_marked_fails_no_sweep(regrow: Regrow, path: Path) -> None:
    environment(path, "a==1")
    for _ in ("marks", "writes the tag, for nobody is removing it all"):
        sweep(regrow, path.parent)
    file = Path(directories.records()) / file_name(str(path))
    file.write_bytes(file.read_bytes() + b"no TOML\n")
    assert "it holds less than its record" not in sweep(regrow, path.parent)


def test_json_has_it_as_a_note(regrow: Regrow, path: Path) -> None:
    environment(path)
    [line] = map(json.loads, regrow("sweep", "--yes", "--json", path.parent).stdout.splitlines())
    assert line["notes"][0].startswith("it holds less than its record: 3 of 3")


@pytest.mark.parametrize(
    ("present", "kept"),
    [
        (FULL, []),
        (["a==2", "b==1", "c==1"], [FULL]),
        ([*FULL, "d==1"], [FULL]),
        (["a==1", "mine==1"], [FULL]),
    ],
    ids=["equal", "newer", "more", "something else"],
)
@pytest.mark.parametrize("was_swept_empty", [False, True])
def test_what_is_no_poorer_is_recorded_and_the_old_recipe_is_an_earlier_one(
    regrow: Regrow, path: Path, present: list[str], kept: list[list[str]], was_swept_empty: bool
) -> None:
    if was_swept_empty:
        environment(path)
        sweep(regrow, path.parent)
    environment(path, *present)
    assert "less than its record" not in sweep(regrow, path.parent)
    assert requirements(path) == present
    assert record_at(path).awaited is None
    assert earlier(path) == kept
    assert planned(regrow, path) == {}


def test_mark_accepts_what_is_there(regrow: Regrow, path: Path) -> None:
    environment(path, "a==1")
    sweep(regrow, path.parent)
    assert regrow("mark", path).returncode == 0
    assert (requirements(path), earlier(path)) == (["a==1"], [FULL])
    assert planned(regrow, path) == {}
    assert "less than its record" not in sweep(regrow, path.parent)


def test_mark_accepts_what_no_sweep_has_seen(regrow: Regrow, path: Path) -> None:
    environment(path)
    assert regrow("mark", path).returncode == 0
    assert (requirements(path), earlier(path)) == ([], [FULL])


def test_a_rebuild_offers_what_no_sweep_has_seen_and_brings_it_back(
    regrow: Regrow, path: Path, doubles: Doubles
) -> None:
    environment(path, "b==1")
    assert planned(regrow, path) == {str(path): "incomplete: 2 of 3 packages are not there"}
    code, [line] = rebuild(regrow, path)
    assert (code, line["outcome"]) == (0, "rebuilt"), line
    assert requirements(path) == FULL
    assert record_at(path).awaited is None
    assert rebuild(regrow, path) == (0, [])
    assert "less than its record" not in sweep(regrow, path.parent)


def test_a_rebuild_brings_back_what_a_sweep_found_missing(
    regrow: Regrow, path: Path, doubles: Doubles
) -> None:
    environment(path, "b==1")
    sweep(regrow, path.parent)
    code, [line] = rebuild(regrow, path)
    assert (code, line["outcome"]) == (0, "rebuilt"), line
    assert (requirements(path), record_at(path).awaited) == (FULL, None)


def test_a_complete_environment_that_a_restore_brought_back_is_sound(
    regrow: Regrow, path: Path
) -> None:
    environment(path, *FULL)
    assert planned(regrow, path) == {}


@pytest.mark.parametrize("left", [(), ("lib/python3.11/site-packages/a",), ("bin/python",)])
def test_a_ruin_without_its_configuration_file_is_offered_and_keeps_its_record(
    regrow: Regrow, path: Path, left: tuple[str, ...]
) -> None:
    path.mkdir()
    for name in left:
        (path / name).parent.mkdir(parents=True)
        (path / name).write_text("")
    sweep(regrow, path.parent)
    assert requirements(path) == FULL
    assert list(planned(regrow, path)) == [str(path)]


def test_a_directory_of_the_users_own_in_its_place_is_none_of_a_rebuilds_business(
    regrow: Regrow, path: Path
) -> None:
    (path / "thesis").mkdir(parents=True)
    sweep(regrow, path.parent)
    assert requirements(path) == FULL
    assert planned(regrow, path) == {}


def test_what_the_user_takes_out_of_the_recorded_directory_is_meant_to_be_gone(
    regrow: Regrow, tmp_path: Path
) -> None:
    path = tmp_path / "project/.venv"
    environment(path, *FULL)
    sweep(regrow, path.parent)
    environment(path)
    assert planned(regrow, path) == {}
    assert "less" not in sweep(regrow, path.parent)
    assert requirements(path) == []


def test_an_environment_that_was_set_aside_takes_its_record_along(
    regrow: Regrow, tmp_path: Path
) -> None:
    path = tmp_path / "project/.venv"
    environment(path, *FULL)
    sweep(regrow, path.parent)
    path.rename(path.with_name("old"))
    environment(path)
    assert "less than its record" not in sweep(regrow, path.parent)
    assert requirements(path) == []
    assert requirements(path.with_name("old")) == FULL


def test_run_says_it_and_keeps_the_record(regrow: Regrow, path: Path) -> None:
    environment(path)
    Regrow()("run", "--", "true", cwd=path.parent)
    assert requirements(path) == FULL
    assert record_at(path).awaited is not None


@pytest.mark.needs("uv")
def test_uv_makes_an_empty_one_and_then_the_whole(
    regrow: Regrow, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Regrow()("run", "--", "uv", "venv", "--quiet", "--offline", cwd=path.parent)
    assert done.returncode == 0, done.stderr
    assert requirements(path) == FULL
    environment(path, *FULL)
    sweep(regrow, path.parent)
    assert record_at(path).awaited is None


def test_regrow_venv_in_its_place_keeps_the_record_too(
    regrow: Regrow, path: Path, doubles: Doubles
) -> None:
    assert regrow("venv", path, "--creator", "uv").returncode == 0
    assert requirements(path) == FULL
    assert planned(regrow, path) == {str(path): "incomplete: 3 of 3 packages are not there"}


# What no recipe can be taken of.


@pytest.mark.parametrize("left", [(), (".cache",), ("a",)])
def test_node_modules_without_what_npm_notes_keep_their_lock(
    regrow: Regrow, tmp_path: Path, left: tuple[str, ...]
) -> None:
    record = modules_without_lock(tmp_path / "project")
    path = Path(record.path)
    path.mkdir()
    for name in left:
        (path / name).mkdir()
    sweep(regrow, path.parent)
    with Store() as store:
        assert store.attachment(record.path, "package-lock.json")
    assert list(planned(regrow, path)) == [str(path)]


def test_what_an_ide_emptied_in_place_keeps_its_record_when_the_marks_are_taken_back(
    regrow: Regrow, tmp_path: Path
) -> None:
    record = modules_without_lock(tmp_path / "project")
    path = Path(record.path)
    (path / ".cache").mkdir(parents=True)
    fd = os.open(path, os.O_RDONLY)
    this = identity_of(fd)
    os.close(fd)
    write(record._replace(inode=this.inode, born=this.born))
    assert regrow("undo", path).returncode == 0
    assert not has_attribute(path)
    assert record_at(path).set == ()
    assert "unmarked" in regrow("list", path).stdout
    assert list(planned(regrow, path)) == [str(path)]
    assert regrow("undo", path).returncode == 0


def test_undo_keeps_what_is_awaited_and_an_export_does_not_name_it(
    regrow: Regrow, path: Path
) -> None:
    environment(path)
    sweep(regrow, path.parent)
    assert regrow("undo", path).returncode == 0
    assert not has_attribute(path)
    assert requirements(path) == FULL
    assert str(path) not in regrow("export", "paths", "--marked-only").stdout


# The record.


def test_a_record_says_so_in_one_line_and_older_ones_are_read(tmp_path: Path) -> None:
    record = recorded(tmp_path / ".venv", python("a==1"))._replace(awaited=7)
    data = encode(record)
    assert b"\nawaited = 7\n" in data
    assert decode(data, "x") == record
    assert is_awaited(data)
    assert is_awaited(data, 7)
    assert not is_awaited(data, 8)
    old = data.replace(b"awaited = 7\n", b"")
    assert decode(old, "x").awaited is None
    assert not is_awaited(old)


@pytest.mark.parametrize("kind", ["none", "command", "contents"])
def test_a_recipe_that_says_no_more_than_its_rule_is_never_awaited(
    tmp_path: Path, kind: str
) -> None:
    former = recorded(tmp_path / "target", {"kind": kind})
    assert awaited.stamp(former, {"kind": "none"}, is_same=False, is_accepted=False) is None
