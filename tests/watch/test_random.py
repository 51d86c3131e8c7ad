"""Random operations while it watches; then, when all is quiet, it holds what a sweep would do."""

import contextlib
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.helpers import LINUX_ONLY
from tests.sweeping import environment, git, modules
from tests.watch.watching import QUIET, Comparison, InThread, agrees_with_a_sweep

pytestmark = LINUX_ONLY

EVIDENCE = (
    "Cargo.toml", "package.json", "package-lock.json", "renv.lock", "pixi.toml", "setup.py",
    "go.mod", "angular.json",
)  # fmt: skip
DIRECTORIES = (
    "target", "node_modules/left-pad", "renv/library/R", ".pixi/envs", "build/lib", "vendor/a",
    ".angular/cache", "src/deep/down",
)  # fmt: skip


class Developer:
    """Somebody who does at random what developers do."""

    def __init__(self, place: Path, outside: Path, seed: int) -> None:
        self.place = place
        self.outside = outside
        self.random = random.Random(seed)
        self.count = 0

    def project(self) -> Path:
        """Choose a project, old or new, on some level."""
        levels = self.random.choice((("a",), ("a", "b"), ("a", "b", "c"), ("d",), ("d", "e")))
        return self.place.joinpath(*levels)

    def evidence(self) -> None:
        path = self.project() / self.random.choice(EVIDENCE)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")

    def directory(self) -> None:
        path = self.project() / self.random.choice(DIRECTORIES)
        path.mkdir(parents=True, exist_ok=True)

    def environment(self) -> None:
        self.count += 1
        environment(self.project() / f".venv-{self.count}")

    def forget(self) -> None:
        (self.project() / self.random.choice(EVIDENCE)).unlink()

    def remove(self) -> None:
        shutil.rmtree(self.project())

    def remove_inside(self) -> None:
        shutil.rmtree(self.project() / self.random.choice(DIRECTORIES).partition("/")[0])

    def rename(self) -> None:
        self.project().rename(self.project())

    def move_in(self) -> None:
        self.count += 1
        modules(self.outside / f"{self.count}/deep")
        environment(self.outside / f"{self.count}/deep/er/.venv")
        (self.outside / f"{self.count}").rename(self.project() / f"moved-{self.count}")

    def move_out(self) -> None:
        self.count += 1
        self.project().rename(self.outside / f"out-{self.count}")

    def link(self) -> None:
        path = self.project() / self.random.choice(("target", "node_modules", "build"))
        shutil.rmtree(path)
        path.symlink_to(self.outside)

    def recreate(self) -> None:
        path = self.project() / self.random.choice(("target", "node_modules", "build"))
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
        path.mkdir()

    def ignore(self) -> None:
        (self.project() / ".gitignore").write_text(self.random.choice(("", "build/\n", "target\n")))

    def keep(self) -> None:
        path = self.project() / ".regrow.toml"
        path.write_text(self.random.choice(("", 'keep = ["target"]\n')))

    def repository(self) -> None:
        git(self.project(), "init", "-q")

    def track(self) -> None:
        git(self.project(), "add", "--force", ".")

    def decisive(self) -> None:
        (self.project() / "vendor/modules.txt").touch()

    def pause(self) -> None:
        time.sleep(self.random.random() * 0.3)

    ACTIONS: tuple[Callable[["Developer"], None], ...] = (
        evidence, evidence, evidence, directory, directory, directory, environment, forget, remove,
        remove_inside, rename, move_in, move_out, link, recreate, recreate, ignore, keep,
        repository, track, decisive, pause, pause,
    )  # fmt: skip

    def act(self) -> None:
        action = self.random.choice(self.ACTIONS)
        with contextlib.suppress(OSError, subprocess.CalledProcessError):  # nothing to do it to
            action(self)


def check(code: Path, home: Path, seed: int, steps: int) -> None:
    print(f"seed {seed}")
    outside = home / "outside"
    outside.mkdir(exist_ok=True)
    developer = Developer(code, outside, seed)
    with InThread([code]) as watch:
        for _ in range(steps):
            developer.act()
        agrees_with_a_sweep(code)
        time.sleep(QUIET + 1)  # whatever it has still to do
        now = Comparison(code)
        assert now.agrees, str(now)
        below = {path for path in watch.watched if path != str(code)}
        assert all(Path(path).is_dir() for path in below)


def test_whatever_happens_it_agrees_with_a_sweep(code: Path, home: Path) -> None:
    check(code, home, 1, 150)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2360539616])
def test_what_went_wrong_once_is_right(code: Path, home: Path, seed: int) -> None:
    """A mark was taken back, and set again by what was found before."""
    check(code, home, seed, 400)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(30))
def test_whatever_else_happens_it_agrees_with_a_sweep(code: Path, home: Path, turn: int) -> None:
    check(code, home, random.SystemRandom().randrange(1 << 32), 400)
