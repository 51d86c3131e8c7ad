"""The guards: reasons to keep a candidate in the backup, one function each.

Each returns its objection, a sentence for people, or None. They are asked in the order of
``GUARDS``; the first objection decides, and ``explain`` shows them all.
"""

import os
import re
import stat

from regrow.errors import ConfigurationError
from regrow.model import FAILURE, Candidate
from regrow.recipes.recipe import RecipeError, build_recipe_for
from regrow.system import mounts, ownership
from regrow_marks.directory import ancestors, is_below, join, open_child, open_parent, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.safe_read import UnsafeFileError, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from pathspec import GitIgnoreSpec

    from regrow.model import Scope
    from regrow.recipes.recipe import RecipeResult
    from regrow.system.git import Verdict

PROJECT_FILE = ".regrow.toml"
_READ_LIMIT = 16 * 1024  # bytes; tomllib takes a second for the worst file of that size
_STEPS_LIMIT = 20_000_000  # of pathspec's regular expressions for one path: a third of a second
_SF_DATALESS = 0x40000000  # macOS, <sys/stat.h>: the contents are in iCloud alone


class Circumstances:
    """What the guards know besides the candidate."""

    def __init__(
        self, *, start: "Sequence[str]", keep: "Sequence[str]" = (), nodump: bool = False
    ) -> None:
        """Collect what holds for all candidates of a scan.

        Args:
            start: the start directories' true paths.
            keep: the user's patterns, from the configuration and ``--keep``.
            nodump: whether the user asks for the nodump flag.
        """
        self.start = tuple(start)
        self.nodump = nodump
        self.home = os.path.realpath(os.path.expanduser("~"))
        self.git_says: Mapping[str, Verdict] = {}
        """What git says of each candidate in a repository, by path."""
        self.keep = _spec([_anywhere(_below_home(pattern, self.home)) for pattern in keep])
        self.mount_points = frozenset(mount.point for mount in mounts.mounts())
        self._recipes: dict[str, RecipeResult] = {}
        self._projects: dict[str, GitIgnoreSpec | str | None] = {}

    @classmethod
    def of(cls, scope: "Scope") -> "Self":
        """Return what holds for a scan. Raises ConfigurationError for a pattern that is none."""
        settings = scope.configuration
        return cls(start=scope.places, keep=[*settings.keep, *scope.keep], nodump=settings.nodump)

    def recipe(self, candidate: Candidate) -> "RecipeResult":
        """Return a candidate's recipe, built once. Raises RecipeError."""
        if candidate.path not in self._recipes:
            self._recipes[candidate.path] = build_recipe_for(candidate)
        return self._recipes[candidate.path]

    def project_patterns(self, directory: str) -> "GitIgnoreSpec | str | None":
        """Return the patterns of a project's own file; a text says why it can't be read."""
        if directory not in self._projects:
            patterns = _read_project_file(directory)
            if patterns is not None and ownership.is_strangers(join(directory, PROJECT_FILE)):
                patterns = None
            self._projects[directory] = patterns
        return self._projects[directory]


NOT_OURS = "not-ours"
LACKS_RECIPE = "no-recipe"
_GIT_SILENT = "git-silent"
_EVIDENCE_PLACE = "evidence-place"

SILENT = frozenset((_GIT_SILENT, NOT_OURS, _EVIDENCE_PLACE, FAILURE))
"""Guards whose objection is no evidence that a mark is wrong: they never remove one."""

FORGOTTEN = frozenset((_GIT_SILENT, NOT_OURS, LACKS_RECIPE, FAILURE))
"""Guards whose objection depends on more than files that can be named: it isn't remembered."""


class Guard(NamedTuple):
    """One guard, for ``explain`` and for the summary."""

    name: str
    question: str
    """What it asks, in words."""
    ask: "Callable[[Candidate, Circumstances], str | None]"
    reads: tuple[str, ...] = ()
    """The entries of the candidate that its answer depends on, besides their names."""


def kept_by_rule(candidate: Candidate, _: Circumstances) -> str | None:
    """A rule says to keep this very directory, whatever another one says."""
    rule = candidate.kept_by
    return f"{rule.keep} (rule {rule.name})" if rule else None


def tracked_by_git(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 1: git tracks anything inside."""
    verdict = known.git_says.get(candidate.path)
    return f"git tracks {verdict.tracked}" if verdict and verdict.tracked else None


def git_is_silent(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 1: git gave no answer."""
    verdict = known.git_says.get(candidate.path)
    return f"git can't be asked about it: {verdict.error}" if verdict and verdict.error else None


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


def holds_foreign_entries(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 2: something stands in it that its tool does not make, and git does not ignore it."""
    verdict = known.git_says.get(candidate.path)
    if not candidate.foreign or (verdict is not None and verdict.is_ignored):
        return None
    tool = candidate.rule.ecosystem or candidate.rule.name
    return f"it holds what {tool} does not make: {candidate.foreign}"


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
    if not any(is_below(candidate.project, start) for start in known.start):
        return f"its evidence ({shown}) stands above the start directory"
    return None


def kept_by_user(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 4: the user said so, in the configuration, by ``--keep``, or in the project."""
    if known.keep is not None and _names(known.keep, candidate.path.lstrip("/")):
        return "a keep pattern of yours names it"
    for directory in ancestors(candidate.path):
        patterns = known.project_patterns(directory)
        if isinstance(patterns, str):
            file = join(directory, PROJECT_FILE)
            return f"{file} can't be read, so all below it is kept: {patterns}"
        if patterns is not None:
            relative = candidate.path[len(directory.rstrip("/")) + 1 :]
            if _is_hard(patterns, relative):
                return f"{join(directory, PROJECT_FILE)} has patterns that take too long to match"
            if _names(patterns, relative):
                return f"{join(directory, PROJECT_FILE)} names it"
        if directory == known.home:
            break
    return None


def holds_repository(candidate: Candidate, _: Circumstances) -> str | None:
    """Guard 5: it has a ``.git`` directly inside or, in an environment, anything in ``src/``.

    There stand a project's own sources, where the project was turned into an environment, or what
    pip has checked out.
    """
    if os.path.lexists(join(candidate.path, ".git")):
        return "it is a git repository itself"
    if candidate.rule.recipe != "python":
        return None
    sources = join(candidate.path, "src")
    if os.path.islink(sources):
        return "its src/ is a symbolic link, which no creator makes"
    try:
        names = sorted(os.listdir(sources))
    except FileNotFoundError:
        return _sources_in_lib(candidate.path)
    except OSError as error:
        return f"its src/ can't be read: {in_words(error)}"
    if not names:
        return _sources_in_lib(candidate.path)
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"its src/ is not empty: {shown}"


def _sources_in_lib(environment: str) -> str | None:
    """Creators put nothing into lib/ but the interpreter's own directory."""
    try:
        names = sorted(os.listdir(join(environment, "lib")))
    except OSError:
        return None
    foreign = [name for name in names if not name.startswith(("python", "pypy"))]
    return f"its lib/ holds what no creator makes: {', '.join(foreign[:3])}" if foreign else None


def no_recipe(candidate: Candidate, known: Circumstances) -> str | None:
    """Guard 6: no recipe can be taken, and the rule's command alone is not enough."""
    try:
        known.recipe(candidate)
    except RecipeError as error:
        return str(error)
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
    Guard(_GIT_SILENT, "can git not be asked?", git_is_silent),
    Guard("generic-name", "is its name too common to be sure?", generic_name),
    Guard("foreign", "does it hold what its tool does not make?", holds_foreign_entries),
    Guard(_EVIDENCE_PLACE, "does its evidence stand where no project is?", evidence_out_of_place),
    Guard("kept-by-user", "did you say to keep it?", kept_by_user),
    Guard(NOT_OURS, "is it out of our hands?", not_ours),
    Guard("repository", "does it hold somebody's sources?", holds_repository, ("src", "lib")),
    Guard(LACKS_RECIPE, "is there no way to bring it back?", no_recipe),
)
"""In the order in which they are asked; only the last two read what is inside."""

BY_NAME = {guard.name: guard for guard in GUARDS}


def _anywhere(pattern: str) -> str:
    """Return a pattern that names ``thesis/build`` anywhere, as people mean it.

    gitignore would look for it beside the file that holds the pattern; here that is the root.
    """
    is_relative = "/" in pattern.rstrip("/") and not pattern.startswith(("/", "**/", "!", "#"))
    return f"**/{pattern}" if is_relative else pattern


def _below_home(pattern: str, home: str) -> str:
    """Return a pattern with the home directory's true path in place of ``~``."""
    if pattern != "~" and not pattern.startswith("~/"):
        return pattern
    literally = "".join(f"\\{c}" if c in "\\*?[]!# " else c for c in home)
    return literally.rstrip("/") + pattern[1:]


def _names(patterns: "GitIgnoreSpec", path: str) -> bool:
    """Return whether patterns name a directory; pathspec's ``**`` doesn't match a line break."""
    return patterns.match_file(path + "/") or (
        "\n" in path and patterns.match_file(path.replace("\n", "?") + "/")
    )


def _is_hard(patterns: "GitIgnoreSpec", path: str) -> bool:
    """Return whether matching can take long: each wildcard multiplies the places to try."""
    steps = 0
    for pattern in patterns.patterns:
        text = str(getattr(pattern, "pattern", ""))
        wildcards = len(re.findall(r"\*+", text)) + ("/" not in text.strip("/"))
        steps += len(path) ** wildcards
        if steps > _STEPS_LIMIT:
            return True
    return False


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
    name = join(directory, PROJECT_FILE)
    try:
        data = read(name, _READ_LIMIT)
    except OSError as error:
        return in_words(error)
    except UnsafeFileError as error:
        return error.why
    if data is None:
        return None
    from regrow.system import safe_toml

    try:
        table = safe_toml.loads(data)
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
