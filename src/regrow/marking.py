"""Records a directory and puts the marks on it, in this order: a kill leaves no mark unrecorded."""

import os

from regrow.model import EXPLICIT, NO_RECIPE, Record
from regrow.records.format import (
    PENDING,
    has_mount,
    has_recipe,
    has_rule,
    has_stamp,
    is_awaited,
    is_current,
)
from regrow.records.store import file_name, host, identity_of, is_about, now
from regrow.system import git
from regrow_marks import markers, signature, tag
from regrow_marks.directory import mount_point, split
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import ALREADY_MARKED, FAILED, HOLDS, Outcome, Reading
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Files, Identity, Store
    from regrow_marks.directory import Directory
    from regrow_marks.markers import Marker
    from regrow_marks.signature import Signature

_UPLOADED = frozenset(("dist",))  # `twine upload dist/*`; it has no rule that marks


class Reason(NamedTuple):
    """Why a directory is marked: what its record will say."""

    rule: str = EXPLICIT
    evidence: tuple[str, ...] = ()
    recipe: "Recipe" = NO_RECIPE
    files: tuple[tuple[str, bytes], ...] = ()
    """What stands beside the record."""
    state: str = PENDING
    """What the record says until all marks hold."""


def explicit_reason(directory: "Directory", store: "Store") -> Reason:
    """Return the reason for a directory that the user names, with its recipe if it has one.

    A recipe that is recorded, and still true, is not built again.

    Args:
        directory: the directory, open.
        store: where its record may be.
    """
    from regrow.recipes.recipe import RecipeError, build_recipe, kind_of, stamp_of

    kind = kind_of(directory.path)
    if not kind:
        return Reason()
    data = store.data(directory.path)
    if data is not None and has_stamp(data, stamp_of(kind, directory.path)):
        return Reason()
    try:
        result = build_recipe(kind, directory.path, split(directory.path)[0])
    except RecipeError:
        return Reason()  # the user's word is enough
    return Reason(recipe=result.recipe, files=result.files)


def choose_markers(
    directory: "Directory",
    configuration: "Configuration",
    wants_tag: bool | None = None,
    repositories: "git.Repositories | None" = None,
) -> "tuple[Marker, ...]":
    """Return the markers that must hold for a directory to be marked.

    Args:
        directory: the directory.
        configuration: the user's settings.
        wants_tag: whether ``CACHEDIR.TAG`` is among them; None: in environments, and where git
            ignores the directory and its name is not that of something people publish.
        repositories: the work trees that are known, where many directories are marked in one go.

    Returns:
        The markers, attributes first.
    """
    chosen = markers.selected(nodump=configuration.nodump)
    if wants_tag is None:
        wants_tag = tag.is_environment(directory) or (
            _is_ignored(directory, repositories or git.Repositories())
            and not _may_be_published(directory.name)
        )
    return (*chosen, markers.marker(CACHEDIR_TAG)) if wants_tag else chosen


def _is_ignored(directory: "Directory", repositories: "git.Repositories") -> bool:
    verdict = repositories.verdict(directory.path)
    return verdict is not None and verdict.is_ignored and not verdict.error


def _may_be_published(name: str) -> bool:
    """Return whether people upload or deploy directories of a name: a tag would go along."""
    from fnmatch import fnmatchcase

    from regrow.rules import loader

    return name in _UPLOADED or any(
        rule.output and fnmatchcase(name, rule.directory) for rule in loader.shipped()
    )


def mark(
    directory: "Directory",
    chosen: "Sequence[Marker]",
    store: "Store",
    reason: Reason,
    notes: list[str] | None = None,
) -> dict[str, Outcome]:
    """Record a directory and put the chosen marks on it.

    Args:
        directory: the directory, open.
        chosen: the markers that must hold.
        store: where the record goes.
        reason: why it is marked.
        notes: sentences for people are added here.

    Returns:
        The outcome of each marker, by name.

    Raises:
        RecordError: the record can't be written; no mark was set.
    """
    with store.locked():
        seen = _look(directory, directory.path, chosen, store)
        if seen.data is not None and _is_done(seen, seen.data, reason, chosen, store):
            if seen.signature is None or seen.signature.record != file_name(seen.path):
                from regrow.records import moves

                moves.sign_again(directory, seen.signature, store)
            if is_awaited(seen.data):
                _note_what_is_awaited(store.read_unless_damaged(seen.path), reason, notes)
            return {marker.name: Outcome(ALREADY_MARKED) for marker in chosen}

        past = _past(seen, store)
        record, files = _next_record(directory, seen, past, chosen, reason, store)
        _note_what_is_awaited(record, reason, notes)
        # The signature comes last: on a full disk it must not take the room of a mark. A mark that
        # a kill left without one has its record, which is pending still.
        with store.write(record, files) as written:
            outcomes = _put_on(chosen, directory, seen)
            failed = {name for name, outcome in outcomes.items() if outcome.state == FAILED}
            if not failed:
                signature.put(directory, file_name(record.path), record.set)
                written.complete()
                past.forget_former_place(store)
                return outcomes
        if failed == set(outcomes) and past.former is None:
            signature.clear(directory)
            store.remove(directory.path)
        else:
            own = tuple(name for name in record.set if name not in failed)
            store.write(record._replace(set=own)).close()
            signature.put(directory, file_name(record.path), own)
        return outcomes


def mark_before_birth(
    directory: "Directory", chosen: "Sequence[Marker]", store: "Store", reason: Reason, path: str
) -> dict[str, Outcome]:
    """Record and mark a directory that is still to get its name, its contents, or some of these.

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
        seen = _look(directory, path, chosen, store)
        past = _past(seen, store)
        record, files = _next_record(directory, seen, past, chosen, reason, store)
        store.write(record, files).close()
        outcomes = _put_on(chosen, directory, seen)
        signature.put(directory, file_name(path), record.set)
        past.forget_former_place(store)
        return outcomes


class Past(NamedTuple):
    """The records that a new one takes the place of."""

    replaced: Record | None = None
    """The one at the path: of this directory, or of one that stood there before it."""
    moved: Record | None = None
    """That of this directory, at the path that it was moved from."""
    kept_at: str | None = None
    """The path of the directory that ``replaced`` is about, where that stands beside by now, and
    its record with it."""

    @property
    def former(self) -> Record | None:
        """What is known of the directory, or of the one in whose place it stands."""
        return self.moved or self.replaced

    def forget_former_place(self, store: "Store") -> None:
        """Remove the record at the path that the directory was moved from."""
        if self.moved is not None and self.moved.path != self.kept_at:
            store.remove(self.moved.path)


class _Seen(NamedTuple):
    """What a directory, and the record at its path, say before anything is done."""

    path: str
    """The path that it has, or is to have."""
    readings: dict[str, Reading]
    """By marker; one that can't be read is left out: setting it will tell why."""
    identity: "Identity"
    signature: "Signature | None"
    data: bytes | None
    """The bytes of the record."""


def _look(directory: "Directory", path: str, chosen: "Sequence[Marker]", store: "Store") -> _Seen:
    readings = {}
    for marker in chosen:
        try:
            readings[marker.name] = marker.read(directory)
        except OSError:
            continue
    # The record is read after the marks: one that another regrow sets meanwhile has its record.
    signed = signature.read(directory)
    return _Seen(path, readings, identity_of(directory.fd), signed, store.data(path))


def _is_done(
    seen: _Seen, data: bytes, reason: Reason, chosen: "Sequence[Marker]", store: "Store"
) -> bool:
    """Return whether all marks hold, and the record says already what a new one would say."""
    return (
        has_mount(data)
        and all(_holds(seen, marker.name) for marker in chosen)
        and is_current(data, seen.path, host(), seen.identity)
        and _has_reason(data, reason, seen.path, store)
    )


def _holds(seen: _Seen, name: str) -> bool:
    return name in seen.readings and seen.readings[name].state == HOLDS


def _has_reason(data: bytes, reason: Reason, path: str, store: "Store") -> bool:
    if not (has_rule(data, reason.rule) or has_rule(data, EXPLICIT)):
        return False
    if is_awaited(data):
        stamp = reason.recipe.get("stamp")
        return isinstance(stamp, int) and reason.rule != EXPLICIT and is_awaited(data, stamp)
    if reason.recipe == NO_RECIPE:
        return has_rule(data, reason.rule)
    return has_recipe(data, reason.recipe) and all(
        store.attachment(path, name) == content for name, content in reason.files
    )


def _put_on(chosen: "Sequence[Marker]", directory: "Directory", seen: _Seen) -> dict[str, Outcome]:
    return {
        marker.name: markers.put_on(marker, directory, seen.readings.get(marker.name))
        for marker in chosen
    }


def _past(seen: _Seen, store: "Store") -> Past:
    replaced = store.read_unless_damaged(seen.path) if seen.data is not None else None
    is_marked = seen.signature is not None or any(_holds(seen, name) for name in seen.readings)
    if replaced is None and not is_marked:
        return Past()
    from regrow.records import moves  # which most marks need not load

    own = moves.moved_from(replaced, seen.identity, seen.signature, store) if is_marked else None
    return Past(replaced, own, moves.keep_beside(replaced, seen.identity, store))


def _next_record(
    directory: "Directory",
    seen: _Seen,
    past: Past,
    chosen: "Sequence[Marker]",
    reason: Reason,
    store: "Store",
) -> "tuple[Record, Files]":
    """Return the record that says what is about to be done, and what stands beside it.

    What regrow set here earlier stays its own, and no recipe is lost: what the former records say
    and the new one does not goes among the earlier recipes.
    """
    former = past.former
    is_same = former is not None and is_about(former, seen.identity)
    put_time_back(directory, seen.identity, former)
    previous = {
        name: reading.value for name, reading in seen.readings.items() if reading.value is not None
    }
    set_earlier = _set_on_original(directory, seen.signature)
    known = reason
    if former is not None:
        from regrow.records import succession

        known = succession.inherit(reason, former, is_same=is_same)
        if is_same:
            set_earlier, previous = former.set, former.previous | previous
    found = tuple(
        name
        for name in seen.readings
        if _holds(seen, name)
        and name not in set_earlier
        and not (name == CACHEDIR_TAG and tag.is_regrows(directory))
    )
    if seen.data is not None and former is None:
        found = ()  # its record is damaged: most likely regrow set what holds
    names = [marker.name for marker in chosen]
    record = Record(
        path=seen.path,
        host=host(),
        inode=seen.identity.inode,
        born=seen.identity.born,
        modified=os.fstat(directory.fd).st_mtime_ns,
        rule=known.rule,
        evidence=known.evidence,
        recipe=known.recipe,
        set=(
            *(name for name in names if name not in found),
            *(name for name in set_earlier if name not in names),
        ),
        found=found,
        previous=previous,
        state=reason.state,
        time=now(),
        mount=mount_point(directory.path),
    )
    if former is None:
        return record, reason.files
    return succession.succeed(record, past, reason, store)


def _set_on_original(directory: "Directory", signed: "Signature | None") -> tuple[str, ...]:
    """Return the marks that a copy has from a directory that regrow marked."""
    if signed is None or directory.status.st_uid != os.geteuid():
        return ()
    return tuple(n for n in signed.set if n != CACHEDIR_TAG or tag.is_regrows(directory))


def put_time_back(directory: "Directory", this: "Identity", former: Record | None) -> None:
    """Complete what a kill left half done: put back the time that writing the tag has changed."""
    if former is None or former.state != PENDING or former.modified is None:
        return
    if is_about(former, this):
        try:
            tag.put_time_back(directory, former.modified)
        except OSError:
            return  # the marks count, and whoever touches them is told why it fails


def _note_what_is_awaited(record: Record | None, reason: Reason, notes: list[str] | None) -> None:
    if notes is not None and record is not None and record.awaited is not None:
        from regrow.records import awaited

        notes.append(awaited.sentence(record, reason.recipe))
