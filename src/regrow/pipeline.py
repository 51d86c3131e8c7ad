"""The last steps of the pipeline: a decision is carried out."""

import errno

from regrow.marking import Reason, mark
from regrow.model import (
    FAILURE,
    KEEP,
    KEPT,
    NO_RECIPE,
    TAKE_BACK,
    VANISHED,
    Decision,
    Result,
    summed_up,
)
from regrow_marks import markers
from regrow_marks.errors import PathError, RegrowError
from regrow_marks.model import FAILED, MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.records.store import Store
    from regrow_marks.directory import Directory, Opener

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
"""What opening a directory says of one that is removed, or replaced by a file or a link."""


def carry_out(decision: Decision, store: "Store", opener: "Opener") -> Result:
    """Record and mark what a decision says, or take the marks back.

    Args:
        decision: what is to be done with a directory.
        store: where its record is, or goes.
        opener: opens the directory.

    Returns:
        What became of it. A directory that tools replaced or removed since it was decided about is
        left alone: that is no failure.
    """
    candidate = decision.candidate
    if decision.guard == FAILURE:
        return Result(decision, FAILED, error=f"{candidate.path}: {decision.reason}")
    if decision.decision == KEEP:
        return Result(decision, KEPT)
    try:
        with opener.open(candidate.path) as directory:
            found = (directory.status.st_dev, directory.status.st_ino)
            if found != (candidate.device, candidate.inode) or not directory.is_at(candidate.path):
                return Result(decision, VANISHED, error="it was replaced since it was found")
            result = _act(decision, directory, store)
            if result.outcome == FAILED and not directory.is_at(candidate.path):
                return Result(decision, VANISHED, result.outcomes, "it vanished meanwhile")
            return result
    except PathError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno in _GONE:
            return Result(decision, VANISHED, error="it vanished since it was found")
        return Result(decision, FAILED, error=str(error))
    except RegrowError as error:
        return Result(decision, FAILED, error=str(error))
    except Exception as error:  # noqa: BLE001 - the others are still to be done
        from regrow import mishaps

        return Result(decision, FAILED, error=f"{candidate.path}: {mishaps.words(error)}")


def _act(decision: Decision, directory: "Directory", store: "Store") -> Result:
    if decision.decision == TAKE_BACK:
        from regrow.decide import withdraw

        with store.locked():
            outcomes = withdraw.take_back(directory, store)
        return Result(decision, summed_up(outcomes, UNMARKED), outcomes)
    candidate, taken = decision.candidate, decision.taken
    reason = Reason(
        candidate.rule.name,
        candidate.evidence,
        taken.recipe if taken else NO_RECIPE,
        taken.files if taken else (),
    )
    chosen = tuple(markers.marker(name) for name in decision.markers)
    notes: list[str] = []
    outcomes = mark(directory, chosen, store, reason, notes)
    return Result(decision, summed_up(outcomes, MARKED), outcomes, notes=tuple(notes))
