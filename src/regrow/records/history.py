"""The recipes that directories had before: the last three of each, beside the records.

An entry is a whole record, as it was, with what stood beside it. A recipe becomes an entry only if
it differs from the one after it: to record the same again does not push out the rest.
"""

import os

from regrow.errors import RecordError
from regrow.recipes import compare
from regrow.records.awaited import LISTED
from regrow.records.format import PENDING, decode, encode
from regrow.records.store import ATTACHMENTS, Store, file_name
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from regrow.model import Record
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Files

KEPT = 3
"""How many entries a directory has at most."""

_ENDING = "-history"  # of the directory's name, behind that of the records
_OF_PYTHON = ("kind", "requirements", "version", "implementation", "system_site_packages")
"""The keys that say what comes back; the others say how the environment was made, and when."""


class Entry(NamedTuple):
    """A recipe that a directory had."""

    record: "Record"
    files: "tuple[tuple[str, bytes], ...]" = ()
    """What stood beside the record, name and bytes."""


def entries(store: Store, path: str) -> list[Entry]:
    """Return the recipes that a directory had before the one of its record, newest first.

    Their numbers for people count from 1.

    Args:
        store: where the records are.
        path: the directory's path.
    """
    kept = _read(store, path)
    now = current(store, path)
    return [one for one in kept if now is None or not _is_equal(one, now)]


def paths(store: Store) -> list[str]:
    """Return the paths of the directories that have earlier recipes, sorted."""
    found = set()
    with _Opened(store) as inner:
        for name in inner.names() if inner else ():
            record = _decoded(inner, name) if inner else None
            if record is not None:
                found.add(record.path)
    return sorted(found)


def add(
    store: Store, record: "Record", files: "tuple[tuple[str, bytes], ...] | None" = None
) -> None:
    """Keep a record's recipe, and what stands beside it, before another one is written.

    Args:
        store: where the records are.
        record: the record as it is until now.
        files: what goes with its recipe, name and bytes; default: what stands beside the record.

    Raises:
        RecordError: it can't be written.
    """
    if record.recipe.get("kind") not in LISTED:
        return
    with store.locked():
        entry = Entry(record, store.attachments(record.path) if files is None else files)
        kept = _read(store, record.path)
        if not kept or not _is_equal(kept[0], entry):
            _write(store, record.path, [entry, *(one for one in kept if not _is_equal(one, entry))])


def move(store: Store, places: "Mapping[str, str]") -> None:
    """Move earlier recipes to the paths that their directories have now.

    Args:
        store: where the records are.
        places: by the path until now: the one that the directory has by now.

    Raises:
        RecordError: they can't be written.
    """
    with store.locked():
        kept = {before: _read(store, before) for before in places}
        if not any(kept.values()):
            return
        for after in places.values():
            kept.setdefault(after, _read(store, after))
        stay = {after: [] if after in places else kept[after] for after in places.values()}
        for before, after in places.items():
            _write(store, after, [*kept[before], *stay[after]])
        for before in places.keys() - set(places.values()):
            remove(store, before)


def remove(store: Store, path: str) -> None:
    """Remove the earlier recipes of a directory. Raises RecordError."""
    with _Opened(store) as inner:
        if inner is not None:
            for number in range(1, KEPT + 1):
                for name in _names(path, number):
                    inner.drop(name)


def remove_with_record(store: Store, path: str) -> None:
    """Remove the earlier recipes of a directory whose record was removed. Raises RecordError."""
    with store.locked():
        if store.data(path) is None:
            remove(store, path)


def is_lost(store: Store, record: "Record", other: "Record", files: "Files") -> bool:
    """Return whether a recipe, or what stands beside it, is lost when another record is written.

    A pending record's recipe is not, if the new one lists all of it: it was recorded while the
    directory was being filled.

    Args:
        store: where the records are.
        record: the record until now.
        other: the record that takes its place.
        files: what is written beside that one.
    """
    if not _is_same_recipe(record, other):
        return record.state != PENDING or not compare.holds_all(other.recipe, record.recipe)
    return any(store.attachment(record.path, name) not in (None, data) for name, data in files)


def _is_same_recipe(record: "Record", other: "Record") -> bool:
    return _content(record.recipe) == _content(other.recipe)


def _content(recipe: "Recipe") -> dict[str, object]:
    if recipe.get("kind") == "python":
        return {key: recipe.get(key) or "" for key in _OF_PYTHON}
    return {key: value for key, value in recipe.items() if key != "stamp"}


def _is_equal(one: Entry, other: Entry) -> bool:
    return _is_same_recipe(one.record, other.record) and one.files == other.files


def current(store: Store, path: str) -> Entry | None:
    """Return a directory's record as an entry; None where there is none that can be read."""
    try:
        record = store.read(path)
    except RecordError:
        return None  # `regrow list` shows it
    return Entry(record, store.attachments(path)) if record is not None else None


def _names(path: str, number: int) -> "Iterator[str]":
    """Yield the names of an entry's files: the record first, then what stands beside it."""
    stem = f"{file_name(path).removesuffix('.toml')}.{number}"
    yield f"{stem}.toml"
    for name in ATTACHMENTS:
        yield f"{stem}.{name}"


def _read(store: Store, path: str) -> list[Entry]:
    """Return what is kept of a directory; what can't be read is left out."""
    found: list[Entry] = []
    with _Opened(store) as inner:
        if inner is None:
            return found
        for number in range(1, KEPT + 1):
            name, *beside = _names(path, number)
            record = _decoded(inner, name)
            if record is None or record.path != path:
                continue
            try:
                data = zip(ATTACHMENTS, map(inner.get, beside), strict=True)
                entry = Entry(record, tuple((one, text) for one, text in data if text is not None))
            except RecordError:
                continue
            # A kill while they were moved up leaves one twice.
            if not found or not _is_equal(found[-1], entry):
                found.append(entry)
    return found


def _decoded(inner: Store, name: str) -> "Record | None":
    try:
        data = inner.get(name)
        return decode(data, os.path.join(inner.path, name)) if data is not None else None
    except RecordError:
        return None


def _write(store: Store, path: str, kept: "Sequence[Entry]") -> None:
    """Write entries, the oldest first, so that a kill loses none; it may leave one twice."""
    with _Opened(store, is_made=True) as inner:
        if inner is None:
            return
        for number, entry in reversed(list(enumerate(kept[:KEPT], start=1))):
            name, *beside = _names(path, number)
            files = dict(entry.files)
            for one, file in zip(ATTACHMENTS, beside, strict=True):
                if one in files:
                    inner.put(file, files[one])
                else:
                    inner.drop(file)
            inner.put(name, encode(entry.record._replace(path=path)))
        for number in range(len(kept) + 1, KEPT + 1):
            for name in _names(path, number):
                inner.drop(name)
        inner.remove_leftovers()


class _Opened:
    """The directory of earlier recipes, for the length of a ``with`` block; None: there is none."""

    def __init__(self, store: Store, *, is_made: bool = False) -> None:
        path = store.path + _ENDING
        self._store = Store(path) if is_made or os.path.lexists(path) else None

    def __enter__(self) -> Store | None:
        return self._store

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()
