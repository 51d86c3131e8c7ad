"""``regrow rebuild``: brings back what was left out of the backup."""

import argparse
import contextlib
import signal
import sys

from regrow import config
from regrow.cli import earlier
from regrow.cli.list import true_paths
from regrow.cli.output import complain, confirm, parser, print_json, show
from regrow.cli.rebuild_plan import print_plan
from regrow.errors import ConfigurationError, RecordError
from regrow.rebuild import leftovers, mapping, plan
from regrow.rebuild.context import ALREADY, DIFFERS, REBUILT, STOPPED, Context, TaskResult
from regrow.rebuild.execute import execute
from regrow.rebuild.leftovers import Leftover
from regrow.rebuild.plan import Task
from regrow.rebuild.processes import Processes, logs_directory
from regrow.records import history
from regrow.records.store import ATTACHMENTS, Store
from regrow.rules import loader
from regrow_marks.directory import is_below
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from rich.text import Text

    from regrow.config import Configuration
    from regrow.model import Record

_INTERRUPTED = 130
_MINUTES = 60.0  # of one tool; a large environment that is compiled takes a quarter of that
_EVERY = 0.1  # seconds between two looks at what has ended


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
    made = arguments()
    options = made.parse_args(words)
    is_asking = not options.yes and not options.dry_run
    if is_asking and (options.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        made.error("nobody can be asked here: give --yes to rebuild, or --dry-run to see the plan")
    if options.jobs < 1 or not options.timeout > 0:  # nan is neither
        made.error("--jobs and --timeout take positive numbers")
    if options.recipe is not None and (options.map or options.only or not options.directory):
        made.error("--recipe goes with the paths of directories, and without --map and --only")
    configuration = config.read()
    active_rules = loader.active_rules(configuration, config.path())
    pairs = mapping.parse(options.map)
    store = Store.if_any()
    if store is None:
        message = "there are no records here; they are restored with your home directory"
        print(message, file=sys.stderr)
        return 0
    with store:
        chosen: list[earlier.Chosen] = []
        found, moved, errors = _recorded(store, options, pairs)
        trusted = options.trust_interpreter
        planned = plan.find(found, active_rules, trusted)
        if options.recipe is not None:
            paths = [true_paths([path]) for path in options.directory]
            chosen = list(earlier.choose(store, paths, options.recipe, active_rules, trusted))
            planned = [one.task for one in chosen]
        for error in errors:
            complain(str(error))
        to_do, to_name = _sort(planned, options)
        left = _left(found, options, to_do)
        if not options.json:
            print_plan(to_do, to_name, left, is_verbose=options.verbose)
        if options.dry_run:
            if options.json:
                _print_json(to_do, to_name, [], left)
            return int(bool(errors))
        if to_do and is_asking and not confirm(f"Rebuild {_count(to_do)}?"):
            print("nothing was changed")
            return 0
        to_do, failed = _adopt(to_do, moved, store)
        with _recorded_meanwhile([one for one in chosen if one.task in to_do], store) as results:
            results += _carry_out(to_do, configuration, options)
    ended = [*failed, *results]
    if options.json:
        _print_json([], to_name, ended, left)
    else:
        _print_summary(ended)
    if any(one.outcome == STOPPED for one in ended):
        return _INTERRUPTED
    is_left = any(one.outcome not in (REBUILT, DIFFERS, ALREADY) for one in ended)
    return int(is_left or bool(errors) or any(task.problem for task in to_name))


def _recorded(
    store: Store, options: argparse.Namespace, pairs: "mapping.Mapping"
) -> "tuple[list[Record], dict[str, Record], list[RecordError]]":
    """Read the records that are asked for: mapped, those that have moved by path, and errors."""
    places = true_paths(options.directory)
    found: list[Record] = []
    moved: dict[str, Record] = {}
    errors: list[RecordError] = []
    names: set[str] = set()
    readable: list[Record] = []
    for record in store.all():
        if isinstance(record, RecordError):
            errors.append(record)
        else:
            readable.append(record)
    paths = {record.path for record in readable}
    for record in readable:
        names.add(record.rule)
        mapped = mapping.apply(record, pairs)
        if mapped.path != record.path and mapped.path in paths:
            continue  # what was recorded there itself is newer
        if options.only and record.rule not in options.only:
            continue
        if places and not any(is_below(mapped.path, place) for place in places):
            continue
        if mapped.path != record.path:
            moved[mapped.path] = record
            paths.add(mapped.path)
        found.append(mapped)
    for name in set(options.only) - names:
        raise ConfigurationError(f"--only {name}: no record names this rule; `regrow list` shows")
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


def _sort(found: "Sequence[Task]", options: argparse.Namespace) -> tuple[list[Task], list[Task]]:
    """Part what is rebuilt from what is only named: builds, and what can't be done."""
    to_do = [
        task
        for task in found
        if not task.problem and (options.builds or task.is_asked_for or not task.is_build)
    ]
    return to_do, [task for task in found if task not in to_do]


@contextlib.contextmanager
def _recorded_meanwhile(
    chosen: "Sequence[earlier.Chosen]", store: Store
) -> "Iterator[list[TaskResult]]":
    """Record earlier recipes for a rebuild; where that fails, the record is as it was.

    The value is the list that the results go into.
    """
    results: list[TaskResult] = []
    begun: list[earlier.Chosen] = []
    try:
        for one in chosen:
            begun.append(one)
            earlier.adopt(one, store)
        yield results
    finally:
        done = {one.task.path for one in results if one.outcome in (REBUILT, DIFFERS)}
        for one in begun:
            if one.task.path not in done:
                earlier.put_back(one, store)


def _adopt(
    to_do: "Sequence[Task]", moved: "dict[str, Record]", store: Store
) -> tuple[list[Task], list[TaskResult]]:
    """Record under its new path what has moved; part the tasks from those that can't be."""
    adopted: list[Task] = []
    failed: list[TaskResult] = []
    for task in to_do:
        try:
            for record in task.records:
                if record.path in moved:
                    _move(moved[record.path].path, record, store)
            adopted.append(task)
        except RecordError as error:
            complain(str(error))
            failed.append(TaskResult(task, FAILED, (str(error),)))
    return adopted, failed


def _move(before: str, record: "Record", store: Store) -> None:
    found = ((name, store.attachment(before, name)) for name in ATTACHMENTS)
    files = [(name, content) for name, content in found if content is not None]
    with store.locked():
        store.write(record, files).close()
        history.move(store, {before: record.path})
        store.remove(before)


def _carry_out(
    to_do: "Sequence[Task]", configuration: "Configuration", options: argparse.Namespace
) -> list[TaskResult]:
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    processes = Processes(options.timeout * 60)
    context = Context(configuration, processes, logs_directory())
    ended: list[TaskResult] = []
    progress = _Progress(len(to_do))
    with _signals_interrupt(), progress, ThreadPoolExecutor(options.jobs) as pool:
        waiting: list[Future[TaskResult]] = []

        def gather(timeout: float | None = None) -> None:
            done, _ = wait(waiting, timeout=timeout, return_when=FIRST_COMPLETED)
            for future in [future for future in waiting if future in done]:
                ended.append(future.result())
                waiting.remove(future)
                if not options.json:
                    progress.tell(ended[-1])

        try:
            for task in to_do:
                waiting.append(pool.submit(_one, task, context, progress))
            while waiting:
                gather(_EVERY)
        except BaseException as error:
            processes.stop()
            if not isinstance(error, KeyboardInterrupt):
                raise
            while waiting:
                gather()
    return ended


@contextlib.contextmanager
def _signals_interrupt() -> "Iterator[None]":
    """Let those signals that end a program interrupt the rebuild, which tidies up."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    caught = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _one(task: Task, context: Context, progress: "_Progress") -> TaskResult:
    progress.begin(task)
    try:
        return execute(task, context)
    finally:
        progress.end(task)


class _Progress:
    """Shows on a terminal what is being rebuilt; says what has ended, everywhere."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun: dict[str, Task] = {}
        self._ended = 0
        self._live: object = None

    def __enter__(self) -> "_Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False, soft_wrap=True)
            live = Live(
                get_renderable=self._lines,
                console=console,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            live.start()
            self._live = live
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()  # type: ignore[attr-defined]

    def _lines(self) -> "Text":
        from rich.text import Text

        begun = "\n".join(f"rebuilding {show(path)}" for path in sorted(self._begun))
        return Text(f"{self._ended} of {self._count}\n{begun}".rstrip())

    def begin(self, task: Task) -> None:
        """Note that a task begins."""
        self._begun[task.path] = task

    def end(self, task: Task) -> None:
        """Note that a task has ended."""
        self._begun.pop(task.path, None)
        self._ended += 1

    def tell(self, ended: TaskResult) -> None:
        """Say what became of a task."""
        for record in ended.task.records:
            print(f"{ended.outcome}  {show(record.path)}", flush=True)
        for line in ended.detail:
            print(f"    {show(line)}", flush=True)
        if ended.detail and ended.log:
            print(f"    the log: {show(ended.log)}", flush=True)


def _count(to_do: "Sequence[Task]") -> str:
    count = sum(len(task.records) for task in to_do)
    return f"{count} {'directory' if count == 1 else 'directories'}"


def _print_summary(ended: "Sequence[TaskResult]") -> None:
    if not ended:
        return
    counts: dict[str, int] = {}
    for one in ended:
        counts[one.outcome] = counts.get(one.outcome, 0) + len(one.task.records)
    print(", ".join(f"{outcome} {count}" for outcome, count in sorted(counts.items())))


def _print_json(
    to_do: "Sequence[Task]",
    to_name: "Sequence[Task]",
    ended: "Sequence[TaskResult]",
    left: "Sequence[Leftover]",
) -> None:
    for task in (*to_do, *to_name):
        outcome = "planned" if task in to_do else "not possible" if task.problem else "build"
        for record in task.records:
            print_json(_as_json(task, record, outcome))
    for one in ended:
        for record in one.task.records:
            line = _as_json(one.task, record, one.outcome)
            print_json({**line, "detail": list(one.detail), "log": one.log or None})
    for leftover in left:
        print_json({**leftovers.as_line(leftover), "outcome": "leftover"})


def _as_json(task: Task, record: "Record", outcome: str) -> "dict[str, object]":
    return {
        "path": record.path,
        "outcome": outcome,
        "why": task.why,
        "rule": record.rule,
        "kind": task.kind,
        "directory": task.directory,
        "commands": [list(command) for command in task.commands],
        "notes": list(task.notes),
        "problem": task.problem or None,
    }
