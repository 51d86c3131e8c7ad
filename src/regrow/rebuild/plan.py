"""What is to be rebuilt: the records whose directories are missing or broken, as tasks."""

import os

from regrow.create import aside, creators
from regrow.create.claim import HOLLOW_NAMES
from regrow.rebuild import indexes, interpreters, neighbours, notes, validate
from regrow.recipes import cmake, compare, node
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow.records import awaited, moves, status
from regrow.records.store import ATTACHMENTS
from regrow.system.program import find_program
from regrow_marks.directory import is_below, join, split
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from regrow.model import Record, Rule
    from regrow.recipes.recipe import Recipe

MISSING = "missing"
HOLLOW = "empty"
UNFINISHED = "unfinished"
BROKEN = "broken"
INCOMPLETE = "incomplete"
REMAINS = "what a rebuild moved aside waits beside it"

CONTENTS = "contents"
"""The kind of recipe of a directory that comes back by what is in it."""

BUILDS = ("cmake", "meson", "command")
"""The kinds of recipe that are carried out only with ``--builds``."""

HOW_TO_GET = {
    "npm": "it comes with Node.js",
    "pnpm": "`npm install --global pnpm` or `corepack enable`",
    "yarn": "`npm install --global yarn` or `corepack enable`",
    "bun": "`npm install --global bun`",
    "conda": "Miniforge has it; mamba and micromamba do as well",
    "pixi": "its web page tells how to install it",
    "uv": "`pip install uv` or your package manager has it",
}

_CONDA = ("conda", "mamba", "micromamba")
_SOURCE = {"cmake": 2, "meson": 3}  # where the source directory stands among the words


class Task(NamedTuple):
    """What brings one or several directories back in one go."""

    records: "tuple[Record, ...]"
    """Those that come back together: a workspace has one ``node_modules`` a member."""
    kind: str
    why: str
    """``MISSING``, ``HOLLOW``, ``UNFINISHED``, ``BROKEN``, ``INCOMPLETE`` or ``REMAINS``, with what
    is wrong."""
    directory: str
    """Where the commands are run."""
    commands: tuple[tuple[str, ...], ...]
    """What is run, as people are shown it; none, where all that is missing is its record."""
    problem: str = ""
    """Why it can't be done, and what to do about that."""
    is_asked_for: bool = False
    """Whether the user asked for this very recipe: it is done even where all is sound."""
    interpreter: str = ""
    """The interpreter of an environment that may be run; empty: another of its version is."""
    notes: tuple[str, ...] = ()
    """What people should read before they say yes."""

    @property
    def path(self) -> str:
        """The first of the directories."""
        return self.records[0].path

    @property
    def is_build(self) -> bool:
        """Whether it is carried out only with ``--builds``."""
        return self.kind in BUILDS


def find(
    recorded: "Iterable[Record]", active_rules: "Sequence[Rule]", trusted: "Collection[str]" = ()
) -> list[Task]:
    """Make the tasks of the records whose directories are missing or broken.

    Args:
        recorded: the records.
        active_rules: the rules.
        trusted: the interpreters that the user trusts, wherever they stand.

    Returns:
        The tasks, by path. Those that can't be done say why.
    """
    by_name = {rule.name: rule for rule in active_rules}
    tasks: dict[tuple[object, ...], Task] = {}
    by_path = sorted(recorded, key=lambda record: record.path)
    waiting = _replaced(by_path)
    for record in by_path:
        if record.recipe.get("kind") == "none" or aside.is_aside(split(record.path)[1]):
            continue
        try:
            why = what_is_wrong(record) or (REMAINS if _aside_path(record.path) in waiting else "")
        except OSError as error:
            task = _impossible(record, "", f"it can't be looked at: {in_words(error)}")
        else:
            if not why:
                continue
            absence = moves.absence(record) if why == MISSING else ""
            task = (
                _away(record, absence)
                if absence
                else _completion(record, why) or _task(record, why, by_name)
            )
            task = _with_notes(task, trusted)
        # What one command brings back is one task.
        is_shared = task.kind == "node" and task.commands
        key = (task.directory, task.commands) if is_shared else (record.path,)
        if key in tasks:
            others = tasks[key]
            problem = others.problem or task.problem
            task = others._replace(records=(*others.records, record), problem=problem)
        tasks[key] = task
    # A directory in which a tool keeps environments comes back with the first of them.
    return [
        _with_neighbours(task)
        for task in tasks.values()
        if task.kind != CONTENTS
        or any(is_below(other.path, task.path) for other in tasks.values() if other is not task)
    ]


def _replaced(recorded: "Iterable[Record]") -> set[str]:
    """Return from what something was moved aside that still stands there; see ``_aside_path``."""
    found = set()
    for record in recorded:
        parent, name = split(record.path)
        if aside.is_aside(name) and os.path.isdir(record.path):
            found.add(join(parent, aside.original_name(name)))
    return found


def _aside_path(path: str) -> str:
    """Return a path with the name that something has in it which was moved aside from there."""
    parent, name = split(path)
    return join(parent, aside.ending(name))


def asked_for(
    record: "Record", why: str, active_rules: "Sequence[Rule]", trusted: "Collection[str]" = ()
) -> Task:
    """Return the task that brings a record's recipe back because the user asks for it.

    Args:
        record: the record, with the recipe that is wanted.
        why: what the plan says of it.
        active_rules: the rules.
        trusted: the interpreters that the user trusts, wherever they stand.
    """
    absence = "" if os.path.lexists(record.path) else moves.absence(record)
    by_name = {rule.name: rule for rule in active_rules}
    task = _away(record, absence) if absence else _task(record, why, by_name)
    return _with_neighbours(_with_notes(task, trusted))._replace(is_asked_for=True)


def what_is_wrong(record: "Record") -> str:
    """Tell why a directory has to be rebuilt; empty: it exists and is sound, or is none.

    Raises:
        OSError: it is out of reach.
    """
    if os.path.islink(record.path):
        return ""
    try:
        found = os.listdir(record.path)
    except FileNotFoundError:
        return MISSING
    except NotADirectoryError:
        return ""  # a file, or below one: not ours to touch
    if status.what_became_of(record).state == status.UNFINISHED:
        return UNFINISHED
    if HOLLOW_NAMES.issuperset(found):
        return HOLLOW
    if record.recipe.get("kind") == "python":
        python = os.path.join(record.path, "bin", "python")
        if "pyvenv.cfg" in found and os.path.islink(python) and not os.path.exists(python):
            return f"{BROKEN}: its interpreter {os.path.realpath(python)} is gone"
    less = awaited.what_is_missing(record)
    return f"{INCOMPLETE}: {less}" if less else ""


def not_as_recorded(path: str) -> str:
    """Tell why a path is not the one that was recorded any more; empty: it is."""
    parent = split(path)[0]
    true_parent = os.path.realpath(parent)
    if true_parent != parent:
        return f"a link leads to it now: {parent} is {true_parent}"
    return ""


def is_complete(record: "Record", why: str) -> bool:
    """Return whether a directory with something wrong is whole, and only its record says no.

    That is so where the user has finished by hand what a killed rebuild began, or where the kill
    came after the last package.

    Args:
        record: its record.
        why: what is wrong with it.
    """
    if why == REMAINS:
        return True
    if why != UNFINISHED:
        return False
    if record.recipe.get("kind") == "node":
        manager = record.recipe.get("manager")
        traces = [name for name, writer in node.TRACES.items() if writer == manager]
        return any(os.path.isfile(join(record.path, name)) for name in traces)
    if record.recipe.get("kind") != "python":
        return False
    try:
        now = build_recipe("python", record.path, split(record.path)[0]).recipe
    except RecipeError:
        return False
    is_sound = os.path.exists(os.path.join(record.path, "bin", "python"))
    return is_sound and not compare.missing(record.recipe, now)


def _completion(record: "Record", why: str) -> Task | None:
    """Return the task for a directory of which only the record is to be completed, or None."""
    try:
        validate.check(record)
    except (TypeError, ValueError):
        return None  # it is said where its task is made
    if not is_complete(record, why):
        return None
    parent = split(record.path)[0]
    problem = not_as_recorded(record.path)
    for place in (record.path, parent):
        problem = problem or validate.not_ours(place)
    problem = problem or unfit(record, why)
    why = why if why == REMAINS else f"{why}, and whole: its record is completed"
    return Task((record,), str(record.recipe["kind"]), why, parent, (), problem)


def _impossible(record: "Record", why: str, problem: str) -> Task:
    kind = str(record.recipe.get("kind", ""))
    return Task((record,), kind, why, split(record.path)[0], (), problem)


def _away(record: "Record", absence: str) -> Task:
    problem = f"it is away: {absence}; --map OLD=NEW tells where its project is now"
    return _impossible(record, status.AWAY, problem)


def _with_neighbours(task: Task) -> Task:
    """Refuse what would remove something from directories that are not to be rebuilt."""
    if task.kind != "node" or task.problem or not task.commands:
        return task
    lock = str(task.records[0].recipe["lock"])
    paths = [record.path for record in task.records]
    command = " ".join(task.commands[0])
    return task._replace(problem=neighbours.in_the_way(task.directory, lock, command, paths))


def _task(record: "Record", why: str, by_name: "Mapping[str, Rule]") -> Task:
    kind = str(record.recipe.get("kind", ""))
    make = _MAKERS.get(kind)
    if make is None:
        return _impossible(record, why, f"regrow knows no recipe of kind {kind!r}")
    try:
        validate.check(record)
        task = make(record, why, by_name)
    except KeyError as error:
        return _impossible(record, why, f"its record can't be used: it has no {error}")
    except (LookupError, TypeError, ValueError) as error:
        return _impossible(record, why, f"its record can't be used: {error}")
    parent = split(record.path)[0]
    problem = not_as_recorded(record.path)
    # A build directory may stand anywhere; of the others the project is beside.
    for place in {task.directory} if kind in ("cmake", "meson") else {parent, task.directory}:
        if not problem and not os.path.isdir(place) and not _is_in_container(record.path, by_name):
            problem = f"its project is not there: {place}; --map OLD=NEW tells where it is now"
    problem = problem or task.problem
    for place in (record.path, parent, task.directory):
        problem = problem or validate.not_ours(place)
    return task._replace(problem=problem or unfit(record, why))


def unfit(record: "Record", why: str) -> str:
    """Return why a record must not be acted on, as things stand now; empty: it may be.

    Args:
        record: the record, of a form that regrow writes.
        why: what is wrong with its directory.
    """
    is_same = why.startswith((UNFINISHED, BROKEN))
    try:
        return validate.not_described(record, is_same=is_same) or validate.foreign_source(record)
    except OSError as error:
        return f"it can't be looked at: {in_words(error)}"


def _with_notes(task: Task, trusted: "Collection[str]") -> Task:
    if task.problem or not task.commands:
        return task
    interpreter, note = "", ""
    if task.kind == "python":
        interpreter, note = interpreters.choose(task.records[0], trusted)
    found = [*notes.of(task.records[0], task.directory), *validate.others_sources(task.records[0])]
    return task._replace(interpreter=interpreter, notes=(*([note] if note else []), *found))


def _is_in_container(path: str, by_name: "Mapping[str, Rule]") -> bool:
    from regrow.rules import loader

    return any(
        rule.container and is_below(path, place)
        for place, rule in loader.at_home(by_name.values()).items()
    )


def creator_of(recipe: "Recipe") -> str:
    """Choose what makes an environment and installs into it: uv where it is, else venv and pip.

    What was not made by uv is left to pip where pip has indexes of its own.
    """
    is_uvs = str(recipe.get("creator", "")).startswith("uv ")
    if not creators.is_here(creators.UV) or (not is_uvs and indexes.are_set_for_pip()):
        return creators.VENV
    return creators.UV


def _python(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    if why.startswith(BROKEN):
        record = _as_it_is(record)
    requirements = validate.requirements(record)
    validate.check_version(record)
    version = str(record.recipe.get("version", ""))
    creator = creator_of(record.recipe)
    make = ("uv", "venv") if creator == "uv" else ("python3", "-m", "venv")
    install = ("uv", "pip", "install") if creator == "uv" else ("pip", "install")
    commands: list[tuple[str, ...]] = [
        (*make, *(("--python", version) if version and creator == "uv" else ()), record.path)
    ]
    if requirements:
        plural = "" if len(requirements) == 1 else "s"
        count = f"({len(requirements)} requirement{plural} of the record)"
        commands.append((*install, "--no-deps", "-r", count))
    return Task((record,), "python", why, split(record.path)[0], tuple(commands))


def _as_it_is(record: "Record") -> "Record":
    """Return the record of an environment with what is in it now, if that is no less.

    Packages may have come, or come in other versions, since it was recorded.
    """
    try:
        now = build_recipe("python", record.path, split(record.path)[0]).recipe
    except RecipeError:
        return record
    if not compare.missing(record.recipe, now):
        return record._replace(recipe={**record.recipe, "requirements": now["requirements"]})
    return record


def _node(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    command = tuple(validate.texts(record.recipe["command"]))
    if command not in node.COMMANDS:
        raise ValueError(f"{' '.join(command)} is no command that regrow writes for Node.js")
    directory = validate.project(record)
    task = Task((record,), "node", why, directory, (command,), _missing_program(command[0]))
    lock = str(record.recipe["lock"])
    if record.recipe.get("lock_is_copied"):
        if lock not in ATTACHMENTS:
            raise ValueError(f"{lock} is no lock that regrow copies")
    elif lock not in [os.path.join(directory, name) for name in node.LOCKS]:
        raise ValueError(f"{lock} is no lock of its project {directory}")
    elif not os.path.isfile(lock):
        return task._replace(problem=task.problem or f"its lock is not there: {lock}")
    return task


def _conda(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    validate.addresses(record)
    validate.requirements(record)
    program = next((name for name in _CONDA if find_program(name)), "")
    command = (program or "conda", "create", "--yes", "--prefix", record.path, "--file", "(list)")
    problem = "" if program else _missing_program("conda")
    return Task((record,), "conda", why, split(record.path)[0], (command,), problem)


def _pixi(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    command = tuple(validate.texts(record.recipe["command"]))
    if command[:2] != ("pixi", "install") or not {"--all", "--frozen"}.issuperset(command[2:]):
        raise ValueError(f"{' '.join(command)} is no command that regrow writes for pixi")
    directory = validate.project(record)
    return Task((record,), "pixi", why, directory, (command,), _missing_program("pixi"))


def _configured(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    kind = str(record.recipe["kind"])
    configure = tuple(validate.texts(record.recipe["configure"]))
    build = tuple(validate.texts(record.recipe["build"]))
    if not cmake.is_own(kind, configure, build, record.path):
        raise ValueError(f"its commands are none that regrow writes for {kind}")
    source = validate.absolute(record.recipe["source"])
    if configure[_SOURCE[kind]] != source:
        raise ValueError(f"its commands are for another source directory than {source}")
    return Task((record,), kind, why, source, (configure, build), _missing_program(kind))


def _command(record: "Record", why: str, by_name: "Mapping[str, Rule]") -> Task:
    from shlex import split as words_of

    directory = validate.project(record)
    rule = by_name.get(record.rule)
    if rule is None:
        problem = f"no rule is named {record.rule} any more; run its command yourself"
        return Task((record,), "command", why, directory, (), problem)
    validate.check_name(record, rule)
    command = tuple(words_of(rule.command))  # the rule's, whatever the record says
    problem = _missing_program(command[0])
    if rule.manual:
        problem = f"its command wants more than regrow knows: {rule.note}"
    return Task((record,), "command", why, directory, (command,), problem)


def _contents(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    return Task((record,), CONTENTS, why, split(record.path)[0], ())


_MAKERS = {
    "python": _python,
    "node": _node,
    "conda": _conda,
    "pixi": _pixi,
    "cmake": _configured,
    "meson": _configured,
    "command": _command,
    CONTENTS: _contents,
}


def _missing_program(name: str) -> str:
    if find_program(name):
        return ""
    hint = HOW_TO_GET.get(name)
    return f"{name} is not on PATH" + (f": {hint}" if hint else "; install it and try again")
