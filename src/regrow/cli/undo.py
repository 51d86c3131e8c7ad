"""``regrow undo``: take back exactly what regrow did, as the records tell it."""

import argparse
import os
import sys
from collections import Counter

from regrow import config, unmarking
from regrow.cli.list import true_paths
from regrow.cli.output import (
    complain,
    confirm,
    outcomes_as_json,
    parser,
    print_json,
    print_null_ended,
    print_table,
    require_terminal,
    track,
)
from regrow.errors import RecordError
from regrow.model import summed_up
from regrow.rebuild import leftovers
from regrow.records import history, status
from regrow.records.status import INTERRUPTED, LEFTOVER, LOST, THERE, UNFINISHED, UNKNOWN
from regrow.records.store import Store
from regrow_marks.directory import Opener, ancestors
from regrow_marks.errors import RegrowError
from regrow_marks.model import FAILED, NOT_MARKED, UNMARKED, Outcome
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARKED = (THERE, INTERRUPTED, LOST, UNKNOWN)
"""The states in which something may be taken back; in others the record says whether."""

_AGAIN = (
    "a later sweep marks them again; a keep pattern in the configuration, or in a project's"
    " .regrow.toml, keeps them in the backup"
)


class Undone(NamedTuple):
    """What became of one record's marks."""

    path: str
    outcome: str
    outcomes: dict[str, Outcome]
    error: str = ""


def arguments() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = parser(
        "undo",
        "Take back what regrow did: the marks that its records say it set, and nothing that others"
        " set; a value that it replaced is put back. Without PATH everything is taken back, as"
        " before uninstalling, and asked about first. Records of what is gone stay. Copies of what"
        " regrow marked carry its marks, too: those below the start directories, or below PATH, are"
        " taken back with the rest.",
        "  regrow undo --dry-run         what would be taken back\n"
        "  regrow undo                   all of it\n"
        "  regrow undo ~/code/shop       what is there and below\n"
        "  regrow undo --yes --json | jq .outcome",
    )
    made.add_argument("path", nargs="*", metavar="PATH", help="only there and below")
    todo = made.add_mutually_exclusive_group()
    todo.add_argument("-y", "--yes", action="store_true", help="do it without asking")
    todo.add_argument("-n", "--dry-run", action="store_true", help="only show what would be done")
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print a line of JSON for each record")
    shape.add_argument(
        "-0", "--print0", action="store_true", help="print the paths taken back, each ended by null"
    )
    return made


def run(words: list[str]) -> int:
    """Run the command and return its exit code."""
    made = arguments()
    options = made.parse_args(words)
    # Whoever names a path means it; to take back everything deserves a question.
    is_asking = not (options.path or options.yes or options.dry_run)
    if is_asking:
        require_terminal(made, options, "take everything back")
    places = true_paths(options.path)
    signed = _signed(places)
    store = Store() if signed else Store.if_any()
    if store is None:
        print("there is nothing to take back", file=sys.stderr)
        return 0
    with store:
        recorded = _Recorded(store, places)
        marked = sorted({*recorded.marked, *(path for path, _ in status.strays(signed, store))})
        if options.dry_run:
            undone = [Undone(path, "would take back", {}) for path in marked]
        elif is_asking and marked and not confirm(f"Take back the marks of {len(marked)}?"):
            print("nothing was changed")
            return 0
        else:
            store.remove_leftovers()
            leftovers.remove_unborn(recorded.paths, places)
            with Opener() as opener:
                undone = [_undo(path, store, opener) for path in track(marked, "taking back")]
                undone += _undo_inside({one.path for one in undone}, places, store, opener)
    if options.json:
        _print_json(undone)
    elif options.print0:
        print_null_ended(one.path for one in undone if one.outcome != FAILED)
    else:
        _print(undone, is_dry=options.dry_run)
    if not options.json:
        for one in undone:
            if one.error:
                complain(one.error)
    for error in recorded.errors:
        complain(f"{error}; it is left as it is")
    return int(bool(recorded.errors) or any(one.outcome == FAILED for one in undone))


class _Recorded:
    """What the records say of some places and below."""

    def __init__(self, store: Store, places: "Sequence[str]") -> None:
        self.paths: list[str] = []
        self.marked: list[str] = []
        """Those of the paths where regrow may have set a mark."""
        self.errors: list[RecordError] = []
        for entry in status.entries(store, places):
            if isinstance(entry, RecordError):
                self.errors.append(entry)
                continue
            self.paths.append(entry.record.path)
            has_marks = entry.state in (UNFINISHED, LEFTOVER) and entry.record.set
            if entry.state in _MARKED or has_marks:
                self.marked.append(entry.record.path)


def _undo_inside(
    done: set[str], places: "Sequence[str]", store: Store, opener: Opener
) -> "list[Undone]":
    """Take back what is inside of what was taken back: no scan enters a marked directory."""
    undone: list[Undone] = []
    while done:
        found = {path for path, _ in status.strays(_signed(places), store)} - done
        inside = sorted(path for path in found if any(above in done for above in ancestors(path)))
        if not inside:
            break
        undone += [_undo(path, store, opener) for path in inside]
        done.update(inside)
    return undone


def _signed(places: "Sequence[str]") -> "Sequence[str]":
    """Return the signed paths at *places* and below; none: below the start directories."""
    configuration = config.read()
    if not places:
        return status.signed(configuration)
    from regrow.rules import loader
    from regrow.scan.walk import Scan

    active_rules = loader.active_rules(configuration, config.path())
    scan = Scan([p for p in places if os.path.isdir(p)], active_rules, configuration.skip)
    for _ in scan:
        pass
    return scan.signed


def _undo(path: str, store: Store, opener: Opener) -> Undone:
    try:
        with opener.open(path) as directory:
            outcomes = unmarking.undo(directory, store, path)
        history.remove_with_record(store, path)
    except RegrowError as error:
        return Undone(path, FAILED, {}, str(error))
    failed = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
    if failed:
        return Undone(path, FAILED, outcomes, f"{path}: {'; '.join(failed)}")
    return Undone(path, summed_up(outcomes, UNMARKED), outcomes)


def _print_json(undone: "Sequence[Undone]") -> None:
    for one in undone:
        print_json(
            {
                "path": one.path,
                "outcome": one.outcome,
                "error": one.error or None,
                "markers": outcomes_as_json(one.outcomes),
            }
        )


def _print(undone: "Sequence[Undone]", *, is_dry: bool) -> None:
    words = {UNMARKED: "taken back", NOT_MARKED: "nothing to take back"}
    rows = [
        (one.path, words.get(one.outcome, one.outcome), ", ".join(one.outcomes)) for one in undone
    ]
    if rows:
        print_table(rows, ("", "bold", "dim"))
        print()
    for one in undone:
        for outcome in one.outcomes.values():
            if outcome.error and outcome.state != FAILED:
                complain(f"{one.path}: {outcome.error}")
    if is_dry:
        print(f"would take back {len(undone)}")
        return
    counts = Counter(one.outcome for one in undone)
    others = ((NOT_MARKED, "nothing to take back from"), (FAILED, "failed"))
    more = "".join(f", {word} {counts[outcome]}" for outcome, word in others if counts[outcome])
    print(f"taken back {counts[UNMARKED]}{more}")
    if counts[UNMARKED]:
        print(_AGAIN)
