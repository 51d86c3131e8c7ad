"""The data of markers: plain, immutable, without behaviour."""

from regrow_marks.plain import NamedTuple

# States of a marker on a directory, as it is read.
HOLDS = "holds"
ABSENT = "absent"
FOREIGN = "foreign"  # something else stands where the mark would be: another value, a wrong tag

# Outcomes.
MARKED = "marked"
ALREADY_MARKED = "already marked"
UNMARKED = "unmarked"
NOT_MARKED = "not marked"
FAILED = "failed"


class Reading(NamedTuple):
    """What one marker says of one directory now."""

    state: str
    """``HOLDS``, ``ABSENT`` or ``FOREIGN``."""
    value: "bytes | None" = None
    """The foreign value, so that it can be put back; None where there is none."""
    detail: str = ""
    """What is foreign about it, in words."""


class Outcome(NamedTuple):
    """What became of one marker on one directory.

    After marking, ``state`` is ``marked``, ``already marked`` or ``failed``; after unmarking,
    ``unmarked``, ``not marked`` or ``failed``.
    """

    state: str
    error: str = ""
    """Why it failed, or why a mark was left, in words; else empty."""

    @property
    def holds(self) -> bool:
        """Whether the mark is on the directory now."""
        return self.state in (MARKED, ALREADY_MARKED)


class Exclusion(NamedTuple):
    """Why a backup program leaves a path out."""

    marker: str
    """The marker's name, or ``fixed-path`` for a program's own list."""
    path: str
    """The directory that carries it: the path asked for, or one of its ancestors."""
    option: "str | None" = None
    """The option that the program needs to honour it; None if it does so by itself."""
