"""regrow keeps what can be rebuilt out of your backups, and can rebuild it.

For authors of tools that make such directories, four functions on the standard library alone::

    import regrow

    regrow.create(".venv")           # made, and left out of backups before its first file
    regrow.exclude("node_modules")   # one that exists already
    regrow.is_excluded(".venv")      # by which program, through which mark, set where
    regrow.include(".venv")          # back into the backups

and ``regrow.EnvBuilder``, a ``venv.EnvBuilder`` whose environments are marked at birth.

None of them writes records: those are for what people ask of the command line.
"""

from regrow.errors import ConfigurationError, CreatorError, RecordError
from regrow_marks.errors import MarkerError, PathError, RefusedError, RegrowError
from regrow_marks.model import Exclusion, Outcome
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from regrow.create.builder import EnvBuilder

    StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
else:

    def __getattr__(name):
        if name != "EnvBuilder":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from regrow.create.builder import EnvBuilder  # the venv module is heavy

        return EnvBuilder


__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "CreatorError",
    "EnvBuilder",
    "Exclusion",
    "MarkerError",
    "Outcome",
    "PathError",
    "RecordError",
    "RefusedError",
    "RegrowError",
    "__version__",
    "create",
    "exclude",
    "include",
    "is_excluded",
]


def exclude(path: "StrOrBytesPath", *, tag: bool | None = None) -> dict[str, Outcome]:
    """Mark an existing directory, so that backup programs leave it and all below it out.

    Sets Time Machine's attribute on macOS and ``user.xdg.robots.backup`` on Linux; nothing is run.
    It may be called again at any time. What is inside is not looked at: a directory that holds
    somebody's sources is marked as well.

    Args:
        path: the directory; a symbolic link is refused, links on the way to it are followed.
        tag: whether to write a ``CACHEDIR.TAG`` as well, which tar, restic, borg and others read.
            None, the default: only in virtual and conda environments. Give True only where a
            file more does no harm: git must ignore the directory, and nobody may publish it.

    Returns:
        By marker name (``time-machine``, ``xdg-robots``, ``cachedir-tag``): what became of it. A
        marker that failed says why in ``error``; the others were set all the same.

    Raises:
        RefusedError: it is a home directory, or holds one, or is a mount point. Nobody can mean
            these: ``regrow mark --force`` marks them all the same.
        PathError: the path is missing, a link or no directory; nothing was changed.

    Example:
        >>> import regrow, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     outcomes = regrow.exclude(directory, tag=True)
        >>> outcomes["cachedir-tag"].state
        'marked'
    """
    from regrow.decide.refusals import Refusals
    from regrow_marks import markers
    from regrow_marks.directory import open_directory
    from regrow_marks.tag import is_environment

    with open_directory(path) as directory:
        Refusals().refuse_place(directory)
        chosen = markers.selected()
        if tag or (tag is None and is_environment(directory)):
            chosen = (*chosen, markers.marker(markers.CACHEDIR_TAG))
        return {mark.name: markers.put_on(mark, directory) for mark in chosen}


def include(path: "StrOrBytesPath") -> dict[str, Outcome]:
    """Take regrow's marks off a directory, so that it is backed up again.

    Args:
        path: the directory; a symbolic link is refused.

    Returns:
        By marker name: ``unmarked``, ``not marked`` or ``failed``. Attributes go whoever set them;
        a ``CACHEDIR.TAG`` goes only if regrow wrote it, else its ``error`` says that it stays.

    Raises:
        PathError: the path is missing, a link or no directory; nothing was changed.
    """
    from regrow_marks import markers, signature
    from regrow_marks.directory import open_directory

    with open_directory(path) as directory:
        chosen = (*markers.selected(), markers.marker(markers.CACHEDIR_TAG))
        outcomes = {mark.name: markers.take_off(mark, directory) for mark in chosen}
        signature.clear(directory)
        return outcomes


def is_excluded(path: "StrOrBytesPath") -> dict[str, Exclusion | None]:
    """Tell which backup programs leave a path out, by what, and where that is set.

    Args:
        path: any path that exists: a directory, or a file below one.

    Returns:
        By program name (``time-machine``, ``restic``, ``borg``, …), for each program of this
        platform that reads marks: the exclusion that covers the path, nearest first; None if the
        program backs it up. Whether the program is installed plays no part.

    Raises:
        PathError: the path does not exist.
    """
    from regrow.programs import effect

    marks = effect.marks_on_the_way(path)
    return {program.name: effect.exclusion(program, marks) for program in effect.known_programs()}


def create(path: "StrOrBytesPath") -> dict[str, Outcome]:
    """Make a directory that carries its attributes before anyone can see it.

    It is made under a temporary name beside its place, marked, and renamed. No tag is written:
    uv, for one, refuses a directory that holds any file; call ``exclude(path, tag=True)`` later.

    Args:
        path: the directory to make; its parent must exist. One that is there already, empty, or
            marked, or made by another process meanwhile, is marked and counts as made.

    Returns:
        By marker name: what became of it, as ``exclude`` tells it.

    Raises:
        RefusedError: it is there, and ``exclude`` refuses it; ``regrow mark --force`` doesn't.
        PathError: it can't be made (the message says why), or it holds files already and is not
            marked: ``exclude`` marks such a directory.
    """
    from regrow.create import birth
    from regrow.decide.refusals import Refusals
    from regrow_marks import markers
    from regrow_marks.directory import (
        Directory,
        is_empty,
        open_child,
        open_parent,
        split_for_creation,
    )

    outcomes: dict[str, Outcome] = {}

    def mark(directory: Directory) -> None:
        for marker in markers.selected():
            outcomes[marker.name] = markers.put_on(marker, directory)

    parent_path, name = split_for_creation(path)
    with open_parent(parent_path) as parent:
        if not parent.has(name):
            try:
                birth.create(parent, name, mark).close()
                return outcomes
            except FileExistsError:
                outcomes.clear()  # another process was faster: its directory takes the marks
        with open_child(parent, name) as existing:
            Refusals().refuse_place(existing)
            if not is_empty(existing) and not markers.all_hold(markers.selected(), existing):
                raise PathError(
                    f"{existing.path}: it exists already, with files in it;"
                    " regrow.exclude(path) marks a directory that exists"
                )
            mark(existing)
    return outcomes
