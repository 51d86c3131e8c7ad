"""Times whole processes side by side: interleaved, after warm-ups, compared round by round."""

import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent
WARM_UPS = 2

Environment = dict[str, str]


class Bench(NamedTuple):
    """Where and how it is measured."""

    place: Path
    """A directory for whatever is built; programs are in ``tools/bin``."""
    environment: Environment
    """The processes' environment, with a ``HOME`` for what is measured."""
    runs: int
    """Counted runs of each command."""
    size: float
    """Times the standard size of the trees."""

    def tool(self, name: str) -> str:
        """Give the path of an installed program."""
        return str(self.place / "tools/bin" / name)

    def run(self, *words: str) -> None:
        """Run a command untimed, and drop its output."""
        subprocess.run(words, env=self.environment, stdout=subprocess.DEVNULL, check=True)


def _nothing() -> None:
    pass


class Run(NamedTuple):
    """A command that is timed."""

    words: Sequence[str]
    prepare: Callable[[], object] = _nothing
    """What is done before each run, untimed."""
    processor: int | None = None
    """The only one that it may use."""
    codes: Collection[int] = (0,)
    """The exit codes by which it did what it was to do."""


class Timing(NamedTuple):
    """What the counted runs of one command took."""

    seconds: Sequence[float]
    memory: float
    """MB that its largest process had at most, in any of the runs."""

    @property
    def median(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.seconds) * 1000

    def times(self, other: "Timing") -> float:
        """Compare with a command that ran in the same rounds: the median of the rounds' ratios.

        Whatever slows a machine down for a while slows down both runs of a round.
        """
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def more_than(self, other: "Timing") -> float:
        """Compare likewise: the median of the rounds' differences, in milliseconds."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return statistics.median(ours - theirs for ours, theirs in pairs) * 1000


def quiet_environment(place: Path) -> Environment:
    """Install regrow as users do, not editable, and give an environment that runs it alone.

    Args:
        place: a directory; the programs are put in ``tools`` there.

    Returns:
        The environment, without a ``HOME``.
    """
    tools = place / "tools"
    venv.create(tools, with_pip=True)
    pip = [str(tools / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pinned = ["--require-hashes", "-r", str(SOURCE / "constraints.txt")]
    subprocess.run([*pip, *pinned], check=True)
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", str(SOURCE / "marks"), str(SOURCE)], check=True
    )
    kept = {name: os.environ[name] for name in ("LANG", "TERM") if name in os.environ}
    return {
        **kept,
        "UV_CACHE_DIR": str(place / "uv"),
        "PATH": f"{tools / 'bin'}:/usr/bin:/bin",
    }


def timed(run: Run, environment: Environment) -> tuple[float, float]:
    """Run a command once.

    Returns:
        Its seconds from start to end, and the MB that its largest process had at most.
    """
    run.prepare()
    processor = "" if run.processor is None else str(run.processor)
    launch = [sys.executable, "-I", "-S", str(SOURCE / "benchmarks/launch.py"), processor]
    done = subprocess.run([*launch, *run.words], env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode not in run.codes:
        done.check_returncode()
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def seconds(words: Sequence[str], environment: Environment) -> float:
    """Time one process from start to end."""
    return timed(Run(words), environment)[0]


def rounds(runs: Mapping[str, Run], bench: Bench, count: int = 0) -> dict[str, Timing]:
    """Time commands in turn, so that a machine that slows down slows them all.

    Args:
        runs: the commands by name, in their order; one without words is left out.
        bench: where and how it is measured.
        count: counted runs of each, after the warm-ups, instead of the usual number.

    Returns:
        What each of them took.
    """
    measured: dict[str, list[tuple[float, float]]] = {
        name: [] for name, run in runs.items() if run.words
    }
    for _ in range(WARM_UPS + (count or bench.runs)):
        for name, figures in measured.items():
            figures.append(timed(runs[name], bench.environment))
    return {
        name: Timing([taken for taken, _ in figures[WARM_UPS:]], max(mb for _, mb in figures))
        for name, figures in measured.items()
    }
