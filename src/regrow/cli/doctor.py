"""``regrow doctor``: check that everything is in place, and say what to do."""

import argparse
import os

from regrow import config
from regrow.cli.output import parser, print_json, print_table, show
from regrow.doctor import itself, machine, marks, misplaced, tools, watching
from regrow.doctor.findings import CONFIGURATION, HEADINGS, OK, STATES, TO_DO, WRONG, Finding


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    states = "".join(f"  {state:16}{meaning}\n" for state, meaning in STATES.items())
    made = parser(
        "doctor",
        "Check what regrow needs, in about a second: the regrow on PATH; the records, what became"
        " of the marks, and whether any is where none belongs (a home directory, for one); the"
        " service, and the system's limits on it; which markers the file system takes (tried in a"
        " temporary directory beside PATH, removed again); which backup programs are installed and"
        " the option that each needs; whether regrow stands beside the tools that make"
        " environments. Exit code 1: something is wrong.",
        "  regrow doctor\n  regrow doctor /mnt/disk/project\n  regrow doctor --json\n"
        f"\nstates:\n{states}",
    )
    made.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="where you work (default: .)"
    )
    made.add_argument("--json", action="store_true", help="print a line of JSON for each finding")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    configuration = config.read()
    findings = [
        *itself.check(),
        *_check_configuration(configuration),
        *marks.check(),
        *marks.check_strays(configuration),
        *misplaced.check(),
        *watching.check(configuration),
        *machine.check_markers(options.path, configuration.nodump),
        *machine.check_programs(configuration),
        *machine.check_creators(),
        *tools.check(),
    ]
    if options.json:
        for finding in findings:
            print_json(finding._asdict())
    else:
        _print(findings)
    return int(any(finding.state == WRONG for finding in findings))


def _check_configuration(configuration: config.Configuration) -> list[Finding]:
    name = config.path()
    if not os.path.lexists(name):
        text = f"{name}: there is none; the defaults hold"
        return [Finding(CONFIGURATION, "config.toml", OK, text)]
    findings = [Finding(CONFIGURATION, "config.toml", OK, name)]
    if configuration.nodump:
        from regrow_marks.nodump import WARNING

        remedy = "take nodump out of [markers]"
        findings.append(Finding(CONFIGURATION, "nodump", TO_DO, WARNING, remedy))
    return findings


def _print(findings: list[Finding]) -> None:
    for subject, heading in HEADINGS.items():
        rows = [("", f.name, f.state, f.text) for f in findings if f.subject == subject]
        print(heading)
        print_table(rows, ("", "bold", "", ""))
    remedies = [f"{finding.name}: {finding.remedy}" for finding in findings if finding.remedy]
    print("\nWhat to do:" if remedies else "\nNothing is to be done.")
    for remedy in remedies:
        print(f"  {show(remedy)}")
