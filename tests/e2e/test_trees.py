"""Trees made by real tools: sweep finds what each documents as generated, and no more."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from regrow.model import KEEP, MARK, MARKED_ALREADY
from tests.conftest import Regrow
from tests.e2e.tools import TOOLS, Told, Tool

HOME = Path.home()  # the developer's: each test has one of its own
TIME_LIMIT = 300  # seconds for one script

SETTINGS = {
    # Nothing is sent, asked, or taken from the developer's own settings.
    "COMPOSER_ALLOW_SUPERUSER": "1",
    "DO_NOT_TRACK": "1",
    "GIT_AUTHOR_EMAIL": "me@example.org",
    "GIT_AUTHOR_NAME": "me",
    "GIT_COMMITTER_EMAIL": "me@example.org",
    "GIT_COMMITTER_NAME": "me",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
    "NEXT_TELEMETRY_DISABLED": "1",
    "TURBO_TELEMETRY_DISABLED": "1",
    "YARN_ENABLE_TELEMETRY": "0",
    # This belongs to what is installed, wherever the home directory is.
    "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(HOME / ".rustup")),
    "UV_PYTHON": sys.executable,
    "UV_PYTHON_DOWNLOADS": "never",
    # As with uv, downloads stay for the next time.
    "npm_config_cache": str(Path(tempfile.gettempdir()) / "regrow-test-npm"),
    # What asks for a newer Node.js is refused, and so skipped.
    "npm_config_engine_strict": "true",
}
# Package managers behave otherwise where they think that nobody develops.
NOT_SET = ("CI", "GITHUB_ACTIONS", "NODE_ENV", "PYTEST_ADDOPTS", "PYTHONPATH")


class Tools:
    """Installs what the rows ask for, once for all tests."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._made: dict[tuple[str, ...], Path | str] = {}

    def environment(self, tool: Tool) -> dict[str, str]:
        """Give the variables with which a tool is found; skips where it isn't to be had."""
        found = {name: value for name, value in os.environ.items() if name not in NOT_SET}
        found |= SETTINGS
        for wanted, install in ((tool.pip, self._from_pypi), (tool.npm, self._from_npm)):
            if not wanted:
                continue
            if wanted not in self._made:
                self._made[wanted] = install(wanted, found)
            made = self._made[wanted]
            if isinstance(made, str):
                pytest.skip(f"{', '.join(wanted)} can't be installed: {made}")
            found["PATH"] = f"{made}{os.pathsep}{found['PATH']}"
        if "npm" in tool.needs:
            # yarn has a registry of its own, and asks npm's settings for none.
            registry = output(["npm", "config", "get", "registry"], self.place, found)
            found |= dict.fromkeys(
                ("YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER", "npm_config_registry"), registry
            )
        return found

    def _from_pypi(self, packages: tuple[str, ...], variables: dict[str, str]) -> Path | str:
        place = self.place / "-".join(packages)
        python = place / "bin/python"
        return install(
            [["uv", "venv", "-q", place], ["uv", "pip", "install", "--python", python, *packages]],
            place / "bin", variables,
        )  # fmt: skip

    def _from_npm(self, packages: tuple[str, ...], variables: dict[str, str]) -> Path | str:
        place = self.place / "-".join(packages).replace("/", "-")
        place.mkdir()
        (place / "package.json").write_text('{"private": true}\n')
        steps: list[list[str | Path]] = [["npm", "install", "--prefix", place, *packages]]
        if packages[0].startswith("bun@"):  # newer npm runs no package's own script
            steps.append(["node", place / "node_modules/bun/install.js"])
        return install(steps, place / "node_modules/.bin", variables)


def install(steps: list[list[str | Path]], binaries: Path, variables: dict[str, str]) -> Path | str:
    """Give the directory of what was installed, or the reason why it was not."""
    for step in steps:
        done = run(step, binaries.parent.parent, variables)
        if done.returncode:
            return problem(done)
    return binaries


def run(
    words: list[str | Path], cwd: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=next(place for place in (cwd, *cwd.parents) if place.is_dir()),
        env=variables,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIME_LIMIT,
    )


def output(words: list[str | Path], cwd: Path, variables: dict[str, str]) -> str:
    done = run(words, cwd, variables)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def problem(done: subprocess.CompletedProcess[str]) -> str:
    """Tell in one line what a program complained of."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and " code " not in line]
    return [*errors, *lines[-1:], f"exit code {done.returncode}"][0]


@pytest.fixture(scope="session")
def tools() -> Iterator[Tools]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-tools-") as place:
        yield Tools(Path(place))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "demo"
    place.mkdir()
    yield place
    shutil.rmtree(place)  # pytest keeps its directories, and node_modules are large


def files(project: Path) -> frozenset[str]:
    """List every entry of a project that is not a directory."""
    found: set[str] = set()
    for directory, names, others in os.walk(project):
        if directory == str(project) and ".git" in names:
            names.remove(".git")
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        found.update(
            os.path.relpath(os.path.join(directory, name), project) for name in (*others, *links)
        )
    return frozenset(found)


def below(path: str, directories: set[str]) -> bool:
    return any(directory == "." or path.startswith(f"{directory}/") for directory in directories)


def sweep(regrow: Regrow, project: Path) -> dict[str, Told]:
    """Ask what would become of a project: by relative path, what sweep says of it.

    The scan begins above it: a start directory is no candidate itself, and the project must be none
    either. On a Mac, Cargo and Poetry mark what they make themselves.
    """
    there = {MARKED_ALREADY: MARK} if sys.platform == "darwin" else {}
    done = regrow("sweep", "--dry-run", "--json", project.parent)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        os.path.relpath(line["path"], project): (
            line["rule"],
            there.get(line["decision"], line["decision"]),
            line["guard"],
        )
        for line in lines
    }


def marks(tool: Tool) -> list[pytest.MarkDecorator]:
    needs = pytest.mark.needs("git", *tool.needs)
    return [needs, pytest.mark.slow] if tool.slow else [needs]


@pytest.mark.parametrize(
    "tool", [pytest.param(tool, id=tool.name, marks=marks(tool)) for tool in TOOLS]
)
def test_what_a_tool_makes_is_found_and_nothing_else(
    tool: Tool, project: Path, tools: Tools, regrow: Regrow
) -> None:
    variables = tools.environment(tool)

    def script(text: str) -> None:
        output(["sh", "-euc", text], project, variables)

    script("git init -q")
    for name, text in tool.files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    script(tool.make)
    if tool.ignore:
        assert not (project / ".gitignore").exists(), "the tool writes one itself"
        (project / ".gitignore").write_text("".join(f"{line}\n" for line in tool.ignore))
    script("git add -A\ngit commit -q --allow-empty -m sources")
    sources = files(project)

    if tool.fetch:
        done = run(["sh", "-euc", tool.fetch], project, variables)
        if done.returncode:
            pytest.skip(f"{tool.name}: its packages can't be had: {problem(done)}")
    script(tool.run)
    made = files(project) - sources
    assert sources <= files(project)
    assert made, "the tool made nothing"

    said = sweep(regrow, project)
    assert said == tool.expected
    covered = {path for path, (_, decision, _) in said.items() if decision != KEEP}
    assert [path for path in sorted(sources) if below(path, covered)] == []
    rest = {path for path in made if not below(path, covered)}
    assert [p for p in sorted(rest) if not any(fnmatchcase(p, glob) for glob in tool.stays)] == []
    assert [glob for glob in tool.stays if not any(fnmatchcase(p, glob) for p in rest)] == []

    not_ignored = tool.expected if tool.not_ignored is None else tool.not_ignored
    (project / ".gitignore").unlink(missing_ok=True)
    assert sweep(regrow, project) == not_ignored

    shutil.rmtree(project / ".git")
    expected = not_ignored if tool.no_repository is None else tool.no_repository
    assert sweep(regrow, project) == expected
