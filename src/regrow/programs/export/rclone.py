"""rclone's filter file: https://rclone.org/filtering/."""

from regrow.programs.export import sources
from regrow.programs.export.escape import reject, reject_what_reads_as_the_same
from regrow.programs.export.model import Format

_PICTURES = {number: chr(0x2400 + number) for number in range(1, 0x20)} | {0x7F: "\u2421"}
"""Control characters are pictures to rclone: https://rclone.org/overview/#encoding."""

_ENCODED = "".join(_PICTURES.values()) + "\u2400\u201b\uff0f\uff0e"
"""What stands for another character there, and so is written in yet another way."""


def line(path: str) -> str:
    """Write every character as rclone sees it, with a backslash before what could be special."""
    reject_what_reads_as_the_same(path)
    reject(path, _ENCODED, "its name holds a character by which rclone writes another")
    return f"/{''.join(map(_literal, path))}/"


def _literal(character: str) -> str:
    if not character.isascii() or character.isalnum() or character in "/_-":
        return character
    return _PICTURES.get(ord(character)) or f"\\{character}"


FORMAT = Format(
    name="rclone",
    title="rclone",
    line=line,
    commands=("rclone sync --exclude-from FILE SOURCE TARGET",),
    beginning=sources.nothing,
    needs_source=True,
    comment="# ",
    limits="no names that are not UTF-8, and none with U+FFFD or a character by which rclone"
    " writes another (U+2400 and the like)",
)
