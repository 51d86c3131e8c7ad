"""``regrow run`` with real tools: what they make is marked, recorded, and uv's before birth."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regrow.model import Record
from regrow.records.format import MARKED, PENDING
from regrow.records.store import Store
from regrow_marks import xdg
from tests import attributes
from tests.conftest import Regrow
from tests.e2e.traces import birth, trace
from tests.wheels import WHEEL, write_wheel

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own marks"),
    pytest.mark.needs("git"),
]

RUN = (*Regrow.command, "run", "--")
PROJECT = """\
[project]
name = "demo"
version = "1"
requires-python = ">=3.8"
dependencies = ["tiny"]

[tool.uv.sources]
tiny = { path = "../tiny-1.0-py3-none-any.whl" }
"""
SETTINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "UV_OFFLINE": "1",
    "UV_PYTHON": sys.executable,
    "UV_PYTHON_DOWNLOADS": "never",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory for the project; the package ``tiny`` lies beside it."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    for name in ("UV_PROJECT_ENVIRONMENT", "MAKEFLAGS", "CMAKE_GENERATOR", "NODE_ENV"):
        monkeypatch.delenv(name, raising=False)
    write_wheel(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def demo(place: Path) -> Path:
    """A project of uv's."""
    (place / "pyproject.toml").write_text(PROJECT)
    return place


with_and_without_git = pytest.mark.parametrize("in_git", [True, False], ids=["git", "no git"])


def make_repository(place: Path) -> None:
    subprocess.run(["git", "init", "-q", place], check=True)


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = Regrow()("run", "--", *words, cwd=cwd)
    assert "regrow: " not in done.stderr
    return done


def succeed(*words: str | Path, cwd: Path | None = None) -> None:
    done = run(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr


def listed(state: str = "there") -> list[str]:
    return sorted(line["path"] for line in lines() if line["state"] == state)


def lines() -> list[dict[str, Any]]:
    done = Regrow()("list", "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def record(path: Path) -> Record:
    with Store() as store:
        found = store.read(str(path))
    assert found is not None, "there is no record"
    return found


def has_attribute(path: Path) -> bool:
    return attributes.get(path) == xdg.VALUE


def is_marked(path: Path) -> bool:
    """Tell whether a directory has its attribute, and its whole record."""
    return has_attribute(path) and record(path).state == MARKED


def leftovers(place: Path) -> list[Path]:
    return list(place.rglob(".regrow-new-*"))


# --- uv, before birth

MAKE_ENVIRONMENTS = ["uv sync", "uv run true", f"uv add ../{WHEEL}", "uv remove tiny"]


@pytest.mark.needs("strace", "uv")
@pytest.mark.parametrize("words", MAKE_ENVIRONMENTS)
def test_uvs_environment_has_its_attribute_before_its_first_file(
    words: str, demo: Path, tmp_path: Path
) -> None:
    happened = trace([*RUN, *words.split()], tmp_path / "trace", demo)
    made = birth(str(demo / ".venv"), xdg.ATTRIBUTE, xdg.VALUE.decode(), happened)
    there = {str(path) for path in (demo / ".venv").rglob("*")}
    assert there, "nothing was made"
    assert there <= made.made, "the trace is not complete"
    assert made.before_the_mark == ()
    assert is_marked(demo / ".venv")
    assert leftovers(demo) == []


@pytest.mark.needs("strace", "uv")
def test_without_regrow_it_has_not(demo: Path, tmp_path: Path) -> None:
    happened = trace(["uv", "sync"], tmp_path / "trace", demo)
    made = birth(str(demo / ".venv"), xdg.ATTRIBUTE, xdg.VALUE.decode(), happened)
    assert set(made.before_the_mark) == made.made != set()


@pytest.mark.needs("uv")
@with_and_without_git
def test_what_uv_makes_is_recorded_with_its_recipe(in_git: bool, demo: Path) -> None:
    if in_git:
        make_repository(demo)
    (demo / "src").mkdir()
    succeed("uv", "sync", cwd=demo / "src")
    assert listed() == [f"{demo}/.venv"]
    found = record(demo / ".venv")
    assert found.rule == "venv"
    assert found.recipe["kind"] == "python"
    before = found
    succeed("uv", "sync")
    assert record(demo / ".venv") == before
    succeed("uv", "remove", "tiny")
    assert record(demo / ".venv").recipe != before.recipe
    assert is_marked(demo / ".venv")


@pytest.mark.needs("uv")
@pytest.mark.parametrize("cwd", [".", "packages/cart"])
def test_a_workspaces_environment_is_marked_from_its_members_too(cwd: str, demo: Path) -> None:
    (demo / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (demo / "packages/cart").mkdir(parents=True)
    (demo / "packages/cart/pyproject.toml").write_text(PROJECT.replace("../", "../../../"))
    succeed("uv", "sync", "--all-packages", cwd=demo / cwd)
    assert listed() == [f"{demo}/.venv"]


@pytest.mark.needs("uv")
@pytest.mark.parametrize(
    "replace",
    [
        "uv venv -q --clear",
        "rm -r .venv && uv sync",
        "ln -sfn /no/such .venv/bin/python && uv sync",
        "rm -r .venv && python -m venv --without-pip .venv",
    ],
)
def test_an_environment_that_is_replaced_is_marked_again(replace: str, demo: Path) -> None:
    succeed("uv", "sync")
    before = record(demo / ".venv")
    succeed("sh", "-ec", replace)
    after = record(demo / ".venv")
    assert (before.inode, before.born) != (after.inode, after.born), "it was not replaced"
    assert is_marked(demo / ".venv")
    assert listed() == [f"{demo}/.venv"]


@pytest.mark.needs("uv")
def test_a_second_environment_is_marked_at_birth_as_well(demo: Path) -> None:
    succeed("uv", "sync")
    shutil.rmtree(demo / ".venv")
    succeed("uv", "sync")
    assert is_marked(demo / ".venv")
    assert listed() == [f"{demo}/.venv"]


# --- uv, what is there already


@pytest.mark.needs("uv")
def test_what_stands_there_is_as_uv_finds_and_leaves_it_alone(place: Path) -> None:
    def try_with(name: str, *prefix: str) -> tuple[int, str]:
        project = place / ("by-regrow" if prefix else "alone")
        project.mkdir()
        (project / "pyproject.toml").write_text(PROJECT.replace("../", "../../"))
        environment = project / ".venv"
        if name == "empty":
            environment.mkdir()
        elif name == "link":
            (project / "elsewhere").mkdir()
            environment.symlink_to("elsewhere")
        elif name == "file":
            environment.touch()
        elif name == "filled":
            environment.mkdir()
            (environment / "mine").write_text("keep me")
        done = subprocess.run([*prefix, "uv", "sync", "-q"], cwd=project, capture_output=True)
        left = sorted(
            f"{path.relative_to(project)} {path.lstat().st_mode}"
            for path in project.rglob("*")
            if "site-packages" not in path.parts
        )
        shutil.rmtree(project)
        return done.returncode, "\n".join(left)

    for name in ("empty", "link", "file", "filled"):
        assert try_with(name, *RUN) == try_with(name), name


# --- uv, failing

FAILING = {
    "no such python": "uv sync --python 3.99",
    "no such option": "uv sync --bogus",
    "no such member": "uv sync --package nobody",
    "not there": "no-such/uv sync",
}


@pytest.mark.needs("uv")
@pytest.mark.parametrize("words", FAILING.values(), ids=FAILING)
def test_of_a_command_that_fails_nothing_is_left(words: str, demo: Path) -> None:
    before = sorted(os.listdir(demo))
    done = Regrow()("run", "--", *words.split())
    assert done.returncode == (127 if "no-such/" in words else 2)
    assert sorted(os.listdir(demo)) == before
    assert lines() == []


@pytest.mark.needs("uv")
@pytest.mark.parametrize("words", FAILING.values(), ids=FAILING)
def test_what_was_recorded_of_an_earlier_environment_stays(words: str, demo: Path) -> None:
    succeed("uv", "sync")
    before = record(demo / ".venv")
    shutil.rmtree(demo / ".venv")
    assert Regrow()("run", "--", *words.split()).returncode != 0
    assert not (demo / ".venv").exists()
    assert record(demo / ".venv") == before


@pytest.mark.needs("uv")
@pytest.mark.parametrize(
    ("old", "new"),
    [(">=3.8", ">=3.99"), ('"tiny"', '"tiny", "no-such-thing"'), ("../tiny", "../no-such")],
)
def test_a_failing_uv_leaves_what_it_leaves_without_regrow(old: str, new: str, demo: Path) -> None:
    (demo / "pyproject.toml").write_text(PROJECT.replace(old, new))
    assert run("uv", "sync").returncode != 0
    is_there = (demo / ".venv").exists()
    assert listed() == [f"{demo}/.venv"] * is_there
    assert not is_there or is_marked(demo / ".venv")
    shutil.rmtree(demo / ".venv", ignore_errors=True)
    assert subprocess.run(["uv", "sync"], capture_output=True).returncode != 0
    assert (demo / ".venv").exists() == is_there


def stand_in_for_uv(tmp_path: Path, lines: str) -> Path:
    """Write a ``uv`` that does these lines of sh."""
    program = tmp_path / "stand-in/uv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{lines}")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("name", ["INT", "KILL", "TERM"])
def test_of_a_uv_that_is_killed_at_its_start_nothing_is_left(
    name: str, demo: Path, tmp_path: Path
) -> None:
    seen = "test -d .venv || exit 9\n"  # it is prepared
    done = run(stand_in_for_uv(tmp_path, f"{seen}kill -{name} $$\n"), "sync")
    assert done.returncode == -signal.Signals[f"SIG{name}"]
    assert os.listdir(demo) == ["pyproject.toml"]
    assert lines() == []


@pytest.mark.needs("uv")
def test_what_a_killed_regrow_leaves_is_recorded_and_filled_by_the_next(
    demo: Path, tmp_path: Path
) -> None:
    waiting = stand_in_for_uv(tmp_path, "echo $$\nexec sleep 1000\n")
    with subprocess.Popen([*RUN, waiting, "sync"], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        left = int(running.stdout.readline())
        running.kill()
        os.kill(left, signal.SIGKILL)
    assert os.listdir(demo / ".venv") == []
    assert has_attribute(demo / ".venv")
    assert record(demo / ".venv").state == PENDING
    assert leftovers(demo) == []
    succeed("uv", "sync")
    assert is_marked(demo / ".venv")
    assert listed() == [f"{demo}/.venv"]


# --- what the user keeps


@pytest.mark.needs("uv")
@pytest.mark.parametrize("where", ["configuration", "project", "skip", "rule"])
def test_what_the_user_keeps_is_in_the_backup_in_the_end(
    where: str, demo: Path, home: Path
) -> None:
    configuration = home / ".config/regrow/config.toml"
    configuration.parent.mkdir(parents=True)
    if where == "project":
        (demo / ".regrow.toml").write_text('keep = [".venv"]\n')
    else:
        text = {
            "configuration": 'keep = [".venv"]\n',
            "skip": f'skip = ["{demo}"]\n',
            "rule": 'disable = ["venv"]\n',
        }[where]
        configuration.write_text(text)
    succeed("uv", "sync")
    assert (demo / ".venv/pyvenv.cfg").exists()
    assert not has_attribute(demo / ".venv")
    assert lines() == []


@pytest.mark.needs("uv")
def test_in_the_home_directory_uv_is_alone(home: Path) -> None:
    (home / "pyproject.toml").write_text(PROJECT.replace("../", f"{Path.cwd().parent}/"))
    succeed("uv", "sync", cwd=home)
    assert (home / ".venv/pyvenv.cfg").exists()
    assert not has_attribute(home / ".venv")
    assert lines() == []


# --- other tools

PACKAGE = '{"name": "demo", "version": "1.0.0", "private": true%s}\n'
LIBRARY = '{"name": "cart", "version": "1.0.0"}\n'


@pytest.fixture
def package(place: Path) -> Path:
    """A package of npm's that depends on one beside it."""
    more = ', "dependencies": {"cart": "file:cart"}, "scripts": {"remake": "npm ci"}'
    (place / "package.json").write_text(PACKAGE % more)
    (place / "cart").mkdir()
    (place / "cart/package.json").write_text(LIBRARY)
    return place


@pytest.mark.needs("npm")
@with_and_without_git
def test_what_npm_makes_is_marked(in_git: bool, package: Path) -> None:
    if in_git:
        make_repository(package)
        (package / ".gitignore").write_text("node_modules\n")
    succeed("npm", "install")
    assert (package / "node_modules/cart").exists()
    assert is_marked(package / "node_modules")
    found = record(package / "node_modules")
    assert found.recipe["command"] == ["npm", "ci"]
    assert listed() == [f"{package}/node_modules"]


@pytest.mark.needs("npm")
@pytest.mark.slow
@pytest.mark.parametrize("words", ["npm ci", "npm run remake", "npm install", "npm rebuild"])
def test_it_stays_marked_whatever_npm_does(words: str, package: Path) -> None:
    succeed("npm", "install")
    succeed(*words.split())
    assert is_marked(package / "node_modules")
    shutil.rmtree(package / "node_modules")
    succeed("npm", "ci")
    assert is_marked(package / "node_modules")
    assert listed() == [f"{package}/node_modules"]


@pytest.mark.needs("npm")
@pytest.mark.slow
def test_what_npm_removes_is_recorded_as_gone(package: Path) -> None:
    succeed("npm", "install")
    succeed("npm", "uninstall", "cart")
    assert len(lines()) == 1
    succeed("rm", "-rf", "node_modules")
    assert listed("gone") == [f"{package}/node_modules"]


@pytest.mark.needs("npm")
@pytest.mark.slow
@with_and_without_git
def test_a_workspace_of_npms_is_marked_from_its_members_too(in_git: bool, place: Path) -> None:
    if in_git:
        make_repository(place)
        (place / ".gitignore").write_text("node_modules\n")
    (place / "package.json").write_text(PACKAGE % ', "workspaces": ["packages/*"]')
    for name in ("cart", "till"):
        (place / "packages" / name).mkdir(parents=True)
        (place / "packages" / name / "package.json").write_text(LIBRARY.replace("cart", name))
    succeed("npm", "install", cwd=place / "packages/cart")
    assert (place / "node_modules/cart").exists()
    assert listed() == [f"{place}/node_modules"]
    assert is_marked(place / "node_modules")


@pytest.mark.needs("cmake")
@pytest.mark.slow
@with_and_without_git
def test_what_cmake_makes_is_marked(in_git: bool, place: Path) -> None:
    if in_git:
        make_repository(place)
        (place / ".gitignore").write_text("build\n")
    (place / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.10)\nproject(x NONE)\n")
    succeed("cmake", "-B", "build")
    assert listed() == [f"{place}/build"]
    assert record(place / "build").recipe["kind"] == "cmake"


@pytest.mark.needs("make")
@with_and_without_git
def test_what_make_makes_is_marked(in_git: bool, place: Path) -> None:
    if in_git:
        make_repository(place)
        (place / ".gitignore").write_text(".venv\n")
    (place / "Makefile").write_text(f".venv:\n\t{sys.executable} -m venv --without-pip $@\n")
    succeed("make", ".venv")
    assert listed() == [f"{place}/.venv"]
    assert is_marked(place / ".venv")


def test_nothing_outside_of_the_project_is_touched(place: Path) -> None:
    for name in ("mine", "beside"):
        make_repository(place / name)
        (place / name / "package.json").write_text(PACKAGE % "")
        (place / name / "package-lock.json").write_text('{"lockfileVersion": 3}')
    (place / "beside/node_modules").mkdir()
    succeed("mkdir", "node_modules", cwd=place / "mine")
    assert listed() == [f"{place}/mine/node_modules"]
    assert not has_attribute(place / "beside/node_modules")
