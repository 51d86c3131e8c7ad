"""The rules: read from TOML, checked, and changed as the configuration asks.

To support one more tool, add a table to one of the files here and a row to its tests.
"""

import os
from functools import cache

from regrow.errors import ConfigurationError
from regrow.model import Rule
from regrow.rules import compiled
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from regrow.config import Configuration

RECIPES = ("command", "contents", "python", "conda", "pixi", "node", "cmake", "meson")

_TEXTS = ("name", "directory", "ecosystem", "recipe", "command", "documentation", "note", "keep")
_NAMES = ("beside", "beside_all", "inside", "inside_all", "inside_none", "only", "makes")
_FLAGS = ("generic", "output", "home", "container", "manual")
FIELDS = (*_TEXTS, *_NAMES, *_FLAGS, "source_outside", "targets")


@cache
def shipped() -> tuple[Rule, ...]:
    """Give the rules that come with regrow, sorted by name: compiled if they were read before.

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
    """Give the rules as the configuration leaves them.

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
    """Turn a table into a rule.

    Args:
        table: one ``[[rule]]``.
        file_name: where it stands, for messages.

    Raises:
        ConfigurationError: a field is missing, unknown, or of the wrong type; the message names
            file, rule and field.
    """
    given = table.get("name")
    name = given if isinstance(given, str) else "(without a name)"

    def broken(field: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{file_name}: rule {name}: {field}: {problem}")

    for field, value in table.items():
        if field not in FIELDS:
            raise broken(field, f"unknown field; known are {', '.join(sorted(FIELDS))}")
        if field in _NAMES:
            if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
                raise broken(field, "it must be a list of names")
        elif field in _FLAGS:
            if not isinstance(value, bool):
                raise broken(field, "it must be true or false")
        elif not isinstance(value, str):
            raise broken(field, "it must be a string")
    for field in ("name", "directory"):
        if not table.get(field):
            raise broken(field, "it is missing")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    rule = Rule(**fields)
    head, _, last = rule.directory.rpartition("/")
    if rule.directory.startswith(("/", "~")) or ".." in rule.directory.split("/"):
        raise broken("directory", "it must be a name, or a path below the project directory")
    if not last or _is_glob(head):
        raise broken("directory", "globs may stand in its last component only")
    if rule.keep:
        return rule
    evidence = (*rule.beside, *rule.beside_all, *rule.inside, *rule.inside_all)
    if not evidence and not rule.home:
        raise broken("beside", "a rule needs evidence, beside the directory or inside it")
    if rule.directory == "*" and not (rule.inside or rule.inside_all):
        raise broken("inside", "a rule for any name needs evidence inside")
    if rule.recipe not in RECIPES:
        raise broken("recipe", f"it must be one of {', '.join(RECIPES)}")
    if not rule.command:
        raise broken("command", "it is missing: what brings the directory back?")
    return rule


def _is_glob(text: str) -> bool:
    return any(character in text for character in "*?[")


def _is_cache(rule: Rule) -> bool:
    return rule.home and not rule.keep and not rule.container


def at_home(rules: "Iterable[Rule]") -> dict[str, Rule]:
    """Give the rules for what stands in the home directory, by path; those that keep left out."""
    home = os.path.realpath(os.path.expanduser("~"))
    return {f"{home}/{rule.directory}": rule for rule in rules if rule.home and not rule.keep}
