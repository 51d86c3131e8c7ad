"""``regrow mark``: its start-up, and its cost for each directory."""

import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.measure import WARM_UPS, Environment, Result, medians, seconds

DIRECTORIES = 1000
_START_UP_BOUND = 3.0  # times a bare interpreter
_EACH_BOUND = 150.0  # microseconds a directory


def start_up(place: Path, environment: Environment, runs: int) -> list[Result]:
    """The start of regrow mark, beside python -I -c pass."""
    tools = place / "tools/bin"
    target = place / "one"

    def fresh() -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(place / "home", ignore_errors=True)
        target.mkdir()

    bare, first, again = medians(
        [
            (fresh, [str(tools / "python"), "-I", "-c", "pass"]),
            (fresh, [str(tools / "regrow"), "mark", str(target)]),
            (lambda: None, [str(tools / "regrow"), "mark", str(target)]),
        ],
        environment,
        runs,
    )
    shown = f"{first * 1000:.1f} ms beside {bare * 1000:.1f} ms"
    shown_again = f"{again * 1000:.1f} ms beside {bare * 1000:.1f} ms"
    return [
        Result("mark, whole process / bare interpreter", first / bare, "x", _START_UP_BOUND, shown),
        Result(
            "mark, already marked / bare interpreter",
            again / bare,
            "x",
            _START_UP_BOUND,
            shown_again,
        ),
    ]


def many(place: Path, environment: Environment, runs: int) -> list[Result]:
    """A call of regrow mark on 1,000 directories in one call, beside making as many files."""
    regrow = str(place / "tools/bin/regrow")
    touch = (
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    os.close(os.open(path + '/.file', os.O_CREAT | os.O_WRONLY))"
    )
    one, thousand, files = [], [], []
    for number in range(WARM_UPS + runs):
        # Fresh names and nothing deleted: ext4 makes files slowly where others were just deleted.
        root = place / f"many-{number}"
        paths = [str(root / f"{index:04}") for index in range(DIRECTORIES)]
        for path in [*paths, str(root / "first")]:
            Path(path).mkdir(parents=True)
        files.append(seconds([sys.executable, "-I", "-c", touch, *paths], environment))
        one.append(seconds([regrow, "mark", str(root / "first")], environment))
        thousand.append(seconds([regrow, "mark", *paths], environment))
    start = statistics.median(one[WARM_UPS:])
    each = (statistics.median(thousand[WARM_UPS:]) - start) / DIRECTORIES * 1_000_000
    file = (statistics.median(files[WARM_UPS:]) - start / 2) / DIRECTORIES * 1_000_000
    detail = f"with a record each; one empty file made here takes about {file:.0f} us"
    return [Result("mark, each of 1,000 directories", each, "us", _EACH_BOUND, detail)]
