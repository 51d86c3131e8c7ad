"""What carries regrow's signature where no candidate stands: it was moved, copied, or put back.

A record follows its directory. A mark that no rule stands for any more is taken back, but where the
user set it on this very directory.
"""

import os

from regrow.create import aside
from regrow.decide import decisions
from regrow.decide.decisions import COPIED, MOVED, NO_RULE
from regrow.model import EXPLICIT, TAKE_BACK, Candidate, Decision, Rule
from regrow.records import moves
from regrow.records.format import PENDING, REBUILD
from regrow.records.moves import Standing
from regrow.records.store import now
from regrow.system import locks
from regrow_marks.birth import PREFIX
from regrow_marks.directory import is_below, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from regrow.config import Configuration
    from regrow.records.store import Store
    from regrow_marks.directory import Directory
    from regrow_marks.model import Outcome


class Strays(NamedTuple):
    """What is to be done about signed directories."""

    moved: list[str]
    """Those whose records are to follow them; see ``moves.follow``."""
    decisions: list[Decision]
    """The marks that are to be taken back, after that."""


def strays(
    paths: "Iterable[str]",
    candidates: "Container[str]",
    configuration: "Configuration",
    start: "Sequence[str]",
    active_rules: "Sequence[Rule]",
    store: "Store",
) -> Strays:
    """Decide about signed directories; nothing is changed.

    Args:
        paths: their true paths; see ``decisions.to_look_at``.
        candidates: the paths of those that are decided about as candidates: their records follow
            them, and no more.
        configuration: the user's settings.
        start: the start directories' true paths.
        active_rules: the rules.
        store: where the records are.
    """
    seen = []
    for path in paths:
        try:
            with open_directory(path) as directory:
                known = moves.standing(directory, store)
                if aside.is_waiting(directory.name) and not locks.take(directory):
                    continue  # a rebuild is at work on it
                candidate = _candidate(directory, known)
        except PathError:
            continue  # it is gone again
        if known.record is None or not _is_begun(candidate, known):
            seen.append((candidate, known))
    left = {k.record.path for _, k in seen if k.record is not None and k.word == moves.MOVED}
    moved, taken_back = [], []
    for candidate, known in seen:
        if known.word == moves.RESTORED and candidate.path in left:
            known = known._replace(word=moves.COPIED)  # the one that left has the record
        if moves.is_to_follow(known):
            moved.append(candidate.path)
        if candidate.path in candidates:
            continue
        guard, reason = _why_to_take_back(candidate, known)
        if reason and not _is_recognised_above(candidate.path, configuration, start, active_rules):
            taken_back.append(Decision(candidate, TAKE_BACK, guard, reason))
    return Strays(moved, taken_back)


def take_back(directory: "Directory", store: "Store") -> "dict[str, Outcome]":
    """Take the marks off a directory, as it was decided; the caller holds the store's lock.

    Args:
        directory: the directory, open.
        store: where the records are.

    Returns:
        By marker: what became of it.
    """
    from regrow import unmarking
    from regrow.records import history

    if aside.is_waiting(directory.name):
        return aside.expose(directory, store)
    record = store.read(directory.path)
    if record is not None:
        history.add(store, record)  # what can't be described now could be once
    return unmarking.undo(directory, store)


def _candidate(directory: "Directory", known: Standing) -> Candidate:
    record = known.record
    rule = Rule(record.rule if record is not None else NO_RULE, directory.name)
    status = directory.status
    project = split(directory.path)[0]
    return Candidate(directory.path, rule, project, (), False, status.st_dev, status.st_ino)


def _is_begun(candidate: Candidate, known: Standing) -> bool:
    """Return whether a directory may stand under another name than it is about to get."""
    record = known.record
    if record is None or known.word != moves.MOVED:
        return False
    if split(candidate.path)[1].startswith(PREFIX):
        return record.state in (PENDING, REBUILD)
    return record.state == PENDING and (abs(now() - record.time) < decisions.QUIET)


def _why_to_take_back(candidate: Candidate, known: Standing) -> tuple[str, str]:
    """Return in place of a guard's name what became of a directory, and the reason; empty: none."""
    record = known.record
    if aside.is_waiting(split(candidate.path)[1]) and known.word in (moves.HERE, moves.MOVED):
        return decisions.UNFINISHED, "a rebuild left it: what is in it belongs in the backup"
    if known.word == moves.COPIED and record is None:
        return COPIED, "it carries a mark of regrow's without a record, and no rule recognises it"
    if record is None or (record.rule == EXPLICIT and known.word != moves.COPIED):
        return "", ""
    if known.word == moves.COPIED:
        return COPIED, f"it is a copy of {record.path}, and no rule recognises it"
    if known.word == moves.MOVED:
        return MOVED, f"it was moved here from {record.path}, and no rule recognises it"
    if known.word == moves.RESTORED:
        return NO_RULE, f"rule {record.rule} does not recognise it any more, nor does another"
    return "", ""


def _is_recognised_above(
    path: str,
    configuration: "Configuration",
    start: "Sequence[str]",
    active_rules: "Sequence[Rule]",
) -> bool:
    """Return whether a scan that begins further up finds a candidate at a directory or above it.

    The evidence of a rule with a path may stand above the place where this scan began.
    """
    from regrow.scan.walk import Scan, towards

    given = (os.path.realpath(os.path.expanduser(one)) for one in configuration.start)
    above = [one for one in given if is_below(path, one)]
    top = min(above, key=len, default=path)
    if any(is_below(path, one) and is_below(top, one) for one in start):
        return False  # this scan began there, or further up
    findings = Scan([top], active_rules, configuration.skip, towards(path))
    return any(isinstance(finding, Candidate) for finding in findings)
