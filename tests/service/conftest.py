"""regrow installed for good in a home of its own, and service managers that are no real ones."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import regrow
import regrow_marks
from tests.service import doubles

_PATIENCE = 30.0  # seconds
_AS_ON_A_MAC = (
    "import sys; from regrow.service import manager; from regrow.service.launchd import Launchd;"
    " manager.service_manager = lambda *_: Launchd();"
    " from regrow.cli.main import main; sys.exit(main())"
)


def make_tool(prefix: Path) -> Path:
    """Install this regrow in an environment of its own; gives its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    (packages,) = prefix.glob("lib/python*/site-packages")
    for package in (regrow, regrow_marks):
        shutil.copytree(package.__path__[0], packages / package.__name__)
    (developers,) = Path(sys.prefix).glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{developers}\n")
    return prefix / "bin/python"


def installed(python: Path) -> Path:
    """Give the directory of the regrow that ``make_tool`` has installed."""
    (package,) = python.parent.parent.glob("lib/python*/site-packages/regrow")
    return package


def hurry(python: Path) -> None:
    """Let an installed regrow look for an upgrade all the time."""
    file = installed(python) / "watch/upgrade.py"
    between, settled = "_BETWEEN = 60 * 60.0", "_SETTLED = 60.0"
    text = file.read_text()
    assert between in text
    assert settled in text
    file.write_text(text.replace(between, "_BETWEEN = 0.1").replace(settled, "_SETTLED = 0.2"))


def upgrade(python: Path) -> None:
    """Put another regrow in an installed one's place: what was marked is now noted."""
    file = installed(python) / "cli/watch.py"
    text = file.read_text()
    assert 'print(f"marked ' in text
    file.write_text(text.replace('print(f"marked ', 'print(f"noted '))


def wait_for(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and give it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it took too long")


def watching(home: Path) -> int | None:
    """Give the process that holds the lock, as its file tells."""
    try:
        number = int((home / ".local/share/regrow/watch.lock").read_text().partition("\n")[0] or 0)
    except FileNotFoundError:
        return None
    return number if number and Path(f"/proc/{number}/cmdline").exists() else None


def everything_in(home: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Give all that a home holds, by path: links and files with what they hold."""
    found = {}
    for path in home.rglob("*"):
        name = str(path.relative_to(home))
        if not any(name == part or name.startswith(f"{part}/") for part in but):
            is_plain = path.is_file() and not path.is_symlink()
            found[name] = path.read_bytes() if is_plain else os.fsencode(os.path.realpath(path))
    return found


class Service:
    """Runs ``regrow service`` from an installation, beside a double of one service manager."""

    def __init__(self, title: str, home: Path, python: Path, double: Path) -> None:
        self.title = title
        self.home = home
        self.python = python
        self.double = double
        launch_agent = home / "Library/LaunchAgents/regrow.watch.plist"
        unit = home / ".config/systemd/user/regrow-watch.service"
        self.file = launch_agent if title == "launchd" else unit

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        how = ["-c", _AS_ON_A_MAC] if self.title == "launchd" else ["-P", "-m", "regrow"]
        return subprocess.run(
            [self.python, *how, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, action: str) -> "subprocess.CompletedProcess[str]":
        return self.run("service", action)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.run("service", "status", "--json").stdout)
        return status

    def finding(self, name: str, place: Path) -> dict[str, str]:
        """Give what ``regrow doctor`` says of something."""
        lines = self.run("doctor", "--json", str(place)).stdout.splitlines()
        (found,) = (line for line in map(json.loads, lines) if line["name"] == name)
        assert isinstance(found, dict)
        return found

    def words(self) -> list[str]:
        """Give what the manager was told to do, questions aside."""
        file = self.double / "words"
        said = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        asking = {"show", "list", "print", "reset-failed", "journalctl"}
        kept = [words for words in said if asking.isdisjoint(words)]
        return [" ".join(w for w in words if w != "--no-ask-password") for words in kept]

    def fail_at(self, word: str) -> None:
        (self.double / "fails").write_text(word)

    def pid(self) -> int | None:
        state = self.double / "state.json"
        pid: int | None = json.loads(state.read_text()).get("pid") if state.exists() else None
        return pid


@pytest.fixture
def configured(home: Path) -> Path:
    """A configuration that says to watch ``~/code``, which is there."""
    (home / "code/shop").mkdir(parents=True)
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('start = ["~/code"]\n')
    return file


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The doubles, first on PATH; what they have started is ended at the end."""
    doubles.put_on_path(tmp_path / "doubles")
    state = tmp_path / "double"
    state.mkdir()
    monkeypatch.setenv(doubles.STATE, str(state))
    monkeypatch.setenv("PATH", f"{tmp_path / 'doubles'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("SUDO_USER", raising=False)
    yield state
    file = state / "state.json"
    pid = json.loads(file.read_text()).get("pid") if file.exists() else None
    if pid is not None and doubles._State.is_process(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=["systemd", "launchd"])
def service(request: pytest.FixtureRequest, home: Path, configured: Path, double: Path) -> Service:
    if request.param == "launchd":
        (home / "Library").mkdir()  # every Mac has it
        (home / ".local/state").mkdir(parents=True)  # here, the log goes into this
    python = make_tool(home / ".local/share/uv/tools/regrow")
    return Service(request.param, home, python, double)
