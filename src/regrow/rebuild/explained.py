"""What a virtual environment's installers and creators put into it: its recipe brings that back.

The rules were measured over 88 environments of uv, virtualenv, venv, pip 9 to 26, Poetry, PDM,
Hatch, tox, nox and pipx: none of 280,000 untouched files was taken for somebody's own.
"""

import base64
import csv
import hashlib
import io
import os
import posixpath
import re
import stat
from functools import partial

from regrow.create.claim import HOLLOW_NAMES
from regrow.recipes.distributions import HEAD, canonical, name_and_version, site_packages
from regrow.recipes.files import read_lines
from regrow.recipes.recipe import RecipeError
from regrow_marks.directory import join
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.safe_read import RECORD_LIMIT, read_head
from regrow_marks.tag import SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LAG = 2_000_000_000  # nanoseconds; installers took at most 0.21 s to write RECORD after a file
_HEAD_SIZE = 128  # bytes: enough for the longest of the texts below
_CHUNK = 1 << 20  # bytes that are hashed at a time
_PROGRAMS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How executables begin: ELF; Mach-O of 64 and 32 bits; Mach-O for several processors."""

_INTERPRETER = re.compile(r"bin/(python|pypy|graalpy)w?(\d[\d.]*[dt]?)?")
_ACTIVATION = re.compile(
    r"bin/(activate(\.(csh|fish|nu|bat|ps1|xsh))?|Activate\.ps1|activate_this\.py"
    r"|deactivate\.(bat|csh|nu)|pydoc\.bat)"
)
"""The scripts that venv, virtualenv and uv write; another name is somebody's own script."""

_BYTECODE = re.compile(r"((?:.*/)?)__pycache__/([^/]+?)\.[^/]+\.pyc")
_TEXTS = {
    "CACHEDIR.TAG": SIGNATURE,
    ".gitignore": b"*",
    ".lock": b"",
    "_virtualenv.pth": b"import _virtualenv",
    "_virtualenv.py": b'"""Patches that are applied at runtime to the virtual environment."""',
}
"""By name: how files begin that creators write and no RECORD names."""

_SHORT = (".gitignore", ".lock", "_virtualenv.pth")
_SHORT_SIZE = 64  # bytes; virtualenv's .gitignore has 42
_SETTINGS_SIZE = 64 * 1024  # bytes of pyvenv.cfg; real ones have about 300
_SETTING = re.compile(r"[a-z][a-z_-]*\s*=.*")
"""A line of pyvenv.cfg, as all creators write them: none writes a comment."""

_SEEDS = frozenset(("pip", "setuptools", "wheel", "distribute"))


class _Owned(NamedTuple):
    """What a RECORD says of one file."""

    hash: str
    """``sha256=<urlsafe base64>``; empty: none is recorded."""
    size: str
    recorded: os.stat_result
    """The RECORD's own status."""


class _Activation:
    """When a creator wrote an environment's activation scripts: all in one go, at its end.

    What is more than two seconds younger than the oldest was edited since. A time of modification
    can be put back, as ``cp -p`` does; that of the last change can't.
    """

    def __init__(self, path: str) -> None:
        self._written: list[int] = []
        self._changed: list[int] = []
        try:
            with os.scandir(join(path, "bin")) as entries:
                for entry in entries:
                    if _ACTIVATION.fullmatch(f"bin/{entry.name}"):
                        status = entry.stat(follow_symlinks=False)
                        self._written.append(status.st_mtime_ns)
                        self._changed.append(status.st_ctime_ns)
        except OSError:
            pass  # none of them is explained

    def is_creators(self, status: os.stat_result) -> bool:
        """Return whether an activation script is as it was written."""
        written, changed = min(self._written, default=0), min(self._changed, default=0)
        return status.st_mtime_ns <= written + _LAG and status.st_ctime_ns <= changed + _LAG

    def settings_are_creators(self, status: os.stat_result, name: str, parent: int) -> bool:
        """Return whether a pyvenv.cfg is as a creator wrote it, shortly after these scripts."""
        if status.st_size > _SETTINGS_SIZE:
            return False
        if self._written and status.st_mtime_ns > max(self._written) + _LAG:
            return False
        text = (read_head(name, _SETTINGS_SIZE, parent) or b"").decode(errors="replace")
        return all(_SETTING.fullmatch(line) for line in text.splitlines() if line.strip())


class Shell:
    """Explains what backups and file managers leave of a directory whose contents were left out.

    See ``trees.Explains``.
    """

    def owns(self, path: str, status: os.stat_result, parent: int) -> bool:
        """Return whether an entry is a cache directory tag, or the Finder's notes."""
        if not stat.S_ISREG(status.st_mode) or path not in HOLLOW_NAMES:
            return False
        return path == ".DS_Store" or (read_head(path, _HEAD_SIZE, parent) or b"").startswith(
            SIGNATURE
        )

    def may_own_below(self, path: str) -> bool:  # noqa: ARG002
        """Return False: all of it stands at the top."""
        return False

    def stays(self, path: str) -> bool:  # noqa: ARG002
        """Return False: nothing of the user's would spoil what a package manager makes."""
        return False


class Installed:
    """Explains what is in an environment by what is installed in it; see ``trees.Explains``."""

    def __init__(self, path: str, back: "Collection[tuple[str, str]] | None") -> None:
        """Read the RECORDs of the environment at *path*.

        *back* has the names (normalised) and versions of the distributions that come back; None:
        all may go.
        """
        self._owned: dict[str, _Owned] = {}
        self._stays: set[str] = set()
        names_back = {name for name, _ in back or ()}
        self._directories = {"bin", "lib", "lib64", "include", "share"}
        for place in site_packages(path):
            below = place[len(path.rstrip("/")) + 1 :]
            self._directories.update(_parents(f"{below}/x"))
            for entry, name, version in distributions(place):
                if back is None or name in _SEEDS or (name, version) in back:
                    self._add(place, below, entry, name)
                elif name in names_back:  # in another version, which two of would break
                    for file, _ in _recorded(place, below, entry):
                        self._stays.update((file, *_parents(file)))
        self._activation = _Activation(path)

    def owns(self, path: str, status: os.stat_result, parent: int) -> bool:
        """See ``trees.Explains``."""
        name = path.rpartition("/")[2]
        if stat.S_ISLNK(status.st_mode):
            return path == "lib64" or _INTERPRETER.fullmatch(path) is not None
        if not stat.S_ISREG(status.st_mode):
            return False
        owned = self._owned.get(path)
        if owned is not None:
            return _is_as_recorded(owned, status, name, parent)
        bytecode = _BYTECODE.fullmatch(path)
        if bytecode is not None:
            return self._has_source(f"{bytecode[1]}{bytecode[2]}.py", name, parent)
        if path == "pyvenv.cfg":
            return self._activation.settings_are_creators(status, name, parent)
        if _ACTIVATION.fullmatch(path):
            return self._activation.is_creators(status)
        if _INTERPRETER.fullmatch(path):
            return (read_head(name, 4, parent) or b"") in _PROGRAMS
        return name == ".DS_Store" or _is_creators(path, status, parent)

    def may_own_below(self, path: str) -> bool:
        """See ``trees.Explains``."""
        parent, _, name = path.rpartition("/")
        is_bytecode = name == "__pycache__" and (not parent or parent in self._directories)
        return is_bytecode or path in self._directories or path.startswith("include/")

    def stays(self, path: str) -> bool:
        """See ``trees.Explains``."""
        return path in self._stays

    def _has_source(self, source: str, name: str, parent: int) -> bool:
        """Return whether bytecode has its source, which compiles to it again."""
        if source in self._owned:
            return True
        module = f"../{name.partition('.')[0]}.py"
        try:
            return stat.S_ISREG(os.stat(module, dir_fd=parent, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def _add(self, place: str, below: str, entry: str, name: str) -> None:
        """Add the files that a distribution's RECORD names.

        Without a hash only what installers themselves write so: the RECORD, bytecode, and of
        virtualenv's pip and its like all that it made.
        """
        unhashed = (f"{below}/{entry}/", f"bin/{name}") if name in _SEEDS else ("//",)
        for path, owned in _recorded(place, below, entry):
            is_own = path == f"{below}/{entry}/RECORD" or path.endswith(".pyc")
            if owned.hash or is_own or path.startswith(unhashed):
                self._owned[path] = owned
                self._directories.update(_parents(path))


def _recorded(place: str, below: str, entry: str) -> "Iterator[tuple[str, _Owned]]":
    """Yield the files that the RECORD of ``place/entry`` names, by path from the environment's top.

    *below* is the path of *place*, a site-packages, from there.
    """
    file = join(join(place, entry), "RECORD")
    try:
        status = os.lstat(file)
        text = (read_lines(file, RECORD_LIMIT) or b"").decode(errors="surrogateescape")
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error):
        return  # nothing of it is explained
    for row in rows:
        if len(row) >= 3:
            path = posixpath.normpath(posixpath.join(below, row[0]))
            if not path.startswith(("../", "/")):
                yield path, _Owned(row[1], row[2], status)


def _parents(path: str) -> "Iterator[str]":
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def distributions(place: str) -> "Iterator[tuple[str, str, str]]":
    """Yield what is installed in one site-packages: entry, normalised name and version."""
    for entry in sorted(os.listdir(place)):
        if entry.endswith(".dist-info"):
            try:
                head = read_head(f"{place}/{entry}/METADATA", HEAD)
                name, version = name_and_version(head, entry)
            except (OSError, ValueError, RecipeError):
                continue
            yield entry, canonical(name), version


def installed(path: str) -> set[tuple[str, str]]:
    """Return the normalised names and the versions of what is installed in an environment."""
    places = site_packages(path)
    return {(name, version) for place in places for _, name, version in distributions(place)}


def _is_as_recorded(owned: _Owned, status: os.stat_result, name: str, parent: int) -> bool:
    """Return whether a file is as its RECORD has it: by size and times, else by its hash."""
    if not owned.hash and name.endswith((".pyc", "RECORD")):
        return True
    if owned.size and owned.size != str(status.st_size):
        return False
    is_changed_since = status.st_nlink == 1 and (
        status.st_ctime_ns > owned.recorded.st_ctime_ns + _LAG
    )
    is_older = status.st_mtime_ns <= owned.recorded.st_mtime_ns + _LAG
    if (owned.size or not owned.hash) and is_older and not is_changed_since:
        return True
    return _has_hash(owned.hash, name, parent)


def _has_hash(expected: str, name: str, parent: int) -> bool:
    algorithm, _, wanted = expected.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        return False
    digest = hashlib.new(algorithm)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(name, "rb", opener=lambda file, _: os.open(file, flags, dir_fd=parent)) as file:
        for chunk in iter(partial(file.read, _CHUNK), b""):
            digest.update(chunk)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode() == wanted.rstrip("=")


def _is_creators(path: str, status: os.stat_result, parent: int) -> bool:
    """Return whether a creator wrote a file that no RECORD names."""
    name = path.rpartition("/")[2]
    if name.endswith(".virtualenv"):
        return status.st_size == 0
    text = _TEXTS.get(name)
    if text is None or (name in _SHORT and status.st_size > _SHORT_SIZE):
        return False
    if "/" in path and not name.startswith("_virtualenv."):
        return False
    head = read_head(name, _HEAD_SIZE, parent) or b""
    if name == ".gitignore":
        lines = [line for line in head.split(b"\n") if line.strip() and line[:1] != b"#"]
        return lines == [text]
    return head.startswith(text)
