"""restic's exclude file: https://restic.readthedocs.io/en/stable/040_backup.html#excluding-files."""

from regrow.programs.export.escape import backslashed
from regrow.programs.export.model import Format

_NEWLINE = "[^\x01-\t\v-\U0010ffff]"
"""A newline would end the line, so this matches what is none of all other characters."""


def line(path: str) -> str:
    """Escape what Go's ``filepath.Match`` and restic's expansion of variables would read.

    The slash at the end protects blanks at the end of a name.
    """
    return backslashed(path, "\\*?[").replace("$", "$$").replace("\n", _NEWLINE) + "/"


FORMAT = Format(
    name="restic",
    title="restic",
    line=line,
    commands=("restic --repo REPOSITORY backup --exclude-file FILE SOURCE",),
    comment="# ",
)
