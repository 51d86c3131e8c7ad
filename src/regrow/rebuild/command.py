"""The commands of a rebuild as values: the plan shows them, the log records them, they are run."""

import contextlib
import shlex
import tempfile

from regrow.recipes import harmless
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Command(NamedTuple):
    """One command. What is shown of it is what is run, but for the path of a temporary file."""

    argv: tuple[str, ...]
    """The program, looked for on PATH, and its arguments."""
    cwd: str
    """The directory that it runs in, absolute."""
    lines: tuple[str, ...] = ()
    """The lines of a temporary file, whose path is run in place of the last argument."""
    fallbacks: tuple[tuple[str, ...], ...] = ()
    """Other arguments, tried in turn where the ones before make nothing."""

    def text(self, cwd: str = "") -> str:
        """Return the command as it is typed into a shell in *cwd*; empty: anywhere."""
        words = shlex.join(self.argv)
        return words if self.cwd == cwd else f"(cd {shlex.quote(self.cwd)} && {words})"

    def attempts(self) -> "Iterator[Command]":
        """Yield what is tried in turn: the command, then its fallbacks."""
        for argv in (self.argv, *self.fallbacks):
            yield self._replace(argv=argv, fallbacks=())

    def as_json(self) -> "dict[str, object]":
        """Return what ``--json`` prints of the command."""
        found: dict[str, object] = {"argv": list(self.argv), "cwd": self.cwd}
        if self.lines:
            found["lines"] = self.harmless_lines()
        if self.fallbacks:
            found["fallbacks"] = [list(argv) for argv in self.fallbacks]
        return found

    def harmless_lines(self) -> list[str]:
        """Return the lines of the temporary file as they may be shown: without credentials."""
        return [harmless.text(line)[0] for line in self.lines]

    @contextlib.contextmanager
    def runnable(self) -> "Iterator[Sequence[str]]":
        """Return the arguments to run; the temporary file exists for as long as the block runs."""
        if not self.lines:
            yield self.argv
            return
        with tempfile.NamedTemporaryFile("w", suffix=".txt", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in self.lines)
            file.flush()
            yield (*self.argv[:-1], file.name)


def placeholder(count: int, noun: str) -> str:
    """Return the argument that stands for a temporary file.

    >>> placeholder(2, "requirement")
    '(2 requirements of the record)'
    """
    return f"({count} {noun}{'' if count == 1 else 's'} of the record)"


class Instructions(NamedTuple):
    """How a recorded directory comes back."""

    directory: str
    """The project. Its commands run there, unless they say otherwise."""
    commands: tuple[Command, ...]
    """What is run, in this order; none: the directory is only made."""
    problem: str = ""
    """Why they can't be run, and what to do about it; empty: they can."""
    notes: tuple[str, ...] = ()
    """What people should know of them."""
    creator: str = ""
    """What makes an environment, one of ``creators.NAMES``; empty: it is none."""
