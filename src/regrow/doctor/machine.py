"""The markers that the file system takes, the backup programs and the creators that are here."""

import os
import sys
import tempfile

from regrow.create import creators
from regrow.doctor.findings import (
    CREATOR,
    MARKER,
    NOT_APPLICABLE,
    OK,
    PROGRAM,
    TO_DO,
    WRONG,
    Finding,
)
from regrow.programs.installed import installed
from regrow.system.program import ask_program
from regrow_marks import markers
from regrow_marks.directory import Directory, open_child, open_parent, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.programs import BY_DEFAULT

if TYPE_CHECKING:
    from regrow.config import Configuration
    from regrow_marks.programs import Program

_TMUTIL_LIMIT = 30  # seconds; a second is usual on macOS 15, 11 have been reported


def check_markers(path: str, nodump: bool) -> list[Finding]:
    """Try every marker in a temporary directory beside the path where the user works."""
    try:
        with open_parent(path) as there:
            place = there.path
    except PathError as error:
        return [Finding(MARKER, path, WRONG, str(error), "name a directory that exists")]
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
        return [Finding(MARKER, "all", WRONG, text, "run doctor where you may write")]


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
            findings.append(Finding(MARKER, marker.name, OK, text))
        elif marker.name not in needed:
            findings.append(Finding(MARKER, marker.name, NOT_APPLICABLE, outcome.error))
        else:
            remedy = (
                "keep environments on another file system, or have your backup leave them out"
                " by their paths"
            )
            findings.append(Finding(MARKER, marker.name, WRONG, outcome.error, remedy))
    if sys.platform == "darwin":
        findings.append(_ask_tmutil(directory.path))
    return findings


def _ask_tmutil(path: str) -> Finding:
    """Ask Apple's own tool whether it sees the mark on the temporary directory."""
    try:
        answer = ask_program(["/usr/bin/tmutil", "isexcluded", path], _TMUTIL_LIMIT)
    except OSError as error:
        return Finding(MARKER, "tmutil", NOT_APPLICABLE, f"tmutil can't be asked: {error}")
    if b"[Excluded]" in answer.output:
        return Finding(MARKER, "tmutil", OK, "tmutil isexcluded agrees")
    text = f"tmutil isexcluded does not agree: {answer.output.decode(errors='replace').strip()}"
    return Finding(MARKER, "tmutil", WRONG, text, f"check with: tmutil isexcluded {path}")


def check_programs(configuration: "Configuration") -> list[Finding]:
    """Find the backup programs, and the option that each needs."""
    set_here = {marker.name for marker in markers.selected(nodump=configuration.nodump)}
    set_here.add(markers.CACHEDIR_TAG)
    found = installed()
    findings = [_program_finding(program, set_here) for program in found]
    for name in configuration.programs or ():
        if name not in {program.name for program in found}:
            text = "the configuration names it; it was not found (it may have no command)"
            findings.append(Finding(PROGRAM, name, NOT_APPLICABLE, text))
    if not findings:
        text = "none that reads marks was found on PATH"
        remedy = "if you use one that has no command, name it: programs = [...] in config.toml"
        findings.append(Finding(PROGRAM, "none", TO_DO, text, remedy))
    return findings


def _program_finding(program: "Program", set_here: set[str]) -> Finding:
    usable = {name: option for name, option in program.honours.items() if name in set_here}
    if not usable:
        read = ", ".join(program.honours)
        text = f"{program.title} reads {read} alone, which regrow does not set by default"
        return Finding(PROGRAM, program.name, NOT_APPLICABLE, text)
    by_default = [name for name, option in usable.items() if option == BY_DEFAULT]
    if by_default:
        text = f"{program.title} honours {', '.join(by_default)} by itself"
        return Finding(PROGRAM, program.name, OK, text)
    marker, option = next(iter(usable.items()))
    text = f"{program.title} honours {marker}, with {option}"
    return Finding(PROGRAM, program.name, TO_DO, text, f"run it with {option}")


def check_creators() -> list[Finding]:
    """Find the creators of environments."""
    first = creators.find()
    findings = []
    for name in creators.NAMES:
        if not creators.is_here(name):
            findings.append(Finding(CREATOR, name, NOT_APPLICABLE, "not installed"))
        elif name == first:
            findings.append(Finding(CREATOR, name, OK, "found; regrow venv uses it"))
        else:
            findings.append(Finding(CREATOR, name, OK, f"found; --creator {name} uses it"))
    return findings
