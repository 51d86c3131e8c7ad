"""One pipeline: ``plan`` looks and decides, and changes nothing; ``apply`` does what it says.

sweep, watch, run, the prompt hook, export and explain are views of these two.
"""

import errno

from regrow.errors import as_sentence
from regrow.marking import Reason, mark, mark_before_birth
from regrow.model import (
    FAILURE,
    KEEP,
    KEPT,
    MARK,
    TAKE_BACK,
    VANISHED,
    Candidate,
    Decision,
    Plan,
    Result,
    Survey,
    Unreadable,
    summed_up,
)
from regrow_marks import markers
from regrow_marks.directory import Opener
from regrow_marks.errors import PathError, RegrowError
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import FAILED, MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regrow.config import Configuration
    from regrow.decide.cache import Memory
    from regrow.model import Scope
    from regrow.records.store import Store
    from regrow.scan.walk import Scan
    from regrow_marks.directory import Directory

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
"""What opening a directory says of one that is removed, or replaced by a file or a link."""


def plan(
    scope: "Scope",
    store: "Store | None",
    *,
    scan: "Callable[[], Survey] | None" = None,
    also: "Iterable[Candidate]" = (),
    memory: "Callable[[], Memory] | None" = None,
) -> Plan:
    """Find what can be rebuilt, and decide about it; nothing is changed.

    Args:
        scope: where to look, and by which settings.
        store: where the records are. None: nothing that regrow marked earlier is taken back.
        scan: looks; default: every directory below the start directories is read.
        also: candidates besides what the scan finds, such as ``walk.at_home`` returns.
        memory: called after the scan: what earlier plans have decided. None: nothing is remembered.

    Raises:
        ConfigurationError: a keep pattern is none.
        RecordError: the records can't be listed.
    """
    survey = scan() if scan is not None else _read_all(scope)
    # Imported after the scan: a sweep has loaded them meanwhile, while it waited for a worker.
    from regrow.decide import withdraw
    from regrow.decide.decisions import decide

    candidates = [one for one in survey.findings if isinstance(one, Candidate)]
    candidates += also
    unreadable = [one for one in survey.findings if isinstance(one, Unreadable)]
    if store is not None:
        store.forget_identities()
    decisions = decide(candidates, scope, store, memory() if memory is not None else None)
    strays = withdraw.Strays()
    if store is not None:
        strays = withdraw.strays(survey.signed, decisions, scope, store)
        if survey.is_whole:
            decisions += withdraw.unrecognised(candidates, scope, store)
        decisions += strays.decisions
    return Plan(decisions, strays.moved, unreadable, survey.read, survey.unchanged)


def _read_all(scope: "Scope") -> Survey:
    from regrow.scan.walk import Scan

    return survey_of(Scan(scope.start, scope.rules, scope.configuration.skip))


def survey_of(scan: "Scan") -> Survey:
    """Return what one walk finds."""
    findings = list(scan)
    return Survey(findings, scan.directories, signed=scan.signed)


def apply(plan: Plan, store: "Store", *, is_settled: bool = False) -> "Iterator[Result]":
    """Record and mark what a plan says, and take back what it says.

    Args:
        plan: what is to be done.
        store: where the records are, and go.
        is_settled: whether nobody is at work on the directories any more, as after a command. Else
            no tag is written into one that is being emptied.

    Yields:
        What became of each decision, as soon as it is carried out. A directory that tools replaced
        or removed since it was decided about is left alone: that is no failure.

    Raises:
        RecordError: the records of what has moved can't follow; nothing was marked.
    """
    if plan.moved:
        from regrow.records import moves

        moves.follow(plan.moved, store)
    with Opener() as opener:
        for decision in plan.decisions:
            yield _carry_out(decision, store, opener, is_settled)


def begin(decision: Decision, store: "Store", configuration: "Configuration") -> Result:
    """Record and mark what a tool is still filling; ``apply`` completes it.

    Attributes alone go on, so that no tool meets a file of ours.

    Args:
        decision: what was decided about the directory; it may lack a recipe yet.
        store: where the record goes.
        configuration: the user's settings.
    """

    def act(directory: "Directory") -> Result:
        chosen = markers.selected(nodump=configuration.nodump)
        path = decision.candidate.path
        outcomes = mark_before_birth(directory, chosen, store, _reason(decision), path)
        return Result(decision, summed_up(outcomes, MARKED), outcomes)

    with Opener() as opener:
        return _act_on(decision, opener, act)


def _carry_out(decision: Decision, store: "Store", opener: Opener, is_settled: bool) -> Result:
    candidate = decision.candidate
    if decision.guard == FAILURE:
        return Result(decision, FAILED, error=f"{candidate.path}: {decision.reason}")
    if decision.decision == KEEP:
        return Result(decision, KEPT)

    def take_back(directory: "Directory") -> Result:
        from regrow import unmarking

        outcomes = unmarking.take_back(directory, store)
        return Result(decision, summed_up(outcomes, UNMARKED), outcomes)

    def complete(directory: "Directory") -> Result:
        from regrow.decide.withdraw import is_being_emptied

        names = decision.markers
        if decision.decision == MARK and not is_settled and is_being_emptied(candidate, store):
            names = tuple(name for name in names if name != CACHEDIR_TAG)
        notes: list[str] = []
        chosen = tuple(map(markers.marker, names))
        outcomes = mark(directory, chosen, store, _reason(decision), notes)
        return Result(decision, summed_up(outcomes, MARKED), outcomes, notes=tuple(notes))

    return _act_on(decision, opener, take_back if decision.decision == TAKE_BACK else complete)


def _reason(decision: Decision) -> Reason:
    rule, evidence = decision.candidate.rule.name, decision.candidate.evidence
    if decision.recipe is None:
        return Reason(rule, evidence)
    return Reason(rule, evidence, decision.recipe.recipe, decision.recipe.files)


def _act_on(decision: Decision, opener: Opener, act: "Callable[[Directory], Result]") -> Result:
    """Act on the very directory that was decided about; whatever fails is its failure alone."""
    candidate = decision.candidate
    try:
        with opener.open(candidate.path) as directory:
            found = (directory.status.st_dev, directory.status.st_ino)
            if found != (candidate.device, candidate.inode) or not directory.is_at(candidate.path):
                return Result(decision, VANISHED, error="it was replaced since it was found")
            result = act(directory)
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
        return Result(decision, FAILED, error=f"{candidate.path}: {as_sentence(error)}")
