"""rustic's glob file, which is not restic's exclude file: lines of gitignore with "!" reversed."""

from regrow.programs.export import sources
from regrow.programs.export.escape import backslashed, reject_newline, reject_stray_bytes
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Escape what the glob syntax would read.

    A backslash stands in brackets: of two before the last slash, rustic's library takes one for an
    escape of the slash, or does not, by its version (ripgrep's issue 2236).
    """
    reject_newline(path)
    reject_stray_bytes(path)  # rustic reads the file as text and stops
    text = "".join("[\\]" if c == "\\" else backslashed(c, "*?[]{}") for c in path)
    return f"!{text}/"


FORMAT = Format(
    name="rustic",
    title="rustic",
    line=line,
    commands=("rustic --repository REPOSITORY backup --glob-file FILE SOURCE",),
    beginning=sources.true_path,
    comment="# ",
    proven=False,
    limits="no names that are not UTF-8, and none with a newline",
)
