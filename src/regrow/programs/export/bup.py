"""bup's file of regular expressions: https://bup.github.io/man/bup-index.html."""

import os

from regrow.programs.export import sources
from regrow.programs.export.model import Format


def line(path: str) -> str:
    r"""Write a regular expression of bytes, in ASCII alone.

    ``$`` would match before a newline at the end of a name, ``\Z`` does not.
    """
    return f"^{''.join(map(_literal, os.fsencode(path)))}(/|\\Z)"


def _literal(byte: int) -> str:
    character = chr(byte)
    if character.isascii() and (character.isalnum() or character in "/_-"):
        return character
    return f"\\x{byte:02x}"


FORMAT = Format(
    name="bup",
    title="bup",
    line=line,
    commands=("bup index --exclude-rx-from FILE SOURCE", "bup save --name ARCHIVE SOURCE"),
    beginning=sources.true_path,
)
