"""Takes marks off again: what regrow set, as the record says, and the record with it."""

import os

from regrow.marking import put_time_back
from regrow.model import Record
from regrow.records.format import REBUILD
from regrow.records.store import identity_of, is_about
from regrow.system.aside_names import is_aside, is_waiting
from regrow_marks import markers, signature, tag
from regrow_marks.errors import MarkerError, in_words
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import FAILED, HOLDS, UNMARKED, Outcome
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.config import Configuration
    from regrow.records.store import Store
    from regrow_marks.directory import Directory
    from regrow_marks.signature import Signature


def undo(directory: "Directory", store: "Store", path: str | None = None) -> dict[str, Outcome]:
    """Take back what regrow did to a directory, as its record says, and the record with it.

    The record stays, without marks, where it lists what is not there any more.

    Args:
        directory: the directory, open.
        store: where its record is.
        path: the path that it is recorded at; default: its true path, or the one that it was
            moved from. They differ where a directory above was moved, and a link left in its place.

    Returns:
        By marker that regrow set: what became of it. A copy has the marks taken off that its
        signature names, and the record of the original stays. None, where the record is about
        another directory that stood here. A mark that somebody changed since is left.

    Raises:
        RecordError: the record can't be read or removed.
    """
    with store.locked():
        path = path or directory.path
        this = identity_of(directory.fd)
        record = store.read(path)
        if record is None or not is_about(record, this):
            from regrow.records import moves

            known = moves.standing(directory, store)
            if known.is_copied or known.is_restored:
                return _undo_on_copy(directory, known.signature)
            record = known.record if known.is_moved else None
        if record is None:
            return {}
        put_time_back(directory, this, record)
        outcomes = {}
        for name in record.set:
            try:
                marker = markers.marker(name)
            except MarkerError as error:
                outcomes[name] = Outcome(FAILED, str(error))
                continue
            outcomes[name] = markers.take_back(marker, directory, record.previous.get(name))
        if any(outcome.state == FAILED for outcome in outcomes.values()):
            return outcomes
        signature.clear(directory)
        if is_waiting(directory.name):
            # The next rebuild goes by its record: it puts back what people have in it.
            stays = record._replace(path=directory.path, set=(), found=(), previous={})
            store.write(stays).close()
        elif is_aside(directory.name):
            store.remove(record.path)
        else:
            _dismiss(record, directory, store)
        return outcomes


def take_back(directory: "Directory", store: "Store") -> dict[str, Outcome]:
    """Take back a mark that regrow set by itself; its recipe stays among the earlier ones.

    Args:
        directory: the directory, open.
        store: where the records are.

    Returns:
        By marker: what became of it.

    Raises:
        RecordError: the record can't be read or removed.
    """
    from regrow.records import history

    with store.locked():
        if is_waiting(directory.name):
            return _expose(directory, store)
        record = store.read(directory.path)
        if record is not None:
            history.add(store, record)  # what can't be described now could be once
        return undo(directory, store)


def _expose(directory: "Directory", store: "Store") -> dict[str, Outcome]:
    """Take the marks off what a killed run moved aside: it may hold somebody's own files.

    Its record stays, without marks: the next rebuild needs it.

    Args:
        directory: the directory, open.
        store: where its record is.

    Returns:
        By marker: what became of it. A tag is removed whoever wrote it: creators write one.
    """
    outcomes = undo(directory, store)
    if tag.CachedirTag().read(directory).state == HOLDS:
        try:
            os.unlink(tag.NAME, dir_fd=directory.fd)
            outcomes[tag.CachedirTag.name] = Outcome(UNMARKED)
        except OSError as error:
            outcomes[tag.CachedirTag.name] = Outcome(FAILED, in_words(error))
    return outcomes


def _undo_on_copy(directory: "Directory", signed: "Signature | None") -> dict[str, Outcome]:
    """Take the marks off that a copy of a marked directory carries; records stay as they are."""
    outcomes = {}
    for name in signed.set if signed is not None else ():
        try:
            outcomes[name] = markers.take_back(markers.marker(name), directory, None)
        except MarkerError as error:
            outcomes[name] = Outcome(FAILED, str(error))
    if not any(outcome.state == FAILED for outcome in outcomes.values()):
        signature.clear(directory)
    return outcomes


def _dismiss(record: Record, directory: "Directory", store: "Store") -> None:
    """Remove a record whose marks are taken back, unless it lists what is not there any more."""
    from regrow.records import awaited

    here = record._replace(path=directory.path)
    is_same = is_about(record, identity_of(directory.fd))
    is_needed = (
        record.state == REBUILD
        or record.awaited is not None
        or awaited.is_emptied(here)
        or (not is_same and awaited.what_is_missing(here))
    )
    if not is_needed:
        store.remove(record.path)
        return
    stays = record._replace(set=(), found=(), previous={}, awaited=record.awaited or 0)
    store.write(stays).close()


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
        former = store.read_unless_damaged(directory.path)
        chosen = {mark.name: mark for mark in markers.selected(nodump=configuration.nodump)}
        for name in (*(former.set if former else ()), CACHEDIR_TAG):
            chosen.setdefault(name, markers.marker(name))
        put_time_back(directory, identity_of(directory.fd), former)
        outcomes = {name: markers.take_off(marker, directory) for name, marker in chosen.items()}
        # The record goes last, and only if nothing that it answers for is left.
        if not any(outcome.state == FAILED for outcome in outcomes.values()):
            signature.clear(directory)
            if former is not None:
                _dismiss(former, directory, store)
            else:
                store.remove(directory.path)
        return outcomes
