"""``regrow export``: an exclude file in a backup program's own syntax."""

import argparse
import os
import sys

from regrow import config
from regrow.cli.output import complain, parser, print_json, print_table, show
from regrow.programs.export import compose, files, formats, paths, sources
from regrow.programs.export.gather import gather
from regrow.programs.export.model import ExcludeFile, Format, SourceNeededError

_STANDARD_OUTPUT = "-"


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "export",
        "Write an exclude file for a backup program that reads no marks. It names what is marked,"
        " and what a sweep of the start directories would mark, and nothing else. What the"
        " program's syntax can't express stays in the backup, with a warning. Write the file"
        " anew before each backup: a directory that was rebuilt elsewhere, or became something"
        " else, has to leave it.",
        "  regrow export --list                      the programs, and how each uses its file\n"
        "  regrow export restic --output ~/.config/restic/exclude\n"
        "  regrow export rclone --source ~ --output ~/.config/rclone/exclude\n"
        "  regrow export restic --output ~/.config/restic/exclude --check\n"
        "  regrow export paths --print0 | xargs -0 du -sh",
    )
    made.add_argument(
        "program",
        nargs="?",
        choices=formats.names(),
        metavar="PROGRAM",
        help=f"one of {', '.join(formats.names())}",
    )
    made.add_argument(
        "--output", metavar="FILE", help="write to FILE, whole or not at all (default: -)"
    )
    made.add_argument(
        "--source",
        metavar="DIR",
        help="the directory that is backed up, as the program is given it; what is outside is not"
        " listed",
    )
    made.add_argument(
        "--marked-only", action="store_true", help="leave aside what is not marked yet"
    )
    made.add_argument(
        "-0", "--print0", action="store_true", help="end each path with a null character (paths)"
    )
    todo = made.add_mutually_exclusive_group()
    todo.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1: FILE is out of date"
    )
    todo.add_argument(
        "--list", action="store_true", help="tell the command lines that use the file"
    )
    made.add_argument(
        "--json", action="store_true", help="print a line of JSON for each directory or program"
    )
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    if options.list:
        _list(options.program, options.json)
        return 0
    if options.program is None:
        made.error(f"name a program: {', '.join(formats.names())}")
    form = formats.by_name(options.program)
    if options.print0:
        if form != paths.FORMAT:
            made.error(f"--print0 is for paths; {form.title} reads its own syntax alone")
        form = paths.NUL_FORMAT
    output = None if options.output == _STANDARD_OUTPUT else options.output
    if options.check and output is None:
        made.error("--check needs --output FILE: the file to be checked")
    try:
        compose.check_source(form, options.source)
    except SourceNeededError as error:
        made.error(str(error))
    source = sources.find(options.source) if options.source is not None else None
    found = gather(config.read(), marked_only=options.marked_only)
    file = compose.compose(form, found.directories, source)
    for problem in found.problems:
        complain(problem)
    if options.json:
        _print_json(file)
    else:
        for path, reason in file.left_out:
            complain(f"{path}: stays in the backup: {form.title} can't leave it out: {reason}")
    is_current = True
    if output is None:
        if not options.json:
            _print(form, file)
    elif options.check:
        is_current = files.read(output) == file.data
        if not is_current:
            complain(f"{output}: it is out of date; run the same command without --check")
    else:
        files.replace(output, form, file.data)
    return int(bool(found.problems) or not is_current)


def _print(form: Format, file: ExcludeFile) -> None:
    if sys.stdout.isatty():  # for people's eyes: no name may control the terminal
        for line in os.fsdecode(file.data).removesuffix(form.end).split(form.end):
            print(show(line))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(file.data)


def _print_json(file: ExcludeFile) -> None:
    lines = [{"path": path, "listed": True, "reason": None} for path in file.listed]
    lines += [{"path": path, "listed": False, "reason": why} for path, why in file.left_out]
    for line in sorted(lines, key=lambda line: os.fsencode(str(line["path"]))):
        print_json(line)


def _list(name: str | None, as_json: bool) -> None:
    wanted = [form for form in formats.FORMATS if name in (None, form.name)]
    if as_json:
        for form in wanted:
            print_json(
                {
                    "program": form.name,
                    "title": form.title,
                    "commands": list(form.commands),
                    "file": form.file or None,
                    "needs_source": form.needs_source,
                    "limits": form.limits,
                }
            )
        return
    print_table([row for form in wanted for row in _rows(form)], ("bold", ""))
    print()
    print("FILE is the exclude file, SOURCE what is backed up; other capitals are yours to choose.")


def _rows(form: Format) -> list[tuple[str, str]]:
    lines = list(form.commands) or ["each line is a path"]
    if form.needs_source:
        lines.append("made with --source SOURCE")
    if form.file:
        lines.append(f"FILE is {form.file}")
    return [(form.name if line is lines[0] else "", line) for line in lines]
