"""What a record may not make a rebuild do: replace, run or build what it does not describe."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regrow.model import Record
from regrow.rebuild import interpreters
from regrow.rebuild.plan import Task, make_plan
from regrow.records.format import REBUILD
from regrow.records.store import Store
from regrow.rules import loader
from tests.conftest import NOBODY, Regrow
from tests.rebuilding import (
    Doubles,
    cmake,
    identify,
    modules,
    node,
    python,
    recorded,
    write,
)

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

pytestmark = pytest.mark.usefixtures("doubles")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


def stored(path: Path) -> Record:
    with Store() as store:
        record = store.read(str(path))
    assert record
    return record


def task_of(record: Record, *trusted: str) -> Task:
    [task] = make_plan([record], loader.shipped(), trusted)
    return task


# A directory that the record does not describe.

PERSONAL = ("chapter-1.tex", "thesis/chapter-1.tex", "bin/chapter-1.tex")


@pytest.mark.parametrize("kind", ["python", "node", "conda", "cmake"])
def test_a_directory_of_personal_files_is_no_unfinished_rebuild(
    project: Path, regrow: Regrow, doubles: Doubles, kind: str
) -> None:
    doubles.write("conda", "")
    conda: Recipe = {"kind": "conda", "explicit": ["https://x.org/a-1.conda"], "requirements": []}
    kinds: dict[str, tuple[Recipe, str]] = {
        "python": (python("a==1"), ".venv"),
        "node": (node(project), "node_modules"),
        "conda": (conda, "c"),
        "cmake": (cmake(project, project / "build"), "build"),
    }
    recipe, name = kinds[kind]
    path = project / name
    path.mkdir()
    write(recorded(path, recipe)._replace(state=REBUILD))
    (path / "chapter-1.tex").write_text("three months of work")
    identify(path)
    task = task_of(stored(path))
    assert "chapter-1.tex" in task.problem
    done = regrow("rebuild", "--yes", "--builds")
    assert done.returncode == 1
    assert "chapter-1.tex" in done.stdout
    assert [one.name for one in path.iterdir()] == ["chapter-1.tex"]


def test_what_a_stopped_creator_left_is_an_unfinished_rebuild(project: Path) -> None:
    path = project / ".venv"
    (path / "lib/python3.11").mkdir(parents=True)
    (path / "CACHEDIR.TAG").touch()
    write(recorded(path, python("a==1"))._replace(state=REBUILD))
    identify(path)
    assert task_of(stored(path)).problem == ""


def test_a_broken_environment_that_was_not_recorded_is_left(project: Path, regrow: Regrow) -> None:
    path = project / ".venv"
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    (path / "bin/python").symlink_to("/nowhere/python")
    write(recorded(path, python("a==1")))
    assert "another directory stands there" in task_of(stored(path)).problem
    regrow("rebuild", "--yes")
    assert (path / "bin/python").is_symlink()
    identify(path)
    assert task_of(stored(path)).problem == ""


def test_names_must_be_those_of_the_kind(project: Path) -> None:
    thesis = project / "thesis"
    assert "is a node_modules" in task_of(recorded(thesis, node(project))).problem
    pixi: Recipe = {"kind": "pixi", "command": ["pixi", "install"], "directory": str(project)}
    assert "pixi" in task_of(recorded(thesis, pixi)).problem
    cargo: Recipe = {"kind": "command", "command": ["cargo", "build"], "directory": str(project)}
    found = task_of(recorded(thesis, cargo, "cargo-target")).problem
    assert "is for directories of the name target" in found


def test_a_lock_must_be_the_projects_own(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "package-lock.json"
    other.write_text("{}")
    recipe = node(project) | {"lock": str(other)}
    assert "no lock of its project" in task_of(recorded(project / "node_modules", recipe)).problem


@pytest.mark.parametrize(
    "more",
    [
        {"version": "3evil"},
        {"version": "./tools/python"},
        {"version": "3.11.7 --seed"},
        {"version": "tools"},
        {"implementation": "/tmp/evil"},
        {"implementation": "evil"},
        {"implementation": "-x"},
        {"implementation": True},
        {"version": True},
    ],
)
def test_a_word_that_a_creator_might_take_for_a_path_is_refused(
    project: Path, more: dict[str, str | bool]
) -> None:
    task = task_of(recorded(project / ".venv", python("a==1") | more))
    assert "is none that regrow knows" in task.problem


@pytest.mark.parametrize(
    "line",
    [
        "a @ git+ext::sh -c evil",
        "a @ git+ext::sh",
        "a @ ext+file:///x",
        "a @ git+ssh://-oProxyCommand=evil/x",
        "a @ data:text/plain,x",
        "a @ javascript:x",
        "-e /tmp/x --index-url=https://evil",
    ],
)
def test_an_address_that_is_more_than_one_is_refused(project: Path, line: str) -> None:
    assert "no requirement" in task_of(recorded(project / ".venv", python(line))).problem


# Local sources.


def source(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "setup.py").write_text("")
    return place


def lines_of(place: Path) -> list[str]:
    return [f"-e {place}", f"a @ file://{place}", f"a @ git+file://{place}@0123abc#subdirectory=x"]


@pytest.mark.parametrize("number", range(3))
def test_a_source_that_others_may_write_to_is_not_built(
    project: Path, tmp_path: Path, number: int
) -> None:
    place = source(tmp_path / "shared/lib")
    record = recorded(project / ".venv", python(lines_of(place)[number]))
    assert task_of(record).problem == ""
    for wide in (place, place.parent, place / "setup.py"):
        before = wide.stat().st_mode
        wide.chmod(0o777)
        assert f"{wide}: everybody may write to it" in task_of(record).problem
        wide.chmod(before)
    place.parent.chmod(0o1777)
    assert task_of(record).problem == "", "nobody can take its place"


@needs_root
@pytest.mark.parametrize("number", range(3))
def test_a_source_of_another_user_is_not_built(project: Path, tmp_path: Path, number: int) -> None:
    place = source(tmp_path / "shared/lib")
    record = recorded(project / ".venv", python(lines_of(place)[number]))
    place.parent.chmod(0o1777)
    for theirs in (place / "setup.py", place):
        os.chown(theirs, NOBODY, NOBODY)
        assert f"{theirs}: it belongs to another user" in task_of(record).problem
        os.chown(theirs, 0, 0)
    assert task_of(record).problem == ""


@needs_root
def test_what_another_user_has_in_a_place_of_his_own_is_said(project: Path, tmp_path: Path) -> None:
    """Whoever installed it from there knew whose it is; nobody else can have put it there."""
    place = source(tmp_path / "theirs/lib")
    for theirs in (place.parent, place, place / "setup.py"):
        os.chown(theirs, NOBODY, NOBODY)
    task = task_of(recorded(project / ".venv", python(f"a @ file://{place}")))
    assert task.problem == ""
    assert f"a comes from {place}, which belongs to another user ({NOBODY})" in task.notes


@needs_root
def test_a_wheel_and_a_conda_package_of_another_user_are_not_installed(
    project: Path, tmp_path: Path, doubles: Doubles
) -> None:
    doubles.write("conda", "")
    wheel = tmp_path / "shared/a-1-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.parent.chmod(0o1777)
    wheel.touch()
    os.chown(wheel, NOBODY, NOBODY)
    conda: Recipe = {"kind": "conda", "explicit": [f"file://{wheel}#0123"], "requirements": []}
    for recipe in (python(f"a @ file://{wheel}#sha256=0123"), conda):
        assert "belongs to another user" in task_of(recorded(project / ".venv", recipe)).problem


@needs_root
def test_a_source_is_looked_at_again_when_it_is_built(
    project: Path, tmp_path: Path, regrow: Regrow, doubles: Doubles
) -> None:
    """Between the plan and its execution somebody may have put another one there."""
    place = source(tmp_path / "shared/lib")
    write(recorded(project / ".venv", python(f"-e {place}")))
    place.parent.chmod(0o1777)
    doubles.write("uv", f"chown {NOBODY} {place}\n")
    write(recorded(tmp_path / "a/.venv", python()))
    (tmp_path / "a").mkdir()
    done = regrow("rebuild", "--yes", "--json")
    assert "belongs to another user" in done.stdout
    assert not (project / ".venv").exists()


# Interpreters.


def interpreter(path: Path, ran: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ntouch {ran}\necho 3.11\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "place", ["code/came/tools/python", "code/tools/bin/python3.11", "code/came/.venv/bin/python"]
)
def test_a_program_of_a_project_is_no_interpreter_unless_the_user_trusts_it(
    home: Path, tmp_path: Path, regrow: Regrow, doubles: Doubles, place: str
) -> None:
    ran = tmp_path / "ran"
    program = interpreter(home / place, ran)
    path = home / "code/came/.env"
    path.parent.mkdir(exist_ok=True)
    record = recorded(path, python("a==1") | {"interpreter": str(program), "version": "3.11.7"})
    write(record)
    plan = regrow("rebuild", "--dry-run").stdout
    assert f"interpreter: {program} is not run" in plan
    assert f"--trust-interpreter {program}" in plan
    command = f"uv venv --python {program} {path}"
    assert command not in plan
    trusting = ("--trust-interpreter", program)
    assert command in regrow("rebuild", "--dry-run", *trusting).stdout
    assert regrow("rebuild", "--yes").returncode == 0
    assert command not in doubles.calls()
    assert (path / "pyvenv.cfg").exists()
    shutil.rmtree(path)
    write(record)
    regrow("rebuild", "--yes", *trusting)
    assert command in doubles.calls()
    assert not ran.exists(), "it is for uv to run it"


def test_a_link_out_of_the_users_own_place_to_a_project_is_a_program_of_the_project(
    home: Path, tmp_path: Path
) -> None:
    program = interpreter(home / "code/came/tools/python", tmp_path / "ran")
    link = home / ".local/bin/python"
    link.parent.mkdir(parents=True)
    link.symlink_to(program)
    record = recorded(home / "code/came/.venv", python() | {"interpreter": str(link)})
    assert interpreters.choose(record, ())[0] == ""


@pytest.mark.parametrize(
    "place",
    [
        ".pyenv/versions/3.11/bin/python",
        ".local/share/uv/python/x/bin/python3",
        "miniconda3/bin/python",
    ],
)
def test_what_installers_put_into_the_home_directory_is_run(
    home: Path, tmp_path: Path, place: str
) -> None:
    program = interpreter(home / place, tmp_path / "ran")
    for path in (home / ".venv", home / "code/shop/.venv", home / ".virtualenvs/shop"):
        record = recorded(path, python() | {"interpreter": str(program)})
        assert interpreters.choose(record, ()) == (str(program), "")


def test_what_stands_on_path_or_is_named_by_the_users_settings_is_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = interpreter(home / "builds/python/bin/python3", tmp_path / "ran")
    record = recorded(home / "code/shop/.venv", python() | {"interpreter": str(program)})
    assert interpreters.choose(record, ())[0] == ""
    with monkeypatch.context() as patch:
        patch.setenv("PYENV_ROOT", str(home / "builds"))
        assert interpreters.choose(record, ())[0] == str(program)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert interpreters.choose(record, ())[0] == str(program)


def test_the_whole_repository_is_the_project(tmp_path: Path) -> None:
    (tmp_path / "code/.git").mkdir(parents=True)
    program = interpreter(tmp_path / "code/tools/python", tmp_path / "ran")
    record = recorded(tmp_path / "code/a/b/.venv", python() | {"interpreter": str(program)})
    assert interpreters.choose(record, ())[0] == ""


@pytest.mark.parametrize(
    "path", ["/bin/rm", "/usr/bin/env", sys.executable.replace("python", "evil"), "python3", ""]
)
def test_what_is_no_interpreter_by_its_name_is_not_run(tmp_path: Path, path: str) -> None:
    record = recorded(tmp_path / ".venv", python() | {"interpreter": path})
    assert interpreters.choose(record, ())[0] == ""


def test_an_interpreter_that_others_may_write_to_is_not_run(tmp_path: Path) -> None:
    program = interpreter(tmp_path / "opt/bin/python", tmp_path / "ran")
    record = recorded(tmp_path / "project/.venv", python() | {"interpreter": str(program)})
    assert interpreters.choose(record, ())[0] == str(program)
    program.parent.chmod(0o777)
    assert f"{program.parent}: everybody may write" in interpreters.choose(record, ())[1]


def test_without_a_version_the_project_is_not_asked_for_one(
    project: Path, regrow: Regrow, doubles: Doubles
) -> None:
    write(recorded(project / ".venv", python("a==1") | {"version": "", "interpreter": ""}))
    regrow("rebuild", "--yes")
    assert any("--python 3 " in call for call in doubles.calls() if call.startswith("uv venv"))


def test_modules_that_a_stopped_rebuild_left_are_unfinished(project: Path) -> None:
    modules(project)
    path = project / "node_modules"
    (path / "a").mkdir(parents=True)
    (path / ".package-lock.json.1").touch()
    write(stored(path)._replace(state=REBUILD))
    identify(path)
    assert task_of(stored(path)).problem == ""


# What the plan shows.


def test_the_plan_shows_what_comes_from_elsewhere_and_verbose_all(
    project: Path, regrow: Regrow, doubles: Doubles, tmp_path: Path
) -> None:
    doubles.write("conda", "")
    lines = [
        "a==1",
        f"-e {source(tmp_path / 'lib')}",
        "b @ git+https://example.org/b@0123abc",
        f"c @ https://example.org/c-1.tar.gz#sha256={'0' * 64}",
    ]
    write(recorded(project / ".venv", python(*lines)))
    explicit = [f"https://{host}/noarch/x-1.conda" for host in ("conda.example/f", "corp.org")]
    conda: Recipe = {"kind": "conda", "explicit": explicit, "requirements": []}
    write(recorded(project / "c", conda))
    (project / "uv.toml").write_text('[[index]]\nurl = "https://u:secret@uv.org/simple"\n')
    plan = regrow("rebuild", "--dry-run").stdout
    for shown in (
        f"editable: {tmp_path}/lib",
        "not from an index: b @ git+https://example.org/b@0123abc",
        f"not from an index: c @ https://example.org/c-1.tar.gz#sha256={'0' * 64}",
        "channel: https://corp.org",
        "set by uv.toml: https://uv.org/simple",
    ):
        assert f"    {shown}\n" in plan
    assert "a==1" not in plan
    assert "channel: https://conda.example/f" in plan
    assert "secret" not in plan
    assert "    a==1\n" in regrow("rebuild", "--dry-run", "--verbose").stdout
    assert "    a==1\n" in regrow("rebuild", "--dry-run", "-v").stdout


def test_credentials_in_a_record_are_shown_nowhere(project: Path, regrow: Regrow) -> None:
    write(recorded(project / ".venv", python("b @ https://user:secret@example.org/b-1.tar.gz")))
    for words in (("--verbose",), ("--json",)):
        plan = regrow("rebuild", "--dry-run", *words).stdout
        assert "b @ https://example.org/b-1.tar.gz" in plan
        assert "secret" not in plan


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.uv]\n# "https://no.org"\nindex-url = "https://uv.org/simple"\n'),
        (
            "pyproject.toml",
            '[project]\nx = "https://no.org"\n[[tool.uv.index]]\nurl = "https://uv.org/simple"',
        ),
        ("../pyproject.toml", '[tool.uv.pip]\nextra-index-url = ["https://uv.org/simple"]\n'),
    ],
)
def test_the_plan_shows_the_indexes_of_a_project(
    project: Path, regrow: Regrow, name: str, text: str
) -> None:
    write(recorded(project / ".venv", python("a==1")))
    (project / name).write_text(text)
    plan = regrow("rebuild", "--dry-run").stdout
    assert f"set by {Path(name).name}: https://uv.org/simple" in plan
    assert "no.org" not in plan


def test_the_plan_shows_where_a_lock_has_packages_from(project: Path, regrow: Regrow) -> None:
    modules(project)
    resolved = ("https://registry.example/a.tgz", "https://evil.org/b.tgz")
    (project / "package-lock.json").write_text(
        "".join(f'"resolved": "{address}",\n' for address in resolved)
    )
    (project / ".npmrc").write_text("@corp:registry=https://npm.corp.org/\n")
    plan = regrow("rebuild", "--dry-run").stdout
    assert "packages from: https://registry.example\n" in plan
    assert "packages from: https://evil.org\n" in plan
    assert "set by .npmrc: https://npm.corp.org/\n" in plan
