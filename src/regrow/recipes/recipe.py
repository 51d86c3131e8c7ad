"""How a directory comes back: one module per kind of recipe, and the choice among them."""

import os

from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow.model import Candidate, Rule

    # What TOML can hold, as records use it.
    Recipe = dict[str, str | int | bool | list[str]]


class RecipeError(RegrowError):
    """No recipe can be built; the text says why."""


class RecipeResult(NamedTuple):
    """A recipe, and what goes with it."""

    recipe: "Recipe"
    """What the record holds under ``[recipe]``, ``kind`` first."""
    files: tuple[tuple[str, bytes], ...] = ()
    """Files that are copied beside the record, name and bytes: a lock that stands nowhere else."""
    remarks: tuple[str, ...] = ()
    """Sentences that people should read: what was cut out, what no recipe brings back."""


CUT = "credentials were cut out of "
"""How a remark begins about what is not written down; whoever rebuilds has to supply it."""

_KINDS = {
    "python": "pyvenv.cfg",
    "conda": "conda-meta/history",
    "cmake": "CMakeCache.txt",
    "meson": "meson-info/meson-info.json",
}
"""By kind of recipe: what stands inside a directory that has one."""

_STAMPED = {
    "python": ("pyvenv.cfg",),
    "conda": ("conda-meta",),
    "pixi": ("",),
    "node": ("", ".package-lock.json"),
    "cmake": ("CMakeCache.txt",),
    "meson": ("meson-info", "meson-private/cmd_line.txt"),
}
"""By kind: what changes when the contents do; the empty name is the directory itself."""


def build_recipe_for(candidate: "Candidate") -> RecipeResult:
    """Return the recipe of a candidate; see ``build_recipe``. Nothing from the tree is run."""
    rule = candidate.rule
    if rule.recipe == "command":
        return command_recipe(rule, candidate.project)
    if rule.recipe == "contents":
        return RecipeResult({"kind": "contents"})
    return build_recipe(rule.recipe, candidate.path, candidate.project)


def kind_of(path: str) -> str:
    """Return the kind of recipe that a directory has, by what is inside; empty: none."""
    for kind, name in _KINDS.items():
        if os.path.lexists(f"{path}/{name}"):
            return kind
    parent, name = os.path.split(path)
    if name == "node_modules" and os.path.lexists(os.path.join(parent, "package.json")):
        return "node"
    return ""


def build_recipe(kind: str, path: str, project: str) -> RecipeResult:
    """Return the recipe of a directory.

    Args:
        kind: ``python``, ``conda``, ``pixi``, ``node``, ``cmake`` or ``meson``.
        path: the directory.
        project: the directory that it belongs to.

    Returns:
        The recipe, with the ``stamp`` of what it was taken from.

    Raises:
        RecipeError: it can't be described; the text says why.
    """
    try:
        stamp = stamp_of(kind, path)  # first: a change while it is read is noticed next time
        result = _build(kind, path, project)
    except RecipeError:
        raise
    except OSError as error:
        raise RecipeError(f"what is in it can't be read: {in_words(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Metadata are other programs' files: whatever is wrong with them, the directory stays.
        raise RecipeError(f"what is in it can't be read: {error}") from error
    for key, value in result.recipe.items():
        _check_encodable(key, value if isinstance(value, list) else [value])
    cut = [text.removeprefix(CUT) for text in result.remarks if text.startswith(CUT)]
    noted: Recipe = {"cut": list(dict.fromkeys(cut))} if cut else {}
    return result._replace(recipe={**result.recipe, **noted, "stamp": stamp})


def _check_encodable(key: str, values: "Iterable[object]") -> None:
    """Reject lone surrogates, which JSON can name: no file and no command line can hold them."""
    for value in values:
        if isinstance(value, str) and not value.isascii():
            try:
                os.fsencode(value)
            except UnicodeEncodeError as error:
                raise RecipeError(
                    f"what is in it can't be written down: {key} has half a character in it"
                ) from error


def _build(kind: str, path: str, project: str) -> RecipeResult:
    if kind == "python":
        from regrow.recipes import python

        return python.build(path, project)
    if kind == "conda":
        from regrow.recipes import conda

        return conda.build(path)
    if kind == "pixi":
        from regrow.recipes import conda

        return conda.build_pixi(path, project)
    if kind == "node":
        from regrow.recipes import node

        return node.build(path, project)
    from regrow.recipes import cmake

    return cmake.build_cmake(path) if kind == "cmake" else cmake.build_meson(path)


def stamp_of(kind: str, path: str) -> int:
    """Return when the contents of a directory changed last; while that stays, its recipe is true.

    It is the latest modification of the few places that every change touches, in nanoseconds since
    1970 (UTC).
    """
    places = [os.path.join(path, name) for name in _STAMPED[kind]]
    roots = _environments(kind, path)
    if kind == "pixi":
        places += (os.path.join(root, "conda-meta") for root in roots)
    if roots:
        from regrow.recipes.distributions import site_packages

        for root in roots:
            places += site_packages(root)
    times = []
    for place in places:
        try:
            times.append(os.lstat(place).st_mtime_ns)
        except FileNotFoundError:
            continue
    return max(times, default=0)


def _environments(kind: str, path: str) -> list[str]:
    """Return the Python and conda environments that a directory is, or holds."""
    if kind != "pixi":
        return [path] if kind in ("python", "conda") else []
    from regrow.recipes.conda import environments

    return [os.path.join(path, name) for name in environments(path)]


def inputs_of(recipe: "Recipe", kind: str, path: str, project: str) -> list[str]:
    """Return the paths that a recipe depends on: a change of any of them may change it.

    What a package brought is not among them one by one: its coming and going changes the directory
    that holds it.

    Args:
        recipe: the recipe; empty where none could be built.
        kind: the kind of recipe.
        path: the directory.
        project: the directory that it belongs to.

    Returns:
        Their paths, whether or not something is there.
    """
    found = [os.path.join(path, name) for name in _STAMPED.get(kind, ())]
    if kind == "node":
        from regrow.recipes import node

        return found + node.inputs(str(recipe.get("lock", "")), path, project)
    roots = _environments(kind, path)
    if kind == "pixi":
        found += (os.path.join(root, "conda-meta") for root in roots)
        found.append(os.path.join(project, "pixi.lock"))
    if roots:
        from regrow.recipes import python

        for root in roots:
            found += python.inputs_inside(root)
        found += python.inputs_outside(recipe, project)
    return found


def command_recipe(rule: "Rule", project: str) -> RecipeResult:
    """Return the recipe of a directory that one command brings back. Raises RecipeError."""
    from shlex import split

    place = os.path.expanduser("~") if rule.home else project
    try:
        words = split(rule.command)
    except ValueError as error:
        raise RecipeError(f"the command of rule {rule.name} can't be read: {error}") from error
    from regrow.recipes import harmless

    return RecipeResult({"kind": "command", "command": harmless.command(words), "directory": place})
