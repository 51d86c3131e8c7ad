"""Figures and the bounds they have to keep, as a table and as JSON, with the machine described."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import searching
from benchmarks.measure import Timing

Description = dict[str, str | int]

_HEAD = ("what", "measured", "bound", "stretch", "", "peak MB", "")
_ALIGNED = "<>>><><"


class Result(NamedTuple):
    """One figure."""

    what: str
    value: float
    unit: str
    bound: float | None
    """What it may be at most; None: it is only shown."""
    detail: str
    stretch: float | None = None
    """What it should be at most."""
    memory: float | None = None
    """MB that the largest process had at most."""

    @property
    def exceeds(self) -> bool:
        """Whether the bound is exceeded."""
        return self.bound is not None and self.value > self.bound

    @property
    def verdict(self) -> str:
        """What the bounds say, in a word or two."""
        if self.exceeds:
            return "TOO MUCH"
        if self.bound is None:
            return ""
        return "ok, stretch" if self.stretch and self.value <= self.stretch else "ok"


class Comparison(NamedTuple):
    """Two commands of the same rounds, and how many times the second one's time is allowed."""

    what: str
    ours: str
    theirs: str
    bound: float | None = None
    stretch: float | None = None

    def of(self, timings: Mapping[str, Timing]) -> Result:
        """Give the ratio, with the times behind it."""
        ours, theirs = timings[self.ours], timings[self.theirs]
        detail = f"{ours.median:.0f} ms beside {theirs.median:.0f} ms"
        ratio = ours.times(theirs)
        return Result(self.what, ratio, "x", self.bound, detail, self.stretch, ours.memory)


def compare(timings: Mapping[str, Timing], *comparisons: Comparison) -> list[Result]:
    """Compare commands that ran in the same rounds; those that are not installed are left out."""
    return [
        each.of(timings) for each in comparisons if each.ours in timings and each.theirs in timings
    ]


def machine(place: Path) -> Description:
    """Describe the machine, as far as it bears on the figures.

    Args:
        place: where the trees are built.
    """
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count() or 1,
        "model": _processor_model(),
        "python": platform.python_version(),
        "file system": _file_system(place),
        **searching.versions(),
    }


def as_table(described: Description, results: Sequence[Result]) -> str:
    """Write everything for people."""
    rows = [_HEAD, *map(_row, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, _ALIGNED, widths, strict=True)
        lines.append("  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip())
    head = "; ".join(f"{key}: {value}" for key, value in described.items() if value)
    return "\n".join([head, "", *lines])


def as_json(described: Description, results: Sequence[Result]) -> str:
    """Write everything for programs."""
    figures = [{**result._asdict(), "exceeds": result.exceeds} for result in results]
    return json.dumps({"machine": described, "results": figures})


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.what,
        f"{result.value:.2f} {result.unit}",
        _number(result.bound),
        _number(result.stretch),
        result.verdict,
        _number(result.memory and round(result.memory)),
        result.detail,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _processor_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _file_system(place: Path) -> str:
    """Tell the type of the file system that a path is on; empty where the system doesn't say."""
    device = place.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    # proc(5): the device's number is the third field, the type the first one after a dash.
    types = (line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == number)
    return next(types, "")
