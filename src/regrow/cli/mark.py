"""``regrow mark``: leave existing directories out of backups, because the user says so."""

import argparse

from regrow import config, marking
from regrow.cli.output import Counter, complain, parser, report_failure, report_outcomes, show
from regrow.decide.refusals import Refusals
from regrow.model import summed_up
from regrow.records.store import Store
from regrow.system import git, ownership
from regrow_marks.directory import Opener
from regrow_marks.errors import RegrowError
from regrow_marks.model import FAILED, MARKED, Outcome

LOOKING = "looking for version control"


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser(
        "mark",
        "Leave directories out of backups. Neither a rule nor a recipe is needed, and"
        " `regrow unmark` takes it back. Each directory is recorded, with its"
        " recipe if it has one. Refused, unless --force is given, are home directories and what"
        " holds them, mount points, what version control stands in or tracks files in, and what"
        " holds the sources of marked projects.",
        "  regrow mark node_modules\n"
        "  regrow mark --tag ~/scratch     for restic, tar and borg 1, which read tags alone\n"
        "  regrow mark --json build | jq .outcome",
    )
    made.add_argument("path", nargs="+", metavar="PATH", help="a directory; links are refused")
    tag = made.add_mutually_exclusive_group()
    tag.add_argument(
        "--tag",
        action="store_true",
        default=None,
        help="write a CACHEDIR.TAG too (default: in environments, and where git ignores PATH and"
        " its name is not that of something people publish)",
    )
    tag.add_argument("--no-tag", dest="tag", action="store_false", help="write no CACHEDIR.TAG")
    made.add_argument(
        "--force", action="store_true", help="mark what is refused otherwise: you are sure"
    )
    made.add_argument("--json", action="store_true", help="print a line of JSON for each path")
    return made


def run(words: list[str]) -> int:
    """Run the command; return its exit code."""
    options = arguments().parse_args(words)
    configuration = config.read()
    if configuration.nodump:
        from regrow_marks.nodump import WARNING

        complain(f"the configuration asks for nodump: {WARNING}")
    failed = False
    repositories = git.Repositories()
    progress = Counter(LOOKING)
    with Store() as store, Opener() as opener:
        refusals = Refusals(store, repositories, progress)
        for path in options.path:
            try:
                with ownership.open_to_change(path, opener) as directory:
                    if not options.force:
                        try:
                            refusals.refuse(directory)
                        finally:
                            progress.clear()
                    chosen = marking.choose_markers(
                        directory, configuration, options.tag, repositories
                    )
                    outcomes = marking.mark(
                        directory, chosen, store, marking.explicit_reason(directory, store)
                    )
                    true_path = directory.path
            except RegrowError as error:
                failed = True
                report_failure(path, error, options.json)
                continue
            _report(true_path, outcomes, options.json)
            failed |= not all(outcome.holds for outcome in outcomes.values())
    return int(failed)


def _report(path: str, outcomes: dict[str, Outcome], as_json: bool) -> None:
    summary = summed_up(outcomes, MARKED)
    report_outcomes(path, summary, outcomes, as_json)
    held = ", ".join(name for name, outcome in outcomes.items() if outcome.holds)
    if held and not as_json:
        print(f"{summary if summary != FAILED else 'marked in part'}  {show(path)}  ({held})")
