"""``regrow sweep``: find what can be rebuilt, decide, record and mark."""

import argparse
import os
import sys
import time
from functools import cache

from regrow import config
from regrow.cli.output import (
    complain,
    confirm,
    human_size,
    outcomes_as_json,
    parser,
    print_json,
    print_table,
    show,
    track,
)
from regrow.errors import ConfigurationError
from regrow.model import (
    KEEP,
    KEPT,
    MARK,
    MARKED_ALREADY,
    TAKE_BACK,
    VANISHED,
    Decision,
    Result,
    Rule,
    Unreadable,
)
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.incremental import survey
from regrow_marks.directory import Opener, is_below
from regrow_marks.model import ALREADY_MARKED, FAILED, MARKED, NOT_MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from rich.live import Live

    from regrow.config import Configuration
    from regrow.decide.remembered import Memory

_EVERY = 0.1  # seconds between two updates of the progress line
_PLANNED = {
    MARK: "would mark",
    MARKED_ALREADY: "marked already",
    KEEP: "keep",
    TAKE_BACK: "would take back",
}
_DONE = {
    MARKED: "marked",
    ALREADY_MARKED: "marked already",
    KEPT: "keep",
    UNMARKED: "taken back",
    NOT_MARKED: "taken back",
    VANISHED: "vanished",
    FAILED: "failed",
}


class Plan(NamedTuple):
    """What a sweep found, and what is to be done with it."""

    decisions: list[Decision]
    unreadable: list[Unreadable]
    read: int
    """How many directories were read."""
    unchanged: int
    """How many were as the last sweep had left them."""
    sizes: dict[str, int]
    """By path, in bytes; empty where nobody asked."""
    moved: "Sequence[str]" = ()
    """The directories whose records are to follow them."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "sweep",
        "Find directories that can be rebuilt, record what brings each one back, and mark them, so"
        " that backups leave them out. What can't be described stays in the backup, and what"
        " regrow marked by itself and no longer can describe is put back into it. On a terminal"
        " the plan is shown first.",
        "  regrow sweep                              the start directories (default: ~)\n"
        "  regrow sweep --dry-run --sizes ~/code     only show what would be marked\n"
        "  regrow sweep --yes                        without asking, as from a timer\n"
        "  regrow sweep --yes --keep '**/thesis/build'\n"
        "  regrow sweep --dry-run --rule node-modules --json ~ | jq .path\n"
        "  regrow sweep --dry-run -0 | xargs -0 du -sh",
    )
    made.add_argument("directory", nargs="*", metavar="DIRECTORY", help="where the scan begins")
    todo = made.add_mutually_exclusive_group()
    todo.add_argument("-y", "--yes", action="store_true", help="do it without asking")
    todo.add_argument("-n", "--dry-run", action="store_true", help="only show the plan")
    made.add_argument("--sizes", action="store_true", help="measure what is found")
    made.add_argument(
        "--keep", action="append", default=[], metavar="GLOB", help="keep what this names, too"
    )
    made.add_argument(
        "--rule", action="append", default=[], metavar="NAME", help="look for this rule alone"
    )
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print a line of JSON for each finding")
    shape.add_argument(
        "-0",
        "--print0",
        action="store_true",
        help="print the paths that were marked (with --dry-run: would be), each ended by a null"
        " character",
    )
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    is_asking = not options.yes and not options.dry_run
    if is_asking and (options.json or options.print0 or not _is_terminal()):
        made.error("nobody can be asked here: give --yes to mark, or --dry-run to see the plan")
    configuration = config.read()
    start = options.directory or list(configuration.start)
    # A dry run and a no leave no trace: not even an empty directory of records.
    store = Store() if options.yes else Store.if_any()
    try:
        plan = _plan(options, start, configuration, store)
        for error in store.unreadable if store is not None else ():
            complain(str(error))
        todo = [d for d in plan.decisions if d.decision in (MARK, TAKE_BACK)]
        if options.dry_run:
            _show_plan(options, plan)
            return _code(plan, start, ())
        if is_asking:
            _print_plan(plan._replace(decisions=_without_marked(plan.decisions)))
            _complain_of(plan.unreadable)
            print(_plan_summary(plan))
            if todo and not confirm(f"{_question(todo)}?"):
                print("nothing was changed")
                return _code(plan, start, ())
        # Without a question, too: the records of what is marked already are brought up to date.
        store = store or Store()
        store.remove_leftovers()
        results = _carry_out(plan, store)
    finally:
        if store is not None:
            store.close()
    if options.json:
        _print_json(results, plan)
    elif options.print0:
        _print0(result.decision for result in results if result.outcome == MARKED)
        _report_problems(results)
        _complain_of(plan.unreadable)
    elif is_asking:
        _report_problems(results)
        if todo:
            print(_result_summary(results, plan))
    else:
        _print_results(results, plan)
    return _code(plan, start, results)


def _plan(
    options: argparse.Namespace,
    start: "Sequence[str]",
    configuration: "Configuration",
    store: Store | None,
) -> Plan:
    """Scan the start directories and decide about what is found."""
    active_rules = loader.active_rules(configuration, config.path())
    for name in set(options.rule) - {rule.name for rule in active_rules}:
        raise ConfigurationError(f"--rule {name}: there is no such rule; docs/rules.md lists them")
    wanted = [rule for rule in active_rules if _is_wanted(rule, options.rule, active_rules)]
    places = [os.path.realpath(os.path.expanduser(path)) for path in start]

    @cache
    def memory() -> "Memory":
        from regrow.decide import decisions  # noqa: F401 - to load it takes as long as a thousand lstat
        from regrow.decide.remembered import Memory

        return Memory(configuration, places, options.keep)

    with _Progress() as tell:
        surveyed = survey(start, wanted, configuration.skip, tell, memory)

    from regrow.decide import decisions
    from regrow.scan.walk import at_home

    found = [one for one in surveyed.findings if not isinstance(one, Unreadable)]
    unreadable = [one for one in surveyed.findings if isinstance(one, Unreadable)]
    for candidate in at_home(wanted):
        # What the configuration names is looked for unless the command line names other places.
        if not options.directory or any(is_below(candidate.path, place) for place in places):
            found.append(candidate)
    if options.rule:
        store = None  # what this rule keeps, another one may recognise: nothing is taken back
    decided = decisions.decide(found, configuration, start, options.keep, store, memory())
    moved: Sequence[str] = ()
    if store is not None:
        decided += decisions.no_longer_recognised(found, configuration, start, active_rules, store)
        paths = decisions.to_look_at(surveyed.signed, decided, store)
        if paths:
            from regrow.decide.withdraw import strays

            candidates = {candidate.path for candidate in found}
            moved, more = strays(paths, candidates, configuration, places, active_rules, store)
            decided += more
    sizes = _measure(decided) if options.sizes else {}
    return Plan(decided, unreadable, surveyed.read, surveyed.unchanged, sizes, moved)


def _is_wanted(rule: Rule, named: "Sequence[str]", active_rules: "Sequence[Rule]") -> bool:
    if not named or rule.keep or rule.name in named:
        return True
    # Whether a container is marked depends on the environments in it.
    containers = {other.name for other in active_rules if other.container}
    return rule.recipe == "python" and not containers.isdisjoint(named)


def _carry_out(plan: Plan, store: Store) -> list[Result]:
    from regrow import pipeline
    from regrow.decide import decisions

    if plan.moved:
        from regrow.records import moves

        moves.follow(plan.moved, store)
    with Opener() as opener:
        return [
            pipeline.carry_out(decision, store, opener)
            for decision in track(decisions.spare_the_emptied(plan.decisions, store), "marking")
        ]


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _code(plan: Plan, start: "Sequence[str]", results: "Iterable[Result]") -> int:
    """Fail for what was asked for; what can't be read further down is as usual as a locked door."""
    places = {os.path.expanduser(path) for path in start}
    places |= {os.path.realpath(path) for path in places}
    is_lost = any(os.path.expanduser(finding.path) in places for finding in plan.unreadable)
    return int(is_lost or any(result.outcome == FAILED for result in results))


class _Progress:
    """Shows on a terminal how far a scan is. A context manager."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._due = 0.0  # as time.monotonic counts

    def __enter__(self) -> "Callable[[int], None]":
        if not sys.stderr.isatty():
            return lambda _: None
        from rich.console import Console
        from rich.live import Live

        # It is refreshed when it is told, by no thread: a second process may be forked meanwhile.
        console = Console(stderr=True, highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _tell(self, directories: int) -> None:
        if self._live is not None and time.monotonic() >= self._due:
            self._live.update(f"{directories:,} directories read", refresh=True)
            self._due = time.monotonic() + _EVERY


def _measure(decided: "Sequence[Decision]") -> dict[str, int]:
    """Measure what was found, several directories at a time."""
    from concurrent.futures import ThreadPoolExecutor

    from regrow.system.disk_usage import on_disk

    paths = [decision.candidate.path for decision in decided]
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        measured = track(pool.map(on_disk, paths), "measuring", len(paths))
        return dict(zip(paths, measured, strict=True))


def _show_plan(options: argparse.Namespace, plan: Plan) -> None:
    if options.json:
        _print_json([Result(decision, "") for decision in plan.decisions], plan)
    elif options.print0:
        _print0(decision for decision in plan.decisions if decision.decision == MARK)
        _complain_of(plan.unreadable)
    else:
        _print_plan(plan)
        _complain_of(plan.unreadable)
        print(_plan_summary(plan))


def _print_json(results: "Sequence[Result]", plan: Plan) -> None:
    for result in results:
        decision = result.decision
        candidate = decision.candidate
        line: dict[str, Any] = {
            "path": candidate.path,
            "rule": candidate.rule.name,
            "decision": decision.decision,
            "guard": decision.guard or None,
            "reason": decision.reason or None,
            "evidence": list(candidate.evidence),
            "recipe": decision.taken.recipe if decision.taken else None,
            "remarks": list(decision.taken.remarks) if decision.taken else [],
            "bytes": plan.sizes.get(candidate.path),
        }
        if result.outcome:
            line |= {
                "outcome": result.outcome,
                "error": result.error or None,
                **({"notes": list(result.notes)} if result.notes else {}),
                "markers": outcomes_as_json(result.outcomes),
            }
        print_json(line)
    for finding in plan.unreadable:
        print_json({"path": finding.path, "decision": "unreadable", "reason": finding.error})


def _print0(decided: "Iterable[Decision]") -> None:
    for decision in decided:
        sys.stdout.buffer.write(os.fsencode(decision.candidate.path) + b"\0")


def _without_marked(decided: "Iterable[Decision]") -> list[Decision]:
    return [decision for decision in decided if decision.decision != MARKED_ALREADY]


def _print_plan(plan: Plan) -> None:
    _print_rows(
        [
            (
                decision,
                _PLANNED[decision.decision],
                decision.reason or decision.candidate.rule.command,
            )
            for decision in plan.decisions
        ],
        plan.sizes,
    )


def _print_results(results: "Sequence[Result]", plan: Plan) -> None:
    """Print what changed, and what stays; what was marked before is only counted."""
    rows = [
        (
            result.decision,
            _DONE[result.outcome],
            result.error or result.decision.reason or result.decision.candidate.rule.command,
        )
        for result in results
        if result.outcome != ALREADY_MARKED
    ]
    _print_rows(rows, plan.sizes)
    _report_problems(results)
    _complain_of(plan.unreadable)
    print(_result_summary(results, plan))


def _print_rows(rows: "Sequence[tuple[Decision, str, str]]", sizes: dict[str, int]) -> None:
    """Print a row a directory, by project: the decision, what became of it, and why."""
    by_project: dict[str, list[tuple[str, ...]]] = {}
    for decision, word, why in rows:
        candidate = decision.candidate
        relative = candidate.path[len(candidate.project.rstrip("/")) + 1 :]
        size = human_size(sizes[candidate.path]) if sizes else ""
        row = (f"  {relative}", word, size, candidate.rule.name, why)
        by_project.setdefault(candidate.project, []).append(row)
    for project in sorted(by_project):
        print(show(project))
        print_table(by_project[project], ("", "bold", "", "dim", ""))
    if rows:
        print()


def _report_problems(results: "Iterable[Result]") -> None:
    for result in results:
        if result.outcome == FAILED:
            complain(result.problem)
        for note in result.notes:
            complain(f"{result.decision.candidate.path}: {note}")


def _complain_of(unreadable: "Sequence[Unreadable]") -> None:
    for finding in unreadable:
        complain(f"{finding.path}: not read: {finding.error}")


def _question(todo: "Sequence[Decision]") -> str:
    back = sum(decision.decision == TAKE_BACK for decision in todo)
    parts = [f"mark {len(todo) - back}"] if len(todo) > back else []
    parts += [f"take back {back}"] if back else []
    return " and ".join(parts).capitalize()


def _plan_summary(plan: Plan) -> str:
    counts = _counted(decision.decision for decision in plan.decisions)
    return _summary(
        [
            f"would mark {counts.get(MARK, 0)}{_size(plan, MARK)}",
            f"marked already {counts.get(MARKED_ALREADY, 0)}",
            *([f"would take back {counts[TAKE_BACK]}"] if TAKE_BACK in counts else []),
        ],
        plan,
        counts.get(KEEP, 0),
    )


def _result_summary(results: "Sequence[Result]", plan: Plan) -> str:
    counts = _counted(result.outcome for result in results)
    back = counts.get(UNMARKED, 0) + counts.get(NOT_MARKED, 0)
    return _summary(
        [
            f"marked {counts.get(MARKED, 0)}{_size(plan, MARK)}",
            f"marked already {counts.get(ALREADY_MARKED, 0)}",
            *([f"taken back {back}"] if back else []),
            *([f"vanished {counts[VANISHED]}"] if VANISHED in counts else []),
            *([f"failed {counts[FAILED]}"] if FAILED in counts else []),
        ],
        plan,
        counts.get(KEPT, 0),
    )


def _summary(parts: list[str], plan: Plan, kept: int) -> str:
    guards = _counted(d.guard for d in plan.decisions if d.decision == KEEP)
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(guards.items()))
    parts.append(f"kept {kept}" + (f" ({reasons})" if reasons else ""))
    parts.append(f"not readable {len(plan.unreadable)}")
    read = f"{plan.read:,} directories read"
    if plan.unchanged:
        read += f", {plan.unchanged:,} unchanged since the last sweep"
    return f"{', '.join(parts)}; {read}"


def _size(plan: Plan, decision: str) -> str:
    if not plan.sizes:
        return ""
    paths = (d.candidate.path for d in plan.decisions if d.decision == decision)
    return f" ({human_size(sum(plan.sizes[path] for path in paths))})"


def _counted(words: "Iterable[str]") -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts
