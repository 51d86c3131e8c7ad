"""systemd's user units: systemd.service(5), systemd.exec(5), systemctl(1)."""

import os

from regrow.service.manager import MADE_BY, PAUSE, NoManagerError, ServiceError, State, ask
from regrow.system import directories
from regrow_marks.directory import split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

UNIT = "regrow-watch.service"

_TARGET = "default.target"
_PATIENCE = 120  # seconds; a stop may take systemd's 90 where a process does not end
_NOT_LOADED = 5  # systemctl's exit code where it knows no such unit: it can't be run at all
# It marks directories wherever the user keeps projects, so no file system is closed to it. What
# needs a name space of its own (ProtectSystem=, PrivateTmp=, ProtectKernelTunables=, …) is left
# out: a user's manager makes one with PrivateUsers= alone (systemd.exec(5)), in which root's files
# seem to be nobody's, and where the system forbids it to users, the service would not start.
_TEXT = """\
# {made_by}
[Unit]
Description=Leave what can be rebuilt out of backups (regrow watch)

[Service]
Type=exec
ExecStart=/usr/bin/env {command}
ExecReload=/bin/kill -HUP $MAINPID
{environment}
Restart=on-failure
RestartSec={pause}
RestartPreventExitStatus=2
Nice=19
IOSchedulingClass=idle
MemoryMax=1G
TasksMax=64
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy={target}
"""


class Systemd:
    """The manager that systemd runs for each user."""

    title = "systemd"
    log_place = f"journalctl --user --unit {UNIT}"
    again = f"systemctl --user restart {UNIT}"

    def __init__(self) -> None:
        """Find out where the unit belongs."""
        directory = directories.systemd_units()
        wanted = os.path.join(directory, f"{_TARGET}.wants")
        self.file = os.path.join(directory, UNIT)
        self.left = (os.path.join(wanted, UNIT),)
        self.made = (wanted, directory, split(directory)[0])

    def compose(self, words: list[str], environment: dict[str, str]) -> bytes:
        """See ``Manager.compose``.

        env(1) stands first since systemd takes no quotation mark in the name of what it starts. A
        wrong configuration (exit code 2) stays wrong until somebody mends it: only then, by
        ``systemctl --user restart`` or at the next login, is it worth another start.
        """
        return _TEXT.format(
            made_by=MADE_BY,
            command=" ".join(quoted(word).replace("$", "$$") for word in words),
            environment="\n".join(
                f"Environment={quoted(f'{name}={value}')}" for name, value in environment.items()
            ),
            pause=PAUSE,
            target=_TARGET,
        ).encode()

    def reach(self) -> None:
        """See ``Manager.reach``."""
        answer = _systemctl("show", "--property=Version")
        if answer.returncode != 0:
            raise NoManagerError(_why_not(answer.stderr.strip()))

    def start(self) -> None:
        """See ``Manager.start``."""
        for words in (("daemon-reload",), ("enable", UNIT), ("restart", UNIT)):
            _carry_out(*words)

    def stop(self) -> None:
        """See ``Manager.stop``."""
        _carry_out("disable", UNIT)
        answer = _systemctl("stop", UNIT)
        if answer.returncode not in (0, _NOT_LOADED):
            raise _failed("stop", answer)

    def forget(self) -> None:
        """See ``Manager.forget``."""
        _carry_out("daemon-reload")
        _systemctl("reset-failed", UNIT)  # it fails where nothing had failed

    def state(self) -> State:
        """See ``Manager.state``."""
        names = "LoadState,ActiveState,SubState,MainPID,ExecMainStartTimestamp,Result"
        answer = _systemctl("show", UNIT, f"--property={names}")
        if answer.returncode != 0:
            raise NoManagerError(_why_not(answer.stderr.strip()))
        properties = dict(line.partition("=")[::2] for line in answer.stdout.splitlines())
        pid = int(properties.get("MainPID", "0")) or None
        detail = f"{properties.get('ActiveState')} ({properties.get('SubState')})"
        if properties.get("Result", "success") != "success":
            detail += f", {properties['Result']}"
        return State(
            is_loaded=properties.get("LoadState") == "loaded",
            pid=pid,
            since=properties.get("ExecMainStartTimestamp", "") if pid else "",
            detail=detail,
        )

    def log(self, count: int) -> list[str]:
        """See ``Manager.log``."""
        words = ("--user", f"--unit={UNIT}", f"--lines={count}", "--output=short-iso", "--quiet")
        try:
            answer = ask("journalctl", "--no-pager", *words, limit=_PATIENCE)
        except ServiceError:
            return []
        return answer.stdout.splitlines() if answer.returncode == 0 else []

    def advice(self) -> str:
        """See ``Manager.advice``."""
        if _is_lingering():
            return ""
        return "it ends when you log out; to have it go on: loginctl enable-linger"


def _is_lingering() -> bool:
    """Return whether the user's services run without a login: see loginctl(1), enable-linger."""
    from pwd import getpwuid

    try:
        name = getpwuid(os.getuid()).pw_name
    except KeyError:
        return False
    return os.path.exists(f"/var/lib/systemd/linger/{name}")


def quoted(text: str) -> str:
    r"""Quote a word for a unit file: systemd.syntax(7), "Quoting", and systemd.unit(5), specifiers.

    >>> print(quoted('a "b" 100%'))
    "a \"b\" 100%%"
    """
    return '"' + "".join(_ESCAPES.get(c, c) if c.isprintable() else _hexed(c) for c in text) + '"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "%": "%%"}


def _hexed(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def _carry_out(*words: str) -> None:
    answer = _systemctl(*words)
    if answer.returncode != 0:
        raise _failed(" ".join(words), answer)


def _failed(words: str, answer: "subprocess.CompletedProcess[str]") -> ServiceError:
    return ServiceError(f"`systemctl --user {words}` failed: {' '.join(answer.stderr.split())}")


def _systemctl(*words: str) -> "subprocess.CompletedProcess[str]":
    return ask("systemctl", "--user", "--no-ask-password", *words, limit=_PATIENCE)


def _why_not(said: str) -> str:
    """Return why systemd's user manager does not answer, and the way out."""
    beginning = f"systemd's user manager does not answer ({said}): "
    if os.geteuid() == 0 and "SUDO_USER" in os.environ:
        return beginning + "a service is one user's own; run this as yourself, without sudo"
    place = f"/run/user/{os.getuid()}"
    if not os.environ.get("XDG_RUNTIME_DIR") and os.path.isdir(f"{place}/systemd"):
        return (
            beginning
            + f"XDG_RUNTIME_DIR is not set; try again after: export XDG_RUNTIME_DIR={place}"
        )
    if not os.path.isdir("/run/systemd/system"):
        return beginning + "systemd did not start this system (a container, for one)"
    return beginning + (
        "XDG_RUNTIME_DIR and DBUS_SESSION_BUS_ADDRESS come with a login, and su, sudo and some ssh"
        " sessions lack them; log in, or have systemd keep a manager for you:"
        " loginctl enable-linger"
    )
