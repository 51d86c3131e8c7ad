"""Times whole processes side by side: interleaved, after warm-ups, medians."""

import os
import statistics
import subprocess
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent
WARM_UPS = 2

Environment = dict[str, str]
Run = tuple[Callable[[], object], Sequence[str]]
"""What is done before each run, untimed, and the command."""


class Result(NamedTuple):
    """One figure and the bound it has to keep."""

    what: str
    value: float
    unit: str
    bound: float
    detail: str

    @property
    def exceeds(self) -> bool:
        """Whether the bound is exceeded."""
        return self.value > self.bound

    def as_line(self) -> str:
        """Write it for people."""
        verdict = "TOO SLOW" if self.exceeds else "ok"
        figure = f"{self.value:.2f} {self.unit}"
        return f"{self.what:52} {figure:>14}  at most {self.bound:g}: {verdict}  ({self.detail})"

    def as_json(self) -> dict[str, str | float]:
        """Write it for programs."""
        return self._asdict()


def quiet_environment(place: Path) -> Environment:
    """Install regrow as users do, not editable, and give an environment that runs it alone."""
    home = place / "home"
    home.mkdir()
    tools = place / "tools"
    venv.create(tools, with_pip=True)
    pip = [str(tools / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(SOURCE / "constraints.txt"), str(SOURCE), "uv"], check=True)
    kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "UV_CACHE_DIR": str(place / "uv"),
        "PATH": f"{tools / 'bin'}:/usr/bin:/bin",
    }


def seconds(command: Sequence[str], environment: Environment) -> float:
    """Time one process from start to end."""
    before = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - before


def medians(runs: Sequence[Run], environment: Environment, count: int) -> list[float]:
    """Time commands in turn, so that a machine that slows down slows them all.

    Args:
        runs: preparations and commands.
        environment: the processes' environment.
        count: counted runs of each, after the warm-ups.

    Returns:
        The median of each, in seconds.
    """
    times: list[list[float]] = [[] for _ in runs]
    for number in range(WARM_UPS + count):
        for index, (prepare, command) in enumerate(runs):
            prepare()
            taken = seconds(command, environment)
            if number >= WARM_UPS:
                times[index].append(taken)
    return [statistics.median(each) for each in times]
