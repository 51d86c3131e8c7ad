"""Finds all candidates below the start directories, and reads only what is necessary.

If an earlier scan has left a snapshot, only what has changed since is read, else everything. The
modules that scan are imported only if there is something to scan.
"""

import os
import sys
import time

from regrow.model import Survey
from regrow.scan import snapshot
from regrow.scan.snapshot import DamagedError
from regrow.system import cache, mounts, worker
from regrow_marks import markers
from regrow_marks.directory import identity_at, is_below
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from regrow.model import Rule
    from regrow.scan.snapshot import Snapshot
    from regrow.scan.walk import Finding

    Tick = Callable[[int], None]

_KEPT_FROM = 200  # directories: reading them takes as long as opening a snapshot
_SHARED_FROM = 8  # sections: comparing them takes ten times as long as forking
_MOSTLY = 20  # if more than every twentieth directory has changed, reading all costs less


def survey(
    start: "Sequence[str]",
    active_rules: "Sequence[Rule]",
    skip: "Sequence[str]" = (),
    tick: "Tick" = lambda _: None,
    meanwhile: "Callable[[], object] | None" = None,
) -> Survey:
    """Find all candidates below the start directories.

    Args:
        start: the start directories; links on the way to them are followed once.
        active_rules: the rules.
        skip: directories that are never entered.
        tick: called now and then with how many directories were visited.
        meanwhile: what the caller will need in any case; it may be called while a worker compares
            the snapshot.

    Returns:
        What was found, sorted by path.
    """
    began = time.time_ns()
    places = [os.path.realpath(os.path.expanduser(path)) for path in start]
    wanted = _Wanted(start, places, active_rules, skip, tick, meanwhile)
    if not all(map(mounts.keeps_times, places)):
        return _read_all(wanted, began)
    key = _key(wanted)
    earlier = snapshot.load(key, active_rules)
    if earlier is not None:
        with earlier:
            try:
                found = _read_changes(wanted, earlier, key, began)
            except DamagedError:
                found = None
        if found is not None:
            return found
    return _read_all(wanted, began, key)


class _Wanted(NamedTuple):
    """The arguments of ``survey``."""

    start: "Sequence[str]"
    places: "Sequence[str]"
    """The start directories' true paths."""
    active_rules: "Sequence[Rule]"
    skip: "Sequence[str]"
    tick: "Tick"
    meanwhile: "Callable[[], object] | None" = None


def _key(wanted: _Wanted) -> str:
    """Return a digest of everything that decides what a scan finds, the directories aside."""
    home = os.path.expanduser("~")
    skipped = [os.path.realpath(os.path.expanduser(path)) for path in wanted.skip]
    parts = (
        cache.running_code(),
        os.geteuid(),
        tuple(wanted.start),
        wanted.places,
        # Another directory there, or another file system, may have the very same times.
        list(map(identity_at, wanted.places)),
        [tuple(mount) for mount in mounts.mounts() if _is_below_any(mount.point, wanted.places)],
        home,
        os.path.realpath(home),
        skipped,
        [marker.name for marker in markers.selected()],
        [tuple(rule) for rule in wanted.active_rules],
        sys.platform,
    )
    return cache.digest(repr(parts).encode(errors="surrogateescape")).hex()


def _is_below_any(path: str, places: "Iterable[str]") -> bool:
    return any(is_below(path, place) for place in places)


def _sorted(findings: "Iterable[Finding]") -> "list[Finding]":
    return sorted(findings, key=lambda finding: finding.path.split("/"))


def _read_all(wanted: _Wanted, began: int, key: str = "") -> Survey:
    """Scan everything, and leave a snapshot under a key."""
    from regrow.scan import whole

    found, recorder = whole.scan(wanted.start, wanted.active_rules, wanted.skip, began, wanted.tick)
    found = found._replace(findings=_sorted(found.findings))
    if key and found.read >= _KEPT_FROM:
        snapshot.save(key, recorder, found.findings, found.signed, found.read)
    return found


def _read_changes(wanted: _Wanted, earlier: "Snapshot", key: str, began: int) -> Survey | None:
    """Return what an earlier scan has found, with what has changed since.

    Returns:
        None where so much has changed that all is to be read. Raises DamagedError.
    """
    pays = earlier.count >= _SHARED_FROM
    sections = list(worker.share(earlier.count, earlier.changes, wanted.meanwhile, pays=pays))
    count = sum(len(changes) - changes.count(snapshot.SAME) for changes in sections)
    if not count:
        return Survey(earlier.findings(), 0, earlier.directories, earlier.signed)
    if count * _MOSTLY > earlier.directories:
        return None
    from regrow.scan.changes import Changes
    from regrow.scan.walk import Scan

    changed = dict(earlier.changed(sections))
    for owner in [earlier.owners[path] for path in changed if path in earlier.owners]:
        changed.setdefault(owner, False)
    changes = Changes(began, earlier, changed, wanted.places)
    scan = Scan(wanted.start, wanted.active_rules, wanted.skip, changes.visits, recorder=changes)
    fresh = list(scan)
    wanted.tick(scan.directories)
    known = earlier.findings()
    old = [one for one in known if one.path not in wanted.start and changes.stays(one.path)]
    findings = _sorted([*old, *fresh])
    places = set(wanted.places)
    kept = (path for path in earlier.signed if path not in places and changes.stays(path))
    signed = sorted({*kept, *scan.signed})
    unchanged = earlier.directories - min(scan.directories, earlier.directories)
    is_as_known = findings == known and signed == sorted(earlier.signed)
    if not is_as_known or not changed.keys() <= changes.doubtful_ones:
        changes.adopt()
        changes.end()
        snapshot.save(key, changes, findings, signed, unchanged + scan.directories)
    return Survey(findings, scan.directories, unchanged, signed)
