"""``regrow venv`` beside the creator that it calls."""

import os
import shutil
from pathlib import Path

from benchmarks.measure import SOURCE, Environment, Result, medians

_BOUND = 1.5  # times uv alone


def environments(place: Path, environment: Environment, runs: int) -> list[Result]:
    """Making environments by regrow venv --creator uv, beside uv venv."""
    tools = place / "tools/bin"
    ours, theirs = place / "ours", place / "theirs"

    def fresh() -> None:
        for path in (ours, theirs):
            shutil.rmtree(path, ignore_errors=True)

    def side_by_side(path: str) -> tuple[float, float]:
        uv, regrow = medians(
            [
                (fresh, [str(tools / "uv"), "venv", "-q", str(theirs)]),
                (fresh, [str(tools / "regrow"), "venv", "--creator", "uv", str(ours)]),
            ],
            {**environment, "PATH": path},
            runs,
        )
        return uv, regrow

    users = [part for part in os.environ["PATH"].split(":") if Path(part) != SOURCE / ".venv/bin"]
    uv, regrow = side_by_side(":".join([*users, str(tools)]))
    quick_uv, quick_regrow = side_by_side(f"{tools}:/usr/bin:/bin")
    detail = (
        f"your PATH: {regrow * 1000:.0f} ms beside {uv * 1000:.0f} ms; where the first python on"
        f" PATH is a real one: {quick_regrow * 1000:.0f} ms beside {quick_uv * 1000:.0f} ms"
    )
    return [Result("venv --creator uv / uv venv", regrow / uv, "x", _BOUND, detail)]
