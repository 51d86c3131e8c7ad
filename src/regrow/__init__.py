"""regrow keeps what can be rebuilt out of your backups, and can rebuild it.

Tools that make such directories call ``create``, ``exclude``, ``include`` and ``is_excluded``: they
are those of ``regrow_marks``. ``EnvBuilder`` is a ``venv.EnvBuilder`` whose environments are marked
before their first file. None of them writes records: commands do.
"""

from regrow import create as _package  # noqa: F401 - imported later, it would hide the function
from regrow.errors import ConfigurationError, CreatorError, RecordError
from regrow_marks import (
    Exclusion,
    MarkerError,
    Outcome,
    PathError,
    RefusedError,
    RegrowError,
    create,
    exclude,
    include,
    is_excluded,
)
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.create.builder import EnvBuilder
else:

    def __getattr__(name):
        if name != "EnvBuilder":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from regrow.create.builder import EnvBuilder  # the venv module is heavy

        return EnvBuilder


__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "CreatorError",
    "EnvBuilder",
    "Exclusion",
    "MarkerError",
    "Outcome",
    "PathError",
    "RecordError",
    "RefusedError",
    "RegrowError",
    "__version__",
    "create",
    "exclude",
    "include",
    "is_excluded",
]
