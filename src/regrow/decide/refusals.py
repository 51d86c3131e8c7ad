"""What ``regrow mark`` and ``regrow venv`` refuse: homes, mount points, version control, sources.

Whoever names such a directory has most often mistyped another one. ``--force`` overrides it.
"""

import errno
import os
import stat
import time

from regrow.system import git
from regrow_marks import places
from regrow_marks.directory import ancestors, is_below, join, split
from regrow_marks.errors import RefusedError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.records.store import Store
    from regrow_marks.directory import Directory

    Progress = Callable[[int], None]  # called with the number of entries that were looked at

_CVS = "CVS"  # people use that name, too: CVS' own directories hold a file Root

VERSION_CONTROL = {
    ".git": "git",
    ".hg": "Mercurial",
    ".svn": "Subversion",
    ".fslckout": "Fossil",
    "_FOSSIL_": "Fossil",
    ".jj": "Jujutsu",
    ".bzr": "Bazaar",
    "_darcs": "Darcs",
    ".pijul": "Pijul",
    _CVS: "CVS",
}
"""The version control system, by the name of what a working copy has at its top."""

WAY_OUT = "`regrow mark --force` marks it all the same"

_LISTS = {
    ".hg": ".hg/dirstate",
    ".svn": ".svn/wc.db",
    ".fslckout": ".fslckout",
    "_FOSSIL_": "_FOSSIL_",
    ".jj": ".jj/working_copy/tree_state",
}
"""The file in which a working copy lists what it tracks, by paths from the top."""

_TOPS = tuple(name for name in VERSION_CONTROL if name not in (".git", _CVS))
"""What is looked for above a directory. git itself is asked; CVS is in every tracked directory."""

_HOLDERS = frozenset(name for name in VERSION_CONTROL if name not in (_CVS, "_FOSSIL_"))
"""The names of directories whose whole contents belong to version control."""

_BARE = frozenset(("HEAD", "objects", "refs"))
"""What makes a git repository that has no work tree (gitrepository-layout(5))."""

_NO_SOURCES = frozenset(("CACHEDIR.TAG", ".DS_Store", ".gitignore"))
"""What tools leave beside environments in a directory that holds nothing else."""

_ENTRIES_LIMIT = 2_000_000  # entries; node_modules has some 100,000, and larger ones exist
_TIME_LIMIT = 30.0  # seconds; two million entries take six where they are in memory
_PROGRESS_EVERY = 0.2  # seconds
_LIST_LIMIT = 256 * 1024 * 1024  # bytes; Mercurial's list of a million files has 100 MB
_CHUNK = 1024 * 1024  # bytes

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Reason(NamedTuple):
    """Why a directory is not marked."""

    text: str
    """A sentence about the directory that names what was found."""
    is_certain: bool = True
    """Whether something was found; False: regrow could not find out."""


class Refusals:
    """Looks for reasons not to mark directories; what these have in common is looked up once."""

    def __init__(
        self,
        store: "Store | None" = None,
        repositories: git.Repositories | None = None,
        progress: "Progress" = lambda _: None,
        patience: float = _TIME_LIMIT,
    ) -> None:
        """Prepare; nothing is looked at yet.

        Args:
            store: the records; None: they play no part.
            repositories: the git work trees that are known.
            progress: called while directories are looked through.
            patience: how long one directory is looked through, in seconds.
        """
        self._store = store
        self._repositories = repositories or git.Repositories()
        self._progress = progress
        self._patience = patience
        self._homes: dict[tuple[int, int], str] | None = None
        self._working_copies: dict[str, tuple[str, str] | None] = {}

    def refuse(self, directory: "Directory", way_out: str = WAY_OUT) -> None:
        """Raise RefusedError where there is a reason not to mark a directory.

        Args:
            directory: the directory, open.
            way_out: what marks it all the same, for the message.
        """
        reason = self.of_place(directory) or self.of_contents(directory)
        if reason is not None:
            raise RefusedError(f"{directory.path}: not marked: {reason.text}; {way_out}")

    def of_place(self, directory: "Directory") -> Reason | None:
        """Return why a directory can't be meant, because of where it is; None: it can."""
        if self._homes is None:
            self._homes = places.homes()
        text = places.why_refused(directory, self._homes)
        return Reason(text) if text else None

    def of_contents(self, directory: "Directory") -> Reason | None:
        """Return what in a directory somebody would miss; None: nothing was found."""
        inside = next((name for name in directory.path.split("/") if name in _HOLDERS), "")
        if inside:
            return Reason(f"it belongs to version control: {inside} is {VERSION_CONTROL[inside]}'s")
        search = _Search(directory, self._progress, self._patience)
        return (
            self._of_records(directory)
            or search.run()
            or self._tracked_by_git(directory)
            or self._tracked_by_others(directory)
            or (self._sources_of_others(directory) if search.has_directories else None)
        )

    def _of_records(self, directory: "Directory") -> Reason | None:
        if self._store is None:
            return None
        records = os.path.realpath(self._store.path)
        if is_below(records, directory.path) or is_below(directory.path, records):
            return Reason(f"regrow's own records are in {records}: without them nothing comes back")
        return None

    def _tracked_by_git(self, directory: "Directory") -> Reason | None:
        verdict = self._repositories.verdict(directory.path)
        if verdict is None:
            return None
        if verdict.error:
            text = f"git can't say whether it tracks anything inside: {verdict.error}"
            return Reason(text, is_certain=False)
        if verdict.tracked:
            repository = self._repositories.of(directory.path) or ""
            return Reason(f"git tracks {join(repository, verdict.tracked)}")
        return None

    def _tracked_by_others(self, directory: "Directory") -> Reason | None:
        found = self._working_copy(split(directory.path)[0])
        if found is None:
            return None
        top, name = found
        who = VERSION_CONTROL[name]
        relative = os.fsencode(directory.path[len(top.rstrip("/")) + 1 :]) + b"/"
        unknown = f"it lies in {top}, and regrow can't tell what {who} tracks there"
        if name not in _LISTS:
            return Reason(unknown, is_certain=False)
        list_path = join(top, _LISTS[name])
        try:
            if _mentions(list_path, relative):
                return Reason(f"{who} tracks files in it: {list_path} names some")
        except FileNotFoundError:
            return None  # nothing was ever added
        except OSError as error:
            return Reason(f"{unknown}: {list_path}: {in_words(error)}", is_certain=False)
        return None

    def _working_copy(self, path: str) -> tuple[str, str] | None:
        """Return the top of the working copy that holds a path, and what marks it; not git's."""
        if path not in self._working_copies:
            here = next((name for name in _TOPS if os.path.lexists(join(path, name))), None)
            if here is not None:
                self._working_copies[path] = (path, here)
            else:
                above = None if path == "/" else self._working_copy(split(path)[0])
                self._working_copies[path] = above
        return self._working_copies[path]

    def _sources_of_others(self, directory: "Directory") -> Reason | None:
        """Return what is beside recorded directories inside: most likely somebody's sources."""
        if self._store is None:
            return None
        recorded = {
            path
            for path in self._store.paths().values()
            if path != directory.path and is_below(path, directory.path)
        }
        if not recorded or _is_made_by_tools(directory.name):
            return None
        known = recorded.union(*map(ancestors, recorded))
        for project in sorted({split(path)[0] for path in recorded}):
            try:
                names = sorted(os.listdir(project))
            except OSError:
                continue  # the project is gone
            for name in names:
                if name not in _NO_SOURCES and join(project, name) not in known:
                    marked = next(path for path in sorted(recorded) if split(path)[0] == project)
                    source = join(project, name)
                    return Reason(f"it holds {source}, beside {marked}, which regrow marked")
        return None


def _is_made_by_tools(name: str) -> bool:
    """Return whether a directory's name alone says that tools fill it, as ``.tox`` does."""
    from regrow.rules import loader

    return any(
        not rule.keep and not rule.generic and rule.directory == name for rule in loader.shipped()
    )


def _mentions(path: str, name: bytes) -> bool:
    """Return whether a file contains a name. Raises OSError, if it is too large, too."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIST_LIMIT:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        rest = b""
        while chunk := file.read(_CHUNK):
            if name in rest + chunk:
                return True
            rest = chunk[-len(name) :]
    return False


def version_control_inside(directory: "Directory") -> Reason | None:
    """Return which version control a directory holds, or why regrow can't know; None: none."""
    return _Search(directory, lambda _: None, _TIME_LIMIT).run()


def _has_root(fd: int) -> bool:
    """Return whether the CVS directory inside is one of CVS' own."""
    try:
        os.stat(f"{_CVS}/Root", dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True


class _Search:
    """Looks through a directory for version control, and for what can't be looked through."""

    def __init__(self, directory: "Directory", progress: "Progress", patience: float) -> None:
        self._directory = directory
        self._progress = progress
        self._patience = patience
        self._seen = 0
        self._begun = self._reported = time.monotonic()
        self.has_directories = False

    def run(self) -> Reason | None:
        """Search; return what was found first."""
        pending = [""]
        while pending:
            place = pending.pop()
            try:
                reason, inside = self._look_into(place)
            except FileNotFoundError:
                continue  # it vanished meanwhile
            except OSError as error:
                what = f"{self._path(place)}, inside it," if place else "it"
                return Reason(f"{what} can't be read: {in_words(error)}", is_certain=False)
            if not place and inside:
                self.has_directories = True
                reason = reason or self._mounted_inside()
            reason = reason or self._too_much()
            if reason is not None:
                return reason
            pending += inside
        return None

    def _path(self, place: str, name: str = "") -> str:
        return "/".join(filter(None, (self._directory.path, place, name)))

    def _look_into(self, place: str) -> tuple[Reason | None, list[str]]:
        """Read one directory; return what was found, and the directories in it."""
        inside = []
        names = set()
        fd = os.open(place or ".", _OPEN, dir_fd=self._directory.fd)
        try:
            if os.fstat(fd).st_dev != self._directory.status.st_dev:
                return Reason(f"a file system is mounted inside it, at {self._path(place)}"), []
            with os.scandir(fd) as entries:
                for entry in entries:
                    self._seen += 1
                    name = entry.name
                    if name in VERSION_CONTROL and (name != _CVS or _has_root(fd)):
                        found = f"{self._path(place, name)} ({VERSION_CONTROL[name]})"
                        return Reason(f"it holds version control: {found}"), []
                    if name in _BARE:
                        names.add(name)
                    if entry.is_dir(follow_symlinks=False):
                        inside.append(f"{place}/{name}" if place else name)
        finally:
            os.close(fd)
        if names == _BARE:
            return Reason(f"it holds version control: {self._path(place)} (git, bare)"), []
        return None, inside

    def _mounted_inside(self) -> Reason | None:
        from regrow.system import mounts

        for mount in mounts.mounts():
            if mount.point != self._directory.path and is_below(mount.point, self._directory.path):
                return Reason(f"a file system is mounted inside it, at {mount.point}")
        return None

    def _too_much(self) -> Reason | None:
        now = time.monotonic()
        if self._seen > _ENTRIES_LIMIT or now - self._begun > self._patience:
            seconds = f"{now - self._begun:.0f} s"
            text = f"it is too large to look through: {self._seen:,} entries in {seconds}, and more"
            return Reason(text, is_certain=False)
        if now - self._reported > _PROGRESS_EVERY:
            self._reported = now
            self._progress(self._seen)
        return None
