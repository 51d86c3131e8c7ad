"""rsync's merge file: https://download.samba.org/pub/rsync/rsync.1#FILTER_RULES."""

from regrow.programs.export.escape import backslashed
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Write a filter rule that is compared with absolute paths.

    A backslash escapes only in rules that hold a wildcard, and is literal in all others.
    """
    if any(c in path for c in "*?["):
        path = backslashed(path, "\\*?[")
    return f"-/ {path}/"


FORMAT = Format(
    name="rsync",
    title="rsync",
    line=line,
    commands=("rsync -a -0 --filter='merge FILE' SOURCE/ TARGET",),
    comment="# ",
    end="\0",
)
