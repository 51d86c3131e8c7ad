"""``regrow doctor``: check this machine, and say what to do."""

import argparse
import os
import sys
import tempfile

from regrow import config, creators, markers, programs, records
from regrow.cli.output import parser, print_json, print_table, show
from regrow.directory import Directory, open_child, open_parent, split
from regrow.errors import PathError, RegrowError, in_words
from regrow.model import FAILED
from regrow.plain import NamedTuple

GOOD = "ok"
NOTE = "note"
BAD = "problem"


class Finding(NamedTuple):
    """One thing that was looked at."""

    subject: str
    """``marker``, ``program``, ``creator``, ``configuration`` or ``records``."""
    name: str
    state: str
    """``ok``, ``note`` (nothing is wrong, and worth knowing) or ``problem``."""
    text: str
    remedy: str = ""
    """What to do, where something is to be done."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "doctor",
        "Check what regrow needs: which markers the file system takes (tried in a temporary"
        " directory beside PATH, removed again), which backup programs are installed and the"
        " option that each needs, and which creators of environments. Exit code 1: something is"
        " to be done.",
        "  regrow doctor\n  regrow doctor /mnt/disk/project\n  regrow doctor --json",
    )
    made.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="where you work (default: .)"
    )
    made.add_argument("--json", action="store_true", help="print a line of JSON for each finding")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    configuration, findings = _check_configuration()
    findings += _check_records()
    findings += _check_markers(options.path, configuration.nodump)
    findings += _check_programs(configuration)
    findings += _check_creators()
    to_do = [finding for finding in findings if finding.state == BAD]
    if options.json:
        for finding in findings:
            print_json(finding._asdict())
        return int(bool(to_do))
    rows = [(f.subject, f.name, f.state, f.text) for f in findings]
    print_table(rows, ("dim", "bold", "", ""))
    print()
    remedies = [f"{f.name}: {f.remedy}" for f in findings if f.remedy]
    print("What to do:" if remedies else "Nothing is to be done.")
    for remedy in remedies:
        print(f"  {show(remedy)}")
    return int(bool(to_do))


def _check_configuration() -> tuple[config.Configuration, list[Finding]]:
    name = config.path()
    if not os.path.lexists(name):
        text = f"{name}: there is none; the defaults hold"
        return config.Configuration(), [Finding("configuration", "config.toml", GOOD, text)]
    configuration = config.read(name)
    findings = [Finding("configuration", "config.toml", GOOD, name)]
    if configuration.nodump:
        from regrow.markers.nodump import WARNING

        findings.append(
            Finding("configuration", "nodump", NOTE, WARNING, "take nodump out of [markers]")
        )
    return configuration, findings


def _check_records() -> list[Finding]:
    try:
        with records.Store() as store:
            return [Finding("records", "directory", GOOD, store.path)]
    except RegrowError as error:
        remedy = "make it writable; nothing is marked without a record"
        return [Finding("records", "directory", BAD, str(error), remedy)]


def _check_markers(path: str, nodump: bool) -> list[Finding]:
    """Try every marker in a temporary directory beside the path."""
    try:
        with open_parent(path) as there:
            place = there.path
    except PathError as error:
        return [Finding("marker", path, BAD, str(error), "name a directory that exists")]
    if place != "/" and not os.access(place, os.W_OK) and os.access(split(place)[0], os.W_OK):
        place = split(place)[0]
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".regrow-doctor-", dir=place) as temporary,
            open_parent(place) as parent,
            open_child(parent, os.path.basename(temporary)) as directory,
        ):
            return _try_markers(directory, nodump)
    except OSError as error:
        text = f"{place}: no directory can be made there: {in_words(error)}"
        return [Finding("marker", "all", BAD, text, "run doctor where you may write")]


def _try_markers(directory: Directory, nodump: bool) -> list[Finding]:
    needed = {marker.name for marker in markers.selected(nodump=nodump)} | {markers.CACHEDIR_TAG}
    place = split(directory.path)[0]
    findings = []
    for marker in markers.available():
        outcome = markers.put_on(marker, directory)
        if outcome.state != FAILED:
            text = f"the file system of {place} takes it"
            if marker.name not in needed:
                text += "; regrow sets it only if the configuration asks for it"
            findings.append(Finding("marker", marker.name, GOOD, text))
        elif marker.name not in needed:
            findings.append(Finding("marker", marker.name, NOTE, outcome.error))
        else:
            remedy = (
                "keep environments on another file system, or have your backup leave them out"
                " by their paths"
            )
            findings.append(Finding("marker", marker.name, BAD, outcome.error, remedy))
    if sys.platform == "darwin":
        findings.append(_ask_tmutil(directory.path))
    return findings


def _ask_tmutil(path: str) -> Finding:
    """Ask Apple's own tool whether it sees the mark on the temporary directory."""
    import subprocess

    try:
        answer = subprocess.run(
            ["/usr/bin/tmutil", "isexcluded", path],
            capture_output=True,
            timeout=30,  # seconds; a second is usual on macOS 15, 11 have been reported
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("marker", "tmutil", NOTE, f"tmutil can't be asked: {error}")
    if b"[Excluded]" in answer.stdout:
        return Finding("marker", "tmutil", GOOD, "tmutil isexcluded agrees")
    text = f"tmutil isexcluded does not agree: {answer.stdout.decode(errors='replace').strip()}"
    return Finding("marker", "tmutil", BAD, text, f"check with: tmutil isexcluded {path}")


def _check_programs(configuration: config.Configuration) -> list[Finding]:
    set_here = {marker.name for marker in markers.selected(nodump=configuration.nodump)}
    set_here.add(markers.CACHEDIR_TAG)
    installed = programs.installed()
    findings = []
    for program in installed:
        findings.append(_program_finding(program, set_here))
    for name in configuration.programs or ():
        if name not in {program.name for program in installed}:
            text = "the configuration names it; it was not found (it may have no command)"
            findings.append(Finding("program", name, NOTE, text))
    if not findings:
        text = "none that reads marks was found on PATH"
        remedy = "if you use one that has no command, name it: programs = [...] in config.toml"
        findings.append(Finding("program", "none", NOTE, text, remedy))
    return findings


def _program_finding(program: programs.Program, set_here: set[str]) -> Finding:
    usable = {name: option for name, option in program.honours.items() if name in set_here}
    if not usable:
        read = ", ".join(program.honours)
        text = f"{program.title} reads {read} alone, which regrow does not set by default"
        return Finding("program", program.name, NOTE, text)
    by_default = [name for name, option in usable.items() if option == programs.BY_DEFAULT]
    if by_default:
        text = f"{program.title} honours {', '.join(by_default)} by itself"
        return Finding("program", program.name, GOOD, text)
    option = next(iter(usable.values()))
    text = f"{program.title} honours {next(iter(usable))}, with {option}"
    return Finding("program", program.name, GOOD, text, f"run it with {option}")


def _check_creators() -> list[Finding]:
    first = creators.find()
    findings = []
    for name in creators.NAMES:
        if not creators.is_here(name):
            findings.append(Finding("creator", name, NOTE, "not installed"))
        elif name == first:
            findings.append(Finding("creator", name, GOOD, "found; regrow venv uses it"))
        else:
            findings.append(Finding("creator", name, GOOD, f"found; --creator {name} uses it"))
    return findings
