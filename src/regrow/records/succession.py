"""What a new record takes over from those in whose place it comes: no recipe is lost by that."""

from regrow.model import EXPLICIT, NO_RECIPE, Record
from regrow.records import awaited, history
from regrow.records.format import REBUILD
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.marking import Past, Reason
    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Files, Store


def inherit(reason: "Reason", former: Record, *, is_same: bool) -> "Reason":
    """Return a reason with what is still true of a former record.

    That is the user's word, what recognised the directory, and the command that made it.

    Args:
        reason: why the directory is marked.
        former: its record until now, or that of the directory in whose place it stands.
        is_same: whether that is about this very directory.
    """
    recipe = reason.recipe
    is_explicit = reason.rule == EXPLICIT
    if recipe == NO_RECIPE:
        recipe = former.recipe
    elif recipe.get("kind") == former.recipe.get("kind") == "python" and (is_same or is_explicit):
        made: Recipe = {
            key: former.recipe[key] for key in ("command", "made_by") if key in former.recipe
        }
        recipe = {**made, **recipe}
    return reason._replace(
        rule=EXPLICIT if is_same and former.rule == EXPLICIT else reason.rule,
        evidence=reason.evidence or former.evidence,
        recipe=recipe,
    )


def succeed(
    record: Record, past: "Past", reason: "Reason", store: "Store"
) -> "tuple[Record, Files]":
    """Let a record take the place of the former ones; their recipes go among the earlier ones.

    Args:
        record: what is about to be written.
        past: the records that it takes the place of.
        reason: why the directory is marked.
        store: where the records are.

    Returns:
        The record, with the recipe of the former one where that is awaited, and its files.
    """
    former = past.former
    if former is None:
        return record, reason.files
    stamp = None
    if reason.state != REBUILD and (past.moved is not None or past.kept_at is None):
        is_same = (record.inode, record.born) == (former.inode, former.born)
        is_accepted = reason.rule == EXPLICIT
        stamp = awaited.stamp(former, reason.recipe, is_same=is_same, is_accepted=is_accepted)
    files = reason.files if stamp is None else ()
    if stamp is not None:
        record = record._replace(recipe=former.recipe, awaited=stamp)
    if past.moved is not None and (stamp is not None or reason.recipe == NO_RECIPE):
        files = store.attachments(past.moved.path)
    places = {} if past.moved is None else {past.moved.path: record.path}
    if past.replaced is not None and past.kept_at is not None:
        places[past.replaced.path] = past.kept_at
    if places:
        history.move(store, places)
    if past.replaced is None or past.kept_at is not None:
        return record, files
    if history.is_lost(store, past.replaced, record, files):
        history.add(store, past.replaced)
    return record, files
