"""Leave directories out of backups: the marks that backup programs read.

For tools that make directories which can be rebuilt::

    import regrow_marks

    regrow_marks.create(".venv")          # made, and left out of backups before its first file
    regrow_marks.exclude("node_modules")  # one that exists already
    regrow_marks.is_excluded(".venv")     # by which program, through which mark, set where
    regrow_marks.include(".venv")         # back into the backups

Nothing but the standard library is imported, no program is run, and nothing is recorded.
"""

from regrow_marks.errors import MarkerError, PathError, RefusedError, RegrowError
from regrow_marks.model import Exclusion, Outcome
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow_marks.directory import Directory, StrOrBytesPath

__version__ = "0.1.0"

__all__ = [
    "Exclusion",
    "MarkerError",
    "Outcome",
    "PathError",
    "RefusedError",
    "RegrowError",
    "__version__",
    "create",
    "exclude",
    "include",
    "is_excluded",
]

# Each call imports what it needs: `import regrow_marks` is cheap for tools that may not call it.


def exclude(path: "StrOrBytesPath", *, tag: "bool | None" = None) -> "dict[str, Outcome]":
    """Mark an existing directory, so that backup programs leave it and all below it out.

    Sets Time Machine's attribute on macOS and ``user.xdg.robots.backup`` on Linux. It may be called
    again at any time. What is inside is not looked at: a directory that holds somebody's sources is
    marked as well.

    Args:
        path: the directory; a symbolic link is refused, links on the way to it are followed.
        tag: whether to write a ``CACHEDIR.TAG`` as well, which tar, restic, borg and others read.
            None, the default: only in virtual and conda environments. Pass True only where one
            more file does no harm: git ignores the directory, and nobody publishes it.

    Returns:
        The outcome of each marker, by its name (``time-machine``, ``xdg-robots``,
        ``cachedir-tag``). If one failed, its ``error`` says why; the others were set all the same.

    Raises:
        RefusedError: the directory is a home directory, holds one, or is a mount point.
        PathError: the path is missing, a link, or no directory; nothing was changed.

    Example:
        >>> import regrow_marks, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     outcomes = regrow_marks.exclude(directory, tag=True)
        >>> outcomes["cachedir-tag"].state
        'marked'
    """
    from regrow_marks import markers, places
    from regrow_marks.directory import open_directory
    from regrow_marks.tag import is_environment

    with open_directory(path) as directory:
        places.refuse(directory)
        chosen = markers.selected()
        if tag or (tag is None and is_environment(directory)):
            chosen = (*chosen, markers.marker(markers.CACHEDIR_TAG))
        return {mark.name: markers.put_on(mark, directory) for mark in chosen}


def include(path: "StrOrBytesPath") -> "dict[str, Outcome]":
    """Remove the marks from a directory, so that it is backed up again.

    Args:
        path: the directory; a symbolic link is refused.

    Returns:
        The outcome of each marker, by its name: ``unmarked``, ``not marked`` or ``failed``.
        Attributes are removed whoever set them; a ``CACHEDIR.TAG`` is removed only if regrow wrote
        it, else its ``error`` says that it stays.

    Raises:
        PathError: the path is missing, a link, or no directory; nothing was changed.
    """
    from regrow_marks import markers, signature
    from regrow_marks.directory import open_directory

    with open_directory(path) as directory:
        chosen = (*markers.selected(), markers.marker(markers.CACHEDIR_TAG))
        outcomes = {mark.name: markers.take_off(mark, directory) for mark in chosen}
        signature.clear(directory)
        return outcomes


def is_excluded(path: "StrOrBytesPath") -> "dict[str, Exclusion | None]":
    """Return which backup programs leave a path out, by which mark, and where that is set.

    Args:
        path: any path that exists: a directory, or a file.

    Returns:
        For each program of this platform that reads marks, installed or not, by its name
        (``time-machine``, ``restic``, ``borg``, …): the exclusion that covers the path, nearest
        first; None if the program backs it up.

    Raises:
        PathError: the path does not exist.
    """
    from regrow_marks import effect, programs

    marks = effect.marks_on_the_way(path)
    return {program.name: effect.exclusion(program, marks) for program in programs.of_platform()}


def create(path: "StrOrBytesPath") -> "dict[str, Outcome]":
    """Make a directory that carries its attributes before anyone can see it.

    It is made under a temporary name beside its place, marked, and renamed. No tag is written:
    uv, for one, refuses a directory that holds any file; call ``exclude(path, tag=True)`` later.

    Args:
        path: the directory to make; its parent must exist. A directory that exists already is
            accepted if it is empty or marked.

    Returns:
        The outcome of each marker, by its name, as ``exclude`` returns it.

    Raises:
        RefusedError: the directory exists, and ``exclude`` refuses it.
        PathError: it can't be made (the message says why), or it holds files already and is not
            marked: ``exclude`` marks such a directory.
    """
    from regrow_marks import birth, markers, places
    from regrow_marks.directory import is_empty, open_child, open_parent, split_for_creation

    outcomes: dict[str, Outcome] = {}

    def mark(directory: "Directory") -> None:
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
            places.refuse(existing)
            if not is_empty(existing) and not markers.all_hold(markers.selected(), existing):
                raise PathError(
                    f"{existing.path}: it exists already, with files in it;"
                    " exclude() marks a directory that exists"
                )
            mark(existing)
    return outcomes
