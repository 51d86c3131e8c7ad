"""``regrow run``: what it adds to a command in a small project."""

import contextlib
import subprocess
from pathlib import Path

from benchmarks.measure import Environment, Result, medians

_DIRECTORIES = 50
_BOUND = 60.0  # milliseconds beside the command alone

_PROJECT = """\
[project]
name = "demo"
version = "1"
requires-python = ">=3.8"
"""


def in_a_project(place: Path, environment: Environment, runs: int) -> list[Result]:
    """Commands by regrow run, beside the commands alone."""
    tools = place / "tools/bin"
    regrow = [str(tools / "regrow"), "run", "--"]
    sync = [str(tools / "uv"), "sync", "-q", "--offline"]
    project = place / "running"
    build(project)
    subprocess.run(["git", "init", "-q", project], env=environment, check=True)
    results = []
    with contextlib.chdir(project):
        subprocess.run([*regrow, *sync], env=environment, check=True)
        for name, command in (("true", ["/bin/true"]), ("uv sync", sync)):
            alone, ours = medians(
                [(lambda: None, command), (lambda: None, [*regrow, *command])], environment, runs
            )
            shown = f"{ours * 1000:.0f} ms beside {alone * 1000:.0f} ms"
            more = (ours - alone) * 1000
            results.append(Result(f"run -- {name}, more than alone", more, "ms", _BOUND, shown))
    return results


def build(project: Path) -> None:
    """Build a project of uv's, with directories that are looked at in vain."""
    for index in range(_DIRECTORIES):
        (project / f"src/part-{index % 5}/{index}").mkdir(parents=True)
        (project / f"src/part-{index % 5}/{index}/source.txt").touch()
    (project / "pyproject.toml").write_text(_PROJECT)
    (project / ".gitignore").write_text(".venv\n")
