"""What the tasks of a rebuild share, and what becomes of each."""

import contextlib
import os

from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow.config import Configuration
    from regrow.rebuild.plan import Task
    from regrow.rebuild.processes import Processes
    from regrow_marks.model import Outcome

REBUILT = "rebuilt"
DIFFERS = "differs"
ALREADY = "already there"
STOPPED = "interrupted"

_LAST_LINES = 5
_LINE_LENGTH = 300  # characters; what isn't text has lines of any length
_TAIL = 16 * 1024  # bytes of a log that are looked at for its last lines


class TaskResult(NamedTuple):
    """What became of a task."""

    task: "Task"
    outcome: str
    """``rebuilt``, ``differs``, ``already there``, ``failed`` or ``interrupted``."""
    detail: tuple[str, ...] = ()
    """How it differs, or why it failed and the log's last lines; what people should read."""
    log: str = ""


class Context(NamedTuple):
    """What all tasks share."""

    configuration: "Configuration"
    processes: "Processes"
    logs: str
    """The directory of the logs."""


def not_marked(outcomes: "dict[str, Outcome]") -> list[str]:
    """Return the sentence that says which marks failed; empty: none did."""
    errors = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
    return [f"it is not excluded from backups: {'; '.join(errors)}"] if errors else []


def write_log(log: int, data: bytes) -> None:
    """Write into a log; one that is full has what came before."""
    with contextlib.suppress(OSError):
        os.write(log, data)


def last_lines(path: str) -> list[str]:
    """Return the last lines of a log that say anything."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line[-_LINE_LENGTH:] for line in lines[-_LAST_LINES:]]


@contextlib.contextmanager
def as_file(text: str) -> "Iterator[str]":
    """Write a private temporary file, for as long as it is needed; its path is the value."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        yield file.name
