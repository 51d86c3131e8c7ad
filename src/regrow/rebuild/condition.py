"""What is wrong with a recorded directory, and whether that makes a rebuild necessary."""

import os

from regrow.create.claim import HOLLOW_NAMES
from regrow.recipes import compare, node
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow.records import awaited, status
from regrow_marks.directory import join, split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Record

MISSING = "missing"
HOLLOW = "empty"
UNFINISHED = "unfinished"
BROKEN = "broken"
INCOMPLETE = "incomplete"
REMAINS = "what a rebuild moved aside waits beside it"


def what_is_wrong(record: "Record") -> str:
    """Return why a directory has to be rebuilt.

    Returns:
        One of the words above, with what is wrong; empty: it is sound, or no directory.

    Raises:
        OSError: it is out of reach.
    """
    if os.path.islink(record.path):
        return ""
    try:
        found = os.listdir(record.path)
    except FileNotFoundError:
        return MISSING
    except NotADirectoryError:
        return ""  # a file, or below one: not ours to touch
    if status.what_became_of(record).state == status.UNFINISHED:
        return UNFINISHED
    if HOLLOW_NAMES.issuperset(found):
        return HOLLOW
    if record.recipe.get("kind") == "python":
        python = os.path.join(record.path, "bin", "python")
        if "pyvenv.cfg" in found and not os.path.exists(python):
            return f"{BROKEN}: its interpreter {os.path.realpath(python)} is gone"
    less = awaited.what_is_missing(record)
    return f"{INCOMPLETE}: {less}" if less else ""


def not_as_recorded(path: str) -> str:
    """Return why a path leads to another place than the recorded one; empty: it does not."""
    parent = split(path)[0]
    true_parent = os.path.realpath(parent)
    return "" if true_parent == parent else f"a link leads to it now: {parent} is {true_parent}"


def is_complete(record: "Record", why: str) -> bool:
    """Return whether a directory is whole, and only its record says that something is wrong.

    That is so where the user has finished by hand what a killed rebuild began, or where the kill
    came after the last package. *why* is what ``what_is_wrong`` says, or ``REMAINS``.
    """
    if why == REMAINS:
        return True
    if why != UNFINISHED:
        return False
    if record.recipe.get("kind") == "node":
        manager = record.recipe.get("manager")
        traces = [name for name, writer in node.TRACES.items() if writer == manager]
        return any(os.path.isfile(join(record.path, name)) for name in traces)
    if record.recipe.get("kind") != "python":
        return False
    try:
        now = build_recipe("python", record.path, split(record.path)[0]).recipe
    except RecipeError:
        return False
    is_sound = os.path.exists(os.path.join(record.path, "bin", "python"))
    return is_sound and not compare.missing(record.recipe, now)


def as_it_is(record: "Record") -> "Record":
    """Return the record of an environment with what is in it now, unless that is less.

    Packages may have come, or come in other versions, since it was recorded.
    """
    try:
        now = build_recipe("python", record.path, split(record.path)[0]).recipe
    except RecipeError:
        return record
    if compare.missing(record.recipe, now):
        return record
    return record._replace(recipe={**record.recipe, "requirements": now["requirements"]})
