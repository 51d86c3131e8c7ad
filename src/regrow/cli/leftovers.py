"""``regrow leftovers``: what rebuilds left beside what they made, and what becomes of it."""

import argparse
import sys

from regrow.cli.list import true_paths
from regrow.cli.output import complain, confirm, parser, print_json, show
from regrow.errors import RecordError
from regrow.rebuild import leftovers
from regrow.rebuild.leftovers import KINDS, Leftover, as_line
from regrow.records.store import Store
from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    kinds = "".join(f"  {kind:13}{meaning}\n" for kind, meaning in KINDS.items())
    made = parser(
        "leftovers",
        "List what rebuilds left beside the directories that they made anew: what a kill left, and"
        " files of yours that have no free place in the new directory. Without PATH all that is"
        " beside recorded directories; with PATH what is there and below. Nothing is deleted"
        " unless you say so.",
        "  regrow leftovers\n"
        "  regrow leftovers --put-back ~/code/shop    to its place, where that is free\n"
        "  regrow leftovers --remove ~/code/shop/.regrow-kept-1f2e3d4c-.venv\n"
        f"\nkinds:\n{kinds}",
    )
    made.add_argument("path", nargs="*", metavar="PATH", help="only there and below")
    todo = made.add_mutually_exclusive_group()
    todo.add_argument(
        "--put-back", action="store_true", help="move it to its place; nothing is written over"
    )
    todo.add_argument("--remove", action="store_true", help="delete it, after a question")
    made.add_argument("-y", "--yes", action="store_true", help="remove without asking")
    made.add_argument("--json", action="store_true", help="print a line of JSON for each")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    if (options.put_back or options.remove) and not options.path:
        made.error("--put-back and --remove take the paths of what they are about")
    is_asking = options.remove and not options.yes
    if is_asking and (options.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        made.error("not a terminal: pass --yes to remove")
    # What is left at a path is found without records, too.
    store = Store() if options.path else Store.if_any()
    if store is None:
        _print((), as_json=options.json)
        return 0
    with store:
        recorded = [record.path for record in store.all() if not isinstance(record, RecordError)]
        found = leftovers.find(recorded, true_paths(options.path))
        if not (options.put_back or options.remove):
            _print(found, as_json=options.json)
            return 0
        if is_asking:
            _print(found, as_json=False)
            if not found or not confirm(f"Delete {len(found)}, with all that is in them?"):
                print("nothing was changed")
                return 0
        failed = [one for one in found if not _settle(one, store, options)]
    return int(bool(failed))


def _settle(one: Leftover, store: Store, options: argparse.Namespace) -> bool:
    """Put one back or remove it, and say so; returns whether nothing is left of it."""
    error = ""
    outcome = "removed" if options.remove else "put back"
    try:
        if options.remove:
            leftovers.remove(one, store)
        else:
            left = leftovers.put_back(one, store)
            if left is not None:
                error = (
                    f"{one.path}: left, for something else stands in its place in"
                    f" {one.original}: {left.sentence}"
                )
    except (RegrowError, OSError) as raised:
        error = str(raised)
    if options.json:
        print_json({"path": one.path, "outcome": "failed" if error else outcome, "error": error})
    elif error:
        complain(error)
    else:
        print(f"{outcome}  {show(one.path)}")
    return not error


def _print(found: "Sequence[Leftover]", *, as_json: bool) -> None:
    if as_json:
        for one in found:
            print_json(as_line(one))
        return
    for one in found:
        print(f"{show(one.path)}  {one.kind}\n  {show(one.sentence)}")
    print(f"{len(found)} left" if found else "nothing was left by any rebuild")
