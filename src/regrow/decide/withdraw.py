"""Which marks are taken back: those that regrow set by a rule, and that no rule justifies now.

Three ways lead here. A guard keeps a candidate that was marked earlier (``is_due``); no rule
recognises a recorded directory any more (``unrecognised``); or a directory carries regrow's
signature where no candidate stands (``strays``). What the user marked stays marked where it is.
"""

import os
import time

from regrow.decide.guards import LACKS_RECIPE, NOT_OURS, SILENT
from regrow.errors import RecordError
from regrow.model import (
    EXPLICIT,
    MARK,
    MARKED_ALREADY,
    TAKE_BACK,
    Candidate,
    Decision,
    Record,
    Rule,
    true_paths,
)
from regrow.records.format import MARKED, PENDING, REBUILD
from regrow.records.format import is_unfinished as says_unfinished
from regrow.records.store import file_name, identity_of, is_about, now
from regrow_marks import tag
from regrow_marks.directory import ancestors, is_below, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from regrow.model import Scope
    from regrow.records.moves import Standing
    from regrow.records.store import Store
    from regrow_marks.directory import Directory

NO_RULE = "no-rule"
"""In place of a guard's name: no rule recognises what regrow marked earlier."""

UNFINISHED = "unfinished"
"""In place of a guard's name: a rebuild was begun and not ended."""

INTERRUPTED = "a rebuild of it was interrupted: `regrow rebuild` does it again"

QUIET = 60
"""Seconds without a change: longer than a package manager pauses while it fills a directory."""

_EMPTYING = 2.0  # seconds; ``rm -r`` of the largest directory pauses far less between two entries


# A guard keeps a candidate.


def is_unfinished(candidate: Candidate, store: "Store") -> bool:
    """Return whether an interrupted rebuild left a candidate: its record has the whole recipe."""
    try:
        data = store.data(candidate.path)
    except RecordError:
        return False  # `regrow list` names it
    if data is not None:
        return says_unfinished(data, candidate.inode)
    from regrow.records import moves

    return moves.is_moved_unfinished(candidate.path, store)


def is_due(candidate: Candidate, guard: str, store: "Store") -> bool:
    """Return whether a candidate that is kept carries a mark, or the copy of one, to take back.

    Args:
        candidate: what the scan found.
        guard: the name of the guard that keeps it.
        store: where the records are.
    """
    from regrow.records import moves

    try:
        with open_directory(candidate.path) as directory:
            known = moves.standing(directory, store)
    except PathError:
        return False
    if known.is_copied:
        return guard != NOT_OURS
    record = known.record
    if record is None or record.rule == EXPLICIT or not record.set:
        return False
    if known.is_restored:
        return guard != NOT_OURS
    if known.is_here and record.path != candidate.path:
        return False  # that path is decided about on its own
    if guard in SILENT:
        return False
    return guard != LACKS_RECIPE or not is_being_filled(candidate)


# No rule recognises a recorded directory.


def unrecognised(
    candidates: "Iterable[Candidate]", scope: "Scope", store: "Store"
) -> "Iterator[Decision]":
    """Find what regrow marked by a rule below the start directories and no rule recognises now.

    Its recipe is of no use any more: the lock file is gone, for example, or the project.

    Args:
        candidates: all that a scan of the start directories found.
        scope: where it looked, and by which settings.
        store: where the records are.

    Yields:
        The decision to take the marks back. A directory that a scan does not reach, being skipped
        or inside another candidate, keeps them if its record is complete; so does one that a tool
        may just be making.
    """
    paths = {candidate.path for candidate in candidates}
    names = set(map(file_name, paths))
    places = scope.places
    for name, path in store.paths().items():
        if name in names or not any(is_below(path, place) for place in places):
            continue
        record = _readable(store, name)
        candidate = _marked_by_rule(record) if record is not None else None
        if record is None or candidate is None or is_being_filled(candidate):
            continue
        reason = _inside_another(record, paths) or _not_recognised(record, scope)
        if reason:
            yield Decision(candidate, TAKE_BACK, NO_RULE, reason)


def _inside_another(record: Record, candidates: "Collection[str]") -> str:
    """It was marked while it was filled, and then a directory above it became a candidate."""
    outer = next((path for path in ancestors(record.path) if path in candidates), None)
    if outer is None or record.state != PENDING:
        return ""
    return f"it is inside {outer}, which is decided about as a whole"


def _not_recognised(record: Record, scope: "Scope") -> str:
    """A scan reaches it, and finds no candidate there or above."""
    from regrow.scan.walk import Scan, towards

    # From the start furthest up: the evidence of a rule with a path stands above its match.
    starts = (*scope.places, *true_paths(scope.configuration.start))
    place = min((start for start in starts if is_below(record.path, start)), key=len)
    match = next((rule.directory for rule in scope.rules if rule.name == record.rule), "")
    project = record.path
    for _ in match.split("/"):
        project = split(project)[0]
    if not is_below(project, place):
        return ""
    scan = Scan([place], scope.rules, scope.configuration.skip, towards(record.path))
    if list(scan) or scan.last_seen != record.path:
        return ""
    return f"rule {record.rule} does not recognise it any more, nor does another"


def _marked_by_rule(record: Record) -> Candidate | None:
    """Return the candidate that a record is about, if a rule marked it and it is still there."""
    if record.rule == EXPLICIT or not record.set or record.state == REBUILD:
        return None
    try:
        with open_directory(record.path) as directory:
            if directory.path != record.path or not is_about(record, identity_of(directory.fd)):
                return None
            return _candidate(directory, record.rule, record.evidence)
    except PathError:
        return None


# A directory carries regrow's signature where no candidate stands.


class Strays(NamedTuple):
    """What is to be done about signed directories."""

    moved: "Sequence[str]" = ()
    """Those whose records are to follow them; see ``moves.follow``."""
    decisions: "Sequence[Decision]" = ()
    """The marks that are to be taken back, after that."""


def strays(
    signed: "Iterable[str]", decided: "Sequence[Decision]", scope: "Scope", store: "Store"
) -> Strays:
    """Decide about signed directories: they were moved, copied, or put back from a backup.

    Args:
        signed: the true paths of all that carry the signature.
        decided: what was decided about the candidates: their records follow them, and no more.
        scope: where the scan looked, and by which settings.
        store: where the records are.
    """
    paths = _not_marked_where_recorded(signed, decided, store)
    if not paths:
        return Strays()
    from regrow.records import moves

    candidates = {decision.candidate.path for decision in decided}
    seen = list(_look_at(paths, store))
    left = {k.record.path for _, k in seen if k.record is not None and k.is_moved}
    moved, taken_back = [], []
    for candidate, known in seen:
        if known.is_restored and candidate.path in left:
            known = known._replace(word=moves.COPIED)  # the one that left has the record
        if moves.is_to_follow(known):
            moved.append(candidate.path)
        if candidate.path in candidates:
            continue
        for name, ask in _REASONS:
            reason = ask(candidate.path, known)
            if reason and not _is_recognised_above(candidate.path, scope):
                taken_back.append(Decision(candidate, TAKE_BACK, name, reason))
            if reason:
                break
    return Strays(moved, taken_back)


def _not_marked_where_recorded(
    signed: "Iterable[str]", decided: "Iterable[Decision]", store: "Store"
) -> list[str]:
    """Return the signed directories but those that are marked as candidates and recorded there."""
    signed = list(signed)
    if not signed:
        return []
    names = set(store.names())
    marked = {d.candidate.path for d in decided if d.decision in (MARK, MARKED_ALREADY)}
    return [path for path in signed if path not in marked or file_name(path) not in names]


def _look_at(paths: "Iterable[str]", store: "Store") -> "Iterator[tuple[Candidate, Standing]]":
    """Yield the directories that nobody is at work on, with what the records say of each."""
    from regrow.records import moves
    from regrow.system import locks
    from regrow.system.aside_names import is_waiting

    for path in paths:
        try:
            with open_directory(path) as directory:
                known = moves.standing(directory, store)
                if is_waiting(directory.name) and not locks.take(directory):
                    continue  # a rebuild is at work on it
                rule = known.record.rule if known.record is not None else NO_RULE
                candidate = _candidate(directory, rule)
        except PathError:
            continue  # it is gone again
        if known.record is None or not known.is_moved or not _is_begun(path, known.record):
            yield candidate, known


def _is_begun(path: str, record: Record) -> bool:
    """Return whether a directory may stand under another name than it is about to get."""
    from regrow_marks.birth import PREFIX

    if split(path)[1].startswith(PREFIX):
        return record.state in (PENDING, REBUILD)
    return record.state == PENDING and abs(now() - record.time) < QUIET


def _left_by_rebuild(path: str, known: "Standing") -> str:
    """A rebuild was killed after it had moved the directory aside."""
    from regrow.system.aside_names import is_waiting

    if is_waiting(split(path)[1]) and (known.is_here or known.is_moved):
        return "a rebuild left it: what is in it belongs in the backup"
    return ""


def _copied(_: str, known: "Standing") -> str:
    """It came here with the marks of another directory."""
    if not known.is_copied:
        return ""
    if known.record is None:
        return "it carries a mark of regrow's without a record, and no rule recognises it"
    return f"it is a copy of {known.record.path}, and no rule recognises it"


def _moved(_: str, known: "Standing") -> str:
    """It was marked by a rule somewhere else."""
    if not known.is_moved or known.record is None or known.record.rule == EXPLICIT:
        return ""
    return f"it was moved here from {known.record.path}, and no rule recognises it"


def _restored(_: str, known: "Standing") -> str:
    """It was taken out of a backup, to where an earlier one was marked by a rule."""
    if not known.is_restored or known.record is None or known.record.rule == EXPLICIT:
        return ""
    return f"rule {known.record.rule} does not recognise it any more, nor does another"


_REASONS: "tuple[tuple[str, Callable[[str, Standing], str]], ...]" = (
    (UNFINISHED, _left_by_rebuild),
    ("copied", _copied),
    ("moved", _moved),
    (NO_RULE, _restored),
)
"""Each with the name that stands in place of a guard's; the first reason decides."""


def _is_recognised_above(path: str, scope: "Scope") -> bool:
    """Return whether a scan that begins further up finds a candidate at a directory or above it.

    The evidence of a rule with a path may stand above the place where this scan began.
    """
    from regrow.scan.walk import Scan, towards

    above = [one for one in true_paths(scope.configuration.start) if is_below(path, one)]
    top = min(above, key=len, default=path)
    if any(is_below(path, one) and is_below(top, one) for one in scope.places):
        return False  # this scan began there, or further up
    findings = Scan([top], scope.rules, scope.configuration.skip, towards(path))
    return any(isinstance(finding, Candidate) for finding in findings)


# Somebody is at work on a directory.


def is_being_filled(candidate: Candidate) -> bool:
    """Return whether a tool may be at work: what is half-made lacks evidence, or a recipe."""
    changed = last_change(candidate)
    return changed is None or abs(time.time() - changed) < QUIET


def last_change(candidate: Candidate) -> float | None:
    """Return when what a recipe is taken from was changed last.

    Args:
        candidate: the directory.

    Returns:
        Seconds since 1970 (UTC); None where that can't be told.
    """
    from regrow.recipes.recipe import stamp_of

    kind = candidate.rule.recipe
    try:
        if kind in ("command", "contents"):
            return os.lstat(candidate.path).st_mtime
        return stamp_of(kind, candidate.path) / 1e9
    except OSError:
        return None


def is_being_emptied(candidate: Candidate, store: "Store") -> bool:
    """Return whether a directory lost its tag just now: somebody may be removing all the rest.

    A tag put back in the middle of ``rm -r`` would make that fail; a later sweep puts it back.

    Args:
        candidate: what is to be marked.
        store: where its record may be.
    """
    try:
        status = os.lstat(candidate.path)
    except OSError:
        return False  # it is gone, as the next step finds out
    if abs(time.time() - status.st_mtime) >= _EMPTYING:
        return False
    record = _readable(store, file_name(candidate.path))
    return (
        record is not None
        and (record.state, record.inode) == (MARKED, status.st_ino)
        and tag.CachedirTag.name in (*record.set, *record.found)
        and not os.path.lexists(f"{candidate.path}/{tag.NAME}")
    )


def _candidate(directory: "Directory", rule: str, evidence: tuple[str, ...] = ()) -> Candidate:
    parent, name = split(directory.path)
    status = directory.status
    return Candidate(
        directory.path, Rule(rule, name), parent, evidence, False, status.st_dev, status.st_ino
    )


def _readable(store: "Store", name: str) -> Record | None:
    try:
        return store.by_name(name)
    except RecordError:
        return None  # `regrow list` names it
