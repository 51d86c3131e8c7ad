"""``regrow sweep`` beside what finds directories by their names, and beside its own dry run."""

import os
import shutil
import sys
import time
from functools import cache
from pathlib import Path

from benchmarks import searching
from benchmarks.measure import Bench, Run, rounds
from benchmarks.report import Comparison, Result, compare
from benchmarks.tree import Tree, build, make_repositories

# What is bearable, and what is aimed at.
_FIRST_BOUNDS = 0.7, 0.55  # times find
_ALONE_BOUND = 1.0  # times find
_UNCHANGED_BOUNDS = 0.5, 0.42  # times fd
_MARKING_BOUND = 2.0  # times the first dry sweep
_REPOSITORIES_BOUND = 3.0  # times the first dry sweep without git
_LINEAR_BOUND = 1.2  # times the standard tree's seconds for a directory

_LARGE = 5  # times the standard size
_SETTLED = 3  # seconds; what changed less than two before a sweep is looked at again by the next


def scanning(bench: Bench) -> list[Result]:
    """Dry sweeps, the first and where nothing changed, beside find, fd and C that only reads."""
    tree = _standard(bench.place, bench.size).path
    find = Run(searching.find(tree))
    runs = {
        "find": find,
        "fd": Run(searching.fd(tree)),
        "reading": Run(searching.reading(tree, bench.place)),
        "first": _first(bench, tree),
        "unchanged": Run(_dry(bench, tree)),
    }
    if sys.platform == "linux":
        one = max(os.sched_getaffinity(0))
        runs["find alone"] = find._replace(processor=one)
        runs["first alone"] = runs["first"]._replace(processor=one)
    return compare(
        rounds(runs, bench),
        Comparison("first sweep / find", "first", "find", *_FIRST_BOUNDS),
        Comparison("first sweep / fd", "first", "fd"),
        Comparison("first sweep / C that only reads", "first", "reading"),
        Comparison("one processor: first sweep / find", "first alone", "find alone", _ALONE_BOUND),
        Comparison("nothing changed / fd", "unchanged", "fd", *_UNCHANGED_BOUNDS),
        Comparison("nothing changed / find", "unchanged", "find"),
        Comparison("nothing changed / C that only reads", "unchanged", "reading"),
    )


def marking(bench: Bench) -> list[Result]:
    """Sweeps that mark and record, beside a first dry one; then where all is marked."""
    tree, count = _standard(bench.place, bench.size)[:2]

    def take_back() -> None:
        bench.run(bench.tool("regrow"), "undo", "--yes", "-0")
        _forget_snapshot(bench)

    first = _first(bench, tree)
    sweep = [bench.tool("regrow"), "sweep", "--yes", str(tree)]
    marked = rounds(
        {
            "dry": first._replace(prepare=take_back),
            "marking": first._replace(words=sweep),
            "again": Run(sweep),
        },
        bench,
    )
    time.sleep(_SETTLED)
    settled = rounds({"fd": Run(searching.fd(tree)), "again": Run(sweep)}, bench)
    take_back()
    return [
        *compare(
            marked,
            Comparison(f"sweep marking {count} / first dry", "marking", "dry", _MARKING_BOUND),
            Comparison("the sweep after it / first dry", "again", "dry", _MARKING_BOUND),
        ),
        *compare(settled, Comparison(f"{count} marked, nothing changed / fd", "again", "fd")),
    ]


def repositories(bench: Bench) -> list[Result]:
    """Sweeps of projects that are git repositories, beside the same projects without git."""
    plain = _standard(bench.place, bench.size)
    tree = build(bench.place / "repositories", bench.size)
    make_repositories(tree)
    timings = rounds(
        {
            "plain": _first(bench, plain.path),
            "first": _first(bench, tree.path),
            "unchanged": Run(_dry(bench, tree.path)),
            "fd": Run(searching.fd(tree.path)),
        },
        bench,
    )
    count = tree.rebuildable
    return compare(
        timings,
        Comparison(f"{count} git, first / without git", "first", "plain", _REPOSITORIES_BOUND),
        Comparison(f"{count} git, nothing changed / first without", "unchanged", "plain"),
        Comparison(f"{count} git, nothing changed / fd", "unchanged", "fd"),
    )


def large(bench: Bench) -> list[Result]:
    """Dry sweeps of a tree five times as large; a third of the runs."""
    standard = _standard(bench.place, bench.size)
    tree = build(bench.place / "large", bench.size * _LARGE)
    timings = rounds(
        {
            "standard": _first(bench, standard.path),
            "find": Run(searching.find(tree.path)),
            "fd": Run(searching.fd(tree.path)),
            "first": _first(bench, tree.path),
            "unchanged": Run(_dry(bench, tree.path)),
        },
        bench,
        max(1, bench.runs // 3),
    )
    first, small = timings["first"], timings["standard"]
    count = f"{tree.entered:,} directories"
    each = first.times(small) * standard.entered / tree.entered
    detail = (
        f"{first.median * 1000 / tree.entered:.1f} µs beside"
        f" {small.median * 1000 / standard.entered:.1f} µs; {small.memory:.0f} MB there"
    )
    return [
        Result(f"{count}, each / standard", each, "x", _LINEAR_BOUND, detail, memory=first.memory),
        *compare(
            timings,
            Comparison(f"{count}, first sweep / find", "first", "find", *_FIRST_BOUNDS),
            Comparison(f"{count}, nothing changed / fd", "unchanged", "fd", *_UNCHANGED_BOUNDS),
        ),
    ]


@cache
def _standard(place: Path, size: float) -> Tree:
    return build(place / "standard", size)


def _dry(bench: Bench, tree: Path) -> list[str]:
    return [bench.tool("regrow"), "sweep", "--dry-run", str(tree)]


def _first(bench: Bench, tree: Path) -> Run:
    return Run(_dry(bench, tree), lambda: _forget_snapshot(bench))


def _forget_snapshot(bench: Bench) -> None:
    """Empty regrow's cache, but for the compiled rules."""
    caches = "Library/Caches" if sys.platform == "darwin" else ".cache"
    place = Path(bench.environment["HOME"], caches, "regrow")
    for path in place.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "rules":
            path.unlink()
