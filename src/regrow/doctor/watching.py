"""Whether something watches, and whether the system lets it."""

import errno
import os
import sys
import time

from regrow import config
from regrow.doctor.findings import NOT_APPLICABLE, OK, SERVICE, TO_DO, WRONG, Finding
from regrow.rules import loader
from regrow.scan.walk import Scan
from regrow.service.manager import (
    BY_HAND,
    OUTDATED,
    NoManagerError,
    ServiceError,
    current,
    expected,
    service_manager,
)
from regrow.system.program import ask_program
from regrow.watch import lock
from regrow_marks.directory import ancestors, is_below, join
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow.config import Configuration
    from regrow.service.manager import Manager
    from regrow.watch.lock import Owner

PROTECTED = ("Desktop", "Documents", "Downloads")
"""In the home directory: what macOS shows to those alone who have the user's consent."""

_BUDGET = 0.2  # seconds for each of the two counts
_RAISED = 1_048_576  # watches; the kernel's own choice with much memory
_RAISE = f"sysctl fs.inotify.max_user_watches={_RAISED}, and the same in /etc/sysctl.d"


def check(configuration: "Configuration", platform: str = sys.platform) -> list[Finding]:
    """Check the service and what it needs of the system."""
    owner = lock.owner()
    findings = [check_service(service_manager(platform), owner)]
    process = owner.pid if owner is not None else None
    start = [os.path.realpath(os.path.expanduser(path)) for path in configuration.start]
    if platform == "darwin":
        return [*findings, *check_access(start), *check_spotlight(start)]
    return [*findings, check_limit(configuration, process), check_instances(process)]


def check_service(manager: "Manager", owner: "Owner | None") -> Finding:
    """Check whether the service is installed, current, loaded and alive; *owner* watches now."""
    again = "`regrow service install`, again"
    more = "`regrow service status` shows its log"
    try:
        file = current(manager)
        if file is None:
            if owner is not None:
                text = f"process {owner.pid} watches, and not as a service"
                if owner.is_outdated():
                    return _service(TO_DO, f"{text}; {OUTDATED}", BY_HAND)
                return _service(OK, text)
            text = "nothing watches; `regrow service install` has what appears marked at once"
            return _service(NOT_APPLICABLE, text)
        state = manager.state()
        if state.pid is None:
            text = f"it is installed and does not run: {state.detail}"
            if owner is not None:
                text += f"; process {owner.pid} watches in its place"
            return _service(WRONG, text, more)
        if file != expected(manager):
            text = "it runs from a file that this regrow would write differently"
            return _service(TO_DO, text, again)
        if owner is not None and owner.pid == state.pid and owner.is_outdated():
            text = f"process {state.pid} watches since {state.since}; {OUTDATED}"
            return _service(TO_DO, text, f"`{manager.again}`")
    except NoManagerError as error:
        return _service(WRONG, f"it is installed and can't run: {error}", more)
    except ServiceError as error:
        return _service(WRONG, str(error), again)
    return _service(OK, f"process {state.pid} watches since {state.since}")


def _service(state: str, text: str, remedy: str = "") -> Finding:
    return Finding(SERVICE, "service", state, text, remedy)


def check_limit(
    configuration: "Configuration", owner: int | None, processes: str = "/proc"
) -> Finding:
    """Compare the kernel's limit on inotify watches with what a watch needs.

    Args:
        configuration: the user's settings.
        owner: the process that watches: its watches are counted. None: a scan of a fraction of a
            second counts the directories that would be watched.
        processes: where proc(5) is.
    """
    limit = _number(f"{processes}/sys/fs/inotify/max_user_watches")
    if limit is None:
        return Finding(SERVICE, "inotify", NOT_APPLICABLE, "the kernel states no limit")
    if owner is not None:
        used = _watches(owner, processes)
        everybodys = sum(_watches(one, processes) for one in _own_processes(processes))
        text = f"{used:,} directories are watched; the limit is {limit:,}"
        if everybodys >= limit:
            text = f"{text}, and all of it is used, other programs' watches included"
            return Finding(SERVICE, "inotify", WRONG, text, _RAISE)
        return Finding(SERVICE, "inotify", OK, text)
    needed, is_all = _count(configuration)
    counted = f"{needed:,}" if is_all else f"more than {needed:,}"
    text = f"a watch needs {counted} directories; the limit is {limit:,}"
    if needed >= limit:
        return Finding(SERVICE, "inotify", TO_DO, text, _RAISE)
    return Finding(SERVICE, "inotify", OK, text)


def check_instances(owner: int | None, processes: str = "/proc") -> Finding:
    """Check whether the kernel lets one more program use inotify, unless a watch runs already."""
    limit = _number(f"{processes}/sys/fs/inotify/max_user_instances")
    if limit is None or owner is not None:
        return Finding(SERVICE, "inotify instances", OK, "regrow has one")
    used = sum(len(_inotify(one, processes)) for one in _own_processes(processes))
    text = f"{used} are used of {limit}"
    if used < limit:
        return Finding(SERVICE, "inotify instances", OK, text)
    remedy = f"sysctl fs.inotify.max_user_instances={2 * limit}, and the same in /etc/sysctl.d"
    return Finding(SERVICE, "inotify instances", TO_DO, text, remedy)


def _number(file_name: str) -> int | None:
    try:
        with open(file_name, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _own_processes(processes: str) -> "Iterable[int]":
    """Yield the user's processes, as many as the time allows to look at."""
    end = time.monotonic() + _BUDGET
    for name in os.listdir(processes):
        if time.monotonic() > end:
            return
        try:
            if name.isdecimal() and os.stat(f"{processes}/{name}").st_uid == os.getuid():
                yield int(name)
        except OSError:
            continue  # it has ended


def _inotify(process: int, processes: str) -> list[str]:
    """Return the files that describe a process's inotify descriptors."""
    found = []
    try:
        for name in os.listdir(f"{processes}/{process}/fd"):
            if os.readlink(f"{processes}/{process}/fd/{name}") == "anon_inode:inotify":
                found.append(f"{processes}/{process}/fdinfo/{name}")
    except OSError:
        return found  # it has ended, or is out of our sight
    return found


def _watches(process: int, processes: str) -> int:
    """Return how many watches a process has: one line each, see proc(5), fdinfo."""
    count = 0
    for name in _inotify(process, processes):
        try:
            with open(name, "rb") as file:
                count += file.read().count(b"inotify wd:")
        except OSError:
            continue
    return count


class _EnoughError(Exception):
    """The time is up."""


class _Counter:
    """Counts the directories that a scan lists, for a while."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self._end = time.monotonic() + _BUDGET

    def enter(self, fd: int, path: str) -> None:  # noqa: ARG002 - a scan's observer
        self.paths.add(path)
        if time.monotonic() > self._end:
            raise _EnoughError

    def stay(self, path: str) -> None:
        """Keep it: a directory that is not entered for now is watched."""

    def leave(self, path: str) -> None:
        self.paths.discard(path)


def _count(configuration: "Configuration") -> tuple[int, bool]:
    """Return how many directories a watch would watch, and whether all were counted in time."""
    counter = _Counter()
    active_rules = loader.active_rules(configuration, config.path())
    scan = Scan(configuration.start, active_rules, configuration.skip, None, counter)
    try:
        for _ in scan:
            pass
    except _EnoughError:
        return len(counter.paths), False
    return len(counter.paths), True


def check_access(start: list[str]) -> list[Finding]:
    """Try the directories that macOS protects below start directories, given by true paths."""
    home = os.path.realpath(os.path.expanduser("~"))
    wanted = [join(home, name) for name in PROTECTED]
    wanted = [path for path in wanted if any(is_below(path, place) for place in start)]
    closed = [path for path in wanted if _is_forbidden(path)]
    python = os.path.realpath(sys.executable)
    way = (
        "System Settings, Privacy & Security, Full Disk Access: add your terminal for what you run"
        f" there, and {python} for the service"
    )
    if closed:
        text = f"macOS does not show {', '.join(closed)} to regrow; they stay in the backup whole"
        return [Finding(SERVICE, "Full Disk Access", WRONG, text, way)]
    if wanted:
        text = f"this terminal may read {', '.join(wanted)}; the service needs its own: {way}"
        return [Finding(SERVICE, "Full Disk Access", OK, text)]
    return []


def _is_forbidden(path: str) -> bool:
    try:
        os.listdir(path)
    except OSError as error:
        return error.errno == errno.EPERM
    return False


def check_spotlight(start: list[str]) -> list[Finding]:
    """Find start directories, given by true paths, that Spotlight does not index."""
    findings = []
    for path in start:
        hidden = next((p for p in (path, *ancestors(path)) if _is_private(p)), None)
        if hidden is not None:
            text = (
                f"{path}: {hidden} is private to Spotlight, which Time Machine asks for what is"
                " excluded; in such a folder, one report says, it copied excluded directories"
            )
            remedy = "compare with `tmutil isexcluded`, and with what a backup holds"
            findings.append(Finding(SERVICE, "Spotlight", TO_DO, text, remedy))
    return findings or [Finding(SERVICE, "Spotlight", OK, "no start directory is private to it")]


def _is_private(directory: str) -> bool:
    if directory.endswith(".noindex"):
        return True
    return os.path.lexists(join(directory, ".metadata_never_index")) or (
        os.path.ismount(directory) and _is_unindexed(directory)
    )


def _is_unindexed(volume: str) -> bool:
    """Ask Spotlight's own tool: mdutil(1)."""
    try:
        answer = ask_program(["/usr/bin/mdutil", "-s", volume], 5)  # seconds; it asks a daemon
    except OSError:
        return False
    return b"Indexing disabled" in answer.output
