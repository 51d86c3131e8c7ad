"""``regrow unmark``: put directories back into the backups."""

import argparse

from regrow import config, unmarking
from regrow.cli.output import complain, outcomes_as_json, parser, print_json, show
from regrow.records import history
from regrow.records.store import Store
from regrow.system import ownership
from regrow_marks.directory import Opener
from regrow_marks.errors import RegrowError
from regrow_marks.model import FAILED, NOT_MARKED, UNMARKED, Outcome


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "unmark",
        "Put directories back into the backups: attributes are taken off whoever set them, and a"
        " CACHEDIR.TAG goes if regrow wrote it. The record goes too, unless it lists what is not"
        " there any more.",
        "  regrow unmark .venv\n  regrow unmark --json ~/scratch",
    )
    made.add_argument("path", nargs="+", metavar="PATH", help="a directory; links are refused")
    made.add_argument("--json", action="store_true", help="print a line of JSON for each path")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    configuration = config.read()
    failed = False
    with Store() as store, Opener() as opener:
        for path in options.path:
            try:
                with ownership.open_to_change(path, opener) as directory:
                    outcomes = unmarking.unmark(directory, store, configuration)
                    true_path = directory.path
                    history.remove_with_record(store, true_path)
            except RegrowError as error:
                failed = True
                if options.json:
                    print_json({"path": path, "outcome": FAILED, "error": str(error)})
                else:
                    complain(str(error))
                continue
            failed |= any(outcome.state == FAILED for outcome in outcomes.values())
            _report(true_path, outcomes, options.json)
    return int(failed)


def outcome_of(outcomes: dict[str, Outcome]) -> str:
    """Sum the markers' outcomes up in a word."""
    states = {outcome.state for outcome in outcomes.values()}
    if FAILED in states:
        return FAILED
    return UNMARKED if UNMARKED in states else NOT_MARKED


def _report(path: str, outcomes: dict[str, Outcome], as_json: bool) -> None:
    summary = outcome_of(outcomes)
    if as_json:
        line = {"path": path, "outcome": summary, "markers": outcomes_as_json(outcomes)}
        print_json(line)
        return
    for outcome in outcomes.values():
        if outcome.error:
            complain(f"{path}: {outcome.error}")
    print(f"{summary}  {show(path)}")
