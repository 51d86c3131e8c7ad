"""The disaster drill: a home is swept, backed up, deleted, restored, and rebuilt as it was."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from regrow.rebuild.execute import REBUILT
from regrow.records.status import THERE
from regrow_marks.markers import CACHEDIR_TAG, XDG_ROBOTS
from regrow_marks.model import ALREADY_MARKED
from regrow_marks.programs import program
from regrow_marks.xdg import ATTRIBUTE
from tests import attributes
from tests.conftest import REQUIRE_TOOLS
from tests.e2e.backups import back_up, backup, restore
from tests.e2e.drill import CORE, MORE, Home, Project
from tests.e2e.projects import Tools

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Linux' marks and programs"),
    pytest.mark.needs("uv", "git"),
]


class Before(NamedTuple):
    """A home after a sweep, and all that is known of it before the disaster."""

    home: Home
    marks: dict[Path, set[str]]
    """By directory that was marked: the marks on it."""
    left_out: list[Path]
    answers: dict[str, str]
    contents: dict[Path, Any]


@pytest.fixture(scope="module")
def core(tools: Tools) -> Iterator[Before]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-drill-") as place:
        yield swept(Path(place).resolve(), CORE, tools)


@pytest.fixture(scope="module")
def whole(tools: Tools) -> Iterator[Before]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-drill-") as place:
        yield swept(Path(place).resolve(), (*CORE, *MORE), tools)


def swept(place: Path, projects: tuple[Project, ...], tools: Tools) -> Before:
    """Furnish a home and sweep it."""
    home = Home(place / "ada", tools)
    home.furnish(projects)
    lines = home.lines("sweep", "--yes")
    marks = {Path(line["path"]): set(line["markers"]) for line in lines if line["markers"]}
    return Before(home, marks, home.left_out(), home.answers(), home.contents())


def survive(before: Before, name: str, tmp_path: Path) -> None:
    """Back up with a program, lose everything, restore, and rebuild."""
    home, taken = before.home, backup(name)
    option = program(name).honours[CACHEDIR_TAG]
    assert option
    # The program reads tags alone: what carries none is named.
    by_name = [
        f"--exclude={path.relative_to(home.path.parent)}"
        for path, names in before.marks.items()
        if CACHEDIR_TAG not in names
    ]
    back_up(taken, home.path, tmp_path, [option, *by_name])
    with home.deleted():
        restore(taken, home.path.name, tmp_path, home.path.parent)
        assert [path for path in before.left_out if holds_something(path)] == []
        lines = home.lines("rebuild", "--yes", "--builds")
    assert {Path(line["path"]): (line["outcome"], line["detail"]) for line in lines} == (
        dict.fromkeys(before.marks, (REBUILT, []))
    )


def holds_something(path: Path) -> bool:
    """Tell whether more stands there than what restic keeps of a tagged directory."""
    return path.exists() and bool(set(os.listdir(path)) - {"CACHEDIR.TAG"})


def check_that_all_is_as_it_was(before: Before) -> None:
    home = before.home
    listed = {Path(line["path"]): line["state"] for line in home.lines("list")}
    assert listed == dict.fromkeys(before.marks, THERE)
    for path, names in before.marks.items():
        assert XDG_ROBOTS in names
        assert attributes.get(path, ATTRIBUTE) == b"false"
        assert (path / "CACHEDIR.TAG").exists() >= (CACHEDIR_TAG in names)
    check_that_nothing_is_left_to_do(before)
    assert home.answers() == before.answers
    assert home.contents() == before.contents


def check_that_nothing_is_left_to_do(before: Before) -> None:
    home = before.home
    records = {path: path.read_bytes() for path in home.records()}
    assert len(records) >= len(before.marks)
    done = home.regrow("rebuild", "--yes", "--builds")
    assert (done.returncode, done.stdout) == (0, "there is nothing to rebuild\n")
    lines = home.lines("sweep", "--yes")
    assert {Path(line["path"]): line["outcome"] for line in lines if line["markers"]} == (
        dict.fromkeys(before.marks, ALREADY_MARKED)
    )
    assert {path: path.read_bytes() for path in home.records()} == records


@pytest.mark.needs("restic", "npm", "node")
def test_a_home_of_everyday_projects_survives_its_loss(core: Before, tmp_path: Path) -> None:
    assert core.home.missing == {}
    survive(core, "restic", tmp_path)
    check_that_all_is_as_it_was(core)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("restic", "borg")],
)
def test_a_home_of_every_kind_of_project_survives_its_loss(
    name: str, whole: Before, tmp_path: Path
) -> None:
    survive(whole, name, tmp_path)
    check_that_all_is_as_it_was(whole)


@pytest.mark.slow
@pytest.mark.parametrize("project", [*CORE, *MORE], ids=lambda project: project.name)
def test_the_home_of_every_kind_of_project_has_each(project: Project, whole: Before) -> None:
    if project.name in whole.home.missing:
        (pytest.fail if REQUIRE_TOOLS else pytest.skip)(whole.home.missing[project.name])
    assert whole.answers[project.name]
