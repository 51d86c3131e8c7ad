"""Borg's exclude file: https://borgbackup.readthedocs.io/en/stable/usage/help.html#borg-patterns."""

import os
import sys
import unicodedata

from regrow.programs.export import sources
from regrow.programs.export.escape import as_regex
from regrow.programs.export.model import Format


def line(path: str) -> str:
    r"""Write a regular expression: the only kind of pattern that can name every directory.

    Borg searches the path as it stores it: normalised, without a leading slash, and on macOS
    decomposed (NFD). ``$`` would match before a newline at the end of a name, ``\Z`` does not.
    """
    text = os.path.normpath(path).lstrip("/")
    if sys.platform == "darwin":
        text = unicodedata.normalize("NFD", text)
    return f"re:^{as_regex(text, _code)}(/|\\Z)"


def _code(number: int) -> str:
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


BORG = Format(
    name="borg",
    title="BorgBackup 1",
    line=line,
    commands=("borg create --exclude-from FILE REPOSITORY::ARCHIVE SOURCE",),
    beginning=sources.normalised,
    comment="# ",
)

BORG2 = BORG._replace(
    name="borg2",
    title="BorgBackup 2",
    commands=("borg --repo REPOSITORY create --exclude-from FILE ARCHIVE SOURCE",),
)
