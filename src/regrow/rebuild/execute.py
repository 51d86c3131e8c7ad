"""Executes a plan's tasks: marked from birth, in place, compared afterwards; or all as it was."""

import contextlib
import os

from regrow import marking
from regrow.create import aside
from regrow.create.claim import Caller, claim, parent_of
from regrow.errors import as_sentence
from regrow.rebuild import notes, remains, verify
from regrow.rebuild.condition import (
    REMAINS,
    UNFINISHED,
    is_complete,
    not_as_recorded,
    what_is_wrong,
)
from regrow.rebuild.explained import Installed, Shell, installed
from regrow.rebuild.instructions import BUILDS, CONTENTS
from regrow.rebuild.log import Log, open_log
from regrow.rebuild.plan import Task, unfit
from regrow.rebuild.processes import StepError, ToolFailedError, UserInterruptError
from regrow.records.format import REBUILD
from regrow.records.store import Store, file_name
from regrow.system import aside_names, own_files
from regrow_marks.directory import Directory, open_parent, split
from regrow_marks.errors import PathError, RegrowError, in_words
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.safe_read import LOCK_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regrow.config import Configuration
    from regrow.model import Record
    from regrow.rebuild.command import Command
    from regrow.rebuild.processes import Processes
    from regrow.rebuild.trees import Explains

REBUILT = "rebuilt"
DIFFERS = "differs"
ALREADY = "already there"
STOPPED = "interrupted"

_REPLACED_WHEN_EMPTY = ("pnpm",)
"""Package managers that replace an empty directory, and so would lose its mark."""

_FILLING = ".regrow-filling"
"""The file that is in such a directory meanwhile, so that it is not empty."""


class TaskResult(NamedTuple):
    """What became of a task."""

    task: Task
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


class _NothingMadeError(ToolFailedError):
    """The first command of a task failed; its fallbacks may do better."""


def execute(task: Task, context: Context) -> TaskResult:
    """Execute a task that has no problem. Where it fails, directory and record are as they were."""
    try:
        log = open_log(context.logs, file_name(task.path).removesuffix(".toml"))
    except PathError as error:
        return TaskResult(task, FAILED, (str(error),))
    notices: list[str] = []
    try:
        if not own_files.try_lock(log.fd):
            return TaskResult(task, FAILED, (f"{task.path}: another program is filling it",))
        os.ftruncate(log.fd, 0)
        with Store() as store:
            result = _Execution(task, context, store, log, notices).run()._replace(log=log.path)
        log.write("".join(f"{line}\n" for line in result.detail).encode(errors="replace"))
        return result
    except UserInterruptError:
        return TaskResult(task, STOPPED, tuple(notices), log.path)
    except (RegrowError, OSError) as error:
        words = str(error)
        if isinstance(error, OSError):
            place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            words = f"{place}{in_words(error)}"
    except Exception as error:  # noqa: BLE001 - the others are still to be rebuilt
        words = as_sentence(error)
    finally:
        os.close(log.fd)
    return TaskResult(task, FAILED, (words, *notices, *log.last_lines()), log.path)


class _Execution:
    """The steps of one task, and what they share."""

    def __init__(
        self, task: Task, context: Context, store: Store, log: Log, notices: list[str]
    ) -> None:
        self._task = task
        self._context = context
        self._store = store
        self._log = log
        # Read now: while a tool is at work, somebody may remove them.
        self._files = {record.path: store.attachments(record.path) for record in task.records}
        self._notices = notices  # what people should read besides the differences

    def run(self) -> TaskResult:
        """Execute the task as things stand now: the plan may be some time old.

        Raises:
            RegrowError: it failed; directory and record are as they were.
            OSError: something is out of reach.
        """
        task = self._task
        self._context.processes.check()
        for record in task.records:
            problem = not_as_recorded(record.path)
            if problem:
                raise PathError(f"{record.path}: {problem}")
        if task.kind == CONTENTS:
            # Others are rebuilt in it; they may have begun meanwhile.
            os.makedirs(task.path, exist_ok=True)
            return self._result(self._complete(task.records[0]), REBUILT)
        # Another rebuild may have been at work on it.
        now = [self._store.read(record.path) or record for record in task.records]
        wrong = [what_is_wrong(record) or self._remains(record) for record in now]
        if not task.is_asked_for and not any(wrong):
            return TaskResult(task, ALREADY)
        for record, current in zip(task.records, now, strict=True):
            problem = unfit(current, task.why) or unfit(record, "")
            if problem:
                raise PathError(f"{record.path}: {problem}")
        if not task.is_asked_for and all(map(is_complete, now, wrong)):
            return self._complete_all()
        if not task.commands:  # the plan found it whole
            raise PathError(f"{task.path}: it has changed since the plan was made; run it again")
        return self._rebuild()

    def _result(self, detail: list[str], outcome: str) -> TaskResult:
        outcome = DIFFERS if detail else outcome
        return TaskResult(self._task, outcome, (*detail, *self._notices))

    def _remains(self, record: "Record") -> str:
        """Return ``REMAINS`` where something that was moved aside waits beside a directory."""
        parent_path, name = split(record.path)
        with open_parent(parent_path) as parent:
            return REMAINS if aside.of(parent, name, self._store) else ""

    def _complete_all(self) -> TaskResult:
        """Complete the records of directories that somebody else has finished meanwhile."""
        detail: list[str] = []
        for record in self._task.records:
            self._settle(record)
            for name, copy in self._files[record.path]:
                if record.recipe.get("lock_is_copied"):
                    _remove_left_lock(os.path.join(self._task.directory, name), copy)
            detail += self._complete(record)
        return self._result(detail, ALREADY)

    def _rebuild(self) -> TaskResult:
        """Run the commands, put back what is the user's own, and compare the result."""
        first, *rest = self._task.commands
        attempts = list(first.attempts())
        for attempt in attempts:
            try:
                self._fill([attempt, *rest])
                break
            except _NothingMadeError as error:
                if attempt == attempts[-1]:
                    raise
                self._log.write(f"{error}\n".encode(errors="replace"))
        detail: list[str] = []
        for record in self._task.records:
            self._settle(record)
            detail += self._complete(record, creator=self._task.creator)
            detail += notes.without(record) if self._task.kind in BUILDS else []
        return self._result(detail, REBUILT)

    def _fill(self, commands: "list[Command]") -> None:
        """Claim the directories and run commands that fill them; undo both where one fails."""
        task = self._task
        with contextlib.ExitStack() as held:
            claimed = [held.enter_context(self._claimed(record)) for record in task.records]
            if commands[0].argv[0] in _REPLACED_WHEN_EMPTY:
                for directory in claimed:
                    held.enter_context(_not_empty(directory))
            held.enter_context(self._copied_lock())
            for command in commands:
                try:
                    self._context.processes.run(command, self._log.fd)
                    self._require_made(command)
                except ToolFailedError as error:
                    if command is not commands[0]:
                        raise
                    raise _NothingMadeError(str(error)) from error

    def _require_made(self, command: "Command") -> None:
        for record in self._task.records:
            if not verify.is_made(record, (_FILLING,)):
                raise ToolFailedError(
                    f"{command.argv[0]} ended without an error, and {record.path} is not there"
                )

    @contextlib.contextmanager
    def _claimed(self, record: "Record") -> "Iterator[Directory]":
        """Make the directory of a record, or take the one there is: recorded as unfinished.

        Creators and package managers empty or prune what they find, so what stands there is moved
        aside. A build is taken up where it was: its tool removes only what it made.
        """
        parent_path, name = split(record.path)
        files = self._files[record.path]
        reason = marking.Reason(record.rule, record.evidence, record.recipe, files, REBUILD)
        caller = Caller(self._store, self._context.configuration, self._notices.append)
        prefix = None if self._task.kind in BUILDS else aside_names.REBUILT
        with parent_of(parent_path) as parent:
            if parent.path != parent_path:
                raise PathError(f"{record.path}: {not_as_recorded(record.path)}")
            with claim(parent, name, reason, caller, prefix=prefix) as claimed:
                yield claimed.directory

    @contextlib.contextmanager
    def _copied_lock(self) -> "Iterator[None]":
        """Put a lock that is kept beside the record alone into the project, while it is needed."""
        record = self._task.records[0]
        if not record.recipe.get("lock_is_copied"):
            yield
            return
        name = str(record.recipe["lock"])
        content = self._store.attachment(record.path, name)
        if content is None:
            raise StepError(f"the copy of {name} that stood beside its record is gone")
        place = os.path.join(self._task.directory, name)
        if self._task.why == UNFINISHED:
            _remove_left_lock(place, content)
        try:
            fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:  # the project's own counts
            yield
            return
        try:
            with open(fd, "wb") as file:
                file.write(content)
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(place)

    def _settle(self, record: "Record") -> None:
        """Put back what the user had put into the directories that were moved aside."""
        parent_path, name = split(record.path)
        with open_parent(parent_path) as parent:
            self._notices += remains.settle(parent, name, self._store, self._explains(record))

    def _explains(self, record: "Record") -> "Callable[[str], Explains]":
        """Return what explains the contents of a directory that was moved aside, by its path."""
        if self._task.kind != "python":
            return lambda _: Shell()
        if self._task.is_asked_for:
            # The packages that were there are an earlier recipe now: none of them goes back.
            return lambda path: Installed(path, None)
        return lambda path: Installed(path, installed(record.path))

    def _complete(self, record: "Record", creator: str = "") -> list[str]:
        return verify.complete(
            record,
            self._store,
            self._context.configuration,
            files=self._files[record.path],
            creator=creator,
        )


@contextlib.contextmanager
def _not_empty(directory: Directory) -> "Iterator[None]":
    """Keep a file in a directory that its tool would replace if it were empty."""
    os.close(os.open(_FILLING, os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=directory.fd))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_FILLING, dir_fd=directory.fd)


def _remove_left_lock(place: str, copy: bytes) -> None:
    """Remove the lock that a killed run put into a project, but never the project's own."""
    with contextlib.suppress(OSError, ValueError):
        left = read(place, LOCK_LIMIT)  # all of the copy, or what was written before the kill
        if left is not None and copy.startswith(left):
            os.unlink(place)
