"""Makes a virtual environment anew, with exactly what its record lists."""

import os
import subprocess

from regrow import marking
from regrow.create import aside, creators, environment
from regrow.create.claim import Caller, claim, parent_of
from regrow.errors import CreatorError
from regrow.rebuild import remains
from regrow.rebuild.context import (
    DIFFERS,
    REBUILT,
    Context,
    TaskResult,
    as_file,
    not_marked,
    write_log,
)
from regrow.rebuild.explained import Installed, distributions
from regrow.rebuild.plan import creator_of, not_as_recorded
from regrow.rebuild.processes import ToolFailedError
from regrow.recipes import compare
from regrow.recipes.python import SEEDS, site_packages
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow.records.format import REBUILD
from regrow.system.program import find_program
from regrow_marks.directory import Directory, join, open_directory, open_parent, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Record
    from regrow.rebuild.plan import Task
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Store

_PATIENCE = 10.0  # seconds that an interpreter has to tell its version


def rebuild(task: "Task", context: Context, store: "Store", log: int) -> TaskResult:
    """Make an environment anew, verify it, and put the user's own files back into it.

    Args:
        task: the task; its one record names the environment.
        context: what all tasks share.
        store: where the record is.
        log: the descriptor of the log.

    Raises:
        RegrowError: it failed, and all is as it was.
    """
    (record,) = task.records
    notices: list[str] = []
    creator = creator_of(record.recipe)
    interpreters = _interpreters(record.recipe, task.interpreter, creator)
    for number, interpreter in enumerate(interpreters, start=1):
        request = creators.Request(
            python=interpreter,
            system_site_packages=bool(record.recipe.get("system_site_packages")),
            prompt=str(record.recipe.get("prompt") or "") or None,
        )
        try:
            _make(record, creator, request, context, store, log, notices)
            break
        except CreatorError as error:  # there is no such interpreter
            if number == len(interpreters):
                raise
            write_log(log, getattr(error, "output", b"") + f"{error}\n".encode())
    notices += settle(record, store, is_recorded=task.is_asked_for)
    detail = complete(record, creator, context, store)
    return TaskResult(task, DIFFERS if detail else REBUILT, (*detail, *notices))


def _make(
    record: "Record",
    creator: str,
    request: creators.Request,
    context: Context,
    store: "Store",
    log: int,
    notices: list[str],
) -> None:
    """Make the environment and install into it; it stays recorded as unfinished."""
    parent_path, name = split(record.path)
    reason = marking.Reason(
        record.rule, record.evidence or environment.EVIDENCE, record.recipe, state=REBUILD
    )
    with parent_of(parent_path) as parent:
        if parent.path != parent_path:
            raise PathError(f"{record.path}: {not_as_recorded(record.path)}")
        words = creators.command(creator, join(parent.path, name), request)
        caller = Caller(store, context.configuration, notices.append)
        with claim(parent, name, reason, caller, prefix=aside.REBUILT) as claimed:
            try:
                # Not from the project: its settings could name another interpreter to uv.
                context.processes.run(words, "/", log, [claimed.directory.fd])
            except ToolFailedError as error:
                raise CreatorError(str(error)) from error
            environment.open_made(parent, name, creator).close()
            _install(record, claimed.directory, creator, context, log)


def settle(record: "Record", store: "Store", *, is_recorded: bool = False) -> list[str]:
    """Put back what the user had put into the environments that were moved aside.

    Args:
        record: the record of the environment that stands now.
        store: where the records are.
        is_recorded: whether an earlier recipe lists all packages of the old environment: none of
            them is put back.

    Returns:
        What people should read about it.
    """
    parent_path, name = split(record.path)
    with open_parent(parent_path) as parent:
        if not aside.of(parent, name, store):
            return []
        installed = None if is_recorded else _distributions(record.path)
        found = remains.settle(parent, name, store, lambda path: Installed(path, installed))
    return remains.sentences(found)


def _distributions(path: str) -> set[tuple[str, str]]:
    """Return the normalised names and the versions of what is installed in an environment."""
    return {
        (name, version)
        for place in site_packages(path)
        for _, name, version in distributions(place)
    }


def complete(record: "Record", creator: str, context: Context, store: "Store") -> list[str]:
    """Put all marks on what stands there now, and record it as it is.

    Args:
        record: what was to come back.
        creator: who made it; empty: somebody else did.
        context: what all tasks share.
        store: where the record is.

    Returns:
        How it differs from its record.
    """
    try:
        now = build_recipe("python", record.path, split(record.path)[0]).recipe
        detail = compare.differences(record.recipe, now, record.path)
    except RecipeError as error:
        detail = [f"it can't be compared with its record: {error}"]
    recipe = {**record.recipe, "made_by": creator} if creator else record.recipe
    reason = marking.Reason(record.rule, record.evidence or environment.EVIDENCE, recipe)
    with open_directory(record.path) as directory:
        made = environment.complete(directory, reason, store, context.configuration)
    return [*detail, *not_marked(made.outcomes)]


def _interpreters(recipe: "Recipe", interpreter: str, creator: str) -> list[str | None]:
    """Return what to ask a creator for: the very interpreter, its version, then one next to it.

    What stands in the interpreter's place by now may be another Python: it comes last then.
    """
    version = str(recipe.get("version", ""))
    implementation = str(recipe.get("implementation", "")).lower()
    prefix = "" if implementation in ("", "cpython") else f"{implementation}@"
    found: list[str | None] = []
    if version and creator == creators.UV:
        found.append(f"{prefix}{version}")
    series = ".".join(version.split(".")[:2])
    if version:
        found.append(f"{prefix}{series}")
    now = _series(interpreter) if interpreter else ""
    if now:
        found.insert(0 if now == series else len(found), interpreter)
    # Without a version uv would ask the project's .python-version, which may name a program.
    return found or ["3" if creator == creators.UV else None]


def _series(interpreter: str) -> str:
    """Return the first two numbers of an interpreter's version; empty: it can't be run."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [interpreter, "-I", "-c", ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def _install(record: "Record", made: Directory, creator: str, context: Context, log: int) -> None:
    """Install what the record lists, and take away what the creator put in besides."""
    python = os.path.join(record.path, "bin", "python")
    parent_path = split(record.path)[0]
    words = [python, "-I", "-m", "pip"]  # nothing of the project's own takes a module's place
    if creator == creators.UV:
        words = [find_program("uv") or "uv", "pip"]
    at = ["--python", python] if creator == creators.UV else []
    lines = compare.texts(record.recipe, "requirements")
    if lines:
        with as_file("\n".join(lines) + "\n") as file:
            # The user's own settings for indexes stand in the project, or in the home directory.
            install = [*words, "install", *at, "--no-deps", "-r", file]
            context.processes.run(install, parent_path, log, [made.fd])
    now = build_recipe("python", record.path, parent_path).recipe
    names = set(map(compare.name_of, compare.texts(now, "requirements")))
    seeds = sorted(names & SEEDS - set(map(compare.name_of, lines)))
    if seeds:
        remove = [*words, "uninstall", *at, *([] if at else ["--yes"]), *seeds]
        context.processes.run(remove, parent_path, log, [made.fd])
