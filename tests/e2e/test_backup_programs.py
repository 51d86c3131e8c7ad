"""Real backup programs leave out what regrow marks, and keep everything else.

Each backs up a project, and what the backup holds is restored and compared with what should be
there: the option that it is given is the one that ``regrow_marks.programs`` states.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from regrow.create import creators
from regrow_marks import markers
from regrow_marks.directory import open_directory
from regrow_marks.markers import CACHEDIR_TAG, NODUMP, TIME_MACHINE
from regrow_marks.model import MARKED
from regrow_marks.programs import BY_DEFAULT, PROGRAMS, program
from tests.conftest import Regrow
from tests.e2e.backups import BACKUPS, Backup, Tree, backup, read_back, tree
from tests.e2e.making import CHEAPLY, over_creators

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux' marks and programs")


class Way(NamedTuple):
    """A program, and the mark by which it leaves a directory out."""

    program: str
    mark: str

    @property
    def option(self) -> str:
        return program(self.program).honours[self.mark]

    @property
    def backup(self) -> Backup:
        return backup(self.program)

    @property
    def keeps(self) -> tuple[str, ...]:
        return self.backup.keeps_of_tagged if self.mark == CACHEDIR_TAG else ()


WAYS = tuple(
    Way(row.name, mark)
    for row in BACKUPS
    for mark in program(row.name).honours
    if mark != TIME_MACHINE  # see test_apple_attribute.py
)

IN_MAKE_TEST = (
    Way("borg", CACHEDIR_TAG),
    Way("restic", CACHEDIR_TAG),
    Way("tar", CACHEDIR_TAG),
)

ENVIRONMENT = ".venv"
NODUMP_SETTING = "[markers]\nnodump = true\n"


def over_ways(ways: tuple[Way, ...]) -> pytest.MarkDecorator:
    """Run a test once a way; those that `make test` leaves to `make test-all` are slow."""
    rows = []
    for way in ways:
        marks = [pytest.mark.needs(way.backup.command)]
        if way not in IN_MAKE_TEST:
            marks.append(pytest.mark.slow)
        rows.append(pytest.param(way, id=f"{way.program}-{way.mark}", marks=marks))
    return pytest.mark.parametrize("way", rows)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """Gives a project whose environment a creator made through regrow, one for all tests."""
    made: dict[tuple[str, bool], Path] = {}

    def give(creator: str, nodump: bool) -> Path:
        if (creator, nodump) not in made:
            home = tmp_path_factory.mktemp("home")
            if nodump:
                configuration = home / ".config" / "regrow" / "config.toml"
                configuration.parent.mkdir(parents=True)
                configuration.write_text(NODUMP_SETTING)
            root = write_project(tmp_path_factory.mktemp("work"))
            done = Regrow()(
                "venv",
                "--creator",
                creator,
                ENVIRONMENT,
                "--",
                *CHEAPLY[creator],
                cwd=root,
                env=settings(home),
            )
            assert done.returncode == 0, done.stderr
            made[creator, nodump] = root
        return made[creator, nodump]

    return give


@pytest.fixture(scope="session")
def unmarked_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose environment nobody marked."""
    root = write_project(tmp_path_factory.mktemp("work"))
    subprocess.run(
        [sys.executable, "-m", "venv", *CHEAPLY[creators.VENV], root / ENVIRONMENT],
        env=settings(tmp_path_factory.mktemp("home")),
        check=True,
        timeout=300,
    )
    (root / ENVIRONMENT / "CACHEDIR.TAG").unlink(missing_ok=True)
    return root


@pytest.fixture
def marked_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives a project with a directory ``marked`` on which, its files written, one mark was put."""

    def give(mark: str) -> Path:
        root = write_project(tmp_path_factory.mktemp("work"))
        inside = root / "marked" / "deep" / "file"
        inside.parent.mkdir(parents=True)
        inside.write_text("can be rebuilt\n")
        with open_directory(root / "marked") as directory:
            assert markers.put_on(markers.marker(mark), directory).state == MARKED
        return root

    return give


def settings(home: Path) -> dict[str, str]:
    """The variables of a process that knows nothing of the developer's settings."""
    foreign = ("XDG_", "UV_", "VIRTUALENV_", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    cache = os.environ.get("UV_CACHE_DIR", str(Path(tempfile.gettempdir()) / "regrow-test-uv"))
    return own | {"HOME": str(home), "UV_CACHE_DIR": cache}


def write_project(parent: Path) -> Path:
    """Write a small project below a directory."""
    root = parent / "mon projet 日本"
    files = {
        ".gitignore": f"{ENVIRONMENT}/\n*.log\n",
        ".venv-notes.txt": "stands beside the environment\n",
        "pyproject.toml": '[project]\nname = "p"\n',
        "src/p/__init__.py": "",
        "src/p/größe und farbe.py": "x = 1\n",
        "data/pyvenv.cfg.txt": "home = nowhere\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "empty").mkdir()
    (root / "README").symlink_to("pyproject.toml")
    return root


def without(directory: str, everything: Tree, keeps: tuple[str, ...]) -> Tree:
    """Leave a directory and what it holds out of a tree, but for what a program keeps."""
    kept = {os.path.normpath(f"{directory}/{name}") for name in keeps}
    return {
        path: content
        for path, content in everything.items()
        if path in kept or not f"{path}/".startswith(f"{directory}/")
    }


def test_every_program_that_is_called_proven_is_run_here() -> None:
    assert {row.name for row in BACKUPS} == {row.name for row in PROGRAMS if row.proven}


@over_creators
@over_ways(WAYS)
def test_a_backup_holds_all_of_a_project_and_nothing_of_its_environment(
    creator: str, way: Way, project: Callable[[str, bool], Path], tmp_path: Path
) -> None:
    root = project(creator, way.mark == NODUMP)
    everything = tree(root)
    assert {"README", "data/pyvenv.cfg.txt", f"{ENVIRONMENT}/pyvenv.cfg"} < everything.keys()

    stored = read_back(way.backup, root, tmp_path, way.option)

    assert stored == without(ENVIRONMENT, everything, way.keeps)


@over_ways(WAYS)
def test_without_marks_the_same_backup_holds_the_environment_too(
    way: Way, unmarked_project: Path, tmp_path: Path
) -> None:
    assert read_back(way.backup, unmarked_project, tmp_path, way.option) == tree(unmarked_project)


@pytest.mark.slow
@over_ways(tuple(way for way in WAYS if way.option != BY_DEFAULT))
def test_without_its_option_a_program_holds_what_the_mark_would_leave_out(
    way: Way, marked_alone: Callable[[str], Path], tmp_path: Path
) -> None:
    root = marked_alone(way.mark)
    assert read_back(way.backup, root, tmp_path, BY_DEFAULT) == tree(root)


@pytest.mark.slow
@over_ways(WAYS)
def test_each_mark_suffices_alone_and_after_the_files(
    way: Way, marked_alone: Callable[[str], Path], tmp_path: Path
) -> None:
    root = marked_alone(way.mark)
    stored = read_back(way.backup, root, tmp_path, way.option)
    assert stored == without("marked", tree(root), way.keeps)
