"""Builds a tree like a developer's home of projects: ``python -m benchmarks.tree DIRECTORY``.

Each project holds sources, nested and of all sizes, and one directory that can be rebuilt. The
same arguments give the same tree.
"""

import argparse
import os
import random
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

_PROJECTS = 250
_ENTERED = 11_400  # directories that remain once the rebuildable ones are not entered
_GROUP = 25  # projects in one directory
_COPIES = 25  # of what a kind has in plenty: moderate, since nobody looks into it
_SEED = 10

# Most directories hold a few files, some very many: 10 on average.
_FILES_MEAN_OF_LOG, _FILES_DEVIATION_OF_LOG, _FILES_LIMIT = 2.0, 0.8, 300
_PROJECT_DEVIATION_OF_LOG = 0.8  # projects' sizes: the largest is some twenty times the smallest

# Among them are names that rules know, without their evidence, as everywhere.
_WORDS = tuple(
    """
    api app assets auth bin cache client common components config core data db docs domain errors
    events examples fixtures forms handlers helpers hooks images internal io jobs layout lib locale
    main migrations models net packages pages parser plugins public render resources routes schema
    scripts search server services shared src static store styles tasks templates tests tools types
    ui utils v1 vendor views web widgets workers
    """.split()  # noqa: SIM905 - sixty lines of a list would say no more
)
_SUFFIXES = (".py", ".js", ".ts", ".tsx", ".rs", ".java", ".json", ".md", ".css", ".svg", ".txt")

_WHEN = "2026-01-01T00:00:00Z"
_GIT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_DATE": _WHEN,
    "GIT_COMMITTER_DATE": _WHEN,
}

_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"
_PACKAGES = "lib/python3.11/site-packages"
_RECORD = "".join(
    f"package_#{file},,\n"
    for file in ("/__init__.py", "/core.py", "-1.0.dist-info/METADATA", "-1.0.dist-info/RECORD")
)


class Kind(NamedTuple):
    """A kind of project, and the directory in it that can be rebuilt.

    Files are given by path and text; in the last ones a ``#`` stands for a running number.
    """

    weight: int
    directory: str
    beside: Mapping[str, str]
    inside: Mapping[str, str]
    in_plenty: Mapping[str, str]


KINDS = (
    Kind(
        30,
        "node_modules",
        {"package.json": "{}\n", "package-lock.json": "{}\n"},
        {".package-lock.json": "{}\n", ".bin/tsc": ""},
        {"package-#/package.json": "{}\n", "package-#/lib/index.js": ""},
    ),
    Kind(
        30,
        ".venv",
        {"pyproject.toml": "", "requirements.txt": ""},
        {"pyvenv.cfg": "home = /usr/bin\nversion = 3.11.7\n", "bin/python": ""},
        {
            f"{_PACKAGES}/package_#/__init__.py": "",
            f"{_PACKAGES}/package_#/core.py": "",
            f"{_PACKAGES}/package_#-1.0.dist-info/METADATA": "Name: package-#\nVersion: 1.0\n",
            f"{_PACKAGES}/package_#-1.0.dist-info/RECORD": _RECORD,
        },
    ),
    Kind(
        12,
        "target",
        {"Cargo.toml": "", "Cargo.lock": ""},
        {"CACHEDIR.TAG": _TAG, ".rustc_info.json": "{}\n"},
        {"debug/deps/crate_#.d": "", "debug/build/crate-#/output": ""},
    ),
    Kind(6, ".tox", {"tox.ini": ""}, {"py311/pyvenv.cfg": ""}, {"py311/lib/module_#.py": ""}),
    Kind(4, ".nox", {"noxfile.py": ""}, {"tests/pyvenv.cfg": ""}, {"tests/lib/module_#.py": ""}),
    Kind(4, ".mypy_cache", {"setup.py": ""}, {"CACHEDIR.TAG": _TAG}, {"3.11/module_#.json": ""}),
    Kind(4, ".next", {"next.config.mjs": ""}, {"BUILD_ID": ""}, {"cache/webpack/#.pack": ""}),
    Kind(4, ".gradle", {"build.gradle.kts": ""}, {}, {"8.9/#/file.lock": ""}),
    Kind(3, "_build", {"mix.exs": ""}, {}, {"dev/lib/part_#/ebin/part.beam": ""}),
    Kind(3, ".dart_tool", {"pubspec.yaml": ""}, {"version": ""}, {"build/part-#/part.dill": ""}),
)
NAMES = tuple(kind.directory for kind in KINDS)
"""What a search by name alone does not enter: it finds the same as the rules in such a tree."""


class Tree(NamedTuple):
    """What was built."""

    path: Path
    rebuildable: int
    entered: int
    """Directories that remain once the rebuildable ones are not entered, the top one included."""


def build(path: Path, size: float = 1.0) -> Tree:
    """Build a tree.

    Args:
        path: where; it must not exist.
        size: 1.0 is 250 projects and 11,400 directories besides what can be rebuilt in them.

    Returns:
        What was built.
    """
    chance = random.Random(_SEED)
    projects = [
        path / f"group-{number // _GROUP:03}/project-{number:04}"
        for number in range(max(1, round(_PROJECTS * size)))
    ]
    kinds = chance.choices(KINDS, [kind.weight for kind in KINDS], k=len(projects))
    groups = {project.parent for project in projects}
    entered = max(round(_ENTERED * size), 1 + len(groups) + len(projects))
    counts = _shares(entered - 1 - len(groups) - len(projects), len(projects), chance)
    for project, kind, count in zip(projects, kinds, counts, strict=True):
        project.mkdir(parents=True)
        _write_sources(str(project), count, chance)
        _write(project, {**kind.beside, ".gitignore": f"/{kind.directory}/\n"})
        _write(project / kind.directory, kind.inside)
        _write(project / kind.directory, dict(_repeated(kind.in_plenty)))
    return Tree(path, len(projects), entered)


def make_repositories(tree: Tree) -> None:
    """Turn each project into a git repository with its sources committed."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_make_repository, sorted(tree.path.glob("group-*/project-*"))))


def _make_repository(project: Path) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    for words in (("init",), ("add", "."), (*who, "commit", "--message=Sources")):
        subprocess.run(
            ["git", "-C", project, *words],
            env=_GIT,
            capture_output=True,
            check=True,
        )


def _shares(total: int, count: int, chance: random.Random) -> list[int]:
    """Cut a number into shares of very different sizes."""
    weights = [chance.lognormvariate(0, _PROJECT_DEVIATION_OF_LOG) for _ in range(count)]
    whole = sum(weights)
    ends = [round(total * upto / whole) for upto in accumulate(weights, initial=0.0)]
    return [end - begin for begin, end in pairwise(ends)]


def _write_sources(project: str, count: int, chance: random.Random) -> None:
    """Make directories, each in any of those that are there already, and empty files in all."""
    places = [project]
    known = set(places)
    for number in range(count):
        place = f"{chance.choice(places)}/{chance.choice(_WORDS)}"
        if place in known:
            place += f"-{number}"
        os.mkdir(place)
        places.append(place)
        known.add(place)
    for place in places:
        files = chance.lognormvariate(_FILES_MEAN_OF_LOG, _FILES_DEVIATION_OF_LOG)
        for number in range(min(int(files), _FILES_LIMIT)):
            name = f"{chance.choice(_WORDS)}_{number}{chance.choice(_SUFFIXES)}"
            os.close(os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def _repeated(files: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for number in range(_COPIES):
        for path, text in files.items():
            yield path.replace("#", str(number)), text.replace("#", str(number))


def _write(place: Path, files: Mapping[str, str]) -> None:
    for directory in {(place / path).parent for path in files}:
        directory.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (place / path).write_text(text)


def main() -> None:
    """Build one tree and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tree", description=__doc__)
    parser.add_argument("directory", type=Path, help="where; it must not exist")
    parser.add_argument("--size", type=float, default=1.0, help="times the standard size")
    parser.add_argument("--git", action="store_true", help="make each project a git repository")
    options = parser.parse_args()
    tree = build(options.directory, options.size)
    if options.git:
        make_repositories(tree)
    print(f"{tree.entered:,} directories, and {tree.rebuildable:,} that can be rebuilt")


if __name__ == "__main__":
    main()
