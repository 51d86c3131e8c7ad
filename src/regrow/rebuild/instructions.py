"""How a recorded directory comes back: one function per kind of recipe.

A record is a file that anybody may have changed. Only what regrow would have written itself is
turned into commands; anything else is refused by an exception whose text says what is wrong.
"""

import os

from regrow.rebuild import environment, validate
from regrow.rebuild.command import Command, Instructions, placeholder
from regrow.recipes import cmake, node
from regrow.records.store import ATTACHMENTS
from regrow.system.program import find_program
from regrow_marks.directory import split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from regrow.model import Record, Rule

CONTENTS = "contents"
"""The kind of recipe of a directory that comes back by what is in it."""

BUILDS = ("cmake", "meson", "command")
"""The kinds of recipe whose commands are run only with ``--builds``."""

_HOW_TO_GET = {
    "npm": "it comes with Node.js",
    "pnpm": "`npm install --global pnpm` or `corepack enable`",
    "yarn": "`npm install --global yarn` or `corepack enable`",
    "bun": "`npm install --global bun`",
    "conda": "Miniforge has it; mamba and micromamba do as well",
    "pixi": "its web page tells how to install it",
}

_CONDA = ("conda", "mamba", "micromamba")
_SOURCE = {"cmake": 2, "meson": 3}  # where the source directory stands in argv


def instructions(
    record: "Record", rules: "Mapping[str, Rule]", trusted: "Collection[str]"
) -> Instructions:
    """Return how a directory comes back.

    *rules* are by name; *trusted* are the interpreters that the user trusts, wherever they stand.

    Raises:
        LookupError, TypeError, ValueError: regrow would not have written this record.
    """
    kind = str(record.recipe.get("kind", ""))
    if kind == "python":
        return environment.instructions(record, trusted)
    if kind == "command":
        return _rule_command(record, rules)
    by_kind = _BY_KIND.get(kind)
    if by_kind is None:
        problem = f"regrow knows no recipe of kind {kind!r}"
        return Instructions(split(record.path)[0], (), problem)
    return by_kind(record)


def _node(record: "Record") -> Instructions:
    argv = tuple(validate.texts(record.recipe["command"]))
    if argv not in node.COMMANDS:
        raise ValueError(f"{' '.join(argv)} is no command that regrow writes for Node.js")
    directory = validate.project(record)
    problem = _missing(argv[0])
    lock = str(record.recipe["lock"])
    if record.recipe.get("lock_is_copied"):
        if lock not in ATTACHMENTS:
            raise ValueError(f"{lock} is no lock that regrow copies")
    elif lock not in [os.path.join(directory, name) for name in node.LOCKS]:
        raise ValueError(f"{lock} is no lock of its project {directory}")
    elif not os.path.isfile(lock):
        problem = problem or f"its lock is not there: {lock}"
    return Instructions(directory, (Command(argv, directory),), problem)


def _conda(record: "Record") -> Instructions:
    explicit = validate.addresses(record)
    requirements = validate.requirements(record)
    parent = split(record.path)[0]
    conda = next((name for name in _CONDA if find_program(name)), "")
    create = (conda or "conda", "create", "--yes", "--prefix", record.path)
    file = placeholder(len(explicit), "package")
    commands = [Command((*create, "--file", file), parent, ("@EXPLICIT", *explicit))]
    if requirements:
        commands.append(environment.pip_install(record.path, requirements, parent))
    return Instructions(parent, tuple(commands), "" if conda else _missing("conda"))


def _pixi(record: "Record") -> Instructions:
    argv = tuple(validate.texts(record.recipe["command"]))
    if argv[:2] != ("pixi", "install") or not {"--all", "--frozen"}.issuperset(argv[2:]):
        raise ValueError(f"{' '.join(argv)} is no command that regrow writes for pixi")
    directory = validate.project(record)
    return Instructions(directory, (Command(argv, directory),), _missing("pixi"))


def _configured(record: "Record") -> Instructions:
    kind = str(record.recipe["kind"])
    configure = tuple(validate.texts(record.recipe["configure"]))
    build = tuple(validate.texts(record.recipe["build"]))
    if not cmake.is_own(kind, configure, build, record.path):
        raise ValueError(f"its commands are none that regrow writes for {kind}")
    source = validate.absolute(record.recipe["source"])
    if configure[_SOURCE[kind]] != source:
        raise ValueError(f"its commands are for another source directory than {source}")
    return Instructions(
        source, (Command(configure, source), Command(build, source)), _missing(kind)
    )


def _contents(record: "Record") -> Instructions:
    return Instructions(split(record.path)[0], ())


def _rule_command(record: "Record", rules: "Mapping[str, Rule]") -> Instructions:
    """Return how a rule's command brings a directory back: the rule's, not the record's."""
    from shlex import split as arguments_of

    directory = validate.project(record)
    rule = rules.get(record.rule)
    if rule is None:
        problem = f"no rule is named {record.rule} any more; run its command yourself"
        return Instructions(directory, (), problem)
    validate.check_name(record, rule)
    argv = tuple(arguments_of(rule.command))
    problem = _missing(argv[0])
    if rule.manual:
        problem = f"its command wants more than regrow knows: {rule.note}"
    return Instructions(directory, (Command(argv, directory),), problem)


_BY_KIND: "dict[str, Callable[[Record], Instructions]]" = {
    "node": _node,
    "conda": _conda,
    "pixi": _pixi,
    "cmake": _configured,
    "meson": _configured,
    CONTENTS: _contents,
}


def _missing(name: str) -> str:
    """Return why a program can't be run, and how to get it; empty: it is on PATH."""
    if find_program(name):
        return ""
    hint = _HOW_TO_GET.get(name)
    return f"{name} is not on PATH" + (f": {hint}" if hint else "; install it and try again")
