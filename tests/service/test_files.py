"""The files that are written, by the platforms' own checkers and documented keys."""

import plistlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regrow.service import manager
from regrow.service.launchd import Launchd
from regrow.service.manager import ServiceError
from regrow.service.systemd import Systemd, quoted

DOCUMENTED: dict[str, type | tuple[type, ...]] = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": (bool, dict),
    "ThrottleInterval": int,
    "ProcessType": str,
    "LowPriorityIO": bool,
    "LowPriorityBackgroundIO": bool,
    "HardResourceLimits": dict,
    "Nice": int,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}
"""launchd.plist(5): the keys that regrow uses, and their types."""

LIMITS = ("Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses")

PROCESS_TYPES = ("Background", "Standard", "Adaptive", "Interactive")
KEEP_ALIVE = ("SuccessfulExit", "PathState", "OtherJobEnabled", "Crashed")


def verified(unit: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", "verify", "--user", unit], capture_output=True, text=True, check=False
    )


@pytest.mark.needs("systemd-analyze")
def test_systemds_own_checker_has_nothing_to_say_about_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")  # it is put before names of sockets: 108 bytes
    interpreter = tmp_path / "a\"da $HOME %h \\x41 'q' ü/python"
    interpreter.parent.mkdir()
    interpreter.write_text("#!/bin/sh\n")
    interpreter.chmod(0o755)
    unit = tmp_path / "regrow-watch.service"
    words = [str(interpreter), *manager.command()[1:]]
    unit.write_bytes(Systemd().compose(words, {"PATH": "/bin", "X": '100% "$q"\n'}))
    done = verified(unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    # The control: it does find what is wrong.
    unit.write_text(unit.read_text().replace("Restart=on-failure", "Restart=on-failures"))
    assert "on-failures" in verified(unit).stderr


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ("a b", '"a b"'),
        ('"', r'"\""'),
        ("\\", r'"\\"'),
        ("%h", '"%%h"'),
        ("a\nb\x7f", r'"a\x0ab\x7f"'),
        ("\udcff", r'"\xff"'),
    ],
)
def test_no_character_of_a_path_is_read_as_more_than_itself(text: str, written: str) -> None:
    assert quoted(text) == written


def test_variables_are_put_into_no_word() -> None:
    unit = Systemd().compose(["/usr/bin/python$x", "$y"], {}).decode()
    assert 'ExecStart=/usr/bin/env "/usr/bin/python$$x" "$$y"\n' in unit


def agent() -> dict[str, Any]:
    words = manager.command()
    parsed: dict[str, Any] = plistlib.loads(Launchd().compose(words, manager.environment()))
    return parsed


def test_the_agent_has_documented_keys_alone_with_their_types() -> None:
    written = agent()
    for key, value in written.items():
        assert isinstance(value, DOCUMENTED[key]), key
    assert all(isinstance(word, str) for word in written["ProgramArguments"])
    assert all(isinstance(value, str) for value in written["EnvironmentVariables"].values())
    assert written["ProcessType"] in PROCESS_TYPES
    assert set(written["KeepAlive"]) <= set(KEEP_ALIVE)
    assert -20 <= written["Nice"] <= 20
    assert set(written["HardResourceLimits"]) <= set(LIMITS)


def test_the_agent_says_what_it_shall() -> None:
    written = agent()
    assert written["Label"] == "regrow.watch"
    assert Launchd().file.endswith("/Library/LaunchAgents/regrow.watch.plist")
    assert written["ProgramArguments"] == manager.command()
    assert "/usr/bin" in written["EnvironmentVariables"]["PATH"].split(":")
    assert written["RunAtLoad"] is True
    assert written["KeepAlive"] == {"SuccessfulExit": False}
    assert (written["ProcessType"], written["LowPriorityIO"]) == ("Background", True)


def test_a_name_that_a_property_list_cannot_hold_is_an_error() -> None:
    with pytest.raises(ServiceError, match="a property list can't hold this"):
        Launchd().compose(["/Users/\x01/python"], {})


def test_a_unit_that_is_masked_is_an_error_that_names_it() -> None:
    service = Systemd()
    Path(service.file).parent.mkdir(parents=True)
    Path(service.file).symlink_to("/dev/null")  # as `systemctl --user mask` does
    with pytest.raises(ServiceError, match=f"^{service.file}: it is not a regular file$"):
        manager.current(service)


def test_each_platform_has_its_manager() -> None:
    assert manager.service_manager("darwin").title == "launchd"
    assert manager.service_manager("linux").title == "systemd"
