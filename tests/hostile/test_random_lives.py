"""Random lives of a home: swept, moved, copied, broken, rebuilt, killed, restored, undone.

At every step each file that people planted is there, byte for byte, and each mark of regrow's is
answered for: by the record of this very directory, or by its signature, which the next sweep reads.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regrow.records.store import identity_of
from tests.hostile.helpers import LINUX_ONLY, has_attribute, read_records
from tests.rebuilding import Doubles, install_doubles
from tests.sweeping import Inside, age

pytestmark = LINUX_ONLY

SITE = "lib/python3.11/site-packages"
STEPS = 14  # of one life
COMMANDS = (
    ("sweep", "--yes"),
    ("rebuild", "--yes"),
    ("undo", "--yes"),
    ("venv", "--clear", "--creator", "uv", "a/.venv"),
)


class Life:
    """A home, and what people put where in it."""

    def __init__(self, code: Path, directory: Path, seed: int) -> None:
        self.code = code
        self.directory = directory
        self.regrow = Inside()
        self.chance = random.Random(seed)
        self.planted: dict[str, str] = {}
        """What was planted: each content is its own, its value the path it was planted at."""
        self.done: list[str] = []
        for name in ("a", "b"):
            self._environment(code / name)
            self._modules(code / name)
        (code / "letters").mkdir()
        self.plant()

    def _environment(self, project: Path) -> None:
        project.mkdir(exist_ok=True)
        (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        assert self.regrow("venv", "--creator", "uv", project / ".venv").returncode == 0
        about = project / ".venv" / SITE / "a-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Name: a\nVersion: 1\n\n")

    def _modules(self, project: Path) -> None:
        (project / "package.json").write_text('{"dependencies": {"a": "1.0.0"}}')
        (project / "package-lock.json").write_text("{}")
        (project / "node_modules/a").mkdir(parents=True)
        (project / "node_modules/a/index.js").write_text("// a")
        lock = '{"name": "x", "packages": {"node_modules/a": {"version": "1.0.0"}}}'
        (project / "node_modules/.package-lock.json").write_text(lock)

    def candidates(self) -> list[Path]:
        return [
            path
            for path in (*self.code.rglob(".venv*"), *self.code.rglob("node_modules*"))
            if path.is_dir() and not path.is_symlink()
        ]

    # What happens.

    def plant(self) -> None:
        """People write files, into environments too."""
        places = [self.code / "letters", *self.candidates()]
        (self.code / "letters").mkdir(exist_ok=True)
        place = self.chance.choice(places)
        below = self.chance.choice(["", "data", "bin", SITE, "a"])
        with contextlib.suppress(OSError):
            (place / below).mkdir(parents=True, exist_ok=True)
            content = f"the work of day {len(self.planted)}"
            file = place / below / f"mine-{len(self.planted)}.txt"
            file.write_text(content)
            self.planted[content] = str(file)

    def sweep(self) -> None:
        if self.chance.random() < 0.5:
            age(self.code)
        self.regrow("sweep", "--yes", self.code)

    def rebuild(self) -> None:
        self.regrow("rebuild", "--yes")

    def undo(self) -> None:
        self.regrow("undo", "--yes")

    def mark(self) -> None:
        found = [path for path in (*self.candidates(), self.code / "letters") if path.is_dir()]
        if found:
            self.regrow("mark", self.chance.choice(found))

    def unplug_interpreter(self) -> None:
        """An upgrade takes an environment's interpreter away."""
        for path in self.code.rglob(".venv*"):
            python = path / "bin/python"
            if python.is_symlink():
                python.unlink()
                python.symlink_to("/nowhere/python")
                return

    def repair(self) -> None:
        for path in self.code.rglob(".venv"):
            python = path / "bin/python"
            if python.is_symlink() and not python.exists():
                python.unlink()
                python.symlink_to("/bin/true")
                return

    def move(self) -> None:
        found = [*self.candidates(), *(self.code / name for name in ("a", "b", "copy"))]
        found = [path for path in found if path.is_dir()]
        if found:
            path = self.chance.choice(found)
            path.rename(path.with_name(f"{path.name}-{len(self.done)}"))

    def copy(self) -> None:
        found = [*self.candidates(), *(self.code / name for name in ("a", "b"))]
        found = [path for path in found if path.is_dir()]
        if found:
            path = self.chance.choice(found)
            subprocess.run(["cp", "-a", path, path.with_name(f"c{len(self.done)}")], check=False)

    def restore(self) -> None:
        """The home comes from a backup that leaves out what is marked."""
        with_marks = [
            path for path in self.code.rglob("*") if path.is_dir() and has_attribute(path)
        ]
        for path in with_marks:
            shutil.rmtree(path, ignore_errors=True)
        there = self.contents()
        self.planted = {text: path for text, path in self.planted.items() if text in there}
        copy = self.code.with_name("restored")
        subprocess.run(["cp", "-r", self.code, copy], check=True)
        shutil.rmtree(self.code)
        copy.rename(self.code)

    def kill(self) -> None:
        """A command is killed before one of the calls by which it changes something."""
        words = self.chance.choice(COMMANDS)
        killed(self.chance.randrange(1, 60), words, self.code)

    # What must hold.

    def contents(self) -> set[str]:
        found = set()
        for file in self.code.rglob("mine-*.txt"):
            found.add(file.read_text())
        return found

    def check(self) -> None:
        lost = self.planted.keys() - self.contents()
        assert not lost, {text: self.planted[text] for text in lost}

    def check_marks(self) -> None:
        """After a sweep every mark is a record's; after undo of all there is none."""
        self.regrow("rebuild", "--yes")
        age(self.code)
        self.regrow("sweep", "--yes", self.code)
        known = {(record.inode, record.born) for record in read_records(self.directory)}
        for path in self.marked():
            with open_directory(path) as fd:
                assert identity_of(fd) in known, f"{path} is marked without a record"
        done = self.regrow("undo", "--yes")
        assert self.marked() == [], done.stdout + done.stderr
        self.check()

    def marked(self) -> list[Path]:
        return [Path(parent) for parent, _, _ in os.walk(self.code) if has_attribute(Path(parent))]


@contextlib.contextmanager
def open_directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def killed(number: int, words: tuple[str, ...], code: Path) -> None:
    """Run a command in a process that kills itself at its N-th call that changes something."""
    pid = os.fork()
    if pid == 0:
        left = number
        output = os.open(os.devnull, os.O_WRONLY)

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def instead(*args: object, **named: object) -> object:
                nonlocal left
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **named)

            return instead

        try:
            from regrow.create import aside, birth
            from regrow.rebuild import trees

            for name in ("rename", "unlink", "rmdir", "mkdir", "setxattr", "removexattr", "write"):
                setattr(os, name, counted(getattr(os, name)))
            for module in (aside, birth, trees):
                module.rename_exclusive = counted(module.rename_exclusive)  # type: ignore[attr-defined]
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(code)
            Inside()(*words)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


OPERATIONS = (
    Life.plant, Life.plant, Life.sweep, Life.sweep, Life.rebuild, Life.rebuild, Life.undo,
    Life.mark,
    Life.unplug_interpreter, Life.unplug_interpreter, Life.repair, Life.move, Life.copy,
    Life.restore, Life.kill, Life.kill, Life.kill,
)  # fmt: skip


def live(life: Life) -> None:
    for _ in range(STEPS):
        operation = life.chance.choice(OPERATIONS)
        life.done.append(operation.__name__)
        operation(life)
        try:
            life.check()
        except AssertionError as error:
            raise AssertionError(f"after {', '.join(life.done)}: {error}") from error
    try:
        life.check_marks()
    except AssertionError as error:
        raise AssertionError(f"at the end of {', '.join(life.done)}: {error}") from error


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


def lives(home: Path, directory: Path, count: int) -> None:
    first = int(os.environ.get("REGROW_TEST_SEED") or random.SystemRandom().getrandbits(30))
    for seed in range(first, first + count):
        code = home.resolve() / "code"
        for place in (code, home / ".local", home / ".cache"):
            shutil.rmtree(place, ignore_errors=True)
        code.mkdir()
        try:
            live(Life(code, directory, seed))
        except AssertionError as error:
            raise AssertionError(f"REGROW_TEST_SEED={seed}: {error}") from error


def test_nothing_is_lost_in_a_few_random_lives(
    doubles: Doubles, home: Path, records_directory: Path
) -> None:
    lives(home, records_directory, 8)


@pytest.mark.slow
def test_nothing_is_lost_in_many_random_lives(
    doubles: Doubles, home: Path, records_directory: Path
) -> None:
    lives(home, records_directory, 300)
