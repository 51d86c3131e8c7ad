"""What nobody foresaw while one directory was looked at: that directory's failure, in words.

Whatever a project holds, it must not keep regrow from the others. Each kind of damage has its own
words where it is read; this is for those that are still unknown.
"""

import os

from regrow.model import FAILURE, KEEP, Decision
from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Candidate

TRACEBACK = "REGROW_TRACEBACK"
"""The environment variable that asks for the place in the code, on standard error."""

_LENGTH = 300  # characters of an exception's own text


def words(error: Exception) -> str:
    """Return an exception as a sentence for people."""
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RegrowError):
        return str(error)
    if isinstance(error, OSError):
        return in_words(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return f"{type(error).__name__}: {str(error)[:_LENGTH]}"


def decision(candidate: "Candidate", error: Exception) -> Decision:
    """Return what is decided about a directory where to look at it failed: it stays.

    Args:
        candidate: the directory.
        error: what was raised.
    """
    reason = (
        f"to look at it failed: {words(error)}; to report it, set {TRACEBACK}=1 and run `regrow"
        " explain` on it; a keep pattern spares it"
    )
    return Decision(candidate, KEEP, FAILURE, reason)
