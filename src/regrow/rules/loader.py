"""Reads the rules from TOML, checks them, and changes them as the configuration asks.

To support one more tool, add a table to one of the files here and a row to its tests.
"""

import os
from functools import cache

from regrow.errors import ConfigurationError
from regrow.model import Rule
from regrow.rules import compiled
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from regrow.config import Configuration

RECIPES = ("command", "contents", "python", "conda", "pixi", "node", "cmake", "meson")


class _Kind(NamedTuple):
    """What a field holds."""

    accepts: "Callable[[Any], bool]"
    problem: str
    """What is wrong with any other value."""


def _is_names(value: "Any") -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


_TEXT = _Kind(lambda value: isinstance(value, str), "it must be a string")
_NAMES = _Kind(_is_names, "it must be a list of names")
_FLAG = _Kind(lambda value: isinstance(value, bool), "it must be true or false")

_TEXTS = ("name", "directory", "ecosystem", "recipe", "command", "documentation", "note", "keep")
_LISTS = ("beside", "beside_all", "inside", "inside_all", "inside_none", "only", "makes")
_FLAGS = ("generic", "output", "home", "container", "manual")
FIELDS = {
    **dict.fromkeys((*_TEXTS, "source_outside", "targets"), _TEXT),
    **dict.fromkeys(_LISTS, _NAMES),
    **dict.fromkeys(_FLAGS, _FLAG),
}
"""The fields of a rule."""


@cache
def shipped() -> tuple[Rule, ...]:
    """Return the rules that come with regrow, sorted by name.

    They are compiled when they are first read: see ``compiled``.

    Raises:
        ConfigurationError: a rule is broken; the message names file, rule and field.
    """
    place = os.path.dirname(__file__)  # importlib.resources costs 9 ms
    names = sorted(name for name in os.listdir(place) if name.endswith(".toml"))
    key = compiled.key(place, names)
    rules = compiled.load(key)
    if rules is None:
        rules = _read(place, names)
        compiled.save(key, rules)
    return rules


def _read(place: str, names: "Iterable[str]") -> tuple[Rule, ...]:
    import tomllib

    found: list[Rule] = []
    for name in names:
        with open(os.path.join(place, name), "rb") as file:
            tables = tomllib.load(file).get("rule", [])
        found += (check(table, f"rules/{name}") for table in tables)
    return tuple(sorted(found))


def active_rules(configuration: "Configuration", file_name: str) -> tuple[Rule, ...]:
    """Return the rules as the configuration changes them.

    A ``[[rule]]`` with the name of one of regrow's changes the fields that it states; another name
    adds a rule. ``disable`` takes rules away, and ``caches`` chooses among those for home caches.

    Args:
        configuration: the user's settings.
        file_name: the configuration file, for messages.

    Returns:
        The rules, sorted by name; those for home caches only if the configuration names them.

    Raises:
        ConfigurationError: a rule is broken, or a name is unknown.
    """
    rules = {rule.name: rule for rule in shipped()}
    for table in configuration.rules:
        name = table.get("name")
        base = rules[name]._asdict() if isinstance(name, str) and name in rules else {}
        stated = {key: value for key, value in base.items() if value not in ("", (), False)}
        changed = {key: list(v) if isinstance(v, tuple) else v for key, v in stated.items()}
        rule = check({**changed, **table}, file_name)
        rules[rule.name] = rule
    for name in configuration.disable:
        if rules.pop(name, None) is None:
            raise ConfigurationError(f"{file_name}: disable: there is no rule {name!r}")
    caches = {path.removeprefix("~/").rstrip("/") for path in configuration.caches}
    known = {rule.directory for rule in rules.values() if _is_cache(rule)}
    for unknown in sorted(caches - known):
        raise ConfigurationError(
            f"{file_name}: caches: regrow knows no home cache ~/{unknown}; `regrow mark` takes any"
            " directory on your word"
        )
    return tuple(
        rule for rule in sorted(rules.values()) if not _is_cache(rule) or rule.directory in caches
    )


def check(table: "dict[str, Any]", file_name: str) -> Rule:
    """Return the rule that a table describes.

    Args:
        table: one ``[[rule]]``.
        file_name: where it stands, for messages.

    Raises:
        ConfigurationError: a field is missing, unknown, or of the wrong type; the message names
            file, rule and field.
    """
    name = table.get("name")
    where = f"{file_name}: rule {name if isinstance(name, str) else '(without a name)'}"
    for field, problem in _problems_of_fields(table):
        raise ConfigurationError(f"{where}: {field}: {problem}")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    rule = Rule(**fields)
    for field, problem in _problems(rule):
        raise ConfigurationError(f"{where}: {field}: {problem}")
    return rule


def _problems_of_fields(table: "dict[str, Any]") -> "Iterator[tuple[str, str]]":
    """Yield each field that is unknown, of the wrong type or missing, and what is wrong with it."""
    for field, value in table.items():
        kind = FIELDS.get(field)
        if kind is None:
            yield field, f"unknown field; known are {', '.join(sorted(FIELDS))}"
        elif not kind.accepts(value):
            yield field, kind.problem
    for field in ("name", "directory"):
        if not table.get(field):
            yield field, "it is missing"


def _problems(rule: Rule) -> "Iterator[tuple[str, str]]":
    """Yield each field whose value makes no sense in its rule, and what is wrong with it."""
    head, _, last = rule.directory.rpartition("/")
    if rule.directory.startswith(("/", "~")) or ".." in rule.directory.split("/"):
        yield "directory", "it must be a name, or a path below the project directory"
    if not last or _is_glob(head):
        yield "directory", "globs may stand in its last component only"
    if rule.keep:
        return
    evidence = (*rule.beside, *rule.beside_all, *rule.inside, *rule.inside_all)
    if not evidence and not rule.home:
        yield "beside", "a rule needs evidence, beside the directory or inside it"
    if rule.directory == "*" and not (rule.inside or rule.inside_all):
        yield "inside", "a rule for any name needs evidence inside"
    if rule.recipe not in RECIPES:
        yield "recipe", f"it must be one of {', '.join(RECIPES)}"
    if not rule.command:
        yield "command", "it is missing: what brings the directory back?"


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def _is_cache(rule: Rule) -> bool:
    return rule.home and not rule.keep and not rule.container


def at_home(rules: "Iterable[Rule]") -> dict[str, Rule]:
    """Return the rules for the home directory by path, without those that keep something."""
    home = os.path.realpath(os.path.expanduser("~"))
    return {f"{home}/{rule.directory}": rule for rule in rules if rule.home and not rule.keep}
