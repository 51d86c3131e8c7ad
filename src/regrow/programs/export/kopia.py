"""Kopia's ignore file: https://kopia.io/docs/advanced/kopiaignore/."""

from regrow.programs.export import sources
from regrow.programs.export.escape import backslashed, reject_newline, reject_what_reads_as_the_same
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Escape wildcards; both slashes protect blanks, and the first one anchors."""
    reject_newline(path)
    reject_what_reads_as_the_same(path)
    return "/" + backslashed(path, "\\*?[") + "/"


FORMAT = Format(
    name="kopia",
    title="Kopia",
    line=line,
    commands=("kopia snapshot create SOURCE",),
    file="SOURCE/.kopiaignore",
    beginning=sources.nothing,
    needs_source=True,
    comment="# ",
    proven=False,
    limits="no names that are not UTF-8, and none with a newline or U+FFFD",
)
