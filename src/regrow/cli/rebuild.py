"""``regrow rebuild``: brings back what was left out of the backup."""

import argparse
import sys
from collections import Counter

from regrow import config
from regrow.cli import earlier
from regrow.cli.list import true_paths
from regrow.cli.output import complain, confirm, parser, require_terminal
from regrow.cli.rebuild_plan import print_json_lines, print_plan
from regrow.cli.rebuild_progress import execute_all
from regrow.errors import ConfigurationError, RecordError
from regrow.rebuild import leftovers, mapping
from regrow.rebuild.execute import ALREADY, DIFFERS, REBUILT, STOPPED, TaskResult
from regrow.rebuild.leftovers import Leftover
from regrow.rebuild.plan import Task, make_plan
from regrow.records.store import Store
from regrow.rules import loader
from regrow_marks.directory import is_below
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regrow.config import Configuration
    from regrow.model import Record, Rule

_INTERRUPTED = 130
_MINUTES = 60.0  # per command; a large environment that is compiled takes a quarter of that


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "rebuild",
        "Bring back what was left out of the backup: from the records, everything that the disk"
        " lacks or holds broken. Shows the plan with its commands, and asks. Each directory is"
        " excluded from backups from its first file on, and compared with its record in the end."
        " What exists and is sound is never touched.",
        "  regrow rebuild --dry-run              what is missing, and what would be run\n"
        "  regrow rebuild ~/code/shop            there and below\n"
        "  regrow rebuild --yes --jobs 4\n"
        "  regrow rebuild --map /Users/ada=/home/ada   a home that stood elsewhere\n"
        "  regrow rebuild --builds --only cargo-target\n"
        "  regrow rebuild --recipe 1 .venv       as it was before its last change",
    )
    made.add_argument("directory", nargs="*", metavar="DIRECTORY", help="only there and below")
    todo = made.add_mutually_exclusive_group()
    todo.add_argument("-y", "--yes", action="store_true", help="do it without asking")
    todo.add_argument("-n", "--dry-run", action="store_true", help="only show the plan")
    made.add_argument(
        "--builds",
        action="store_true",
        help="run the commands of build outputs too (cargo, cmake, gradle, ...)",
    )
    made.add_argument(
        "--only", action="append", default=[], metavar="RULE", help="only what this rule found"
    )
    made.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="paths that began with OLD begin with NEW now (may be given again)",
    )
    made.add_argument(
        "--trust-interpreter",
        action="append",
        default=[],
        metavar="PATH",
        help="run this interpreter, though it may have come with a project (may be given again)",
    )
    made.add_argument(
        "--recipe",
        type=int,
        metavar="N",
        help="bring back an earlier recipe of each DIRECTORY, even where it is sound: 1 is the one"
        " before the recorded one, 3 the oldest that is kept; `regrow list --history` shows them",
    )
    made.add_argument(
        "-j", "--jobs", type=int, default=1, metavar="N", help="so many at a time (default: 1)"
    )
    made.add_argument(
        "--timeout",
        type=float,
        default=_MINUTES,
        metavar="MINUTES",
        help=f"end a tool that takes longer (default: {_MINUTES:.0f})",
    )
    made.add_argument(
        "-v", "--verbose", action="store_true", help="show every package that would be installed"
    )
    made.add_argument("--json", action="store_true", help="print a line of JSON for each task")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = _parse(words)
    configuration = config.read()
    active_rules = loader.active_rules(configuration, config.path())
    pairs = mapping.parse(options.map)
    store = Store.if_any()
    if store is None:
        message = "there are no records here; they are restored with your home directory"
        print(message, file=sys.stderr)
        return 0
    with store:
        plan = _make_plan(store, options, active_rules, pairs)
        for error in plan.errors:
            complain(str(error))
        if not options.json:
            print_plan(plan.to_do, plan.to_name, plan.left, is_verbose=options.verbose)
        if options.dry_run:
            if options.json:
                print_json_lines(plan.to_do, plan.to_name, (), plan.left)
            return int(bool(plan.errors))
        is_asking = plan.to_do and not options.yes
        if is_asking and not confirm(f"Rebuild {_count(plan.to_do)}?"):
            print("nothing was changed")
            return 0
        results = _execute(plan, store, configuration, options)
    if options.json:
        print_json_lines((), plan.to_name, results, plan.left)
    else:
        _print_summary(results)
    if any(one.outcome == STOPPED for one in results):
        return _INTERRUPTED
    is_left = any(one.outcome not in (REBUILT, DIFFERS, ALREADY) for one in results)
    return int(is_left or bool(plan.errors) or any(task.problem for task in plan.to_name))


def _parse(words: list[str]) -> argparse.Namespace:
    """Parse the arguments; exits where they don't go together."""
    made = arguments()
    options = made.parse_args(words)
    if not options.yes and not options.dry_run:
        require_terminal(made, options, "rebuild")
    if options.jobs < 1 or not options.timeout > 0:  # nan is neither
        made.error("--jobs and --timeout take positive numbers")
    if options.recipe is not None and (options.map or options.only or not options.directory):
        made.error("--recipe goes with the paths of directories, and without --map and --only")
    return options


class _Plan(NamedTuple):
    """What is to be done, and what of it goes before."""

    to_do: list[Task]
    to_name: list[Task]
    """What is only named: builds that are not asked for, and what can't be done."""
    left: list[Leftover]
    """What earlier rebuilds left."""
    moved: dict[str, str]
    """By new path: the old path of a record to which ``--map`` gives another one."""
    chosen: list[earlier.Chosen]
    """The earlier recipes that ``--recipe`` asks for."""
    errors: list[RecordError]
    """The records that can't be read."""


def _make_plan(
    store: Store,
    options: argparse.Namespace,
    active_rules: "Sequence[Rule]",
    pairs: "mapping.Mapping",
) -> _Plan:
    found, moved, errors = _recorded(store, options, pairs)
    trusted = options.trust_interpreter
    chosen: list[earlier.Chosen] = []
    if options.recipe is None:
        tasks = make_plan(found, active_rules, trusted)
    else:
        paths = [true_paths([path]) for path in options.directory]
        chosen += earlier.choose(store, paths, options.recipe, active_rules, trusted)
        tasks = [one.task for one in chosen]
    to_do = [
        task
        for task in tasks
        if not task.problem and (options.builds or task.is_asked_for or not task.is_build)
    ]
    to_name = [task for task in tasks if task not in to_do]
    return _Plan(to_do, to_name, _left(found, options, to_do), moved, chosen, errors)


def _execute(
    plan: _Plan, store: Store, configuration: "Configuration", options: argparse.Namespace
) -> list[TaskResult]:
    """Execute a plan: the records first, where they move or become earlier ones."""
    to_do, failed = _adopt(plan.to_do, plan.moved, store)
    chosen = [one for one in plan.chosen if one.task in to_do]
    with earlier.adopted(chosen, store) as results:
        results += execute_all(
            to_do,
            configuration,
            jobs=options.jobs,
            seconds=options.timeout * 60,
            is_silent=options.json,
        )
    return [*failed, *results]


def _recorded(
    store: Store, options: argparse.Namespace, pairs: "mapping.Mapping"
) -> "tuple[list[Record], dict[str, str], list[RecordError]]":
    """Return the records that are asked for, mapped; the old paths of those that moved; errors."""
    read = list(store.all())
    errors = [record for record in read if isinstance(record, RecordError)]
    records = [record for record in read if not isinstance(record, RecordError)]
    for name in set(options.only) - {record.rule for record in records}:
        raise ConfigurationError(f"--only {name}: no record names this rule; `regrow list` shows")
    places = true_paths(options.directory)
    taken = {record.path for record in records}
    found: list[Record] = []
    moved: dict[str, str] = {}
    for record in records:
        mapped = mapping.apply(record, pairs)
        is_moved = mapped.path != record.path
        if is_moved and mapped.path in taken:
            continue  # what was recorded there itself is newer
        if options.only and record.rule not in options.only:
            continue
        if places and not any(is_below(mapped.path, place) for place in places):
            continue
        if is_moved:
            moved[mapped.path] = record.path
            taken.add(mapped.path)
        found.append(mapped)
    return found, moved, errors


def _left(
    recorded: "Sequence[Record]", options: argparse.Namespace, to_do: "Sequence[Task]"
) -> list[Leftover]:
    """Return what earlier rebuilds left and this one does not put back."""
    paths = {record.path for record in recorded}
    to_settle = {record.path for task in to_do for record in task.records}
    return [
        one
        for one in leftovers.find(paths, true_paths(options.directory))
        if one.kind != leftovers.UNBORN and not (one.path in paths and one.original in to_settle)
    ]


def _adopt(
    to_do: "Sequence[Task]", moved: dict[str, str], store: Store
) -> tuple[list[Task], list[TaskResult]]:
    """Record what has moved; return the tasks to execute, and the results of what failed here."""
    adopted: list[Task] = []
    failed: list[TaskResult] = []
    for task in to_do:
        try:
            for record in task.records:
                if record.path in moved:
                    mapping.adopt(record, moved[record.path], store)
            adopted.append(task)
        except RecordError as error:
            complain(str(error))
            failed.append(TaskResult(task, FAILED, (str(error),)))
    return adopted, failed


def _count(to_do: "Sequence[Task]") -> str:
    count = sum(len(task.records) for task in to_do)
    return f"{count} {'directory' if count == 1 else 'directories'}"


def _print_summary(ended: "Sequence[TaskResult]") -> None:
    if not ended:
        return
    counts = Counter(one.outcome for one in ended for _ in one.task.records)
    print(", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items())))
