"""Makes a virtual environment that is marked before its first file, and nothing if that fails."""

import fcntl
import os
import shutil
import subprocess
import tempfile

from regrow import birth, creators, markers, pipeline
from regrow.directory import Directory, holds_file, is_empty, join, open_child, open_parent
from regrow.errors import CreatorError, PathError, in_words
from regrow.libc import rename_exclusive
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.config import Configuration
    from regrow.creators import Request
    from regrow.model import Outcome
    from regrow.records import Store

RULE = "venv"
_OLD_PREFIX = ".regrow-old-"
_WAIT = 1.0  # seconds until ``waiting`` is called: what takes longer shows progress
_READ_LIMIT = 64 * 1024  # bytes of pyvenv.cfg; real ones have about 300


class Made(NamedTuple):
    """An environment that stands."""

    path: str
    creator: str
    python: str
    """The interpreter's version, for example ``3.11.7``; empty where pyvenv.cfg has none."""
    outcomes: "dict[str, Outcome]"


class CreatorFailedError(CreatorError):
    """The creator ran and failed; nothing of the environment is left."""

    def __init__(self, creator: str, code: int, output: bytes) -> None:
        super().__init__(f"{creator} made no environment (exit code {code})")
        self.code = code
        """What to exit with: the creator's own code, or 128 and the signal that ended it."""
        self.output = output
        """All that the creator printed."""


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
    recipe: "dict[str, str | int | bool | list[str]]",
    clear: bool,
    waiting: "Callable[[subprocess.Popen[bytes]], None]",
    notice: "Callable[[str], None]",
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
        waiting: called with the creator's process once it has run for a second; it returns when
            the process has ended.
        notice: called with a sentence that the user should read.

    Returns:
        What was made.

    Raises:
        EnvironmentExistsError: the path is taken.
        CreatorFailedError: the creator failed.
        RegrowError: it can't be made otherwise. In every case nothing new is left.
    """
    parents_made = _make_parents(parent_path)
    try:
        with open_parent(parent_path) as parent:
            _recover(parent, name, notice)
            old = _move_aside(parent, name) if clear and parent.has(name) else None
            try:
                made = _make_in(
                    parent, name, creator, request, store, configuration, recipe, waiting
                )
            except BaseException:
                if old is not None:
                    _put_back(parent, name, old)
                raise
            if old is not None:
                _delete(parent, old)
        return made
    except BaseException:
        _remove_empty_parents(parents_made)
        raise


def _make_in(
    parent: Directory,
    name: str,
    creator: str,
    request: "Request",
    store: "Store",
    configuration: "Configuration",
    recipe: "dict[str, str | int | bool | list[str]]",
    waiting: "Callable[[subprocess.Popen[bytes]], None]",
) -> Made:
    path = join(parent.path, name)
    words = creators.command(creator, path, request)
    reason = pipeline.Reason(RULE, ("pyvenv.cfg",), recipe)
    attributes = markers.selected(nodump=configuration.nodump)

    def prepare(directory: Directory) -> None:
        pipeline.mark_before_birth(directory, attributes, store, reason, path)

    was_there = parent.has(name)
    if was_there:
        directory = open_child(parent, name)
        try:
            _refuse_contents(directory)
            prepare(directory)
        except BaseException:
            directory.close()
            raise
    else:
        directory = birth.create(parent, name, prepare)
    with directory:
        try:
            _run(creator, words, waiting)
            return _complete(parent, name, creator, store, configuration, reason)
        except BaseException:
            if was_there:
                _empty(parent, name)
                pipeline.unmark(directory, store, configuration)
            else:
                _delete(parent, name)
                store.remove(path)
            raise


def _refuse_contents(directory: Directory) -> None:
    if is_empty(directory):
        return
    if holds_file(directory, "pyvenv.cfg"):
        raise EnvironmentExistsError(
            f"{directory.path}: there is an environment already; --clear replaces it"
        )
    raise EnvironmentExistsError(
        f"{directory.path}: it holds files and is no environment; choose another path"
    )


def _complete(
    parent: Directory,
    name: str,
    creator: str,
    store: "Store",
    configuration: "Configuration",
    reason: pipeline.Reason,
) -> Made:
    """Read the marks back on what the creator left, and complete them."""
    with open_child(parent, name) as directory:
        if not holds_file(directory, "pyvenv.cfg"):
            raise CreatorError(
                f"{directory.path}: {creator} ended without an error, and made no environment"
            )
        chosen = pipeline.choose_markers(directory, configuration)
        python = _version(directory)
        finished = reason._replace(
            recipe={**reason.recipe, "made_by": creator, "made_python": python}
        )
        outcomes = pipeline.mark(directory, chosen, store, finished)
        return Made(directory.path, creator, python, outcomes)


def _run(
    creator: str, words: list[str], waiting: "Callable[[subprocess.Popen[bytes]], None]"
) -> None:
    """Run the creator, its words kept for the case that it fails."""
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise CreatorError(f"{words[0]}: it can't be run: {in_words(error)}") from error
        try:
            try:
                process.wait(_WAIT)
            except subprocess.TimeoutExpired:
                waiting(process)
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if code != 0:
            output.seek(0)
            raise CreatorFailedError(creator, code if code > 0 else 128 - code, output.read())


def _version(directory: Directory) -> str:
    """Read the interpreter's version: venv writes ``version``, others ``version_info``."""
    fd = os.open("pyvenv.cfg", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory.fd)
    with open(fd, encoding="utf-8", errors="replace") as file:
        text = file.read(_READ_LIMIT)
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    settings = {key.strip(): value.strip() for key, value in values.items()}
    version = settings.get("version_info") or settings.get("version") or ""
    return ".".join(version.split(".")[:3])


def _move_aside(parent: Directory, name: str) -> str:
    """Rename the environment that is to be replaced, so that it can come back.

    The lock tells other runs that its owner is alive; it is held until this process ends.
    """
    with open_child(parent, name) as directory:
        if not is_empty(directory) and not holds_file(directory, "pyvenv.cfg"):
            raise EnvironmentExistsError(
                f"{directory.path}: it holds files and is no environment; --clear deletes"
                " environments only"
            )
        lock = os.dup(directory.fd)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise PathError(f"{directory.path}: another regrow is at work on it") from None
        except OSError:
            pass  # a file system without locks
    old = f"{_OLD_PREFIX}{os.urandom(4).hex()}-{name}"
    try:
        os.rename(name, old, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
    except OSError as error:
        raise PathError(
            f"{join(parent.path, name)}: it can't be replaced: {in_words(error)}"
        ) from error
    return old


def _put_back(parent: Directory, name: str, old: str) -> None:
    rename_exclusive(parent.fd, old, name)


def _recover(parent: Directory, name: str, notice: "Callable[[str], None]") -> None:
    """Put an environment back that a killed run had moved aside; name it where that can't be."""
    with os.scandir(parent.fd) as entries:
        olds = [
            entry.name
            for entry in entries
            if entry.name.startswith(_OLD_PREFIX)
            and entry.name[len(_OLD_PREFIX) :].partition("-")[2] == name
        ]
    for old in olds:
        with open_child(parent, old) as directory:
            try:
                fcntl.flock(directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PathError(
                    f"{join(parent.path, name)}: another regrow is replacing it"
                ) from None
            except OSError:
                pass  # a file system without locks
            if parent.has(name):
                notice(
                    f"an earlier run was interrupted: {directory.path} is the environment that it"
                    " was replacing; delete it if you don't miss it"
                )
            else:
                rename_exclusive(parent.fd, old, name)
                notice(
                    f"an earlier run was interrupted: the environment that it was replacing is"
                    f" back at {join(parent.path, name)}"
                )


def _make_parents(path: str) -> list[str]:
    """Make missing directories; give those made, deepest first."""
    missing = []
    head = path
    while head and not os.path.lexists(head):
        missing.append(head)
        head = os.path.dirname(head.rstrip("/"))
    try:
        os.makedirs(path or ".", exist_ok=True)
    except OSError as error:
        _remove_empty_parents(missing)
        raise PathError(f"{path}: it can't be made: {in_words(error)}") from error
    return missing


def _remove_empty_parents(paths: list[str]) -> None:
    for path in paths:
        try:
            os.rmdir(path)
        except OSError:
            return  # somebody else uses it by now


def _empty(parent: Directory, name: str) -> None:
    """Remove what a failed creator left in a directory that was empty before."""
    with open_child(parent, name) as directory:
        for entry in os.listdir(directory.fd):
            if _is_directory(directory, entry):
                shutil.rmtree(entry, ignore_errors=True, dir_fd=directory.fd)
            else:
                os.unlink(entry, dir_fd=directory.fd)


def _is_directory(directory: Directory, entry: str) -> bool:
    import stat

    status = os.stat(entry, dir_fd=directory.fd, follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode)


def _delete(parent: Directory, name: str) -> None:
    """Delete a tree, never through a link."""
    shutil.rmtree(name, ignore_errors=True, dir_fd=parent.fd)
