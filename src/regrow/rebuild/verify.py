"""Compares what a rebuild made with its record, and completes the record and the marks."""

import os

from regrow import marking
from regrow.create.claim import HOLLOW_NAMES
from regrow.rebuild.instructions import CONTENTS
from regrow.recipes import compare
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow_marks.directory import join, open_child, open_parent, split
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from regrow.config import Configuration
    from regrow.model import Record
    from regrow.records.store import Store


def is_made(record: "Record", besides: "Collection[str]" = ()) -> bool:
    """Return whether a directory, no link, has what its kind needs to be one.

    An environment needs its pyvenv.cfg, any other directory some entry that is not in *besides*.
    """
    if os.path.islink(record.path):
        return False
    if record.recipe.get("kind") == "python":
        return os.path.isfile(join(record.path, "pyvenv.cfg"))
    try:
        return not (HOLLOW_NAMES | {*besides}).issuperset(os.listdir(record.path))
    except OSError:
        return False


def complete(
    record: "Record",
    store: "Store",
    configuration: "Configuration",
    *,
    files: "Sequence[tuple[str, bytes]]" = (),
    creator: str = "",
) -> list[str]:
    """Compare what stands at a record's path with it, set all marks, and record it as it is.

    *files* go beside the record, unless the new recipe brings its own. *creator* has just made the
    environment; empty: it is none, or the user made it.

    Returns:
        How it differs from its record, in sentences; none: it does not.
    """
    parent_path, name = split(record.path)
    kind = str(record.recipe["kind"])
    recipe = record.recipe
    detail: list[str] = []
    if kind not in ("command", CONTENTS):
        is_beside = kind in ("python", "node")
        project = parent_path if is_beside else str(recipe.get("directory", parent_path))
        try:
            result = build_recipe(kind, record.path, project)
        except RecipeError as error:
            # What node_modules and builds have been made by is good enough.
            if kind in ("python", "conda", "pixi"):
                detail.append(f"it can't be compared with its record: {error}")
        else:
            detail += compare.differences(recipe, result.recipe, record.path)
            # What an environment has no trace of, such as who made it, stays recorded.
            recipe = {**recipe, **result.recipe} if kind == "python" else result.recipe
            files = result.files
    if creator:
        recipe = {**recipe, "made_by": creator}
    reason = marking.Reason(record.rule, record.evidence, recipe, tuple(files))
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        chosen = marking.choose_markers(directory, configuration)
        outcomes = marking.mark(directory, chosen, store, reason)
    errors = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
    if errors:
        detail.append(f"it is not excluded from backups: {'; '.join(errors)}")
    return detail
