"""Makes a virtual environment that is marked before its first file, and nothing if that fails."""

import os

from regrow import marking
from regrow.create import aside, creators
from regrow.create.claim import HOLLOW_NAMES, Caller, claim, parent_of
from regrow.errors import CreatorFailedError
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow.records.format import PENDING, REBUILD
from regrow.records.store import identity_of
from regrow.system.aside_names import CLEARED
from regrow_marks.directory import Directory, holds_file, join, open_child, split
from regrow_marks.errors import PathError
from regrow_marks.model import ALREADY_MARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from regrow.config import Configuration
    from regrow.create.creators import Request
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Store
    from regrow_marks.model import Outcome

RULE = "venv"
EVIDENCE = ("pyvenv.cfg",)


class Made(NamedTuple):
    """An environment that is complete."""

    path: str
    python: str
    """The interpreter's version, for example ``3.11.7``; empty where it is not known."""
    outcomes: "dict[str, Outcome]"


class EnvironmentExistsError(PathError):
    """There is something at the path already."""


def make(
    parent_path: str,
    name: str,
    creator: str,
    request: "Request",
    recipe: "Recipe",
    caller: Caller,
    *,
    clear: bool,
    progress: "AbstractContextManager[object]",
) -> Made:
    """Make an environment.

    The directory carries its attributes and has its record before the creator starts; afterwards
    the marks are read back and completed: the tag, where the creator wrote none, and the
    attributes, where it replaced the directory.

    Args:
        parent_path: the directory that is to hold it; it and those above are made if missing.
        name: the environment's name in it.
        creator: one of ``creators.NAMES``.
        request: what it is to be like.
        recipe: what the record says of how it comes back.
        caller: for whom it is made.
        clear: whether an environment at the path is replaced; it is put back if that fails. What
            no package brought into it is kept beside, and named.
        progress: entered while the creator runs.

    Raises:
        EnvironmentExistsError: the path is taken.
        CreatorFailedError: the creator failed.
        RegrowError: it can't be made otherwise. In every case nothing new is left.
    """
    store, configuration, notice = caller
    reason = marking.Reason(RULE, EVIDENCE, {**recipe, "made_by": creator})

    def check(directory: Directory) -> None:
        _refuse(directory, store, clear=clear)

    with parent_of(parent_path) as parent:
        words = creators.command(creator, join(parent.path, name), request)
        with claim(parent, name, reason, caller, prefix=CLEARED, check=check) as claimed:
            output = creators.run(creator, words, progress)
            with _open_made(parent, name, creator, output) as directory:
                made = complete(directory, reason, store, configuration)
        if aside.of(parent, name, store):
            from regrow.rebuild import remains
            from regrow.rebuild.explained import Installed

            for text in remains.settle(parent, name, store, lambda path: Installed(path, None)):
                notice(text)
        return made._replace(outcomes=_since_birth(claimed.at_birth, made.outcomes))


def _since_birth(at_birth: "dict[str, Outcome]", now: "dict[str, Outcome]") -> "dict[str, Outcome]":
    """Return the outcomes now; a mark that was set before birth, and holds, was set."""
    return {
        name: at_birth[name] if outcome.state == ALREADY_MARKED and name in at_birth else outcome
        for name, outcome in now.items()
    }


def _refuse(directory: Directory, store: "Store", *, clear: bool) -> None:
    """Refuse to replace what stands at the path, unless it is an environment and may go."""
    is_hollow = HOLLOW_NAMES.issuperset(os.listdir(directory.fd))
    is_environment = holds_file(directory, "pyvenv.cfg")
    is_half_made = not is_environment and _is_half_made(directory, store)
    if clear:
        if is_hollow or is_environment or is_half_made:
            return
        raise EnvironmentExistsError(
            f"{directory.path}: it holds files and is no environment; --clear replaces"
            " environments only"
        )
    if is_environment:
        raise EnvironmentExistsError(
            f"{directory.path}: there is an environment already; --clear replaces it"
        )
    if is_half_made:
        beside = aside.beside(directory.path)
        more = f"; what it was replacing is {', '.join(beside)}" if beside else ""
        raise EnvironmentExistsError(
            f"{directory.path}: an earlier run was interrupted here; --clear replaces what it"
            f" left{more}"
        )
    raise EnvironmentExistsError(
        f"{directory.path}: it holds files and is no environment; choose another path"
    )


def _is_half_made(directory: Directory, store: "Store") -> bool:
    """Return whether a killed run left this very directory without pyvenv.cfg."""
    record = store.read(directory.path)
    if record is None or (record.inode, record.born) != identity_of(directory.fd):
        return False
    return record.state == REBUILD or (record.state == PENDING and record.rule == RULE)


def _open_made(parent: Directory, name: str, creator: str, output: bytes) -> Directory:
    """Open the environment that a creator has made. Raises CreatorFailedError: there is none."""
    try:
        directory = open_child(parent, name)
    except PathError as error:
        raise CreatorFailedError(f"{creator} ended without an error; {error}", 1, output) from error
    if holds_file(directory, "pyvenv.cfg"):
        return directory
    directory.close()
    raise CreatorFailedError(
        f"{directory.path}: {creator} ended without an error, and made no environment", 1, output
    )


def complete(
    directory: Directory, reason: marking.Reason, store: "Store", configuration: "Configuration"
) -> Made:
    """Read the marks back on an environment that is made; complete them and its record.

    The recipe that is taken of it now is added to that of *reason*. Raises RecordError.
    """
    try:
        recipe = build_recipe("python", directory.path, split(directory.path)[0]).recipe
    except RecipeError:
        recipe = {}  # the command that made it is enough
    chosen = marking.choose_markers(directory, configuration)
    finished = reason._replace(recipe={**reason.recipe, **recipe}, state=PENDING)
    outcomes = marking.mark(directory, chosen, store, finished)
    return Made(directory.path, str(recipe.get("version", "")), outcomes)
