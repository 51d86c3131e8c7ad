"""The earlier recipes of directories: to list them, and to choose one for a rebuild."""

import contextlib

from regrow.cli.output import print_json, show, time_of
from regrow.errors import ConfigurationError, RecordError
from regrow.rebuild.execute import DIFFERS, REBUILT
from regrow.rebuild.plan import asked_for
from regrow.recipes import compare
from regrow.recipes.recipe import RecipeError, RecipeResult, build_recipe, kind_of
from regrow.records import history
from regrow.records.format import REBUILD
from regrow.records.store import now
from regrow_marks.directory import is_below, split
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from regrow.model import Record, Rule
    from regrow.rebuild.execute import TaskResult
    from regrow.rebuild.plan import Task
    from regrow.recipes.recipe import Recipe
    from regrow.records.history import Entry
    from regrow.records.store import Store

_SHOWN = 8  # differences of a recipe; --json has all


class Chosen(NamedTuple):
    """An earlier recipe that is to be the record's again."""

    task: "Task"
    entry: "Entry"
    before: "Entry | None"
    """The record until now, with its files; None: there is none."""


def show_history(store: "Store | None", places: "Sequence[str]", *, as_json: bool) -> int:
    """Print the earlier recipes at some paths and below; returns the exit code."""
    if store is None:
        return 0
    count = 0
    with store:
        for path in history.paths(store):
            if places and not any(is_below(path, place) for place in places):
                continue
            found = history.entries(store, path)
            count += len(found)
            now = history.current(store, path)
            newer = now.record.recipe if now else None
            for number, entry in enumerate(found, start=1):
                recipe = entry.record.recipe
                differs = compare.changes(recipe, newer) if newer is not None else []
                if as_json:
                    print_json(_as_json(number, entry, differs))
                else:
                    _print(number, entry, differs)
                newer = recipe
    if not as_json:
        print(f"{count} earlier {'recipe' if count == 1 else 'recipes'}")
    return 0


def choose(
    store: "Store",
    paths: "Iterable[Sequence[str]]",
    number: int,
    active_rules: "Sequence[Rule]",
    trusted: "Collection[str]" = (),
) -> "Iterator[Chosen]":
    """Yield an earlier recipe of each directory, by its number in ``regrow list --history``.

    *paths* are the spellings of each directory's path. Raises ConfigurationError: it has no such
    recipe.
    """
    for spellings in paths:
        path = next((one for one in spellings if history.entries(store, one)), spellings[-1])
        found = history.entries(store, path)
        if not 1 <= number <= len(found):
            raise ConfigurationError(f"--recipe {number}: {_how_many(path, len(found))}")
        entry = found[number - 1]
        before = history.current(store, path)
        # What stands there carries the marks that its present record lists.
        record = before.record if before else entry.record._replace(set=(), found=(), previous={})
        record = record._replace(recipe=entry.record.recipe, awaited=0)
        why = f"recipe {number}, of {time_of(entry.record.time)}, which you asked for"
        task = asked_for(record, why, active_rules, trusted)
        try:
            _present_recipe(record)
        except RecordError as error:
            task = task._replace(problem=task.problem or str(error).partition(": ")[2])
        yield Chosen(task, entry, before)


@contextlib.contextmanager
def adopted(chosen: "Iterable[Chosen]", store: "Store") -> "Iterator[list[TaskResult]]":
    """Record the chosen recipes; where nothing came of a rebuild, the record is as it was.

    The block is given a list, and appends its results to it.

    Raises:
        RecordError: one can't be recorded, or what stands there can't be described.
    """
    results: list[TaskResult] = []
    begun: list[Chosen] = []
    try:
        for one in chosen:
            begun.append(one)
            _adopt(one, store)
        yield results
    finally:
        done = {one.task.path for one in results if one.outcome in (REBUILT, DIFFERS)}
        for one in begun:
            if one.task.path not in done:
                _put_back(one, store)


def _adopt(chosen: Chosen, store: "Store") -> None:
    """Record the chosen recipe; the one until now becomes an earlier one.

    So does that of what stands there, which may have changed since it was recorded.
    """
    record = chosen.task.records[0]
    with store.locked():
        if chosen.before is not None:
            history.add(store, chosen.before.record)
        present = _present_recipe(record)
        if present is not None:
            as_it_is = record._replace(recipe=present.recipe, awaited=None, time=now())
            history.add(store, as_it_is, present.files)
        store.write(record, chosen.entry.files).close()


def _put_back(chosen: Chosen, store: "Store") -> None:
    """Record again what was recorded before, where nothing came of the rebuild.

    What a rebuild left unfinished stays recorded as that. Raises RecordError.
    """
    path = chosen.task.path
    with store.locked():
        now = store.read(path)
        if now is not None and now.state == REBUILD:
            return
        if chosen.before is not None:
            store.write(chosen.before.record, chosen.before.files).close()
        else:
            store.remove(path)


def _present_recipe(record: "Record") -> "RecipeResult | None":
    """Return the recipe of what stands at a record's path; None: nothing there has one.

    Raises RecordError for an environment that can't be described: nothing would bring it back.
    """
    kind = kind_of(record.path)
    try:
        return build_recipe(kind, record.path, split(record.path)[0]) if kind else None
    except RecipeError as error:
        if kind != "python":
            return None  # what is in it is put back, unless it comes back equal
        raise RecordError(
            f"{record.path}: what stands there can't be described: {error}; to bring back another"
            " recipe, move it away first"
        ) from error


def _how_many(path: str, count: int) -> str:
    if not count:
        return f"no earlier recipe of {path} is kept"
    numbers = "1" if count == 1 else f"1 to {count}"
    return f"{path} has {numbers}; `regrow list --history` shows what is in each"


def _as_json(number: int, entry: "Entry", differs: list[str]) -> "dict[str, object]":
    record: Record = entry.record
    return {
        "path": record.path,
        "number": number,
        "recorded": time_of(record.time),
        "rule": record.rule,
        "recipe": record.recipe,
        "files": [name for name, _ in entry.files],
        "differs": differs,
    }


def _print(number: int, entry: "Entry", differs: list[str]) -> None:
    record = entry.record
    if number == 1:
        print(show(record.path))
    print(f"  {number}  {time_of(record.time)}  {show(_summary(record.recipe))}")
    for line in differs[:_SHOWN]:
        print(f"       {show(line)}")
    if len(differs) > _SHOWN:
        print(f"       and {len(differs) - _SHOWN} more differences; --json shows them")


def _summary(recipe: "Recipe") -> str:
    count = len(compare.packages(recipe))
    if recipe.get("kind") in ("python", "conda", "pixi"):
        version = f", Python {recipe['version']}" if recipe.get("version") else ""
        return f"{count} {'package' if count == 1 else 'packages'}{version}"
    words = compare.texts(recipe, "command") or compare.texts(recipe, "configure")
    return " ".join(words)
