"""Runs the benchmarks and prints a table, or JSON with ``--json``."""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import creation, marking, recipes, running, sweeping, watching
from benchmarks.measure import Result, quiet_environment


def machine() -> dict[str, str | int | None]:
    """Describe the machine, as far as it bears on the figures."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
    }


def main() -> int:
    """Run every benchmark; returns 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="counted runs of each (default: 15)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regrow-bench-", dir=options.directory) as place:
        environment = quiet_environment(Path(place))
        results: list[Result] = []
        for measure in (
            marking.start_up,
            marking.many,
            creation.environments,
            recipes.python_environment,
            sweeping.marking,
            running.in_a_project,
            watching.live,
        ):
            print(f"measuring: {measure.__doc__}", file=sys.stderr)
            results += measure(Path(place), environment, options.runs)
    if options.json:
        print(json.dumps({"machine": machine(), "results": [r.as_json() for r in results]}))
    else:
        print(", ".join(f"{key} {value}" for key, value in machine().items()))
        for result in results:
            print(result.as_line())
    return int(any(result.exceeds for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
