"""Carries tasks out: marked from birth, in place, verified afterwards; or all as it was."""

import contextlib
import os

from regrow import marking
from regrow.create import aside
from regrow.create.claim import HOLLOW_NAMES, Caller, claim, parent_of
from regrow.errors import CreatorFailedError
from regrow.rebuild import environment, notes, remains
from regrow.rebuild.context import (
    ALREADY,
    DIFFERS,
    REBUILT,
    STOPPED,
    Context,
    TaskResult,
    as_file,
    last_lines,
    not_marked,
    write_log,
)
from regrow.rebuild.explained import Shell
from regrow.rebuild.plan import (
    BUILDS,
    CONTENTS,
    REMAINS,
    UNFINISHED,
    Task,
    is_complete,
    not_as_recorded,
    unfit,
    what_is_wrong,
)
from regrow.rebuild.processes import InterruptedError as Interrupted
from regrow.rebuild.processes import StepError
from regrow.recipes import compare
from regrow.recipes.recipe import RecipeError, build_recipe
from regrow.records.format import REBUILD
from regrow.records.store import Store, file_name
from regrow.system import ownership
from regrow_marks.directory import Directory, open_child, open_parent, split
from regrow_marks.errors import PathError, RegrowError, in_words
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import LOCK_LIMIT, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.model import Record

_REPLACED_WHEN_EMPTY = ("pnpm",)
"""Managers that replace an empty directory, and so would lose its mark."""

_FILLING = ".regrow-filling"
"""The file that stands in a directory meanwhile, so that it is not empty."""


def execute(task: Task, context: Context) -> TaskResult:
    """Carry one task out.

    Args:
        task: one without a problem.
        context: what all tasks share.

    Returns:
        What became of it. Where it failed, directory and record are as they were.
    """
    name = file_name(task.path).removesuffix(".toml")
    path = os.path.join(context.logs, f"{name}.log")
    try:
        ownership.make_private(context.logs)
        log = ownership.create_private(path, os.O_WRONLY)
    except OSError as error:
        return TaskResult(task, FAILED, (f"{path}: its log can't be written: {in_words(error)}",))
    try:
        if not aside.is_locked(log):
            return TaskResult(task, FAILED, (f"{task.path}: another program is filling it",))
        os.ftruncate(log, 0)
        result = _execute(task, context, log)._replace(log=path)
        write_log(log, "".join(f"{line}\n" for line in result.detail).encode(errors="replace"))
        return result
    except Interrupted:
        return TaskResult(task, STOPPED, log=path)
    except CreatorFailedError as error:
        write_log(log, error.output)
        return TaskResult(task, FAILED, (str(error), *last_lines(path)), path)
    except (RegrowError, OSError) as error:
        words = in_words(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, OSError) and error.filename:
            words = f"{os.fsdecode(error.filename)}: {words}"
        return TaskResult(task, FAILED, (words, *last_lines(path)), path)
    except Exception as error:  # noqa: BLE001 - the others are still to be rebuilt
        from regrow import mishaps

        return TaskResult(task, FAILED, (mishaps.words(error), *last_lines(path)), path)
    finally:
        os.close(log)


def _execute(task: Task, context: Context, log: int) -> TaskResult:
    context.processes.check()
    with Store() as store:
        for record in task.records:
            problem = not_as_recorded(record.path)
            if problem:
                raise PathError(f"{record.path}: {problem}")
        if task.kind == CONTENTS:
            return _contents(task, context, store)
        # Another rebuild may have been at work on it since the plan was made.
        now = [store.read(record.path) or record for record in task.records]
        wrong = [what_is_wrong(record) or _remains(record, store) for record in now]
        if not task.is_asked_for and not any(wrong):
            return TaskResult(task, ALREADY)
        for record, current in zip(task.records, now, strict=True):
            problem = unfit(current, task.why) or unfit(record, "")
            if problem:
                raise PathError(f"{record.path}: {problem}")
        if not task.is_asked_for and all(map(is_complete, now, wrong)):
            return _complete_all(task, context, store)
        if task.kind == "python":
            return environment.rebuild(task, context, store, log)
        return _other(task, context, store, log)


def _remains(record: "Record", store: Store) -> str:
    """Return ``REMAINS`` where something that was moved aside waits beside a directory."""
    parent_path, name = split(record.path)
    with open_parent(parent_path) as parent:
        return REMAINS if aside.of(parent, name, store) else ""


def _complete_all(task: Task, context: Context, store: Store) -> TaskResult:
    """Complete the records of directories that somebody else has finished meanwhile."""
    detail: list[str] = []
    notices: list[str] = []
    for record in task.records:
        if task.kind == "python":
            notices += environment.settle(record, store)
            detail += environment.complete(record, "", context, store)
        else:
            notices += _settle(record, store)
            files = marking.attachments(record.path, store)
            for name, copy in files:
                if record.recipe.get("lock_is_copied"):
                    _remove_left_lock(os.path.join(task.directory, name), copy)
            detail += _complete(record, context, store, files)
    return TaskResult(task, DIFFERS if detail else ALREADY, (*detail, *notices))


def _contents(task: Task, context: Context, store: Store) -> TaskResult:
    """Make a directory that others are rebuilt in, and mark it; they may have begun meanwhile."""
    (record,) = task.records
    os.makedirs(record.path, exist_ok=True)
    detail = _complete(record, context, store, ())
    return TaskResult(task, DIFFERS if detail else REBUILT, tuple(detail))


def _other(task: Task, context: Context, store: Store, log: int) -> TaskResult:
    """Run a recipe's commands, with the directories marked before they are filled."""
    files = {record.path: marking.attachments(record.path, store) for record in task.records}
    notices: list[str] = []
    with contextlib.ExitStack() as held:
        directories = [
            held.enter_context(_claimed(task, record, files[record.path], context, store, notices))
            for record in task.records
        ]
        with contextlib.ExitStack() as meanwhile:
            if task.commands[0][0] in _REPLACED_WHEN_EMPTY:
                for directory in directories:
                    meanwhile.enter_context(_not_empty(directory))
            for words, placed in _steps(task, store):
                with placed:
                    locks = [directory.fd for directory in directories]
                    context.processes.run(words, task.directory, log, locks)
        missing = [record.path for record in task.records if not _is_filled(record.path)]
        if missing:
            raise StepError(f"the command ended without an error, and {missing[0]} is not there")
    detail: list[str] = []
    for record in task.records:
        notices += _settle(record, store)
        detail += _complete(record, context, store, files[record.path])
        detail += notes.without(record) if task.kind in BUILDS else []
    return TaskResult(task, DIFFERS if detail else REBUILT, (*detail, *notices))


@contextlib.contextmanager
def _claimed(
    task: Task,
    record: "Record",
    files: "Sequence[tuple[str, bytes]]",
    context: Context,
    store: Store,
    notices: list[str],
) -> "Iterator[Directory]":
    """Make the directory of a record, or take the one there is: recorded as unfinished.

    Package managers empty or prune what they find, so what stands there is moved aside. A build is
    taken up where it was: its tool removes only what it made.
    """
    parent_path, name = split(record.path)
    reason = marking.Reason(record.rule, record.evidence, record.recipe, tuple(files), REBUILD)
    with parent_of(parent_path) as parent:
        if parent.path != parent_path:
            raise PathError(f"{record.path}: {not_as_recorded(record.path)}")
        caller = Caller(store, context.configuration, notices.append)
        prefix = None if task.kind in BUILDS else aside.REBUILT
        with claim(parent, name, reason, caller, prefix=prefix) as claimed:
            yield claimed.directory


def _settle(record: "Record", store: Store) -> list[str]:
    """Put back what the user had put into the directories that were moved aside."""
    parent_path, name = split(record.path)
    with open_parent(parent_path) as parent:
        found = remains.settle(parent, name, store, lambda _: Shell())
    return remains.sentences(found)


@contextlib.contextmanager
def _not_empty(directory: Directory) -> "Iterator[None]":
    """Let a file stand in a directory that its tool would replace if it were empty."""
    os.close(os.open(_FILLING, os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=directory.fd))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_FILLING, dir_fd=directory.fd)


def _steps(
    task: Task, store: Store
) -> "Iterator[tuple[Sequence[str], contextlib.AbstractContextManager[object]]]":
    """Yield the words that are run, each with what has to stand there meanwhile."""
    recipe = task.records[0].recipe
    if task.kind == "conda":
        lines = ["@EXPLICIT", *compare.texts(recipe, "explicit")]
        with as_file("\n".join(lines) + "\n") as file:
            yield [*task.commands[0][:-1], file], contextlib.nullcontext()
        requirements = compare.texts(recipe, "requirements")
        if requirements:
            python = os.path.join(task.path, "bin", "python")
            with as_file("\n".join(requirements) + "\n") as file:
                words = [python, "-I", "-m", "pip", "install", "--no-deps", "-r", file]
                yield words, contextlib.nullcontext()
        return
    for command in task.commands:
        yield command, _copied_lock(task, store)


@contextlib.contextmanager
def _copied_lock(task: Task, store: Store) -> "Iterator[None]":
    """Put a lock that stands nowhere else into the project, for as long as it is needed."""
    record = task.records[0]
    if not record.recipe.get("lock_is_copied"):
        yield
        return
    name = str(record.recipe["lock"])
    content = store.attachment(record.path, name)
    if content is None:
        raise StepError(f"the copy of {name} that stood beside its record is gone")
    place = os.path.join(task.directory, name)
    if task.why == UNFINISHED:
        _remove_left_lock(place, content)
    try:
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        yield
        return
    try:
        with open(fd, "wb") as file:
            file.write(content)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)


def _remove_left_lock(place: str, copy: bytes) -> None:
    """Remove the lock that a killed run put into a project; any other there is the truth.

    Args:
        place: where it was put.
        copy: what was written there; a kill may have come before the end of it.
    """
    with contextlib.suppress(OSError, ValueError):
        left = read(place, LOCK_LIMIT)
        if left is not None and copy.startswith(left):
            os.unlink(place)


def _complete(
    record: "Record", context: Context, store: Store, files: "Sequence[tuple[str, bytes]]"
) -> list[str]:
    """Put all marks on what stands there now, and record it as it is.

    Returns:
        How it differs from its record.
    """
    parent_path, name = split(record.path)
    kind = str(record.recipe["kind"])
    recipe = record.recipe
    detail: list[str] = []
    if kind not in ("command", CONTENTS):
        try:
            project = str(recipe.get("directory", parent_path))
            taken = build_recipe(kind, record.path, parent_path if kind == "node" else project)
        except RecipeError as error:
            # The one that has just brought it back is good enough.
            if "explicit" in recipe:
                detail.append(f"it can't be compared with its record: {error}")
        else:
            recipe, files = taken.recipe, taken.files
            detail += compare.differences(record.recipe, recipe, record.path)
    reason = marking.Reason(record.rule, record.evidence, recipe, tuple(files))
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        chosen = marking.choose_markers(directory, context.configuration)
        outcomes = marking.mark(directory, chosen, store, reason)
    return detail + not_marked(outcomes)


def _is_filled(path: str) -> bool:
    """Return whether a directory stands at a path, not a link, and holds anything."""
    try:
        return not os.path.islink(path) and not HOLLOW_NAMES.issuperset(os.listdir(path))
    except OSError:
        return False
