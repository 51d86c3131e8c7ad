"""What ``regrow rebuild`` shows before it asks: the plan, with every command as it is run."""

import os
import shlex

from regrow.cli.output import print_json, show
from regrow.rebuild import leftovers
from regrow_marks.directory import is_below
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.model import Record
    from regrow.rebuild.command import Command
    from regrow.rebuild.execute import TaskResult
    from regrow.rebuild.leftovers import Leftover
    from regrow.rebuild.plan import Task

_OPTIONS_SHOWN = 3
WARNING = "what is installed may run code of its own: install scripts, build backends"


def print_plan(
    to_do: "Sequence[Task]",
    to_name: "Sequence[Task]",
    left: "Sequence[Leftover]",
    *,
    is_verbose: bool,
) -> None:
    """Print what a rebuild would do; with *is_verbose* every package is shown.

    *to_name* is what is only named: builds, and what can't be done.
    """
    projects: dict[str, list[Task]] = {}
    for task in to_do:
        projects.setdefault(task.directory, []).append(task)
    for project, found in sorted(projects.items()):
        print(show(project))
        for task in found:
            for record in task.records:
                print(f"  {show(_relative(record.path, project))}  {show(task.why)}")
            for line in _lines(task.commands, project):
                print(f"    {show(line)}")
            packages = [one for command in task.commands for one in command.harmless_lines()]
            for line in (*task.notes, *(packages if is_verbose else ())):
                print(f"    {show(line)}")
    if to_do:
        print(f"{WARNING}\n")
    builds = [(task.path, _in_short(task)) for task in to_name if not task.problem]
    _print_section("builds, which --builds runs:", builds)
    problems = [(task.path, task.problem) for task in to_name if task.problem]
    _print_section("can't be rebuilt now:", problems)
    _print_section(
        "left by earlier rebuilds; `regrow leftovers` puts it back or removes it:",
        [(one.path, one.sentence) for one in left],
    )
    if not to_do:
        print("there is nothing to rebuild")


def _print_section(heading: str, rows: "Sequence[tuple[str, str]]") -> None:
    if rows:
        print(heading)
        for path, text in rows:
            print(f"  {show(path)}  {show(text)}")
        print()


def _relative(path: str, project: str) -> str:
    return os.path.relpath(path, project) if is_below(path, project) else path


def _lines(commands: "Sequence[Command]", project: str) -> "Iterator[str]":
    """Yield the lines that show commands; each fallback has its own."""
    for command in commands:
        first, *fallbacks = command.attempts()
        yield first.text(project)
        for fallback in fallbacks:
            yield f"or, if that fails: {fallback.text(project)}"


def _in_short(task: "Task") -> str:
    """Return the commands of a build that is only named: CMake has fifty options of its own."""
    found = []
    for command in task.commands:
        options = [word for word in command.argv if word.startswith("-D")]
        if len(options) > _OPTIONS_SHOWN:
            rest = tuple(word for word in command.argv if word not in options)
            short = command._replace(argv=rest).text(task.directory)
            found.append(f"{short} (and {len(options)} options; --builds shows them)")
        else:
            found.append(command.text(task.directory))
    return f"(cd {shlex.quote(task.directory)} && {' && '.join(found)})"


def print_json_lines(
    to_do: "Sequence[Task]",
    to_name: "Sequence[Task]",
    results: "Sequence[TaskResult]",
    left: "Sequence[Leftover]",
) -> None:
    """Print a line of JSON for each directory: planned, only named, executed, or left."""
    for task in (*to_do, *to_name):
        outcome = "planned" if task in to_do else "not possible" if task.problem else "build"
        for record in task.records:
            print_json(_as_json(task, record, outcome))
    for result in results:
        for record in result.task.records:
            line = _as_json(result.task, record, result.outcome)
            print_json({**line, "detail": list(result.detail), "log": result.log or None})
    for one in left:
        print_json({**leftovers.as_line(one), "outcome": "leftover"})


def _as_json(task: "Task", record: "Record", outcome: str) -> "dict[str, object]":
    return {
        "path": record.path,
        "outcome": outcome,
        "why": task.why,
        "rule": record.rule,
        "kind": task.kind,
        "directory": task.directory,
        "commands": [command.as_json() for command in task.commands],
        "notes": list(task.notes),
        "problem": task.problem or None,
    }
