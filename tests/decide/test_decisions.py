"""What a sweep takes back, and what it leaves marked because it can't be sure."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow import marking, pipeline, unmarking
from regrow.config import Configuration
from regrow.decide import decisions
from regrow.model import MARK, VANISHED, Candidate, Decision, Plan, Scope
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.walk import Scan
from regrow_marks import tag
from regrow_marks.directory import open_directory
from tests.conftest import NOBODY, Regrow
from tests.hostile.helpers import LINUX_ONLY, has_regrows_tag, read_records, record_of
from tests.sweeping import (
    UVS_TAG,
    Inside,
    age,
    attribute,
    configure,
    distribution,
    environment,
    git,
    ignore,
    modules,
    set_attribute,
)

pytestmark = [LINUX_ONLY, pytest.mark.needs("git")]

BUILD = "setup.py"


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


@pytest.fixture
def project(home: Path) -> Path:
    return home.resolve() / "code" / "shop"


def sweep(regrow: Regrow, *words: str | Path) -> None:
    """Sweep; it must not fail, nor complain."""
    done = regrow("sweep", "--yes", *words)
    assert (done.returncode, done.stderr) == (0, "")


def sweep_again(regrow: Regrow, path: Path, *words: str | Path) -> dict[str, Any] | None:
    """Sweep a second time, and give what it says of one directory."""
    done = regrow("sweep", "--yes", "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return next((line for line in lines if line["path"] == str(path)), None)


def is_marked(path: Path) -> bool:
    return attribute(path) == b"false"


def assert_taken_back(
    regrow: Regrow, path: Path, guard: str, records_directory: Path, *words: str | Path
) -> None:
    """Sweep, and check that a directory's marks and its record go, and its time stays."""
    assert is_marked(path)
    before = path.stat().st_mtime_ns
    line = sweep_again(regrow, path, *words)
    assert line is not None
    assert (line["decision"], line["guard"]) == ("take back", guard)
    assert (line["outcome"], line["error"]) == ("unmarked", None)
    assert {state["state"] for state in line["markers"].values()} == {"unmarked"}
    assert attribute(path) is None
    assert not has_regrows_tag(path)
    assert record_of(path, records_directory) is None
    assert path.stat().st_mtime_ns == before


def assert_stays_marked(regrow: Regrow, path: Path, records: Path, *words: str | Path) -> None:
    """Sweep, and check that a directory keeps its marks and its record."""
    before = record_of(path, records)
    assert before is not None
    had_tag = has_regrows_tag(path)
    line = sweep_again(regrow, path, *words)
    assert line is None or line["decision"] != "take back"
    assert is_marked(path)
    assert has_regrows_tag(path) == had_tag
    assert record_of(path, records) == before


# What a guard keeps now.


def test_what_git_tracks_something_in_by_now_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    ignore(project, "node_modules")
    path = modules(project)
    sweep(regrow, project)
    assert has_regrows_tag(path)
    git(project, "add", "-f", "node_modules/left-pad/index.js")
    assert_taken_back(regrow, path, "tracked", records_directory, project)
    assert sorted(os.listdir(path)) == ["left-pad"]


def test_what_a_keep_pattern_of_the_configuration_names_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    path = environment(project / ".venv")
    sweep(regrow)
    assert has_regrows_tag(path)
    configure(home, 'keep = ["shop/.venv"]\n')
    assert_taken_back(regrow, path, "kept-by-user", records_directory)


def test_what_a_keep_pattern_of_the_command_names_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    assert_taken_back(
        regrow, path, "kept-by-user", records_directory, "--keep", "shop/node_modules"
    )


def test_what_the_projects_own_file_names_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    assert_taken_back(regrow, path, "kept-by-user", records_directory)


def test_what_became_a_repository_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    git(path, "init", "-q")
    assert_taken_back(regrow, path, "repository", records_directory)


def test_an_environment_with_sources_in_src_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = environment(project / ".venv")
    sweep(regrow)
    assert has_regrows_tag(path)
    (path / "src").mkdir()
    (path / "src/mine.py").write_text("work")
    assert_taken_back(regrow, path, "repository", records_directory)
    assert (path / "src/mine.py").read_text() == "work"


def test_a_generic_name_that_git_ignores_no_more_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    ignore(project, "build")
    path = project / "build"
    path.mkdir()
    (project / BUILD).touch()
    sweep(regrow)
    assert has_regrows_tag(path)
    (project / ".gitignore").write_text("")
    assert_taken_back(regrow, path, "generic-name", records_directory)


def test_what_has_no_recipe_any_more_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    (project / "package-lock.json").unlink()
    age(path)
    assert_taken_back(regrow, path, "no-recipe", records_directory)


# What no rule recognises now.


def test_what_has_lost_its_evidence_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    age(path)
    (project / "package.json").unlink()
    assert_taken_back(regrow, path, "no-rule", records_directory)


def test_what_has_lost_its_evidence_inside_is_taken_back_with_its_tag(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = environment(project / ".venv")
    sweep(regrow)
    assert has_regrows_tag(path)
    (path / "pyvenv.cfg").unlink()
    age(path)
    assert_taken_back(regrow, path, "no-rule", records_directory)


def test_what_a_rule_with_a_path_recognises_no_more_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = project / "renv/library"
    path.mkdir(parents=True)
    (project / "renv.lock").touch()
    age(project)
    sweep(regrow)
    (project / "renv.lock").unlink()
    assert_taken_back(regrow, path, "no-rule", records_directory)


def test_what_a_disabled_rule_marked_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    path = modules(project)
    age(project)
    sweep(regrow)
    configure(home, 'disable = ["node-modules"]\n')
    assert_taken_back(regrow, path, "no-rule", records_directory, project)


def test_what_a_rule_of_ones_own_marked_is_taken_back_once_it_is_deleted(
    regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    path = project / "generated"
    path.mkdir(parents=True)
    (project / "generator.yaml").touch()
    age(project)
    configure(
        home,
        '[[rule]]\nname = "gen"\ndirectory = "generated"\nbeside = ["generator.yaml"]\n'
        'command = "make"\n',
    )
    sweep(regrow)
    configure(home, "")
    assert_taken_back(regrow, path, "no-rule", records_directory)


def test_a_dry_run_says_what_would_be_taken_back_and_does_not(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    done = regrow("sweep", "--dry-run")
    assert "would take back" in done.stdout.splitlines()[1]
    assert f"{project}/.regrow.toml names it" in done.stdout
    assert "would mark 0, marked already 0, would take back 1, kept 0" in done.stdout
    assert is_marked(path)
    assert record_of(path, records_directory) is not None


def test_what_is_taken_back_is_said_to_be(regrow: Regrow, project: Path) -> None:
    modules(project)
    sweep(regrow)
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    done = regrow("sweep", "--yes")
    assert done.stdout.splitlines()[1].split()[:3] == ["node_modules", "taken", "back"]
    assert "marked 0, marked already 0, taken back 1, kept 0" in done.stdout
    assert "taken back" not in regrow("sweep", "--yes").stdout


# Exactly what regrow set.


def test_of_what_is_taken_back_the_marks_of_others_stay(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = environment(project / ".venv")
    (path / tag.NAME).write_bytes(UVS_TAG)
    set_attribute(path, b"true")
    sweep(regrow)
    assert is_marked(path)
    (project / ".regrow.toml").write_text('keep = [".venv"]\n')
    line = sweep_again(regrow, path)
    assert line is not None
    assert line["outcome"] == "unmarked"
    assert attribute(path) == b"true"
    assert (path / tag.NAME).read_bytes() == UVS_TAG
    assert record_of(path, records_directory) is None


def test_where_others_set_every_mark_nothing_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    set_attribute(path, b"false")
    sweep(regrow)
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    assert_stays_marked(regrow, path, records_directory)


@pytest.mark.parametrize("reason", ["tracked", "keep", "evidence", "disabled", "recipe"])
def test_an_explicit_mark_stays_whatever_the_guards_say(
    reason: str, regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    ignore(project, "node_modules")
    path = modules(project)
    assert regrow("mark", path).returncode == 0
    sweep(regrow)
    if reason == "tracked":
        git(project, "add", "-f", "node_modules/left-pad/index.js")
    elif reason == "keep":
        configure(home, 'keep = ["node_modules"]\n')
    elif reason == "evidence":
        (project / "package.json").unlink()
    elif reason == "disabled":
        configure(home, 'disable = ["node-modules"]\n')
    else:
        (project / "package-lock.json").unlink()
    age(path)
    before = record_of(path, records_directory)
    assert before is not None
    assert before.rule == "explicit"
    assert_stays_marked(regrow, path, records_directory)


def test_a_sweep_adds_the_recipe_to_an_explicit_mark_and_leaves_it_the_users_word(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = environment(project / ".venv")
    target = project / "target"
    target.mkdir()
    (project / "Cargo.toml").touch()
    age(project)
    assert regrow("mark", path, target).returncode == 0
    distribution(path)
    sweep(regrow)
    first, second = (record_of(place, records_directory) for place in (path, target))
    assert first is not None
    assert second is not None
    assert (first.rule, second.rule) == ("explicit", "explicit")
    assert first.recipe["requirements"] == ["some==1.0"]
    assert second.recipe["command"] == ["cargo", "build"]
    assert (first.set, second.set) == (("xdg-robots", "cachedir-tag"), ("xdg-robots",))


def test_a_directory_that_took_the_marked_ones_place_is_not_touched(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    shutil.rmtree(path)
    path.mkdir()
    set_attribute(path, b"false")  # somebody's own
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    assert_stays_marked(regrow, path, records_directory)


# What is not known is no reason.


def test_without_git_nothing_is_taken_back(
    regrow: Regrow,
    project: Path,
    records_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ignore(project, "build", "node_modules")
    build, path = project / "build", modules(project)
    build.mkdir()
    (project / BUILD).touch()
    sweep(regrow)
    assert is_marked(build)
    (project / ".gitignore").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    line = sweep_again(regrow, build)
    assert line is not None
    assert (line["decision"], line["guard"]) == ("keep", "git-silent")
    assert_stays_marked(regrow, build, records_directory)
    assert_stays_marked(regrow, path, records_directory)


def test_where_git_is_broken_nothing_is_taken_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    ignore(project, "node_modules")
    path = modules(project)
    sweep(regrow)
    git(project, "add", "-f", "node_modules/left-pad/index.js")
    shutil.move(project / ".git", project.parent / "aside")
    (project / ".git").write_text("gitdir: nowhere\n")
    line = sweep_again(regrow, path)
    assert line is not None
    assert (line["decision"], line["guard"]) == ("keep", "git-silent")
    assert_stays_marked(regrow, path, records_directory)


@pytest.mark.parametrize("name", ["code", "code/shop", "code/shop/node_modules"])
def test_what_is_skipped_by_now_stays_marked(
    name: str, regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    path = modules(project)
    age(project)
    sweep(regrow)
    configure(home, f'skip = ["~/{name}"]\n')
    (project / "package.json").unlink()
    assert_stays_marked(regrow, path, records_directory)


def test_what_stands_hidden_in_the_home_directory_stays_marked(
    regrow: Regrow, records_directory: Path, home: Path
) -> None:
    hidden = home.resolve() / ".hidden"
    path = modules(hidden)
    age(hidden)
    sweep(regrow, hidden)
    assert is_marked(path)
    (hidden / "package.json").unlink()
    assert_stays_marked(regrow, path, records_directory)


def test_what_lies_in_something_that_others_excluded_stays_marked(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    age(project)
    sweep(regrow)
    (project / "package.json").unlink()
    set_attribute(project, b"false")
    assert_stays_marked(regrow, path, records_directory)


def test_what_lies_in_another_match_stays_marked(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project / "target")
    age(project)
    sweep(regrow)
    assert is_marked(path)
    (project / "target/package.json").unlink()
    (project / "Cargo.toml").touch()
    assert_stays_marked(regrow, path, records_directory)
    assert is_marked(project / "target")


def test_below_a_directory_that_cannot_be_listed_nothing_is_taken_back(
    open_place: Path,
    monkeypatch: pytest.MonkeyPatch,
    as_ordinary_user: Callable[[Callable[[], tuple[bool, bool, str]]], tuple[bool, bool, str]],
) -> None:
    home, regrow = open_place / "home", Inside()
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    # The ordinary user may not be able to read regrow's own files: all is loaded before.
    age(modules(open_place / "decoy"))
    regrow("sweep", "--yes", open_place / "decoy")
    shutil.rmtree(home)
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)

    def sweep_twice() -> tuple[bool, bool, str]:
        project = home / "shop"
        path = modules(project)
        age(project)
        regrow("sweep", "--yes", home)
        was_marked = is_marked(path)
        (project / "package.json").unlink()
        project.chmod(0o111)
        done = regrow("sweep", "--yes", home)
        project.chmod(0o755)
        return was_marked, is_marked(path), done.stderr

    was_marked, is_still, errors = as_ordinary_user(sweep_twice)
    assert was_marked
    assert is_still
    assert f"{home}/shop: not read: no permission (EACCES)" in errors


@pytest.mark.parametrize("start", [".", "renv", "renv/library"])
def test_from_inside_a_project_nothing_of_it_is_taken_back(
    start: str, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    """The evidence of ``renv/library`` stands two directories above it."""
    path = tmp_path / "renv/library"
    path.mkdir(parents=True)
    (tmp_path / "renv.lock").touch()
    age(tmp_path)
    sweep(regrow, tmp_path)
    assert_stays_marked(regrow, path, records_directory, tmp_path / start)


@pytest.mark.parametrize("start", ["shop", "shop/.venv", "shop/.venv/lib"])
def test_a_sweep_that_starts_at_an_environment_or_in_it_takes_nothing_back(
    start: str, regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = environment(tmp_path / "shop/.venv")
    age(tmp_path)
    sweep(regrow, tmp_path)
    assert_stays_marked(regrow, path, records_directory, tmp_path / start)


def test_a_sweep_that_starts_at_node_modules_takes_nothing_back(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    path = modules(tmp_path / "shop")
    age(tmp_path)
    sweep(regrow, tmp_path)
    assert_stays_marked(regrow, path, records_directory, path)


def test_a_sweep_elsewhere_takes_nothing_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    age(project)
    sweep(regrow)
    (project / "package.json").unlink()
    (project.parent / "shop2").mkdir()
    assert_stays_marked(regrow, path, records_directory, project.parent / "shop2")


def test_an_environment_that_is_being_filled_stays_marked_for_a_minute(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = environment(project / ".venv")
    age(path)
    sweep(regrow)
    information = distribution(path, described=False)
    line = sweep_again(regrow, path)
    assert line is not None
    assert (line["decision"], line["guard"]) == ("keep", "no-recipe")
    assert_stays_marked(regrow, path, records_directory)
    age(path, 50)
    assert_stays_marked(regrow, path, records_directory)
    age(path, 70)
    assert_taken_back(regrow, path, "no-recipe", records_directory)
    assert information.exists()


def test_modules_that_are_being_filled_stay_marked_for_a_minute(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    age(path)
    sweep(regrow)
    (project / "package-lock.json").unlink()
    (path / "right-pad").mkdir()
    assert_stays_marked(regrow, path, records_directory)
    age(path, 70)
    assert_taken_back(regrow, path, "no-recipe", records_directory)


def test_an_environment_that_was_just_born_stays_marked(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    """Between the mark and the creator's first file there is nothing that a rule could see."""
    path = project / ".venv"
    path.mkdir(parents=True)
    with Store() as store, open_directory(path) as directory:
        chosen = marking.choose_markers(directory, Configuration(), False)
        marking.mark_before_birth(directory, chosen, store, marking.Reason("venv"), str(path))
    assert_stays_marked(regrow, path, records_directory)
    age(path, 70)
    assert_taken_back(regrow, path, "no-rule", records_directory)


def test_a_directory_of_a_time_to_come_is_not_being_filled_for_ever(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    (project / "package-lock.json").unlink()
    age(path, -1_000_000)
    assert_taken_back(regrow, path, "no-recipe", records_directory)


def test_a_sweep_for_one_rule_takes_nothing_back(
    regrow: Regrow, project: Path, records_directory: Path, home: Path
) -> None:
    """Another rule may recognise what this one does not, and know more about it."""
    path = project / "build"
    path.mkdir(parents=True)
    (project / BUILD).touch()
    (project / "plan.txt").touch()
    configure(
        home,
        '[[rule]]\nname = "planned"\ndirectory = "build"\nbeside = ["plan.txt"]\n'
        'command = "make"\n',
    )
    other = modules(project)
    age(project)
    sweep(regrow)
    record = record_of(path, records_directory)
    assert record is not None
    assert record.rule == "planned"
    (project / "package.json").unlink()
    line = sweep_again(regrow, path, "--rule", "setuptools-build")
    assert line is not None
    assert (line["decision"], line["guard"]) == ("keep", "generic-name")
    assert_stays_marked(regrow, path, records_directory, "--rule", "setuptools-build")
    assert_stays_marked(regrow, other, records_directory, "--rule", "setuptools-build")


# Between the decision and the deed.


def decide(project: Path) -> Decision:
    (found,) = Scan([str(project)], loader.shipped())
    assert isinstance(found, Candidate)
    scope = Scope([str(project)], Configuration(), loader.shipped())
    (decision,) = decisions.decide([found], scope)
    assert decision.decision == MARK
    return decision


@pytest.mark.parametrize("successor", ["nothing", "a directory"])
def test_what_tools_replaced_since_it_was_decided_about_is_left_alone(
    successor: str, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    decision = decide(project)
    path.rename(project / "aside")
    if successor == "a directory":
        path.mkdir()
    with Store() as store:
        (result,) = pipeline.apply(Plan([decision]), store)
    assert result.outcome == VANISHED
    assert ("replaced" if successor == "a directory" else "vanished") in result.error
    assert attribute(project / "aside") is None
    assert attribute(path) is None
    assert read_records(records_directory) == []


def test_the_record_of_another_directory_takes_nothing_back(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    path = modules(project)
    sweep(regrow)
    recorded = record_of(path, records_directory)
    path.rename(project / "aside")
    path.mkdir()
    set_attribute(path, b"false")
    with Store() as store, open_directory(path) as directory:
        assert unmarking.undo(directory, store) == {}
    assert is_marked(path)
    assert record_of(path, records_directory) == recorded


def test_what_a_link_took_the_place_of_is_not_followed(
    project: Path, records_directory: Path
) -> None:
    path = modules(project)
    decision = decide(project)
    path.rename(project / "aside")
    path.symlink_to("aside")
    with Store() as store:
        (result,) = pipeline.apply(Plan([decision]), store)
    assert result.outcome == VANISHED
    assert attribute(project / "aside") is None
    assert read_records(records_directory) == []
