"""Makes the projects of ``tools.py``: what their rows ask for is installed once for all tests."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.tools import Tool

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


def write_sources(tool: Tool, project: Path, variables: dict[str, str]) -> None:
    """Make a project's sources, in a repository."""
    script("git init -q", project, variables)
    for name, text in tool.files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    script(tool.make, project, variables)
    if tool.ignore:
        assert not (project / ".gitignore").exists(), "the tool writes one itself"
        (project / ".gitignore").write_text("".join(f"{line}\n" for line in tool.ignore))
    script("git add -A\ngit commit -q --allow-empty -m sources", project, variables)


def generate(tool: Tool, project: Path, variables: dict[str, str]) -> None:
    """Let a tool make what it makes beside the sources; skips where its packages can't be had."""
    if tool.fetch:
        done = run(["sh", "-euc", tool.fetch], project, variables)
        if done.returncode:
            pytest.skip(f"{tool.name}: its packages can't be had: {problem(done)}")
    script(tool.run, project, variables)


def script(text: str, project: Path, variables: dict[str, str]) -> None:
    """Run one of a row's scripts."""
    output(["sh", "-euc", text], project, variables)


@contextmanager
def living_in(home: Path) -> Iterator[None]:
    """Give the programs that are run in a block a home, and no setting of the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for name in [name for name in os.environ if name.startswith("XDG_")]:
            patch.delenv(name)
        for name in ("VIRTUAL_ENV", "UV_VENV_CLEAR", "UV_VENV_SEED", "PYTHONDONTWRITEBYTECODE"):
            patch.delenv(name, raising=False)
        if "UV_CACHE_DIR" not in os.environ:
            patch.setenv("UV_CACHE_DIR", str(Path(tempfile.gettempdir()) / "regrow-test-uv"))
        yield
