"""Ways to write a name so that it stands for itself, which several formats share."""

from regrow.programs.export.model import InexpressibleError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def backslashed(text: str, special: str) -> str:
    r"""Put a backslash before each special character.

    >>> print(backslashed("a*b\\c", "*\\"))
    a\*b\\c
    """
    return "".join(f"\\{c}" if c in special else c for c in text)


def as_regex(text: str, code: "Callable[[int], str]") -> str:
    r"""Write a regular expression that matches a text and nothing else.

    *code* writes a code point, for characters that nobody can see.

    >>> print(as_regex("a.b\n", lambda number: f"\\x{number:02x}"))
    a\.b\x0a
    """
    return "".join(_literal(c, code) for c in text)


def _literal(character: str, code: "Callable[[int], str]") -> str:
    if not character.isprintable():
        return code(ord(character))
    if character.isascii() and not character.isalnum() and character not in "/_-":
        return f"\\{character}"
    return character


def reject(text: str, characters: str, reason: str) -> None:
    """Raise ``InexpressibleError`` with a reason if one of the characters is in the text."""
    if any(c in text for c in characters):
        raise InexpressibleError(reason)


def reject_newline(text: str) -> None:
    """Raise ``InexpressibleError`` where a newline would end the line."""
    reject(text, "\n", "its name holds a newline")


def reject_stray_bytes(text: str) -> None:
    """Raise ``InexpressibleError`` if a name is not UTF-8: it holds escaped surrogates then."""
    if any("\udc80" <= c <= "\udcff" for c in text):
        raise InexpressibleError("its name is not UTF-8")


def reject_what_reads_as_the_same(text: str) -> None:
    """Raise ``InexpressibleError`` for names that a Go program can't tell from one another.

    It reads each byte that is not UTF-8 as U+FFFD, which may stand in a name as well.
    """
    reject_stray_bytes(text)
    reject(text, "\ufffd", "its name holds U+FFFD, which stands for any stray byte")
