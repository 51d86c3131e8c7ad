"""``regrow list``: what regrow marked, why, and what became of it."""

import argparse
import os
from collections import Counter

from regrow import config
from regrow.cli.output import (
    complain,
    human_size,
    parser,
    print_json,
    print_null_ended,
    print_table,
    show,
    time_of,
    track,
)
from regrow.errors import RecordError
from regrow.rebuild import leftovers
from regrow.rebuild.leftovers import Leftover, as_line
from regrow.records import history, status
from regrow.records.status import AWAY, ELSEWHERE, GONE, LEFTOVER, REPLACED, STATES, Entry
from regrow.records.store import Store
from regrow_marks.directory import is_below, join, split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def arguments() -> argparse.ArgumentParser:
    """Return the command's parser."""
    states = "".join(f"  {state:15}{meaning}\n" for state, meaning in STATES.items())
    made = parser(
        "list",
        "List what regrow marked, why, and what became of it. Records of what is gone are kept, so"
        " that it can be rebuilt, until --forget.",
        "  regrow list\n"
        "  regrow list --sizes ~/code\n"
        "  regrow list --state gone --state replaced\n"
        "  regrow list --forget ~/old-project   forget what is gone there\n"
        "  regrow list --history .venv          the recipes that it had before\n"
        "  regrow list -0 | xargs -0 du -sh\n"
        f"\nstates:\n{states}",
    )
    made.add_argument("path", nargs="*", metavar="PATH", help="only there and below (default: all)")
    made.add_argument(
        "--state",
        action="append",
        choices=list(STATES),
        help="only these (may be given again); see below",
    )
    made.add_argument("--sizes", action="store_true", help="measure what is there")
    made.add_argument(
        "--forget",
        action="store_true",
        help="remove the records of what is gone; it can't be rebuilt from them any more; with"
        " `--state away` those, too, of what was on file systems that are not there",
    )
    made.add_argument(
        "--history",
        action="store_true",
        help="list the earlier recipes (the last three are kept), newest first; `regrow rebuild"
        " --recipe N PATH` goes back to one",
    )
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print a line of JSON for each record")
    shape.add_argument(
        "-0", "--print0", action="store_true", help="print the paths, each ended by a null"
    )
    return made


def run(words: list[str]) -> int:
    """Run the command and return its exit code."""
    made = arguments()
    options = made.parse_args(words)
    others = (options.state, options.sizes, options.forget, options.print0)
    if options.history and any(others):
        made.error("--history goes with PATH and --json alone")
    store = Store.if_any()
    if options.history:
        from regrow.cli import earlier

        return earlier.show_history(store, true_paths(options.path), as_json=options.json)
    found: list[Entry] = []
    errors: list[RecordError] = []
    recorded: list[str] = []
    if store is not None:
        with store:
            places = true_paths(options.path)
            entries = list(status.entries(store, places))
            errors = [one for one in entries if isinstance(one, RecordError)]
            found = [one for one in entries if not isinstance(one, RecordError)]
            recorded = [entry.record.path for entry in found]
            found = _selected(_where_they_are(found, places, store), options)
            if options.forget:
                errors += _forget(store, found)
    found.sort(key=lambda entry: entry.record.path)
    left = _left(recorded, options)
    sizes = _measure(found) if options.sizes else {}
    if options.json:
        for entry in found:
            print_json(_as_json(entry, sizes))
        for one in left:
            print_json(as_line(one))
    elif options.print0:
        print_null_ended(entry.record.path for entry in found)
    else:
        _print(found, sizes, left)
        if options.forget:
            print(f"forgotten: {len(found)}")
    for error in errors:
        complain(str(error))
    return int(bool(errors))


def _selected(found: list[Entry], options: argparse.Namespace) -> list[Entry]:
    """Return the entries in the states that the options ask for."""
    if options.state is not None:
        found = [entry for entry in found if entry.state in options.state]
    if options.forget:
        forgotten = (GONE, AWAY) if AWAY in (options.state or ()) else (GONE,)
        found = [entry for entry in found if entry.state in forgotten]
    return found


def _left(recorded: "Sequence[str]", options: argparse.Namespace) -> list[Leftover]:
    """Return what rebuilds left that has no record."""
    if options.forget or not (options.state is None or LEFTOVER in options.state):
        return []
    found = leftovers.find(recorded, true_paths(options.path))
    return [one for one in found if one.path not in recorded]


def _where_they_are(found: list[Entry], places: list[str], store: Store) -> list[Entry]:
    """Return what is recorded at some places, with what was moved in place of what is gone."""
    is_any_lost = any(entry.state in (GONE, REPLACED) for entry in found)
    if places and not is_any_lost:
        is_any_lost = not all(map(os.path.lexists, store.paths().values()))
    if not is_any_lost:
        return found
    for path, known in status.strays(status.signed(config.read()), store):
        if known.is_moved and known.record is not None:
            old = known.record.path
            found = [entry for entry in found if entry.record.path != old]
            if not places or any(is_below(path, place) for place in places):
                found.append(status.what_became_of(known.record._replace(path=path)))
    return found


def true_paths(paths: "Iterable[str]") -> list[str]:
    """Return paths as records hold them: absolute, links on the way followed.

    A path that ends in a link yields two: the link, for what was recorded before it became one,
    and its target, for what a sweep of it has found.
    """
    found = []
    for path in paths:
        parent, name = split(path)
        if name not in ("", ".", ".."):
            found.append(join(os.path.realpath(parent), name))
        found.append(os.path.realpath(path))
    return found


def _forget(store: Store, gone: "Sequence[Entry]") -> list[RecordError]:
    errors = []
    for entry in gone:
        path = entry.record.path
        try:
            with store.locked():
                record = store.read(path)
                # Unless a sweep has marked it anew since we looked.
                if record is not None and status.what_became_of(record).state == entry.state:
                    store.remove(path)
                    history.remove(store, path)
        except RecordError as error:
            errors.append(error)
    return errors


def _measure(found: "Sequence[Entry]") -> dict[str, int]:
    from regrow.system.disk_usage import on_disk

    not_there = (GONE, AWAY, REPLACED, ELSEWHERE)
    there = [entry for entry in found if entry.state not in not_there]
    return {entry.record.path: on_disk(entry.record.path) for entry in track(there, "measuring")}


def _as_json(entry: Entry, sizes: dict[str, int]) -> "dict[str, object]":
    record = entry.record
    return {
        "path": record.path,
        "state": entry.state,
        "detail": entry.detail or None,
        "rule": record.rule,
        "evidence": list(record.evidence),
        "recipe": record.recipe,
        "set": list(record.set),
        "found": list(record.found),
        "host": record.host,
        "recorded": time_of(record.time),
        "bytes": sizes.get(record.path),
    }


def _print(found: "Sequence[Entry]", sizes: dict[str, int], left: "Sequence[Leftover]") -> None:
    rows = []
    for entry in found:
        record = entry.record
        size = human_size(sizes[record.path]) if record.path in sizes else ""
        state = f"{entry.state}: {entry.detail}" if entry.detail else entry.state
        rows.append((record.path, state, size, record.rule, time_of(record.time)))
    if rows:
        print_table(rows, ("", "bold", "", "dim", "dim"))
        print()
    counts = Counter(entry.state for entry in found)
    total = f", {human_size(sum(sizes.values()))}" if sizes else ""
    summary = ", ".join(f"{state} {counts[state]}" for state in STATES if state in counts)
    print(show(f"{len(found)} recorded{total}{f' ({summary})' if summary else ''}"))
    for one in left:
        print(f"{show(one.path)}  {one.kind}: {show(one.sentence)}; see `regrow leftovers`")
