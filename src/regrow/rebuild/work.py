"""Carries tasks out: marked from birth, in place, verified afterwards; or all as it was."""

import contextlib
import fcntl
import os
import shutil

from regrow import birth, creators, environment, markers, pipeline, recipes, records
from regrow.directory import Directory, open_child, open_parent, split
from regrow.errors import CreatorError, CreatorFailedError, PathError, RegrowError, in_words
from regrow.model import FAILED
from regrow.plain import TYPE_CHECKING, NamedTuple
from regrow.rebuild.processes import InterruptedError as Interrupted
from regrow.rebuild.processes import Processes, StepError
from regrow.rebuild.tasks import HOLLOW, HOLLOW_NAMES, MISSING, Task
from regrow.recipes.python import canonical
from regrow.records import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.config import Configuration
    from regrow.model import Record

REBUILT = "rebuilt"
DIFFERS = "differs"
STOPPED = "interrupted"

_SEEDS = frozenset(("pip", "setuptools", "wheel"))  # what creators put in by themselves
_LAST_LINES = 5
_TAIL = 16 * 1024  # bytes of a log that are looked at for its last lines
_REPLACED_WHEN_EMPTY = ("pnpm",)
"""Managers that replace an empty directory, and so would lose its mark."""


class Ended(NamedTuple):
    """What became of a task."""

    task: Task
    outcome: str
    """``rebuilt``, ``differs``, ``failed`` or ``interrupted``."""
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(path, flags, 0o600)
    except OSError as error:
        return Ended(task, FAILED, (f"{path}: its log can't be written: {in_words(error)}",))
    try:
        with Store() as store:
            build = _python if task.kind == "python" else _other
            return build(task, shop, store, log)._replace(log=path)
    except Interrupted:
        return Ended(task, STOPPED, log=path)
    except CreatorFailedError as error:
        _write(log, error.output)
        return Ended(task, FAILED, (str(error), *_last_lines(path)), path)
    except (RegrowError, OSError) as error:
        words = in_words(error) if isinstance(error, OSError) else str(error)
        return Ended(task, FAILED, (words, *_last_lines(path)), path)
    finally:
        os.close(log)


def _python(task: Task, shop: Workshop, store: Store, log: int) -> Ended:
    """Make an environment anew, and install exactly what its record lists."""
    (record,) = task.records
    parent_path, name = split(record.path)
    if task.why == HOLLOW:
        _remove_hollow(record.path)
    creator = creators.UV if creators.is_here(creators.UV) else creators.VENV
    interpreters = _interpreters(record.recipe, creator)
    for number, interpreter in enumerate(interpreters, start=1):
        request = creators.Request(
            python=interpreter,
            system_site_packages=bool(record.recipe.get("system_site_packages")),
            prompt=str(record.recipe.get("prompt") or "") or None,
        )
        try:
            environment.make(
                parent_path,
                name,
                creator,
                request,
                store=store,
                configuration=shop.configuration,
                recipe=record.recipe,
                clear=True,
                progress=contextlib.nullcontext(),
                notice=lambda text: _write(log, f"{text}\n".encode(errors="backslashreplace")),
                state=records.REBUILD,
                fill=lambda made: _install(record, made, creator, shop, log),
            )
            break
        except CreatorError as error:  # there is no such interpreter
            if number == len(interpreters):
                raise
            _write(log, getattr(error, "output", b"") + f"{error}\n".encode())
    return _compared(task, record, recipes.take("python", record.path, parent_path).recipe)


def _interpreters(recipe: "recipes.Recipe", creator: str) -> list[str | None]:
    """Give what to ask a creator for: the very interpreter, its version, then one next to it."""
    interpreter, version = str(recipe.get("interpreter", "")), str(recipe.get("version", ""))
    implementation = str(recipe.get("implementation", "")).lower()
    prefix = "" if implementation in ("", "cpython") else f"{implementation}@"
    found: list[str | None] = []
    if os.path.isfile(interpreter) and os.access(interpreter, os.X_OK):
        found.append(interpreter)
    if version and creator == creators.UV:
        found.append(f"{prefix}{version}")
    if version:
        found.append(f"{prefix}{'.'.join(version.split('.')[:2])}")
    return found or [None]


def _install(record: "Record", made: Directory, creator: str, shop: Workshop, log: int) -> None:
    """Install what the record lists, and take away what the creator put in besides."""
    python = os.path.join(record.path, "bin", "python")
    parent_path = split(record.path)[0]
    words = [python, "-m", "pip"]
    if creator == creators.UV:
        words = [shutil.which("uv") or "uv", "pip"]
    at = ["--python", python] if creator == creators.UV else []
    lines = [str(line) for line in _list(record.recipe.get("requirements"))]
    if lines:
        with _as_file("\n".join(lines) + "\n") as file:
            # The user's own settings for indexes stand in the project, or in the home directory.
            install = [*words, "install", *at, "--no-deps", "-r", file]
            shop.processes.run(install, parent_path, log, [made.fd])
    wanted = {canonical(line.partition("==")[0]) for line in lines}
    now = _list(recipes.take("python", record.path, parent_path).recipe["requirements"])
    names = {canonical(str(line).partition("==")[0]) for line in now}
    seeds = sorted(names & _SEEDS - wanted)
    if seeds:
        remove = [*words, "uninstall", *at, *([] if at else ["--yes"]), *seeds]
        shop.processes.run(remove, parent_path, log, [made.fd])


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _compared(task: Task, record: "Record", now: "recipes.Recipe") -> Ended:
    """Compare what stands there with what was recorded."""
    before, after = (_installed(recipe) for recipe in (record.recipe, now))
    detail = [f"not installed: {line}" for line in sorted(before - after)]
    detail += [f"installed besides: {line}" for line in sorted(after - before)]
    wanted, found = record.recipe.get("version"), now.get("version")
    if wanted and wanted != found:
        detail.append(f"it has Python {found}, where Python {wanted} was")
    unowned = [str(name) for name in _list(record.recipe.get("unowned"))]
    if unowned:
        detail.append(f"no package brings these files in it back: {', '.join(unowned)}")
    return Ended(task, DIFFERS if detail else REBUILT, tuple(detail))


def _installed(recipe: "recipes.Recipe") -> set[str]:
    """Give the requirements of a recipe, names as indexes normalise them."""
    found = set()
    for item in _list(recipe.get("requirements")):
        line = str(item)
        name, pin, version = line.partition("==")
        found.add(f"{canonical(name)}=={version}" if pin and " " not in name else line)
    return found


def _other(task: Task, shop: Workshop, store: Store, log: int) -> Ended:
    """Run a recipe's commands, with the directories marked before they are filled."""
    with contextlib.ExitStack() as stack:
        undo = stack.enter_context(_UndoOnFailure())
        is_kept = task.commands[0][0] not in _REPLACED_WHEN_EMPTY and task.kind != "pixi"
        held: list[int] = []
        for record in task.records:
            undo.callback(store.restore, record.path, store.data(record.path))
            if is_kept:
                directory = stack.enter_context(_begin(record, task, shop, store, undo))
                held.append(directory.fd)
            elif task.why == MISSING:
                undo.callback(_delete, record.path)
        for words, placed in _steps(task, store):
            with placed:
                shop.processes.run(words, task.directory, log, held)
        missing = [record.path for record in task.records if not _is_filled(record.path)]
        if missing:
            raise StepError(f"the command ended without an error, and {missing[0]} is not there")
        for record in task.records:
            _complete(record, shop, store)
        undo.pop_all()
    return Ended(task, REBUILT)


class _UndoOnFailure(contextlib.ExitStack):
    """Calls its callbacks only if the block failed."""

    def __exit__(self, kind: object, *more: object) -> bool | None:
        if kind is None:
            self.pop_all()
        return super().__exit__(kind, *more)  # type: ignore[arg-type]


def _begin(
    record: "Record", task: Task, shop: Workshop, store: Store, undo: contextlib.ExitStack
) -> Directory:
    """Make the directory, empty, recorded as unfinished and marked; or take the one there is."""
    parent_path, name = split(record.path)
    attributes = markers.selected(nodump=shop.configuration.nodump)
    reason = pipeline.Reason(
        record.rule, record.evidence, record.recipe, _files(record, store), records.REBUILD
    )

    def prepare(made: Directory) -> None:
        pipeline.mark_before_birth(made, attributes, store, reason, record.path)

    if task.why == HOLLOW:
        _remove_hollow(record.path)
    os.makedirs(parent_path, exist_ok=True)
    with open_parent(parent_path) as parent, store.locked():
        if parent.path != parent_path:
            raise PathError(f"{record.path}: a link leads to it now, from {parent_path}")
        if not parent.has(name):
            directory = birth.create(parent, name, prepare)
            undo.callback(_delete, record.path)
        else:
            directory = open_child(parent, name)
            try:
                prepare(directory)
            except BaseException:
                directory.close()
                raise
    try:
        fcntl.flock(directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        directory.close()
        raise PathError(f"{record.path}: another program is filling it") from None
    except OSError:
        pass  # a file system without locks
    return directory


def _steps(
    task: Task, store: Store
) -> "Iterator[tuple[Sequence[str], contextlib.AbstractContextManager[object]]]":
    """Give the words that are run, each with what has to stand there meanwhile."""
    recipe = task.records[0].recipe
    if task.kind == "conda":
        lines = ["@EXPLICIT", *map(str, _list(recipe["explicit"]))]
        with _as_file("\n".join(lines) + "\n") as file:
            yield [*task.commands[0][:-1], file], contextlib.nullcontext()
        requirements = [str(line) for line in _list(recipe.get("requirements"))]
        if requirements:
            python = os.path.join(task.path, "bin", "python")
            with _as_file("\n".join(requirements) + "\n") as file:
                words = [python, "-m", "pip", "install", "--no-deps", "-r", file]
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
    try:
        with open(place, "xb") as file:
            file.write(content)
    except FileExistsError:
        yield  # the project has a lock by now: that is the truth
        return
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)


def _complete(record: "Record", shop: Workshop, store: Store) -> None:
    """Put all marks on what stands there now, and record it as it is."""
    parent_path, name = split(record.path)
    kind = str(record.recipe["kind"])
    files = _files(record, store)
    recipe = record.recipe
    if kind not in ("command", "contents"):
        try:
            project = str(recipe.get("directory", parent_path))
            taken = recipes.take(kind, record.path, parent_path if kind == "node" else project)
            recipe, files = taken.recipe, taken.files
        except recipes.RecipeError:
            pass  # the one that has just brought it back is good enough
    reason = pipeline.Reason(record.rule, record.evidence, recipe, files)
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        chosen = pipeline.choose_markers(directory, shop.configuration)
        outcomes = pipeline.mark(directory, chosen, store, reason)
    errors = [outcome.error for outcome in outcomes.values() if outcome.state == FAILED]
    if errors:
        raise StepError(f"{record.path}: rebuilt, and not marked: {'; '.join(errors)}")


def _files(record: "Record", store: Store) -> tuple[tuple[str, bytes], ...]:
    found = ((name, store.attachment(record.path, name)) for name in records.ATTACHMENTS)
    return tuple((name, content) for name, content in found if content is not None)


def _is_filled(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def _remove_hollow(path: str) -> None:
    """Remove what a backup left of a directory: itself, and its tag."""
    parent_path, name = split(path)
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        for entry in HOLLOW_NAMES:
            if directory.has(entry):
                os.unlink(entry, dir_fd=directory.fd)
        os.rmdir(name, dir_fd=parent.fd)


def _delete(path: str) -> None:
    """Delete what a failed rebuild left, never through a link."""
    parent_path, name = split(path)
    try:
        with open_parent(parent_path) as parent:
            shutil.rmtree(name, ignore_errors=True, dir_fd=parent.fd)
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
    return lines[-_LAST_LINES:]
