"""The names of directories that a command moves aside to replace them; see ``create.aside``."""

REBUILT = ".regrow-old-"
"""The prefix of what a rebuild replaces: what no recipe brings back is moved to the new one."""

CLEARED = ".regrow-cleared-"
"""The prefix of what ``regrow venv --clear`` replaces: nothing of it is moved to the new one."""

KEPT = ".regrow-kept-"
"""The prefix of what holds the user's own files, of either or of a tool that failed: it stays."""

_PREFIXES = (REBUILT, CLEARED)


def is_aside(name: str) -> bool:
    """Return whether a directory of this name was moved aside."""
    return name.startswith((*_PREFIXES, KEPT))


def is_waiting(name: str) -> bool:
    """Return whether a directory of this name was moved aside and is still to be settled."""
    return name.startswith(_PREFIXES)


def original_name(name: str) -> str:
    """Return the name that a directory had before it was moved aside.

    A name of more than 200 bytes is not kept: its digest is returned.
    """
    prefix = next(prefix for prefix in (*_PREFIXES, KEPT) if name.startswith(prefix))
    return name[len(prefix) :].partition("-")[2]
