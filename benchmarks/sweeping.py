"""``regrow sweep``: with marking and recording, beside a dry run of the same tree."""

import subprocess
from pathlib import Path

from benchmarks.measure import Environment, Result, medians

PROJECTS = 250
_ORDINARY = 40  # directories in each project that are looked at in vain
_PACKAGES = 30  # in each node_modules
_MARKING_BOUND = 2.0  # times the dry sweep


def marking(place: Path, environment: Environment, runs: int) -> list[Result]:
    """A sweep that marks 250 directories, beside a dry one and one that finds them marked."""
    tree = place / "sweeping"
    build(tree)
    regrow = str(place / "tools/bin/regrow")
    sweep = [regrow, "sweep", "--yes", str(tree)]

    def fresh() -> None:
        subprocess.run(
            [regrow, "undo", "--yes", "-0"], env=environment, check=True, stdout=subprocess.DEVNULL
        )

    dry, first, again = medians(
        [
            (fresh, [regrow, "sweep", "--dry-run", str(tree)]),
            (lambda: None, sweep),
            (lambda: None, sweep),
        ],
        environment,
        runs,
    )
    fresh()
    shown = f"{first * 1000:.0f} ms beside {dry * 1000:.0f} ms"
    shown_again = f"{again * 1000:.0f} ms beside {dry * 1000:.0f} ms"
    return [
        Result(f"sweep marking {PROJECTS} / dry", first / dry, "x", _MARKING_BOUND, shown),
        Result(f"sweep, {PROJECTS} marked / dry", again / dry, "x", _MARKING_BOUND, shown_again),
    ]


def build(tree: Path) -> None:
    """Build projects, a third each of Node's, Cargo's and Python's."""
    for number in range(PROJECTS):
        project = tree / f"group-{number % 10}" / f"project-{number}"
        for index in range(_ORDINARY):
            (project / f"src/part-{index % 5}/{index}").mkdir(parents=True)
            (project / f"src/part-{index % 5}/{index}/source.txt").touch()
        (_node, _cargo, _python)[number % 3](project)


def _node(project: Path) -> None:
    (project / "package.json").write_text("{}")
    (project / "package-lock.json").write_text("{}")
    for index in range(_PACKAGES):
        (project / f"node_modules/package-{index}").mkdir(parents=True)


def _cargo(project: Path) -> None:
    (project / "Cargo.toml").touch()
    (project / "target/debug/deps").mkdir(parents=True)


def _python(project: Path) -> None:
    packages = project / ".venv/lib/python3.11/site-packages"
    for index in range(_PACKAGES):
        metadata = packages / f"package_{index}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Name: package-{index}\nVersion: 1.0\n")
        (metadata / "RECORD").touch()
    (project / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
