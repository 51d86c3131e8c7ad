"""The steps in their order: decide, record, mark. There is one implementation of each."""

import os

from regrow import markers, records
from regrow.directory import open_directory, split
from regrow.errors import NewerRecordError, PathError, RecordError
from regrow.markers import CACHEDIR_TAG, tag
from regrow.model import (
    ALREADY_MARKED,
    FAILED,
    HOLDS,
    KEEP,
    MARK,
    MARKED_ALREADY,
    Decision,
    Outcome,
    Reading,
    Record,
)
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow import git, guards
    from regrow.config import Configuration
    from regrow.directory import Directory
    from regrow.markers import Marker
    from regrow.model import Candidate
    from regrow.recipes import Recipe
    from regrow.records import Identity, Store

EXPLICIT = "explicit"
"""The rule in the record of a directory that the user named."""

_UPLOADED = frozenset(("dist",))  # `twine upload dist/*`; it has no rule that marks

NO_RECIPE: "Recipe" = {"kind": "none"}


class Reason(NamedTuple):
    """Why a directory is marked: what its record will say."""

    rule: str = EXPLICIT
    evidence: tuple[str, ...] = ()
    recipe: "Recipe" = NO_RECIPE
    files: tuple[tuple[str, bytes], ...] = ()
    """What stands beside the record."""


def explicit_reason(directory: "Directory", store: "Store") -> Reason:
    """Say why a directory is marked that the user names, with its recipe if it has one.

    A recipe that is recorded, and still true, is not taken again.

    Args:
        directory: the directory, open.
        store: where its record may be.
    """
    from regrow import recipes

    kind = recipes.kind_of(directory.path)
    if not kind:
        return Reason()
    data = store.data(directory.path)
    if data is not None and records.has_stamp(data, recipes.stamp(kind, directory.path)):
        return Reason()
    try:
        taken = recipes.take(kind, directory.path, split(directory.path)[0])
    except recipes.RecipeError:
        return Reason()  # the user's word is enough
    return Reason(recipe=taken.recipe, files=taken.files)


def decide(
    candidates: "Sequence[Candidate]",
    configuration: "Configuration",
    start: "Sequence[str]",
    keep: "Sequence[str]" = (),
) -> list[Decision]:
    """Ask the guards about candidates.

    git is called once for each repository that holds candidates.

    Args:
        candidates: what the scan found.
        configuration: the user's settings.
        start: the start directories.
        keep: patterns besides the configuration's.

    Returns:
        A decision for each candidate, in their order.
    """
    known = _circumstances(candidates, configuration, start, keep)
    return [_decide(candidate, known, configuration) for candidate in candidates]


def guards_words(
    candidate: "Candidate", configuration: "Configuration", start: "Sequence[str]"
) -> dict[str, str | None]:
    """Ask every guard about one candidate, whatever the others say.

    Args:
        candidate: what the scan found.
        configuration: the user's settings.
        start: the start directories.

    Returns:
        By the guard's name: the reason to keep it; None where it has no objection.
    """
    from regrow.guards import GUARDS

    known = _circumstances([candidate], configuration, start, ())
    return {guard.name: guard.ask(candidate, known) for guard in GUARDS}


def _circumstances(
    candidates: "Sequence[Candidate]",
    configuration: "Configuration",
    start: "Sequence[str]",
    keep: "Sequence[str]",
) -> "guards.Circumstances":
    from regrow import guards

    return guards.Circumstances(
        start=[os.path.realpath(os.path.expanduser(path)) for path in start],
        keep=[*configuration.keep, *keep],
        git_says=_ask_git(candidates),
    )


def _ask_git(candidates: "Sequence[Candidate]") -> "dict[str, git.Verdict]":
    from regrow import git

    by_parent: dict[str, str | None] = {}
    by_repository: dict[str, list[str]] = {}
    for candidate in candidates:
        parent = split(candidate.path)[0]
        if parent not in by_parent:
            by_parent[parent] = git.repository_of(candidate.path)
        repository = by_parent[parent]
        if repository is not None:
            by_repository.setdefault(repository, []).append(candidate.path)
    verdicts: dict[str, git.Verdict] = {}
    for repository, paths in by_repository.items():
        verdicts |= git.ask(repository, paths)
    return verdicts


def _decide(
    candidate: "Candidate", known: "guards.Circumstances", configuration: "Configuration"
) -> Decision:
    from regrow.guards import GUARDS

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
            if markers.all_hold(chosen, directory):
                return Decision(candidate, MARKED_ALREADY, taken=known.recipe(candidate))
    except (OSError, PathError) as error:
        return Decision(candidate, KEEP, "not-ours", f"its marks can't be read: {error}")
    return Decision(candidate, MARK, taken=known.recipe(candidate))


def choose_markers(
    directory: "Directory", configuration: "Configuration", wants_tag: bool | None = None
) -> "tuple[Marker, ...]":
    """Choose the markers that must hold for a directory to be marked.

    Args:
        directory: the directory.
        configuration: the user's settings.
        wants_tag: whether ``CACHEDIR.TAG`` is among them; None: in environments, and where git
            ignores the directory and its name is not that of something people publish.

    Returns:
        The markers, attributes first.
    """
    chosen = markers.selected(nodump=configuration.nodump)
    if wants_tag is None:
        wants_tag = tag.is_environment(directory) or (
            _is_ignored(directory) and not _may_be_published(directory.name)
        )
    return (*chosen, markers.marker(CACHEDIR_TAG)) if wants_tag else chosen


def _is_ignored(directory: "Directory") -> bool:
    from regrow import git

    repository = git.repository_of(directory.path)
    if repository is None:
        return False
    verdict = git.ask(repository, [directory.path])[directory.path]
    return verdict.is_ignored and not verdict.error


def _may_be_published(name: str) -> bool:
    """Tell whether people upload or deploy directories of a name: a tag would go along."""
    from fnmatch import fnmatchcase

    from regrow import rules

    return name in _UPLOADED or any(
        rule.output and fnmatchcase(name, rule.directory) for rule in rules.shipped()
    )


def mark(
    directory: "Directory", chosen: "Sequence[Marker]", store: "Store", reason: Reason
) -> dict[str, Outcome]:
    """Record a directory and put the chosen marks on it.

    Args:
        directory: the directory, open.
        chosen: the markers that must hold.
        store: where the record goes.
        reason: why it is marked.

    Returns:
        The outcome of each marker, by name.

    Raises:
        RecordError: the record can't be written; no mark was set.
    """
    with store.locked():
        before = _read(chosen, directory)
        this = records.identity(directory.fd)
        data = store.data(directory.path)
        if (
            data is not None
            and reason.recipe == NO_RECIPE
            and all(name in before and before[name].state == HOLDS for name in map(_name, chosen))
            and records.is_current(data, directory.path, this)
        ):
            return {marker.name: Outcome(ALREADY_MARKED) for marker in chosen}

        former = _former(data, directory.path)
        record = _pending(directory.path, this, chosen, before, reason, former)
        with store.write(record, reason.files) as written:
            outcomes = _put_on(chosen, directory, before)
            failed = {name for name, outcome in outcomes.items() if outcome.state == FAILED}
            if not failed:
                written.complete()
                return outcomes
        if failed == set(outcomes) and former is None:
            store.remove(directory.path)
        else:
            own = tuple(name for name in record.set if name not in failed)
            store.write(record._replace(set=own)).close()
        return outcomes


def mark_before_birth(
    directory: "Directory", chosen: "Sequence[Marker]", store: "Store", reason: Reason, path: str
) -> dict[str, Outcome]:
    """Record and mark a directory that is still to get its name and its contents.

    The record stays pending until ``mark`` is called on what became of it; so a mark that fails
    here is reported there.

    Args:
        directory: the directory, open, under its temporary name or still empty.
        chosen: the attributes that go on before the first file.
        store: where the record goes.
        reason: why it is marked.
        path: the path that it is to have.

    Returns:
        The outcome of each marker, by name.

    Raises:
        RecordError: the record can't be written; no mark was set.
    """
    with store.locked():
        before = _read(chosen, directory)
        former = _former(store.data(path), path)
        this = records.identity(directory.fd)
        store.write(_pending(path, this, chosen, before, reason, former)).close()
        return _put_on(chosen, directory, before)


def carry_record(store: "Store", path: str, other: str) -> None:
    """Record under another path what stands in a directory's record, because it moves there.

    Args:
        store: where both records are.
        path: the directory's path until now; without a record of it, nothing is done.
        other: the path that it is to have.

    Raises:
        RecordError: the record can't be written, or a newer regrow wrote the one there is.
    """
    record = _former(store.data(path), path)
    if record is not None:
        store.write(record._replace(path=other)).close()


def _name(marker: "Marker") -> str:
    return marker.name


def _read(chosen: "Sequence[Marker]", directory: "Directory") -> dict[str, Reading]:
    """Read the markers; one that can't be read is left out: setting it will tell why.

    It is done before the record is read: a mark that another regrow sets meanwhile has its record
    already, which is then found.
    """
    before = {}
    for marker in chosen:
        try:
            before[marker.name] = marker.read(directory)
        except OSError:
            continue
    return before


def _put_on(
    chosen: "Sequence[Marker]", directory: "Directory", before: dict[str, Reading]
) -> dict[str, Outcome]:
    return {
        marker.name: markers.put_on(marker, directory, before.get(marker.name)) for marker in chosen
    }


def _pending(
    path: str,
    this: "Identity",
    chosen: "Sequence[Marker]",
    before: dict[str, Reading],
    reason: Reason,
    former: Record | None,
) -> Record:
    """Write down what is about to be done; what regrow set here earlier stays its own."""
    if former and reason.rule == EXPLICIT:
        reason = _with_what_was_known(reason, former)
    previous = {
        name: reading.value for name, reading in before.items() if reading.value is not None
    }
    set_earlier: tuple[str, ...] = ()
    if former and (former.host, former.inode, former.born) == (records.host(), *this):
        set_earlier = former.set
        previous = former.previous | previous
    names = [marker.name for marker in chosen]
    holding = [name for name, reading in before.items() if reading.state == HOLDS]
    found = tuple(name for name in holding if name not in set_earlier)
    return Record(
        path=path,
        host=records.host(),
        inode=this.inode,
        born=this.born,
        rule=reason.rule,
        evidence=reason.evidence,
        recipe=reason.recipe,
        set=(
            *(name for name in names if name not in found),
            *(name for name in set_earlier if name not in names),
        ),
        found=found,
        previous=previous,
        state=records.PENDING,
        time=records.now(),
    )


def _with_what_was_known(reason: Reason, former: Record) -> Reason:
    """Keep the rule of a directory that the user names again, and the command that made it."""
    recipe = former.recipe
    if reason.recipe != NO_RECIPE:
        made: Recipe = {key: recipe[key] for key in ("command", "made_by") if key in recipe}
        is_same_kind = recipe.get("kind") == reason.recipe["kind"] == "python"
        recipe = {**made, **reason.recipe} if is_same_kind else reason.recipe
    return Reason(former.rule, former.evidence, recipe)


def _former(data: bytes | None, path: str) -> Record | None:
    """Read the record that is to be replaced; what a damaged one said is lost already."""
    if data is None:
        return None
    try:
        return records.decode(data, records.file_name(path))
    except NewerRecordError:
        raise
    except RecordError:
        return None


def unmark(
    directory: "Directory", store: "Store", configuration: "Configuration"
) -> dict[str, Outcome]:
    """Take regrow's marks off a directory, and its record away.

    Attributes go whoever set them; a tag goes only if it carries regrow's comment line; the nodump
    flag goes only where the configuration asks for it or the record says that regrow set it.

    Args:
        directory: the directory, open.
        store: where its record is.
        configuration: the user's settings.

    Returns:
        The outcome of each marker, by name.
    """
    with store.locked():
        data = store.data(directory.path)
        former = _former(data, directory.path)
        chosen = markers.by_name(markers.selected(nodump=configuration.nodump))
        for name in (*(former.set if former else ()), CACHEDIR_TAG):
            chosen.setdefault(name, markers.marker(name))
        outcomes = {name: markers.take_off(marker, directory) for name, marker in chosen.items()}
        # The record goes last, and only if nothing that it answers for is left.
        if not any(outcome.state == FAILED for outcome in outcomes.values()):
            store.remove(directory.path)
        return outcomes
