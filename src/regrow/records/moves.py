"""Whose a record is: this directory's own, or of one that was moved, copied, replaced or is away.

A directory is told from others by its inode and birth time, which a move keeps and a copy does not.
The signature on it leads to its record; marks without one, from before there were signatures, are
found by going through the records.
"""

import os

from regrow.errors import RecordError
from regrow.model import EXPLICIT, Record
from regrow.records import awaited, history
from regrow.records.format import REBUILD
from regrow.records.store import file_name, identity_of, is_about
from regrow_marks import markers, signature
from regrow_marks.directory import ancestors, is_below, join, mount_point, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow.records.store import Files, Identity, Store
    from regrow_marks.directory import Directory
    from regrow_marks.signature import Signature

HERE, MOVED, RESTORED, COPIED = "here", "moved", "restored", "copied"
UNKNOWN = "unknown"  # nothing about it is regrow's, or nobody can tell


class Standing(NamedTuple):
    """What the records say of a directory: whose record it has."""

    word: str
    """``HERE``, ``MOVED``, ``RESTORED``, ``COPIED`` or ``UNKNOWN``."""
    record: Record | None = None
    """Its own record; for ``RESTORED`` that of the earlier one; for ``COPIED`` that of the
    directory it is a copy of, where there is one."""
    signature: "Signature | None" = None

    @property
    def is_here(self) -> bool:
        """Whether its own record is at its path, or at another path that leads to it as well."""
        return self.word == HERE

    @property
    def is_moved(self) -> bool:
        """Whether its own record is at the path that it stood at before."""
        return self.word == MOVED

    @property
    def is_restored(self) -> bool:
        """Whether its signature names the record at its path, which is of an earlier one."""
        return self.word == RESTORED

    @property
    def is_copied(self) -> bool:
        """Whether it carries regrow's signature, and no record is its own."""
        return self.word == COPIED


def standing(directory: "Directory", store: "Store") -> Standing:
    """Return what the records say of a directory; nothing is changed.

    Args:
        directory: the directory, open.
        store: where the records are.
    """
    this = identity_of(directory.fd)
    signed = signature.read(directory)
    try:
        there = store.read_unless_damaged(directory.path)
    except RecordError:
        return Standing(UNKNOWN)  # `regrow list` names it
    if there is not None and is_about(there, this):
        return Standing(HERE, there, signed)
    is_marked = signed is not None or markers.holding(markers.selected(), directory)
    record = _own_record_elsewhere(this, signed, store) if is_marked else None
    if record is not None:
        return Standing(MOVED if _has_left(record.path, this) else HERE, record, signed)
    if signed is None or directory.status.st_uid != os.geteuid():
        return Standing(UNKNOWN)
    if there is not None and signed.record == file_name(directory.path):
        return Standing(RESTORED, there, signed)
    return Standing(COPIED, named_by(signed, store), signed)


def moved_from(
    replaced: Record | None, this: "Identity", signed: "Signature | None", store: "Store"
) -> Record | None:
    """Return the record of a marked directory's former place; None where it has not moved.

    Args:
        replaced: the record at the path that the directory has, or is to have.
        this: what tells the directory from others.
        signed: its signature, if it has one.
        store: where the records are.
    """
    if replaced is not None and is_about(replaced, this):
        return None
    record = _own_record_elsewhere(this, signed, store)
    if record is None or not _has_left(record.path, this):
        return None  # a snapshot, or a link in the old place: that record goes on being true
    return record


def _own_record_elsewhere(
    this: "Identity", signed: "Signature | None", store: "Store"
) -> Record | None:
    """Return the record of a marked directory that has none at its path, wherever it is."""
    named = named_by(signed, store) if signed is not None else None
    if named is not None and is_about(named, this):
        return named
    from regrow.records.index import by_identity

    return by_identity(store, this)


def named_by(signed: "Signature", store: "Store") -> Record | None:
    """Return the record that a signature names; None where there is none that can be read."""
    try:
        return store.by_name(signed.record)
    except RecordError:
        return None


def _has_left(path: str, this: "Identity") -> bool:
    """Return whether nothing stands where a directory was, or another directory does."""
    try:
        with open_directory(path) as directory:
            return identity_of(directory.fd) != this
    except PathError:
        return not os.path.lexists(path)


def sign_again(directory: "Directory", signed: "Signature | None", store: "Store") -> None:
    """Sign a directory whose signature is missing or names another record.

    Two paths may lead to one directory, as bind mounts do: either record may be the one named.

    Args:
        directory: the directory, open.
        signed: its signature, if it has one.
        store: where its record is.
    """
    named = named_by(signed, store) if signed is not None else None
    if named is not None and is_about(named, identity_of(directory.fd)):
        return
    record = store.read(directory.path)
    if record is not None:
        signature.put(directory, file_name(record.path), record.set)


def is_moved_unfinished(path: str, store: "Store") -> bool:
    """Return whether an interrupted rebuild left a directory that was moved to a path since."""
    try:
        with open_directory(path) as directory:
            signed = signature.read(directory)
            named = named_by(signed, store) if signed is not None else None
            if named is None or named.state != REBUILD:
                return False
            return is_about(named, identity_of(directory.fd))
    except PathError:
        return False  # it is gone again


def keep_beside(replaced: Record | None, this: "Identity", store: "Store") -> str | None:
    """Preserve a record that is about to be replaced, if its directory was renamed to a sibling.

    After ``mv .venv .venv.old; uv venv`` in one go no sweep has seen the renamed one alone, and
    only this record has its recipe.

    Args:
        replaced: the record, if there is one.
        this: what tells the directory that is about to be recorded from others.
        store: where the records are.

    Returns:
        The sibling's path, where the record is now, too. None: there is no such sibling, or it has
        a record of its own.

    Raises:
        RecordError: the record can't be written.
    """
    if replaced is None or replaced.born is None or is_about(replaced, this):
        return None
    parent, name = split(replaced.path)
    try:
        with os.scandir(parent) as entries:
            names = [one.name for one in entries if one.inode() == replaced.inode]
    except OSError:
        return None
    for path in (join(parent, other) for other in names if other != name):
        try:
            with open_directory(path) as directory:
                found = identity_of(directory.fd)
            own = store.read_unless_damaged(path)
        except (PathError, RecordError):
            continue  # it is gone again, or nobody can tell
        if is_about(replaced, found) and not (own and is_about(own, found)):
            files = store.attachments(replaced.path)
            store.write(replaced._replace(path=path), files).close()
            return path
    return None


def follow(paths: "Iterable[str]", store: "Store") -> None:
    """Write the records of directories that have moved under the paths at which they stand now.

    All are read before the first is written: two directories may have changed places. A kill leaves
    a record under both paths, of which one is about what is gone.

    Args:
        paths: the directories' true paths; one that has not moved, or is gone again, is left out.
        store: where the records are.

    Raises:
        RecordError: a record can't be written or removed.
    """
    with store.locked():
        todo = [one for path in paths if (one := _followed(path, store)) is not None]
        places = {old.path: fresh.path for old, fresh, _ in todo if old.path != fresh.path}
        if places:
            history.move(store, places)
        for _, fresh, files in todo:
            store.write(fresh, files).close()
            sign(fresh)
        for old in {old.path for old, _, _ in todo} - {fresh.path for _, fresh, _ in todo}:
            store.remove(old)
        store.forget_identities()


def _followed(path: str, store: "Store") -> "tuple[Record, Record, Files] | None":
    """Return the record of a directory that has moved, that for its place now, and the files."""
    try:
        with open_directory(path) as directory:
            known = standing(directory, store)
            record = known.record
            if record is None or not is_to_follow(known):
                return None
            lacking = record.awaited
            if known.is_restored:  # a backup may have had less in it
                is_listed = record.recipe.get("kind") in awaited.LISTED
                lacking = awaited.UNKNOWN if is_listed else None
            fresh = record._replace(
                path=directory.path,
                mount=mount_point(directory.path),
                awaited=lacking,
                **identity_of(directory.fd)._asdict(),
            )
            return record, fresh, store.attachments(record.path)
    except PathError:
        return None  # it is gone again


def is_to_follow(known: Standing) -> bool:
    """Return whether a directory's record is to be written anew for the place it stands in.

    What the user named stays named where it was taken out of a backup. Anything else that was is
    decided about as every directory is.
    """
    if known.is_restored:
        return known.record is not None and known.record.rule == EXPLICIT
    return known.is_moved


def sign(record: Record) -> None:
    """Sign the directory that a record is about, if it still is."""
    try:
        with open_directory(record.path) as directory:
            if is_about(record, identity_of(directory.fd)):
                signature.put(directory, file_name(record.path), record.set)
    except PathError:
        return  # it is gone again


def absence(record: Record) -> str:
    """Return why a directory that is not there is away, not gone; empty: it is gone.

    It is away where the file system is not there that it was recorded on. A project that stands all
    the same has been restored to another one: what it lacks is missing.

    Args:
        record: the record of a directory that is not at its path.
    """
    mount = record.mount
    if not mount or not is_below(record.path, mount):
        return ""  # an older regrow wrote it, or it was mapped to another place
    parent = split(record.path)[0]
    nearest = next(place for place in (parent, *ancestors(parent)) if os.path.isdir(place))
    now = mount_point(nearest)
    if now == mount or (nearest == parent and not (parent == mount and _is_empty(parent))):
        return ""
    return f"{mount} is not mounted" if is_below(mount, now) else f"{now} is mounted over it"


def _is_empty(path: str) -> bool:
    try:
        return not os.listdir(path)
    except OSError:
        return False
