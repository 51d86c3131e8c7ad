"""``regrow service`` under a real systemd: see ``real_systemd.py``."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attributes import is_marked
from tests.service.conftest import (
    everything_in,
    hurry,
    make_tool,
    upgrade,
    wait_for,
)
from tests.service.real_systemd import Systemd, booted
from tests.service.test_service import environment

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux'"),
    pytest.mark.needs_root,
    pytest.mark.needs("systemctl", "unshare", "nsenter"),
]

UNIT = "regrow-watch.service"

FETTERS = {
    "NoNewPrivileges": "yes",
    "MemoryMax": str(1024**3),
    "TasksMax": "64",
    "RestrictAddressFamilies": "AF_UNIX",
    "LockPersonality": "yes",
    "RestrictSUIDSGID": "yes",
}
"""What keeps the service from doing more than it is for."""


@pytest.fixture
def odd_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose name holds whatever a unit file would read."""
    odd = home / "a\"da $HOME %h \\x41 'q' ü"
    (odd / ".config/regrow").mkdir(parents=True)
    (odd / ".config/regrow/config.toml").write_text('start = ["~/code"]\n')
    (odd / "code/shop").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(odd))
    monkeypatch.setenv("XDG_DATA_HOME", str(odd / ".local/share"))
    return odd


@pytest.fixture
def systemd(odd_home: Path) -> Iterator[Systemd]:
    with booted() as manager:
        yield manager


def test_installed_used_upgraded_and_uninstalled_under_a_real_systemd(
    odd_home: Path, systemd: Systemd
) -> None:
    python = make_tool(odd_home / ".local/share/uv/tools/regrow")
    regrows = (".local", "code", ".cache")
    before = everything_in(odd_home, regrows)

    def service(action: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return systemd.run(python, "-P", "-m", "regrow", "service", action, *more)

    def main_process() -> str:
        return systemd.show(UNIT, "MainPID")

    done = service("install")
    assert (done.returncode, done.stderr) == (0, "")
    assert systemd.show(UNIT, "ActiveState") == "active"
    assert systemd.show(UNIT, "UnitFileState") == "enabled"
    assert systemd.show(UNIT, "NeedDaemonReload") == "no"
    first = main_process()
    environment = odd_home / "code/shop/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    assert wait_for(lambda: is_marked(environment))

    def status() -> dict[str, object]:
        told: dict[str, object] = json.loads(service("status", "--json").stdout)
        return told

    assert (status()["running"], status()["current"]) == (True, True)
    assert status()["pid"] == status()["watching"] == int(first)
    assert str(status()["since"])[:3] in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    priority = systemd.run("ps", "-o", "ni=", "-p", first).stdout.strip()
    io = systemd.run("ionice", "-p", first).stdout.strip()
    assert (priority, io) == ("19", "idle")
    for name, value in FETTERS.items():
        assert systemd.show(UNIT, name) == value, name
    held = systemd.run("cat", f"/proc/{first}/status").stdout
    assert "NoNewPrivs:\t1" in held
    assert "Seccomp:\t2" in held

    assert service("install").stdout.startswith("restarted  ")
    assert main_process() not in (first, "0")

    # What has failed is started again, after a pause; it does not count as running meanwhile.
    systemd.run("kill", "-9", main_process())
    assert wait_for(lambda: systemd.show(UNIT, "SubState") == "auto-restart")
    done = service("status")
    assert done.returncode == 1
    assert "activating (auto-restart), signal" in done.stdout
    assert (status()["pid"], status()["since"]) == (None, None)

    unit = odd_home / f".config/systemd/user/{UNIT}"
    unit.write_text(unit.read_text().replace("Nice=19", "Nice=10"))
    assert service("install").stdout.startswith("upgraded  ")
    assert systemd.show(UNIT, "Nice") == "19"
    assert systemd.show(UNIT, "ActiveState") == "active"

    done = service("uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert systemd.show(UNIT, "LoadState") == "not-found"
    assert everything_in(odd_home, regrows) == before


def test_what_is_installed_under_a_running_service_goes_on_under_a_real_systemd(
    odd_home: Path, systemd: Systemd
) -> None:
    python = make_tool(odd_home / ".local/share/uv/tools/regrow")
    regrows = (".local", "code", ".cache")
    before = everything_in(odd_home, regrows)

    def regrow(*words: str) -> "subprocess.CompletedProcess[str]":
        return systemd.run(python, "-P", "-m", "regrow", *words)

    def is_outdated() -> object:
        """None: nothing watches yet."""
        return json.loads(regrow("service", "status", "--json").stdout)["outdated"]

    assert regrow("service", "install").returncode == 0
    wait_for(lambda: is_outdated() is False)
    first = systemd.show(UNIT, "MainPID")

    # Nothing happens: it has no reason to look, and people are told what else does it.
    hurry(python)
    assert is_outdated() is True
    told = regrow("doctor", str(odd_home / "code")).stdout
    assert f"service: `systemctl --user restart {UNIT}`" in told
    assert systemd.run("systemctl", "--user", "restart", UNIT).returncode == 0
    wait_for(lambda: is_outdated() is False)
    second = systemd.show(UNIT, "MainPID")
    assert second not in (first, "0")

    # Something happens: it goes on as the other one by itself.
    upgrade(python)
    assert wait_for(lambda: is_marked(environment(odd_home / "code/shop/.venv")))
    wait_for(lambda: is_outdated() is False)
    assert systemd.show(UNIT, "ActiveState") == "active"
    assert systemd.show(UNIT, "MainPID") == second, "it is the same process"
    assert systemd.show(UNIT, "NRestarts") == "0"
    assert systemd.run("systemctl", "--user", "reload", UNIT).returncode == 0
    later = environment(odd_home / "code/thesis/.venv")
    assert wait_for(lambda: is_marked(later))

    assert regrow("service", "uninstall").returncode == 0
    assert systemd.show(UNIT, "LoadState") == "not-found"
    assert everything_in(odd_home, regrows) == before


def test_a_configuration_that_became_wrong_ends_it_until_it_is_mended(
    odd_home: Path, systemd: Systemd
) -> None:
    python = make_tool(odd_home / ".local/share/uv/tools/regrow")
    assert systemd.run(python, "-P", "-m", "regrow", "service", "install").returncode == 0
    (odd_home / ".config/regrow/config.toml").write_text("strat = []\n")
    systemd.run("systemctl", "--user", "restart", UNIT)
    assert wait_for(lambda: systemd.show(UNIT, "ActiveState") == "failed")
    assert systemd.show(UNIT, "ExecMainStatus") == "2"
    # doctor would stop at the configuration; status tells
    done = systemd.run(python, "-P", "-m", "regrow", "service", "status")
    assert done.returncode == 1
    assert "failed (failed), exit-code" in done.stdout


def test_without_the_variables_of_a_login_the_way_out_is_named(
    odd_home: Path, systemd: Systemd
) -> None:
    python = make_tool(odd_home / ".local/share/uv/tools/regrow")
    words = ["-P", "-m", "regrow", "service", "install"]
    done = systemd.run("env", "--unset=XDG_RUNTIME_DIR", python, *words)
    assert done.returncode == 1
    assert f"export XDG_RUNTIME_DIR=/run/user/{os.getuid()}" in done.stderr
