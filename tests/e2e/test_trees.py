"""Trees made by real tools: sweep finds what each documents as generated, and no more."""

import json
import os
import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from regrow.model import KEEP, MARK, MARKED_ALREADY
from tests.conftest import Regrow
from tests.e2e.projects import Tools, generate, write_sources
from tests.e2e.tools import TOOLS, Told, Tool


def files(project: Path) -> frozenset[str]:
    """List every entry of a project that is not a directory."""
    found: set[str] = set()
    for directory, names, others in os.walk(project):
        if directory == str(project) and ".git" in names:
            names.remove(".git")
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        found.update(
            os.path.relpath(os.path.join(directory, name), project) for name in (*others, *links)
        )
    return frozenset(found)


def below(path: str, directories: set[str]) -> bool:
    return any(directory == "." or path.startswith(f"{directory}/") for directory in directories)


def sweep(regrow: Regrow, project: Path) -> dict[str, Told]:
    """Ask what would become of a project: by relative path, what sweep says of it.

    The scan begins above it: a start directory is no candidate itself, and the project must be none
    either. On a Mac, Cargo and Poetry mark what they make themselves.
    """
    there = {MARKED_ALREADY: MARK} if sys.platform == "darwin" else {}
    done = regrow("sweep", "--dry-run", "--json", project.parent)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        os.path.relpath(line["path"], project): (
            line["rule"],
            there.get(line["decision"], line["decision"]),
            line["guard"],
        )
        for line in lines
    }


IN_MAKE_TEST = ("npm", "virtualenv")
"""Of the others, those that take little are decided about in ``test_sweep_backups.py``."""


def marks(tool: Tool) -> list[pytest.MarkDecorator]:
    needs = pytest.mark.needs("git", *tool.needs)
    return [needs] if tool.name in IN_MAKE_TEST else [needs, pytest.mark.slow]


@pytest.mark.parametrize(
    "tool", [pytest.param(tool, id=tool.name, marks=marks(tool)) for tool in TOOLS]
)
def test_what_a_tool_makes_is_found_and_nothing_else(
    tool: Tool, project: Path, tools: Tools, regrow: Regrow
) -> None:
    variables = tools.environment(tool)
    write_sources(tool, project, variables)
    sources = files(project)
    generate(tool, project, variables)
    made = files(project) - sources
    assert sources <= files(project)
    assert made, "the tool made nothing"

    said = sweep(regrow, project)
    assert said == tool.expected
    covered = {path for path, (_, decision, _) in said.items() if decision != KEEP}
    assert [path for path in sorted(sources) if below(path, covered)] == []
    rest = {path for path in made if not below(path, covered)}
    assert [p for p in sorted(rest) if not any(fnmatchcase(p, glob) for glob in tool.stays)] == []
    assert [glob for glob in tool.stays if not any(fnmatchcase(p, glob) for p in rest)] == []

    not_ignored = tool.expected if tool.not_ignored is None else tool.not_ignored
    (project / ".gitignore").unlink(missing_ok=True)
    assert sweep(regrow, project) == not_ignored

    shutil.rmtree(project / ".git")
    expected = not_ignored if tool.no_repository is None else tool.no_repository
    assert sweep(regrow, project) == expected
