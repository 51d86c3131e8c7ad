"""The disaster drill's projects as data, and the home that holds them."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.conftest import Regrow
from tests.e2e.projects import SETTINGS, Tools, living_in, output, problem, run
from tests.e2e.test_python_round_trip import BACKEND, listed
from tests.e2e.tools import ONE_PACKAGE, PYPROJECT, Tool


class Project(NamedTuple):
    """One project. Its scripts are for ``sh``, in its directory."""

    name: str
    """Its directory, below ``code`` in the home."""
    make: str
    """Makes and fills what is left out of the backup."""
    ask: str
    """Its program: what it prints depends on what is left out."""
    left_out: tuple[str, ...]
    """What is left out, from the project; globs, each of which matches one directory."""
    files: Mapping[str, str] = MappingProxyType({})
    needs: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()


def _built(name: str, dependencies: str = "") -> dict[str, str]:
    """Give a Python project that is built without fetching a backend."""
    return {
        f"{name}/pyproject.toml": (
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            f"dependencies = [{dependencies}]\n"
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
        f"{name}/backend.py": BACKEND.replace("@NAME@", name),
        f"{name}/{name}.py": "MINE = 2\n",
    }


MAIN_PY = """\
import importlib.metadata, json, sys

print(sys.prefix, sys.version)
for one in sorted(importlib.metadata.distributions(), key=lambda one: one.name):
    origin = json.loads(one.read_text("direct_url.json") or "{}")
    url = origin.get("url", "").partition("#")[0]  # uv notes a hash there
    print(one.name, one.version, url, origin.get("dir_info"))
"""
MAIN_JS = """\
for (const name of Object.keys(require('./package.json').dependencies)) {
  console.log(name, require(name + '/package.json').version, require(name)(3))
}
console.log(require('is-number/package.json').version)
"""
# 3.0.0 asks for is-number ^6.0.0; 3.0.1 is newer: without a lock, it would come instead.
OLD = '{"name": "demo", "version": "1.0.0", "private": true, "dependencies": {"is-odd": "3.0.0"}}\n'
MAIN_C = "#include <stdio.h>\nint main(void) { puts(GREETING); return 0; }\n"
POETRY = ("poetry==2.5.1",)

CORE = (
    Project(
        "locked-by-uv",
        needs=("uv",),
        files={
            "pyproject.toml": PYPROJECT + 'dependencies = ["six<1.17", "idna==3.10"]\n',
            "main.py": MAIN_PY + "import idna\nprint(idna.encode('größe.de'))\n",
        },
        make="uv sync",
        ask="uv run --frozen --offline main.py",
        left_out=(".venv",),
    ),
    Project(
        "by-hand-without-a-lock",
        needs=("uv",),
        files={"main.py": MAIN_PY},
        make="uv venv -q --seed env\nenv/bin/pip install -q 'attrs<25.3'",
        ask="env/bin/python main.py",
        left_out=("env",),
    ),
    Project(
        "npm-with-a-lock",
        needs=("npm", "node", "git"),
        files={"package.json": OLD, "main.js": MAIN_JS, ".gitignore": "node_modules/\n"},
        make="git init -q\nnpm install\nsed -i.bak s/3.0.0/^3.0.0/ package.json",
        ask="node main.js",
        left_out=("node_modules",),
    ),
)

MORE = (
    Project(
        "by-hand-with-venv",
        files={"main.py": MAIN_PY},
        make="python -m venv env\nenv/bin/pip install -q 'attrs<25.3'",
        ask="env/bin/python main.py",
        left_out=("env",),
    ),
    Project(
        "uv-workspace",
        needs=("uv",),
        files={
            "pyproject.toml": (
                PYPROJECT
                + 'dependencies = ["bolt", "nut"]\n'
                + '[tool.uv.workspace]\nmembers = ["bolt", "nut"]\n'
                + "[tool.uv.sources]\nbolt = { workspace = true }\nnut = { workspace = true }\n"
            ),
            **_built("bolt", '"six==1.16.0"'),
            **_built("nut", '"bolt", "idna==3.10"'),
            "main.py": MAIN_PY + "import bolt, nut\nprint(bolt, nut)\n",
        },
        make="uv sync",
        ask="uv run --frozen --offline main.py",
        left_out=(".venv",),
    ),
    Project(
        "of-every-origin",
        needs=("uv", "git"),
        files={
            **_built("edited"),
            **_built("versioned"),
            **_built("packed"),
            **_built("local"),
            "main.py": MAIN_PY
            + "import edited, local, packed, versioned\n"
            + "print(edited, local, packed, versioned, edited.MINE, packed.MINE)\n",
        },
        make=(
            "tar -czf packed-1.0.tar.gz packed\n"
            "cd versioned\ngit init -q\ngit add .\ngit commit -q -m first\ncd ..\n"
            "uv venv -q\n"
            'uv pip install --python .venv "six==1.16.0" -e ./edited ./local'
            ' "versioned @ git+file://$PWD/versioned" "packed @ file://$PWD/packed-1.0.tar.gz"'
        ),
        ask=".venv/bin/python main.py",
        left_out=(".venv",),
    ),
    Project(
        "poetry-in-the-project",
        pip=POETRY,
        files={
            "pyproject.toml": (
                PYPROJECT
                + 'dependencies = ["thing"]\n[tool.poetry.dependencies]\n'
                + 'thing = { path = "thing-1.0.tar.gz" }\n'
                + '[build-system]\nrequires = ["poetry-core"]\n'
                + 'build-backend = "poetry.core.masonry.api"\n'
            ),
            "demo.py": "",
            **_built("thing"),
            "main.py": MAIN_PY,
        },
        make=(
            "tar -czf thing-1.0.tar.gz thing\n"
            "poetry config --local virtualenvs.in-project true\npoetry install"
        ),
        ask="poetry run python main.py",
        left_out=(".venv",),
    ),
    Project(
        "poetry-in-its-own-place",
        pip=POETRY,
        files={
            "pyproject.toml": (
                PYPROJECT
                + 'dependencies = ["thing"]\n[tool.poetry.dependencies]\n'
                + 'thing = { path = "thing", develop = true }\n'
            ),
            **_built("thing"),
            "main.py": MAIN_PY,
        },
        make="poetry install --no-root",
        ask="poetry run python main.py",
        left_out=("../../.cache/pypoetry/virtualenvs/demo-*",),
    ),
    Project(
        "npm-without-a-lock",
        needs=("npm", "node"),
        files={"package.json": OLD, "main.js": MAIN_JS},
        make="npm install --no-package-lock\nsed -i.bak s/3.0.0/^3.0.0/ package.json",
        ask="node main.js",
        left_out=("node_modules",),
    ),
    Project(
        "npm-workspace",
        needs=("npm", "node"),
        files={
            "package.json": '{"name": "all", "private": true, "workspaces": ["packages/*"]}\n',
            "packages/one/package.json": ONE_PACKAGE.replace("demo", "one"),
            "packages/two/package.json": ONE_PACKAGE.replace("demo", "two").replace("7.", "6."),
            "packages/one/main.js": "console.log(require('is-number/package.json').version)\n",
            "packages/two/main.js": "console.log(require('is-number/package.json').version)\n",
        },
        make="npm install",
        ask="node packages/one/main.js\nnode packages/two/main.js",
        left_out=("node_modules", "packages/*/node_modules"),
    ),
    Project(
        "built-by-cmake",
        needs=("cmake", "make", "gcc"),
        files={
            "CMakeLists.txt": (
                "cmake_minimum_required(VERSION 3.10)\nproject(demo C)\n"
                'set(GREETING "none" CACHE STRING "")\nadd_executable(demo main.c)\n'
                'target_compile_definitions(demo PRIVATE "GREETING=\\"${GREETING}\\"")\n'
            ),
            "main.c": MAIN_C,
        },
        make="cmake -S . -B build -DGREETING='as told'\ncmake --build build",
        ask="build/demo",
        left_out=("build",),
    ),
    Project(
        "built-by-cargo",
        needs=("cargo",),
        files={
            "Cargo.toml": '[package]\nname = "demo"\nversion = "1.2.3"\nedition = "2021"\n',
            "src/main.rs": 'fn main() { println!("{}", env!("CARGO_PKG_VERSION")) }\n',
        },
        make="cargo build",
        ask="target/debug/demo",
        left_out=("target",),
    ),
)


class Home:
    """A home directory with projects: made, asked, backed up, deleted and restored."""

    def __init__(self, path: Path, tools: Tools) -> None:
        self.path = path
        self._tools = tools
        self.projects: list[Project] = []
        self.missing: dict[str, str] = {}
        """By project: why it can't be made here."""

    def place(self, project: Project) -> Path:
        return self.path / "code" / project.name

    def furnish(self, projects: Iterable[Project]) -> None:
        """Make projects; those that can't be made here are noted."""
        for project in projects:
            absent = [command for command in project.needs if shutil.which(command) is None]
            if absent:
                self.missing[project.name] = f"needs {', '.join(absent)}: not on PATH"
                continue
            place = self.place(project)
            for name, text in project.files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)
            try:
                with living_in(self.path):
                    done = run(["sh", "-euc", project.make], place, self._variables(project))
                if done.returncode:
                    self.missing[project.name] = problem(done)
            except pytest.skip.Exception as reason:
                self.missing[project.name] = str(reason)
            if project.name in self.missing:
                shutil.rmtree(place)
            else:
                self.projects.append(project)

    def _variables(self, project: Project) -> dict[str, str]:
        tool = Tool(project.name, "", {}, pip=project.pip, needs=project.needs)
        return self._tools.environment(tool)

    def answers(self) -> dict[str, str]:
        """Run each project's program; gives what they print."""
        with living_in(self.path):
            return {
                project.name: output(
                    ["sh", "-euc", project.ask], self.place(project), self._variables(project)
                )
                for project in self.projects
            }

    def left_out(self) -> list[Path]:
        """Give the directories that are left out of the backup, sorted."""
        found = []
        for project in self.projects:
            for pattern in project.left_out:
                rest = pattern.rpartition("../")[2]
                above = self.place(project) / pattern.removesuffix(rest)
                (path,) = above.resolve().glob(rest)
                found.append(path)
        return sorted(found)

    def contents(self) -> dict[Path, Any]:
        """Tell what is installed in each directory, as its own tools see it."""
        found: dict[Path, Any] = {}
        with living_in(self.path):
            for path in self.left_out():
                if (path / "pyvenv.cfg").exists():
                    found[path] = listed(path)
                elif path.name == "node_modules":
                    words: list[str | Path] = ["npm", "ls", "--all", "--json"]
                    found[path] = json.loads(output(words, path.parent, dict(os.environ)))
        return found

    def regrow(self, *words: str | Path) -> Any:
        """Run regrow as the home's owner, with its downloads from a shared cache."""
        kept = ("UV_PYTHON_DOWNLOADS", "npm_config_cache", "RUSTUP_HOME", "LC_ALL")
        with living_in(self.path):
            return Regrow()(*words, env={**os.environ, **{name: SETTINGS[name] for name in kept}})

    def lines(self, *words: str | Path) -> list[dict[str, Any]]:
        done = self.regrow(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def records(self) -> list[Path]:
        return sorted((self.path / ".local/share/regrow/records").iterdir())

    @contextlib.contextmanager
    def deleted(self) -> Iterator[None]:
        """Delete all of it; what is there at the end takes its place."""
        aside = self.path.with_name("gone")
        self.path.rename(aside)
        try:
            yield
        finally:
            shutil.rmtree(aside)
