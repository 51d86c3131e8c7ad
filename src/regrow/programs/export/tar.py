"""The exclude files of GNU tar and of bsdtar (libarchive)."""

from regrow.programs.export import sources
from regrow.programs.export.escape import backslashed, reject, reject_newline
from regrow.programs.export.model import Format


def gnu_line(path: str) -> str:
    """Escape wildcards; a blank at the end would be cut off, so it stands in brackets.

    See https://www.gnu.org/software/tar/manual/html_node/exclude.html.
    """
    reject_newline(path)
    text = backslashed(path, "\\*?[")
    if text[-1] in " \t\v\f\r":
        text = f"{text[:-1]}[{text[-1]}]"
    return text


def bsd_line(path: str) -> str:
    """Escape wildcards and the anchor at the end; put the one at the beginning.

    See https://man.freebsd.org/cgi/man.cgi?query=bsdtar.
    """
    reject_newline(path)
    reject(path, "\r", "its name holds a carriage return")
    return "^" + backslashed(path, "\\*?[$")


GNU_TAR = Format(
    name="tar",
    title="GNU tar",
    line=gnu_line,
    commands=("tar --anchored --wildcards -X FILE -cf ARCHIVE SOURCE",),
    beginning=sources.as_given,
    limits="no names with a newline",
)

BSDTAR = Format(
    name="bsdtar",
    title="bsdtar (libarchive)",
    line=bsd_line,
    commands=("bsdtar -X FILE -cf ARCHIVE SOURCE",),
    beginning=sources.as_given,
    limits="no names with a newline or a carriage return",
)
