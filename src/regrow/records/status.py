"""What became of the directories that are recorded."""

import errno
import os

from regrow.errors import RecordError
from regrow.model import Record
from regrow.records import moves
from regrow.records.format import PENDING, REBUILD
from regrow.records.store import host, identity_of, is_about
from regrow_marks import markers
from regrow_marks.directory import is_below, open_directory
from regrow_marks.errors import MarkerError, PathError, in_words
from regrow_marks.model import HOLDS
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.records.moves import Standing
    from regrow.records.store import Store
    from regrow_marks.directory import Directory

THERE = "there"
INTERRUPTED = "interrupted"
UNFINISHED = "unfinished"
LOST = "mark lost"
REPLACED = "replaced"
GONE = "gone"
AWAY = "away"
UNMARKED = "unmarked"
LEFTOVER = "leftover"
UNKNOWN = "unknown"
ELSEWHERE = "other machine"

STATES = {
    THERE: "the directory stands, with its marks",
    INTERRUPTED: "a regrow was stopped while it marked it; a sweep completes it",
    UNFINISHED: "a regrow was stopped while it rebuilt it; `regrow rebuild` does it again",
    LOST: "the directory stands, and a mark is off",
    REPLACED: "another directory stands in its place; a sweep marks it again",
    GONE: "nothing stands there; its recipe is kept for rebuilding",
    AWAY: "the file system that it was on is not there; it is looked for again when it is",
    UNMARKED: "the directory stands without marks; its record lists what is not in it any more",
    LEFTOVER: "a rebuild was stopped while it replaced it; `regrow leftovers` shows what is in it",
    UNKNOWN: "it can't be opened",
    ELSEWHERE: "another machine wrote the record, and this very directory is not here",
}
"""By state: what it means, for people."""


class Entry(NamedTuple):
    """A record, and what became of its directory."""

    record: Record
    state: str
    """One of ``STATES``."""
    detail: str = ""
    """Which marks are lost, what else is not as recorded, or why nothing is known."""


def entries(store: "Store", paths: "Iterable[str]" = ()) -> "Iterator[Entry | RecordError]":
    """Yield the records with what became of their directories.

    Args:
        store: where they are.
        paths: only what is recorded at these true paths, and below them; none: everything.

    Yields:
        An entry per record; for one that can't be read, the error that names its file.
    """
    places = tuple(paths)
    for record in store.all():
        if isinstance(record, RecordError):
            yield record
        elif not places or any(is_below(record.path, place) for place in places):
            try:
                yield what_became_of(record)
            except (OSError, ValueError, PathError) as error:
                yield Entry(record, UNKNOWN, str(error))


def strays(signed: "Iterable[str]", store: "Store") -> "Iterator[tuple[str, Standing]]":
    """Yield the directories that carry regrow's signature and are not recorded at their paths.

    Args:
        signed: the paths of those that carry it.
        store: where the records are.

    Yields:
        The path, and whether it was moved, copied or restored.
    """
    for path in signed:
        try:
            with open_directory(path) as directory:
                known = moves.standing(directory, store)
        except PathError:
            continue  # it is gone again
        if known.is_moved or known.is_copied or known.is_restored:
            yield path, known


def signed(
    configuration: "Configuration", tick: "Callable[[int], None]" = lambda _: None
) -> "Sequence[str]":
    """Return the directories below the start directories that carry regrow's signature.

    Only what changed since the last scan is scanned.

    Args:
        configuration: the user's settings.
        tick: called now and then with how many directories were read.
    """
    from regrow import config
    from regrow.rules import loader
    from regrow.scan.incremental import survey

    active_rules = loader.active_rules(configuration, config.path())
    return survey(configuration.start, active_rules, configuration.skip, tick).signed


def what_became_of(record: Record) -> Entry:
    """Return what became of a record's directory. Nothing is changed."""
    try:
        os.lstat(record.path)
    except (FileNotFoundError, NotADirectoryError):
        return _absent(record)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return _absent(record)
        return Entry(record, UNKNOWN, in_words(error))
    try:
        with open_directory(record.path) as directory:
            return _present(record, directory)
    except PathError as error:
        if os.path.islink(record.path) or not os.path.isdir(record.path):
            return Entry(record, REPLACED, "by what is no directory")
        return Entry(record, UNKNOWN, str(error).partition(": ")[2])


def _absent(record: Record) -> Entry:
    if record.host != host():
        return Entry(record, ELSEWHERE)
    absence = moves.absence(record)
    return Entry(record, AWAY, absence) if absence else Entry(record, GONE)


def _present(record: Record, directory: "Directory") -> Entry:
    if not is_about(record, identity_of(directory.fd)):
        return Entry(record, REPLACED if record.host == host() else ELSEWHERE)
    from regrow.system.aside_names import is_aside

    if is_aside(directory.name):
        return Entry(record, LEFTOVER)
    if record.state == REBUILD:
        return Entry(record, UNFINISHED)
    if record.state == PENDING:
        return Entry(record, INTERRUPTED)
    if not record.set and not record.found:
        return Entry(record, UNMARKED)
    lost = [name for name in (*record.set, *record.found) if not _holds(name, directory)]
    if lost:
        return Entry(record, LOST, ", ".join(lost))
    return Entry(record, THERE, _lack(record))


def _lack(record: Record) -> str:
    """Return in words what a directory lacks whose record is awaited; empty: nothing any more."""
    if record.awaited is None:
        return ""
    from regrow.records import awaited

    less = awaited.what_is_missing(record)
    return f"it holds less than its record: {less}" if less else ""


def _holds(name: str, directory: "Directory") -> bool:
    try:
        return markers.marker(name).read(directory).state == HOLDS
    except (MarkerError, OSError):
        return False
