"""The recipe of a Python environment: the interpreter, and every distribution in it.

Everything is read from metadata; the interpreter is not run, and neither is anything installed.
"""

import os

from regrow.recipes import interpreter
from regrow.recipes.distributions import (
    Distribution,
    check_reinstallable,
    local_path,
    read_distributions,
    site_packages,
)
from regrow.recipes.locks import locks_of
from regrow.recipes.recipe import RecipeError, RecipeResult
from regrow.recipes.unowned import find_unowned
from regrow_marks.directory import join, split
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import read

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe


def build(path: str, project: str) -> RecipeResult:
    """Return the recipe of a virtual environment.

    Args:
        path: the environment.
        project: where its project's lock files are looked for.

    Returns:
        The recipe. Its requirements are lines that pip and uv read.

    Raises:
        RecipeError: a distribution can't be described.
        OSError, ValueError: the metadata can't be read.
    """
    data = read(os.path.join(path, "pyvenv.cfg"))
    if data is None:
        raise RecipeError("it has no pyvenv.cfg")
    settings = interpreter.parse_pyvenv_cfg(os.fsdecode(data))
    remarks: list[str] = []
    distributions: list[Distribution] = []
    places = site_packages(path)
    if not places and os.path.lexists(os.path.join(path, "lib")):
        raise RecipeError("its lib/ holds no site-packages, or it is behind a symbolic link")
    for place in places:
        distributions += read_distributions(place, remarks)
    check_reinstallable(distributions, path)
    distributions.sort(key=lambda d: d.name.lower())
    unowned = find_unowned(path, places)
    recipe: Recipe = {
        "kind": "python",
        **interpreter.describe(path, settings),
        "requirements": list(dict.fromkeys(d.requirement for d in distributions)),
        **locks_of(project, distributions),
    }
    if unowned:
        recipe["unowned"] = unowned
        shown = ", ".join(unowned[:5]) + (", …" if len(unowned) > 5 else "")
        remarks.append(f"no package brings these files in it back: {shown}")
    return RecipeResult(recipe, (), tuple(remarks))


def inputs_inside(path: str) -> list[str]:
    """Return the paths inside an environment that its recipe depends on; see ``inputs_of``."""
    packages = site_packages(path)
    found = [join(path, name) for name in ("lib", "src", "bin", "bin/python")]
    for place in packages:
        found += (place, split(place)[0], split(split(place)[0])[0])
    return found


def inputs_outside(recipe: "Recipe", project: str) -> list[str]:
    """Return the paths outside an environment that its recipe depends on; see ``inputs_of``."""
    found = [project]  # locks appear in it
    locks, requirements = recipe.get("locks", ()), recipe.get("requirements", ())
    found += (os.path.join(project, name) for name in locks)  # type: ignore[union-attr]
    found.append(str(recipe.get("interpreter") or project))
    for line in requirements:  # type: ignore[union-attr]
        # What was installed from a local place is refused once that is gone.
        target = line.removeprefix("-e ") if line.startswith("-e ") else line.partition(" @ ")[2]
        if not target:
            continue  # it came from an index
        source = target if target.startswith("/") else local_path(target.partition("#")[0])
        if source:
            found.append(source)
    return found
