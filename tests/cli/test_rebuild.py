"""``regrow rebuild``: its words, what it shows and asks, its exit codes."""

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from regrow.records.store import attachment_name
from regrow.system import directories
from tests import terminal
from tests.conftest import Regrow
from tests.hostile.helpers import read_records, record_of, snapshot
from tests.rebuilding import (
    UV,
    Doubles,
    cmake,
    command,
    environment,
    install_doubles,
    modules,
    modules_without_lock,
    python,
    recorded,
    write,
)
from tests.sweeping import HOSTILE_NAMES, Inside, configure


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


@pytest.fixture
def shop(tmp_path: Path, doubles: Doubles) -> Path:
    """A project with an environment, node_modules and a build that are missing."""
    doubles.write("cargo", "mkdir -p target; touch target/app")
    project = tmp_path / "shop"
    environment(project, "a==1.0", "b==2")
    modules(project)
    write(recorded(project / "target", command(project, "cargo", "build"), "cargo-target"))
    return project


# Words.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "not a terminal: pass --yes to rebuild, or --dry-run to see the plan"),
        (("--json",), "not a terminal: pass --yes"),
        (("--yes", "--dry-run"), "not allowed with argument"),
        (("--yes", "--jobs", "0"), "--jobs and --timeout take positive numbers"),
        (("--yes", "--jobs", "-1"), "--jobs and --timeout take positive numbers"),
        (("--yes", "--jobs", "many"), "invalid int value"),
        (("--yes", "--timeout", "0"), "--jobs and --timeout take positive numbers"),
        (("--yes", "--timeout", "nan"), "--jobs and --timeout take positive numbers"),
        (("--yes", "--map", "/a"), "--map /a: give two absolute paths"),
        (("--yes", "--map", "a=/b"), "give two absolute paths"),
        (("--yes", "--only", "nothing"), "--only nothing: no record names this rule"),
        (("--yes", "--evil"), "unrecognized arguments: --evil"),
    ],
)
def test_wrong_usage_changes_nothing(
    regrow: Regrow, shop: Path, doubles: Doubles, words: tuple[str, ...], message: str
) -> None:
    before = snapshot(shop)
    done = regrow("rebuild", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert snapshot(shop) == before
    assert doubles.calls() == []
    assert not os.path.exists(directories.logs())


def test_a_broken_configuration_changes_nothing(regrow: Regrow, shop: Path, home: Path) -> None:
    configure(home, "rebuild = true\n")
    done = regrow("rebuild", "--yes")
    assert done.returncode == 2
    assert not (shop / ".venv").exists()


@pytest.mark.parametrize("words", [("--yes",), ("--dry-run",), ("--yes", "--json")])
def test_without_records_there_is_nothing_to_do_and_no_trace(
    regrow: Regrow, home: Path, words: tuple[str, ...]
) -> None:
    done = regrow("rebuild", *words)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "there are no records here; they are restored with your home directory\n"
    )
    assert os.listdir(home) == []


def test_help_names_every_option(regrow: Regrow) -> None:
    done = regrow("rebuild", "--help")
    assert done.returncode == 0
    for word in ("--yes", "--dry-run", "--builds", "--only", "--map", "--jobs", "--timeout"):
        assert word in done.stdout


# The plan.


def test_a_dry_run_shows_the_plan_and_leaves_no_trace(
    regrow: Regrow, shop: Path, doubles: Doubles, home: Path
) -> None:
    before = snapshot(home), snapshot(shop)
    done = regrow("rebuild", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"""\
{shop}
  .venv  missing
    (cd / && uv venv --python 3.11.7 {shop}/.venv)
    or, if that fails: (cd / && uv venv --python 3.11 {shop}/.venv)
    uv pip install --python {shop}/.venv/bin/python --no-deps -r '(2 requirements of the record)'
  node_modules  missing
    npm ci
what is installed may run code of its own: install scripts, build backends

builds, which --builds runs:
  {shop}/target  (cd {shop} && cargo build)

"""
    )
    assert (snapshot(home), snapshot(shop)) == before
    assert doubles.calls() == []


def test_a_dry_run_as_json(regrow: Regrow, shop: Path) -> None:
    lines = regrow.json("rebuild", "--dry-run")
    assert [(Path(line["path"]).name, line["outcome"]) for line in lines] == [
        (".venv", "planned"),
        ("node_modules", "planned"),
        ("target", "build"),
    ]
    assert lines[1] == {
        "path": f"{shop}/node_modules",
        "outcome": "planned",
        "why": "missing",
        "rule": "node-modules",
        "kind": "node",
        "directory": str(shop),
        "commands": [{"argv": ["npm", "ci"], "cwd": str(shop)}],
        "notes": [],
        "problem": None,
    }


def test_builds_are_planned_when_asked_for(regrow: Regrow, shop: Path) -> None:
    lines = regrow.json("rebuild", "--dry-run", "--builds", "--only", "cargo-target")
    assert [(line["path"], line["outcome"]) for line in lines] == [(f"{shop}/target", "planned")]


def test_many_options_are_counted_where_a_build_is_only_named(
    regrow: Regrow, tmp_path: Path, doubles: Doubles
) -> None:
    doubles.write("cmake", "")
    source, path = tmp_path / "source", tmp_path / "elsewhere/build"
    source.mkdir()
    recipe = cmake(source, path)
    assert isinstance(recipe["configure"], list)
    recipe["configure"] += [f"-DX{number}=1" for number in range(9)]
    write(recorded(path, recipe, "cmake-build"))
    done = regrow("rebuild", "--dry-run")
    assert f"(cd {source} && cmake -S {source} -B {path} -G Ninja (and 10 options" in done.stdout
    done = regrow("rebuild", "--dry-run", "--builds")
    assert f"  {path}  missing\n    {shlex.join(recipe['configure'])}\n" in done.stdout
    [line] = regrow.json("rebuild", "--dry-run", "--builds")
    assert line["commands"][0] == {"argv": recipe["configure"], "cwd": str(source)}


def test_a_record_can_not_show_a_command_that_is_not_run(
    regrow: Regrow, doubles: Doubles, tmp_path: Path
) -> None:
    """The rule's command is shown, and run; never the record's."""
    doubles.write("cargo", "")
    evil = command(tmp_path, "rm", "-rf", "/")
    write(recorded(tmp_path / "target", evil, "cargo-target"))
    done = regrow("rebuild", "--dry-run")
    assert "cargo build" in done.stdout
    assert "rm" not in done.stdout.split()


def test_what_can_not_be_rebuilt_is_named_and_fails(
    regrow: Regrow, tmp_path: Path, doubles: Doubles
) -> None:
    environment(tmp_path / "good", "a==1")
    environment(tmp_path / "bad", "--pre")
    shown = regrow("rebuild", "--dry-run")
    assert shown.returncode == 0
    problem = "its record can't be used: '--pre' is no requirement that regrow writes"
    assert f"can't be rebuilt now:\n  {tmp_path}/bad/.venv  {problem}\n" in shown.stdout
    done = regrow("rebuild", "--yes")
    assert done.returncode == 1
    assert f"rebuilt  {tmp_path}/good/.venv\n" in done.stdout
    assert done.stdout.endswith("rebuilt 1\n")
    lines = regrow.json("rebuild", "--yes")
    assert [(line["outcome"], line["problem"]) for line in lines] == [("not possible", problem)]


def test_a_record_that_can_not_be_read_is_named_and_fails(
    regrow: Regrow, shop: Path, records_directory: Path
) -> None:
    (records_directory / "evil.toml").write_bytes(b"\0\xff")
    assert regrow("rebuild", "--dry-run").returncode == 1
    done = regrow("rebuild", "--yes")
    assert done.returncode == 1
    assert f"regrow: {records_directory}/evil.toml: this record is damaged: " in done.stderr
    assert (shop / ".venv/pyvenv.cfg").exists()


def test_names_of_any_bytes_are_rebuilt_and_shown_escaped(
    regrow: Regrow, tmp_path: Path, doubles: Doubles
) -> None:
    for name in (*HOSTILE_NAMES, b"[/b]", b"a b;$HOME"):
        environment(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))
    plan = regrow("rebuild", "--dry-run")
    assert all(c.isprintable() for c in plan.stdout if c != "\n")
    done = regrow("rebuild", "--yes")
    assert done.returncode == 0, done.stdout
    assert all(c.isprintable() for c in done.stdout if c != "\n")
    assert done.stdout.count("rebuilt  ") == len(HOSTILE_NAMES) + 2
    for name in (*HOSTILE_NAMES, b"[/b]", b"a b;$HOME"):
        assert os.path.exists(os.fsencode(tmp_path) + b"/" + name + b"/.venv/pyvenv.cfg")


# What is asked for.


def test_only_what_is_asked_for_is_rebuilt(regrow: Regrow, shop: Path, tmp_path: Path) -> None:
    environment(tmp_path / "other")
    done = regrow("rebuild", "--yes", shop, "--only", "venv")
    assert done.returncode == 0
    assert (shop / ".venv").exists()
    assert not (shop / "node_modules").exists()
    assert not (tmp_path / "other/.venv").exists()
    regrow("rebuild", "--yes", "--only", "venv", "--only", "node-modules")
    assert (shop / "node_modules").exists()
    assert (tmp_path / "other/.venv").exists()


def test_a_directory_is_named_through_a_link_or_from_here(
    regrow: Regrow, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(shop)
    lines = regrow.json("rebuild", "--dry-run", tmp_path / "link")
    assert len(lines) == 3
    assert len(regrow.json("rebuild", "--dry-run", ".", cwd=shop)) == 3
    assert len(regrow.json("rebuild", "--dry-run", ".venv", cwd=shop)) == 1


def test_what_was_rebuilt_is_said(regrow: Regrow, shop: Path) -> None:
    done = regrow("rebuild", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"rebuilt  {shop}/.venv\nrebuilt  {shop}/node_modules\nrebuilt 2\n")
    again = regrow("rebuild", "--yes")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith("there is nothing to rebuild\n")


def test_what_differs_is_no_failure_and_is_said(
    regrow: Regrow, shop: Path, doubles: Doubles
) -> None:
    doubles.write("uv", UV.replace("${line##*==}", "9"))
    done = regrow("rebuild", "--yes", "--only", "venv")
    assert done.returncode == 0
    assert f"differs  {shop}/.venv\n    not installed: a==1.0\n" in done.stdout
    assert done.stdout.endswith("differs 1\n")


def test_what_failed_is_said_and_the_rest_goes_on(
    regrow: Regrow, shop: Path, doubles: Doubles
) -> None:
    doubles.write("uv", "echo no such package; exit 2")
    done = regrow("rebuild", "--yes")
    assert done.returncode == 1
    log = next(Path(directories.logs()).glob("*venv*.log"))
    assert f"failed  {shop}/.venv\n    uv failed (exit code 2)\n" in done.stdout
    assert f"    no such package\n    the log: {log}\n" in done.stdout
    assert f"rebuilt  {shop}/node_modules\n" in done.stdout
    assert done.stdout.endswith("failed 1, rebuilt 1\n")


def test_all_at_once_is_as_good_as_one_by_one(
    regrow: Regrow, tmp_path: Path, doubles: Doubles
) -> None:
    for number in range(12):
        environment(tmp_path / f"project{number}", f"a=={number}")
    doubles.write("uv", f'[ "$1" = venv ] && case "$*" in *project7*) exit 1;; esac\n{UV}')
    lines = regrow.json("rebuild", "--yes", "--jobs", "5")
    assert sorted(line["outcome"] for line in lines) == ["failed"] + ["rebuilt"] * 11
    assert {line["state"] for line in regrow.json("list")} == {"gone", "there"}


# A home that stood elsewhere.


def test_a_home_that_stood_elsewhere(
    regrow: Regrow, tmp_path: Path, doubles: Doubles, records_directory: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    modules_without_lock(old / "shop")
    (old / "tool").mkdir()
    write(recorded(old / "shop/.venv", python(f"t @ file://{old}/tool", f"-e {old}/tool")))
    old.rename(new)
    doubles.write(
        "uv", UV.replace("done <", f"done < /dev/null; cp $file {tmp_path}/asked; true <")
    )
    missing = regrow.json("rebuild", "--dry-run")
    assert all(f"its project is not there: {old}/shop" in line["problem"] for line in missing)

    before = snapshot(records_directory)
    plan = regrow.json("rebuild", "--dry-run", "--map", f"{old}={new}")
    assert {line["path"] for line in plan} == {f"{new}/shop/.venv", f"{new}/shop/node_modules"}
    assert snapshot(records_directory) == before, "a dry run adopts nothing"

    lines = regrow.json("rebuild", "--yes", "--map", f"{old}={new}")
    assert {line["outcome"] for line in lines} == {"rebuilt", "differs"}
    assert (tmp_path / "asked").read_text() == f"t @ file://{new}/tool\n-e {new}/tool\n"
    assert {record.path for record in read_records(records_directory)} == {
        f"{new}/shop/.venv",
        f"{new}/shop/node_modules",
    }
    for path, is_there in ((old, False), (new, True)):
        name = attachment_name(f"{path}/shop/node_modules", "package-lock.json")
        assert (records_directory / name).exists() == is_there
    assert not old.exists()
    assert regrow("rebuild", "--yes").stdout == "there is nothing to rebuild\n"


def test_a_record_is_adopted_even_where_its_rebuild_fails(
    regrow: Regrow, tmp_path: Path, doubles: Doubles, records_directory: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    environment(old, "a==1")
    old.rename(new)
    doubles.write("uv", "exit 1")
    assert regrow("rebuild", "--yes", "--map", f"{old}={new}").returncode == 1
    [record] = read_records(records_directory)
    assert record.path == f"{new}/.venv"
    doubles.write("uv", UV)
    assert regrow("rebuild", "--yes").returncode == 0


def test_what_was_recorded_at_the_new_place_itself_counts(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    environment(tmp_path / "new", "new==2")
    for old in ("old", "older"):
        environment(tmp_path / old, "old==1")
        (tmp_path / old).rmdir()
    lines = regrow.json(
        "rebuild", "--dry-run",
        "--map", f"{tmp_path}/old={tmp_path}/new", "--map", f"{tmp_path}/older={tmp_path}/new",
    )  # fmt: skip
    assert [line["path"] for line in lines] == [f"{tmp_path}/new/.venv"]
    record = record_of(tmp_path / "new/.venv", records_directory)
    assert record is not None
    assert record.recipe["requirements"] == ["new==2"]


def test_two_old_places_that_become_one_are_one(
    regrow: Regrow, tmp_path: Path, doubles: Doubles
) -> None:
    for old in ("old", "older"):
        modules(tmp_path / old)
    (tmp_path / "old").rename(tmp_path / "new")
    shutil.rmtree(tmp_path / "older")
    done = regrow(
        "rebuild", "--yes",
        "--map", f"{tmp_path}/old={tmp_path}/new", "--map", f"{tmp_path}/older={tmp_path}/new",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert doubles.calls() == ["npm ci"]


# On a terminal.


def test_a_no_changes_nothing(shop: Path, doubles: Doubles) -> None:
    before = snapshot(shop)
    session = terminal.run("rebuild", answer="n")
    assert session.asked
    assert session.code == 0
    assert "Rebuild 2 directories?" in session.text
    assert "nothing was changed" in session.text
    assert snapshot(shop) == before
    assert doubles.calls() == []


def test_a_yes_rebuilds(shop: Path) -> None:
    session = terminal.run("rebuild", "--only", "venv", answer="y")
    assert session.code == 0
    assert "Rebuild 1 directory?" in session.text
    assert (shop / ".venv/pyvenv.cfg").exists()


def test_a_question_can_be_left_by_ctrl_c(shop: Path) -> None:
    session = terminal.run("rebuild", answer=terminal.CTRL_C)
    assert session.code == 130
    assert not (shop / ".venv").exists()


def test_nothing_is_asked_where_there_is_nothing_to_do(shop: Path, regrow: Regrow) -> None:
    regrow("rebuild", "--yes")
    session = terminal.run("rebuild")
    assert (session.code, session.asked) == (0, False)


def test_json_is_json_whatever_it_says(regrow: Regrow, tmp_path: Path, doubles: Doubles) -> None:
    environment(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n")))
    doubles.write("uv", r"printf '\377\033[31m\n\n{\"'; exit 1")
    done = regrow("rebuild", "--yes", "--json")
    [line] = [json.loads(text) for text in done.stdout.splitlines()]
    assert line["outcome"] == "failed"
    assert "path_b64" in line
