"""Everything that a scan of the start directories finds, as fast as it can be had.

Where an earlier scan has left a snapshot, only what has changed since is read. Where everything is
to be read, a second process takes a share. What scans is loaded where there is something to scan.
"""

import os
import sys
import time

from regrow.model import Survey
from regrow.scan import snapshot
from regrow.scan.snapshot import DamagedError, Recorder, Revision
from regrow.system import cache, mounts, worker
from regrow.system.worker import HelperLostError
from regrow_marks import markers
from regrow_marks.directory import ancestors, identity_at, is_below, join, split
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from regrow.model import Rule
    from regrow.scan.snapshot import Snapshot
    from regrow.scan.walk import Finding, Frame
    from regrow.system.worker import Channel

    Tick = Callable[[int], None]

_KEPT_FROM = 200  # directories: to read them takes as long as to open a snapshot
_FORK_AFTER = 2000  # directories: to read them takes twenty times as long as to fork
_SHARED_FROM = 8  # sections: to compare them takes ten times as long as to fork
_MOSTLY = 20  # where more than every twentieth directory has changed, to read all costs less
_IDLE = None
"""The message of a process that has nothing left to do."""


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
        tick: called now and then with how many directories were read.
        meanwhile: what is to be done in any case, and may be done while a second process compares.

    Returns:
        What was found, sorted by path.
    """
    began = time.time_ns()
    places = [os.path.realpath(os.path.expanduser(path)) for path in start]
    asked = _Asked(start, places, active_rules, skip, tick, meanwhile)
    if not all(map(mounts.keeps_times, places)):
        return _read_all(asked, Recorder(began))
    key = _key(asked)
    earlier = snapshot.load(key, active_rules)
    if earlier is not None:
        with earlier:
            try:
                found = _read_changes(asked, earlier, key, began)
            except DamagedError:
                found = None
        if found is not None:
            return found
    notes = Recorder(began)
    found = _read_all(asked, notes)
    if found.read >= _KEPT_FROM:
        snapshot.save(key, notes, found.findings, found.signed, found.read)
    return found


class _Asked(NamedTuple):
    start: "Sequence[str]"
    places: "Sequence[str]"
    """The start directories' true paths."""
    active_rules: "Sequence[Rule]"
    skip: "Sequence[str]"
    tick: "Tick"
    meanwhile: "Callable[[], object] | None" = None


def _key(asked: _Asked) -> str:
    """Tell what a snapshot is made of besides the directories: everything that decides."""
    home = os.path.expanduser("~")
    skipped = [os.path.realpath(os.path.expanduser(path)) for path in asked.skip]
    parts = (
        cache.running_code(),
        os.geteuid(),
        tuple(asked.start),
        asked.places,
        # Another directory there, or another file system, may have the very same times.
        list(map(identity_at, asked.places)),
        [tuple(mount) for mount in mounts.mounts() if _is_below_any(mount.point, asked.places)],
        home,
        os.path.realpath(home),
        skipped,
        [marker.name for marker in markers.selected()],
        [tuple(rule) for rule in asked.active_rules],
        sys.platform,
    )
    return cache.digest(repr(parts).encode(errors="surrogateescape")).hex()


def _is_below_any(path: str, places: "Iterable[str]") -> bool:
    return any(is_below(path, place) for place in places)


def _sorted(findings: "Iterable[Finding]") -> "list[Finding]":
    return sorted(findings, key=lambda finding: finding.path.split("/"))


# Everything is read.


def _read_all(asked: _Asked, notes: Recorder) -> Survey:
    if worker.is_of_use():
        try:
            return _Pair(asked, notes).read()
        except HelperLostError:
            notes.begin_again()  # it costs time, and nothing else
    from regrow.scan.walk import Scan

    scan = Scan(
        asked.start,
        asked.active_rules,
        asked.skip,
        recorder=notes,
        pause=lambda _: asked.tick(scan.directories),
    )
    findings = _sorted(scan)
    notes.end()
    return Survey(findings, scan.directories, signed=scan.signed)


class _Pair:
    """A scan by two processes: one that is idle says so, and gets half of what the other has left.

    Fixed shares would not do: projects differ in size by a factor of thousands. When both are idle
    all is done, and the helper tells what it has found.
    """

    def __init__(self, asked: _Asked, notes: Recorder) -> None:
        from regrow.scan.walk import Scan

        self._asked = asked
        self._notes = notes
        self._scan = Scan(
            asked.start, asked.active_rules, asked.skip, recorder=notes, pause=self._pause
        )
        self._channel: Channel | None = None
        self._is_other_idle = False

    def read(self) -> Survey:
        """Scan. Raises HelperLostError: it has to be done again."""
        try:
            findings = list(self._scan)
            directories, signed = 0, self._scan.signed
            if self._channel is not None:
                findings += self._parts(self._channel)
                more, directories, others = self._results(self._channel)
                findings += more
                signed = [*signed, *others]
            self._notes.end()
            read = self._scan.directories + directories
            return Survey(_sorted(findings), read, signed=signed)
        finally:
            if self._channel is not None:
                self._channel.close()

    def _pause(self, stack: "list[Frame]") -> None:
        self._asked.tick(self._scan.directories)
        if self._channel is None:
            if self._scan.directories < _FORK_AFTER:
                return
            self._channel = worker.fork(self._help)
        if self._channel.has_message():
            self._channel.receive()  # it is idle: while we work it says nothing else
            self._is_other_idle = True
        if self._is_other_idle:
            from regrow.scan.walk import split_off

            part = split_off(stack)
            if part is not None:
                self._channel.send(part)
                self._is_other_idle = False

    def _parts(self, channel: "Channel") -> "Iterable[Finding]":
        """Do parts of what the other has left, until both are idle."""
        while True:
            channel.send(_IDLE)
            part = _IDLE if self._is_other_idle else channel.receive()
            if part is _IDLE:
                return
            yield from self._scan.take_over(part)

    def _help(self, channel: "Channel") -> None:
        """Do the helper's side."""
        self._channel = channel
        self._asked = self._asked._replace(tick=lambda _: None)
        self._notes.begin_again()
        before = self._scan.directories
        self._scan.signed.clear()
        findings = [snapshot.pack(finding) for finding in self._parts(channel)]
        self._notes.end()
        read = self._scan.directories - before
        channel.send((findings, read, self._scan.signed, *self._notes.packed()))
        while self._notes.sections:
            channel.send(self._notes.sections.pop())  # of a million directories it is 40 MB

    def _results(self, channel: "Channel") -> "tuple[list[Finding], int, list[str]]":
        packed, directories, signed, owners, hinted, count = channel.receive()
        self._notes.add(owners, hinted, (channel.receive() for _ in range(count)))
        return snapshot.unpack(packed, self._asked.active_rules), directories, signed


# Only what has changed is read.


def _read_changes(asked: _Asked, earlier: "Snapshot", key: str, began: int) -> Survey | None:
    """Give what an earlier scan has found, with what has changed since.

    Returns:
        None where so much has changed that all is to be read. Raises DamagedError.
    """
    pays = earlier.count >= _SHARED_FROM
    sections = list(worker.share(earlier.count, earlier.changes, asked.meanwhile, pays=pays))
    count = sum(len(words) - words.count(snapshot.SAME) for words in sections)
    if not count:
        return Survey(earlier.findings(), 0, earlier.directories, earlier.signed)
    if count * _MOSTLY > earlier.directories:
        return None
    from regrow.scan.walk import Scan

    changed = dict(earlier.changed(sections))
    for owner in [earlier.owners[path] for path in changed if path in earlier.owners]:
        changed.setdefault(owner, False)
    visits = _Visits(earlier, changed, asked.places)
    notes = Revision(began, visits.changed)
    scan = Scan(asked.start, asked.active_rules, asked.skip, visits, recorder=notes)
    fresh = list(scan)
    asked.tick(scan.directories)
    known = earlier.findings()
    old = [one for one in known if one.path not in asked.start and notes.stays(one.path)]
    findings = _sorted([*old, *fresh])
    places = set(asked.places)
    kept = (path for path in earlier.signed if path not in places and notes.stays(path))
    signed = sorted({*kept, *scan.signed})
    unchanged = earlier.directories - min(scan.directories, earlier.directories)
    is_as_known = findings == known and signed == sorted(earlier.signed)
    if not is_as_known or not changed.keys() <= visits.doubtful:
        notes.adopt(earlier)
        notes.end()
        snapshot.save(key, notes, findings, signed, unchanged + scan.directories)
    return Survey(findings, scan.directories, unchanged, signed)


class _Visits:
    """Tells a scan what to visit: what has changed, what is new, and the way to them."""

    def __init__(
        self, earlier: "Snapshot", changed: "dict[str, bool]", places: "Sequence[str]"
    ) -> None:
        """Prepare it.

        Args:
            earlier: what is known.
            changed: by path, the directories that have changed, and whether another one stands
                there.
            places: the start directories, visited each time: one below another one is seen from
                there, too.
        """
        self.changed = set(changed)
        """The directories whose children are not all the known ones."""
        self.doubtful: set[str] = set()
        """Those that are looked at in any case."""
        self._new = {path for path, is_another in changed.items() if is_another}
        self._route = self.changed.union(places, *map(ancestors, [*changed, *places]))
        self._with_other_hints: set[str] = set()
        self._hinted = earlier.hinted_ones
        self._inodes: dict[str, int] = {}
        for path, _, inode in earlier.rows():
            parent = split(path)[0]
            if not inode:
                self.doubtful.add(path)
            elif path not in earlier.owners and (parent in changed or parent in self._hinted):
                self._inodes[path] = inode

    def __call__(self, parent: str, name: str, is_hinted: bool) -> bool:
        """See ``Scan``'s ``visits``."""
        path = join(parent, name)
        # What a listing says about what is below it may have changed; and what was recognised by
        # that, and is no longer, has children that nobody has looked at.
        may_be_other = parent in self.changed or parent in self._with_other_hints
        if path in self._new or parent in self._new or (may_be_other and not self._is_known(path)):
            self._new.add(path)
            self.changed.add(path)
            return True
        if may_be_other and (is_hinted or path in self._hinted):
            self._with_other_hints.add(path)
            return True
        return path in self._route

    def _is_known(self, path: str) -> bool:
        """Tell whether the very directory stands there that was there: one moved keeps its time."""
        try:
            return os.lstat(path).st_ino == self._inodes.get(path)
        except OSError:
            return False
