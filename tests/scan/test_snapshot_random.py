"""Trees that change at random between sweeps: each finds and decides as if it were the first."""

import configparser  # noqa: F401 - recipes import these late, when an ordinary user can't
import contextlib
import email.parser  # noqa: F401
import json  # noqa: F401
import os
import random
import shutil
import subprocess
import time
import tomllib  # noqa: F401
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import regrow.decide.cache
from regrow.config import Configuration
from regrow.decide import decisions
from regrow.decide.cache import Memory
from regrow.model import Candidate, Scope
from regrow.scan import incremental, snapshot
from regrow_marks import tag, xdg
from tests import attributes
from tests.conftest import NOBODY
from tests.hostile.helpers import LINUX_ONLY
from tests.scan import surveying
from tests.scan.test_reference import PARTS, PLACES, build
from tests.sweeping import git

pytestmark = LINUX_ONLY

REAL_FRESH = snapshot.FRESH
HOUR = 3600
DEEP = [
    *PLACES, "a/b/c", "a/b/node_modules", "d", "d/e", "d/target", "a/renv", "a/renv/library/R/x",
    "a/.moon", "a/.moon/cache/x", "d/.terraform", "d/.terraform/providers/x", "venv/bin",
    "node_modules/x/a", "target/x/a", "env/conda-meta", "d/cmake-build-debug",
]  # fmt: skip
AT_HOME = [".virtualenvs/a", ".local/share/virtualenvs/b", ".local/share/other/venv", ".hidden/a"]
IGNORED = ("", "build/\n", "target\nvendor/\n", "*\n", "!target\n")


class Developer:
    """Somebody who changes trees at random, in every way that may matter to a scan."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.home = home
        self.outside = home.parent / "outside"
        self.outside.mkdir(exist_ok=True)
        self.random = chance
        self.roots = [home / "code", home / "code/d", home / "more", home]
        self.locked: list[Path] = []
        self.found: list[Candidate] = []
        """What the last sweep has found."""
        self.count = 0

    def start(self) -> list[Path]:
        """Choose the start directories: one, several, one within another, one that is missing."""
        code, nested, more, home = self.roots
        return self.random.choice(
            ([code], [code], [code, more], [nested, code], [code, code / "target"], [home],
             [home, code / "a"], [code, code / "renv/library", more], [code / "one/p"])
        )  # fmt: skip

    def root(self) -> Path:
        return self.random.choice(self.roots[:3])

    def entries(self, wanted: Callable[[Path], bool]) -> list[Path]:
        found = []
        for root in (self.roots[0], self.roots[2]):
            for parent, directories, files in os.walk(root):
                if ".git" in directories:
                    directories.remove(".git")
                found += [Path(parent, name) for name in (*directories, *files)]
        return [path for path in found if wanted(path)]

    def any_of(self, wanted: Callable[[Path], bool]) -> Path:
        found = self.entries(wanted)
        if not found:
            raise FileNotFoundError
        return self.random.choice(found)

    def directory(self) -> Path:
        return self.any_of(lambda path: path.is_dir() and not path.is_symlink())

    def file(self) -> Path:
        return self.any_of(Path.is_file)

    def fresh(self, parent: Path) -> Path:
        self.count += 1
        return parent / self.random.choice(("target", "node_modules", "x", f"new-{self.count}"))

    # What may happen.

    def add(self) -> None:
        first = self.random.randrange(len(PARTS))
        parts = self.random.choices(PARTS[first : first + 6], k=self.random.randint(1, 4))
        place = self.random.choice(DEEP)
        build(self.root(), [(place, part) for part in parts])

    def add_at_home(self) -> None:
        place = self.home / self.random.choice(AT_HOME)
        place.mkdir(parents=True, exist_ok=True)
        build(self.home, [(str(place.relative_to(self.home)), self.random.choice(PARTS))])

    def fill(self) -> None:
        """Put what a rule recognises into what is recognised."""
        place = Path(self.random.choice(self.found).path) / "deep"
        (place / "er/node_modules").mkdir(parents=True)
        (place / "er/package.json").touch()

    def forget(self) -> None:
        """Take away what a candidate was recognised by."""
        candidate = self.random.choice(self.found)
        for name in candidate.evidence[:1]:
            inside = name.removeprefix("inside/")
            place = candidate.project if inside == name else candidate.path
            Path(place, inside).rename(Path(place, inside + ".away"))

    def remember(self) -> None:
        path = self.any_of(lambda path: path.suffix == ".away")
        path.rename(path.with_suffix(""))

    def make(self) -> None:
        (self.directory() / self.random.choice(DEEP)).mkdir(parents=True)

    def remove(self) -> None:
        path = self.any_of(os.path.lexists)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def remove_a_file(self) -> None:
        self.file().unlink()

    def rename(self) -> None:
        self.directory().rename(self.fresh(self.directory()))

    def rename_to_what_a_rule_names(self) -> None:
        path = self.directory()
        path.rename(path.with_name(self.random.choice(("target", "build", "vendor", "renv"))))

    def move_out(self) -> None:
        self.count += 1
        self.directory().rename(self.outside / f"{self.count}")

    def move_in(self) -> None:
        known = list(self.outside.iterdir())
        if known:
            self.random.choice(known).rename(self.fresh(self.directory()))

    def exchange(self) -> None:
        one = self.directory()
        other = self.any_of(lambda path: path.is_dir() and not path.is_symlink() and path != one)
        surveying.exchange(one, other)

    def twins(self) -> None:
        """Make two trees whose directories have equal names, and often equal times."""
        place = self.random.choice((self.roots[0], self.directory()))
        for name in ("one", "two"):
            (place / name / "p/target/deep/node_modules").mkdir(parents=True)
            (place / name / "p/venv/bin").mkdir(parents=True)
        (place / "one/p/Cargo.toml").touch()
        (place / "two/p/target/deep/package.json").touch()
        (place / "two/p/venv/bin/python").symlink_to("/nowhere")
        (place / "two/p/venv/pyvenv.cfg").touch()

    def exchange_twins(self) -> None:
        one = self.any_of(lambda path: "one" in path.parts and path.is_dir())
        other = Path(*("two" if part == "one" else part for part in one.parts))
        surveying.exchange(one, other)

    def link(self) -> None:
        path = self.directory()
        away = path.with_name(f"{path.name}.away")
        path.rename(away)
        path.symlink_to(self.random.choice((away, self.outside, "nowhere")))

    def unlink(self) -> None:
        path = self.any_of(Path.is_symlink)
        path.unlink()
        away = path.with_name(f"{path.name}.away")
        if away.exists():
            away.rename(path)
        else:
            path.mkdir()

    def replace_a_file(self) -> None:
        path = self.file()
        path.unlink()
        self.random.choice((path.mkdir, path.touch, lambda: path.symlink_to("nowhere")))()

    def replace_by_an_equal(self) -> None:
        path = self.directory()
        shutil.rmtree(path)
        path.mkdir()

    def configure(self) -> None:
        sources = self.outside / "sources"
        path = self.any_of(lambda path: path.name == "CMakeCache.txt" and path.is_file())
        value = self.random.choice((sources, path.parent, path.parent.parent, "/usr"))
        path.write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={value}\n")
        self.random.choice((sources.mkdir, sources.rmdir))()

    def write_a_tag(self) -> None:
        path = self.any_of(lambda path: path.name == tag.NAME and path.is_file())
        path.write_bytes(self.random.choice((tag.SIGNATURE, b"Signature: other", b"")))

    def interpreter(self) -> None:
        path = self.any_of(lambda path: path.name == "bin") / "python"
        if path.is_symlink():
            path.unlink()
        else:
            path.symlink_to("/nowhere/python")

    def history(self) -> None:
        path = self.any_of(lambda path: path.name == "conda-meta") / "history"
        if path.exists():
            path.unlink()
        else:
            path.touch()

    def mark(self) -> None:
        value = self.random.choice((xdg.VALUE, xdg.VALUE, b"true", b"else"))
        attributes.put(self.directory(), xdg.ATTRIBUTE, value)

    def unmark(self) -> None:
        attributes.remove(self.any_of(_is_marked), xdg.ATTRIBUTE)

    def lock(self) -> None:
        path = self.directory()
        path.chmod(self.random.choice((0, 0o111, 0o444)))
        self.locked.append(path)

    def unlock(self) -> None:
        locked, self.locked = self.locked, []
        for path in reversed(locked):
            with contextlib.suppress(OSError):
                path.chmod(0o755)

    def fake_times(self) -> None:
        path = self.any_of(os.path.lexists)
        when = time.time() + self.random.choice((-40 * 365 * 24, -1, 0, 1, 1000)) * HOUR
        os.utime(path, (when, when), follow_symlinks=False)

    def repository(self) -> None:
        git(self.directory().parent, "init", "-q")

    def track(self) -> None:
        git(self.directory(), "add", "--force", ".")

    def untrack(self) -> None:
        git(self.directory(), "rm", "-r", "-q", "--cached", "--force", ".")

    def ignore(self) -> None:
        (self.directory().parent / ".gitignore").write_text(self.random.choice(IGNORED))

    def keep(self) -> None:
        text = self.random.choice(("", 'keep = ["target"]\n', 'keep = ["*"]\n', "keep = 7\n"))
        (self.directory().parent / ".regrow.toml").write_text(text)

    ACTIONS: tuple[Callable[["Developer"], None], ...] = (
        add, add, add, add, add, add, add_at_home, fill, fill, forget, forget, forget, remember,
        remember, make, make, remove, remove_a_file, remove_a_file,
        rename, rename, rename_to_what_a_rule_names, move_out, move_in, exchange, exchange, twins,
        exchange_twins, link, unlink, replace_a_file, replace_by_an_equal, configure, configure,
        write_a_tag, interpreter, history, mark, mark, unmark, lock, unlock, unlock, fake_times,
    )  # fmt: skip
    ACTIONS_OF_GIT = (repository, track, untrack, ignore, ignore, keep)

    def act(self, *, uses_git: bool) -> None:
        actions = (*self.ACTIONS, *self.ACTIONS_OF_GIT) if uses_git else self.ACTIONS
        # There may be nothing to do it to, or it is locked.
        with contextlib.suppress(OSError, IndexError, subprocess.CalledProcessError):
            self.random.choice(actions)(self)


def _is_marked(path: Path) -> bool:
    try:
        return xdg.ATTRIBUTE in attributes.names(path)
    except OSError:
        return False


def set_up(chance: random.Random) -> None:
    """Choose how this sweep works; its fresh times are believed where it waits for the clock."""
    is_patient = chance.random() < 0.8
    fresh = 0 if is_patient else REAL_FRESH
    # A clock that goes backwards makes everything fresh.
    behind = chance.choice((0,) * 9 + (HOUR,)) * 10**9
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() - behind)
    for module, name, value in (
        (snapshot, "FRESH", fresh),
        (regrow.decide.cache, "FRESH", fresh),
        (incremental, "_KEPT_FROM", 0),
        (incremental, "_MOSTLY", chance.choice((0, 0, 0, 4))),
        (incremental, "_FORK_AFTER", chance.choice((1, 10, 1000))),
        (incremental, "_SHARED_FROM", chance.choice((1, 1000))),
        (snapshot, "_SECTION", chance.choice((1, 7, 1024))),
        (incremental, "time", clock),
    ):
        setattr(module, name, value)  # for the rest of this process, which is the test's own
    if is_patient:
        surveying.settle()


def check(seed: int, steps: int, home: Path, uses_git: bool) -> tuple[int, int]:
    """Change and sweep by turns; give how many sweeps there were, and how many used a snapshot."""
    chance = random.Random(seed)
    developer = Developer(home, chance)
    developer.roots[0].mkdir(exist_ok=True)
    start = developer.start()
    used = 0
    for step in range(steps):
        for _ in range(chance.choice((0, 1, 1, 1, 2, 4, 20))):
            developer.act(uses_git=uses_git)
        if chance.random() < 0.05:
            start = developer.start()
        set_up(chance)
        surveyed = incremental.survey(list(map(str, start)), surveying.RULES)
        expected = surveying.everything(start)
        assert surveyed.findings == expected, f"seed {seed}, step {step}, of {start}"
        used += surveyed.unchanged > 0
        developer.found = [one for one in surveyed.findings if isinstance(one, Candidate)]
        if uses_git:
            same_decisions(surveyed.findings, start, f"seed {seed}, step {step}, of {start}")
    developer.unlock()
    return steps, used


def same_decisions(findings: list[Any], start: list[Path], where: str) -> None:
    """Check that what is remembered is what would be decided now."""
    places = list(map(str, start))
    candidates = [finding for finding in findings if isinstance(finding, Candidate)]
    scope = Scope(places, Configuration(), ())
    known = decisions.decide(candidates, scope, None, Memory(scope))
    assert known == decisions.decide(candidates, scope), where


@pytest.fixture
def check_as_ordinary_user(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> Callable[..., None]:
    """Checks in a process of its own, for whom a locked directory is locked."""

    def checked(seed: int, steps: int, *, uses_git: bool = False) -> None:
        print(f"seed {seed}")
        home = open_place.resolve() / f"{seed}/home"
        home.mkdir(parents=True)
        if os.geteuid() == 0:
            for path in (home, home.parent):
                os.chown(path, NOBODY, NOBODY)

        def work() -> tuple[int, int]:
            os.environ["HOME"] = str(home)
            return check(seed, steps, home, uses_git)

        sweeps, used = as_ordinary_user(work)
        assert used > sweeps / 10, "it has compared one full scan with another"

    return checked


def some_seed() -> int:
    return random.SystemRandom().randrange(1 << 32)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 8))]
)
def test_whatever_changes_a_sweep_finds_what_a_first_one_would(
    check_as_ordinary_user: Callable[..., None], seed: int
) -> None:
    check_as_ordinary_user(seed, 40)


@pytest.mark.needs("git")
def test_whatever_changes_a_sweep_decides_what_a_first_one_would(
    check_as_ordinary_user: Callable[..., None],
) -> None:
    check_as_ordinary_user(7, 30, uses_git=True)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(30))
def test_whatever_else_changes_a_sweep_finds_what_a_first_one_would(
    check_as_ordinary_user: Callable[..., None], turn: int
) -> None:
    check_as_ordinary_user(some_seed(), 100)


@pytest.mark.slow
@pytest.mark.needs("git")
@pytest.mark.parametrize("turn", range(5))
def test_whatever_else_changes_a_sweep_decides_what_a_first_one_would(
    check_as_ordinary_user: Callable[..., None], turn: int
) -> None:
    check_as_ordinary_user(some_seed(), 60, uses_git=True)
