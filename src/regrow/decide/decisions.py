"""The step that decides: the guards are asked about each candidate, and git once a repository."""

import os
import time
from functools import partial

from regrow.decide.guards import GUARDS, Circumstances
from regrow.errors import RecordError
from regrow.marking import choose_markers
from regrow.model import (
    EXPLICIT,
    FAILURE,
    KEEP,
    MARK,
    MARKED_ALREADY,
    TAKE_BACK,
    Candidate,
    Decision,
    Record,
    Rule,
)
from regrow.records.format import MARKED, PENDING, REBUILD, is_unfinished
from regrow.records.store import file_name, identity_of, is_about
from regrow.system import git
from regrow_marks import markers, tag
from regrow_marks.directory import ancestors, is_below, open_directory, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.decide.guards import Guard
    from regrow.decide.remembered import Memory, Noted
    from regrow.records.store import Store

NO_RULE = "no-rule"
"""In place of a guard's name: no rule recognises what regrow marked earlier."""

UNFINISHED = "unfinished"
"""In place of a guard's name: a rebuild was begun and not ended."""

_INTERRUPTED = "a rebuild of it was interrupted: `regrow rebuild` does it again"

MOVED, COPIED = "moved", "copied"
"""In place of a guard's name: what regrow marked elsewhere has come here."""

CONTENTS = "contents"
"""In place of a guard's name: what a container of environments holds besides."""

_OF_NO_WEIGHT = frozenset((tag.NAME, ".gitignore", ".DS_Store", "envs.toml"))
"""Files that tools leave beside the environments in a container; ``envs.toml`` is Poetry's."""

_NO_WORD = frozenset(("git-silent", "not-ours", "evidence-place", FAILURE))
"""Guards that speak where nothing is known, nothing can be done, or by where the scan began: they
take no mark back."""

_SHARED_FROM = 32  # candidates: to decide about them takes several times as long as to fork
_PIECE = 8  # candidates

_EMPTYING = 2.0  # seconds; ``rm -r`` of the largest directory pauses far less between two entries

QUIET = 60
"""Seconds without a change: longer than a package manager pauses while it fills a directory."""


def decide(
    candidates: "Sequence[Candidate]",
    configuration: "Configuration",
    start: "Sequence[str]",
    keep: "Sequence[str]" = (),
    store: "Store | None" = None,
    memory: "Memory | None" = None,
) -> list[Decision]:
    """Ask the guards about candidates.

    git is called once for each repository that holds candidates about which nothing is remembered.

    Args:
        candidates: what the scan found.
        configuration: the user's settings.
        start: the start directories.
        keep: patterns besides the configuration's.
        store: where the records are; what regrow marked by a rule and a guard now keeps is to be
            taken back. None: there are no records.
        memory: what earlier sweeps have decided; this one's decisions are added. A second process
            helps where there is much to decide. None: all is decided anew.

    Returns:
        A decision for each candidate, in their order.
    """
    known = Circumstances(start=_true_paths(start), keep=[*configuration.keep, *keep])
    if memory is None:
        known.git_says = _ask_git(candidates, git.Repositories())
        decisions = [_decide(candidate, known, configuration) for candidate in candidates]
    else:
        decisions = _decide_what_is_new(candidates, known, configuration, memory)
    by_path = {decision.candidate.path: decision for decision in decisions}

    def finish(decision: Decision) -> Decision:
        decision = _with_contents(decision, by_path)
        return decision if store is None else _with_record(decision, store)

    return [_guarded(one.candidate, partial(finish, one)) for one in decisions]


def _decide_what_is_new(
    candidates: "Sequence[Candidate]",
    known: Circumstances,
    configuration: "Configuration",
    memory: "Memory",
) -> list[Decision]:
    from regrow.decide.remembered import unpack_decision
    from regrow.system import worker

    recalled = memory.recall(candidates)
    new = {c.path: c for c in candidates if c.path not in recalled}
    pieces = list(_pieces(new.values(), memory.repositories))

    def decide_piece(number: int) -> "list[tuple[str, Noted]]":
        seen = [memory.look(candidate) for candidate in pieces[number]]
        known.git_says = _ask_git(pieces[number], memory.repositories)
        decided = [_decide(candidate, known, configuration) for candidate in pieces[number]]
        return [
            (decision.candidate.path, memory.note(decision, times))
            for decision, times in zip(decided, seen, strict=True)
        ]

    answers = worker.share(len(pieces), decide_piece, pays=len(new) >= _SHARED_FROM)
    noted = {path: note for answer in answers for path, note in answer}
    decisions = [
        recalled[candidate.path]
        if candidate.path in recalled
        else unpack_decision(noted[candidate.path][0], candidate)
        for candidate in candidates
    ]
    memory.keep(decisions, noted)
    return decisions


def _pieces(
    candidates: "Iterable[Candidate]", repositories: "git.Repositories"
) -> "Iterator[list[Candidate]]":
    """Cut candidates into pieces that can be decided one by one: a repository stays together."""
    by_repository: dict[str, list[Candidate]] = {}
    alone: list[Candidate] = []
    for candidate in candidates:
        repository = repositories.of(candidate.path)
        if repository is None:
            alone.append(candidate)
        else:
            by_repository.setdefault(repository, []).append(candidate)
    yield from by_repository.values()
    for begin in range(0, len(alone), _PIECE):
        yield alone[begin : begin + _PIECE]


def guards_words(
    candidate: Candidate, configuration: "Configuration", start: "Sequence[str]"
) -> dict[str, str | None]:
    """Ask every guard about one candidate, whatever the others say.

    Args:
        candidate: what the scan found.
        configuration: the user's settings.
        start: the start directories.

    Returns:
        By the guard's name: the reason to keep it; None where it has no objection.
    """
    known = Circumstances(start=_true_paths(start), keep=configuration.keep)
    known.git_says = _ask_git([candidate], git.Repositories())
    return {guard.name: _word(guard, candidate, known) for guard in GUARDS}


def _word(guard: "Guard", candidate: Candidate, known: Circumstances) -> str | None:
    try:
        return guard.ask(candidate, known)
    except Exception as error:  # noqa: BLE001 - the others are still to be asked
        from regrow import mishaps

        return mishaps.decision(candidate, error).reason


def no_longer_recognised(
    candidates: "Iterable[Candidate]",
    configuration: "Configuration",
    start: "Sequence[str]",
    active_rules: "Sequence[Rule]",
    store: "Store",
) -> "Iterator[Decision]":
    """Find what regrow marked by a rule below the start directories, and no rule recognises now.

    Its recipe is of no use any more: the lock is gone, say, or the project.

    Args:
        candidates: all that a scan of the start directories found.
        configuration: the user's settings.
        start: the start directories.
        active_rules: the rules.
        store: where the records are.

    Yields:
        The decision to take the marks back. A directory that a scan does not reach, being skipped
        or inside another candidate, keeps them if its record is complete; so does one that a tool
        may just be making.
    """
    paths = {candidate.path for candidate in candidates}
    found = set(map(file_name, paths))
    places = _true_paths(start)
    starts = [*places, *_true_paths(configuration.start)]
    by_name = {rule.name: rule for rule in active_rules}
    for name, path in store.paths().items():
        if name in found or not any(is_below(path, place) for place in places):
            continue
        record = _readable(store, name)
        if record is None:
            continue
        if record.state == REBUILD:
            continue  # a rebuild was interrupted: the record has the recipe of the whole
        candidate = _marked_by_rule(record)
        if candidate is None or _is_being_filled(candidate):
            continue
        outer = next((path for path in ancestors(record.path) if path in paths), None)
        if outer is not None and record.state == PENDING:
            reason = f"it is inside {outer}, which is decided about as a whole"
            yield Decision(candidate, TAKE_BACK, NO_RULE, reason)
            continue
        # From the start furthest up: the evidence of a rule with a path stands above its match.
        place = min((place for place in starts if is_below(record.path, place)), key=len)
        rule = by_name.get(record.rule)
        project = record.path
        for _ in rule.directory.split("/") if rule else [record.path]:
            project = split(project)[0]
        if is_below(project, place) and _is_passed_by(
            record.path, place, active_rules, configuration
        ):
            reason = f"rule {record.rule} does not recognise it any more, nor does another"
            yield Decision(candidate, TAKE_BACK, NO_RULE, reason)


def _is_passed_by(
    path: str, place: str, active_rules: "Sequence[Rule]", configuration: "Configuration"
) -> bool:
    """Tell whether a scan looks at a directory and finds nothing in it or above it."""
    from regrow.scan.walk import Scan, towards

    scan = Scan([place], active_rules, configuration.skip, towards(path))
    findings = list(scan)
    return not findings and scan.last_seen == path


def _true_paths(start: "Iterable[str]") -> list[str]:
    return [os.path.realpath(os.path.expanduser(path)) for path in start]


def spare_the_emptied(decided: "Iterable[Decision]", store: "Store") -> list[Decision]:
    """Write no tag where a tag was just removed: somebody may be removing all the rest.

    A tag put back in the middle of ``rm -r`` would make it fail. A later sweep puts it back; what
    comes after a command, as ``run`` does, need not ask.

    Args:
        decided: the decisions.
        store: where the records are.

    Returns:
        The decisions, without the tag among the markers of such directories.
    """
    return [
        decision._replace(markers=tuple(n for n in decision.markers if n != tag.CachedirTag.name))
        if decision.decision == MARK and _is_being_emptied(decision.candidate, store)
        else decision
        for decision in decided
    ]


def _is_being_emptied(candidate: Candidate, store: "Store") -> bool:
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


def _readable(store: "Store", name: str) -> Record | None:
    try:
        return store.by_name(name)
    except RecordError:
        return None  # `regrow list` tells of it


def _marked_by_rule(record: Record) -> Candidate | None:
    """Make a candidate of a directory that is there and that regrow marked without being told."""
    if record.rule == EXPLICIT or not record.set:
        return None
    try:
        with open_directory(record.path) as directory:
            if directory.path != record.path:
                return None
            if not is_about(record, identity_of(directory.fd)):
                return None
            status = directory.status
    except PathError:
        return None
    parent, name = split(record.path)
    rule = Rule(record.rule, name)
    return Candidate(
        record.path, rule, parent, record.evidence, False, status.st_dev, status.st_ino
    )


def _with_contents(decision: Decision, by_path: dict[str, Decision]) -> Decision:
    """Keep a container that holds anything but environments which are marked themselves."""
    if not decision.candidate.rule.container or decision.decision == KEEP:
        return decision
    reason = _unmarked_content(decision.candidate.path, by_path)
    return Decision(decision.candidate, KEEP, CONTENTS, reason) if reason else decision


def _unmarked_content(container: str, by_path: dict[str, Decision]) -> str:
    pending = [container]
    while pending:
        path = pending.pop()
        inside = by_path.get(path)
        if inside is not None and path != container:
            if inside.decision == KEEP:
                return f"it holds {path}, which stays in the backup: {inside.reason}"
            continue
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.name not in _OF_NO_WEIGHT:
                        return f"it holds {entry.path}, which is no part of an environment"
        except OSError as error:
            return f"{path} can't be read: {in_words(error)}"
    return ""


def _with_record(decision: Decision, store: "Store") -> Decision:
    """Turn keep into take back, where regrow marked this very directory by itself.

    What an interrupted rebuild left keeps its record: that has the recipe of the whole.
    """
    try:
        data = store.data(decision.candidate.path)
    except RecordError:
        return decision  # `regrow list` tells of it
    if data is not None and is_unfinished(data, decision.candidate.inode):
        return Decision(decision.candidate, KEEP, UNFINISHED, _INTERRUPTED)
    if data is None:
        from regrow.records import moves

        if moves.is_moved_unfinished(decision.candidate.path, store):
            return Decision(decision.candidate, KEEP, UNFINISHED, _INTERRUPTED)
    if decision.decision == KEEP and _is_regrows_mark(decision, store):
        return decision._replace(decision=TAKE_BACK)
    return decision


def _is_regrows_mark(decision: Decision, store: "Store") -> bool:
    """Return whether what is kept carries a mark, or the copy of one, that no user asked for."""
    from regrow.records import moves

    candidate = decision.candidate
    try:
        with open_directory(candidate.path) as directory:
            known = moves.standing(directory, store)
    except PathError:
        return False
    record = known.record
    if known.word == moves.COPIED:
        return decision.guard != "not-ours"
    if record is None or record.rule == EXPLICIT or not record.set:
        return False
    if known.word == moves.RESTORED:
        return decision.guard != "not-ours"
    if known.word == moves.HERE and record.path != candidate.path:
        return False  # that path is decided about on its own
    if decision.guard in _NO_WORD:
        return False
    return decision.guard != "no-recipe" or not _is_being_filled(candidate)


def to_look_at(signed: "Iterable[str]", decided: "Iterable[Decision]", store: "Store") -> list[str]:
    """Return the signed directories about which ``withdraw.strays`` is to be asked.

    That are all but those that are marked as candidates where they are recorded.

    Args:
        signed: the paths of all that carry the signature.
        decided: what was decided about the candidates.
        store: where the records are.
    """
    signed = list(signed)
    if not signed:
        return []
    names = set(store.names())
    marked = {d.candidate.path for d in decided if d.decision in (MARK, MARKED_ALREADY)}
    return [p for p in signed if p not in marked or file_name(p) not in names]


def _is_being_filled(candidate: Candidate) -> bool:
    """Tell whether a tool may be at work: what is half-made has no evidence, or no recipe, yet."""
    changed = last_change(candidate)
    return changed is None or abs(time.time() - changed) < QUIET


def last_change(candidate: Candidate) -> float | None:
    """Tell when what a recipe is taken from was changed last.

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


def _ask_git(
    candidates: "Iterable[Candidate]", repositories: "git.Repositories"
) -> "dict[str, git.Verdict]":
    by_repository: dict[str, list[str]] = {}
    for candidate in candidates:
        repository = repositories.of(candidate.path)
        if repository is not None:
            by_repository.setdefault(repository, []).append(candidate.path)
    verdicts: dict[str, git.Verdict] = {}
    for repository, paths in by_repository.items():
        try:
            verdicts |= git.ask(repository, paths, repositories)
        except Exception as error:  # noqa: BLE001 - other repositories are still to be asked
            from regrow import mishaps

            silent = git.Verdict(error=mishaps.words(error))
            verdicts |= dict.fromkeys(paths, silent)
    return verdicts


def _decide(candidate: Candidate, known: Circumstances, configuration: "Configuration") -> Decision:
    return _guarded(candidate, lambda: _ask_guards(candidate, known, configuration))


def _guarded(candidate: Candidate, decide: "Callable[[], Decision]") -> Decision:
    """Return a decision; whatever is raised on the way to it is that directory's failure."""
    try:
        return decide()
    except Exception as error:  # noqa: BLE001 - the others are still to be looked at
        from regrow import mishaps

        return mishaps.decision(candidate, error)


def _ask_guards(
    candidate: Candidate, known: Circumstances, configuration: "Configuration"
) -> Decision:
    for guard in GUARDS:
        reason = guard.ask(candidate, known)
        if reason is not None:
            return Decision(candidate, KEEP, guard.name, reason)
    verdict = known.git_says.get(candidate.path)
    is_ignored = verdict is not None and verdict.is_ignored
    try:
        with open_directory(candidate.path) as directory:
            wants_tag = not candidate.rule.output and (tag.is_environment(directory) or is_ignored)
            chosen = choose_markers(directory, configuration, wants_tag)
            word = MARKED_ALREADY if markers.all_hold(chosen, directory) else MARK
    except (OSError, PathError) as error:
        return Decision(candidate, KEEP, "not-ours", f"its marks can't be read: {error}")
    names = tuple(marker.name for marker in chosen)
    return Decision(candidate, word, taken=known.recipe(candidate), markers=names)
