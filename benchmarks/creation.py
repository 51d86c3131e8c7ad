"""``regrow venv`` beside the creator that it calls."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import SOURCE, Bench, Run, Timing, rounds
from benchmarks.report import Result

_BOUND = 1.5  # times uv alone


def environments(bench: Bench) -> list[Result]:
    """Making environments by regrow venv --creator uv, beside uv venv."""
    tools = bench.place / "tools/bin"
    ours, theirs = bench.place / "ours", bench.place / "theirs"

    def fresh() -> None:
        for path in (ours, theirs):
            shutil.rmtree(path, ignore_errors=True)

    def side_by_side(path: str) -> dict[str, Timing]:
        return rounds(
            {
                "uv": Run([bench.tool("uv"), "venv", "-q", str(theirs)], fresh),
                "regrow": Run([bench.tool("regrow"), "venv", "--creator", "uv", str(ours)], fresh),
            },
            bench._replace(environment={**bench.environment, "PATH": path}),
        )

    users = [part for part in os.environ["PATH"].split(":") if Path(part) != SOURCE / ".venv/bin"]
    usual = side_by_side(":".join([*users, str(tools)]))
    quick = side_by_side(f"{tools}:/usr/bin:/bin")
    detail = (
        f"your PATH: {_beside(usual)}; where the first python on PATH is a real one:"
        f" {_beside(quick)}"
    )
    ratio = usual["regrow"].times(usual["uv"])
    return [Result("venv --creator uv / uv venv", ratio, "x", _BOUND, detail)]


def _beside(timings: Mapping[str, Timing]) -> str:
    return f"{timings['regrow'].median:.0f} ms beside {timings['uv'].median:.0f} ms"
