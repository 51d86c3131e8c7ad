"""Carries tasks out: marked from birth, in place, verified afterwards; or all as it was."""

import contextlib
import fcntl
import os
import shutil
import subprocess

from regrow import (
    birth,
    creators,
    environment,
    journal,
    markers,
    pipeline,
    recipes,
    records,
)
from regrow.directory import Directory, open_child, open_parent, split
from regrow.environment import HOLLOW_NAMES
from regrow.errors import CreatorError, CreatorFailedError, PathError, RegrowError, in_words
from regrow.model import FAILED, MARKED
from regrow.plain import TYPE_CHECKING, NamedTuple
from regrow.rebuild.processes import InterruptedError as Interrupted
from regrow.rebuild.processes import Processes, StepError, ToolFailedError
from regrow.rebuild.tasks import (
    CONTENTS,
    UNFINISHED,
    Task,
    creator_of,
    interpreter_of,
    not_as_recorded,
    what_is_wrong,
)
from regrow.recipes import compare
from regrow.recipes.files import LOCK_LIMIT, read
from regrow.recipes.python import SEEDS
from regrow.records import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regrow.config import Configuration
    from regrow.model import Outcome, Record

REBUILT = "rebuilt"
DIFFERS = "differs"
ALREADY = "already there"
STOPPED = "interrupted"

_LAST_LINES = 5
_PATIENCE = 10.0  # seconds that an interpreter has to tell its version
_LINE_LENGTH = 300  # characters; what isn't text has lines of any length
_TAIL = 16 * 1024  # bytes of a log that are looked at for its last lines
_REPLACED_WHEN_EMPTY = ("pnpm",)
"""Managers that replace an empty directory, and so would lose its mark."""

_FILLING = ".regrow-filling"
"""The file that stands in a directory meanwhile, so that it is not empty."""


class Ended(NamedTuple):
    """What became of a task."""

    task: Task
    outcome: str
    """``rebuilt``, ``differs``, ``already there``, ``failed`` or ``interrupted``."""
    detail: tuple[str, ...] = ()
    """How it differs, or why it failed and the log's last lines."""
    log: str = ""


class Workshop(NamedTuple):
    """What all tasks share."""

    configuration: "Configuration"
    processes: Processes
    logs: str
    """The directory of the logs."""


def carry_out(task: Task, shop: Workshop) -> Ended:
    """Carry one task out.

    Args:
        task: one without a problem.
        shop: what all tasks share.

    Returns:
        What became of it. Where it failed, directory and record are as they were.
    """
    name = records.file_name(task.path).removesuffix(".toml")
    path = os.path.join(shop.logs, f"{name}.log")
    try:
        os.makedirs(shop.logs, mode=0o700, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return Ended(task, FAILED, (f"{path}: its log can't be written: {in_words(error)}",))
    try:
        if not _is_locked(log):
            return Ended(task, FAILED, (f"{task.path}: another program is filling it",))
        os.ftruncate(log, 0)
        return _carry_out(task, shop, log)._replace(log=path)
    except Interrupted:
        return Ended(task, STOPPED, log=path)
    except CreatorFailedError as error:
        _write(log, error.output)
        return Ended(task, FAILED, (str(error), *_last_lines(path)), path)
    except (RegrowError, OSError) as error:
        words = in_words(error) if isinstance(error, OSError) else str(error)
        if isinstance(error, OSError) and error.filename:
            words = f"{os.fsdecode(error.filename)}: {words}"
        return Ended(task, FAILED, (words, *_last_lines(path)), path)
    finally:
        os.close(log)


def _carry_out(task: Task, shop: Workshop, log: int) -> Ended:
    shop.processes.check()
    with Store() as store:
        for record in task.records:
            problem = not_as_recorded(record.path)
            if problem:
                raise PathError(f"{record.path}: {problem}")
        if task.kind == CONTENTS:
            return _contents(task, shop, store)
        # Another rebuild may have been at work on it since the plan was made.
        now = [store.read(record.path) or record for record in task.records]
        if not any(map(what_is_wrong, now)):
            return Ended(task, ALREADY)
        build = _python if task.kind == "python" else _other
        return build(task, shop, store, log)


def _is_locked(fd: int) -> bool:
    """Lock a file or a directory; its lock is held by the tools that inherit it, too."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _python(task: Task, shop: Workshop, store: Store, log: int) -> Ended:
    """Make an environment anew, and install exactly what its record lists."""
    (record,) = task.records
    parent_path, name = split(record.path)
    notices: list[str] = []

    def create(words: list[str], made: Directory) -> bytes:
        try:
            shop.processes.run(words, parent_path, log, [made.fd])
        except ToolFailedError as error:
            raise CreatorError(str(error)) from error
        return b""

    creator = creator_of(record.recipe)
    interpreters = _interpreters(record.recipe, creator)
    for number, interpreter in enumerate(interpreters, start=1):
        request = creators.Request(
            python=interpreter,
            system_site_packages=bool(record.recipe.get("system_site_packages")),
            prompt=str(record.recipe.get("prompt") or "") or None,
        )
        try:
            made = environment.make(
                parent_path,
                name,
                creator,
                request,
                store=store,
                configuration=shop.configuration,
                recipe=record.recipe,
                clear=True,
                progress=contextlib.nullcontext(),
                notice=notices.append,
                rule=record.rule,
                state=records.REBUILD,
                run=create,
                fill=lambda made: _install(record, made, creator, shop, log),
            )
            break
        except CreatorError as error:  # there is no such interpreter
            if number == len(interpreters):
                raise
            _write(log, getattr(error, "output", b"") + f"{error}\n".encode())
    try:
        now = recipes.take("python", record.path, parent_path).recipe
    except recipes.RecipeError as error:
        return Ended(task, DIFFERS, (f"it can't be compared with its record: {error}", *notices))
    detail = [
        *compare.differences(record.recipe, now, record.path),
        *_not_marked(made.outcomes),
    ]
    return Ended(task, DIFFERS if detail else REBUILT, (*detail, *notices))


def _interpreters(recipe: "recipes.Recipe", creator: str) -> list[str | None]:
    """Give what to ask a creator for: the very interpreter, its version, then one next to it.

    What stands in the interpreter's place by now may be another Python: it comes last then.
    """
    interpreter, version = interpreter_of(recipe), str(recipe.get("version", ""))
    implementation = str(recipe.get("implementation", "")).lower()
    prefix = "" if implementation in ("", "cpython") else f"{implementation}@"
    found: list[str | None] = []
    if version and creator == creators.UV:
        found.append(f"{prefix}{version}")
    series = ".".join(version.split(".")[:2])
    if version:
        found.append(f"{prefix}{series}")
    now = _series(interpreter)
    if now:
        found.insert(0 if now == series else len(found), interpreter)
    return found or [None]


def _series(interpreter: str) -> str:
    """Ask an interpreter for the first two numbers of its version; empty: it can't be run."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [interpreter, "-I", "-c", ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def _install(record: "Record", made: Directory, creator: str, shop: Workshop, log: int) -> None:
    """Install what the record lists, and take away what the creator put in besides."""
    python = os.path.join(record.path, "bin", "python")
    parent_path = split(record.path)[0]
    words = [python, "-I", "-m", "pip"]  # nothing of the project's own takes a module's place
    if creator == creators.UV:
        words = [shutil.which("uv") or "uv", "pip"]
    at = ["--python", python] if creator == creators.UV else []
    lines = compare.texts(record.recipe, "requirements")
    if lines:
        with _as_file("\n".join(lines) + "\n") as file:
            # The user's own settings for indexes stand in the project, or in the home directory.
            install = [*words, "install", *at, "--no-deps", "-r", file]
            shop.processes.run(install, parent_path, log, [made.fd])
    now = recipes.take("python", record.path, parent_path).recipe
    names = set(map(compare.name_of, compare.texts(now, "requirements")))
    seeds = sorted(names & SEEDS - set(map(compare.name_of, lines)))
    if seeds:
        remove = [*words, "uninstall", *at, *([] if at else ["--yes"]), *seeds]
        shop.processes.run(remove, parent_path, log, [made.fd])


def _not_marked(outcomes: "dict[str, Outcome]") -> list[str]:
    errors = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
    return [f"it is not excluded from backups: {'; '.join(errors)}"] if errors else []


def _contents(task: Task, shop: Workshop, store: Store) -> Ended:
    """Make a directory that others are rebuilt in, and mark it; they may have begun meanwhile."""
    (record,) = task.records
    os.makedirs(record.path, exist_ok=True)
    detail = _complete(record, shop, store, ())
    return Ended(task, DIFFERS if detail else REBUILT, tuple(detail))


def _other(task: Task, shop: Workshop, store: Store, log: int) -> Ended:
    """Run a recipe's commands, with the directories marked before they are filled."""
    files = {record.path: _files(record, store) for record in task.records}
    with contextlib.ExitStack() as held, _UndoOnFailure() as undo:
        directories = []
        for record in task.records:
            directories.append(_begin(record, files[record.path], shop, store, undo))
            held.enter_context(directories[-1])
        with contextlib.ExitStack() as meanwhile:
            if task.commands[0][0] in _REPLACED_WHEN_EMPTY:
                for directory in directories:
                    meanwhile.enter_context(_not_empty(directory))
            for words, placed in _steps(task, store):
                with placed:
                    locks = [directory.fd for directory in directories]
                    shop.processes.run(words, task.directory, log, locks)
        missing = [record.path for record in task.records if not _is_filled(record.path)]
        if missing:
            raise StepError(f"the command ended without an error, and {missing[0]} is not there")
        detail: list[str] = []
        for record in task.records:
            detail += _complete(record, shop, store, files[record.path])
    return Ended(task, DIFFERS if detail else REBUILT, tuple(detail))


class _UndoOnFailure(contextlib.ExitStack):
    """Calls its callbacks only if the block failed."""

    def __exit__(self, kind: object, *more: object) -> bool | None:
        if kind is None:
            self.pop_all()
        return super().__exit__(kind, *more)  # type: ignore[arg-type]


def _begin(
    record: "Record",
    files: "Iterable[tuple[str, bytes]]",
    shop: Workshop,
    store: Store,
    undo: contextlib.ExitStack,
) -> Directory:
    """Make the directory, empty, recorded as unfinished and marked; or take the one there is."""
    parent_path, name = split(record.path)
    attributes = markers.selected(nodump=shop.configuration.nodump)
    reason = pipeline.Reason(
        record.rule, record.evidence, record.recipe, tuple(files), records.REBUILD
    )
    set_here: list[markers.Marker] = []

    def prepare(made: Directory) -> None:
        outcomes = pipeline.mark_before_birth(made, attributes, store, reason, record.path)
        set_here.extend(one for one in attributes if outcomes[one.name].state == MARKED)

    undo.callback(environment.remove_empty, environment.make_missing(parent_path))
    with open_parent(parent_path) as parent, store.locked():
        if parent.path != parent_path:
            raise PathError(f"{record.path}: {not_as_recorded(record.path)}")
        before = store.data(record.path)
        if not parent.has(name):
            undo.callback(_restore, record, before, reason.files, store, is_new=True)
            try:
                directory = birth.create(parent, name, prepare)
            except FileExistsError:
                raise PathError(f"{record.path}: another program has just made it") from None
            undo.callback(_delete, record.path)
            return directory
        directory = open_child(parent, name)
        try:
            if not _is_locked(directory.fd):
                raise PathError(f"{record.path}: another program is filling it")
            undo.callback(_restore, record, before, reason.files, store, is_new=False)
            names = frozenset(os.listdir(directory.fd))
            if names <= HOLLOW_NAMES:
                undo.callback(_strip, record.path, names, set_here)
            prepare(directory)
        except BaseException:
            directory.close()
            raise
        return directory


def _restore(
    record: "Record",
    data: bytes | None,
    files: "Sequence[tuple[str, bytes]]",
    store: Store,
    *,
    is_new: bool,
) -> None:
    """Put a record back as it was, with what stood beside it.

    If a new directory can't be deleted, its record goes on saying that it is not finished.
    """
    with store.locked():
        now = store.read(record.path)
        if is_new and now and journal.what_became_of(now).state == journal.UNFINISHED:
            return
        if any(store.attachment(record.path, name) != content for name, content in files):
            store.write(record, files).close()
        store.restore(record.path, data)


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
    """Give the words that are run, each with what has to stand there meanwhile."""
    recipe = task.records[0].recipe
    if task.kind == "conda":
        lines = ["@EXPLICIT", *compare.texts(recipe, "explicit")]
        with _as_file("\n".join(lines) + "\n") as file:
            yield [*task.commands[0][:-1], file], contextlib.nullcontext()
        requirements = compare.texts(recipe, "requirements")
        if requirements:
            python = os.path.join(task.path, "bin", "python")
            with _as_file("\n".join(requirements) + "\n") as file:
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
    # A run that was killed may have left the copy; any other lock there by now is the truth.
    is_left = task.why == UNFINISHED and _content(place) == content
    if os.path.lexists(place) and not is_left:
        yield
        return
    try:
        with open(place, "wb") as file:
            file.write(content)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)


def _content(path: str) -> bytes | None:
    try:
        return read(path, LOCK_LIMIT)
    except (OSError, ValueError):
        return None


def _complete(
    record: "Record", shop: Workshop, store: Store, files: "tuple[tuple[str, bytes], ...]"
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
            taken = recipes.take(kind, record.path, parent_path if kind == "node" else project)
        except recipes.RecipeError as error:
            # The one that has just brought it back is good enough.
            if "explicit" in recipe:
                detail.append(f"it can't be compared with its record: {error}")
        else:
            recipe, files = taken.recipe, taken.files
            detail += compare.differences(record.recipe, recipe, record.path)
    reason = pipeline.Reason(record.rule, record.evidence, recipe, files)
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        chosen = pipeline.choose_markers(directory, shop.configuration)
        outcomes = pipeline.mark(directory, chosen, store, reason)
    return detail + _not_marked(outcomes)


def _files(record: "Record", store: Store) -> tuple[tuple[str, bytes], ...]:
    found = ((name, store.attachment(record.path, name)) for name in records.ATTACHMENTS)
    return tuple((name, content) for name, content in found if content is not None)


def _is_filled(path: str) -> bool:
    try:
        return not HOLLOW_NAMES.issuperset(os.listdir(path))
    except OSError:
        return False


def _strip(path: str, names: "frozenset[str]", set_here: "Sequence[markers.Marker]") -> None:
    """Leave a directory that a tool failed in as it was: with these names, without our marks."""
    parent_path, name = split(path)
    with open_parent(parent_path) as parent:
        try:
            directory = open_child(parent, name)
        except PathError:
            return  # the tool took it away
        with directory:
            for entry in os.listdir(directory.fd):
                if entry not in names:
                    environment.delete(directory, entry)
            for marker in set_here:
                markers.take_off(marker, directory)


def _delete(path: str) -> None:
    """Delete what a failed rebuild left, never through a link."""
    parent_path, name = split(path)
    try:
        with open_parent(parent_path) as parent:
            environment.delete(parent, name)
    except PathError:
        return


@contextlib.contextmanager
def _as_file(text: str) -> "Iterator[str]":
    """Write a private temporary file, for as long as it is needed."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".txt", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        yield file.name


def _write(log: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(log, data)


def _last_lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line[-_LINE_LENGTH:] for line in lines[-_LAST_LINES:]]
