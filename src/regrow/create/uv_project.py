"""Foresees where uv will make a project's environment, so that it can be marked before birth.

An empty ``.venv`` that stays empty breaks ``uv pip install``, and other tools adopt it. So one is
made only where uv is sure to fill it; in doubt, the environment is marked afterwards.
"""

import os
from fnmatch import fnmatchcase

from regrow_marks import safe_read
from regrow_marks.directory import ancestors, join
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_FILLING = ("sync", "run", "add", "remove")
_BEFORE = frozenset(("-q", "-v", "--quiet", "--verbose", "--offline", "--no-progress"))
"""Options before the subcommand that change nothing about the environment."""

_ELSEWHERE = frozenset(
    (
        "-h", "--help", "-V", "--version",
        "--dry-run", "--check", "--no-sync", "-s", "--script", "--gui-script", "--isolated",
        "--no-project", "--active", "--project", "--directory",
    )
)  # fmt: skip
"""Options with which uv may make no environment, or one in another place."""

_VARIABLES = (
    "UV_FROZEN", "UV_ISOLATED", "UV_NO_PROJECT", "UV_NO_SYNC", "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT", "UV_WORKING_DIR",
)  # fmt: skip
"""Variables with the same effect."""

_SCRIPT_LIMIT = 1024 * 1024  # bytes


def environment_to_come(words: "Sequence[str]", directory: str) -> tuple[str, str] | None:
    """Return the environment that a uv command is sure to make.

    Args:
        words: the command.
        directory: where it is run, a true path.

    Returns:
        The directory that shall hold the environment, and its name; None where it isn't uv, the
        environment is there already, or it is not sure that uv makes it.
    """
    if os.path.basename(words[0]) != "uv" or any(map(os.environ.get, _VARIABLES)):
        return None
    rest = list(words[1:])
    while rest and rest[0] in _BEFORE:
        rest.pop(0)
    if not rest or rest[0] not in _FILLING:
        return None
    if any(word.partition("=")[0] in _ELSEWHERE for word in rest):
        return None
    if rest[0] in ("add", "remove") and "--frozen" in rest:
        return None
    if rest[0] == "run" and any(_is_script(word, directory) for word in rest[1:]):
        return None
    root = _root(directory)
    if root is None or os.path.lexists(join(root, ".venv")):
        return None
    return root, ".venv"


def _is_script(word: str, directory: str) -> bool:
    """Return whether a word may name a script that has an environment of its own."""
    if word == "-" or "://" in word:
        return True
    if not word.lower().endswith((".py", ".pyw")):
        return False
    try:
        path = os.path.realpath(os.path.join(directory, word))
        head = safe_read.read_head(path, _SCRIPT_LIMIT)
    except (OSError, ValueError):
        return True
    return head is None or b"# /// script" in head


def _root(directory: str) -> str | None:
    """Return the root of uv's workspace, else of its project; None where it is uncertain."""
    places = (directory, *ancestors(directory))
    holding = [place for place in places if os.path.lexists(join(place, "pyproject.toml"))][:2]
    if not holding:
        return None
    try:
        project, *above = holding
        table = _table(project)
        settings = _settings(table)
        if "project" not in table or settings.get("managed", True) is not True:
            return None
        if "workspace" in settings or not above:
            return project
        # uv looks no further than the next one.
        workspace = _settings(_table(above[0])).get("workspace")
        if workspace is None:
            return project
        return _root_in(above[0], project, workspace)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None  # uv reports what is wrong with it


def _root_in(root: str, project: str, workspace: "dict[str, Any]") -> str | None:
    """Return the workspace's root if a project is a member, else the project; None: uncertain."""
    members, exclude = (workspace.get(key, []) for key in ("members", "exclude"))
    if any("**" in pattern for pattern in (*members, *exclude)):
        return None
    words = os.path.relpath(project, root).split("/")

    def is_named(patterns: "Sequence[str]") -> bool:
        return any(_matches(words, os.path.normpath(pattern).split("/")) for pattern in patterns)

    return root if is_named(members) and not is_named(exclude) else project


def _matches(words: "Sequence[str]", patterns: "Sequence[str]") -> bool:
    return len(words) == len(patterns) and all(map(fnmatchcase, words, patterns))


def _settings(table: "dict[str, Any]") -> "dict[str, Any]":
    settings: dict[str, Any] = table.get("tool", {}).get("uv", {})
    return settings


def _table(directory: str) -> "dict[str, Any]":
    from regrow.system import safe_toml

    data = safe_read.read(join(directory, "pyproject.toml"), safe_toml.LIMIT)
    return safe_toml.loads(data or b"")
