"""Takes or makes a directory that a tool is to fill: recorded and marked first, undone on failure.

The steps stand in this order so that a kill leaves nothing unseen: what stands there is recorded
under a second name before it is moved aside, and the new directory is recorded and marked before
it has its name. What is left then is found by ``regrow.rebuild.leftovers``.
"""

import contextlib
import os
import stat

from regrow import marking
from regrow.create import aside, birth
from regrow.system.descend import step_into
from regrow_marks import markers
from regrow_marks.directory import Directory, is_empty, join, open_child, open_parent
from regrow_marks.errors import PathError, in_words
from regrow_marks.model import MARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.records.store import Store
    from regrow_marks.model import Outcome

HOLLOW_NAMES = frozenset(("CACHEDIR.TAG", ".DS_Store"))
"""What backups and file managers leave of a directory whose contents were left out."""


class Claim(NamedTuple):
    """A directory that is ready to be filled."""

    directory: Directory
    """Open, locked, recorded and marked."""
    at_birth: "dict[str, Outcome]"
    """What became of the attributes that go on before the first file."""


@contextlib.contextmanager
def parent_of(path: str) -> "Iterator[Directory]":
    """Open the directory that is to hold a name; make it where it is missing.

    If the block fails, what was made goes again unless somebody uses it by then.

    Args:
        path: the directory; links to it are followed.

    Raises:
        PathError: it can't be made or opened.
    """
    made = make_missing(path)
    try:
        with open_parent(path) as parent:
            yield parent
    except BaseException:
        remove_empty(made)
        raise


@contextlib.contextmanager
def claim(
    parent: Directory,
    name: str,
    *,
    store: "Store",
    configuration: "Configuration",
    reason: marking.Reason,
    is_replaced: "Callable[[Directory], bool]",
    prefix: str,
    notice: "Callable[[str], None]",
) -> "Iterator[Claim]":
    """Take or make a directory, record and mark it; if the block fails, all is as it was.

    Args:
        parent: the directory that holds it, open.
        name: its name.
        store: where its record goes.
        configuration: the user's settings.
        reason: what its record says until the caller completes it.
        is_replaced: called with the directory that stands there, locked, if anything is in it:
            returns whether it is moved aside, and stays there for the caller; otherwise it is
            filled as it is. Raises PathError to refuse it.
        prefix: how its name begins where it is moved aside; see ``aside``.
        notice: called with a sentence that the user should read.

    Raises:
        PathError: what stands there is refused, or something can't be done; nothing was changed.
    """
    undo = contextlib.ExitStack()
    with contextlib.ExitStack() as held, _undone_on_failure(undo, store):
        # Until the directory has its name, no other run may record or replace one of that name;
        # nor before what failed here is undone.
        with store.locked(), _undone_on_failure(undo, store):
            # These go first: their marks are recorded where the old directory's record comes back.
            birth.remove_leftovers(parent)
            aside.recover(parent, name, store, notice)
            there = _take(parent, name) if parent.has(name) else None
            if there is not None:
                held.enter_context(there)
                if not is_empty(there) and is_replaced(there):
                    aside.move(parent, there, store, prefix)
                    undo.callback(aside.put_back, parent, name, there.name, store)
                    there = None
            attributes = markers.selected(nodump=configuration.nodump)
            claimed = _begin(parent, name, there, attributes, store, reason, undo)
            if there is None:
                held.enter_context(claimed.directory)
        yield claimed
        undo.pop_all()


@contextlib.contextmanager
def _undone_on_failure(undo: contextlib.ExitStack, store: "Store") -> "Iterator[None]":
    try:
        yield
    except BaseException:
        with store.locked():
            undo.close()
        raise


def _take(parent: Directory, name: str) -> Directory:
    directory = open_child(parent, name)
    try:
        aside.lock(directory)
    except BaseException:
        directory.close()
        raise
    return directory


def _begin(
    parent: Directory,
    name: str,
    there: Directory | None,
    attributes: "tuple[markers.Marker, ...]",
    store: "Store",
    reason: marking.Reason,
    undo: contextlib.ExitStack,
) -> Claim:
    """Make the directory, or take the one that is there, recorded and marked."""
    path = join(parent.path, name)
    data = store.data(path)
    files = marking.attachments(path, store)
    outcomes: dict[str, Outcome] = {}

    def prepare(directory: Directory) -> None:
        outcomes.update(marking.mark_before_birth(directory, attributes, store, reason, path))

    if there is not None:
        names = frozenset(os.listdir(there.fd))
        undo.callback(store.restore, path, data, files)
        prepare(there)
        set_here = [marker for marker in attributes if outcomes[marker.name].state == MARKED]
        if names <= HOLLOW_NAMES:
            undo.callback(_strip, parent, there, names, set_here)
        return Claim(there, outcomes)
    try:
        directory = birth.create(parent, name, prepare)
    except BaseException as error:
        store.restore(path, data, files)
        if isinstance(error, FileExistsError):
            raise PathError(f"{path}: another program has just made it; try again") from error
        raise
    undo.callback(_undo_new, parent, directory, store, data, files)
    return Claim(directory, outcomes)


def _undo_new(
    parent: Directory,
    directory: Directory,
    store: "Store",
    data: bytes | None,
    files: "Sequence[tuple[str, bytes]]",
) -> None:
    """Delete what a tool made of a new directory, and put back the record of what stood there.

    Where it can't be deleted in full, its record goes on saying that it is not finished. What
    somebody has put in its place meanwhile is not ours to delete.
    """
    name = directory.name
    if _stands(parent, directory) or _is_worthless(parent, name):
        delete(parent, name)
    if not parent.has(name):
        store.restore(directory.path, data, files)


def _stands(parent: Directory, directory: Directory) -> bool:
    """Return whether a directory still has its name."""
    try:
        there = os.stat(directory.name, dir_fd=parent.fd, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, directory.status)


def _is_worthless(parent: Directory, name: str) -> bool:
    """Return whether a link or an empty file stands at a name, as a tool that failed leaves it."""
    try:
        there = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISLNK(there.st_mode) or (stat.S_ISREG(there.st_mode) and not there.st_size)


def _strip(
    parent: Directory,
    directory: Directory,
    names: "frozenset[str]",
    set_here: "Sequence[markers.Marker]",
) -> None:
    """Leave a directory that a tool failed in as it was: with these names, without our marks."""
    if not _stands(parent, directory):
        return  # the tool took it away, or somebody put another one there
    for entry in os.listdir(directory.fd):
        if entry not in names:
            delete(directory, entry)
    for marker in set_here:
        markers.take_off(marker, directory)


def make_missing(path: str) -> list[str]:
    """Make a directory and those above it that are missing; return those made, deepest first.

    Raises:
        PathError: one can't be made, and none was.
    """
    missing = []
    head = path
    while head and not os.path.lexists(head):
        missing.append(head)
        head = os.path.dirname(head.rstrip("/"))
    made: list[str] = []
    for head in reversed(missing):
        try:
            os.mkdir(head)
        except FileExistsError:
            continue  # somebody else was faster: it is not ours to remove
        except OSError as error:
            remove_empty(made)
            raise PathError(f"{path}: it can't be made: {in_words(error)}") from error
        made.insert(0, head)
    return made


def remove_empty(paths: list[str]) -> None:
    """Remove directories, deepest first, unless somebody uses them by now."""
    for path in paths:
        try:
            os.rmdir(path)
        except OSError:
            return


def delete(parent: Directory, name: str) -> None:
    """Delete a file or a tree, never through a link or into a mount; what can't go stays."""
    _delete(name, parent.fd)


def _delete(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
        return
    except OSError:  # a directory
        inner = step_into(name, parent)
    if inner is None:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=parent)  # nobody may look into it, and it is empty all the same
        return
    try:
        for entry in os.listdir(inner):
            _delete(entry, inner)
        os.rmdir(name, dir_fd=parent)
    except (OSError, RecursionError):
        return  # the rest stays
    finally:
        os.close(inner)
