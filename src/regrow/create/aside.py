"""Directories that are moved aside to be replaced: under a name of their own, locked, recorded.

A directory that a command replaces gets another name beside it, so that it can come back: its own
after one of the prefixes below and eight random digits. It has a record under both names: a kill
at any instant leaves its marks recorded. What stays there is found by ``regrow.rebuild.leftovers``.
"""

import errno
import os
import time

from regrow import unmarking
from regrow.errors import NewerRecordError, RecordError
from regrow.model import NO_RECIPE, Record
from regrow.records.format import MARKED
from regrow.records.store import digest, host, identity_of, is_about, now
from regrow.system import locks
from regrow_marks import tag
from regrow_marks.directory import Directory, join, open_child, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.libc import rename_exclusive
from regrow_marks.model import FAILED, HOLDS, UNMARKED, Outcome
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.records.store import Store

REBUILT = ".regrow-old-"
"""The prefix of what a rebuild replaces: what its recipe does not bring goes back to its place."""

CLEARED = ".regrow-cleared-"
"""The prefix of what the user had replaced, by ``regrow venv --clear``: nothing of it goes back."""

KEPT = ".regrow-kept-"
"""The prefix of what is left of either: the user's own, which is nobody's to touch any more."""

RULE = "aside"
"""The rule in the record of a directory that had none before it was moved aside."""

_PREFIXES = (REBUILT, CLEARED)

_TRIES = 4
_PAUSE = 0.05  # seconds; a sweep that finds out whether somebody is at work holds a lock for less
_LONGEST_NAME = 200  # bytes: with prefix and number it stays below the limit of 255


def is_aside(name: str) -> bool:
    """Return whether a name is that of a directory which was moved aside."""
    return name.startswith((*_PREFIXES, KEPT))


def is_waiting(name: str) -> bool:
    """Return whether a name is that of a directory which a rebuild is still to settle."""
    return name.startswith(_PREFIXES)


def original_name(name: str) -> str:
    """Return the name that a directory had before it was moved aside.

    A name of more than 200 bytes is not kept: its digest is returned.
    """
    prefix = next(prefix for prefix in (*_PREFIXES, KEPT) if name.startswith(prefix))
    return name[len(prefix) :].partition("-")[2]


def beside(path: str) -> list[str]:
    """Return the paths of what was moved aside from a path and still waits there."""
    parent, name = split(path)
    try:
        return [join(parent, other) for other in os.listdir(parent) if _belongs_to(other, name)]
    except OSError:
        return []


def lock(directory: Directory) -> None:
    """Tell other runs that this one is at work on a directory, until its descriptor is closed.

    Raises:
        PathError: another run is at work on it, or it is not at its path any more.
    """
    for _ in range(_TRIES):
        if locks.take(directory):
            break
        time.sleep(_PAUSE)
    else:
        raise PathError(f"{directory.path}: another program is filling it")
    if not directory.is_at(directory.path):
        raise PathError(f"{directory.path}: it was moved or replaced just now; try again")


def move(parent: Directory, directory: Directory, store: "Store", prefix: str) -> None:
    """Move a directory aside; ``directory.path`` is its new path afterwards.

    Args:
        parent: the directory that holds it, open.
        directory: the directory, open and locked.
        store: where its record is.
        prefix: ``REBUILT`` or ``CLEARED``.

    Raises:
        PathError: it can't be renamed; nothing was changed.
    """
    path, name = directory.path, directory.name
    old = _aside_name(prefix, ending(name))
    _record(directory, join(parent.path, old), store)
    try:
        os.rename(name, old, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
    except OSError as error:
        store.remove(join(parent.path, old))
        raise PathError(f"{path}: it can't be replaced: {in_words(error)}") from error
    directory.path = join(parent.path, old)


def _record(directory: Directory, path: str, store: "Store") -> None:
    """Record a directory under the path that it is to have: only what is recorded is put back.

    Anybody may have made a directory of such a name: an archive may hold one.
    """
    this = identity_of(directory.fd)
    try:
        former = store.read(directory.path)
    except NewerRecordError:
        raise
    except RecordError:
        former = None  # what a damaged one said is lost already
    if former is None or not is_about(former, this):
        former = Record(
            path=path,
            host=host(),
            inode=this.inode,
            born=this.born,
            rule=RULE,
            evidence=(),
            recipe=NO_RECIPE,
            set=(),
            found=(),
            previous={},
            state=MARKED,
            time=now(),
        )
    store.write(former._replace(path=path)).close()


def keep(parent: Directory, directory: Directory) -> None:
    """Give what is left of a directory that was moved aside the name that says so.

    Args:
        parent: the directory that holds it, open.
        directory: the directory, open; ``directory.path`` is its new path afterwards.

    Raises:
        OSError: it can't be renamed.
    """
    name = directory.name
    kept = _aside_name(KEPT, original_name(name) if is_aside(name) else ending(name))
    rename_exclusive(parent.fd, directory.name, kept)
    directory.path = join(parent.path, kept)


def expose(directory: Directory, store: "Store") -> dict[str, Outcome]:
    """Let backups have what a killed run moved aside: nothing brings back what people put there.

    Its record stays, without marks: the next rebuild goes by it.

    Args:
        directory: the directory, open.
        store: where its record is.

    Returns:
        By marker: what became of it. A tag goes whoever wrote it: creators write one.
    """
    outcomes = unmarking.undo(directory, store)
    if tag.CachedirTag().read(directory).state == HOLDS:
        try:
            os.unlink(tag.NAME, dir_fd=directory.fd)
            outcomes[tag.CachedirTag.name] = Outcome(UNMARKED)
        except OSError as error:
            outcomes[tag.CachedirTag.name] = Outcome(FAILED, in_words(error))
    return outcomes


def put_back(parent: Directory, name: str, old: str, store: "Store") -> None:
    """Give a directory that was moved aside its name and its record back.

    Args:
        parent: the directory that holds both names, open.
        name: the name that it had.
        old: the name that it has.
        store: where its record is.

    Raises:
        PathError: something stands at its name, or it can't be renamed; it stays aside.
    """
    path, aside = join(parent.path, name), join(parent.path, old)
    with store.locked():
        try:
            if parent.has(name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            record = store.read(aside)
            if record is not None and record.rule != RULE:
                store.write(record._replace(path=path)).close()
            rename_exclusive(parent.fd, old, name)
        except OSError as error:
            raise PathError(
                f"{path}: what stood here can't be put back: {in_words(error)}; it is {aside}"
            ) from error
        store.remove(aside)


def of(parent: Directory, name: str, store: "Store") -> list[str]:
    """Return the names of what regrow moved aside from *name*, newest first.

    Only what has its record is: an archive, or somebody who may write to the parent, may have put
    something else of such a name there.
    """
    with os.scandir(parent.fd) as entries:
        names = [entry.name for entry in entries if _belongs_to(entry.name, name)]
    found = []
    for old in names:
        try:
            with open_child(parent, old) as directory:
                record = store.read(directory.path)
                if record is not None and is_about(record, identity_of(directory.fd)):
                    found.append((directory.status.st_ctime_ns, old))  # a rename sets this time
        except (PathError, RecordError):
            continue  # gone meanwhile, or nothing of ours
    return [old for _, old in sorted(found, reverse=True)]


def recover(parent: Directory, name: str, store: "Store", notice: "Callable[[str], None]") -> None:
    """Put back what a killed run moved aside, where nothing took its place.

    Args:
        parent: the directory that holds the name, open.
        name: the name that is about to be replaced or made.
        store: where the records are.
        notice: called with a sentence that the user should read.

    Raises:
        PathError: another run is at work on it.
    """
    for old in of(parent, name, store):
        try:
            directory = open_child(parent, old)
        except PathError:
            continue  # gone meanwhile, or nothing of ours
        with directory:
            try:
                lock(directory)
            except PathError:
                raise PathError(
                    f"{join(parent.path, name)}: another regrow is replacing it"
                ) from None
            if not parent.has(name):
                put_back(parent, name, old, store)
                notice(
                    "an earlier run was interrupted: what it was replacing is back at"
                    f" {join(parent.path, name)}"
                )


def _belongs_to(aside: str, name: str) -> bool:
    return aside.startswith(_PREFIXES) and original_name(aside) == ending(name)


def _aside_name(prefix: str, end: str) -> str:
    return f"{prefix}{os.urandom(4).hex()}-{end}"


def ending(name: str) -> str:
    """Return what tells whose directory was moved aside: its name, or one that is not too long."""
    return name if len(os.fsencode(name)) <= _LONGEST_NAME else digest(name)
