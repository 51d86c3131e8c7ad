"""What the plugins do: record and mark an environment before its first file, or once it stands.

Guards are asked as ``regrow sweep`` asks them, except those that need git.
"""

import contextlib
import os
import tempfile

from regrow import config, marking
from regrow.create import claim, environment
from regrow.create.environment import EVIDENCE, RULE
from regrow.decide.guards import GUARDS, Circumstances, kept_by_user, not_ours
from regrow.model import Candidate, Rule
from regrow.plugins.birth import LOGGER
from regrow.recipes.recipe import stamp_of
from regrow.records.format import has_stamp, is_current
from regrow.records.store import Store, host, identity_of
from regrow.rules import loader
from regrow.scan import evidence
from regrow.system import locks
from regrow_marks import markers
from regrow_marks.directory import (
    Directory,
    holds_file,
    is_below,
    join,
    open_directory,
    split,
    split_for_creation,
)
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from regrow.config import Configuration
    from regrow.recipes.recipe import Recipe
    from regrow_marks.model import Outcome

TOX_INFO = ".tox-info.json"
TOX_OWN = frozenset((TOX_INFO, ".meta", "dist", "file.lock", "log", "tmp"))
"""What tox itself puts into its environments, some of it before the creator starts."""


@contextlib.contextmanager
def prepared(path: str, recipe: "Recipe") -> "Iterator[bool]":
    """Record and mark an environment before its creator's first file, which comes in the block.

    If the creator leaves nothing in it, all is put back as it was.

    Args:
        path: where the environment will be; it and its parents are made if missing.
        recipe: what makes it again.

    Returns:
        Whether it was marked. False where the directory is left alone: it holds other files, the
        user keeps it, or it is out of the plugins' scope.

    Raises:
        RegrowError: it can't be recorded, or not be made; nothing was marked.
        OSError: its parents can't be made.
    """
    path = os.path.realpath(path)
    if _is_out_of_scope(path):
        yield False
        return
    configuration = config.read()
    parent_path, name = split_for_creation(path)
    candidate = Candidate(path, Rule(RULE, name), parent_path, (), True, 0, 0)
    known = Circumstances(start=[parent_path], keep=configuration.keep)
    if RULE in configuration.disable or _is_kept(candidate, known, [kept_by_user]):
        yield False
        return

    def accepts(directory: Directory) -> bool:
        return not _holds_others_files(directory) and not _is_kept(
            _as_found(candidate, directory), known, [not_ours]
        )

    os.makedirs(parent_path, exist_ok=True)
    reason = marking.Reason(RULE, EVIDENCE, recipe)
    with claim.prepared(path, reason, configuration, accepts=accepts) as claimed:
        yield claimed is not None


def complete(path: str, recipe: "Recipe") -> None:
    """Record how a finished environment comes back, and put on what marks are missing.

    Where no recipe can be taken, the tool's own command is recorded: it has just made it.

    Raises:
        RegrowError: it can't be opened or recorded.
    """
    configuration = config.read()
    with Store() as store, open_directory(os.path.realpath(path)) as directory:
        if holds_file(directory, "pyvenv.cfg"):
            reason = marking.Reason(RULE, EVIDENCE, recipe)
            _log(path, environment.complete(directory, reason, store, configuration).outcomes)


def mark_made(path: str, recipe: "Recipe") -> None:
    """Record and mark an environment that stands, unless the rule or a guard objects.

    If it is marked and recorded already, only its markers and its record are read.

    Raises:
        RegrowError: it can't be opened or recorded.
    """
    path = os.path.realpath(path)
    if not os.path.isfile(join(path, "pyvenv.cfg")) or _is_out_of_scope(path):
        return
    configuration = config.read()
    with Store() as store, open_directory(path) as directory:
        if not locks.take(directory):
            return  # `regrow venv` is at work on it, and completes it
        if _is_recorded(directory, store, configuration):
            return
        candidate = _recognise(directory, configuration)
        if candidate is None:
            LOGGER.info("regrow: %s: not marked: it holds more than an environment", path)
            return
        known = Circumstances(start=[candidate.project], keep=configuration.keep)
        if _is_kept(candidate, known, [guard.ask for guard in GUARDS]):
            return
        reason = marking.Reason(RULE, EVIDENCE, {**known.recipe(candidate).recipe, **recipe})
        chosen = marking.choose_markers(directory, configuration)
        _log(path, marking.mark(directory, chosen, store, reason))


def _is_out_of_scope(path: str) -> bool:
    """Return whether a path is below the temporary directory, or holds the current one.

    Build tools make and delete hundreds of environments in the temporary directory. In the current
    one somebody is at work, and `virtualenv .` turns a whole project into an environment.
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


def _holds_others_files(directory: Directory) -> bool:
    names = frozenset(os.listdir(directory.fd))
    return bool(names) and not (TOX_INFO in names and names <= TOX_OWN)


def _is_recorded(directory: Directory, store: Store, configuration: "Configuration") -> bool:
    """Return whether a directory is marked, and its record describes it as it is now."""
    data = store.data(directory.path)
    return (
        data is not None
        and is_current(data, directory.path, host(), identity_of(directory.fd))
        and has_stamp(data, stamp_of("python", directory.path))
        and markers.all_hold(marking.choose_markers(directory, configuration), directory)
    )


def _recognise(directory: Directory, configuration: "Configuration") -> Candidate | None:
    """Return an environment as a candidate of its rule; None where the rule doesn't match.

    What tox itself puts into its environments is no objection.
    """
    listing = evidence.Listing.read(directory.fd)
    for rule in loader.active_rules(configuration, config.path()):
        if rule.name != RULE:
            continue
        if rule.only and TOX_INFO in listing.names:
            rule = rule._replace(only=(*rule.only, *TOX_OWN))
        if evidence.inside(rule, listing) is None:
            return None
        project = split(directory.path)[0]
        candidate = Candidate(directory.path, rule, project, EVIDENCE, True, 0, 0)
        return _as_found(candidate, directory)
    return None


def _log(path: str, outcomes: "dict[str, Outcome]") -> None:
    for outcome in outcomes.values():
        if outcome.error:
            LOGGER.info("regrow: %s: %s", path, outcome.error)
