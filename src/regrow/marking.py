"""The last steps in their order: record, mark; and back. There is one implementation of each."""

import os

from regrow.errors import NewerRecordError, RecordError
from regrow.model import EXPLICIT, NO_RECIPE, Record
from regrow.records.format import (
    PENDING,
    REBUILD,
    decode,
    has_mount,
    has_recipe,
    has_rule,
    has_stamp,
    is_awaited,
)
from regrow.records.store import (
    ATTACHMENTS,
    file_name,
    host,
    identity_of,
    is_about,
    is_current,
    now,
)
from regrow.system import git
from regrow_marks import markers, signature, tag
from regrow_marks.directory import mount_point, split
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import (
    ALREADY_MARKED,
    FAILED,
    HOLDS,
    Outcome,
    Reading,
)
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Identity, Store
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
    """Say why a directory is marked that the user names, with its recipe if it has one.

    A recipe that is recorded, and still true, is not taken again.

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
        taken = build_recipe(kind, directory.path, split(directory.path)[0])
    except RecipeError:
        return Reason()  # the user's word is enough
    return Reason(recipe=taken.recipe, files=taken.files)


def choose_markers(
    directory: "Directory",
    configuration: "Configuration",
    wants_tag: bool | None = None,
    repositories: "git.Repositories | None" = None,
) -> "tuple[Marker, ...]":
    """Choose the markers that must hold for a directory to be marked.

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
    """Tell whether people upload or deploy directories of a name: a tag would go along."""
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
        before = _read(chosen, directory)
        this = identity_of(directory.fd)
        signed = signature.read(directory)
        data = store.data(directory.path)
        if (
            data is not None
            and has_mount(data)
            and all(name in before and before[name].state == HOLDS for name in map(_name, chosen))
            and is_current(data, directory.path, this)
            and _is_told(reason, data, directory.path, store)
        ):
            _sign_again(directory, signed, store)
            if is_awaited(data):
                _tell_what_is_awaited(readable(data, directory.path), reason, notes)
            return {marker.name: Outcome(ALREADY_MARKED) for marker in chosen}

        replaced = readable(data, directory.path)
        moved = _moved_from(replaced, before, this, signed, store)
        former = moved or replaced
        put_time_back(directory, this, former)
        record = _pending(directory, directory.path, this, chosen, before, reason, former, signed)
        kept_at = _keep_beside(replaced, this, store)
        record, files = _succeed(record, reason, replaced, moved, kept_at, store)
        _tell_what_is_awaited(record, reason, notes)
        if data is not None and former is None:
            # Its record is damaged: regrow was here, and what holds was most likely its doing.
            record = record._replace(set=(*record.set, *record.found), found=())
        # The signature comes last: on a full disk it shall not take the room of a mark. A mark that
        # a kill left without one has its record, which is pending still.
        with store.write(record, files) as written:
            outcomes = _put_on(chosen, directory, before)
            failed = {name for name, outcome in outcomes.items() if outcome.state == FAILED}
            if not failed:
                signature.put(directory, file_name(record.path), record.set)
                written.complete()
                if moved is not None and moved.path != kept_at:
                    store.remove(moved.path)
                return outcomes
        if failed == set(outcomes) and former is None:
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
        before = _read(chosen, directory)
        this = identity_of(directory.fd)
        signed = signature.read(directory)
        replaced = readable(store.data(path), path)
        moved = _moved_from(replaced, before, this, signed, store)
        record = _pending(directory, path, this, chosen, before, reason, moved or replaced, signed)
        kept_at = _keep_beside(replaced, this, store)
        record, files = _succeed(record, reason, replaced, moved, kept_at, store)
        store.write(record, files).close()
        outcomes = _put_on(chosen, directory, before)
        signature.put(directory, file_name(path), record.set)
        if moved is not None and moved.path != kept_at:
            store.remove(moved.path)
        return outcomes


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


def _is_told(reason: Reason, data: bytes, path: str, store: "Store") -> bool:
    """Tell whether a record's bytes say already what a new record would say."""
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


def put_time_back(directory: "Directory", this: "Identity", former: Record | None) -> None:
    """Complete what a kill left half done: the time goes back that writing the tag has changed."""
    if former is None or former.state != PENDING or former.modified is None:
        return
    if is_about(former, this):
        try:
            tag.put_time_back(directory, former.modified)
        except OSError:
            return  # the marks count, and whoever touches them is told why it fails


def _pending(
    directory: "Directory",
    path: str,
    this: "Identity",
    chosen: "Sequence[Marker]",
    before: dict[str, Reading],
    reason: Reason,
    former: Record | None,
    signed: "Signature | None",
) -> Record:
    """Write down what is about to be done; what regrow set here earlier stays its own."""
    previous = {
        name: reading.value for name, reading in before.items() if reading.value is not None
    }
    set_earlier = _set_on_original(directory, signed)
    if former is not None:
        is_same = is_about(former, this)
        reason = _with_what_was_known(reason, former, is_same=is_same)
        if is_same:
            set_earlier = former.set
            previous = former.previous | previous
    names = [marker.name for marker in chosen]
    holding = [name for name, reading in before.items() if reading.state == HOLDS]
    found = tuple(
        name
        for name in holding
        if name not in set_earlier and not (name == CACHEDIR_TAG and tag.is_regrows(directory))
    )
    return Record(
        path=path,
        host=host(),
        inode=this.inode,
        born=this.born,
        modified=os.fstat(directory.fd).st_mtime_ns,
        rule=reason.rule,
        evidence=reason.evidence,
        recipe=reason.recipe,
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


def _set_on_original(directory: "Directory", signed: "Signature | None") -> tuple[str, ...]:
    """Return the marks that a copy has from a directory that regrow marked."""
    if signed is None or directory.status.st_uid != os.geteuid():
        return ()
    return tuple(n for n in signed.set if n != CACHEDIR_TAG or tag.is_regrows(directory))


def _with_what_was_known(reason: Reason, former: Record, *, is_same: bool) -> Reason:
    """Keep what is still true: the user's word, what recognised it, the command that made it."""
    recipe = reason.recipe
    is_users_word = reason.rule == EXPLICIT
    if recipe == NO_RECIPE:
        recipe = former.recipe
    elif recipe.get("kind") == former.recipe.get("kind") == "python" and (is_same or is_users_word):
        made: Recipe = {
            key: former.recipe[key] for key in ("command", "made_by") if key in former.recipe
        }
        recipe = {**made, **recipe}
    return reason._replace(
        rule=EXPLICIT if is_same and former.rule == EXPLICIT else reason.rule,
        evidence=reason.evidence or former.evidence,
        recipe=recipe,
    )


def _succeed(
    record: Record,
    reason: Reason,
    replaced: Record | None,
    moved: Record | None,
    kept_at: str | None,
    store: "Store",
) -> "tuple[Record, Sequence[tuple[str, bytes]]]":
    """Let a record take the place of the one at its path, so that no recipe is lost by that.

    Args:
        record: what is about to be written.
        reason: why the directory is marked.
        replaced: the record that stands at its path.
        moved: the record of the directory's former place.
        kept_at: where the directory of the replaced record stands by now, with that record.
        store: where the records are.

    Returns:
        The record, with the recipe of the former one where that is awaited, and its files.
    """
    former = moved or replaced
    if former is None:
        return record, reason.files
    from regrow.records import awaited, history

    is_same = (record.inode, record.born) == (former.inode, former.born)
    stamp = None
    if reason.state != REBUILD and (moved is not None or kept_at is None):
        stamp = awaited.stamp(
            former, reason.recipe, is_same=is_same, is_accepted=reason.rule == EXPLICIT
        )
    files = _files(reason if stamp is None else Reason(), moved, store)
    if stamp is not None:
        record = record._replace(recipe=former.recipe, awaited=stamp)
    places = {} if moved is None else {moved.path: record.path}
    if kept_at is not None and replaced is not None:
        places[replaced.path] = kept_at
    if places:
        history.move(store, places)
    if replaced is not None and kept_at is None and history.is_lost(store, replaced, record, files):
        history.add(store, replaced)
    return record, files


def _tell_what_is_awaited(record: Record | None, reason: Reason, notes: list[str] | None) -> None:
    if notes is not None and record is not None and record.awaited is not None:
        from regrow.records import awaited

        notes.append(awaited.sentence(record, reason.recipe))


def _sign_again(directory: "Directory", signed: "Signature | None", store: "Store") -> None:
    """Put the signature back that a copy or a restore has left behind, or that names another."""
    if signed is not None and signed.record == file_name(directory.path):
        return
    from regrow.records import moves

    record = store.read(directory.path)
    if record is not None and not moves.is_signed_for(directory, signed, store):
        signature.put(directory, file_name(record.path), record.set)


def _moved_from(
    replaced: Record | None,
    before: dict[str, Reading],
    this: "Identity",
    signed: "Signature | None",
    store: "Store",
) -> Record | None:
    """Find the record of a directory's former place, where the record at its path is no help."""
    if signed is None and not any(reading.state == HOLDS for reading in before.values()):
        return None
    from regrow.records import moves

    return moves.moved_from(replaced, this, signed, store)


def _keep_beside(replaced: Record | None, this: "Identity", store: "Store") -> str | None:
    """See ``moves.keep_beside``, which most marks need not load."""
    if replaced is None:
        return None
    from regrow.records import moves

    return moves.keep_beside(replaced, this, store)


def _files(reason: Reason, moved: Record | None, store: "Store") -> "Sequence[tuple[str, bytes]]":
    """Give what is to stand beside a record: with a former recipe goes what stood beside that."""
    if moved is None or reason.recipe != NO_RECIPE:
        return reason.files
    return attachments(moved.path, store)


def attachments(path: str, store: "Store") -> "Sequence[tuple[str, bytes]]":
    """Return the files that stand beside the record of a path: name and bytes of each."""
    stood = {name: store.attachment(path, name) for name in ATTACHMENTS}
    return [(name, data) for name, data in stood.items() if data is not None]


def readable(data: bytes | None, path: str) -> Record | None:
    """Read the record that is to be replaced; what a damaged one said is lost already."""
    if data is None:
        return None
    try:
        return decode(data, f"{path}: {file_name(path)}")
    except NewerRecordError:
        raise
    except RecordError:
        return None
