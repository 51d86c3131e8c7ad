"""The index of all records: which path each is about, and which directory."""

import marshal
import os
import re

from regrow.errors import RecordError
from regrow.records.store import Identity, Store, digest, file_name
from regrow.system import cache
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Record

_IDENTITY = re.compile(rb"^inode = (\d+)\nborn = (\d+)$", re.MULTILINE)


def paths(store: Store) -> tuple[dict[str, str], list[RecordError]]:
    """Return the recorded paths by their records' names, and the errors of what can't be read.

    A name has its path's hash in it, so it stands for the same path for ever: each record is read
    once, and its path kept in the cache directory.

    Raises:
        RecordError: the records can't be listed.
    """
    kept_as = f"records-{digest(store.path)}"
    content = cache.read(kept_as)
    known: dict[str, str] = marshal.loads(content) if content else {}  # noqa: S302 - our own file, and whole
    names = store.names()
    found = {name: known[name] for name in names if name in known}
    errors = []
    for name in names:
        if name not in found:
            try:
                path = _path_in(store, name)
            except RecordError as error:
                errors.append(error)
                continue
            if path is not None:  # not removed since it was listed
                found[name] = path
    if found != known:
        cache.write(kept_as, marshal.dumps(found))
    return found, errors


def _path_in(store: Store, name: str) -> str | None:
    """Return a record's path, without parsing the record where regrow wrote it."""
    _, _, rest = (store.get(name) or b"").partition(b'\npath = "')
    path, end, rest = rest.partition(b'"\n')
    if end and b"\\" not in path and not rest.startswith(b"path_b64"):
        plain = os.fsdecode(path)
        if file_name(plain) == name:
            return plain
    record = store.by_name(name)
    return record.path if record is not None else None


def by_identity(store: Store, directory: Identity) -> "Record | None":
    """Return the record of a directory wherever it stood; None where it has no birth time.

    All records are read once, until ``Store.forget_identities``: one that was written since is not
    found.
    """
    if directory.born is None:
        return None
    if store.identities is None:
        store.identities = _identities(store)
    name = store.identities.get(directory, "")
    try:
        record = store.by_name(name) if name else None
    except RecordError:
        return None
    if record is None or (record.inode, record.born) != directory:
        return None  # it was replaced since
    return record


def _identities(store: Store) -> dict[Identity, str]:
    """Return the names of the records by the identities of their directories.

    Only birth times tell directories apart for good; a record without one is left out, and so is
    one that can't be read.
    """
    found = {}
    for name in store.names():
        try:
            numbers = _IDENTITY.search(store.get(name) or b"")
        except RecordError:
            continue
        if numbers:
            found[Identity(int(numbers[1]), int(numbers[2]))] = name
    return found
