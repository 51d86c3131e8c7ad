"""Turns directories into the bytes of an exclude file."""

import os

from regrow.programs.export.model import (
    ExcludeFile,
    Format,
    InexpressibleError,
    LeftOut,
    SourceNeededError,
)
from regrow_marks.directory import is_below
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow.programs.export.sources import Source


def compose(
    form: Format, directories: "Iterable[str]", source: "Source | None" = None
) -> ExcludeFile:
    """Write an exclude file that names directories, and nothing else.

    Args:
        form: the backup program's format.
        directories: true absolute paths, ``str`` with surrogateescape.
        source: what is backed up; what lies outside is not listed. None: each directory is
            listed by its true path.

    Returns:
        The bytes, sorted by path, and what could not be expressed.

    Raises:
        SourceNeededError: the program names directories by its source, and there is none.
    """
    check_source(form, source)
    lines = [_comment(form)] if form.comment else []
    listed = []
    left_out = []
    for path in sorted(set(directories), key=os.fsencode):
        if source is not None and not is_below(path, source.path):
            continue
        try:
            lines.append(form.line(_name(form, path, source)))
            listed.append(path)
        except InexpressibleError as error:
            left_out.append(LeftOut(path, str(error)))
    data = "".join(f"{line}{form.end}" for line in lines)
    return ExcludeFile(os.fsencode(data), tuple(listed), tuple(left_out))


def check_source(form: Format, source: object) -> None:
    """Raise ``SourceNeededError`` if there is no source and the format can't do without."""
    if source is None and form.needs_source:
        raise SourceNeededError(
            f"{form.title} names directories by the one that it backs up: give that, as the"
            " program is given it, with --source DIR"
        )


def is_by_regrow(form: Format, data: bytes) -> bool:
    """Return whether a file of a format may be replaced: regrow wrote it, or it is empty.

    A file whose syntax has no comments can't say who wrote it, and counts as regrow's.
    """
    return not data or not form.comment or data.startswith(f"{form.comment}{_MADE_BY}".encode())


_MADE_BY = "made by `regrow export"


def _comment(form: Format) -> str:
    """Return the comment that says what wrote the file: always the same, or no file is current."""
    return f"{form.comment}{_MADE_BY} {form.name}`, which writes it anew each time"


def _name(form: Format, path: str, source: "Source | None") -> str:
    """Return a directory's path as the program has it."""
    if source is None:
        return path
    if path == source.path:
        raise InexpressibleError("it is the source itself")
    return form.beginning(source) + path[len(source.path.rstrip("/")) + 1 :]
