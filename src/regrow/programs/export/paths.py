"""A plain list of paths, for programs and scripts that regrow does not know."""

from regrow.programs.export import sources
from regrow.programs.export.escape import reject_newline
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Write the path as it is."""
    reject_newline(path)
    return path


FORMAT = Format(
    name="paths",
    title="Paths",
    line=line,
    commands=(),
    beginning=sources.true_path,
    limits="no names with a newline, but with `--print0` every name",
)

NUL_FORMAT = FORMAT._replace(line=str, end="\0", limits="exact for every name")
