"""The recipes of conda's and pixi's environments: what conda-meta lists, and what pip added."""

import os
import re

from regrow.recipes import harmless
from regrow.recipes.distributions import check_reinstallable, read_distributions, site_packages
from regrow.recipes.files import parse_json
from regrow.recipes.recipe import CUT, RecipeError, RecipeResult
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import read

if TYPE_CHECKING:
    from typing import Any

    from regrow.recipes.recipe import Recipe

_LIMIT = 64 * 1024 * 1024  # bytes of one package's file; it lists every file that it installed
_PACKAGES = 5_000  # of one environment; large ones have 1,000
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


def build(path: str) -> RecipeResult:
    """Return the recipe of a conda environment.

    Its ``explicit`` holds the lines of ``conda list --explicit --md5``, by name.

    Raises:
        RecipeError: a package has no address, or what pip added can't be described.
        OSError, ValueError: the metadata can't be read.
    """
    place = os.path.join(path, "conda-meta")
    explicit = []
    remarks: list[str] = []
    owned: set[str] = set()
    entries = [entry for entry in os.listdir(place) if entry.endswith(".json")]
    if len(entries) > _PACKAGES:
        raise RecipeError(f"its conda-meta names more than {_PACKAGES:,} packages")
    for entry in sorted(entries):
        package = _read_package(os.path.join(place, entry), entry)
        explicit.append(_address(package, entry, remarks))
        files = package.get("files")
        for file in files if isinstance(files, list) else ():
            if isinstance(file, str) and "/site-packages/" in file:
                owned.add(file.partition("/site-packages/")[2].partition("/")[0])
    if not explicit:
        raise RecipeError("its conda-meta names no package")
    distributions = []
    for packages in site_packages(path):
        distributions += read_distributions(packages, remarks, owned)
    check_reinstallable(distributions, path)
    recipe: Recipe = {
        "kind": "conda",
        "explicit": explicit,
        "requirements": [distribution.requirement for distribution in distributions],
    }
    return RecipeResult(recipe, (), tuple(remarks))


def build_pixi(path: str, project: str) -> RecipeResult:
    """Return the recipe of the environments that pixi keeps for a project.

    Args:
        path: the directory ``.pixi/envs``.
        project: where pixi.toml and pixi.lock stand.

    Returns:
        The recipe; in ``explicit`` and ``requirements`` each environment's lines follow its name,
        in brackets.

    Raises:
        RecipeError: there is no environment in it, or one can't be described.
        OSError, ValueError: the metadata can't be read.
    """
    explicit: list[str] = []
    requirements: list[str] = []
    remarks: list[str] = []
    for name in environments(path):
        try:
            built = build(os.path.join(path, name))
        except RecipeError as error:
            raise RecipeError(f"the environment {name} in it: {error}") from error
        for lines, key in ((explicit, "explicit"), (requirements, "requirements")):
            found = built.recipe[key]
            if isinstance(found, list) and found:
                lines += [f"[{name}]", *found]
        remarks += built.remarks
    if not explicit:
        raise RecipeError("it holds no environment that pixi made")
    is_locked = os.path.isfile(os.path.join(project, "pixi.lock"))
    recipe: Recipe = {
        "kind": "pixi",
        "command": ["pixi", "install", "--all", *(["--frozen"] if is_locked else [])],
        "directory": project,
        "explicit": explicit,
        "requirements": requirements,
    }
    return RecipeResult(recipe, (), tuple(remarks))


def environments(path: str) -> list[str]:
    """Return the names of the environments in ``.pixi/envs``; links are none."""
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def _read_package(file: str, entry: str) -> "dict[str, Any]":
    try:
        package = parse_json(read(file, _LIMIT) or b"")
    except ValueError as error:
        raise RecipeError(f"conda-meta/{entry} in it can't be read: {error}") from error
    if not isinstance(package, dict):
        raise RecipeError(f"conda-meta/{entry} in it describes no package")
    return package


def _address(package: "dict[str, Any]", entry: str, remarks: list[str]) -> str:
    """Return a package's line of the explicit list."""
    url = package.get("url")
    if not isinstance(url, str) or "://" not in url:
        raise RecipeError(f"conda-meta/{entry} names no address to get it from")
    try:
        clean, was_cut = harmless.address(url)
    except ValueError as error:
        raise RecipeError(f"conda-meta/{entry}: {error}") from error
    if was_cut:
        remarks.append(f"{CUT}the address of {entry}")
    clean = clean.partition("#")[0]
    for key in ("md5", "sha256"):  # conda and its kin take either behind the address
        checksum = package.get(key)
        if isinstance(checksum, str) and _HASH.fullmatch(checksum):
            return f"{clean}#{checksum}"
    return clean
