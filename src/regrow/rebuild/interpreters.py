"""Which interpreter a rebuild may run: none that may have come with a project."""

import os
import re
import sys

from regrow.system import ownership
from regrow.system.program import program_directories
from regrow_marks.directory import ancestors, is_below, split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from regrow.model import Record

_NAME = re.compile(r"/(.*/)?(python|pypy|graalpy)[\w.-]*", re.DOTALL | re.IGNORECASE)
_REPOSITORIES = (".git", ".hg", ".svn", ".jj", ".fslckout")
_VARIABLES = (
    *("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "CONDA_ROOT", "MAMBA_ROOT_PREFIX", "RYE_HOME"),
    *("ASDF_DATA_DIR", "MISE_DATA_DIR", "HOMEBREW_PREFIX", "PIXI_HOME"),
)
"""Variables that name where the user's own interpreters are kept."""

_OF_HOME = re.compile(
    r"\..+|Library|Applications|opt|snap|homebrew|linuxbrew|conda"
    r"|(ana|mini|micro)(conda|mamba)\d*|mini(forge|mamba)\w*|mambaforge\w*"
)
"""The directories of a home directory in which installers put interpreters."""


def choose(record: "Record", trusted: "Collection[str]") -> tuple[str, str]:
    """Return the interpreter that may be run for a record, or why it may not be.

    A record, and so the pyvenv.cfg of a project, may name any program.

    Args:
        record: the record of an environment.
        trusted: the interpreters that the user trusts (``--trust-interpreter``).

    Returns:
        The path, empty where another one of its version is looked for, and a sentence that says
        why the recorded one is not run.
    """
    interpreter = str(record.recipe.get("interpreter", ""))
    if not interpreter or not os.path.exists(interpreter):
        return "", ""
    if not _NAME.fullmatch(interpreter):
        return "", f"{interpreter} is no interpreter by its name, and is not run"
    if interpreter in trusted:
        return interpreter, ""
    why = ownership.not_trusted_way(interpreter)
    if not why and any(
        _is_projects(place, record.path) for place in (interpreter, os.path.realpath(interpreter))
    ):
        why = "it may be a program of a project"
    if not why:
        return interpreter, ""
    return "", (
        f"interpreter: {interpreter} is not run, another one of its version is looked for:"
        f" {why}; --trust-interpreter {interpreter} lets it be run"
    )


def _is_projects(interpreter: str, path: str) -> bool:
    """Return whether an interpreter may have come with the project, or with another one."""
    root = _project_root(path)
    if root and is_below(interpreter, root):
        return True
    home = os.path.realpath(os.path.expanduser("~"))
    if not is_below(interpreter, home) or _is_installed(interpreter):
        return False
    first = os.path.relpath(interpreter, home).partition("/")[0]
    return not _OF_HOME.fullmatch(first)


def _is_installed(interpreter: str) -> bool:
    """Return whether it is on PATH, or in a place that is named by the user's own settings."""
    places = program_directories()
    if os.path.dirname(interpreter) in (*places, *map(os.path.realpath, places)):
        return True
    roots = [sys.prefix, sys.base_prefix, *map(os.environ.get, _VARIABLES)]
    return any(root and is_below(interpreter, os.path.realpath(root)) for root in roots)


def _project_root(path: str) -> str:
    """Return the top of the project that an environment is in; empty: it would be a whole home."""
    home = os.path.realpath(os.path.expanduser("~"))
    parent = split(path)[0]
    found = parent
    for place in (parent, *ancestors(parent)):
        if is_below(home, place):
            break
        if any(os.path.lexists(os.path.join(place, name)) for name in _REPOSITORIES):
            found = place
    return "" if is_below(home, found) else found
