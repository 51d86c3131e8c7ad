"""The directories that an exclude file has to name."""

import os

from regrow import config, pipeline
from regrow.errors import RecordError
from regrow.model import MARK, MARKED_ALREADY, TAKE_BACK, Scope
from regrow.records import status
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.home import at_home
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from regrow.config import Configuration


class Gathered(NamedTuple):
    """What was found."""

    directories: set[str]
    """True absolute paths."""
    problems: tuple[str, ...]
    """What could not be read and so is not listed, as sentences for people."""


def gather(configuration: "Configuration", *, marked_only: bool) -> Gathered:
    """Return what is marked and, unless *marked_only*, what a sweep would mark; change nothing."""
    store = Store.if_any()
    try:
        directories, problems = _marked(store) if store else (set(), [])
        if not marked_only:
            problems += _sweep(configuration, store, directories)
        return Gathered(directories, tuple(problems))
    finally:
        if store:
            store.close()


def _marked(store: Store) -> tuple[set[str], list[str]]:
    directories = set()
    problems = []
    for entry in status.entries(store):
        if isinstance(entry, RecordError):
            problems.append(str(entry))
        elif entry.state == status.THERE:
            directories.add(entry.record.path)
    return directories, problems


def _sweep(configuration: "Configuration", store: Store | None, directories: set[str]) -> list[str]:
    """Change a set of directories as a sweep would change what is marked; return problems."""
    rules = loader.active_rules(configuration, config.path())
    scope = Scope(configuration.start, configuration, rules)
    plan = pipeline.plan(scope, store, also=at_home(rules))
    for decision in plan.decisions:
        if decision.decision in (MARK, MARKED_ALREADY):
            directories.add(decision.candidate.path)
        elif decision.decision == TAKE_BACK:
            directories.discard(decision.candidate.path)
    start = set(map(os.path.expanduser, scope.start))
    return [
        f"{finding.path}: not read: {finding.error}"
        for finding in plan.unreadable
        if os.path.expanduser(finding.path) in start
    ]
