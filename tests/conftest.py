"""Fixtures that every test may use: a home of its own, regrow as a process, an ordinary user."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REQUIRE_TOOLS = os.environ.get("REGROW_REQUIRE_TOOLS") == "1"
NOBODY = 65534

LINUX_PROGRAMS = frozenset(
    {
        "fdfind", "flock", "fusermount3", "mkfs.ext4", "mkfs.vfat", "setpriv", "strace",
        "systemd-analyze", "taskset",
    }
)  # fmt: skip
"""Elsewhere the tests that need these are skipped, whether or not programs are required."""

# What makes the developer's interpreter another one than users have: without PYTHONUNBUFFERED, what
# is printed waits in a buffer, and is lost or found to be unwritable later.
for _name in [name for name in os.environ if name.startswith("PYTHON")]:
    del os.environ[_name]

# A shell lets what it runs in the background ignore these, and what that starts inherits it.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

# uv and virtualenv, installed with the tests
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


# A place for temporary directories that no other run shares: pytest cleans up after its earlier
# runs, and fails where another run cleans up at the same time. Short: sockets allow 108 bytes.
_TEMPORARY = "" if "PYTEST_XDIST_WORKER" in os.environ else tempfile.mkdtemp(prefix="rt-")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the run's temporary directories there, unless somebody says where."""
    if _TEMPORARY and config.option.basetemp is None:
        config.option.basetemp = _TEMPORARY


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Remove the run's temporary directories, unless somebody wants to look into them."""
    if _TEMPORARY and exitstatus == 0:
        # Some trees are deeper than Python's own removal can recurse.
        subprocess.run(["rm", "-rf", _TEMPORARY], check=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [
        command
        for marker in item.iter_markers("needs")
        for command in marker.args
        if shutil.which(command) is None
    ]
    if missing:
        message = f"needs {', '.join(missing)}: not on PATH"
        can_be_here = sys.platform == "linux" or not LINUX_PROGRAMS.issuperset(missing)
        if REQUIRE_TOOLS and can_be_here:
            pytest.fail(message)
        pytest.skip(message)
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory that no other test sees, and no setting of the developer's."""
    place = tmp_path_factory.mktemp("homes") / "home"  # alone: tests scan its parent, too
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    # uv keeps its downloads where they are: they are not what a test is about.
    if "UV_CACHE_DIR" not in os.environ:
        monkeypatch.setenv("UV_CACHE_DIR", str(Path(tempfile.gettempdir()) / "regrow-test-uv"))
    for name in ("VIRTUAL_ENV", "UV_VENV_CLEAR", "UV_VENV_SEED"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def records_directory(home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library/Application Support/regrow/records"
    return home / ".local/share/regrow/records"


class Regrow:
    """Runs regrow as a process, as its users do."""

    command = (sys.executable, "-m", "regrow")

    def __call__(
        self, *words: str | bytes | Path, cwd: Path | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *words],
            cwd=cwd,
            text=True,
            errors="surrogateescape",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
            **more,
        )

    def json(self, *words: str | bytes | Path, cwd: Path | None = None) -> list[dict[str, Any]]:
        done = self(*words, "--json", cwd=cwd)
        assert done.stdout, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def regrow() -> Regrow:
    return Regrow()


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that an ordinary user may enter, which pytest's own are not."""
    place = Path(tempfile.mkdtemp(prefix="regrow-test-"))
    place.chmod(0o755)
    yield place
    subprocess.run(["chmod", "-R", "u+rwX", place], check=False)
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def as_ordinary_user() -> Callable[[Callable[[], Any]], Any]:
    """Calls a function in a forked process that has given up root, and gives its result.

    An exception in it is raised here. Modules it needs must be imported already: the interpreter's
    own files may be out of the ordinary user's reach.
    """

    def call(function: Callable[[], Any]) -> Any:
        receiving, sending = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                answer: tuple[bool, Any] = (True, function())
            except BaseException as error:  # noqa: BLE001 - it is raised in the parent
                answer = (False, error)
            os.write(sending, pickle.dumps(answer))
            os._exit(0)
        os.close(sending)
        with open(receiving, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        fine, value = pickle.loads(data)
        if not fine:
            raise value
        return value

    return call
