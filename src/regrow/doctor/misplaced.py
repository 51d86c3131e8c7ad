"""Marks on what `regrow mark` refuses, whoever set them: people need what they leave out."""

import os
import shlex
import time
from operator import itemgetter

from regrow.decide.refusals import VERSION_CONTROL, Reason, Refusals
from regrow.doctor.findings import OK, RECORDS, WRONG, Finding
from regrow.errors import RecordError
from regrow.model import EXPLICIT
from regrow.records.format import has_rule
from regrow.records.store import Store
from regrow.system import mounts
from regrow_marks import markers, places, tag
from regrow_marks.directory import Directory, ancestors, join, open_directory, open_parent
from regrow_marks.errors import PathError, RegrowError
from regrow_marks.markers import CACHEDIR_TAG, NODUMP
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow_marks.markers import Marker

    Check = Callable[[Refusals, Directory], "Reason | None"]

NAME = "misplaced"

_BUDGET = 0.3  # seconds for looking through marked directories


def check() -> list[Finding]:
    """Look for marks on homes, what holds them, mount points, and sources."""
    try:
        with Store() as store:
            return _check(store)
    except RegrowError:
        return []  # ``marks`` reports what is wrong with the records


def _check(store: Store) -> list[Finding]:
    refusals = Refusals(store, patience=_BUDGET)
    findings = {}
    for path in _places():
        finding = _look(path, open_parent, refusals)  # which opens the root directory as well
        if finding is not None:
            findings[path] = finding
    end = time.monotonic() + _BUDGET
    recorded = _in_order(store, end - _BUDGET / 2)
    seen = 0
    for path, further in recorded:
        if time.monotonic() > end:
            break
        finding = _look(path, open_directory, refusals, further)
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
    found = {mount.point for mount in mounts.mounts() if mounts.is_local(mount)}
    for home in map(os.path.realpath, places.home_paths()):
        found |= {home, *ancestors(home)}
    return sorted(found)


def _in_order(store: Store, end: float) -> "list[tuple[str, Check]]":
    """Return the paths of the records, and what is checked in each, as far as time goes.

    First come those that a person named: all that is in them is looked through. What a rule has
    recognised may hold other people's repositories, as packages bring them for their tests.
    """
    named: list[tuple[str, Check]] = []
    found: list[tuple[str, Check]] = []
    for name, path in store.paths().items():
        try:
            data = (store.get(name) or b"") if time.monotonic() < end else b""
        except RecordError:
            continue  # ``marks`` reports it
        if has_rule(data, EXPLICIT):
            named.append((path, Refusals.of_contents))
        else:
            found.append((path, _at_its_top))
    return [*sorted(named, key=itemgetter(0)), *sorted(found, key=itemgetter(0))]


def _at_its_top(_: Refusals, directory: Directory) -> Reason | None:
    name = next((name for name in VERSION_CONTROL if directory.has(name)), "")
    return Reason(f"it holds version control: {join(directory.path, name)}") if name else None


def _look(
    path: str,
    opened: "Callable[[str], Directory]",
    refusals: Refusals,
    further: "Check" = lambda *_: None,
) -> Finding | None:
    """Return what is wrong with a mark on a directory, by where it is and by a further check."""
    try:
        with opened(path) as directory:
            marks = markers.holding(markers.available(), directory)
            if not marks:
                return None
            reason = refusals.of_place(directory) or further(refusals, directory)
            if reason is None or not reason.is_certain:
                return None
            titles = ", ".join(marker.title for marker in marks)
            text = f"{directory.path} is left out of backups ({titles}), and {reason.text}"
            return Finding(RECORDS, NAME, WRONG, text, _remedy(directory, marks))
    except (PathError, OSError):
        return None  # ``marks`` reports a record's; else this user can't have marked it


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
