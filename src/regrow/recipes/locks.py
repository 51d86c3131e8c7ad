"""The lock files of a Python project: what they pin, and which agree with an environment."""

import os
import re

from regrow.recipes.distributions import SEEDS, canonical
from regrow.recipes.files import parse_json
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import LOCK_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.recipes.distributions import Distribution

LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.txt")
_PINS = 100_000  # of one lock
_TABLES = 1_000_000  # of one lock: a second's work
_PIN = re.compile(
    rb"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]\n]*\])? *== *([^\s;#\\]+)", re.MULTILINE
)
# What the tools write, line by line: a TOML parser takes longer than all the rest together, and
# minutes for a file that somebody made to keep it busy.
_TABLE = re.compile(rb'^(\[.*)|^(name|version) = "([^"\\\n]*)"', re.MULTILINE)


def locks_of(project: str, distributions: "Sequence[Distribution]") -> dict[str, list[str]]:
    """Return a project's lock files, and those of them that agree with an environment.

    A lock agrees if it pins the version of all that was installed from an index. It may pin more,
    for other platforms and groups.

    Returns:
        What the recipe holds: the names of the ``locks``, and of those it ``agrees_with``. Nothing
        where there is no lock.
    """
    try:
        names = sorted(os.listdir(project))
    except OSError:
        return {}
    locks = [name for name in names if name in LOCKS or _REQUIREMENTS.fullmatch(name)]
    if not locks:
        return {}
    installed = {canonical(one.name) for one in distributions}
    from_index = {
        canonical(one.name): one.version
        for one in distributions
        if one.is_pinned and canonical(one.name) not in SEEDS
    }
    agreeing = []
    for lock in locks:
        try:
            pins = _pins(os.path.join(project, lock))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a lock that can't be read agrees with nothing
        is_about_it = bool(pins) and (bool(from_index) or installed.issuperset(pins))
        if is_about_it and all(version in pins.get(n, ()) for n, version in from_index.items()):
            agreeing.append(lock)
    return {"locks": locks, "agrees_with": agreeing}


def _pins(path: str) -> dict[str, set[str]]:
    """Return the versions that a lock file allows, by canonical name."""
    data = read(path, LOCK_LIMIT) or b""
    if path.endswith(".txt"):
        found = _in_requirements(data)
    elif path.endswith("Pipfile.lock"):
        found = _in_pipfile_lock(data)
    else:
        found = _in_tables(data)
    pins: dict[str, set[str]] = {}
    for count, (name, version) in enumerate(found):
        if count == _PINS:
            raise ValueError(f"{path}: it pins more than {_PINS:,} distributions")
        pins.setdefault(canonical(name), set()).add(version)
    return pins


def _in_requirements(data: bytes) -> "Iterator[tuple[str, str]]":
    for pin in _PIN.finditer(data):
        yield pin[1].decode(), pin[2].decode()


def _in_pipfile_lock(data: bytes) -> "Iterator[tuple[str, str]]":
    lock = parse_json(data)
    for section in ("default", "develop"):
        for name, entry in lock.get(section, {}).items():
            yield name, str(entry.get("version", "")).removeprefix("==")


def _in_tables(data: bytes) -> "Iterator[tuple[str, str]]":
    if data.count(b"\n[") > _TABLES:
        raise ValueError(f"it has more than {_TABLES:,} tables")
    name = ""
    is_package = False
    for line in _TABLE.finditer(data):
        header, key, value = line.groups()
        if header:
            name = ""
            is_package = header.strip() in (b"[[package]]", b"[[packages]]")
        elif is_package and key == b"name":
            name = value.decode()
        elif is_package and name:
            yield name, value.decode()
