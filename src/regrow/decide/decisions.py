"""Decides what is done with each candidate: mark it, keep it in the backup, or take a mark back."""

import os

from regrow.decide import withdraw
from regrow.decide.guards import GUARDS, NOT_OURS, Circumstances
from regrow.errors import TRACEBACK, as_sentence
from regrow.model import FAILURE, KEEP, MARK, MARKED_ALREADY, TAKE_BACK, Candidate, Decision
from regrow.system import git
from regrow_marks import markers, tag
from regrow_marks.directory import open_directory
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from regrow.decide.cache import Memory, Noted
    from regrow.decide.guards import Guard
    from regrow.model import Scope
    from regrow.recipes.recipe import RecipeResult
    from regrow.records.store import Store

CONTENTS = "contents"
"""In place of a guard's name: what a container of environments holds besides."""

_OF_NO_WEIGHT = frozenset((tag.NAME, ".gitignore", ".DS_Store", "envs.toml"))
"""Files that tools leave beside the environments in a container; ``envs.toml`` is Poetry's."""

_SHARED_FROM = 32  # candidates: deciding about them takes several times as long as forking
_PIECE = 8  # candidates


class Assessment(NamedTuple):
    """What the guards say of a candidate, before its record and other candidates count."""

    guard: str = ""
    """The guard that keeps it; empty: none does."""
    reason: str = ""
    """Why, as a sentence for people."""
    recipe: "RecipeResult | None" = None
    """What brings it back, where no guard keeps it."""
    markers: tuple[str, ...] = ()
    """The markers that must hold, by name, where no guard keeps it."""
    is_marked: bool = False
    """Whether all of them hold."""


def decide(
    candidates: "Sequence[Candidate]",
    scope: "Scope",
    store: "Store | None" = None,
    memory: "Memory | None" = None,
) -> list[Decision]:
    """Return a decision for each candidate, in their order; nothing is changed.

    git is called once per repository that holds candidates of which nothing is remembered.

    Args:
        candidates: what the scan found.
        scope: where it looked, and by which settings.
        store: where the records are; marks that regrow set by a rule are taken back from what a
            guard keeps now. None: nothing is taken back.
        memory: what the guards said in earlier sweeps; their answers of now are added. None: all
            guards are asked.

    Raises:
        ConfigurationError: a keep pattern is none.
    """
    known = Circumstances.of(scope)
    if memory is None:
        assessments = _assess(candidates, known, git.Repositories())
    else:
        assessments = _assess_what_is_new(candidates, known, memory)
    return [_decide(candidate, assessments, store) for candidate in candidates]


def _decide(
    candidate: Candidate, assessments: "Mapping[str, Assessment]", store: "Store | None"
) -> Decision:
    try:
        if store is not None and withdraw.is_unfinished(candidate, store):
            return Decision(candidate, KEEP, withdraw.UNFINISHED, withdraw.INTERRUPTED)
        own = assessments[candidate.path]
        guard, reason = own.guard, own.reason
        if not guard and candidate.rule.container:
            reason = _unmarked_content(candidate.path, assessments)
            guard = CONTENTS if reason else ""
        if not guard:
            word = MARKED_ALREADY if own.is_marked else MARK
            return Decision(candidate, word, recipe=own.recipe, markers=own.markers)
        is_taken_back = store is not None and withdraw.is_due(candidate, guard, store)
        return Decision(candidate, TAKE_BACK if is_taken_back else KEEP, guard, reason)
    except Exception as error:  # noqa: BLE001 - the others are still to be decided about
        return Decision(candidate, KEEP, FAILURE, _failure(error))


def objections_to(candidate: Candidate, scope: "Scope") -> dict[str, str | None]:
    """Return what every guard says of one candidate, whatever the others say.

    Args:
        candidate: what the scan found.
        scope: where it looked, and by which settings.

    Returns:
        By the guard's name: the reason to keep it; None where it has no objection.
    """
    known = Circumstances.of(scope)
    known.git_says = _ask_git([candidate], git.Repositories())
    return {guard.name: _objection(guard, candidate, known) for guard in GUARDS}


def _objection(guard: "Guard", candidate: Candidate, known: Circumstances) -> str | None:
    try:
        return guard.ask(candidate, known)
    except Exception as error:  # noqa: BLE001 - the others are still to be asked
        return _failure(error)


def _failure(error: Exception) -> str:
    """Return why a directory stays that could not be looked at."""
    return (
        f"to look at it failed: {as_sentence(error)}; to report it, set {TRACEBACK}=1 and run"
        " `regrow explain` on it; a keep pattern spares it"
    )


def _assess_what_is_new(
    candidates: "Sequence[Candidate]", known: Circumstances, memory: "Memory"
) -> dict[str, Assessment]:
    """Return what is remembered of candidates, and what the guards say of the others."""
    from regrow.system import worker

    assessments = memory.recall(candidates)
    new = [candidate for candidate in candidates if candidate.path not in assessments]
    pieces = list(_pieces(new, memory.repositories))

    def assess_piece(number: int) -> "list[tuple[str, Noted]]":
        piece = pieces[number]
        seen = [memory.look(candidate) for candidate in piece]
        assessed = _assess(piece, known, memory.repositories)
        return [
            (candidate.path, memory.note(candidate, assessed[candidate.path], times))
            for candidate, times in zip(piece, seen, strict=True)
        ]

    answers = worker.share(len(pieces), assess_piece, pays=len(new) >= _SHARED_FROM)
    noted = {path: note for answer in answers for path, note in answer}
    return memory.keep(candidates, assessments, noted)


def _pieces(
    candidates: "Iterable[Candidate]", repositories: "git.Repositories"
) -> "Iterator[list[Candidate]]":
    """Yield pieces that can be assessed one by one: candidates of one repository stay together."""
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


def _assess(
    candidates: "Sequence[Candidate]", known: Circumstances, repositories: "git.Repositories"
) -> dict[str, Assessment]:
    """Return by path what the guards say."""
    known.git_says = _ask_git(candidates, repositories)
    return {one.path: _assess_one(one, known) for one in candidates}


def _assess_one(candidate: Candidate, known: Circumstances) -> Assessment:
    try:
        return _ask_guards(candidate, known)
    except Exception as error:  # noqa: BLE001 - the others are still to be looked at
        return Assessment(FAILURE, _failure(error))


def _ask_guards(candidate: Candidate, known: Circumstances) -> Assessment:
    for guard in GUARDS:
        reason = guard.ask(candidate, known)
        if reason is not None:
            return Assessment(guard.name, reason)
    verdict = known.git_says.get(candidate.path)
    is_ignored = verdict is not None and verdict.is_ignored
    chosen = markers.selected(nodump=known.nodump)
    try:
        with open_directory(candidate.path) as directory:
            if not candidate.rule.output and (tag.is_environment(directory) or is_ignored):
                chosen = (*chosen, markers.marker(tag.CachedirTag.name))
            is_marked = markers.all_hold(chosen, directory)
    except (OSError, PathError) as error:
        return Assessment(NOT_OURS, f"its marks can't be read: {error}")
    names = tuple(marker.name for marker in chosen)
    return Assessment(recipe=known.recipe(candidate), markers=names, is_marked=is_marked)


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
            unknown = git.Verdict(error=as_sentence(error))
            verdicts |= dict.fromkeys(paths, unknown)
    return verdicts


def _unmarked_content(container: str, assessments: "Mapping[str, Assessment]") -> str:
    """Return why a container stays in the backup: what in it is not marked itself; empty: nothing.

    Args:
        container: the directory in which a tool keeps environments.
        assessments: by path, of all candidates.
    """
    pending = [container]
    while pending:
        path = pending.pop()
        inside = assessments.get(path)
        if inside is not None and path != container:
            if inside.guard:
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
