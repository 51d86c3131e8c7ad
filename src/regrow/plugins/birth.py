"""Plugins for the tools that make environments, loaded by these tools through entry points.

They run inside other people's programs: nothing is imported before an environment is made, and
whatever fails is logged and goes no further. The environment is then as it is without regrow.
"""

import logging

from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TypeVar

    from regrow.plugins.marking import Begun
    from regrow.recipes.recipe import Recipe

    T = TypeVar("T")

LOGGER = logging.getLogger(__name__)


def _printable(record: logging.LogRecord) -> bool:
    """Let no name control the terminal on which a tool shows what is logged."""
    from regrow.cli.output import show

    record.msg, record.args = show(record.getMessage()), ()
    return True


LOGGER.addFilter(_printable)


def attempt(step: "Callable[[], T]") -> "T | None":
    """Take a step that must not break the tool which it is taken in.

    Args:
        step: what is done.

    Returns:
        What the step returned; None where it failed. The cause is logged as a warning.
    """
    try:
        return step()
    except (RegrowError, OSError) as error:
        LOGGER.warning("regrow: %s", error)
    except Exception:
        LOGGER.warning("regrow: a plugin failed; the environment is not affected", exc_info=True)
    return None


class Birth:
    """The making of an environment by another tool. Use it as a context manager.

    Leaving the block completes record and marks; an exception in it takes back what was begun, if
    the tool left nothing either, and passes through.
    """

    def __init__(self, path: str, recipe: "Recipe") -> None:
        """Name the environment; nothing is done yet.

        Args:
            path: where it is made.
            recipe: ``kind``, ``command`` and ``made_by``: what makes it again.
        """
        self._path = path
        self._recipe = recipe
        self._begun: Begun | None = None

    def begin(self) -> None:
        """Record and mark the directory: called when the tool is about to write into it."""
        self._begun = attempt(self._begin)

    def _begin(self) -> "Begun | None":
        from regrow.plugins import marking

        return marking.begin(self._path, self._recipe)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        attempt(self._complete if kind is None else self._undo)

    def _complete(self) -> None:
        from regrow.plugins import marking

        if self._begun is None:
            marking.mark_made(self._path, self._recipe)
        else:
            marking.complete(self._begun)

    def _undo(self) -> None:
        from regrow.plugins import marking

        if self._begun is not None:
            marking.undo(self._begun)
