"""Makes a virtual environment that is marked before its first file, and nothing if that fails."""

import contextlib
import errno
import fcntl
import os
import shutil

from regrow import birth, creators, markers, pipeline, recipes, records
from regrow.directory import Directory, holds_file, is_empty, join, open_child, open_parent
from regrow.errors import CreatorFailedError, PathError, in_words
from regrow.libc import rename_exclusive
from regrow.model import ALREADY_MARKED, MARKED
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from regrow.config import Configuration
    from regrow.creators import Request
    from regrow.model import Outcome
    from regrow.recipes import Recipe
    from regrow.records import Store

RULE = "venv"
OLD_PREFIX = ".regrow-old-"
"""How the names of environments begin that were moved aside."""

HOLLOW_NAMES = frozenset(("CACHEDIR.TAG", ".DS_Store"))
"""What backups and file managers leave of a directory whose contents were left out."""

_LONGEST_NAME = 200  # bytes: with prefix and number it stays below the limit of 255
_READ_LIMIT = 64 * 1024  # bytes of pyvenv.cfg; real ones have about 300


class Made(NamedTuple):
    """An environment that stands."""

    path: str
    creator: str
    python: str
    """The interpreter's version, for example ``3.11.7``; empty where pyvenv.cfg has none."""
    outcomes: "dict[str, Outcome]"


class EnvironmentExistsError(PathError):
    """There is something at the path already."""


def make(
    parent_path: str,
    name: str,
    creator: str,
    request: "Request",
    *,
    store: "Store",
    configuration: "Configuration",
    recipe: "Recipe",
    clear: bool,
    progress: "AbstractContextManager[object]",
    notice: "Callable[[str], None]",
    rule: str = RULE,
    state: str = records.PENDING,
    run: "Callable[[list[str], Directory], bytes] | None" = None,
    fill: "Callable[[Directory], None]" = lambda _: None,
) -> Made:
    """Make an environment.

    The directory carries its attributes and has its record before the creator starts; afterwards
    the marks are read back and completed: the tag, where the creator wrote none, and the
    attributes, where it replaced the directory.

    Args:
        parent_path: the directory that shall hold it; it and those above are made if missing.
        name: the environment's name in it.
        creator: one of ``creators.NAMES``.
        request: what it shall be like.
        store: where its record goes.
        configuration: the user's settings.
        recipe: what the record says of how it comes back.
        clear: whether an environment at the path is replaced; it is put back if that fails.
        progress: entered while the creator runs.
        notice: called with a sentence that the user should read.
        rule: what the record says of how it was found.
        state: what the record says until all of it is done.
        run: runs the creator's words for the directory, and gives what it printed; default: with
            ``progress``, and no more.
        fill: called with the environment after the creator, to install what belongs in it.

    Returns:
        What was made.

    Raises:
        EnvironmentExistsError: the path is taken.
        CreatorFailedError: the creator failed.
        RegrowError: it can't be made otherwise. In every case nothing new is left.
    """
    undo = contextlib.ExitStack()
    with contextlib.ExitStack() as held, _undone_on_failure(undo, store):
        undo.callback(remove_empty, make_missing(parent_path))
        parent = held.enter_context(open_parent(parent_path))
        words = creators.command(creator, join(parent.path, name), request)
        reason = pipeline.Reason(rule, ("pyvenv.cfg",), recipe, state=state)
        # Until the directory has its name, no other run may record or replace one of that name;
        # nor before what failed here is undone.
        with store.locked(), _undone_on_failure(undo, store):
            _recover(parent, name, store, notice)
            old = None
            if clear and parent.has(name):
                old = held.enter_context(_move_aside(parent, name, store))
                undo.callback(_put_back, parent, name, old.name, store)
            attributes = markers.selected(nodump=configuration.nodump)
            directory, at_birth = _begin(parent, name, attributes, store, reason, undo)
            held.enter_context(directory)
        output = run(words, directory) if run else creators.run(creator, words, progress)
        fill(directory)
        made = _complete(parent, name, creator, output, store, configuration, reason)
        undo.pop_all()
        if old is not None:
            _delete_old(parent, old.name, store, notice)
        return made._replace(outcomes=_since_birth(at_birth, made.outcomes))


@contextlib.contextmanager
def _undone_on_failure(undo: contextlib.ExitStack, store: "Store") -> "Iterator[None]":
    try:
        yield
    except BaseException:
        with store.locked():
            undo.close()
        raise


def _begin(
    parent: Directory,
    name: str,
    attributes: "tuple[markers.Marker, ...]",
    store: "Store",
    reason: pipeline.Reason,
    undo: contextlib.ExitStack,
) -> tuple[Directory, "dict[str, Outcome]"]:
    """Make the empty directory, or take the one that is there, recorded and marked."""
    path = join(parent.path, name)
    outcomes: dict[str, Outcome] = {}

    def prepare(directory: Directory) -> None:
        outcomes.update(pipeline.mark_before_birth(directory, attributes, store, reason, path))

    undo.callback(store.restore, path, store.data(path))
    if not parent.has(name):
        try:
            directory = birth.create(parent, name, prepare)
        except FileExistsError as error:
            raise PathError(f"{path}: another process has just made it; try again") from error
        undo.callback(delete, parent, name)
        return directory, outcomes

    directory = _take_empty(parent, name, store)
    try:
        prepare(directory)
    except BaseException:
        directory.close()
        raise
    set_here = [marker for marker in attributes if outcomes[marker.name].state == MARKED]
    undo.callback(_empty, parent, name, set_here)
    return directory, outcomes


def _since_birth(at_birth: "dict[str, Outcome]", now: "dict[str, Outcome]") -> "dict[str, Outcome]":
    """Say of a mark that was set before birth, and held, that it was set."""
    return {
        name: at_birth[name] if outcome.state == ALREADY_MARKED and name in at_birth else outcome
        for name, outcome in now.items()
    }


def _take_empty(parent: Directory, name: str, store: "Store") -> Directory:
    """Open an empty directory that stands where the environment shall be."""
    directory = open_child(parent, name)
    try:
        _lock(directory)
        _refuse_contents(directory, store)
    except BaseException:
        directory.close()
        raise
    return directory


def _lock(directory: Directory) -> None:
    """Tell other runs that this one is at work on a directory, until its descriptor is closed."""
    try:
        fcntl.flock(directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PathError(f"{directory.path}: another regrow is at work on it") from None
    except OSError:
        pass  # a file system without locks
    if not directory.is_at(directory.path):
        raise PathError(f"{directory.path}: it was moved or replaced just now; try again")


def _refuse_contents(directory: Directory, store: "Store") -> None:
    if is_empty(directory):
        return
    if holds_file(directory, "pyvenv.cfg"):
        raise EnvironmentExistsError(
            f"{directory.path}: there is an environment already; --clear replaces it"
        )
    if _is_half_made(directory, store):
        raise EnvironmentExistsError(
            f"{directory.path}: an earlier run was interrupted here; --clear replaces what it left"
        )
    raise EnvironmentExistsError(
        f"{directory.path}: it holds files and is no environment; choose another path"
    )


def _is_half_made(directory: Directory, store: "Store") -> bool:
    """Tell from the record whether a killed run left this very directory without pyvenv.cfg."""
    record = store.read(directory.path)
    if record is None or (record.inode, record.born) != records.identity(directory.fd):
        return False
    return record.state == records.REBUILD or (
        record.state == records.PENDING and record.rule == RULE
    )


def _complete(
    parent: Directory,
    name: str,
    creator: str,
    output: bytes,
    store: "Store",
    configuration: "Configuration",
    reason: pipeline.Reason,
) -> Made:
    """Read the marks back on what the creator left, and complete them."""
    try:
        directory = open_child(parent, name)
    except PathError as error:
        raise CreatorFailedError(f"{creator} ended without an error; {error}", 1, output) from error
    with directory:
        if not holds_file(directory, "pyvenv.cfg"):
            raise CreatorFailedError(
                f"{directory.path}: {creator} ended without an error, and made no environment",
                1,
                output,
            )
        chosen = pipeline.choose_markers(directory, configuration)
        python = _version(directory)
        finished = reason._replace(
            recipe={**reason.recipe, **_recipe(directory, parent), "made_by": creator},
            state=records.PENDING,
        )
        outcomes = pipeline.mark(directory, chosen, store, finished)
        return Made(directory.path, creator, python, outcomes)


def _recipe(directory: Directory, parent: Directory) -> "Recipe":
    """Take the new environment's recipe; the command that made it is enough where that fails."""
    try:
        return recipes.take("python", directory.path, parent.path).recipe
    except recipes.RecipeError:
        return {}


def _version(directory: Directory) -> str:
    """Read the interpreter's version: venv writes ``version``, others ``version_info``."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open("pyvenv.cfg", flags, dir_fd=directory.fd)
    except OSError as error:
        raise PathError(f"{join(directory.path, 'pyvenv.cfg')}: {in_words(error)}") from error
    with open(fd, encoding="utf-8", errors="replace") as file:
        text = file.read(_READ_LIMIT)
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    settings = {key.strip(): value.strip() for key, value in values.items()}
    version = settings.get("version_info") or settings.get("version") or ""
    return ".".join(version.split(".")[:3])


def _move_aside(parent: Directory, name: str, store: "Store") -> Directory:
    """Rename the environment that is to be replaced, so that it can come back.

    Its lock tells other runs that its owner is alive. It has a record under both names, so that a
    kill at any instant leaves its marks recorded.
    """
    path, old = join(parent.path, name), _old_name(name)
    directory = open_child(parent, name)
    try:
        _lock(directory)
        if not (
            HOLLOW_NAMES.issuperset(os.listdir(directory.fd))
            or holds_file(directory, "pyvenv.cfg")
            or _is_half_made(directory, store)
        ):
            raise EnvironmentExistsError(
                f"{path}: it holds files and is no environment; --clear deletes environments only"
            )
        pipeline.carry_record(store, path, join(parent.path, old))
        try:
            os.rename(name, old, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
        except OSError as error:
            store.remove(join(parent.path, old))
            raise PathError(f"{path}: it can't be replaced: {in_words(error)}") from error
    except BaseException:
        directory.close()
        raise
    directory.path = join(parent.path, old)
    return directory


def _old_name(name: str) -> str:
    return f"{OLD_PREFIX}{os.urandom(4).hex()}-{_old_ending(name)}"


def _old_ending(name: str) -> str:
    """Give what tells whose environment was moved aside: its name, or one that is not too long."""
    return name if len(os.fsencode(name)) <= _LONGEST_NAME else records.digest(name)


def _put_back(parent: Directory, name: str, old: str, store: "Store") -> None:
    """Give an environment that was moved aside its name and its record back."""
    path, aside = join(parent.path, name), join(parent.path, old)
    with store.locked():
        try:
            if parent.has(name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            pipeline.carry_record(store, aside, path)
            rename_exclusive(parent.fd, old, name)
        except OSError as error:
            raise PathError(
                f"{path}: the environment that stood here can't be put back:"
                f" {in_words(error)}; it is {aside}"
            ) from error
        store.remove(aside)


def _recover(parent: Directory, name: str, store: "Store", notice: "Callable[[str], None]") -> None:
    """Put an environment back that a killed run had moved aside; name it where that can't be.

    In a directory that others may write to, what another user put there is left alone.
    """
    # These go first: their marks are recorded where the old environment's record comes back.
    birth.remove_leftovers(parent)
    with os.scandir(parent.fd) as entries:
        olds = [
            entry.name
            for entry in entries
            if entry.name.startswith(OLD_PREFIX)
            and entry.name[len(OLD_PREFIX) :].partition("-")[2] == _old_ending(name)
        ]
    for old in olds:
        try:
            directory = open_child(parent, old)
        except PathError:
            continue  # gone meanwhile, or nothing of ours
        with directory:
            if not _is_ours(directory, parent):
                continue
            try:
                _lock(directory)
            except PathError:
                raise PathError(
                    f"{join(parent.path, name)}: another regrow is replacing it"
                ) from None
            if parent.has(name):
                notice(
                    f"an earlier run was interrupted: {directory.path} is the environment that it"
                    " was replacing; delete it if you don't miss it"
                )
            else:
                _put_back(parent, name, old, store)
                notice(
                    f"an earlier run was interrupted: the environment that it was replacing is"
                    f" back at {join(parent.path, name)}"
                )


def _is_ours(directory: Directory, parent: Directory) -> bool:
    owner, user = directory.status.st_uid, os.geteuid()
    return owner == user or (user == 0 and owner == parent.status.st_uid)


def _delete_old(
    parent: Directory, old: str, store: "Store", notice: "Callable[[str], None]"
) -> None:
    delete(parent, old)
    path = join(parent.path, old)
    if parent.has(old):
        notice(f"{path}: the environment that was replaced can't be deleted in full; delete it")
    else:
        store.remove(path)


def make_missing(path: str) -> list[str]:
    """Make a directory and those above it that are missing; give those made, deepest first.

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


def _empty(parent: Directory, name: str, set_here: "list[markers.Marker]") -> None:
    """Leave the directory that a creator failed in as it was: empty, without our marks."""
    try:
        directory = open_child(parent, name)
    except PathError:
        return  # the creator took it away
    with directory:
        for entry in os.listdir(directory.fd):
            delete(directory, entry)
        for marker in set_here:
            markers.take_off(marker, directory)


def delete(parent: Directory, name: str) -> None:
    """Delete a file or a tree, never through a link; what can't be deleted stays."""
    try:
        os.unlink(name, dir_fd=parent.fd)
    except OSError:  # a directory
        shutil.rmtree(name, ignore_errors=True, dir_fd=parent.fd)
