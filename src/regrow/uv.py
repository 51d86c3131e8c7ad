"""Where uv is about to make a project's environment, so that it can be marked before birth.

An empty ``.venv`` that nobody fills breaks ``uv pip install`` and is adopted by other tools: it is
prepared only where uv is sure to fill it. Wherever there is doubt, it is marked afterwards.
"""

import os
from fnmatch import fnmatch

from regrow.directory import ancestors, join
from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_FILLING = ("sync", "run", "add", "remove")
_BEFORE = frozenset(("-q", "-v", "--quiet", "--verbose", "--offline", "--no-progress"))
"""Options before the subcommand that change nothing about the environment."""

_ELSEWHERE = frozenset(
    (
        "-h", "--help", "-V", "--version",
        "--dry-run", "--check", "--no-sync", "--locked", "--script", "--gui-script", "--isolated",
        "--no-project", "--active", "--project", "--directory",
    )
)  # fmt: skip
"""Options with which uv may make no environment, or one in another place."""

_READ_LIMIT = 1024 * 1024  # bytes


def environment_to_come(words: "Sequence[str]", directory: str) -> tuple[str, str] | None:
    """Tell which environment a uv command is sure to make.

    Args:
        words: the command.
        directory: the current directory, a true path.

    Returns:
        The directory that shall hold the environment, and its name; None where it isn't uv, the
        environment is there already, or it is not sure that uv makes it.
    """
    if os.path.basename(words[0]) != "uv" or os.environ.get("UV_PROJECT_ENVIRONMENT"):
        return None
    rest = list(words[1:])
    while rest and rest[0] in _BEFORE:
        rest.pop(0)
    if not rest or rest[0] not in _FILLING:
        return None
    if any(word.partition("=")[0] in _ELSEWHERE for word in rest):
        return None
    if rest[0] == "run" and any(_is_script(word, directory) for word in rest[1:]):
        return None
    root = _root(directory)
    if root is None or os.path.lexists(join(root, ".venv")):
        return None
    return root, ".venv"


def _is_script(word: str, directory: str) -> bool:
    """Tell whether a word names a script that brings its own environment, or may do so."""
    if word == "-" or "://" in word:
        return True
    if not word.endswith(".py"):
        return False
    try:
        with open(os.path.join(directory, word), "rb") as file:
            return b"# /// script" in file.read(_READ_LIMIT)
    except OSError:
        return True


def _root(directory: str) -> str | None:
    """Find the root of the workspace, else of the project, as uv looks for it."""
    project: str | None = None
    for place in (directory, *ancestors(directory)):
        table = _table(join(place, "pyproject.toml"))
        if table is None:
            continue
        settings = table.get("tool", {}).get("uv", {})
        if project is None:
            if "project" not in table or settings.get("managed") is False:
                return None
            project = place
        if "workspace" in settings:
            return place if _is_member(project, place, settings["workspace"]) else project
    return project


def _is_member(project: str, root: str, workspace: "dict[str, Any]") -> bool:
    if project == root:
        return True
    relative = os.path.relpath(project, root)

    def names(key: str) -> bool:
        return any(fnmatch(relative, pattern.rstrip("/")) for pattern in workspace.get(key, ()))

    return names("members") and not names("exclude")


def _table(file_name: str) -> "dict[str, Any] | None":
    import tomllib

    try:
        with open(file_name, "rb") as file:
            return tomllib.loads(file.read(_READ_LIMIT).decode())
    except (OSError, ValueError):
        return None
