"""Measures what regrow costs beside what people would use without it; prints a table, or JSON."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks import creation, marking, recipes, report, running, starting, sweeping, watching
from benchmarks.measure import Bench, quiet_environment

GROUPS = {
    "sweep": (sweeping.scanning, sweeping.marking),
    "git": (sweeping.repositories,),
    "large": (sweeping.large,),
    "startup": (starting.commands,),
    "mark": (marking.many,),
    "venv": (creation.environments,),
    "recipes": (recipes.python_environment,),
    "run": (running.in_a_project,),
    "watch": (watching.live,),
}


def measure(bench: Bench, groups: Iterable[str]) -> list[report.Result]:
    """Run groups of benchmarks, and tell on standard error how far they are.

    Args:
        bench: where and how it is measured.
        groups: the groups' names.

    Returns:
        All figures, in the groups' order.
    """
    results: list[report.Result] = []
    for group in groups:
        for function in GROUPS[group]:
            print(f"measuring: {function.__doc__}", file=sys.stderr)
            # A home of its own: some commands take longer the more records there are.
            home = bench.place / "homes" / function.__module__ / function.__name__
            home.mkdir(parents=True)
            environment = {**bench.environment, "HOME": str(home)}
            results += function(bench._replace(environment=environment))
    return results


def main() -> int:
    """Run the benchmarks; returns 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument(
        "group", nargs="*", help=f"what to measure (default: all): {', '.join(GROUPS)}"
    )
    parser.add_argument("--runs", type=int, default=15, help="counted runs of each (default: 15)")
    parser.add_argument("--size", type=float, default=1.0, help="times 11,400 directories")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--directory", type=Path, help="where to work (default: a temporary one)")
    options = parser.parse_args()
    for group in options.group:
        if group not in GROUPS:
            parser.error(f"there is no group {group!r}; there are {', '.join(GROUPS)}")
    with tempfile.TemporaryDirectory(prefix="regrow-bench-", dir=options.directory) as place:
        print("installing regrow", file=sys.stderr)
        environment = quiet_environment(Path(place))
        bench = Bench(Path(place), environment, options.runs, options.size)
        results = measure(bench, options.group or GROUPS)
        described = report.machine(Path(place))
    write = report.as_json if options.json else report.as_table
    print(write(described, results))
    return int(any(result.exceeds for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
