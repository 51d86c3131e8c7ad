"""launchd's agents: launchd.plist(5), launchctl(1). Not yet run on a Mac."""

import os
import plistlib
import re
import sys
import time
from collections import deque

from regrow.service.manager import MADE_BY, PAUSE, NoManagerError, ServiceError, State, ask
from regrow.system import directories, own_files
from regrow_marks.directory import split

LABEL = "regrow.watch"

_PATIENCE = 30.0  # seconds; launchd kills after 20 what does not end
_LOG_END = 64 * 1024  # bytes: enough for the last lines


class Launchd:
    """The manager of the user that is logged in at the screen."""

    title = "launchd"

    def __init__(self) -> None:
        """Find out where the agent and its log belong."""
        agents = directories.launch_agents()
        self._log = os.path.join(directories.logs(), "watch.log")
        self._domain = f"gui/{os.getuid()}"
        self.file = os.path.join(agents, f"{LABEL}.plist")
        self.log_place = self._log
        self.again = f"launchctl kickstart -k {self._domain}/{LABEL}"
        self.left = (self._log,)
        self.made = (split(self._log)[0], agents)

    def compose(self, words: list[str], environment: dict[str, str]) -> bytes:
        """See ``Manager.compose``."""
        description = {
            "Label": LABEL,
            "ProgramArguments": words,
            "EnvironmentVariables": environment,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": PAUSE,
            "ProcessType": "Background",
            "LowPriorityIO": True,
            "LowPriorityBackgroundIO": True,
            "HardResourceLimits": {"Core": 0},
            "Nice": 19,
            "StandardOutPath": self._log,
            "StandardErrorPath": self._log,
        }
        try:
            data = plistlib.dumps(description, sort_keys=False)
        except ValueError as error:
            raise ServiceError(f"{words[0]}: a property list can't hold this: {error}") from error
        return data.replace(b"<plist ", f"<!-- {MADE_BY} -->\n<plist ".encode(), 1)

    def reach(self) -> None:
        """See ``Manager.reach``."""
        if os.geteuid() == 0 and "SUDO_USER" in os.environ:
            raise NoManagerError("an agent is one user's own; run this as yourself, without sudo")
        if ask("launchctl", "print", self._domain, limit=_PATIENCE).returncode != 0:
            raise NoManagerError(
                f"launchd does not answer for {self._domain}: an agent runs for the user that is"
                " logged in at the screen, and this session (ssh, for one) has none; log in there"
            )

    def start(self) -> None:
        """See ``Manager.start``."""
        self.stop()
        try:
            own_files.make_directory(split(self._log)[0])
            # launchd appends to it, and would make one that others may read.
            os.close(own_files.create(self._log, os.O_WRONLY))
        except OSError as error:
            raise ServiceError(f"{self._log}: its directory can't be made: {error}") from error
        _carry_out("bootstrap", self._domain, self.file)

    def stop(self) -> None:
        """See ``Manager.stop``. launchd answers before the process has ended."""
        if not self.state().is_loaded:
            return
        _carry_out("bootout", f"{self._domain}/{LABEL}")
        end = time.monotonic() + _PATIENCE
        while self.state().is_loaded:
            if time.monotonic() > end:
                raise ServiceError(f"launchd does not end {LABEL}; try again in a minute")
            time.sleep(0.1)

    def forget(self) -> None:
        """See ``Manager.forget``: launchd has no memory of it after ``bootout``."""

    def state(self) -> State:
        """See ``Manager.state``."""
        answer = ask("launchctl", "list", LABEL, limit=_PATIENCE)
        if answer.returncode != 0:
            return State(is_loaded=False, detail="not loaded")
        found = re.search(r'"PID" = (\d+);', answer.stdout)
        if found:
            pid = int(found[1])
            return State(is_loaded=True, pid=pid, since=_start_of(pid), detail="running")
        status = re.search(r'"LastExitStatus" = (\d+);', answer.stdout)
        detail = f", last exit code {os.waitstatus_to_exitcode(int(status[1]))}" if status else ""
        return State(is_loaded=True, detail=f"waiting{detail}")

    def log(self, count: int) -> list[str]:
        """See ``Manager.log``."""
        try:
            with open(self._log, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_END))
                return [line.decode(errors="replace").rstrip() for line in deque(file, count)]
        except OSError:
            return []

    def advice(self) -> str:
        """See ``Manager.advice``."""
        python = os.path.realpath(sys.executable)
        return (
            f"to watch Desktop, Documents and Downloads too, give {python} Full Disk Access: System"
            " Settings, Privacy & Security"
        )


def _start_of(pid: int) -> str:
    answer = ask("ps", "-o", "lstart=", "-p", str(pid), limit=_PATIENCE)
    return " ".join(answer.stdout.split())


def _carry_out(*words: str) -> None:
    answer = ask("launchctl", *words, limit=_PATIENCE)
    if answer.returncode != 0:
        said = " ".join(answer.stderr.split())
        raise ServiceError(f"`launchctl {' '.join(words)}` failed: {said}")
