"""Recorded doubles of systemctl, journalctl and launchctl: no service manager, and no Mac, is here.

Each is a command on PATH that writes down its words and behaves as far as regrow uses it: keeps
what it was told to load, makes and removes the link of ``enable``, runs the command of the unit or
the agent as a process with the environment that it states, and ends it. What they say was written
after systemctl(1) of systemd 252, which ``real_systemd.py`` runs too, and launchctl(1).
"""

import json
import os
import plistlib
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMANDS = ("systemctl", "journalctl", "launchctl")
UNIT = "regrow-watch.service"
STATE = "REGROW_TEST_DOUBLE"
"""The variable that names the doubles' directory. In it: ``words``, what was said, a line a call;
``fails``, the first word of a call that shall fail."""


def put_on_path(directory: Path) -> None:
    """Make the commands in a directory."""
    directory.mkdir()
    for name in COMMANDS:
        file = directory / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        file.chmod(0o755)


def main(command: str, words: list[str]) -> int:
    place = Path(os.environ[STATE])
    with (place / "words").open("a") as file:
        file.write(f"{shlex.join([command, *words])}\n")
    state = _State(place)
    failing = place / "fails"
    if failing.exists() and failing.read_text() in words:
        print(f"{command}: told to fail", file=sys.stderr)
        return 1
    code = {"systemctl": systemctl, "journalctl": journalctl, "launchctl": launchctl}[command](
        words, state
    )
    state.save()
    return code


class _State:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.file = place / "state.json"
        self.told: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def save(self) -> None:
        self.file.write_text(json.dumps(self.told))

    def is_alive(self) -> bool:
        pid = self.told.get("pid")
        return (
            pid is not None
            and Path(f"/proc/{pid}/cmdline").exists()
            and bool(Path(f"/proc/{pid}/cmdline").read_bytes())
        )

    def run(self, words: list[str], environment: dict[str, str], log: Path) -> None:
        """Start a process that outlives this one."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                words,
                env={"HOME": os.environ["HOME"], **environment},
                cwd=os.environ["HOME"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.told["pid"] = process.pid
        self.told["since"] = "Sun 2026-11-22 21:56:55 UTC"

    def end(self) -> None:
        pid = self.told.pop("pid", None)
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        while self.is_process(pid):
            time.sleep(0.01)

    @staticmethod
    def is_process(pid: int) -> bool:
        try:
            return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            return False


def systemctl(words: list[str], state: _State) -> int:
    if "XDG_RUNTIME_DIR" not in os.environ:
        print("Failed to connect to bus: No medium found", file=sys.stderr)
        return 1
    words = [word for word in words if word != "--no-ask-password"]
    assert words[0] == "--user"
    units = Path(os.environ.get("XDG_CONFIG_HOME") or f"{os.environ['HOME']}/.config")
    unit = units / "systemd/user" / UNIT
    link = unit.parent / "default.target.wants" / UNIT
    match words[1:]:
        case ["show", "--property=Version"]:
            print("Version=252")
        case ["show", name, properties] if name == UNIT:
            is_alive = state.is_alive()
            told = {
                "LoadState": "loaded" if "unit" in state.told else "not-found",
                "ActiveState": "active" if is_alive else "inactive",
                "SubState": "running" if is_alive else "dead",
                "MainPID": str(state.told["pid"]) if is_alive else "0",
                "ExecMainStartTimestamp": state.told.get("since", ""),
                "Result": "success",
            }
            for name in properties.removeprefix("--property=").split(","):
                print(f"{name}={told[name]}")
        case ["daemon-reload"]:
            state.told.pop("unit", None)
            if unit.exists():
                state.told["unit"] = unit.read_text()
        case ["enable", name] if name == UNIT and unit.exists():
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(unit)
        case ["restart", name] if name == UNIT and "unit" in state.told:
            state.end()
            command, environment = _unit(state.told["unit"])
            state.run(command, environment, state.place / "journal")
        case ["disable", name] if name == UNIT and unit.exists():
            link.unlink(missing_ok=True)
            if not os.listdir(link.parent):
                link.parent.rmdir()
        case ["stop", name] if name == UNIT and "unit" in state.told:
            state.end()
        case ["reset-failed", name] if name == UNIT:
            print(f"Failed to reset failed state of unit {UNIT}: not loaded.", file=sys.stderr)
            return 1
        case other:
            print(f"Unit {UNIT} could not be found, or unknown: {other}", file=sys.stderr)
            return 5
    return 0


def _unit(text: str) -> tuple[list[str], dict[str, str]]:
    """Read a unit as systemd.syntax(7) and systemd.service(5) say, as far as regrow writes it."""
    settings = [line.partition("=")[::2] for line in text.splitlines() if "=" in line]
    (line,) = (value for key, value in settings if key == "ExecStart")
    words = shlex.split(line.replace("%%", "%").replace("$$", "$"))
    listed = [value for key, value in settings if key == "Environment"]
    environment = dict(
        word.partition("=")[::2]
        for value in listed
        for word in shlex.split(value.replace("%%", "%"))
    )
    return words, environment


def journalctl(words: list[str], state: _State) -> int:
    log = state.place / "journal"
    (count,) = (int(word.partition("=")[2]) for word in words if word.startswith("--lines="))
    for line in log.read_text().splitlines()[-count:] if log.exists() else []:
        print(line)
    return 0


def launchctl(words: list[str], state: _State) -> int:
    domain = f"gui/{os.getuid()}"
    label = "regrow.watch"
    match words:
        case ["print", asked] if asked == domain:
            if "REGROW_TEST_NO_SCREEN" in os.environ:
                print(f"Bad request.\nCould not find domain for {asked}", file=sys.stderr)
                return 113
            print(f"{domain} = {{\n\ttype = user\n}}")
        case ["list", asked] if asked == label:
            leaving = state.told.get("leaving", 0)
            if leaving:  # it answers before the process has ended
                state.told["leaving"] = leaving - 1
                if leaving == 1:
                    state.told.pop("agent", None)
            if "agent" not in state.told:
                print(f'Could not find service "{label}" in domain', file=sys.stderr)
                return 113
            print('{\n\t"LimitLoadToSessionType" = "Aqua";\n\t"LastExitStatus" = 0;')
            if state.is_alive():
                print(f'\t"PID" = {state.told["pid"]};')
            print("};")
        case ["bootstrap", asked, file] if asked == domain:
            if "agent" in state.told:
                print("Bootstrap failed: 5: Input/output error", file=sys.stderr)
                return 5
            state.told["agent"] = file
            _start(Path(file), state)
        case ["kickstart", "-k", asked] if asked == f"{domain}/{label}":
            state.end()
            _start(Path(state.told["agent"]), state)
        case ["bootout", asked] if asked == f"{domain}/{label}":
            if "agent" not in state.told:
                print("Boot-out failed: 3: No such process", file=sys.stderr)
                return 3
            state.end()
            state.told["leaving"] = 2
        case other:
            print(f"Unrecognized subcommand: {re.escape(str(other))}", file=sys.stderr)
            return 64
    return 0


def _start(file: Path, state: _State) -> None:
    agent = plistlib.loads(file.read_bytes())
    assert agent["Label"] == "regrow.watch"
    assert agent["RunAtLoad"]
    log = Path(agent["StandardOutPath"])
    state.run(agent["ProgramArguments"], agent["EnvironmentVariables"], log)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
