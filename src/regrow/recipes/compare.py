"""How two recipes of one directory differ: is what stands there all that was recorded?"""

import os
import re

from regrow.recipes.distributions import SEEDS, canonical
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

_HASH = re.compile(r"#sha\d+=[0-9a-f]+$|(?<=#)sha\d+=[0-9a-f]+&")
_LISTS = ("explicit", "requirements")  # conda's packages, and those that pip or uv installed

_OF_NO_WEIGHT = ("stamp", "locks", "agrees_with", "unowned", "made_by", "creator", "command")


def name_of(requirement: str) -> str:
    """Return the normalised name of what a requirement installs; of an editable one, the line."""
    if requirement.startswith("-e "):
        return requirement
    return canonical(re.split(r"==| @ ", requirement)[0])


def packages(recipe: "Recipe") -> dict[str, str]:
    """Return the packages that a recipe lists: each one's line by its normalised name.

    What creators put in by themselves (pip, setuptools, wheel) is not among those of an
    environment. The packages of pixi's environments have the environment's name in front.
    """
    found = {}
    is_python = recipe.get("kind") == "python"
    for key in _LISTS:
        place = ""
        for line in texts(recipe, key):
            if line.startswith("["):
                place = line
                continue
            name = _conda_name(line) if key == "explicit" else name_of(line)
            if not (is_python and name in SEEDS):
                found[f"{place}{name}"] = line
    return found


def missing(recorded: "Recipe", present: "Recipe") -> list[str]:
    """Return the recorded packages that are not there, whichever version: their lines, sorted.

    Args:
        recorded: the recipe of the record.
        present: the recipe that was taken from what stands there now.
    """
    there = packages(present)
    return sorted(line for name, line in packages(recorded).items() if name not in there)


def is_poorer(recorded: "Recipe", present: "Recipe") -> bool:
    """Return whether what stands there holds less than what was recorded, and nothing besides.

    Versions don't count: in half an environment, each package may be older or newer.
    """
    return packages(present).keys() < packages(recorded).keys()


def holds_all(recipe: "Recipe", other: "Recipe") -> bool:
    """Return whether a recipe lists all that another one does, in the same versions."""
    return _lines(recipe) >= _lines(other)


def differences(recorded: "Recipe", present: "Recipe", path: str) -> list[str]:
    """Return in words how what stands there differs from what was recorded; none: it is equal.

    Args:
        recorded: the recipe of the record.
        present: the recipe that was taken from what stands there now.
        path: the directory.
    """
    before, after = _lines(recorded), _lines(present)
    found = [f"not installed: {line}" for line in sorted(before - after)]
    found += [f"installed besides: {line}" for line in sorted(after - before)]
    wanted, version = recorded.get("version"), present.get("version")
    if wanted and wanted != version:
        found.append(f"it has Python {version}, where Python {wanted} was")
    unowned = texts(recorded, "unowned")
    lost = [name for name in unowned if not os.path.lexists(os.path.join(path, name))]
    if lost:
        found.append(f"no package brings these files in it back: {', '.join(lost)}")
    return found


def changes(older: "Recipe", newer: "Recipe") -> list[str]:
    """Return in words how an older recipe differs from a newer one; none: they are equal."""
    before, after = _lines(older), _lines(newer)
    found = [f"{line}, which the newer one lacks" for line in sorted(before - after)]
    found += [f"not {line}, which the newer one has" for line in sorted(after - before)]
    for key in dict.fromkeys((*older, *newer)):
        one, other = older.get(key), newer.get(key)
        if key not in (*_LISTS, *_OF_NO_WEIGHT) and one != other:
            found.append(f"{key} {_shown(one)}; the newer one has {_shown(other)}")
    return found


def texts(recipe: "Recipe", key: str) -> list[str]:
    """Return a recipe's list as texts; what is no list, or missing, has none."""
    value = recipe.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []


def _conda_name(address: str) -> str:
    """Return the name in the address of a conda package, ``…/name-version-build.conda``."""
    return address.partition("#")[0].rpartition("/")[2].rsplit("-", 2)[0]


def _lines(recipe: "Recipe") -> set[str]:
    """Return the lines of a recipe, names as indexes normalise them.

    An archive's hash is left out: it is compared when the archive is installed, and uv does not
    note it.
    """
    found = set()
    for key in _LISTS:
        for item in texts(recipe, key):
            line = _HASH.sub("", item)
            name, pin, version = line.partition("==")
            found.add(f"{canonical(name)}=={version}" if pin and " " not in name else line)
    return found


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "none" if value in (None, "") else str(value)
