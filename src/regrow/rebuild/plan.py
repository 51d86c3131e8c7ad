"""What is to be rebuilt: the records whose directories are missing or broken, as tasks."""

import os

from regrow.create import aside
from regrow.rebuild import condition, neighbours, notes, validate
from regrow.rebuild.condition import BROKEN, MISSING, REMAINS, UNFINISHED
from regrow.rebuild.instructions import BUILDS, CONTENTS, instructions
from regrow.records import moves, status
from regrow.system import aside_names
from regrow_marks.directory import is_below, join, split
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from regrow.model import Record, Rule
    from regrow.rebuild.command import Command


class Task(NamedTuple):
    """What brings one or several directories back in one go."""

    records: "tuple[Record, ...]"
    """Those that come back together: a workspace has one ``node_modules`` per member."""
    kind: str
    why: str
    """What is wrong, as ``condition.what_is_wrong`` says; or why the user asks for it."""
    directory: str
    """The project."""
    commands: "tuple[Command, ...]" = ()
    """What is run, as the plan shows it; none: only marks and record are to be completed."""
    problem: str = ""
    """Why it can't be done, and what to do about that; empty: it can."""
    is_asked_for: bool = False
    """Whether the user asked for this very recipe: it is done even where all is sound."""
    creator: str = ""
    """What makes an environment; see ``Instructions``."""
    notes: tuple[str, ...] = ()
    """What people should read before they say yes."""

    @property
    def path(self) -> str:
        """The first of the directories."""
        return self.records[0].path

    @property
    def is_build(self) -> bool:
        """Whether it is executed only with ``--builds``."""
        return self.kind in BUILDS


def make_plan(
    recorded: "Iterable[Record]", active_rules: "Sequence[Rule]", trusted: "Collection[str]" = ()
) -> list[Task]:
    """Return by path the tasks of the records whose directories are missing or broken.

    Those that can't be done say why. *trusted* are the interpreters that the user trusts, wherever
    they stand.
    """
    rules = {rule.name: rule for rule in active_rules}
    by_path = sorted(recorded, key=lambda record: record.path)
    replaced = _replaced(by_path)
    tasks: dict[tuple[object, ...], Task] = {}
    for record in by_path:
        if record.recipe.get("kind") == "none" or aside_names.is_aside(split(record.path)[1]):
            continue
        task = _task_if_needed(record, replaced, rules, trusted)
        if task is None:
            continue
        # What one command brings back is one task.
        is_shared = task.kind == "node" and task.commands
        key = (task.directory, task.commands) if is_shared else (record.path,)
        if key in tasks:
            others = tasks[key]
            problem = others.problem or task.problem
            task = others._replace(records=(*others.records, record), problem=problem)
        tasks[key] = task
    # A directory in which a tool keeps environments comes back with the first of them.
    return [
        _with_neighbours(task)
        for task in tasks.values()
        if task.kind != CONTENTS
        or any(is_below(other.path, task.path) for other in tasks.values() if other is not task)
    ]


def asked_for(
    record: "Record", why: str, active_rules: "Sequence[Rule]", trusted: "Collection[str]" = ()
) -> Task:
    """Return the task that brings a record's recipe back because the user asks for it.

    *why* is what the plan says of it; for the others see ``make_plan``.
    """
    absence = "" if os.path.lexists(record.path) else moves.absence(record)
    rules = {rule.name: rule for rule in active_rules}
    task = _away(record, absence) if absence else _task(record, why, rules, trusted)
    return _with_neighbours(task)._replace(is_asked_for=True)


def unfit(record: "Record", why: str) -> str:
    """Return why a record must not be acted on, as things stand now; empty: it may be."""
    is_same = why.startswith((UNFINISHED, BROKEN))
    try:
        return validate.not_described(record, is_same=is_same) or validate.foreign_source(record)
    except OSError as error:
        return f"it can't be looked at: {in_words(error)}"


def _replaced(recorded: "Iterable[Record]") -> set[str]:
    """Return the paths from which something was moved aside that is still there.

    Their names are as ``aside.ending`` has them.
    """
    return {
        join(parent, aside_names.original_name(name))
        for parent, name in (split(record.path) for record in recorded)
        if aside_names.is_aside(name) and os.path.isdir(join(parent, name))
    }


def _task_if_needed(
    record: "Record", replaced: set[str], rules: "Mapping[str, Rule]", trusted: "Collection[str]"
) -> Task | None:
    parent, name = split(record.path)
    is_replaced = join(parent, aside.ending(name)) in replaced
    try:
        why = condition.what_is_wrong(record) or (REMAINS if is_replaced else "")
    except OSError as error:
        return _impossible(record, "", f"it can't be looked at: {in_words(error)}")
    if not why:
        return None
    absence = moves.absence(record) if why == MISSING else ""
    if absence:
        return _away(record, absence)
    return _completion(record, why) or _task(record, why, rules, trusted)


def _impossible(record: "Record", why: str, problem: str) -> Task:
    kind = str(record.recipe.get("kind", ""))
    return Task((record,), kind, why, split(record.path)[0], problem=problem)


def _away(record: "Record", absence: str) -> Task:
    problem = f"it is away: {absence}; --map OLD=NEW tells where its project is now"
    return _impossible(record, status.AWAY, problem)


def _completion(record: "Record", why: str) -> Task | None:
    """Return the task for a directory of which only the record is to be completed, or None."""
    try:
        validate.check(record)
    except (TypeError, ValueError):
        return None  # _task says what is wrong with it
    if not condition.is_complete(record, why):
        return None
    problem = (
        condition.not_as_recorded(record.path)
        or _not_ours(record.path, split(record.path)[0])
        or unfit(record, why)
    )
    why = why if why == REMAINS else f"{why}, and whole: its record is completed"
    return _impossible(record, why, problem)


def _task(
    record: "Record", why: str, rules: "Mapping[str, Rule]", trusted: "Collection[str]"
) -> Task:
    """Return the task that brings a directory back by its record's recipe."""
    try:
        validate.check(record)
        if why.startswith(BROKEN):
            record = condition.as_it_is(record)
        how = instructions(record, rules, trusted)
    except KeyError as error:
        return _impossible(record, why, f"its record can't be used: it has no {error}")
    except (LookupError, TypeError, ValueError) as error:
        return _impossible(record, why, f"its record can't be used: {error}")
    kind = str(record.recipe.get("kind", ""))
    parent = split(record.path)[0]
    # A build directory may stand anywhere; of the others the project is beside.
    places = (how.directory,) if kind in ("cmake", "meson") else (parent, how.directory)
    problem = (
        condition.not_as_recorded(record.path)
        or _no_project(record, places, rules)
        or how.problem
        or _not_ours(record.path, parent, how.directory)
        or unfit(record, why)
    )
    task = Task((record,), kind, why, how.directory, how.commands, problem, creator=how.creator)
    if problem or not how.commands:
        return task
    found = (*notes.of(record, how.directory), *validate.others_sources(record))
    return task._replace(notes=(*how.notes, *found))


def _no_project(record: "Record", places: "Iterable[str]", rules: "Mapping[str, Rule]") -> str:
    """Return that the project of a directory is not there; empty: it is, or none is needed."""
    absent = next((place for place in places if not os.path.isdir(place)), "")
    if not absent or _is_in_container(record.path, rules):
        return ""
    return f"its project is not there: {absent}; --map OLD=NEW tells where it is now"


def _is_in_container(path: str, rules: "Mapping[str, Rule]") -> bool:
    from regrow.rules import loader

    return any(
        rule.container and is_below(path, place)
        for place, rule in loader.at_home(rules.values()).items()
    )


def _not_ours(*places: str) -> str:
    return next(filter(None, map(validate.not_ours, places)), "")


def _with_neighbours(task: Task) -> Task:
    """Refuse what would remove something from directories that are not to be rebuilt."""
    if task.kind != "node" or task.problem or not task.commands:
        return task
    lock = str(task.records[0].recipe["lock"])
    paths = [record.path for record in task.records]
    command = task.commands[0].text(task.directory)
    return task._replace(problem=neighbours.in_the_way(task.directory, lock, command, paths))
