"""Moves directories aside that are to be replaced, and puts them back.

A directory that a command replaces is renamed to ``PREFIX12345678-NAME`` in the same parent, with
eight random digits. It is recorded under both names, so that its marks have their record after a
kill at any instant. ``regrow.rebuild.leftovers`` finds what stays there.
"""

import errno
import os
import time

from regrow.errors import NewerRecordError, RecordError
from regrow.model import NO_RECIPE, Record
from regrow.records.format import MARKED
from regrow.records.store import digest, host, identity_of, is_about, now
from regrow.system import locks
from regrow.system.aside_names import KEPT, is_aside, is_waiting, original_name
from regrow_marks.directory import Directory, join, open_child, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.libc import rename_exclusive
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.records.store import Store

RULE = "aside"
"""The rule in the record of a directory that had none before it was moved aside."""

_TRIES = 4
_PAUSE = 0.05  # seconds; a sweep that only tests a lock holds it for less
_LONGEST_NAME = 200  # bytes: with prefix and number it stays below the limit of 255


def beside(path: str) -> list[str]:
    """Return the paths of what was moved aside from a path and still waits there."""
    parent, name = split(path)
    try:
        return [join(parent, other) for other in os.listdir(parent) if _belongs_to(other, name)]
    except OSError:
        return []


def lock(directory: Directory) -> None:
    """Lock a directory against other runs until it is closed.

    Raises:
        PathError: another run holds it, or it is not at its path any more.
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
    """Move a locked directory aside; ``directory.path`` is its new path afterwards.

    *prefix* is ``REBUILT`` or ``CLEARED``.

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
    """Rename a directory so that its name says that it holds the user's own files.

    ``directory.path`` is its new path afterwards. Raises OSError.
    """
    name = directory.name
    kept = _aside_name(KEPT, original_name(name) if is_aside(name) else ending(name))
    rename_exclusive(parent.fd, directory.name, kept)
    directory.path = join(parent.path, kept)


def put_back(parent: Directory, name: str, old: str, store: "Store") -> None:
    """Rename a directory that was moved aside from *old* to *name*, and restore its record.

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

    Those without a record of regrow's don't count: an archive, or anybody who may write to the
    parent, can have put a directory of such a name there.
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
    """Put back what a killed run moved aside from *name*, where nothing took its place.

    *notice* is called with a sentence that the user should read.

    Raises:
        PathError: another run is replacing it.
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
    return is_waiting(aside) and original_name(aside) == ending(name)


def _aside_name(prefix: str, end: str) -> str:
    return f"{prefix}{os.urandom(4).hex()}-{end}"


def ending(name: str) -> str:
    """Return the end of a directory's name once it is moved aside: its name, or a short digest."""
    return name if len(os.fsencode(name)) <= _LONGEST_NAME else digest(name)
