"""regrow beside the tools that make environments: each really makes one, with it and without."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from regrow.model import Record
from regrow.plugins.steps import TOX_OWN
from regrow.records.format import MARKED
from regrow.records.store import Store
from tests import attributes
from tests.attributes import is_marked
from tests.e2e.projects import NOT_SET, SETTINGS, install, output
from tests.e2e.traces import MAKES, RENAMES, Birth, Call, birth, trace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")

CHECKOUT = Path(__file__).parents[2]
ATTRIBUTE, VALUE = "user.xdg.robots.backup", "false"

NEWEST = "virtualenv==21.15.8"
TOX = ("tox==4.67.15", NEWEST)
PROJECT = '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
TOX_INI = "[testenv]\npackage = skip\ncommands = python -V\n"
NOXFILE = 'import nox\n\n\n@nox.session{}\ndef demo(session):\n    session.run("python", "-V")\n'
HATCH = f'{PROJECT}[tool.hatch.envs.default]\nskip-install = true\npath = ".venv"\n'
PRE_COMMIT = (
    "repos:\n- repo: local\n  hooks:\n"
    "  - {id: demo, name: demo, entry: python -V, language: python}\n"
)


class Making(NamedTuple):
    """How a tool makes an environment in a project."""

    tool: str
    requirements: tuple[str, ...]
    """What is installed; regrow comes beside it."""
    command: str
    """For ``sh``, in the project's directory."""
    environment: str = ".venv"
    """Where it is made, from the project's directory or, with ``~``, from home; a glob."""
    files: Mapping[str, str] = MappingProxyType({})
    own: frozenset[str] = frozenset()
    """What the tool itself has put into it before anybody makes an environment of it."""


VIRTUALENV = Making("virtualenv", (NEWEST,), "virtualenv --no-seed .venv")
OLDER = tuple(
    Making(f"virtualenv {version}", (f"virtualenv=={version}",), VIRTUALENV.command)
    for version in (
        "20.0.1", "20.0.35", "20.4.7", "20.13.4", "20.17.1", "20.24.7", "20.28.1", "20.35.4"
    )
)  # fmt: skip
TOX_4 = Making("tox", TOX, "tox run", ".tox/py", {"tox.ini": TOX_INI}, TOX_OWN)
AT_BIRTH = (
    *OLDER,
    Making(
        "tox: the package's environment",
        TOX,
        "tox run",
        ".tox/.pkg",
        {
            "pyproject.toml": (
                f'{PROJECT}[build-system]\nrequires = ["setuptools"]\n'
                'build-backend = "setuptools.build_meta"\n'
            ),
            "tox.ini": "[testenv]\ncommands = python -V\n",
        },
        TOX_OWN,
    ),
    Making("nox", ("nox==2026.10.20", NEWEST), "nox", ".nox/demo",
           {"noxfile.py": NOXFILE.format("")}, frozenset(("tmp",))),
    Making("poetry", ("poetry==2.5.1", NEWEST), "poetry install --no-root", ".venv",
           {"pyproject.toml": PROJECT, "poetry.toml": "[virtualenvs]\nin-project = true\n"}),
    Making("poetry: central", ("poetry==2.5.1", NEWEST), "poetry install --no-root",
           "~/.cache/pypoetry/virtualenvs/demo-*", {"pyproject.toml": PROJECT}),
    *(
        Making(f"pdm by {backend}", ("pdm==2.29.3", NEWEST), "pdm install --no-self", ".venv",
               {"pyproject.toml": PROJECT, "pdm.toml": f'[venv]\nbackend = "{backend}"\n'})
        for backend in ("virtualenv", "venv", "uv")
    ),
    Making("hatch", ("hatch==1.18.2", NEWEST), "hatch env create", ".venv",
           {"pyproject.toml": HATCH}),
    Making("pipenv", ("pipenv==2026.10.3", NEWEST), f"pipenv --python {sys.executable}",
           "~/.local/share/virtualenvs/demo-*", {"Pipfile": ""}),
    Making("pre-commit", ("pre-commit==4.7.0", NEWEST),
           "git init -q && pre-commit install-hooks", "~/.cache/pre-commit/repo*/py_env-*",
           {".pre-commit-config.yaml": PRE_COMMIT}),
)  # fmt: skip

LATE = (
    Making("tox-uv", (*TOX, "tox-uv==1.37.1"), "tox run", ".tox/py", {"tox.ini": TOX_INI}),
    Making("tox with another virtualenv", TOX, "tox run", ".tox/py",
           {"tox.ini": f"{TOX_INI}virtualenv_spec = virtualenv==20.26.6\n"}),
)  # fmt: skip

NOT_COVERED = (
    # It puts log/ into the directory first, and has other hooks.
    Making("tox 3", ("tox==3.28.0", NEWEST), "tox", ".tox/python",
           {"tox.ini": "[tox]\nskipsdist = true\n[testenv]\ncommands = python -V\n"}),
    Making("hatch by uv", ("hatch==1.18.2", NEWEST), "hatch env create", ".venv",
           {"pyproject.toml": f'{HATCH}installer = "uv"\n'}),
    *(
        Making(f"nox by {backend}", ("nox==2026.10.20", NEWEST), "nox", ".nox/demo",
               {"noxfile.py": NOXFILE.format(f'(venv_backend="{backend}")')})
        for backend in ("uv", "venv")
    ),
)  # fmt: skip


def over(*makings: Making, slow: bool = True) -> pytest.MarkDecorator:
    marks = [pytest.mark.slow] if slow else []
    rows = [pytest.param(making, id=making.tool, marks=marks) for making in makings]
    return pytest.mark.parametrize("making", rows)


class Installations:
    """Environments with tools in them, each installed once for all tests."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._made: dict[tuple[tuple[str, ...], bool], Path | str] = {}

    def binaries(self, requirements: tuple[str, ...], *, with_regrow: bool) -> Path:
        """Give the directory of a tool's commands; skips where it can't be installed."""
        key = (requirements, with_regrow)
        if key not in self._made:
            self._made[key] = self._install(requirements, with_regrow)
        made = self._made[key]
        if isinstance(made, str):
            pytest.skip(f"{', '.join(requirements)} can't be installed: {made}")
        return made

    def _install(self, requirements: tuple[str, ...], with_regrow: bool) -> Path | str:
        place = self._place / str(len(self._made))
        place.mkdir()
        # The command line of regrow wants a newer virtualenv than its plugin does.
        overrides = place / "overrides.txt"
        overrides.write_text("".join(f"{line}\n" for line in requirements))
        words: list[str | Path] = ["uv", "pip", "install", "--python", place / "env"]
        words += ["--overrides", overrides, *requirements]
        if with_regrow:
            words += ["--editable", CHECKOUT / "marks", "--editable", CHECKOUT]
        return install(
            [["uv", "venv", "-q", place / "env"], words],
            place / "env/bin",
            {**os.environ, **SETTINGS},
        )


@pytest.fixture(scope="module")
def installations() -> Iterator[Installations]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-plugins-") as place:
        yield Installations(Path(place))


class Project:
    """A project in which a tool with regrow beside it, or without, makes an environment."""

    def __init__(
        self, place: Path, installations: Installations, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.place = place / "demo"
        self.place.mkdir()
        self._trace = place / "trace"
        self._installations = installations
        self._monkeypatch = monkeypatch
        for name in NOT_SET:
            monkeypatch.delenv(name, raising=False)
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        # What is made below the temporary directory is left alone.
        temporary = place / "temporary"
        temporary.mkdir()
        monkeypatch.setenv("TMPDIR", str(temporary))
        self._path = os.environ["PATH"]

    def prepare(self, making: Making, *, with_regrow: bool) -> None:
        """Write the project's files, and put the tool on PATH."""
        binaries = self._installations.binaries(making.requirements, with_regrow=with_regrow)
        self._monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{self._path}")
        for name, text in making.files.items():
            (self.place / name).write_text(text)

    def run(self, command: str) -> str:
        return output(["sh", "-ec", command], self.place, dict(os.environ))

    def watch(self, making: Making) -> Birth:
        """Make the environment, and tell what was made in it before it had its mark."""
        happened = trace(("sh", "-ec", making.command), self._trace, self.place)
        placed = [call for call in happened if is_placed(call)]
        return birth(str(self.environment(making)), ATTRIBUTE, VALUE, placed)

    def environment(self, making: Making) -> Path:
        place = self.place
        pattern = making.environment
        if pattern.startswith("~/"):
            place, pattern = Path.home(), pattern.removeprefix("~/")
        (found,) = place.glob(pattern)
        assert (found / "pyvenv.cfg").is_file()
        return found


@pytest.fixture
def project(
    tmp_path: Path, installations: Installations, monkeypatch: pytest.MonkeyPatch
) -> Project:
    return Project(tmp_path, installations, monkeypatch)


def is_placed(call: Call) -> bool:
    """Tell whether the trace says where a call made something: setuptools makes some by names."""
    places = [table[call.name] for table in (MAKES, RENAMES) if call.name in table]
    return all(
        directory is not None or call.arguments[path].startswith("/") for directory, path in places
    )


def record_of(path: Path) -> Record | None:
    with Store() as store:
        return store.read(str(path))


def assert_marked_and_recorded(path: Path) -> None:
    assert is_marked(path)
    record = record_of(path)
    assert record is not None
    assert (record.rule, record.state) == ("venv", MARKED)
    assert record.inode == path.stat().st_ino
    assert "xdg-robots" in record.set
    assert record.recipe["version"] == ".".join(map(str, sys.version_info[:3]))


def assert_marked_at_birth(made: Birth, making: Making, environment: Path) -> None:
    """Check that nobody but the tool itself had made anything in it, and that all was seen."""
    first = {os.path.relpath(path, environment).partition("/")[0] for path in made.before_the_mark}
    others = {
        name for name in first if name not in making.own and not name.startswith(".tox-info.json.")
    }
    assert others == set()
    there = {str(path) for path in environment.rglob("*")}
    assert there <= made.made, "the trace is not complete"


def check_at_birth(project: Project, making: Making) -> None:
    project.prepare(making, with_regrow=True)
    made = project.watch(making)
    environment = project.environment(making)
    assert_marked_at_birth(made, making, environment)
    assert_marked_and_recorded(environment)


def check_control(project: Project, making: Making) -> None:
    project.prepare(making, with_regrow=False)
    project.run(making.command)
    assert not is_marked(project.environment(making))


@pytest.mark.needs("strace", "uv")
@over(VIRTUALENV, TOX_4, slow=False)
def test_an_environment_is_marked_before_its_first_file(making: Making, project: Project) -> None:
    check_at_birth(project, making)


@pytest.mark.needs("strace", "uv", "git")
@over(*AT_BIRTH)
def test_so_is_that_of_every_tool_here(making: Making, project: Project) -> None:
    check_at_birth(project, making)


@pytest.mark.needs("uv")
@over(VIRTUALENV, TOX_4, slow=False)
def test_without_regrow_beside_it_nothing_is_marked(making: Making, project: Project) -> None:
    check_control(project, making)


@pytest.mark.needs("uv", "git")
@over(*AT_BIRTH, *LATE)
def test_so_it_is_for_every_tool_here(making: Making, project: Project) -> None:
    check_control(project, making)


@pytest.mark.needs("strace", "uv")
@over(*LATE)
def test_an_environment_that_virtualenvs_plugin_does_not_see_is_marked_late(
    making: Making, project: Project
) -> None:
    project.prepare(making, with_regrow=True)
    assert project.watch(making).before_the_mark, "better than the documents say"
    environment = project.environment(making)
    assert_marked_and_recorded(environment)
    record = record_of(environment)
    assert record is not None
    assert record.recipe["made_by"] == "tox"


@pytest.mark.needs("uv")
@over(*NOT_COVERED)
def test_what_no_plugin_reaches_is_not_marked_yet(making: Making, project: Project) -> None:
    project.prepare(making, with_regrow=True)
    project.run(making.command)
    assert not is_marked(project.environment(making)), "better than the documents say"


@pytest.mark.needs("uv")
def test_clear_replaces_the_directory_and_the_new_one_is_marked(project: Project) -> None:
    project.prepare(VIRTUALENV, with_regrow=True)
    project.run(VIRTUALENV.command)
    environment = project.environment(VIRTUALENV)
    attributes.put(environment, "user.of.the.old.one", b"1")
    project.run(f"{VIRTUALENV.command} --clear")
    assert "user.of.the.old.one" not in attributes.names(environment)
    assert_marked_and_recorded(environment)


@pytest.mark.needs("uv")
def test_tox_empties_its_environment_which_stays_marked(project: Project) -> None:
    project.prepare(TOX_4, with_regrow=True)
    project.run("tox run")
    environment = project.environment(TOX_4)
    attributes.put(environment, "user.of.the.old.one", b"1")
    project.run("tox run -r")
    assert "user.of.the.old.one" in attributes.names(environment)
    assert_marked_and_recorded(environment)


@pytest.mark.needs("uv")
def test_what_the_plugin_did_is_taken_back(project: Project) -> None:
    project.prepare(VIRTUALENV, with_regrow=True)
    project.run(VIRTUALENV.command)
    environment = project.environment(VIRTUALENV)
    project.run("regrow undo --yes .venv")
    assert not is_marked(environment)
    assert record_of(environment) is None
    assert (environment / "CACHEDIR.TAG").exists(), "virtualenv's own tag"


@pytest.mark.needs("uv")
def test_the_plugin_leaves_regrows_own_environments_to_regrow(project: Project) -> None:
    project.prepare(VIRTUALENV, with_regrow=True)
    said = project.run("regrow venv --creator virtualenv .venv -- --no-seed")
    environment = project.environment(VIRTUALENV)
    assert_marked_and_recorded(environment)
    record = record_of(environment)
    assert record is not None
    command = record.recipe["command"]
    assert isinstance(command, list)
    assert command[:2] == ["regrow", "venv"]
    assert len(said.splitlines()) == 1


@pytest.mark.needs("uv")
def test_below_the_temporary_directory_nothing_is_marked(project: Project) -> None:
    project.prepare(VIRTUALENV, with_regrow=True)
    environment = Path(os.environ["TMPDIR"]) / "env"
    project.run(f"virtualenv --no-seed {environment}")
    assert not is_marked(environment)
    assert record_of(environment) is None


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_tox_makes_many_at_once_and_all_are_marked(project: Project) -> None:
    names = [f"number-{number}" for number in range(6)]
    tox_ini = f"[tox]\nenv_list = {', '.join(names)}\n{TOX_INI}"
    project.prepare(TOX_4._replace(files={"tox.ini": tox_ini}), with_regrow=True)
    project.run("tox run-parallel")
    for name in names:
        assert_marked_and_recorded(project.place / ".tox" / name)


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_the_record_tells_what_tox_has_installed(project: Project) -> None:
    making = TOX_4._replace(files={"tox.ini": f"{TOX_INI}deps = iniconfig\n"})
    project.prepare(making, with_regrow=True)
    project.run("tox run")
    record = record_of(project.environment(making))
    assert record is not None
    requirements = record.recipe["requirements"]
    assert isinstance(requirements, list)
    assert any(line.startswith("iniconfig==") for line in requirements)


@pytest.mark.slow
@pytest.mark.needs("uv")
@pytest.mark.parametrize("tool", ["tox-uv", "tox with another virtualenv"])
def test_recreated_by_tox_it_stays_marked(tool: str, project: Project) -> None:
    making = next(making for making in LATE if making.tool == tool)
    project.prepare(making, with_regrow=True)
    project.run("tox run")
    project.run("tox run -r")
    assert_marked_and_recorded(project.environment(making))


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_what_poetry_makes_in_the_place_of_another_is_marked(project: Project) -> None:
    making = next(making for making in AT_BIRTH if making.tool == "poetry")
    project.prepare(making, with_regrow=True)
    project.run(making.command)
    environment = project.environment(making)
    attributes.put(environment, "user.of.the.old.one", b"1")
    project.run(f"poetry env remove --all && poetry env use {sys.executable}")
    assert "user.of.the.old.one" not in attributes.names(environment)
    assert_marked_and_recorded(environment)
