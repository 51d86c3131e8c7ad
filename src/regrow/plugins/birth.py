"""Plugins for the tools that make environments, loaded by these tools through entry points.

They run inside other people's programs: nothing heavy is imported before an environment is made,
and failures are only logged. The environment is then as it is without regrow.
"""

import contextlib
import logging

from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TypeVar

    from regrow.recipes.recipe import Recipe

    T = TypeVar("T")

LOGGER = logging.getLogger(__name__)


def _printable(record: logging.LogRecord) -> bool:
    """Escape control characters in names: tools show what is logged on a terminal."""
    from regrow.cli.output import show

    record.msg, record.args = show(record.getMessage()), ()
    return True


LOGGER.addFilter(_printable)


def attempt(step: "Callable[[], T]") -> "T | None":
    """Call a function whose failure must not break the tool that this runs in.

    Return what it returned; None where it failed, with the cause logged as a warning.
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

    Leaving the block completes the record and the marks. An exception in it passes through; what
    was begun is taken back, unless the tool left something.
    """

    def __init__(self, path: str, recipe: "Recipe") -> None:
        """Name the environment; nothing is done yet.

        The recipe, what makes it again, has ``kind``, ``command`` and ``made_by``.
        """
        self._path = path
        self._recipe = recipe
        self._held = contextlib.ExitStack()
        self._is_prepared = False

    def begin(self) -> None:
        """Record and mark the directory; called when the tool is about to write into it."""
        self._is_prepared = attempt(self._prepare) or False

    def _prepare(self) -> bool:
        from regrow.plugins import steps

        return self._held.enter_context(steps.prepared(self._path, self._recipe))

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            attempt(self._complete)
        attempt(self._held.close)

    def _complete(self) -> None:
        from regrow.plugins import steps

        finish = steps.complete if self._is_prepared else steps.mark_made
        finish(self._path, self._recipe)
