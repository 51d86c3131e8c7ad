"""Every module that a hot command imports stands on a list here: to start is most of what they do.

Of regrow's own modules each is listed. Of the standard library's, those that are asked for: what
they bring along differs between Pythons, and the one that runs the test is asked for it. It is so
strict because an import at the wrong place costs more than all the work, and nothing else fails.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import regrow
import regrow_marks

SOURCES = ":".join(str(Path(*package.__path__).parent) for package in (regrow, regrow_marks))

# What site and its .pth files import differs between machines: it stays away, and so do packages
# that regrow depends on, which no hot command may need.
PYTHON = (sys.executable, "-I", "-S", "-c")
BEFORE = (
    "import sys; before = sys.modules.keys() | {'__main__'};"
    " sys.path[:0] = sys.argv.pop(1).split(':')"
)
COMMAND = "from regrow.cli.main import main; assert main(sys.argv[1:]) in (0, 1)"
AFTER = "print('imported', *sys.modules.keys() - before)"

# The mark of the system is another one on macOS.
MARKERS = ("attributes", "nodump", "signature", "tag", "timemachine", "xdg")
NOT_LISTED = (*(f"regrow_marks.{name}" for name in MARKERS), "encodings.")

ANY = """
    regrow regrow.cli regrow.cli.main regrow.cli.output regrow.create regrow.errors regrow_marks
    regrow_marks.errors regrow_marks.model regrow_marks.plain
"""
ANY_STANDARD = "__future__ argparse errno gc io os"
MARKING = """
    regrow.model     regrow.config regrow.marking regrow.recipes.recipe regrow.records.store
    regrow.records.format regrow.system.directories regrow.system.git regrow.system.own_files
    regrow.system.ownership regrow_marks.directory regrow_marks.libc regrow_marks.markers
    regrow_marks.safe_read
"""
MARKING_STANDARD = "_blake2 ctypes fcntl stat struct time"
PROJECT = """
    regrow.pipeline regrow.decide.decisions regrow.decide.guards regrow.decide.withdraw
    regrow.recipes.files regrow.recipes.harmless regrow.recipes.node regrow.records.index
    regrow.rules.compiled regrow.rules.loader
    regrow.scan.evidence regrow.scan.matching regrow.scan.project_root regrow.scan.walk
    regrow.system.cache regrow.system.mounts
"""
PROJECT_STANDARD = "fnmatch json marshal signal"


class Hot(NamedTuple):
    """A command that is called often, or while somebody waits."""

    words: tuple[str, ...]
    modules: str
    standard: str


HOT = {
    "mark": Hot(
        ("mark", "fresh"),
        f"{ANY} {MARKING} regrow.cli.mark regrow.decide.refusals regrow_marks.places",
        f"{ANY_STANDARD} {MARKING_STANDARD} pwd",
    ),
    "status": Hot(
        ("status", "node_modules"),
        f"{ANY} regrow.cli.status regrow.config regrow.programs.installed"
        " regrow.system.directories regrow.system.program regrow_marks.directory"
        " regrow_marks.effect regrow_marks.markers regrow_marks.programs regrow_marks.safe_read",
        f"{ANY_STANDARD} fcntl select signal stat time warnings",  # the last is os.get_exec_path's
    ),
    "run": Hot(
        ("run", "--", "true"),
        f"{ANY} {MARKING} {PROJECT} regrow.cli.run regrow.create.uv_project"
        " regrow.system.foreground",
        f"{ANY_STANDARD} {MARKING_STANDARD} {PROJECT_STANDARD}",
    ),
    "hook --check": Hot(
        ("hook", "--check", "STAMP"),
        f"{ANY} {MARKING} {PROJECT} regrow.cli.hook",
        f"{ANY_STANDARD} {MARKING_STANDARD} {PROJECT_STANDARD}",
    ),
    "hook bash": Hot(("hook", "bash"), f"{ANY} regrow.cli.hook", f"{ANY_STANDARD} signal"),
}


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose node_modules is marked, and a machine that has one backup program."""
    place = tmp_path / "shop"
    (place / "node_modules").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (place / name).write_text("{}\n")
    tar = tmp_path / "bin/tar"
    tar.parent.mkdir()
    tar.write_text("#!/bin/sh\necho 'tar (GNU tar) 1.35'\n")
    tar.chmod(0o755)
    (tar.parent / "true").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tar.parent))
    for _ in ("marks", "sees what was marked"):
        modules(COMMAND, "hook", "--check", str(stamp(home)), place=place)
    (tmp_path / "fresh").mkdir()
    return place


def stamp(home: Path) -> Path:
    return home / f".cache/regrow/hooks/{os.getpid()}-1"


def modules(code: str, *words: str, place: Path) -> set[str]:
    """Run code in a process of its own, and list what it has imported at its end."""
    done = subprocess.run(
        [*PYTHON, f"{BEFORE}\n{code}\n{AFTER}", SOURCES, *words],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    listed = done.stdout.splitlines()[-1].split()[1:]
    return {name for name in listed if not name.startswith(NOT_LISTED)}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_command_imports_what_is_listed_and_nothing_else(
    name: str, project: Path, home: Path
) -> None:
    hot = HOT[name]
    paths = {"STAMP": str(stamp(home)), "fresh": str(project.parent / "fresh")}
    imported = modules(COMMAND, *(paths.get(word, word) for word in hot.words), place=project)
    ours = set(hot.modules.split())
    ours |= {name.rpartition(".")[0] for name in ours if "." in name}  # the packages, all empty
    standard = modules(f"import {hot.standard.replace(' ', ', ')}", place=project)

    more = sorted(imported - ours - standard)
    assert not more, (
        f"`regrow {name}` has begun to import {', '.join(more)}: each of its starts pays for that."
        " Import it in the function that needs it. If every call needs it, measure the start"
        " (docs/performance.md) and add it to the lists in this file."
    )
    if sys.platform == "linux":
        less = sorted(ours - imported)
        assert not less, (
            f"`regrow {name}` no longer imports {', '.join(less)}: take it off the lists in this"
            " file, so that it stays away."
        )
