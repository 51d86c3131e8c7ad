"""Output that can't be written makes no traceback, and no other exit code."""

import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regrow.cli.main import COMMANDS
from tests.conftest import Regrow

RUN = (*Regrow.command, "run", "--")
TIME_LIMIT = 60  # seconds


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def unread() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def stuck() -> int:
    """A full pipe that nobody reads, and that doesn't block, as node leaves its streams."""
    _, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        return writing


def hung_up() -> int:
    """A terminal that is gone."""
    controlling, terminal = pty.openpty()
    os.close(controlling)
    return terminal


BROKEN: "list[Callable[[], int]]" = [unread, stuck, hung_up]
if os.path.exists("/dev/full"):
    BROKEN.append(full)


@pytest.fixture(params=BROKEN, ids=lambda make: make.__name__)
def broken(request: pytest.FixtureRequest) -> Iterator[int]:
    descriptor = request.param()
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def complaining(home: Path) -> None:
    """A configuration that `regrow run` complains of."""
    (home / ".config/regrow").mkdir(parents=True)
    (home / ".config/regrow/config.toml").write_text("colour = 1\n")


@pytest.mark.parametrize("end", ["exit 0", "exit 3", "kill -TERM $$", "kill -KILL $$"])
def test_run_ends_as_its_command_whoever_reads_its_messages(
    end: str, broken: int, complaining: None
) -> None:
    alone = subprocess.run(["sh", "-c", end], timeout=TIME_LIMIT).returncode
    done = subprocess.run([*RUN, "sh", "-c", end], stderr=broken, timeout=TIME_LIMIT)
    assert done.returncode == alone
    done = subprocess.run([*RUN, "sh", "-c", end], stdout=broken, stderr=broken, timeout=TIME_LIMIT)
    assert done.returncode == alone


def test_run_says_127_whoever_reads_it(broken: int) -> None:
    done = subprocess.run([*RUN, "no-such-command"], stderr=broken, timeout=TIME_LIMIT)
    assert done.returncode == 127


def test_run_tells_of_a_mark_on_a_terminal_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    controlling, terminal = pty.openpty()
    text = "mkdir -p node_modules/a; read line; exit 3"
    with subprocess.Popen(
        [*RUN, "sh", "-c", text], stdin=subprocess.PIPE, stderr=terminal, cwd=tmp_path
    ) as running:
        os.close(terminal)
        os.close(controlling)
        running.communicate(b"\n", timeout=TIME_LIMIT)
    assert running.returncode == 3


def test_a_fault_of_regrows_own_leaves_the_command_its_exit_code(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The double stands in for a fault that nobody has found."""
    double = (
        "import sys\n"
        "from regrow import config\n"
        "def fail(): raise ValueError('a fault')\n"
        "config.read = fail\n"
        "from regrow.cli.main import script\n"
        "sys.argv = ['regrow', 'run', '--', 'sh', '-c', 'exit 3']\n"
        "sys.exit(script())\n"
    )
    words = [regrow.command[0], "-c", double]
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 3
    assert done.stderr == "regrow: nothing more is marked here: ValueError: a fault\n"


WORDS = {
    "venv": ("--help",),
    "mark": ("out",),
    "unmark": ("out",),
    "status": ("out",),
    "sweep": ("--dry-run", "."),
    "undo": ("--dry-run",),
    "run": ("--help",),
    "hook": ("bash",),
    "completion": ("bash",),
    "watch": ("--help",),
    "service": ("status",),
    "rebuild": ("--dry-run",),
    "export": ("rsync",),
    "explain": ("out",),
}


@pytest.mark.parametrize(
    "broken",
    [unread, *(pytest.param(one, marks=pytest.mark.slow) for one in BROKEN if one is not unread)],
    indirect=True,
)
@pytest.mark.parametrize("words", [*((name,) for name in COMMANDS), ("--help",), ("--version",)])
def test_no_command_ends_with_a_traceback_where_its_output_goes_nowhere(
    words: tuple[str, ...], broken: int, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for more in {WORDS.get(words[0], ()), ("--help",)}:
        done = subprocess.run(
            [*Regrow.command, *words, *more],
            stdin=subprocess.DEVNULL,
            stdout=broken,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            timeout=TIME_LIMIT,
        )
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.returncode in (0, 1)


def test_help_that_nobody_reads_to_its_end_is_no_fault(broken: int) -> None:
    done = subprocess.run(
        [*Regrow.command, "mark", "--help"], stdout=broken, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"), [(("mark",), 2), (("mark", "missing"), 1), (("no-such",), 2)]
)
def test_an_error_that_nobody_reads_has_its_exit_code(
    words: tuple[str, ...], code: int, broken: int
) -> None:
    done = subprocess.run([*Regrow.command, *words], stderr=broken, timeout=TIME_LIMIT)
    assert done.returncode == code
