"""The steps of the plugins: record and mark at birth, complete, take back, and mark late.

Guards are asked as ``regrow sweep`` asks them, those aside that need git.
"""

import os
import tempfile

from regrow import config, marking
from regrow.create import birth
from regrow.create.environment import RULE
from regrow.decide.guards import GUARDS, Circumstances, kept_by_user, not_ours
from regrow.model import Candidate, Rule
from regrow.plugins.birth import LOGGER
from regrow.recipes.recipe import RecipeError, build_recipe, stamp_of
from regrow.records.format import has_stamp
from regrow.records.store import Store, identity_of, is_current
from regrow.rules import loader
from regrow.scan import evidence
from regrow_marks import markers
from regrow_marks.directory import (
    Directory,
    holds_file,
    is_below,
    join,
    open_child,
    open_directory,
    open_parent,
    split,
    split_for_creation,
)
from regrow_marks.model import MARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from regrow.config import Configuration
    from regrow.recipes.recipe import Recipe
    from regrow_marks.model import Outcome

CONFIGURATION = "pyvenv.cfg"

TOX_INFO = ".tox-info.json"
TOX_OWN = frozenset((TOX_INFO, ".meta", "dist", "file.lock", "log", "tmp"))
"""What tox itself puts into its environments, some of it before anybody else."""


class Begun(NamedTuple):
    """A directory that was recorded and marked, and that a tool is filling."""

    path: str
    recipe: "Recipe"
    configuration: "Configuration"
    was_there: bool
    names: frozenset[str]
    """What stood in it."""
    set_here: tuple[str, ...]
    """The marks that were put on."""
    former: bytes | None
    """The record that there was."""


def begin(path: str, recipe: "Recipe") -> Begun | None:
    """Record and mark an environment before its creator's first file.

    Args:
        path: where the environment will be; it and its parents are made if missing.
        recipe: what makes it again.

    Returns:
        What was begun; None where the directory is left alone: it holds files of somebody else's,
        the user keeps it, or it is not the plugins' business.

    Raises:
        RegrowError: it can't be recorded, or not be made; nothing was marked.
        OSError: its parents can't be made.
    """
    path = os.path.realpath(path)
    if _is_out_of_scope(path):
        return None
    configuration = config.read()
    parent_path, name = split_for_creation(path)
    candidate = Candidate(path, Rule(RULE, name), parent_path, (), True, 0, 0)
    known = Circumstances(start=[parent_path], keep=configuration.keep)
    if RULE in configuration.disable or _is_kept(candidate, known, [kept_by_user]):
        return None
    attributes = markers.selected(nodump=configuration.nodump)
    reason = marking.Reason(RULE, (CONFIGURATION,), recipe)
    outcomes: dict[str, Outcome] = {}

    def prepare(directory: Directory) -> None:
        outcomes.update(marking.mark_before_birth(directory, attributes, store, reason, path))

    with Store() as store:
        os.makedirs(parent_path, exist_ok=True)
        # Until the directory has its name, no other run may record one of that name.
        with open_parent(parent_path) as parent, store.locked():
            former = store.data(path)
            was_there = parent.has(name)
            names = frozenset[str]()
            if was_there:
                with open_child(parent, name) as directory:
                    names = frozenset(os.listdir(directory.fd))
                    if _holds_others_files(names) or _is_taken(directory):
                        return None
                    if _is_kept(_as_found(candidate, directory), known, [not_ours]):
                        return None
                    prepare(directory)
            else:
                try:
                    birth.create(parent, name, prepare).close()
                except BaseException as error:
                    store.restore(path, former)
                    if isinstance(error, FileExistsError):  # another process made it meanwhile
                        return None
                    raise
    set_here = tuple(name for name, outcome in outcomes.items() if outcome.state == MARKED)
    return Begun(path, recipe, configuration, was_there, names, set_here, former)


def complete(begun: Begun) -> None:
    """Record how a finished environment comes back, and put on what marks are missing.

    A creator's own word is enough where no recipe can be taken: it has just made it.

    Args:
        begun: what ``begin`` returned.

    Raises:
        RegrowError: it can't be opened or recorded.
    """
    with Store() as store, open_directory(begun.path) as directory:
        if not holds_file(directory, CONFIGURATION):
            return
        try:
            taken = build_recipe("python", directory.path, split(directory.path)[0]).recipe
        except RecipeError:
            taken = {}
        _mark(directory, store, begun.configuration, {**taken, **begun.recipe})


def undo(begun: Begun) -> None:
    """Take back what was begun, if the tool has left nothing; else what it left stays marked.

    Args:
        begun: what ``begin`` returned.

    Raises:
        RegrowError: the record can't be put back.
        OSError: the directory can't be removed.
    """
    parent_path, name = split(begun.path)
    with Store() as store, open_parent(parent_path) as parent, store.locked():
        if parent.has(name):
            with open_child(parent, name) as directory:
                if frozenset(os.listdir(directory.fd)) != begun.names:
                    return
                if begun.was_there:
                    for marker in map(markers.marker, begun.set_here):
                        markers.take_off(marker, directory)
                else:
                    os.rmdir(name, dir_fd=parent.fd)
        store.restore(begun.path, begun.former)


def mark_made(path: str, recipe: "Recipe") -> None:
    """Record and mark an environment that stands, if rule and guards let it.

    What is marked, and recorded as it is now, costs a look.

    Args:
        path: the environment.
        recipe: what makes it again.

    Raises:
        RegrowError: it can't be opened or recorded.
    """
    path = os.path.realpath(path)
    if not os.path.isfile(join(path, CONFIGURATION)) or _is_out_of_scope(path):
        return
    configuration = config.read()
    with Store() as store, open_directory(path) as directory:
        if _is_taken(directory) or _is_told(directory, store, configuration):
            return
        candidate = _recognise(directory, configuration)
        if candidate is None:
            LOGGER.info("regrow: %s: not marked: it holds more than an environment", path)
            return
        known = Circumstances(start=[candidate.project], keep=configuration.keep)
        if _is_kept(candidate, known, [guard.ask for guard in GUARDS]):
            return
        _mark(directory, store, configuration, {**known.recipe(candidate).recipe, **recipe})


def _is_out_of_scope(path: str) -> bool:
    """Tell whether a path is below the temporary directory, or holds the current one.

    Build tools make and drop environments in the former by the hundred; in the latter somebody is
    at work, and `virtualenv .` turns a whole project into an environment.
    """
    return is_below(path, os.path.realpath(tempfile.gettempdir())) or is_below(os.getcwd(), path)


def _is_kept(
    candidate: Candidate,
    known: Circumstances,
    guards: "Iterable[Callable[[Candidate, Circumstances], str | None]]",
) -> bool:
    for ask in guards:
        reason = ask(candidate, known)
        if reason is not None:
            LOGGER.info("regrow: %s: not marked: %s", candidate.path, reason)
            return True
    return False


def _as_found(candidate: Candidate, directory: Directory) -> Candidate:
    status = directory.status
    return candidate._replace(device=status.st_dev, inode=status.st_ino)


def _holds_others_files(names: frozenset[str]) -> bool:
    return bool(names) and not (TOX_INFO in names and names <= TOX_OWN)


def _is_taken(directory: Directory) -> bool:
    """Tell whether `regrow venv` is at work on a directory: it holds a lock, and completes it."""
    from regrow.system import locks

    return not locks.take(directory)


def _is_told(directory: Directory, store: Store, configuration: "Configuration") -> bool:
    """Tell whether a directory is marked, and its record says how it comes back as it is now."""
    data = store.data(directory.path)
    return (
        data is not None
        and is_current(data, directory.path, identity_of(directory.fd))
        and has_stamp(data, stamp_of("python", directory.path))
        and markers.all_hold(marking.choose_markers(directory, configuration), directory)
    )


def _recognise(directory: Directory, configuration: "Configuration") -> Candidate | None:
    """Ask the rule for environments; what tox puts into its own says nothing against one."""
    listing = evidence.Listing.read(directory.fd)
    for rule in loader.active_rules(configuration, config.path()):
        if rule.name != RULE:
            continue
        if rule.only and TOX_INFO in listing.names:
            rule = rule._replace(only=(*rule.only, *TOX_OWN))
        if evidence.inside(rule, listing) is None:
            return None
        project = split(directory.path)[0]
        candidate = Candidate(directory.path, rule, project, (CONFIGURATION,), True, 0, 0)
        return _as_found(candidate, directory)
    return None


def _mark(
    directory: Directory, store: Store, configuration: "Configuration", recipe: "Recipe"
) -> None:
    chosen = marking.choose_markers(directory, configuration)
    reason = marking.Reason(RULE, (CONFIGURATION,), recipe)
    for outcome in marking.mark(directory, chosen, store, reason).values():
        if outcome.error:
            LOGGER.info("regrow: %s: %s", directory.path, outcome.error)
