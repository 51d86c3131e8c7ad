"""What ``regrow rebuild`` shows before it asks: the plan, with every command."""

import os
import shlex

from regrow.cli.output import show
from regrow_marks.directory import is_below
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.rebuild.leftovers import Leftover
    from regrow.rebuild.plan import Task

_OPTIONS_SHOWN = 3
WARNING = "what is installed may run code of its own: install scripts, build backends"


def _by_project(found: "Sequence[Task]") -> "Iterator[tuple[str, list[Task]]]":
    projects: dict[str, list[Task]] = {}
    for task in found:
        projects.setdefault(task.directory, []).append(task)
    yield from sorted(projects.items())


def print_plan(
    to_do: "Sequence[Task]",
    to_name: "Sequence[Task]",
    left: "Sequence[Leftover]",
    *,
    is_verbose: bool,
) -> None:
    """Print what a rebuild would do.

    Args:
        to_do: what is rebuilt.
        to_name: what is only named: builds, and what can't be done.
        left: what interrupted rebuilds left.
        is_verbose: whether every package is shown.
    """
    for project, found in _by_project(to_do):
        print(show(project))
        for task in found:
            for record in task.records:
                print(f"  {show(_relative(record.path, project))}  {show(task.why)}")
            for command in task.commands:
                print(f"    {show(_shown(command))}")
            for line in (*task.notes, *(_packages(task) if is_verbose else ())):
                print(f"    {show(line)}")
    if to_do:
        print(f"{WARNING}\n")
    builds = [task for task in to_name if not task.problem]
    if builds:
        print("builds, which --builds runs:")
        for task in builds:
            words = " && ".join(_shown(command) for command in task.commands)
            print(f"  {show(task.path)}  (cd {show(shlex.quote(task.directory))} && {show(words)})")
        print()
    problems = [task for task in to_name if task.problem]
    if problems:
        print("can't be rebuilt now:")
        for task in problems:
            print(f"  {show(task.path)}  {show(task.problem)}")
        print()
    if left:
        print("left by earlier rebuilds; `regrow leftovers` puts it back or removes it:")
        for one in left:
            print(f"  {show(one.path)}  {show(one.sentence)}")
        print()
    if not to_do:
        print("there is nothing to rebuild")


def _packages(task: "Task") -> "Iterator[str]":
    """Yield the lines that an environment is installed from."""
    for key in ("explicit", "requirements"):
        lines = task.records[0].recipe.get(key, ())
        yield from lines if isinstance(lines, list) else ()


def _relative(path: str, project: str) -> str:
    return os.path.relpath(path, project) if is_below(path, project) else path


def _shown(command: "Sequence[str]") -> str:
    """Write a command for people; CMake's cache has fifty options that nobody typed."""
    options = [word for word in command if word.startswith("-D")]
    if len(options) <= _OPTIONS_SHOWN:
        return shlex.join(command)
    rest = shlex.join(word for word in command if word not in options)
    return f"{rest} (and {len(options)} options; --json shows them)"
