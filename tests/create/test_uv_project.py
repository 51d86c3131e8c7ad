"""Which commands of uv make a project's environment: each row is tried with the real uv."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from regrow.create import uv_project
from tests.wheels import WHEEL, write_wheel

pytestmark = pytest.mark.needs("uv")


def project(name: str = "demo", more: str = "") -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.8"\n{more}'


def workspace(members: str, more: str = "") -> str:
    return project("root", f"[tool.uv.workspace]\nmembers = {members}\n{more}")


DEPENDS = f'dependencies = ["tiny"]\n[tool.uv.sources]\ntiny = {{ path = "../{WHEEL}" }}\n'
SCRIPT = "# /// script\n# dependencies = []\n# ///\n"


class Row(NamedTuple):
    """A command line in a tree, and the project whose environment it makes."""

    name: str
    words: str
    makes: str | None = "."
    """The directory of the project; None: it is not sure that one is made."""
    files: Mapping[str, str] = {"pyproject.toml": project()}
    cwd: str = "."
    variables: Mapping[str, str] = {}
    fails: bool = False


WORKSPACE = {
    "pyproject.toml": workspace('["packages/*"]', 'exclude = ["packages/out"]\n'),
    "packages/in/pyproject.toml": project("in"),
    "packages/in/src/in/__init__.py": "",
    "packages/in/deeper/pyproject.toml": project("deeper"),
    "packages/out/pyproject.toml": project("out"),
    "beside/pyproject.toml": project("beside"),
}


def in_workspace(name: str, cwd: str, makes: str | None, words: str = "uv sync") -> Row:
    return Row(name, words, makes, WORKSPACE, cwd)


ROWS = [
    # commands
    Row("sync", "uv sync"),
    Row("run", "uv run true"),
    Row("run a module", "uv run -m this"),
    Row("run after a separator", "uv run -- true"),
    Row("run what fails", "uv run false", fails=True),
    Row("run python", "uv run python -c pass"),
    Row("a path to uv", "{uv} sync"),
    Row("options before", "uv -q --offline sync"),
    Row("python chosen", "uv sync --python {python}"),
    Row("python chosen, short", "uv run -p {python} true"),
    Row("with a package besides", "uv run --with pip==0 true", fails=True),
    Row("no project installed", "uv sync --no-install-project"),
    Row("frozen", "uv sync --frozen"),
    Row("locked", "uv sync --locked"),
    Row("add", "uv add {wheel}"),
    Row("remove", "uv remove tiny", files={"pyproject.toml": project(more=DEPENDS)}),
    Row("a plain script", "uv run plain.py",
        files={"pyproject.toml": project(), "plain.py": "print('hello')\n"}),
    Row("below the project", "uv sync", cwd="src",
        files={"pyproject.toml": project(), "src/a.py": ""}),
    Row("no package", "uv sync",
        files={"pyproject.toml": project(more="[tool.uv]\npackage = false\n")}),
    Row("managed in words", "uv sync",
        files={"pyproject.toml": project(more="[tool.uv]\nmanaged = true\n")}),
    Row("a uv.toml", "uv sync", files={"pyproject.toml": project(), "uv.toml": "offline = true\n"}),
    Row("another environment is active", "uv sync", variables={"VIRTUAL_ENV": "{cwd}/other"}),
    Row("an empty variable", "uv sync", variables={"UV_PROJECT_ENVIRONMENT": ""}),
    # commands that make none, or may make none
    Row("help", "uv sync --help", None),
    Row("help of run", "uv run --help", None),
    Row("help, short", "uv run -h", None),
    Row("lock", "uv lock", None),
    Row("tree", "uv tree", None),
    Row("version", "uv --version", None),
    Row("nothing", "uv", None, fails=True),
    Row("dry", "uv sync --dry-run", None),
    Row("check", "uv sync --check", None),
    Row("no project", "uv run --no-project true", None),
    Row("isolated", "uv run --isolated true", None),
    Row("add without sync", "uv add --no-sync {wheel}", None),
    Row("add frozen", "uv add --frozen tiny", None),
    Row("another project", "uv sync --project below", None,
        files={"pyproject.toml": project(), "below/pyproject.toml": project()}),
    Row("another project, in one word", "uv sync --project=below", None,
        files={"pyproject.toml": project(), "below/pyproject.toml": project()}),
    Row("another directory", "uv --directory below sync", None,
        files={"pyproject.toml": project(), "below/pyproject.toml": project()}),
    Row("a script of its own", "uv run own.py", None,
        files={"pyproject.toml": project(), "own.py": SCRIPT}),
    Row("a script of its own, for windows", "uv run own.pyw", None,
        files={"pyproject.toml": project(), "own.pyw": SCRIPT}),
    Row("a script of its own, in capitals", "uv run OWN.PY", None,
        files={"pyproject.toml": project(), "OWN.PY": SCRIPT}),
    Row("a script of its own, by option", "uv run --script own", None,
        files={"pyproject.toml": project(), "own": SCRIPT}),
    Row("a script of its own, by short option", "uv run -s own", None,
        files={"pyproject.toml": project(), "own": SCRIPT}),
    Row("a script's sync", "uv sync --script own.py", None,
        files={"pyproject.toml": project(), "own.py": SCRIPT}),
    Row("a script's add", "uv add --script own.py {wheel}", None,
        files={"pyproject.toml": project(), "own.py": SCRIPT}),
    Row("no uv", "env true", None),
    # variables
    Row("environment elsewhere", "uv sync", None, variables={"UV_PROJECT_ENVIRONMENT": "other"}),
    Row("variable for another project", "uv sync", None, variables={"UV_PROJECT": "below"},
        files={"pyproject.toml": project(), "below/pyproject.toml": project()}),
    Row("variable for another directory", "uv sync", None, variables={"UV_WORKING_DIR": "below"},
        files={"pyproject.toml": project(), "below/pyproject.toml": project()}),
    Row("variable for no project", "uv run true", None, variables={"UV_NO_PROJECT": "1"}),
    Row("variable for isolated", "uv run true", None, variables={"UV_ISOLATED": "1"}),
    Row("variable for frozen", "uv add tiny", None, variables={"UV_FROZEN": "1"}),
    Row("variable for no sync", "uv add {wheel}", None, variables={"UV_NO_SYNC": "1"}),
    # projects that are none
    Row("no project at all", "uv run true", None, files={}),
    Row("not managed", "uv run true", None,
        files={"pyproject.toml": project(more="[tool.uv]\nmanaged = false\n")}),
    Row("broken", "uv sync", None, files={"pyproject.toml": "[project\n"}, fails=True),
    Row("no utf-8", "uv sync", None, files={"pyproject.toml": "# \udcff\n"}, fails=True),
    Row("settings of the wrong type", "uv sync", None,
        files={"pyproject.toml": project(more="[tool]\nuv = 1\n")}, fails=True),
    Row("a workspace of the wrong type", "uv sync", None, cwd="in", fails=True,
        files={"pyproject.toml": project(more="[tool.uv]\nworkspace = true\n"),
               "in/pyproject.toml": project()}),
    Row("members of the wrong type", "uv sync", None, cwd="in", fails=True,
        files={"pyproject.toml": workspace("[1]"), "in/pyproject.toml": project()}),
    # workspaces
    in_workspace("root", ".", "."),
    in_workspace("root, for a member", ".", ".", "uv sync --package in"),
    in_workspace("root, run in a member", ".", ".", "uv run --package in true"),
    in_workspace("all members", ".", ".", "uv sync --all-packages"),
    in_workspace("member", "packages/in", "."),
    in_workspace("below a member", "packages/in/src/in", "."),
    in_workspace("a project in a member", "packages/in/deeper", "packages/in/deeper"),
    in_workspace("excluded", "packages/out", "packages/out"),
    in_workspace("no member", "beside", "beside"),
    Row("member of a root that is no project", "uv sync", cwd="in",
        files={"pyproject.toml": '[tool.uv.workspace]\nmembers = ["in"]\n',
               "in/pyproject.toml": project()}),
    Row("patterns as people write them", "uv sync", cwd="packages/in",
        files={"pyproject.toml": workspace('["./packages/[hi]*/"]'),
               "packages/in/pyproject.toml": project()}),
    Row("a pattern is for one level", "uv sync", "packages/a/in", cwd="packages/a/in",
        files={"pyproject.toml": workspace('["packages/*"]'),
               "packages/a/in/pyproject.toml": project(),
               "packages/a/pyproject.toml": project("a")}),
    Row("what stands in what is excluded", "uv sync", cwd="a/in",
        files={"pyproject.toml": workspace('["a/*"]', 'exclude = ["a"]\n'),
               "a/in/pyproject.toml": project()}),
    Row("a workspace in a workspace", "uv sync", "in", cwd="in",
        files={"pyproject.toml": workspace('["in"]'), "in/pyproject.toml": workspace("[]")}),
    Row("another project in between", "uv sync", "a/in", cwd="a/in",
        files={"pyproject.toml": workspace('["a/*"]'), "a/pyproject.toml": "[tool.x]\n",
               "a/in/pyproject.toml": project()}),
    Row("a member that is not managed", "uv run true", None, cwd="in",
        files={"pyproject.toml": workspace('["in"]'),
               "in/pyproject.toml": project(more="[tool.uv]\nmanaged = false\n")}),
]  # fmt: skip

UNSURE = [
    # uv makes it, and it is not worth knowing so: it is marked afterwards.
    Row("a word of the command's", "uv run echo --help", None),
    Row("no project table", "uv sync", None, files={"pyproject.toml": "[tool.uv]\n"}),
    Row("patterns over levels", "uv sync", None, cwd="packages/in",
        files={"pyproject.toml": workspace('["packages/**"]'),
               "packages/in/pyproject.toml": project()}),
    Row("before the subcommand", "uv --color never sync", None),
]  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [*os.environ]:
        if name.startswith("UV_") and name != "UV_CACHE_DIR":
            monkeypatch.delenv(name)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    write_wheel(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    return work


def write(files: Mapping[str, str], place: Path) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, errors="surrogateescape")


def environments(place: Path) -> set[str]:
    """Give the directories in which a filled ``.venv`` stands."""
    found = place.rglob(".venv/pyvenv.cfg")
    return {str(path.parent.parent.relative_to(place)) for path in found}


def do(words: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def prepare(row: Row, place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Path]:
    write(row.files, place)
    cwd = place / row.cwd
    if row.name in ("frozen", "locked"):
        assert do(["uv", "lock"], cwd).returncode == 0
    for name, value in row.variables.items():
        monkeypatch.setenv(name, value.format(cwd=cwd))
    paths = {
        "uv": f"{Path(sys.executable).parent}/uv",
        "python": sys.executable,
        "wheel": f"{place.parent}/{WHEEL}",
    }
    return row.words.format(**paths).split(), cwd


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_said_to_come_is_what_uv_makes(
    row: Row, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, cwd = prepare(row, place, monkeypatch)
    expected = None if row.makes is None else (str(place / row.makes).removesuffix("/."), ".venv")
    assert uv_project.environment_to_come(words, str(cwd)) == expected
    done = do(words, cwd)
    assert (done.returncode != 0) == row.fails, done.stderr
    made = environments(place)
    if row.makes is None:
        assert not made - {"below"}, "uv makes it"
    else:
        assert made == {row.makes}


@pytest.mark.parametrize("row", UNSURE, ids=lambda row: row.name)
def test_where_there_is_doubt_nothing_is_prepared(
    row: Row, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, cwd = prepare(row, place, monkeypatch)
    assert uv_project.environment_to_come(words, str(cwd)) is None


def a_directory(path: Path) -> None:
    path.mkdir()


def a_file(path: Path) -> None:
    path.touch()


def a_link(path: Path) -> None:
    path.symlink_to("other")


@pytest.mark.parametrize("make", [a_directory, a_file, a_link])
def test_what_is_there_already_is_left_to_uv(make: Callable[[Path], None], place: Path) -> None:
    write({"pyproject.toml": project()}, place)
    assert uv_project.environment_to_come(["uv", "sync"], str(place)) is not None
    make(place / ".venv")
    assert uv_project.environment_to_come(["uv", "sync"], str(place)) is None


def test_a_project_that_cannot_be_read_is_left_to_uv(place: Path) -> None:
    (place / "pyproject.toml").mkdir()
    assert uv_project.environment_to_come(["uv", "sync"], str(place)) is None
    (place / "pyproject.toml").rmdir()
    (place / "pyproject.toml").write_text("a = " + "[" * 100_000)
    assert uv_project.environment_to_come(["uv", "sync"], str(place)) is None
