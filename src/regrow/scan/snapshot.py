"""Keeps what a scan found and what that depends on, so that the next one need not read all again.

A snapshot holds each directory that was looked at, with its inode and the time of its last change
(ctime, which nobody can set): that moves whenever an entry comes or goes or is replaced, and when
marks, rights or owners change. The next scan asks for these times, which costs a tenth of
reading, and reads again what has another. It is a cache: where anything is in doubt it is not used.
"""

import marshal
import os
from array import array
from operator import attrgetter

from regrow.model import Candidate, Unreadable
from regrow.system import cache
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Self

    from regrow.model import Rule
    from regrow.scan.walk import Finding

    Packed = tuple[Any, ...]
    Row = tuple[str, int, int]

_SECTION = 512  # directories: two milliseconds to compare, 50 KiB to hold
FRESH = 2_000_000_000
"""Nanoseconds: what has changed later than that before a scan may change again unseen, since file
systems stamp by clocks that tick, some of them once in two seconds."""

SAME, CHANGED, ANOTHER = range(3)
"""What became of a directory; where it is gone, or its inode is, another one may stand there."""

_NEVER = 0  # in place of a time: look again in any case
_TIME, _INODE, _NUMBER = "q", "Q", 8  # types of array, and the bytes that each number takes
_FOOTER = 2 * _NUMBER + cache.DIGEST_SIZE
_KEPT = 8  # snapshots of different start directories
_PREFIX = "scan-"

_changed = attrgetter("st_ctime_ns")


class Recorder:
    """Records what a snapshot is made of; see ``observer.Recorder``."""

    def __init__(self, began: int) -> None:
        """Begin.

        Args:
            began: when the scan began, in nanoseconds since 1970 (UTC).
        """
        self._fresh = began - FRESH
        self._rows: list[Row] = []
        self.sections: list[bytes] = []
        """What was recorded, in the form in which it is kept; see ``end``."""
        self.owners: dict[str, str] = {}
        """By path: the directory that has to be looked at again when this changes."""
        self.hinted_ones: set[str] = set()
        """The directories for which a listing further up holds evidence."""

    def looked_at(self, path: str, status: os.stat_result) -> None:
        """See ``observer.Recorder``."""
        changed = status.st_ctime_ns
        self.add_row((path, changed if changed < self._fresh else _NEVER, status.st_ino))

    def depends_on(self, path: str, names: "Iterable[str]") -> None:
        """See ``observer.Recorder``."""
        for name in names:
            inner = f"{path}/{name}"
            if inner in self.owners:
                continue
            try:
                status = os.lstat(inner)
            except OSError:
                continue  # when it appears, the directory that holds it changes
            self.owners[inner] = path
            Recorder.looked_at(self, inner, status)

    def doubtful(self, path: str) -> None:
        """See ``observer.Recorder``."""
        self.add_row((path, _NEVER, 0))

    def hinted(self, path: str) -> None:
        """See ``observer.Recorder``."""
        self.hinted_ones.add(path)

    def add_row(self, row: "Row") -> None:
        """Record a path, when it was changed last, and its inode."""
        self._rows.append(row)
        if len(self._rows) == _SECTION:
            self.end()

    def packed(self) -> "Packed":
        """Return everything that was recorded, as plain data for ``add``."""
        return self.sections, self._rows, self.owners, self.hinted_ones

    def add(self, packed: "Packed") -> None:
        """Take over what was recorded of another part of the same scan."""
        sections, rows, owners, hinted = packed
        self.sections += sections
        for row in rows:
            self.add_row(row)
        self.owners.update(owners)
        self.hinted_ones.update(hinted)

    def end(self) -> None:
        """Turn the last rows into a section."""
        if not self._rows:
            return
        paths, times, inodes = zip(*self._rows, strict=True)
        section = (
            os.fsencode("\0".join(paths)),
            array(_TIME, times).tobytes(),
            array(_INODE, inodes).tobytes(),
        )
        self.sections.append(marshal.dumps(section))
        self._rows.clear()


class Snapshot:
    """What an earlier scan has left. Use it as a context manager."""

    def __init__(self, fd: int, head: "tuple[Any, ...]", active_rules: "Sequence[Rule]") -> None:
        """Use ``load``."""
        self._fd = fd
        self._index, self._findings, self.owners, hinted, self.signed, self.directories = head
        self._active_rules = active_rules
        self.hinted_ones = frozenset(hinted)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def count(self) -> int:
        """How many sections there are."""
        return len(self._index)

    def findings(self) -> "list[Finding]":
        """Return what was found."""
        return unpack(self._findings, self._active_rules)

    def changes(self, number: int) -> bytes:
        """Compare a section with what is there now.

        Args:
            number: the section's, from 0.

        Returns:
            For each directory one of ``SAME``, ``CHANGED`` and ``ANOTHER``; nothing at all where
            every one is the same.
        """
        paths, times, inodes = self._section(number)
        try:
            # One call after the other without a line of Python between them.
            if array(_TIME, map(_changed, map(os.lstat, paths))).tobytes() == times:
                return b""
        except OSError:
            pass  # something is gone: which it is, the loop finds out
        return bytes(map(_compare, paths, array(_TIME, times), array(_INODE, inodes)))

    def changed(self, sections: "Iterable[bytes]") -> "Iterator[tuple[str, bool]]":
        """Find out which directories have changed.

        Args:
            sections: for each section, what ``changes`` returned.

        Yields:
            The paths that have changed or are gone, and whether another one stands there.
        """
        for number, changes in enumerate(sections):
            if changes:
                for path, change in zip(self._section(number)[0], changes, strict=True):
                    if change != SAME:
                        yield path, change == ANOTHER

    def rows(self) -> "Iterator[Row]":
        """Yield every path, when it was changed last, and its inode."""
        for number in range(self.count):
            paths, times, inodes = self._section(number)
            yield from zip(paths, array(_TIME, times), array(_INODE, inodes), strict=True)

    def _section(self, number: int) -> tuple[list[str], bytes, bytes]:
        offset, size, wanted = self._index[number]
        try:
            data = os.pread(self._fd, size, offset)
        except OSError as error:
            raise DamagedError from error
        if cache.digest(data) != wanted:
            raise DamagedError
        paths, times, inodes = marshal.loads(data)  # noqa: S302 - our own file, and whole
        return os.fsdecode(paths).split("\0"), times, inodes


def _compare(path: str, time: int, inode: int) -> int:
    try:
        status = os.lstat(path)
    except OSError:
        return ANOTHER
    if status.st_ctime_ns == time:
        return SAME
    return CHANGED if inode in (0, status.st_ino) else ANOTHER


class DamagedError(Exception):
    """The snapshot's file is not as it was written."""


def load(key: str, active_rules: "Sequence[Rule]") -> Snapshot | None:
    """Open the snapshot of earlier scans.

    Args:
        key: what it has to have been made of.
        active_rules: the rules.

    Returns:
        The snapshot; None where there is none, or none to trust.
    """
    fd = cache.open_file(_PREFIX + key)
    if fd is None:
        return None
    try:
        size = os.fstat(fd).st_size
        footer = os.pread(fd, _FOOTER, max(0, size - _FOOTER))
        begin, length = array(_TIME, footer[: 2 * _NUMBER].ljust(2 * _NUMBER, b"\0"))
        data = os.pread(fd, length, begin) if begin >= 0 and 0 < length <= size else b""
        if not data or cache.digest(data) != footer[2 * _NUMBER :]:
            os.close(fd)
            return None
        cache.refresh(_PREFIX + key)
        return Snapshot(fd, marshal.loads(data), active_rules)  # noqa: S302 - our own file, and whole
    except OSError:
        os.close(fd)
        return None  # the disk fails, or there is no such place
    except BaseException:
        os.close(fd)
        raise


def save(
    key: str,
    notes: Recorder,
    findings: "Iterable[Finding]",
    signed: "Iterable[str]",
    directories: int,
) -> None:
    """Write a snapshot. If that can't be done, the next scan reads everything.

    Args:
        key: what it was made of.
        notes: of the scan, ended.
        findings: what was found.
        signed: the paths of the directories that carry regrow's signature.
        directories: how many were looked at.
    """
    cache.replace(_PREFIX + key, _file(notes, findings, signed, directories))
    cache.keep_newest(_PREFIX, _KEPT)


def _file(
    notes: Recorder, findings: "Iterable[Finding]", signed: "Iterable[str]", directories: int
) -> "Iterator[bytes]":
    index = []
    offset = 0
    for section in notes.sections:
        index.append((offset, len(section), cache.digest(section)))
        offset += len(section)
        yield section
    packed = [pack(finding) for finding in findings]
    head = marshal.dumps(
        (index, packed, notes.owners, notes.hinted_ones, list(signed), directories)
    )
    yield head
    yield array(_TIME, (offset, len(head))).tobytes()
    yield cache.digest(head)


def pack(finding: "Finding") -> "Packed":
    """Return a finding as plain data."""
    if isinstance(finding, Unreadable):
        return tuple(finding)
    kept_by = finding.kept_by.name if finding.kept_by else None
    return (finding.path, finding.rule.name, *finding[2:-1], kept_by)


def unpack(packed: "Iterable[Packed]", active_rules: "Iterable[Rule]") -> "list[Finding]":
    """Return findings from plain data.

    Args:
        packed: what ``pack`` gave.
        active_rules: the rules.
    """
    by_name = {rule.name: rule for rule in active_rules}
    findings: list[Finding] = []
    for one in packed:
        if len(one) == len(Unreadable._fields):
            findings.append(Unreadable(*one))
        else:
            path, rule, *others, kept_by = one
            fields = (path, by_name[rule], *others, by_name.get(kept_by))
            findings.append(Candidate._make(fields))
    return findings
