"""What a format is, and what becomes of directories in it."""

from regrow.programs.export import sources
from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.programs.export.sources import Source


class InexpressibleError(Exception):
    """No line of an exclude file names this directory and nothing else.

    Its text says why, as the end of a sentence for people: ``its name holds a newline``.
    """


class SourceNeededError(RegrowError):
    """A program names directories by its source, and nobody told the source."""


class Format(NamedTuple):
    """The exclude file of one backup program."""

    name: str
    """The word for it on the command line and in the configuration."""
    title: str
    """What people call the program."""
    line: "Callable[[str], str]"
    """Turns a directory's name into a line, its end aside. Raises ``InexpressibleError``."""
    commands: tuple[str, ...]
    """The command lines that use the file. ``FILE`` and ``SOURCE`` stand for the exclude file and
    the directory that is backed up, other words in capitals for what the user chooses."""
    file: str = ""
    """The only place where the program looks for the file; empty: the command line names it."""
    beginning: "Callable[[Source], str]" = sources.absolute
    """How the program begins the names of directories: one of the functions in ``sources``."""
    needs_source: bool = False
    """Whether no file can be made without knowing the source."""
    comment: str = ""
    """What begins a comment; empty: the syntax has none."""
    end: str = "\n"
    """What ends a line."""
    proven: bool = True
    """Whether regrow's tests run the program and read back what it stored."""
    limits: str = "exact for every name"
    """What can't be expressed, for people."""


class LeftOut(NamedTuple):
    """A directory that stays in the backup, because its name can't be expressed exactly."""

    path: str
    reason: str


class ExcludeFile(NamedTuple):
    """What an exclude file holds, and what it can't hold."""

    data: bytes
    listed: tuple[str, ...]
    """The directories that it names, sorted."""
    left_out: tuple[LeftOut, ...]
