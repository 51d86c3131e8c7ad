"""The guards: reasons to keep a candidate in the backup, one function each.

Each gives the sentence that a person reads, or None. They stand in the order in which they are
asked; the first that speaks decides, and ``explain`` shows them all.
"""

import os
import stat
import sys

from regrow.directory import ancestors, join, open_child, open_parent, split
from regrow.errors import ConfigurationError, PathError, in_words
from regrow.model import Candidate
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pathspec import GitIgnoreSpec

    from regrow.git import Verdict

PROJECT_FILE = ".regrow.toml"
_READ_LIMIT = 64 * 1024  # bytes; a list of patterns for people
_SF_DATALESS = 0x40000000  # macOS, <sys/stat.h>: the contents are in iCloud alone


class Circumstances:
    """What the guards know besides the candidate."""

    def __init__(
        self,
        *,
        start: "Sequence[str]",
        keep: "Sequence[str]" = (),
        git_says: "Mapping[str, Verdict] | None" = None,
    ) -> None:
        """Gather what holds for all candidates of a sweep.

        Args:
            start: the start directories' true paths.
            keep: the user's patterns, from the configuration and ``--keep``.
            git_says: by path, what git says of each candidate in a repository.
        """
        self.start = tuple(start)
        self.home = os.path.realpath(os.path.expanduser("~"))
        self.git_says = git_says or {}
        self.keep = _spec([os.path.expanduser(pattern) for pattern in keep])
        self.mount_points = _mount_points()
        self._projects: dict[str, GitIgnoreSpec | str | None] = {}

    def project_patterns(self, directory: str) -> "GitIgnoreSpec | str | None":
        """Give the patterns of a project's own file; a text says why it can't be read."""
        if directory not in self._projects:
            self._projects[directory] = _read_project_file(directory)
        return self._projects[directory]


class Guard(NamedTuple):
    """One guard, for ``explain`` and for the summary."""

    name: str
    question: str
    """What it asks, in words."""
    ask: "Callable[[Candidate, Circumstances], str | None]"


def kept_by_rule(candidate: Candidate, _: Circumstances) -> str | None:
    """A rule says to keep this very directory, whatever another one says."""
    rule = candidate.kept_by
    return f"{rule.keep} (rule {rule.name})" if rule else None


def tracked_by_git(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 1: git tracks anything inside."""
    verdict = known.git_says.get(candidate.path)
    if verdict is None:
        return None
    if verdict.error:
        return f"git can't be asked about it: {verdict.error}"
    return f"git tracks {verdict.tracked}" if verdict.tracked else None


def generic_name(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 2: the name is generic, git does not ignore it, and nothing inside decides."""
    if not candidate.rule.generic or candidate.decisive:
        return None
    name = split(candidate.path)[1]
    verdict = known.git_says.get(candidate.path)
    if verdict is None:
        return f"{name!r} is a common name, and no git repository says that it is ignored"
    if verdict.is_ignored:
        return None
    return f"{name!r} is a common name, and git does not ignore it"


def evidence_out_of_place(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 3: the evidence beside stands in the home directory, in /, or above the start."""
    rule = candidate.rule
    if not rule.beside and not rule.beside_all:
        return None
    shown = ", ".join(name for name in candidate.evidence if not name.startswith("inside/"))
    if candidate.project == known.home:
        return f"its evidence ({shown}) stands in the home directory itself"
    if candidate.project == "/":
        return f"its evidence ({shown}) stands in the root directory"
    if not any(_is_below(candidate.project, start) for start in known.start):
        return f"its evidence ({shown}) stands above the start directory"
    return None


def users_word(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 4: the user said so, in the configuration, by ``--keep``, or in the project."""
    if known.keep is not None and known.keep.match_file(candidate.path.lstrip("/") + "/"):
        return "a keep pattern of yours names it"
    for directory in ancestors(candidate.path):
        patterns = known.project_patterns(directory)
        if isinstance(patterns, str):
            file = join(directory, PROJECT_FILE)
            return f"{file} can't be read, so all below it is kept: {patterns}"
        if patterns is not None:
            relative = candidate.path[len(directory.rstrip("/")) + 1 :]
            if patterns.match_file(relative + "/"):
                return f"{join(directory, PROJECT_FILE)} names it"
        if directory in known.start or directory == known.home:
            break
    return None


def holds_repository(candidate: Candidate, _: Circumstances) -> str | None:
    """Guard 5: it has a ``.git`` directly inside or, in an environment, under ``src/``."""
    if os.path.lexists(join(candidate.path, ".git")):
        return "it is a git repository itself"
    if candidate.rule.recipe != "python":
        return None
    sources = join(candidate.path, "src")
    try:
        names = sorted(os.listdir(sources)) if not os.path.islink(sources) else []
    except OSError:
        return None
    for name in names:
        if os.path.lexists(f"{sources}/{name}/.git"):
            return f"src/{name} is a git repository (pip puts editable checkouts there)"
    return None


def no_recipe(candidate: Candidate, _: Circumstances) -> str | None:
    """Guard 6: no recipe can be taken, and the rule's command alone is not enough."""
    if candidate.rule.recipe == "node" and not _has_lock(candidate):
        return "nothing pins what is in it: no lock file beside it, and no npm lock inside"
    return None


def not_ours(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 7: it is not ours to mark."""
    parent_path, name = split(candidate.path)
    try:
        with open_parent(parent_path) as parent, open_child(parent, name) as directory:
            status = directory.status
            if (status.st_dev, status.st_ino) != (candidate.device, candidate.inode):
                return "it was replaced since it was found"
            if status.st_dev != parent.status.st_dev or directory.path in known.mount_points:
                return "it is a mount point"
            return _not_writable(directory.fd, status)
    except PathError as error:
        return f"it can't be opened: {str(error).partition(': ')[2]}"
    except OSError as error:
        return f"it can't be opened: {in_words(error)}"


def _not_writable(fd: int, status: os.stat_result) -> str | None:
    if getattr(status, "st_flags", 0) & _SF_DATALESS:
        return "its contents are in iCloud alone: reading it would download them"
    if os.fstatvfs(fd).f_flag & os.ST_RDONLY:
        return "its file system is read-only"
    user = os.geteuid()
    if user == 0:
        if status.st_uid != 0:
            return "it belongs to another user: run regrow as that user"
        return None
    if status.st_uid != user:
        return "it belongs to another user"
    if not status.st_mode & stat.S_IWUSR:
        return "you have no permission to write to it"
    return None


GUARDS = (
    Guard("kept-rule", "does a rule say to keep it?", kept_by_rule),
    Guard("tracked", "does git track anything inside?", tracked_by_git),
    Guard("generic-name", "is its name too common to be sure?", generic_name),
    Guard("evidence-place", "does its evidence stand where no project is?", evidence_out_of_place),
    Guard("users-word", "did you say to keep it?", users_word),
    Guard("repository", "does it hold a git repository?", holds_repository),
    Guard("no-recipe", "does anything say how it comes back?", no_recipe),
    Guard("not-ours", "is it ours to mark?", not_ours),
)
"""In the order in which they are asked."""


def _has_lock(candidate: Candidate) -> bool:
    locks = (
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        "bun.lock",
        "bun.lockb",
    )
    places = [join(candidate.project, name) for name in locks]
    # npm and pnpm leave a copy of the lock inside; Yarn writes its state there.
    places += [
        join(candidate.path, name)
        for name in (".package-lock.json", ".modules.yaml", ".yarn-integrity")
    ]
    if any(os.path.isfile(place) for place in places):
        return True
    # In a workspace the lock stands at its root.
    for directory in ancestors(candidate.project):
        if any(os.path.isfile(join(directory, name)) for name in locks):
            return True
        if os.path.lexists(join(directory, ".git")):
            return False
    return False


def _is_below(path: str, start: str) -> bool:
    return path == start or path.startswith(start.rstrip("/") + "/")


def _spec(patterns: "Sequence[str]") -> "GitIgnoreSpec | None":
    """Compile gitignore patterns. Raises ConfigurationError for one that is none."""
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise ConfigurationError(f"keep: {error}") from error


def _read_project_file(directory: str) -> "GitIgnoreSpec | str | None":
    """Read a project's own file, which can say ``keep = [patterns]`` and nothing else."""
    import tomllib

    name = join(directory, PROJECT_FILE)
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return in_words(error)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return "it is not a regular file"
        data = file.read(_READ_LIMIT + 1)
    if len(data) > _READ_LIMIT:
        return f"it is larger than {_READ_LIMIT} bytes"
    try:
        table = tomllib.loads(data.decode())
    except ValueError as error:
        return str(error)
    patterns = table.pop("keep", [])
    if table:
        return f"{next(iter(table))}: it can say keep = [patterns] and nothing else"
    if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
        return "keep must be a list of patterns"
    try:
        return _spec(patterns)
    except ConfigurationError as error:
        return str(error)


def _mount_points() -> frozenset[str]:
    """Read where file systems are mounted (Linux): a bind mount has its parent's device."""
    if sys.platform != "linux":
        return frozenset()
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(" ")[4] for line in file]
    except OSError:
        return frozenset()
    # Blanks, tabs, newlines and backslashes stand as \040, \011, \012, \134 (proc(5)).
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        fields = [field.replace(code, character) for field in fields]
    return frozenset(fields)
