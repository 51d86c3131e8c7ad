"""systemd itself, as one user's manager, in name spaces and control groups of its own.

Nobody else sees it: it has a ``/run`` of its own, and all that it starts ends with it.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SYSTEMD = "/lib/systemd/systemd"

_PATIENCE = 20.0  # seconds
_BOOT = """\
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/$(id -u)
chmod 700 /run/user/$(id -u)
export XDG_RUNTIME_DIR=/run/user/$(id -u)
exec 2>&1
{systemd} --user --log-target=console &
wait
"""


class Systemd:
    """Runs commands in the session that a systemd manages."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def run(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--", *words],
            env=os.environ | {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def show(self, unit: str, name: str) -> str:
        return self.run("systemctl", "--user", "show", unit, f"-p{name}", "--value").stdout.strip()


@contextlib.contextmanager
def booted() -> Iterator[Systemd]:
    """Start a systemd for the length of a block. Needs root."""
    if not Path(SYSTEMD).exists():
        pytest.skip("needs systemd: it is not installed")
    with contextlib.ExitStack() as undo:
        groups = [undo.enter_context(_group(place)) for place in _hierarchies()]

        def enter() -> None:
            for group in groups:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child",
             "--mount-proc", "sh", "-c", _BOOT.format(systemd=SYSTEMD)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=enter,
        )  # fmt: skip
        assert process.stdout is not None
        undo.enter_context(process.stdout)
        undo.callback(process.wait)
        undo.callback(process.kill)
        manager = _first_child(process)
        end = time.monotonic() + _PATIENCE
        while manager is None or manager.run("systemctl", "--user", "show").returncode != 0:
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                pytest.skip(f"systemd can't be run here: {process.stdout.read()}")
            time.sleep(0.05)
            manager = _first_child(process)
        yield manager


def _first_child(process: "subprocess.Popen[str]") -> Systemd | None:
    """Find the shell that is the first process of the name space."""
    try:
        file = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = file.read_text().split()
    except OSError:
        return None
    return Systemd(int(children[0])) if children else None


def _hierarchies() -> list[Path]:
    """Find the control groups' hierarchies in which systemd keeps its own: cgroups(7)."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(place))
    return found


@contextlib.contextmanager
def _group(hierarchy: Path) -> Iterator[Path]:
    """Make a control group, and remove it with those in it once its processes have ended.

    In its own, systemd moves every process that it finds: outside of one, those would be ours.
    """
    made = hierarchy / f"regrow-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        yield made
    finally:
        end = time.monotonic() + _PATIENCE
        while made.exists():
            for place, _, _ in os.walk(made, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(place)
            assert time.monotonic() < end, f"{made} can't be removed"
            time.sleep(0.05)
