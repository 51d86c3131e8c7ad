"""Earlier recipes: the last three of each directory are kept, and can be had again."""

import json
import shutil
from pathlib import Path

import pytest

from regrow.model import Record
from regrow.records import history
from regrow.records.format import MARKED, PENDING
from regrow.records.store import Store
from tests.conftest import Regrow
from tests.environments import environment, requirements, sweep
from tests.hostile.helpers import LINUX_ONLY
from tests.rebuilding import (
    LOCK,
    Doubles,
    install_doubles,
    modules_without_lock,
    python,
    recorded,
)
from tests.sweeping import Inside

pytestmark = LINUX_ONLY


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


def earlier(path: Path) -> list[list[str]]:
    """Give what the earlier recipes list, the newest first."""
    with Store() as store:
        found = [entry.record.recipe["requirements"] for entry in history.entries(store, str(path))]
    assert all(isinstance(one, list) for one in found)
    return found  # type: ignore[return-value]


def shown(regrow: Regrow, *words: str | Path) -> list[dict[str, object]]:
    done = regrow("list", "--history", "--json", *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_a_directory_had_before_is_kept_and_of_that_the_last_three(
    regrow: Regrow, project: Path
) -> None:
    path = project / ".venv"
    for number in range(5):
        environment(path, f"a=={number}")
        sweep(regrow, project)
    assert requirements(path) == ["a==4"]
    assert earlier(path) == [["a==3"], ["a==2"], ["a==1"]]


def test_what_was_taken_out_of_the_same_directory_is_recorded_as_gone_and_kept_as_earlier(
    regrow: Regrow, project: Path
) -> None:
    path = project / ".venv"
    environment(path, "a==1", "b==2")
    sweep(regrow, project)
    environment(path, "a==1")
    assert "less" not in sweep(regrow, project)
    assert (requirements(path), earlier(path)) == (["a==1"], [["a==1", "b==2"]])


def test_a_recipe_that_is_only_taken_anew_is_no_earlier_one(regrow: Regrow, project: Path) -> None:
    path = project / ".venv"
    environment(path, "a==1")
    sweep(regrow, project)
    (project / "requirements.txt").write_text("a==1\n")
    environment(path, "a==1")
    sweep(regrow, project)
    assert earlier(path) == []


def test_what_was_recorded_while_it_was_filled_is_no_earlier_recipe(project: Path) -> None:
    with Store() as store:
        path = str(project / ".venv")
        half = recorded(path, python("a==1"))._replace(state=PENDING)
        whole = half._replace(recipe=python("a==1", "b==2"))
        assert not history.is_lost(store, half, whole, ())
        assert history.is_lost(store, half, half._replace(recipe=python("b==2")), ())
        assert history.is_lost(store, half._replace(state=MARKED), whole, ())


def test_earlier_recipes_follow_a_directory_that_was_moved(regrow: Regrow, tmp_path: Path) -> None:
    environment(tmp_path / "a/.venv", "a==1")
    sweep(regrow, tmp_path)
    environment(tmp_path / "a/.venv", "a==2")
    sweep(regrow, tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    sweep(regrow, tmp_path)
    assert earlier(tmp_path / "a/.venv") == []
    assert earlier(tmp_path / "b/.venv") == [["a==1"]]


def test_earlier_recipes_of_directories_that_change_places_do_so_too(tmp_path: Path) -> None:
    one, other = (recorded(tmp_path / name, python(f"{name}==2")) for name in "ab")
    with Store() as store:
        for record in (one, other):
            name = Path(record.path).name
            history.add(store, record._replace(recipe=python(f"{name}==1")))
        history.move(store, {one.path: other.path, other.path: one.path})
    assert (earlier(tmp_path / "a"), earlier(tmp_path / "b")) == ([["b==1"]], [["a==1"]])


def test_a_kill_between_two_files_leaves_one_twice_and_that_is_not_seen(tmp_path: Path) -> None:
    record = recorded(tmp_path / "env", python("now==1"))
    with Store() as store:
        for version in "12":
            history.add(store, record._replace(recipe=python(f"a=={version}")))
        place = Path(f"{store.path}-history")
        first, second = sorted(place.glob("*.toml"))
        shutil.copy(first, second.with_name(second.name.replace(".2.", ".3.")))
        second.write_bytes(first.read_bytes())
    assert earlier(tmp_path / "env") == [["a==2"]]


def test_a_lock_that_stood_beside_the_record_stays_with_its_recipe(project: Path) -> None:
    record = modules_without_lock(project)
    with Store() as store:
        assert history.is_lost(store, record, record, [("package-lock.json", b"{}")])
        history.add(store, record)
        store.write(record, [("package-lock.json", b"{}")]).close()
        [entry] = history.entries(store, record.path)
    assert dict(entry.files) == {"package-lock.json": LOCK}


def test_entries_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    record = recorded(tmp_path / "env", python("now==1"))
    with Store() as store:
        for version in "12":
            history.add(store, record._replace(recipe=python(f"a=={version}")))
        first, _ = sorted(Path(f"{store.path}-history").glob("*.toml"))
        first.write_text("state = ")
    assert earlier(tmp_path / "env") == [["a==1"]]


def test_undo_and_forget_remove_the_earlier_recipes_too(regrow: Regrow, tmp_path: Path) -> None:
    for name in "ab":
        for version in "12":
            environment(tmp_path / name / ".venv", f"a=={version}")
            sweep(regrow, tmp_path)
    assert len(shown(regrow)) == 2
    assert regrow("undo", tmp_path / "a").returncode == 0
    shutil.rmtree(tmp_path / "b/.venv")
    assert len(shown(regrow)) == 1, "records of what is gone keep theirs"
    assert regrow("list", "--forget", tmp_path / "b").returncode == 0
    assert shown(regrow) == []


def test_a_mark_that_is_taken_back_leaves_the_recipe_as_an_earlier_one(
    regrow: Regrow, project: Path
) -> None:
    environment(project / ".venv", "a==1")
    sweep(regrow, project)
    (project / ".regrow.toml").write_text('keep = [".venv"]\n')
    assert "taken back" in sweep(regrow, project)
    assert earlier(project / ".venv") == [["a==1"]]


def test_list_shows_number_time_and_what_differs_from_the_newer_one(
    regrow: Regrow, project: Path
) -> None:
    path = project / ".venv"
    for lines in (("a==1", "b==2"), ("a==1",), ("a==3", "c==1")):
        environment(path, *lines)
        sweep(regrow, project)
    first, second = shown(regrow, project)
    assert (first["path"], first["number"], second["number"]) == (str(path), 1, 2)
    assert first["differs"] == [
        "a==1, which the newer one lacks",
        "not a==3, which the newer one has",
        "not c==1, which the newer one has",
    ]
    assert second["differs"] == ["b==2, which the newer one lacks"]
    text = regrow("list", "--history", path).stdout.splitlines()
    assert text[0] == str(path)
    assert text[1].startswith("  1  20")
    assert text[1].endswith("Z  1 package, Python 3.11.7")
    assert text[-1] == "2 earlier recipes"
    assert shown(regrow, project / "elsewhere") == []


def test_history_goes_with_paths_alone(regrow: Regrow) -> None:
    assert regrow("list", "--history", "--sizes").returncode == 2


# Rebuilds.


@pytest.fixture
def path(regrow: Regrow, doubles: Doubles, project: Path) -> Path:
    """An environment that had two recipes before the one that it has."""
    made = project / ".venv"
    for lines in (("a==1", "b==1"), ("a==2",), ("a==3",)):
        environment(made, *lines)
        sweep(regrow, project)
    return made


def test_a_rebuild_goes_back_to_an_earlier_recipe_even_where_all_is_sound(
    regrow: Regrow, path: Path
) -> None:
    assert regrow("rebuild", "--dry-run", path).stdout == "there is nothing to rebuild\n"
    plan = regrow("rebuild", "--dry-run", "--recipe", "2", path).stdout
    assert "recipe 2, of 20" in plan
    assert "2 requirements of the record" in plan
    assert requirements(path) == ["a==3"], "a dry run changes nothing"

    done = regrow("rebuild", "--yes", "--recipe", "2", path)
    assert (done.returncode, f"rebuilt  {path}" in done.stdout) == (0, True), done.stdout
    assert requirements(path) == ["a==1", "b==1"]
    assert earlier(path) == [["a==3"], ["a==2"]]
    assert [entry.name for entry in path.parent.iterdir()] == [".venv"]


def test_what_is_no_package_is_put_back_where_a_rebuild_goes_back(
    regrow: Regrow, path: Path
) -> None:
    (path / "thesis.txt").write_text("mine")
    assert regrow("rebuild", "--yes", "--recipe", "1", path).returncode == 0
    assert (path / "thesis.txt").read_text() == "mine"
    assert requirements(path) == ["a==2"]


def test_what_cannot_be_described_is_not_replaced_by_an_earlier_recipe(
    regrow: Regrow, path: Path
) -> None:
    environment(path, "a==3", "a==4")
    done = regrow("rebuild", "--yes", "--recipe", "1", path)
    assert done.returncode == 1
    assert "what stands there can't be described: a is in it twice" in done.stdout
    assert requirements(path) == ["a==3"]


def test_what_was_not_swept_yet_becomes_an_earlier_recipe_as_well(
    regrow: Regrow, path: Path
) -> None:
    environment(path, "a==3", "new==1")
    assert regrow("rebuild", "--yes", "--recipe", "1", path).returncode == 0
    assert requirements(path) == ["a==2"]
    assert earlier(path)[:2] == [["a==3", "new==1"], ["a==3"]]


def test_a_rebuild_that_fails_leaves_record_and_history_as_they_were(
    regrow: Regrow, path: Path, doubles: Doubles
) -> None:
    before = earlier(path)
    doubles.write("uv", "exit 3")
    done = regrow("rebuild", "--yes", "--recipe", "1", path)
    assert (done.returncode, f"failed  {path}" in done.stdout) == (1, True)
    assert (requirements(path), earlier(path)) == (["a==3"], before)
    with Store() as store:
        record = store.read(str(path))
    assert isinstance(record, Record)
    assert record.awaited is None


@pytest.mark.parametrize("number", ["0", "3", "-1"])
def test_an_unknown_number_is_an_error_that_says_which_there_are(
    regrow: Regrow, path: Path, number: str
) -> None:
    done = regrow("rebuild", "--yes", f"--recipe={number}", path)
    assert done.returncode == 2
    assert f"--recipe {number}: {path} has 1 to 2; `regrow list --history` shows" in done.stderr


def test_where_nothing_earlier_is_kept_that_is_said(regrow: Regrow, path: Path) -> None:
    done = regrow("rebuild", "--yes", "--recipe", "1", path.parent)
    assert done.returncode == 2
    assert f"no earlier recipe of {path.parent} is kept" in done.stderr
    assert regrow("rebuild", "--yes", "--recipe", "1").returncode == 2


def test_the_lock_of_the_earlier_recipe_is_the_one_that_is_installed_from(
    regrow: Regrow, doubles: Doubles, project: Path
) -> None:
    record = modules_without_lock(project)
    newer = LOCK.replace(b"1.0.0", b"2.0.0")
    with Store() as store:
        history.add(store, record)
        store.write(record, [("package-lock.json", newer)]).close()
    seen = project / "seen"
    doubles.write("npm", f"cat package-lock.json > {seen}\nmkdir -p node_modules/a\n")
    regrow("rebuild", "--yes", "--recipe", "1", record.path)
    assert seen.read_bytes() == LOCK
