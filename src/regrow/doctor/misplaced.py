"""Marks on what `regrow mark` refuses, whoever set them: people need what they leave out."""

import os
import shlex
import time

from regrow import filesystem, markers, records
from regrow.directory import Directory, ancestors, join, open_directory, open_parent
from regrow.doctor import OK, RECORDS, WRONG, Finding
from regrow.errors import PathError, RecordError, RegrowError
from regrow.markers import CACHEDIR_TAG, NODUMP, tag
from regrow.model import EXPLICIT, HOLDS
from regrow.plain import TYPE_CHECKING
from regrow.records import Store
from regrow.refusals import Refusals, home_paths

if TYPE_CHECKING:
    from regrow.markers import Marker
    from regrow.refusals import Reason

NAME = "misplaced"

_BUDGET = 0.3  # seconds for looking through marked directories


def check() -> list[Finding]:
    """Look for marks on homes, what holds them, mount points, and sources."""
    try:
        with Store() as store:
            return _check(store)
    except RegrowError:
        return []  # what is wrong with the records is told elsewhere


def _check(store: Store) -> list[Finding]:
    refusals = Refusals(store, patience=_BUDGET)
    findings = {}
    for path in _places():
        finding = _of_place(path, refusals)
        if finding is not None:
            findings[path] = finding
    end = time.monotonic() + _BUDGET
    recorded = _in_order(store, end - _BUDGET / 2)
    seen = 0
    for path in recorded:
        if time.monotonic() > end:
            break
        finding = _of_recorded(path, refusals)
        seen += 1
        if finding is not None:
            findings.setdefault(path, finding)
    if findings:
        return list(findings.values())
    text = "no mark is on a home directory, a mount point or people's sources"
    if seen < len(recorded):
        text += f" ({seen:,} of {len(recorded):,} marked directories were looked through)"
    return [Finding(RECORDS, NAME, OK, text)]


def _places() -> list[str]:
    """Return where no mark belongs: homes, what holds them, and where local disks are mounted."""
    found = {mount.point for mount in filesystem.mounts() if filesystem.is_local(mount)}
    for home in map(os.path.realpath, home_paths()):
        found |= {home, *ancestors(home)}
    return sorted(found)


def _in_order(store: Store, end: float) -> list[str]:
    """Return the paths of the records: first those that a person named, as far as time goes."""
    named: list[str] = []
    found: list[str] = []
    for name, path in store.paths().items():
        try:
            data = (store.data(path, name) or b"") if time.monotonic() < end else b""
        except RecordError:
            continue  # it is told elsewhere
        (named if records.names_rule(data, EXPLICIT) else found).append(path)
    return sorted(named) + sorted(found)


def _of_place(path: str, refusals: Refusals) -> Finding | None:
    try:
        with open_parent(path) as directory:
            marks = _marks_on(directory)
            return _finding(directory, marks, refusals.of_place(directory)) if marks else None
    except (PathError, OSError):
        return None  # what can't be opened can't be marked by this user


def _of_recorded(path: str, refusals: Refusals) -> Finding | None:
    try:
        with open_directory(path) as directory:
            marks = _marks_on(directory)
            if not marks:
                return None
            reason = refusals.of_place(directory) or refusals.of_contents(directory)
            return _finding(directory, marks, reason)
    except (PathError, OSError):
        return None  # it is told elsewhere


def _marks_on(directory: Directory) -> "list[Marker]":
    found = []
    for marker in markers.available():
        try:
            if marker.read(directory).state == HOLDS:
                found.append(marker)
        except OSError:
            continue  # this file system has no such mark
    return found


def _finding(
    directory: Directory, marks: "list[Marker]", reason: "Reason | None"
) -> Finding | None:
    if reason is None or not reason.is_certain:
        return None
    titles = ", ".join(marker.title for marker in marks)
    text = f"{directory.path} is left out of backups ({titles}), and {reason.text}"
    return Finding(RECORDS, NAME, WRONG, text, _remedy(directory, marks))


def _remedy(directory: Directory, marks: "list[Marker]") -> str:
    quoted = shlex.quote(directory.path)
    ways = []
    for marker in marks:
        if marker.name == NODUMP:
            ways.append(f"`chattr -d {quoted}`")
        elif marker.name == CACHEDIR_TAG and not tag.is_regrows(directory):
            file = shlex.quote(join(directory.path, tag.NAME))
            ways.append(f"`rm {file}`, which another program wrote")
        elif directory.path == "/":  # no directory is above it, by which unmark would open it
            ways.append("`setfattr -x user.xdg.robots.backup /`")
        else:
            ways.append(f"`regrow unmark {quoted}`")
    return "take it off: " + ", ".join(dict.fromkeys(ways))
