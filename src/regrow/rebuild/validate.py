"""Refuses records that regrow would not have written, or that do not fit their directory.

A record is a file: a restore, another machine or another program may have changed it.
"""

import os
import re
import stat
from fnmatch import fnmatchcase

from regrow.recipes import compare
from regrow.records.format import check_values
from regrow.records.store import identity_of, is_about
from regrow.system import ownership
from regrow_marks.directory import ancestors, is_below, join, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from regrow.model import Record, Rule

# Both become arguments of a creator, which may take a version that it does not know for a path, and
# run what is there.
_VERSION = re.compile(r"(\d+(\.\d+){0,2}((a|b|rc)\d+)?t?)?", re.ASCII)
_IMPLEMENTATION = re.compile(r"(cpython|pypy|graalpy|pyodide)?", re.IGNORECASE)
# Lines that regrow writes (recipes/python.py): no other option of pip's gets through.
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9][\w.-]*==[\w.!+-]+"
    r"|[A-Za-z0-9][\w.-]* @ (?:(?:git|hg|svn|bzr)\+)?[a-z]+:(?!//-)[^\s]+"
    r"|-e (/[\w/.+@-]+|file:///[^\s]+)",
    re.ASCII,
)
_SCHEME = re.compile(r"(?:(?:git|hg|svn|bzr)\+)?(?:https?|ssh|git|svn|lp|sftp|ftp|file):")
_ADDRESS = re.compile(r"(?:https?|file)://[^\s]+")

_OF_CREATORS = frozenset(
    (
        *("bin", "lib", "lib64", "include", "share", "Scripts", "Lib", "Include", "pyvenv.cfg"),
        *("CACHEDIR.TAG", ".gitignore", ".lock", ".DS_Store", ".regrow-filling"),
    )
)
"""What a creator that was stopped may leave at the top of an environment."""

_TRACES = {
    "conda": ("conda-meta",),
    "cmake": ("CMakeCache.txt", "CMakeFiles"),
    "meson": ("meson-info", "meson-private", "meson-logs"),
}
"""By kind: one of these is among what its tool leaves from its first moments on."""

_ENTRIES_LOOKED_AT = 10_000  # of a source directory


def check(record: "Record") -> None:
    """Check what every record holds. Raises TypeError and ValueError."""
    if os.path.normpath(record.path) != record.path or record.path.startswith("//"):
        raise ValueError(f"{record.path} is no path that regrow writes")
    check_values(record)
    kind, name = record.recipe.get("kind"), split(record.path)[1]
    if kind == "node" and name != "node_modules":
        raise ValueError(f"no directory of the name {name} is a node_modules")
    if kind == "pixi" and not record.path.endswith("/.pixi/envs"):
        raise ValueError(f"{record.path} is not where pixi keeps environments")


def check_name(record: "Record", rule: "Rule") -> None:
    """Check that a rule recognises directories of a record's name. Raises ValueError."""
    name, pattern = split(record.path)[1], rule.directory.rpartition("/")[2]
    if not fnmatchcase(name, pattern):
        raise ValueError(f"its rule {rule.name} is for directories of the name {pattern}")


def check_version(record: "Record") -> None:
    """Check the fields that say which Python an environment has. Raises ValueError."""
    for key, known in (("version", _VERSION), ("implementation", _IMPLEMENTATION)):
        value = record.recipe.get(key, "")
        if not isinstance(value, str) or not known.fullmatch(value):
            raise ValueError(f"{key} = {value!r} is none that regrow knows")


def requirements(record: "Record") -> list[str]:
    """Return the lines that pip or uv install from. Raises KeyError, TypeError and ValueError."""
    lines = texts(record.recipe["requirements"])
    for line in lines:
        _, at, address = line.partition(" @ ")
        is_known = _REQUIREMENT.fullmatch(line) and (not at or _SCHEME.match(address))
        # What is not printable might end the line for pip.
        if not is_known or not line.isprintable():
            raise ValueError(f"{line!r} is no requirement that regrow writes")
    return lines


def addresses(record: "Record") -> list[str]:
    """Return the packages of a conda environment. Raises KeyError, TypeError and ValueError."""
    lines = texts(record.recipe["explicit"])
    for line in lines:
        if not _ADDRESS.fullmatch(line) or not line.isprintable():
            raise ValueError(f"{line!r} is no address of a package")
    return lines


def texts(value: object) -> list[str]:
    """Return a value that is a list of texts. Raises TypeError and ValueError for any other."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{value!r} is no list of words")
    if any("\0" in item or "\n" in item for item in value):
        raise ValueError("a word has a line break or a null character in it")
    return value


def project(record: "Record") -> str:
    """Return the project in a recipe.

    Raises:
        KeyError, ValueError: there is none, or the directory is not in it.
    """
    directory = absolute(record.recipe["directory"])
    if not is_below(record.path, directory) or record.path == directory:
        raise ValueError(f"it is not in its project {directory}")
    return directory


def absolute(value: object) -> str:
    """Return a path if it is absolute. Raises ValueError."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is no absolute path")
    return value


def not_ours(path: str) -> str:
    """Return why a directory, or the nearest one above it, is not the user's own; empty: it is."""
    place = next(place for place in (path, *ancestors(path)) if os.path.exists(place))
    status = os.stat(place)
    user = os.geteuid()
    if status.st_uid not in (user, 0):
        return f"{place} belongs to another user: run regrow as that user"
    if status.st_mode & stat.S_IWOTH and (status.st_mode & stat.S_ISVTX or status.st_uid != user):
        return f"everybody may put files into {place}; what is run there could be anybody's"
    return ""


def not_described(record: "Record", *, is_same: bool) -> str:
    """Return why what stands at a record's path is not what the record describes; empty: it is.

    An empty directory, and a path where none is, fit every record. With *is_same* it has to be
    the very directory that was recorded. Raises OSError: it can't be read.
    """
    try:
        with open_directory(record.path) as directory:
            names = frozenset(os.listdir(directory.fd))
            this = identity_of(directory.fd)
    except PathError:
        return ""
    stranger = _stranger(record, names)
    if stranger:
        return f"it holds what no rebuild of it makes ({stranger}): move that to another place"
    if is_same and names and not is_about(record, this):
        return (
            "another directory stands there than the one recorded: `regrow mark` records it as it"
            " is, or move it to another place"
        )
    return ""


def _stranger(record: "Record", names: "frozenset[str]") -> str:
    """Return a name that shows a directory to be of another kind than its record says."""
    kind = record.recipe.get("kind")
    rest = sorted(names - _OF_CREATORS)
    if kind == "python" and "pyvenv.cfg" not in names:
        return rest[0] if rest else ""
    if kind in _TRACES and rest and names.isdisjoint(_TRACES[str(kind)]):
        return rest[0]
    if kind in ("node", "pixi"):
        # Managers put packages there, and hidden files.
        with os.scandir(record.path) as entries:
            found = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            return next((name for name in found if name in rest and name[0] != "."), "")
    return ""


def foreign_source(record: "Record") -> str:
    """Return why a local source of a record's packages may be somebody else's work.

    A restore, or somebody in an emptied /tmp, may have put another one in its place.
    """
    for name, source in _sources(record):
        why = ownership.replaceable(source) or _foreign_entry(source)
        if why:
            return f"{name} comes from {source}, which could be anybody's: {why}"
    return ""


def others_sources(record: "Record") -> list[str]:
    """Return a sentence for each local source that belongs to another user."""
    found = []
    for name, source in _sources(record):
        try:
            owner = os.stat(source).st_uid
        except OSError:
            continue
        if owner not in (os.geteuid(), 0):
            found.append(f"{name} comes from {source}, which belongs to another user ({owner})")
    return found


def _sources(record: "Record") -> "Iterator[tuple[str, str]]":
    """Yield the local paths that a record's packages come from, each after the package's name."""
    for key in ("requirements", "explicit"):
        for line in compare.texts(record.recipe, key):
            name, at, address = line.partition(" @ ")
            if line.startswith("-e "):
                name = address = line.removeprefix("-e ")
            elif not at:
                address = line
            path = address if address.startswith("/") else _local_path(address)
            if path:
                yield (name if at else path), path


def _local_path(address: str) -> str:
    """Return the path that a ``file:`` address names, of a repository too; empty for others."""
    from urllib.parse import unquote_to_bytes

    scheme, _, rest = address.partition(":")
    if scheme.rpartition("+")[2].lower() != "file":
        return ""
    path = rest.removeprefix("//").removeprefix("localhost")
    path = path.partition("#")[0].partition("?")[0]
    if "+" in scheme:
        path = path.rpartition("@")[0] or path  # the commit
    path = os.fsdecode(unquote_to_bytes(path))
    return "" if "\0" in path else path  # there can't be such a file


def _foreign_entry(source: str) -> str:
    """Return why something at the top of a source directory may be somebody else's work."""
    try:
        owner = os.stat(source).st_uid
        with os.scandir(source) as entries:
            for number, entry in enumerate(entries):
                status = entry.stat(follow_symlinks=False)
                why = ownership.not_trusted(status, owner)
                if why:
                    return f"{join(source, entry.name)}: {why}"
                if number == _ENTRIES_LOOKED_AT:
                    break
    except (FileNotFoundError, NotADirectoryError):
        pass
    return ""
