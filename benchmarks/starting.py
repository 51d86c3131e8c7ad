"""How long commands take that have next to nothing to do, beside a bare interpreter."""

import contextlib
import os
from pathlib import Path

from benchmarks.measure import Bench, Run, rounds
from benchmarks.report import Comparison, Result, compare

_RECORDS = 250
_MARK_BOUND = 2.5  # times a bare interpreter


def commands(bench: Bench) -> list[Result]:
    """The start of each command that is called often, beside python -I -c pass."""
    regrow = bench.tool("regrow")
    place = bench.place / "starting"
    project, target, empty = place / "project", place / "target", place / "empty"
    records = [place / f"marked/{number}" for number in range(_RECORDS)]
    for path in (project / "node_modules", target, empty, *records):
        path.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (project / name).write_text("{}\n")
    stamp = Path(bench.environment["HOME"], f".cache/regrow/hooks/{os.getpid()}-1")
    bench.run(regrow, "mark", *map(str, records))

    def fresh() -> None:
        bench.run(regrow, "undo", "--yes", str(target))

    with contextlib.chdir(project):
        timings = rounds(
            {
                "bare": Run([bench.tool("python"), "-I", "-c", "pass"]),
                "mark": Run([regrow, "mark", str(target)], fresh),
                "again": Run([regrow, "mark", str(target)]),
                "sweep": Run([regrow, "sweep", "--dry-run", str(empty)]),
                "status": Run([regrow, "status", str(target)], codes=(0, 1)),
                "list": Run([regrow, "list"]),
                "run": Run([regrow, "run", "--", "/bin/true"]),
                "hook": Run([regrow, "hook", "--check", str(stamp)]),
            },
            bench,
        )
    return compare(
        timings,
        Comparison("mark / bare interpreter", "mark", "bare", _MARK_BOUND),
        Comparison("mark, already marked / bare interpreter", "again", "bare", _MARK_BOUND),
        Comparison("sweep, empty directory / bare interpreter", "sweep", "bare"),
        Comparison("status / bare interpreter", "status", "bare"),
        Comparison(f"list, {_RECORDS} records / bare interpreter", "list", "bare"),
        Comparison("run -- true / bare interpreter", "run", "bare"),
        Comparison("the prompt hook's check / bare interpreter", "hook", "bare"),
    )
