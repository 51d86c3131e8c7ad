"""``regrow unmark``: put directories back into the backups."""

import argparse

from regrow import config, unmarking
from regrow.cli.output import parser, report_failure, report_outcomes, show
from regrow.model import summed_up
from regrow.records import history
from regrow.records.store import Store
from regrow.system import ownership
from regrow_marks.directory import Opener
from regrow_marks.errors import RegrowError
from regrow_marks.model import FAILED, UNMARKED


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
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
    """Run the command; return its exit code."""
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
                report_failure(path, error, options.json)
                continue
            summary = summed_up(outcomes, UNMARKED)
            failed |= summary == FAILED
            report_outcomes(true_path, summary, outcomes, options.json)
            if not options.json:
                print(f"{summary}  {show(true_path)}")
    return int(failed)
