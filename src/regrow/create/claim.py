"""Takes or makes a directory for a tool to fill: recorded and marked first, put back on failure.

The steps stand in this order so that a kill leaves nothing unseen: what stands there is recorded
under a second name before it is moved aside, and the new directory is recorded and marked before
it has its name. What is left then is found by ``regrow.rebuild.leftovers``.
"""

import contextlib
import os
import stat
from functools import partial

from regrow import marking
from regrow.create import aside, birth
from regrow.records.store import Store
from regrow.system import locks
from regrow.system.descend import delete
from regrow_marks import markers, signature
from regrow_marks.directory import Directory, is_empty, join, open_child, open_parent, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.model import ALREADY_MARKED, MARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regrow.config import Configuration
    from regrow_marks.model import Outcome

HOLLOW_NAMES = frozenset(("CACHEDIR.TAG", ".DS_Store"))
"""What backups and file managers leave of a directory whose contents were left out."""


class Caller(NamedTuple):
    """For whom a directory is claimed."""

    store: Store
    configuration: "Configuration"
    notice: "Callable[[str], None]"
    """Called with a sentence that the user should read."""


class Claim(NamedTuple):
    """A directory that is recorded and marked, and ready to be filled."""

    parent: Directory
    directory: Directory
    found: frozenset[str] | None
    """The names of what stood in it; None: the directory was made."""
    at_birth: "dict[str, Outcome]"
    """What became of the attributes that go on before the first file."""
    restore_record: "Callable[[], None]"
    """Puts back the record that there was at its path, or removes the new one."""


@contextlib.contextmanager
def parent_of(path: str) -> "Iterator[Directory]":
    """Open the directory that is to hold a claim, through links too; make it where it is missing.

    If the block fails, what was made goes again unless somebody uses it by then. Raises PathError:
    it can't be made or opened.
    """
    missing = []
    above = path
    while above and not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above.rstrip("/"))
    with contextlib.ExitStack() as made:
        for directory in reversed(missing):
            try:
                os.mkdir(directory)
            except FileExistsError:
                continue  # somebody else was faster: it is not ours to remove
            except OSError as error:
                raise PathError(f"{path}: it can't be made: {in_words(error)}") from error
            made.callback(_remove_if_empty, directory)
        with open_parent(path) as parent:
            yield parent
        made.pop_all()


def _remove_if_empty(path: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(path)


@contextlib.contextmanager
def claim(
    parent: Directory,
    name: str,
    reason: marking.Reason,
    caller: Caller,
    *,
    prefix: str | None,
    check: "Callable[[Directory], None]" = lambda _: None,
) -> "Iterator[Claim]":
    """Claim a directory for a tool that the block runs; if the block fails, all is as it was.

    Args:
        parent: the directory that holds it, open.
        name: its name.
        reason: what its record says until the caller completes it.
        caller: for whom it is claimed.
        prefix: how the name of what stands there begins once it is moved aside (see ``aside``),
            where it stays for the caller; None: what stands there is filled as it is.
        check: called with what stands there, locked, unless it is empty; raises PathError to
            refuse it.

    Raises:
        PathError: what stands there is refused, or something can't be done; nothing was changed.
    """
    store = caller.store
    with contextlib.ExitStack() as held:
        # Until the directory has its name, no other run may record or replace one of that name.
        with store.locked():
            # These go first: their marks are recorded where the old directory's record comes back.
            birth.remove_leftovers(parent)
            aside.recover(parent, name, store, caller.notice)
            there = held.enter_context(open_child(parent, name)) if parent.has(name) else None
            old = None
            if there is not None:
                aside.lock(there)
                if not is_empty(there):
                    check(there)
                    if prefix is not None:
                        aside.move(parent, there, store, prefix)
                        old, there = there, None
            try:
                claimed = _begin(parent, name, there, reason, store, caller.configuration)
            except BaseException as error:
                if old is not None:
                    aside.put_back(parent, name, old.name, store)
                if isinstance(error, FileExistsError):
                    path = join(parent.path, name)
                    raise PathError(
                        f"{path}: another program has just made it; try again"
                    ) from error
                raise
            if there is None:
                held.enter_context(claimed.directory)
        try:
            yield claimed
        except BaseException:
            with store.locked():
                try:
                    _undo(claimed, reason.rule, caller)
                finally:
                    if old is not None:
                        aside.put_back(parent, name, old.name, store)
            raise


@contextlib.contextmanager
def prepared(
    path: str,
    reason: marking.Reason,
    configuration: "Configuration",
    *,
    accepts: "Callable[[Directory], bool]" = lambda _: False,
) -> "Iterator[Claim | None]":
    """Claim a directory that somebody else's tool is about to fill in the block.

    What the tool leaves there is its own. If that is nothing, all is as it was.

    Args:
        path: the directory, a true path whose parent exists.
        reason: what its record says until it is completed.
        configuration: the user's settings.
        accepts: called with what stands there, locked; returns whether it is claimed.

    Returns:
        The claim; None where the directory is left alone: it is not accepted, another regrow is at
        work on it, or another process makes it at this moment.

    Raises:
        RegrowError: it can't be recorded, or not be made; nothing was changed.
    """
    parent_path, name = split(path)
    with Store() as store, open_parent(parent_path) as parent, contextlib.ExitStack() as held:
        claimed = None
        with store.locked(), contextlib.suppress(FileExistsError):
            there = held.enter_context(open_child(parent, name)) if parent.has(name) else None
            if there is None or (locks.take(there) and accepts(there)):
                claimed = _begin(parent, name, there, reason, store, configuration)
                if there is None:
                    held.enter_context(claimed.directory)
            else:
                held.close()
        try:
            yield claimed
        finally:
            if claimed is not None:
                _abandon(claimed, store)


def _begin(
    parent: Directory,
    name: str,
    there: Directory | None,
    reason: marking.Reason,
    store: Store,
    configuration: "Configuration",
) -> Claim:
    """Record and mark a directory before a tool fills it; make it if none is *there*.

    Raises:
        FileExistsError: another process made something of that name meanwhile.
        RegrowError: it can't be recorded, or not be made. In both cases nothing was changed.
    """
    path = join(parent.path, name)
    attributes = markers.selected(nodump=configuration.nodump)
    at_birth: dict[str, Outcome] = {}

    def prepare(directory: Directory) -> None:
        at_birth.update(marking.mark_before_birth(directory, attributes, store, reason, path))

    with store.locked():
        restore = partial(store.restore, path, store.data(path), store.attachments(path))
        try:
            if there is None:
                directory, found = birth.create(parent, name, prepare), None
            else:
                directory, found = there, frozenset(os.listdir(there.fd))
                prepare(directory)
        except BaseException:
            restore()
            raise
    return Claim(parent, directory, found, at_birth, restore)


def _abandon(claimed: Claim, store: Store) -> None:
    """Put back what there was before a claim, if the tool left the directory as it was.

    Otherwise what the tool left stays, marked, and recorded as not finished.

    Raises:
        RecordError: the record can't be put back.
        OSError: the directory can't be read or removed.
    """
    parent, directory, found = claimed.parent, claimed.directory, claimed.found
    with store.locked():
        if not directory.is_at(directory.path):
            if parent.has(directory.name):
                return  # the tool, or somebody else, put another one there
        elif frozenset(os.listdir(directory.fd)) != (found or frozenset()):
            return
        elif found is None:
            os.rmdir(directory.name, dir_fd=parent.fd)
        else:
            _take_marks_off(claimed)
        claimed.restore_record()


def _take_marks_off(claimed: Claim) -> None:
    """Take off the marks that were not on the directory before it was claimed."""
    states = {name: outcome.state for name, outcome in claimed.at_birth.items()}
    for name, state in states.items():
        if state == MARKED:
            markers.take_off(markers.marker(name), claimed.directory)
    if ALREADY_MARKED not in states.values():
        signature.clear(claimed.directory)


def _undo(claimed: Claim, rule_name: str, caller: Caller) -> None:
    """Delete what a tool that failed made, and put back what there was before.

    Where that can't be deleted in full, its record goes on saying that it is not finished. What
    somebody has put into the directory or in its place meanwhile is not ours to delete.
    """
    parent, directory = claimed.parent, claimed.directory
    found = claimed.found or frozenset()
    if not found <= HOLLOW_NAMES:
        claimed.restore_record()
        return  # its tool goes on from what it left there
    others: frozenset[str] = frozenset()
    if directory.is_at(directory.path):
        others = _others_entries(directory, rule_name) - found
        for name in set(os.listdir(directory.fd)) - found - others:
            delete(name, directory.fd)
    elif claimed.found is None and _is_worthless(parent, directory.name):
        delete(directory.name, parent.fd)
    if not others:
        with contextlib.suppress(OSError):  # somebody has just put something into it
            _abandon(claimed, caller.store)
        return
    _take_marks_off(claimed)
    claimed.restore_record()
    with contextlib.suppress(OSError):  # it is a mount point, for one, and stays where it is
        aside.keep(parent, directory)
    caller.notice(
        f"kept in {directory.path}, for no tool made it: {', '.join(sorted(others))};"
        " `regrow leftovers` with this path puts it back or removes it"
    )


def _others_entries(directory: Directory, rule_name: str) -> frozenset[str]:
    """Return the names in a directory that its rule's tool does not make.

    Few rules list what their tools make; for the others nothing is known, and nothing returned.
    """
    from regrow.rules.loader import shipped
    from regrow.scan.contents import strangers
    from regrow.scan.evidence import Listing

    for rule in shipped():
        if rule.name == rule_name and (made := rule.only or rule.makes):
            return frozenset(strangers(made, Listing.read(directory.fd), rule.targets))
    return frozenset()


def _is_worthless(parent: Directory, name: str) -> bool:
    """Return whether a link or an empty file stands at a name, as a tool that failed leaves it."""
    try:
        there = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISLNK(there.st_mode) or (stat.S_ISREG(there.st_mode) and not there.st_size)
