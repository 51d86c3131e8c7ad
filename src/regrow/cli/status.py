"""``regrow status``: which backup programs leave a path out, by which mark, set where."""

import argparse
import os

from regrow import config
from regrow.cli.output import complain, parser, print_json, print_table, show
from regrow.programs.installed import in_use
from regrow_marks import effect, markers, programs
from regrow_marks.errors import PathError
from regrow_marks.model import Exclusion
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.programs import Program

LEFT_OUT = "left out"
BACKED_UP = "backed up"


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser(
        "status",
        "Show for each backup program in use whether it leaves a path out, by which mark, and"
        " whether that is set on the path or on a directory above it. Exit code 1: some path is"
        " backed up by some program.",
        "  regrow status                  the current directory\n"
        "  regrow status .venv ~/scratch\n"
        "  regrow status --program restic --json .venv",
    )
    made.add_argument("path", nargs="*", default=["."], metavar="PATH", help="default: .")
    made.add_argument(
        "--program",
        action="append",
        choices=programs.names(),
        metavar="NAME",
        help="ask about this program, installed or not (may be given again):"
        f" {', '.join(programs.names())}",
    )
    made.add_argument("--json", action="store_true", help="print a line of JSON for each path")
    return made


def run(words: list[str]) -> int:
    """Run the command; return its exit code."""
    options = arguments().parse_args(words)
    configuration = config.read()
    set_here = [mark.name for mark in markers.selected(nodump=configuration.nodump)]
    asked = in_use(options.program or configuration.programs, [*set_here, markers.CACHEDIR_TAG])
    complete = True
    for path in options.path:
        try:
            marks = effect.marks_on_the_way(path)
        except PathError as error:
            complete = False
            if options.json:
                print_json({"path": path, "error": str(error)})
            else:
                complain(str(error))
            continue
        verdicts = {program.name: effect.exclusion(program, marks) for program in asked}
        complete &= all(verdicts.values())
        if options.json:
            print_json(
                {
                    "path": path,
                    "programs": {name: _as_json(verdict) for name, verdict in verdicts.items()},
                    "marks": [{"marker": mark.marker, "on": mark.path} for mark in marks],
                }
            )
        else:
            _print(path, asked, verdicts, marks)
    return int(not complete)


def _as_json(verdict: Exclusion | None) -> dict[str, str | bool | None]:
    if verdict is None:
        return {"excluded": False}
    return {
        "excluded": True,
        "marker": verdict.marker,
        "on": verdict.path,
        "option": verdict.option,
    }


def _print(
    path: str,
    asked: "tuple[Program, ...]",
    verdicts: dict[str, Exclusion | None],
    marks: list[effect.Mark],
) -> None:
    print(show(path))
    if not asked:
        held = ", ".join(f"{mark.marker} on {show(mark.path)}" for mark in marks)
        print("  no backup program that reads marks is installed here")
        print(f"  marks: {held or 'none'}")
        return
    rows = []
    for program in asked:
        verdict = verdicts[program.name]
        state = LEFT_OUT if verdict else BACKED_UP
        rows.append(("", program.title, state, _why(path, program, verdict)))
    print_table(rows, ("", "bold", "", ""))


def _why(path: str, program: "Program", verdict: Exclusion | None) -> str:
    if verdict is None:
        read = " or ".join(
            f"{name} (with {option})" if option else name
            for name, option in program.honours.items()
        )
        return f"it reads {read}; none is set here or above"
    where = "" if _is_same(path, verdict.path) else f", set on {verdict.path}"
    option = f"; the backup must run with {verdict.option}" if verdict.option else ""
    return f"by {verdict.marker}{where}{option}"


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False
