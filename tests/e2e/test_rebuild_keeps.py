"""An upgrade takes the interpreter away; whatever people had put into environments survives it."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Regrow
from tests.e2e.test_python_round_trip import make_wheel, run, with_uv
from tests.e2e.test_rebuild import settings
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    has_attribute,
    leftovers,
)
from tests.rebuilding import running, wait_for

pytestmark = [LINUX_ONLY, pytest.mark.needs("uv")]

__all__ = ["settings"]  # a fixture

CREATORS = {
    "uv": ("uv", "venv", "-q", "--python"),
    "virtualenv": (sys.executable, "-m", "virtualenv", "-q", "--no-seed", "--python"),
    "venv": None,
}
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

PLANTED = {
    "chapter-1.tex": "three months of work",
    "notebooks/field.ipynb": '{"cells": []}',
    "data/2026/results.csv": "0.42",
    "bin/deploy.sh": "#!/bin/sh",
    f"{SITE}/myhelpers.py": "def help(): ...",
    "share/jupyter/kernels/thesis/kernel.json": "{}",
    "etc/settings.ini": "[a]",
    "empty": "",
}
"""What has a free place in the new environment, by path."""

CHANGED = {
    "bin/activate": "\nexport SECRET=1\n",
    f"{SITE}/bolt.py": "\n# a fix of my own\n",
}
"""What is added to files that a creator or a package wrote: their place is taken."""


class Drill(NamedTuple):
    """A home with environments whose interpreter can be taken away."""

    place: Path
    python: Path

    def make(self, creator: str, name: str) -> Path:
        path = self.place / creator / name
        path.parent.mkdir(exist_ok=True)
        words = CREATORS[creator]
        if words is None:
            run(self.python, "-m", "venv", "--without-pip", path)
        else:
            run(*words, self.python, path)
        (path / "bin/python").unlink()
        (path / "bin/python").symlink_to(self.python)  # virtualenv links to where that leads
        with_uv(path, "bolt==1.0")
        return path

    def plant(self, path: Path) -> None:
        """Put one's own files into an environment, after its record was written."""
        for name, content in PLANTED.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(content)
        later = time.time() + 60
        for name, content in CHANGED.items():
            before = (path / name).read_text()
            (path / name).unlink()  # uv links it to its cache, which an editor leaves alone
            (path / name).write_text(before + content)
            os.utime(path / name, (later, later))
        with_uv(path, "nut==2.0")

    def upgrade(self) -> None:
        """Take the interpreter away, as a package manager does."""
        self.python.parent.parent.rename(self.python.parent.parent.with_name("python-next"))

    def lost(self, path: Path) -> list[str]:
        """Name what is nowhere any more that was planted in an environment."""
        places = [path, *(path.parent / name for name in leftovers(path.parent))]
        missing = []
        for name, content in PLANTED.items():
            if not any(_holds(place / name, content) for place in places):
                missing.append(name)
        for name, content in CHANGED.items():
            if not any(
                (place / name).exists() and content in (place / name).read_text()
                for place in places
            ):
                missing.append(name)
        if not any((place / SITE / "nut.py").exists() for place in places):
            missing.append("nut, which was installed since")
        return missing


def _holds(file: Path, content: str) -> bool:
    return file.is_file() and file.read_text() == content


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "wheels"
    make_wheel(place, "bolt")
    make_wheel(place, "nut", "2.0")
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(place))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")


@pytest.fixture
def drill(home: Path, tmp_path: Path) -> Drill:
    interpreter = tmp_path / "python-now/bin/python3"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(os.path.realpath(sys.executable))
    place = home.resolve() / "code"
    place.mkdir()
    return Drill(place, interpreter)


@pytest.mark.parametrize(
    "creators",
    # Where pip is installed first, rebuilding takes ten times as long.
    [["uv", "virtualenv"], pytest.param(list(CREATORS), marks=pytest.mark.slow)],
    ids="-".join,
)
def test_an_upgrade_of_the_interpreter_loses_nothing_in_any_creators_environment(
    creators: list[str], drill: Drill, regrow: Regrow, home: Path, records_directory: Path
) -> None:
    made = [drill.make(creator, "env") for creator in creators]
    assert regrow("sweep", "--yes", home).returncode == 0
    for path in made:
        assert has_attribute(path), "an ordinary environment is left out"
        drill.plant(path)
    drill.upgrade()
    done = regrow("rebuild", "--yes", "--jobs", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in made:
        assert subprocess.run([path / "bin/python", "-c", "import bolt, nut"]).returncode == 0
        assert drill.lost(path) == []
        for name, content in PLANTED.items():
            assert _holds(path / name, content), "it is where it was"
        [left] = [path.parent / n for n in leftovers(path.parent) if n.endswith(f"-{path.name}")]
        held = {str(f.relative_to(left)) for f in left.rglob("*") if f.is_file()}
        assert held == set(CHANGED), "only what has no free place is aside"
        assert not has_attribute(left), "and that is backed up"
        for command in (("list",), ("doctor",), ("rebuild", "--dry-run"), ("leftovers",)):
            assert str(left).replace(str(home), "~") in regrow(*command).stdout.replace(
                str(home.resolve()), "~"
            ), command
        assert str(left) in done.stdout
    assert_every_mark_has_its_record(drill.place, records_directory)


def test_leftovers_go_back_or_away_by_command(drill: Drill, regrow: Regrow, home: Path) -> None:
    path = drill.make("uv", "env")
    assert regrow("sweep", "--yes", home).returncode == 0
    drill.plant(path)
    drill.upgrade()
    assert regrow("rebuild", "--yes").returncode == 0
    [left] = [path.parent / name for name in leftovers(path.parent)]
    done = regrow("leftovers", "--put-back", left)
    assert done.returncode == 1
    assert "something else stands in its place" in done.stderr
    assert drill.lost(path) == []
    for name in CHANGED:
        (path / name).unlink()
    assert regrow("leftovers", "--put-back", left).returncode == 0
    assert not left.exists()
    assert CHANGED["bin/activate"] in (path / "bin/activate").read_text()
    (path / "bin/activate").rename(path / "mine")
    path.rename(left)
    assert regrow("leftovers", "--remove", left).returncode == 2, "nobody can be asked"
    assert (left / "mine").exists()
    assert regrow("leftovers", "--remove", "--yes", left).returncode == 0
    assert os.listdir(path.parent) == []


def kill_often(drill: Drill, regrow: Regrow, home: Path, directory: Path, rounds: int) -> None:
    seed = int(os.environ.get("REGROW_TEST_SEED") or random.SystemRandom().getrandbits(32))
    chance = random.Random(seed)
    said = f"REGROW_TEST_SEED={seed} chooses the same instants"
    path = drill.make("uv", "env")
    assert regrow("sweep", "--yes", home).returncode == 0
    drill.plant(path)
    drill.upgrade()
    next_python = drill.python.parent.parent.with_name("python-next")
    begun = time.monotonic()
    assert regrow("rebuild", "--yes").returncode == 0
    duration = time.monotonic() - begun
    for number in range(rounds):
        if not (path / "bin/python").is_symlink() or (path / "bin/python").exists():
            (path / "bin/python").unlink(missing_ok=True)
            if path.exists():
                (path / "bin").mkdir(exist_ok=True)
                (path / "bin/python").symlink_to(next_python / "gone")
        with running("rebuild", "--yes") as process:
            time.sleep(chance.random() * duration)
            process.kill()
            process.wait()
        wait_for(lambda: "another program" not in regrow("list").stdout)
        assert drill.lost(path) == [], f"round {number}; {said}"
        assert_every_mark_has_its_record(path.parent, directory)
    wait_for(lambda: "another program" not in regrow("rebuild", "--yes").stdout)
    assert drill.lost(path) == [], said
    assert regrow("undo", "--yes").returncode == 0
    for name in os.listdir(path.parent):
        assert not has_attribute(path.parent / name), f"{name} is left out after undo; {said}"


def test_a_few_kills_of_a_rebuild_lose_nothing(
    drill: Drill, regrow: Regrow, home: Path, records_directory: Path
) -> None:
    kill_often(drill, regrow, home, records_directory, 6)


@pytest.mark.slow
def test_200_kills_of_a_rebuild_lose_nothing(
    drill: Drill, regrow: Regrow, home: Path, records_directory: Path
) -> None:
    kill_often(drill, regrow, home, records_directory, 200)
