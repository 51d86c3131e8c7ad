"""What became of the marks, and what probably did it."""

import os
import time

from regrow.doctor.findings import NOT_APPLICABLE, OK, RECORDS, TO_DO, WRONG, Finding
from regrow.errors import NewerRecordError, RecordError
from regrow.rebuild import leftovers
from regrow.records import moves, status
from regrow.records.store import Store, now
from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.records.status import Entry

_BUDGET = 0.4  # seconds; thousands of long records take more, and `regrow list` reads them all
_STALE = 3600  # seconds; no tool fills a directory for longer
_EXAMPLES = 2  # paths that a finding names

_WRITABLE = "make it writable; nothing is marked without a record"
_REMADE = (
    "a tool has made another directory there since (`uv venv --clear`, `npm ci`, a new Python)"
)
_ANEW = (
    "`regrow sweep` marks them again; `regrow service install`, a prompt hook (`regrow hook`) or"
    " a plugin beside the tool does it at once"
)
_SWEEP = "`regrow sweep` decides about them, and has records follow"
_STRAY = {
    moves.MOVED: "they were moved, and are recorded where they stood",
    moves.COPIED: "they carry regrow's mark and have no record: most often they are copies",
    moves.RESTORED: "they were taken out of a backup with regrow's mark",
}
_TELL = {
    status.LOST: (
        "a mark is off: most often a restore or a copy that left attributes behind, or somebody"
        " took it off by hand",
        "`regrow sweep` sets it again",
    ),
    status.REPLACED: (_REMADE, _ANEW),
    status.UNFINISHED: ("a rebuild was begun and not ended", "`regrow rebuild` does it again"),
    status.UNMARKED: (
        "they are in the backup again, and less is in them than their records list",
        "`regrow rebuild` brings it back; `regrow mark` accepts what is there",
    ),
    status.UNKNOWN: ("they can't be opened", "see `regrow list` for the reason of each"),
}
"""By state: what it is and what probably did it, and the way out."""


def check() -> list[Finding]:
    """Look at the records, as far as the time goes."""
    try:
        with Store() as store:
            return [_directory(store.path), *_entries(store)]
    except RegrowError as error:
        return [Finding(RECORDS, "directory", WRONG, str(error), _WRITABLE)]


def _directory(path: str) -> Finding:
    if os.access(path, os.W_OK):
        return Finding(RECORDS, "directory", OK, path)
    return Finding(RECORDS, "directory", WRONG, f"{path}: no record can be written", _WRITABLE)


def check_strays(configuration: "Configuration") -> list[Finding]:
    """Look for marks of regrow's on what is not recorded where it is, as far as the time goes."""
    end = time.monotonic() + _BUDGET

    def tick(_: int) -> None:
        if time.monotonic() > end:
            raise _OverBudgetError

    try:
        signed = status.signed(configuration, tick)
        store = Store() if signed else None
    except _OverBudgetError:
        text = "no sweep has left a scan to go by: marks on copies were not looked for"
        return [Finding(RECORDS, moves.COPIED, NOT_APPLICABLE, text, "`regrow sweep` looks at all")]
    except RecordError:
        return []  # reported already
    if store is None:
        return []
    with store:
        found = list(status.strays(signed, store))
    findings = []
    for word, what in _STRAY.items():
        paths = [path for path, known in found if known.word == word]
        if paths:
            text = _of_paths(paths, what)
            findings.append(Finding(RECORDS, word, TO_DO, text, _SWEEP))
    return findings


class _OverBudgetError(Exception):
    """The time is over."""


def _entries(store: Store) -> "Iterator[Finding]":
    end = time.monotonic() + _BUDGET
    found: dict[str, list[Entry]] = {}
    seen = 0
    for entry in status.entries(store):
        seen += 1
        if isinstance(entry, NewerRecordError):
            remedy = "upgrade this regrow, or use that one"
            yield Finding(RECORDS, "newer", TO_DO, str(entry), remedy)
        elif isinstance(entry, RecordError):
            remedy = "take the file out of a backup, or remove it and run `regrow sweep`"
            yield Finding(RECORDS, "damaged", WRONG, str(entry), remedy)
        else:
            found.setdefault(entry.state, []).append(entry)
        if time.monotonic() > end:
            break
    total = len(store.names())
    text = f"{len(found.get(status.THERE, ()))} directories stand with their marks"
    if seen < total:
        text += f" ({seen:,} of {total:,} records were looked at; `regrow list` looks at all)"
    yield Finding(RECORDS, "marked", OK, text)
    for state, (what, remedy) in _TELL.items():
        if state in found:
            yield Finding(RECORDS, state, TO_DO, _text(found[state], what), remedy)
    yield from _interrupted(found.get(status.INTERRUPTED, []))
    seen_paths = [entry.record.path for entries in found.values() for entry in entries]
    yield from _leftovers(seen_paths)
    if status.GONE in found:
        text = f"{len(found[status.GONE])} are gone; what brings them back is kept"
        yield Finding(RECORDS, status.GONE, OK, text)
    if status.AWAY in found:
        text = _text(found[status.AWAY], "the file systems that they are on are not there")
        yield Finding(RECORDS, status.AWAY, OK, text)
    if status.ELSEWHERE in found:
        text = _text(found[status.ELSEWHERE], "another machine wrote these records")
        yield Finding(RECORDS, status.ELSEWHERE, NOT_APPLICABLE, text)


def _leftovers(recorded: "Sequence[str]") -> "Iterator[Finding]":
    """Yield what rebuilds left, with what is in it."""
    known = set(recorded)
    for one in leftovers.find(recorded):
        remedy = "`regrow leftovers` shows it, and puts it back or removes it"
        if one.kind == leftovers.INTERRUPTED and {one.path, one.original} <= known:
            remedy = f"`regrow rebuild` puts back what is yours; {remedy}"
        text = f"{one.path}: {leftovers.KINDS[one.kind]}; {one.sentence}"
        yield Finding(RECORDS, "leftover", TO_DO, text, remedy)


def _interrupted(entries: "Sequence[Entry]") -> "Iterator[Finding]":
    """Separate what is being filled at this moment from what was left half done."""
    stale = [entry for entry in entries if now() - entry.record.time > _STALE]
    fresh = [entry for entry in entries if now() - entry.record.time <= _STALE]
    if fresh:
        text = _text(fresh, "marked within the last hour, and completed when they are filled")
        yield Finding(RECORDS, "pending", OK, text)
    if stale:
        text = _text(stale, "a regrow was stopped while it marked them")
        yield Finding(RECORDS, status.INTERRUPTED, TO_DO, text, "`regrow sweep` completes them")


def _text(entries: "Sequence[Entry]", what: str) -> str:
    """Write how many, which, and what: ``2: /home/ada/a/.venv, …: a mark is off``."""
    return _of_paths((entry.record.path for entry in entries), what)


def _of_paths(found: "Iterable[str]", what: str) -> str:
    paths = sorted(found)
    more = ", …" if len(paths) > _EXAMPLES else ""
    return f"{len(paths)}: {', '.join(paths[:_EXAMPLES])}{more}: {what}"
