"""``regrow sweep``: find what can be rebuilt, decide, record and mark."""

import argparse
import os
import sys
import time
from functools import cache

from regrow import config, pipeline
from regrow.cli.output import complain, confirm, parser, require_terminal, track
from regrow.cli.sweep_report import (
    print_changes,
    question,
    report,
    report_plan,
    report_problems,
    result_summary,
)
from regrow.errors import ConfigurationError
from regrow.model import MARK, TAKE_BACK, Scope
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.incremental import survey
from regrow_marks.directory import is_below
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.live import Live

    from regrow.decide.cache import Memory
    from regrow.model import Candidate, Plan, Result, Rule, Survey

_EVERY = 0.1  # seconds between two updates of the progress line


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
    if is_asking:
        require_terminal(made, options, "mark")
    scope = _scope(options)
    # A dry run and a no leave no trace: not even an empty directory of records.
    store = Store() if options.yes else Store.if_any()
    try:
        plan = _plan(options, scope, store)
        sizes = _measure(plan) if options.sizes else {}
        for error in store.unreadable if store is not None else ():
            complain(str(error))
        if options.dry_run:
            report_plan(plan, sizes, options)
            return _code(plan, scope, ())
        is_changing = any(d.decision in (MARK, TAKE_BACK) for d in plan.decisions)
        if is_asking:
            print_changes(plan, sizes)
            if is_changing and not confirm(f"{question(plan)}?"):
                print("nothing was changed")
                return _code(plan, scope, ())
        # Without a question, too: the records of what is marked already are brought up to date.
        store = store or Store()
        store.remove_leftovers()
        done = pipeline.apply(plan, store)
        results = list(track(done, "marking", len(plan.decisions)))
    finally:
        if store is not None:
            store.close()
    if not is_asking:
        report(results, plan, sizes, options)
    else:
        report_problems(results)
        if is_changing:
            print(result_summary(results, plan, sizes))
    return _code(plan, scope, results)


def _scope(options: argparse.Namespace) -> Scope:
    """Return what the command line and the configuration ask for."""
    configuration = config.read()
    rules: Sequence[Rule] = loader.active_rules(configuration, config.path())
    for name in set(options.rule) - {rule.name for rule in rules}:
        raise ConfigurationError(f"--rule {name}: there is no such rule; docs/rules.md lists them")
    if options.rule:
        rules = [rule for rule in rules if _is_wanted(rule, options.rule, rules)]
    return Scope(options.directory or configuration.start, configuration, rules, options.keep)


def _is_wanted(rule: "Rule", named: "Sequence[str]", rules: "Sequence[Rule]") -> bool:
    if rule.keep or rule.name in named:
        return True
    # Whether a container is marked depends on the environments in it.
    containers = {other.name for other in rules if other.container}
    return rule.recipe == "python" and not containers.isdisjoint(named)


def _plan(options: argparse.Namespace, scope: Scope, store: Store | None) -> "Plan":
    @cache
    def memory() -> "Memory":
        from regrow.decide.cache import Memory  # with all that decides, while another one compares

        return Memory(scope)

    def scan() -> "Survey":
        with _Progress() as tick:
            return survey(scope.start, scope.rules, scope.configuration.skip, tick, memory)

    def home() -> "Iterator[Candidate]":
        from regrow.scan.home import at_home

        # What the configuration names is looked for unless the command line names other places.
        for candidate in at_home(scope.rules):
            if not options.directory or any(is_below(candidate.path, one) for one in scope.places):
                yield candidate

    # What one rule keeps, another one may recognise: with --rule nothing is taken back.
    store = None if options.rule else store
    return pipeline.plan(scope, store, scan=scan, also=home(), memory=memory)


def _code(plan: "Plan", scope: Scope, results: "Iterable[Result]") -> int:
    """Fail for what was asked for; what can't be read further down is as usual as a locked door."""
    places = {*map(os.path.expanduser, scope.start), *scope.places}
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

        # No thread refreshes it: a worker may be forked meanwhile.
        console = Console(stderr=True, highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _show(self, directories: int) -> None:
        if self._live is not None and time.monotonic() >= self._due:
            self._live.update(f"{directories:,} directories read", refresh=True)
            self._due = time.monotonic() + _EVERY


def _measure(plan: "Plan") -> dict[str, int]:
    """Return how much room what was found takes, by path, in bytes."""
    from concurrent.futures import ThreadPoolExecutor

    from regrow.system.disk_usage import on_disk

    paths = [decision.candidate.path for decision in plan.decisions]
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        measured = track(pool.map(on_disk, paths), "measuring", len(paths))
        return dict(zip(paths, measured, strict=True))
