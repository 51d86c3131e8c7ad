"""dar's listing of excluded files: http://dar.linux.free.fr/doc/man/dar.html."""

from regrow.programs.export import sources
from regrow.programs.export.escape import reject, reject_newline
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Write the path as it is: dar reads no wildcard here."""
    reject_newline(path)
    reject(path[-1], "\r", "its name ends in a carriage return")
    return path


FORMAT = Format(
    name="dar",
    title="dar",
    line=line,
    commands=("dar -c ARCHIVE -R SOURCE -] FILE",),
    beginning=sources.nothing,
    needs_source=True,
    limits="no names with a newline or a carriage return at the end",
)
