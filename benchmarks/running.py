"""``regrow run``: what it adds to a command in a small project."""

import contextlib
from pathlib import Path

from benchmarks.measure import Bench, Run, rounds
from benchmarks.report import Result

_DIRECTORIES = 50
_BOUND = 60.0  # milliseconds beside the command alone

_PROJECT = """\
[project]
name = "demo"
version = "1"
requires-python = ">=3.8"
"""


def in_a_project(bench: Bench) -> list[Result]:
    """Commands by regrow run, beside the commands alone."""
    regrow = [bench.tool("regrow"), "run", "--"]
    sync = [bench.tool("uv"), "sync", "-q", "--offline"]
    project = bench.place / "running"
    build(project)
    bench.run("git", "init", "-q", str(project))
    results = []
    with contextlib.chdir(project):
        bench.run(*regrow, *sync)
        for name, command in (("true", ["/bin/true"]), ("uv sync", sync)):
            timings = rounds({"alone": Run(command), "ours": Run([*regrow, *command])}, bench)
            ours, alone = timings["ours"], timings["alone"]
            shown = f"{ours.median:.0f} ms beside {alone.median:.0f} ms"
            more = ours.more_than(alone)
            results.append(Result(f"run -- {name}, more than alone", more, "ms", _BOUND, shown))
    return results


def build(project: Path) -> None:
    """Build a project of uv's, with directories that are looked at in vain."""
    for index in range(_DIRECTORIES):
        (project / f"src/part-{index % 5}/{index}").mkdir(parents=True)
        (project / f"src/part-{index % 5}/{index}/source.txt").touch()
    (project / "pyproject.toml").write_text(_PROJECT)
    (project / ".gitignore").write_text(".venv\n")
