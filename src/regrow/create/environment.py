"""Makes a virtual environment that is marked before its first file, and nothing if that fails."""

import os

from regrow import marking
from regrow.create import aside, claim, creators
from regrow.errors import CreatorFailedError
from regrow.recipes import recipe as recipes
from regrow.records.format import PENDING, REBUILD
from regrow.records.store import identity_of
from regrow_marks.directory import Directory, holds_file, join, open_child
from regrow_marks.errors import PathError
from regrow_marks.model import ALREADY_MARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from regrow.config import Configuration
    from regrow.create.creators import Request
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Store
    from regrow_marks.model import Outcome

RULE = "venv"


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
        clear: whether an environment at the path is replaced; it is put back if that fails. What
            no package brought into it is kept beside, and named.
        progress: entered while the creator runs.
        notice: called with a sentence that the user should read.

    Returns:
        What was made.

    Raises:
        EnvironmentExistsError: the path is taken.
        CreatorFailedError: the creator failed.
        RegrowError: it can't be made otherwise. In every case nothing new is left.
    """

    def is_replaced(directory: Directory) -> bool:
        _refuse(directory, store, clear=clear)
        return True

    reason = marking.Reason(RULE, ("pyvenv.cfg",), recipe)
    with claim.parent_of(parent_path) as parent:
        words = creators.command(creator, join(parent.path, name), request)
        with claim.claim(
            parent,
            name,
            store=store,
            configuration=configuration,
            reason=reason,
            is_replaced=is_replaced,
            prefix=aside.CLEARED,
            notice=notice,
        ) as claimed:
            output = creators.run(creator, words, progress)
            made = complete(parent, name, creator, output, store, configuration, reason)
        if aside.of(parent, name, store):
            from regrow.rebuild import remains
            from regrow.rebuild.explained import Installed

            found = remains.settle(parent, name, store, lambda path: Installed(path, None))
            for text in remains.sentences(found):
                notice(text)
        return made._replace(outcomes=since_birth(claimed.at_birth, made.outcomes))


def since_birth(at_birth: "dict[str, Outcome]", now: "dict[str, Outcome]") -> "dict[str, Outcome]":
    """Return the outcomes now; a mark that was set before birth, and holds, was set."""
    return {
        name: at_birth[name] if outcome.state == ALREADY_MARKED and name in at_birth else outcome
        for name, outcome in now.items()
    }


def _refuse(directory: Directory, store: "Store", *, clear: bool) -> None:
    """Refuse to replace what stands at the path, unless it is an environment and may go."""
    is_hollow = claim.HOLLOW_NAMES.issuperset(os.listdir(directory.fd))
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


def complete(
    parent: Directory,
    name: str,
    creator: str,
    output: bytes,
    store: "Store",
    configuration: "Configuration",
    reason: marking.Reason,
) -> Made:
    """Read the marks back on what the creator left, and complete them and the record.

    Args:
        parent: the directory that holds it, open.
        name: the environment's name in it.
        creator: who made it; empty: somebody else did.
        output: what the creator printed.
        store: where its record is.
        configuration: the user's settings.
        reason: what its record says; the recipe is taken anew.

    Returns:
        What stands there.

    Raises:
        CreatorFailedError: no environment stands there.
        PathError: it can't be read.
    """
    with open_made(parent, name, creator, output) as directory:
        chosen = marking.choose_markers(directory, configuration)
        recipe = {**reason.recipe, **_recipe(directory, parent)}
        if creator:
            recipe["made_by"] = creator
        finished = reason._replace(recipe=recipe, state=PENDING)
        outcomes = marking.mark(directory, chosen, store, finished)
        return Made(directory.path, creator, _version(directory), outcomes)


def open_made(parent: Directory, name: str, creator: str, output: bytes) -> Directory:
    """Open the environment that a creator has made.

    Raises:
        CreatorFailedError: no environment stands there.
    """
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


def _recipe(directory: Directory, parent: Directory) -> "Recipe":
    """Take the new environment's recipe; the command that made it is enough where that fails."""
    try:
        return recipes.build("python", directory.path, parent.path).recipe
    except recipes.RecipeError:
        return {}


def _version(directory: Directory) -> str:
    """Return the interpreter's version, or "" where pyvenv.cfg has none."""
    from regrow.recipes.python import parse_pyvenv_cfg
    from regrow_marks.safe_read import read

    path = join(directory.path, "pyvenv.cfg")
    try:
        data = read("pyvenv.cfg", place=directory.fd) or b""
    except (OSError, ValueError) as error:
        raise PathError(f"{path}: {error}") from error
    settings = parse_pyvenv_cfg(data.decode(errors="replace"))
    version = settings.get("version_info") or settings.get("version") or ""
    return ".".join(version.split(".")[:3])
