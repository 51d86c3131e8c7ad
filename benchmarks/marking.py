"""``regrow mark``: its cost for each of many directories."""

import statistics
import sys
from pathlib import Path

from benchmarks.measure import WARM_UPS, Bench, seconds
from benchmarks.report import Result

DIRECTORIES = 1000
_BOUND = 150.0  # microseconds a directory


def many(bench: Bench) -> list[Result]:
    """A call of regrow mark on 1,000 directories in one call, beside making as many files."""
    regrow = bench.tool("regrow")
    touch = (
        "import os, sys\n"
        "for path in sys.argv[1:]:\n"
        "    os.close(os.open(path + '/.file', os.O_CREAT | os.O_WRONLY))"
    )
    one, thousand, files = [], [], []
    for number in range(WARM_UPS + bench.runs):
        # Fresh names and nothing deleted: ext4 makes files slowly where others were just deleted.
        root = bench.place / f"many-{number}"
        paths = [str(root / f"{index:04}") for index in range(DIRECTORIES)]
        for path in [*paths, str(root / "first")]:
            Path(path).mkdir(parents=True)
        files.append(seconds([sys.executable, "-I", "-c", touch, *paths], bench.environment))
        one.append(seconds([regrow, "mark", str(root / "first")], bench.environment))
        thousand.append(seconds([regrow, "mark", *paths], bench.environment))
    start = statistics.median(one[WARM_UPS:])
    each = (statistics.median(thousand[WARM_UPS:]) - start) / DIRECTORIES * 1_000_000
    file = (statistics.median(files[WARM_UPS:]) - start / 2) / DIRECTORIES * 1_000_000
    detail = f"with a record each; one empty file made here takes about {file:.0f} µs"
    return [Result("mark, each of 1,000 directories", each, "µs", _BOUND, detail)]
