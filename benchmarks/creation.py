"""``regrow venv`` beside the creator that it calls."""

import shutil
from pathlib import Path

from benchmarks.measure import Environment, Result, medians

_BOUND = 1.5  # times uv alone


def environments(place: Path, environment: Environment, runs: int) -> list[Result]:
    """regrow venv --creator uv, beside uv venv."""
    tools = place / "tools/bin"
    ours, theirs = place / "ours", place / "theirs"

    def fresh() -> None:
        for path in (ours, theirs):
            shutil.rmtree(path, ignore_errors=True)

    uv, regrow = medians(
        [
            (fresh, [str(tools / "uv"), "venv", "-q", str(theirs)]),
            (fresh, [str(tools / "regrow"), "venv", "--creator", "uv", str(ours)]),
        ],
        environment,
        runs,
    )
    detail = f"{regrow * 1000:.0f} ms beside {uv * 1000:.0f} ms"
    return [Result("venv --creator uv / uv venv", regrow / uv, "x", _BOUND, detail)]
