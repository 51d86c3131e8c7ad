"""duplicity's file list: https://duplicity.gitlab.io/stable/duplicity.1.html#file-selection."""

from regrow.programs.export import sources
from regrow.programs.export.escape import reject, reject_stray_bytes
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Return the line for all that is inside; wildcards stand in brackets.

    A pattern of the directory itself would also match a name that ends in one newline more.
    """
    reject_stray_bytes(path)  # duplicity reads the file as text and stops
    reject(path, "\r", "its name holds a carriage return")
    return f"- {''.join(f'[{c}]' if c in '*?[' else c for c in path)}/**"


FORMAT = Format(
    name="duplicity",
    title="duplicity",
    line=line,
    commands=("duplicity --null-separator --exclude-filelist FILE SOURCE TARGET",),
    beginning=sources.normalised,
    needs_source=True,  # it stops at a path outside
    comment="# ",
    end="\0",
    limits="no names that are not UTF-8 or hold a carriage return; it keeps an empty directory",
)
