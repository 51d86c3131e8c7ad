"""``regrow sweep``: find what can be rebuilt, decide, and show the plan."""

import argparse
import os
import sys

from regrow import config, pipeline, rules
from regrow.cli.output import complain, human_size, parser, print_json, print_table, show
from regrow.directory import split
from regrow.errors import ConfigurationError, PathError
from regrow.model import KEEP, MARK, MARKED_ALREADY, Candidate, Decision, Rule, Unreadable
from regrow.plain import TYPE_CHECKING
from regrow.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE = 2
_EVERY = 0.1  # seconds between two updates of the progress line
_WORDS = {MARK: "would mark", MARKED_ALREADY: "marked already", KEEP: "keep"}


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "sweep",
        "Find directories that can be rebuilt and show what would be marked, what is marked"
        " already, and what stays in the backup and why. So far it only shows the plan: give"
        " --dry-run.",
        "  regrow sweep --dry-run                    the start directories (default: ~)\n"
        "  regrow sweep --dry-run --sizes ~/work\n"
        "  regrow sweep --dry-run --rule node-modules --json ~ | jq .path\n"
        "  regrow sweep --dry-run --keep '**/thesis/build' -0 | xargs -0 du -sh",
    )
    made.add_argument("directory", nargs="*", metavar="DIRECTORY", help="where the scan begins")
    made.add_argument("--dry-run", action="store_true", help="only show the plan")
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
        help="print the paths that would be marked, each ended by a null character",
    )
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    if not options.dry_run:
        made.error("it can only show the plan so far: give --dry-run")
    configuration = config.read()
    start = options.directory or list(configuration.start)
    in_force = rules.in_force(configuration, config.path())
    wanted = [
        rule for rule in in_force if not options.rule or rule.name in options.rule or rule.keep
    ]
    for name in set(options.rule) - {rule.name for rule in in_force}:
        raise ConfigurationError(f"--rule {name}: there is no such rule; docs/rules.md lists them")

    scan = Scan(start, wanted, configuration.skip)
    found, unreadable = _read(scan, _show_progress(scan))
    for path, rule in rules.home_caches(wanted).items():
        candidate = _home_cache(path, rule)
        if candidate is not None:
            found.append(candidate)
    decisions = pipeline.decide(found, configuration, start, options.keep)
    sizes = _measure(decisions) if options.sizes else {}
    if options.json:
        _print_json(decisions, unreadable, sizes)
    elif options.print0:
        for decision in decisions:
            if decision.decision == MARK:
                sys.stdout.buffer.write(os.fsencode(decision.candidate.path) + b"\0")
        _complain_of(unreadable)
    else:
        _print(decisions, unreadable, sizes, scan.directories)
    # What can't be read further down is told, and is as usual as a locked door in a house.
    places = {os.path.expanduser(path) for path in start}
    places |= {os.path.realpath(path) for path in places}
    return int(any(os.path.expanduser(finding.path) in places for finding in unreadable))


def _complain_of(unreadable: "Sequence[Unreadable]") -> None:
    for finding in unreadable:
        complain(f"{finding.path}: not read: {finding.error}")


def _home_cache(path: str, rule: Rule) -> Candidate | None:
    """Make a candidate of a home cache that the configuration names, if it is there."""
    from regrow.directory import open_directory

    try:
        with open_directory(path) as directory:
            status = directory.status
            return Candidate(
                directory.path, rule, split(path)[0], (), False, status.st_dev, status.st_ino
            )
    except PathError:
        return None


def _read(
    scan: Scan, progress: "Callable[[int], None]"
) -> tuple[list[Candidate], list[Unreadable]]:
    found: list[Candidate] = []
    unreadable: list[Unreadable] = []
    for finding in scan:
        if isinstance(finding, Candidate):
            found.append(finding)
            progress(len(found))
        else:
            unreadable.append(finding)
    progress(-1)
    return found, unreadable


def _show_progress(scan: Scan) -> "Callable[[int], None]":
    """Give a function that shows how far the scan is, on a terminal; -1 ends it."""
    if not sys.stderr.isatty():
        return lambda _: None
    from rich.console import Console
    from rich.live import Live

    count = 0

    def line() -> str:
        return f"{scan.directories:,} directories read, {count} found"

    live = Live(
        get_renderable=line,
        console=Console(stderr=True),
        refresh_per_second=1 / _EVERY,
        transient=True,
    )
    live.start()

    def update(found: int) -> None:
        nonlocal count
        if found < 0:
            live.stop()
        else:
            count = found

    return update


def _measure(decisions: "Sequence[Decision]") -> dict[str, int]:
    """Measure what was found, several directories at a time."""
    from concurrent.futures import ThreadPoolExecutor

    from regrow.sizes import on_disk

    paths = [decision.candidate.path for decision in decisions]
    with ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1)) as pool:
        measured = pool.map(on_disk, paths)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import track

            console = Console(stderr=True)
            measured = iter(
                list(track(measured, "measuring", len(paths), console=console, transient=True))
            )
        return dict(zip(paths, measured, strict=True))


def _print_json(
    decisions: "Sequence[Decision]", unreadable: "Sequence[Unreadable]", sizes: dict[str, int]
) -> None:
    for decision in decisions:
        candidate = decision.candidate
        print_json(
            {
                "path": candidate.path,
                "rule": candidate.rule.name,
                "decision": decision.decision,
                "guard": decision.guard or None,
                "reason": decision.reason or None,
                "evidence": list(candidate.evidence),
                "recipe": decision.taken.recipe if decision.taken else None,
                "remarks": list(decision.taken.remarks) if decision.taken else [],
                "bytes": sizes.get(candidate.path),
            }
        )
    for finding in unreadable:
        print_json({"path": finding.path, "decision": "unreadable", "reason": finding.error})


def _print(
    decisions: "Sequence[Decision]",
    unreadable: "Sequence[Unreadable]",
    sizes: dict[str, int],
    directories: int,
) -> None:
    by_project: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_project.setdefault(decision.candidate.project, []).append(decision)
    rows: list[tuple[str, ...]] = []
    for project in sorted(by_project):
        rows.append((show(project), "", "", "", ""))
        for decision in by_project[project]:
            candidate = decision.candidate
            relative = candidate.path[len(project.rstrip("/")) + 1 :]
            size = human_size(sizes[candidate.path]) if sizes else ""
            why = decision.reason or candidate.rule.command
            rows.append(
                (f"  {relative}", _WORDS[decision.decision], size, candidate.rule.name, why)
            )
    if rows:
        print_sections(rows)
        print()
    _complain_of(unreadable)
    print(_summary(decisions, unreadable, sizes, directories))


def print_sections(rows: "Sequence[tuple[str, ...]]") -> None:
    """Print a table in which a row with one cell is the heading of those that follow."""
    section: list[tuple[str, ...]] = []
    for row in rows:
        if not any(row[1:]):
            if section:
                print_table(section, ("", "bold", "", "dim", ""))
            print(row[0])
            section = []
        else:
            section.append(row)
    if section:
        print_table(section, ("", "bold", "", "dim", ""))


def _summary(
    decisions: "Sequence[Decision]",
    unreadable: "Sequence[Unreadable]",
    sizes: dict[str, int],
    directories: int,
) -> str:
    counts: dict[str, int] = {}
    guards: dict[str, int] = {}
    for decision in decisions:
        counts[decision.decision] = counts.get(decision.decision, 0) + 1
        if decision.guard:
            guards[decision.guard] = guards.get(decision.guard, 0) + 1
    size = sum(sizes.get(d.candidate.path, 0) for d in decisions if d.decision == MARK)
    parts = [
        f"would mark {counts.get(MARK, 0)}" + (f" ({human_size(size)})" if sizes else ""),
        f"marked already {counts.get(MARKED_ALREADY, 0)}",
        f"kept {counts.get(KEEP, 0)}",
        f"not readable {len(unreadable)}",
    ]
    if guards:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(guards.items()))
        parts[2] += f" ({reasons})"
    return f"{', '.join(parts)}; {directories:,} directories read"
