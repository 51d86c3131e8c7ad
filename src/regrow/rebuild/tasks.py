"""What is to be rebuilt: the records whose directories are missing or broken, as tasks."""

import os
import re
import shutil

from regrow import journal
from regrow.directory import is_below, split
from regrow.plain import TYPE_CHECKING, NamedTuple
from regrow.recipes import cmake, node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from regrow.model import Record, Rule

MISSING = "missing"
HOLLOW = "empty"
UNFINISHED = "unfinished"
BROKEN = "broken"

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
HOLLOW_NAMES = frozenset(("CACHEDIR.TAG", ".DS_Store"))
"""What backups and file managers leave of a directory whose contents were left out."""

# Lines that regrow writes (recipes/python.py). A record is a file that anybody may have changed:
# no other option of pip's gets through.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*==[\w.!+-]+"
    r"|[A-Za-z0-9][\w.-]* @ [a-z+]+:[^\s]+"
    r"|-e (/[\w/.+@-]+|file:///[^\s]+)",
    re.ASCII,
)


class Task(NamedTuple):
    """What brings one or several directories back in one go."""

    records: "tuple[Record, ...]"
    """Those that come back together: a workspace has one ``node_modules`` a member."""
    kind: str
    why: str
    """``MISSING``, ``HOLLOW``, ``UNFINISHED`` or ``BROKEN``, with what is wrong with it."""
    directory: str
    """Where the commands are run."""
    commands: tuple[tuple[str, ...], ...]
    """What is run, as people are shown it."""
    problem: str = ""
    """Why it can't be done, and what to do about that."""

    @property
    def path(self) -> str:
        """The first of the directories."""
        return self.records[0].path

    @property
    def is_build(self) -> bool:
        """Whether it is carried out only with ``--builds``."""
        return self.kind in BUILDS


def find(recorded: "Iterable[Record]", in_force: "Sequence[Rule]") -> list[Task]:
    """Make the tasks of the records whose directories are missing or broken.

    Args:
        recorded: the records.
        in_force: the rules.

    Returns:
        The tasks, by path. Those that can't be done say why.
    """
    by_name = {rule.name: rule for rule in in_force}
    tasks: dict[tuple[object, ...], Task] = {}
    for record in sorted(recorded, key=lambda record: record.path):
        why = what_is_wrong(record)
        if not why or record.recipe.get("kind") in ("none", "contents"):
            continue
        task = _task(record, why, by_name)
        # What one command brings back is one task.
        key = (task.directory, task.commands) if task.kind == "node" else (record.path,)
        if key in tasks:
            task = tasks[key]._replace(records=(*tasks[key].records, record))
        tasks[key] = task
    return list(tasks.values())


def what_is_wrong(record: "Record") -> str:
    """Tell why a directory has to be rebuilt; empty: it exists and is sound."""
    state = journal.what_became_of(record).state
    if state == journal.UNFINISHED:
        return UNFINISHED
    try:
        found = os.listdir(record.path)
    except FileNotFoundError:
        return MISSING
    except OSError:
        return ""  # a file, a link, or out of reach: not ours to touch
    if os.path.islink(record.path):
        return ""
    if HOLLOW_NAMES.issuperset(found):
        return HOLLOW
    if record.recipe.get("kind") == "python":
        python = os.path.join(record.path, "bin", "python")
        if "pyvenv.cfg" in found and os.path.islink(python) and not os.path.exists(python):
            return f"{BROKEN}: its interpreter {os.path.realpath(python)} is gone"
    return ""


def _task(record: "Record", why: str, by_name: "Mapping[str, Rule]") -> Task:
    kind = str(record.recipe.get("kind", ""))
    parent = split(record.path)[0]
    make = _MAKERS.get(kind)
    if make is None:
        return Task((record,), kind, why, parent, (), f"regrow knows no recipe of kind {kind!r}")
    try:
        task = make(record, why, by_name)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"its record can't be used: {error}"
        return Task((record,), kind, why, parent, (), problem)
    if task.problem:
        return task
    home = task.directory if kind != "python" else parent
    if not os.path.isdir(home):
        container = _is_in_container(record.path, by_name)
        if not container:
            return task._replace(problem=f"its project is not there: {home}")
    return task


def _is_in_container(path: str, by_name: "Mapping[str, Rule]") -> bool:
    from regrow import rules

    return any(
        rule.container and is_below(path, place)
        for place, rule in rules.at_home(by_name.values()).items()
    )


def _python(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    requirements = _requirements(record)
    version = str(record.recipe.get("version", ""))
    creator = "uv" if shutil.which("uv") else "venv"
    make = ("uv", "venv") if creator == "uv" else ("python3", "-m", "venv")
    install = ("uv", "pip", "install") if creator == "uv" else ("pip", "install")
    commands: list[tuple[str, ...]] = [
        (*make, *(("--python", version) if version and creator == "uv" else ()), record.path)
    ]
    if requirements:
        count = f"({len(requirements)} requirements of the record)"
        commands.append((*install, "--no-deps", "-r", count))
    return Task((record,), "python", why, split(record.path)[0], tuple(commands))


def _node(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    command = tuple(_texts(record.recipe["command"]))
    if command not in node.COMMANDS:
        raise ValueError(f"{' '.join(command)} is no command that regrow writes for Node.js")
    directory = _absolute(record.recipe["directory"])
    task = Task((record,), "node", why, directory, (command,), _missing_program(command[0]))
    lock = str(record.recipe["lock"])
    if not record.recipe.get("lock_is_copied") and not os.path.isfile(lock):
        return task._replace(problem=task.problem or f"its lock is not there: {lock}")
    return task


def _requirements(record: "Record") -> list[str]:
    lines = _texts(record.recipe["requirements"])
    for line in lines:
        if not _REQUIREMENT.fullmatch(line):
            raise ValueError(f"{line!r} is no requirement that regrow writes")
    return lines


def _conda(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    for line in _texts(record.recipe["explicit"]):
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s]+", line):
            raise ValueError(f"{line!r} is no address of a package")
    _requirements(record)
    program = next((name for name in _CONDA if shutil.which(name)), "")
    command = (program or "conda", "create", "--yes", "--prefix", record.path, "--file", "(list)")
    problem = "" if program else _missing_program("conda")
    return Task((record,), "conda", why, split(record.path)[0], (command,), problem)


def _pixi(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    command = tuple(_texts(record.recipe["command"]))
    if command[:2] != ("pixi", "install") or not {"--all", "--frozen"}.issuperset(command[2:]):
        raise ValueError(f"{' '.join(command)} is no command that regrow writes for pixi")
    directory = _absolute(record.recipe["directory"])
    return Task((record,), "pixi", why, directory, (command,), _missing_program("pixi"))


def _configured(record: "Record", why: str, _: "Mapping[str, Rule]") -> Task:
    kind = str(record.recipe["kind"])
    configure = tuple(_texts(record.recipe["configure"]))
    build = tuple(_texts(record.recipe["build"]))
    if not cmake.is_own(kind, configure, build, record.path):
        raise ValueError(f"its commands are none that regrow writes for {kind}")
    source = _absolute(record.recipe["source"])
    return Task((record,), kind, why, source, (configure, build), _missing_program(kind))


def _command(record: "Record", why: str, by_name: "Mapping[str, Rule]") -> Task:
    from shlex import split as words_of

    directory = _absolute(record.recipe["directory"])
    rule = by_name.get(record.rule)
    if rule is None:
        problem = f"no rule is named {record.rule} any more; run its command yourself"
        return Task((record,), "command", why, directory, (), problem)
    command = tuple(words_of(rule.command))  # the rule's, whatever the record says
    problem = _missing_program(command[0])
    if rule.manual:
        problem = f"its command wants more than regrow knows: {rule.note}"
    return Task((record,), "command", why, directory, (command,), problem)


_MAKERS = {
    "python": _python,
    "node": _node,
    "conda": _conda,
    "pixi": _pixi,
    "cmake": _configured,
    "meson": _configured,
    "command": _command,
}


def _missing_program(name: str) -> str:
    if shutil.which(name):
        return ""
    hint = HOW_TO_GET.get(name)
    return f"{name} is not on PATH" + (f": {hint}" if hint else "; install it and try again")


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{value!r} is no list of words")
    if any("\0" in item or "\n" in item for item in value):
        raise ValueError("a word has a line break or a null character in it")
    return value


def _absolute(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is no absolute path")
    return value
