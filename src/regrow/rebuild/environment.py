"""How a virtual environment is made anew, with exactly what its record lists."""

import os
import re

from regrow.create import creators
from regrow.errors import CreatorError
from regrow.rebuild import indexes, interpreters, validate
from regrow.rebuild.command import Command, Instructions, placeholder
from regrow.recipes import compare
from regrow_marks.directory import split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from regrow.model import Record
    from regrow.recipes.recipe import Recipe

_SEEDED = ("pip", "setuptools")
"""What venv installs by itself; the second one up to Python 3.11."""


def instructions(record: "Record", trusted: "Collection[str]") -> Instructions:
    """Return how an environment comes back.

    Raises:
        KeyError, TypeError, ValueError: regrow would not have written this record.
    """
    requirements = validate.requirements(record)
    validate.check_version(record)
    parent = split(record.path)[0]
    creator = creator_of(record.recipe)
    interpreter, note = interpreters.choose(record, trusted)
    # With no package to install, pip need not be there.
    extra = () if creator == creators.UV or requirements else ("--without-pip",)
    creations, problem = _creations(record, creator, interpreter, extra)
    if not creations:
        return Instructions(parent, (), problem)
    first, *fallbacks = creations
    # A project's uv.toml could name other interpreters: uv makes nothing from there.
    cwd = "/" if creator == creators.UV else parent
    commands = [Command(first, cwd, fallbacks=tuple(fallbacks))]
    if requirements:
        commands += _installation(record.path, creator, requirements, parent)
    return Instructions(parent, tuple(commands), "", (note,) if note else (), creator)


def creator_of(recipe: "Recipe") -> str:
    """Return what makes an environment and installs into it: uv where it is, else venv and pip.

    What was not made by uv is left to pip where pip has indexes of its own.
    """
    is_uvs = str(recipe.get("creator", "")).startswith("uv ")
    if not creators.is_here(creators.UV) or (not is_uvs and indexes.are_set_for_pip()):
        return creators.VENV
    return creators.UV


def _creations(
    record: "Record", creator: str, interpreter: str, extra: tuple[str, ...]
) -> tuple[list[tuple[str, ...]], str]:
    """Return the argv of each way to make the environment, best first, or why there is none."""
    recipe = record.recipe
    found: list[tuple[str, ...]] = []
    problem = ""
    for python in _pythons(recipe, interpreter, creator):
        request = creators.Request(
            python=python,
            system_site_packages=bool(recipe.get("system_site_packages")),
            prompt=str(recipe.get("prompt") or "") or None,
            extra=extra,
        )
        try:
            argv = tuple(creators.command(creator, record.path, request))
        except CreatorError as error:
            problem = problem or str(error)
            continue
        if argv not in found:
            found.append(argv)
    return found, problem


def _pythons(recipe: "Recipe", interpreter: str, creator: str) -> "Sequence[str | None]":
    """Return what a creator is asked for: the recorded interpreter, its version, then its series.

    An interpreter whose name says that it is another version by now comes last.
    """
    version = str(recipe.get("version", ""))
    series = ".".join(version.split(".")[:2])
    implementation = str(recipe.get("implementation", "")).lower()
    prefix = "" if implementation in ("", "cpython") else f"{implementation}@"
    found: list[str | None] = []
    if version:
        found = [f"{prefix}{series}"]
        if creator == creators.UV and version != series:
            found.insert(0, f"{prefix}{version}")
    if interpreter:
        is_other = _series_in_name(interpreter) not in ("", series)
        found.insert(len(found) if is_other else 0, interpreter)
    # Without a version uv would ask the project's .python-version, which may name a program.
    return found or ["3" if creator == creators.UV else None]


def _series_in_name(interpreter: str) -> str:
    """Return the version in an interpreter's true name, such as 3.11; empty: there is none."""
    match = re.search(r"\d+\.\d+", os.path.basename(os.path.realpath(interpreter)))
    return match[0] if match else ""


def _installation(
    path: str, creator: str, requirements: "Sequence[str]", parent: str
) -> "list[Command]":
    """Return the commands that install what a record lists, and remove what venv installed besides.

    They run in the project, whose settings may name indexes.
    """
    if creator == creators.UV:
        python = os.path.join(path, "bin", "python")
        return [_install((creators.UV, "pip"), requirements, parent, ("--python", python))]
    recorded = set(map(compare.name_of, requirements))
    besides = [name for name in _SEEDED if name not in recorded]
    uninstall = Command((*_pip_of(path), "uninstall", "--yes", *besides), parent)
    return [pip_install(path, requirements, parent), *([uninstall] if besides else [])]


def pip_install(path: str, requirements: "Sequence[str]", cwd: str) -> Command:
    """Return the command by which an environment's own pip installs what a record lists."""
    return _install(_pip_of(path), requirements, cwd)


def _pip_of(path: str) -> tuple[str, ...]:
    # -I: no module of the project takes the place of one of Python's own.
    return os.path.join(path, "bin", "python"), "-I", "-m", "pip"


def _install(
    pip: tuple[str, ...], requirements: "Sequence[str]", cwd: str, options: tuple[str, ...] = ()
) -> Command:
    file = placeholder(len(requirements), "requirement")
    argv = (*pip, "install", *options, "--no-deps", "-r", file)
    return Command(argv, cwd, tuple(requirements))
