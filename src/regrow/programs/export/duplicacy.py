"""Duplicacy's filters: https://forum.duplicacy.com/t/filters-include-exclude-patterns/1089."""

from regrow.programs.export import sources
from regrow.programs.export.escape import as_regex, reject_what_reads_as_the_same
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Write a regular expression of Go's; a line without ``e:`` would *include* what it names."""
    reject_what_reads_as_the_same(path)
    return f"e:^{as_regex(path, _code)}/$"


def _code(number: int) -> str:
    return f"\\x{{{number:x}}}"


FORMAT = Format(
    name="duplicacy",
    title="Duplicacy",
    line=line,
    commands=("duplicacy backup",),
    file="SOURCE/.duplicacy/filters",
    beginning=sources.nothing,
    needs_source=True,
    comment="# ",
    proven=False,
    limits="no names that are not UTF-8, and none with U+FFFD",
)
