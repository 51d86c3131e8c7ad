"""The recipe of a conda environment: the explicit list from conda-meta, and what pip added."""

import json
import os
import re

from regrow.plain import TYPE_CHECKING
from regrow.recipes import RecipeError, Taken
from regrow.recipes.files import read_text
from regrow.recipes.python import read_distributions, site_packages
from regrow.recipes.urls import without_credentials

if TYPE_CHECKING:
    from regrow.recipes import Recipe

_LIMIT = 64 * 1024 * 1024  # bytes of one package's file; it lists every file that it installed
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_INSTALLERS = ("pip", "uv", "poetry")


def take(path: str) -> Taken:
    """Take the recipe of a conda environment.

    Args:
        path: the environment.

    Returns:
        The recipe; ``explicit`` holds the lines of ``conda list --explicit --md5``.

    Raises:
        RecipeError: a package has no address.
    """
    place = os.path.join(path, "conda-meta")
    explicit = []
    remarks = []
    for entry in sorted(os.listdir(place)):
        if not entry.endswith(".json"):
            continue
        package = json.loads(read_text(os.path.join(place, entry), _LIMIT) or "{}")
        url = package.get("url")
        if not isinstance(url, str) or "://" not in url:
            raise RecipeError(f"conda-meta/{entry} names no address to get it from")
        clean, was_cut = without_credentials(url)
        if was_cut:
            remarks.append(f"credentials were cut out of the address of {package.get('name')}")
        checksum = str(package.get("md5", ""))
        explicit.append(f"{clean}#{checksum}" if _HASH.fullmatch(checksum) else clean)
    if not explicit:
        raise RecipeError("its conda-meta names no package")
    requirements: list[str] = []
    for packages in site_packages(path):
        requirements += (
            distribution.requirement
            for distribution in read_distributions(packages, remarks, by=_INSTALLERS)
        )
    recipe: Recipe = {
        "kind": "conda",
        "explicit": explicit,
        "requirements": requirements,
    }
    return Taken(recipe, (), tuple(remarks))
