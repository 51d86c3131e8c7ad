"""Questions to git, asked so that nothing of the repository's own configuration is run."""

import os

from regrow.directory import ancestors, join
from regrow.errors import RegrowError
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What a repository's configuration could make git execute while it answers us.
_OFF = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.pager=cat",
    "-c", "protocol.allow=never",
)  # fmt: skip
PASSED_ON = ("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_WORDS_LIMIT = 100_000  # bytes of one command line; Linux takes 2 MiB, macOS 1 MiB in all
_TIME_LIMIT = 30  # seconds for one answer; a repository of a million files takes two


def repository_of(path: str) -> str | None:
    """Find the work tree that holds a path, without running git.

    Args:
        path: a true path.

    Returns:
        The nearest ancestor with a ``.git`` in it; None where there is none.
    """
    for ancestor in ancestors(path):
        if os.path.lexists(join(ancestor, ".git")):
            return ancestor
    return None


class Repositories:
    """The work trees of many paths: each directory is looked at once."""

    def __init__(self) -> None:
        """Begin; nothing is known."""
        self._known: dict[str, str | None] = {}
        self._verdicts: dict[str, Verdict] = {}

    def of(self, path: str) -> str | None:
        """Find the work tree that holds a path; see ``repository_of``."""
        found = None
        passed = []
        for ancestor in ancestors(path):
            if ancestor in self._known:
                found = self._known[ancestor]
                break
            passed.append(ancestor)
            if os.path.lexists(join(ancestor, ".git")):
                found = ancestor
                break
        self._known.update(dict.fromkeys(passed, found))
        return found

    def verdict(self, path: str) -> "Verdict | None":
        """Ask git about one directory, once; None where no work tree holds it."""
        repository = self.of(path)
        if repository is None:
            return None
        if path not in self._verdicts:
            self._verdicts[path] = ask(repository, [path])[path]
        return self._verdicts[path]


class Verdict(NamedTuple):
    """What git says of one directory."""

    is_ignored: bool = False
    tracked: str = ""
    """A path inside that git tracks; empty: none."""
    error: str = ""
    """Why git gave no answer; then nothing is known."""


def ask(repository: str, paths: "Sequence[str]") -> dict[str, Verdict]:
    """Ask git about directories of one work tree: tracked, ignored, or neither.

    One call lists what is tracked below them and which of them are untracked without being
    ignored; what is in neither list is ignored.

    Args:
        repository: the work tree's path.
        paths: directories below it.

    Returns:
        The verdict on each.
    """
    prefix = repository.rstrip("/") + "/"
    verdicts = {}
    for batch in _batches([path.removeprefix(prefix) for path in paths]):
        tracked: dict[str, str] = {}
        untracked: set[str] = set()
        try:
            output = _list(repository, batch)
        except GitError as error:
            verdicts.update({prefix + path: Verdict(error=str(error)) for path in batch})
            continue
        wanted = frozenset(batch)
        for entry in output.split("\0"):
            status, _, path = entry.partition(" ")
            owner = _owner(path.rstrip("/"), wanted)
            if owner is None:
                continue
            if status == "?":
                untracked.add(owner)
            else:
                tracked.setdefault(owner, path)
        for path in batch:
            known = path in tracked or path in untracked
            verdicts[prefix + path] = Verdict(not known, tracked.get(path, ""))
    return verdicts


class _Configured(NamedTuple):
    """What git's configuration consists of."""

    files: tuple[str, ...]
    is_conditional: bool
    """Whether it depends on the repository."""


class Dependencies:
    """The files that git's verdicts depend on."""

    def __init__(self) -> None:
        """Begin; what git says of its configuration is asked once."""
        self._configured: dict[str, _Configured] = {}

    def of(self, repository: str, path: str) -> list[str] | None:
        """Name the files that git's verdict on a directory depends on.

        What is inside the directory is not among them: git answers for one that is untracked, or
        ignored, without looking into it.

        Args:
            repository: the work tree's path.
            path: the directory.

        Returns:
            Their paths, whether or not there are such files; None where that can't be told.
        """
        place = join(repository, ".git")
        try:
            own, common = _directories(place)
            settings = _read(join(common, "config")).lower()
            # These lead elsewhere, or depend on where the repository is.
            leads_on = any(word in settings for word in (b"include", b"excludesfile", b"worktree"))
            configured = self._ask("/")
            if leads_on or configured.is_conditional:
                configured = self._ask(repository)
        except (OSError, ValueError, GitError):
            return None
        files = [place] if own != place else []
        files += [join(own, "index"), join(own, "config.worktree")]
        files += [join(common, "config"), join(common, "info/exclude"), *configured.files]
        for directory in ancestors(path):
            files.append(join(directory, ".gitignore"))
            if directory == repository:
                break
        return files

    def _ask(self, place: str) -> "_Configured":
        if place not in self._configured:
            self._configured[place] = _ask_configuration(place)
        return self._configured[place]


def _directories(place: str) -> tuple[str, str]:
    """Find where a work tree's index is, and where what all its work trees have in common."""
    own = place
    if not os.path.isdir(place):
        head, _, rest = _read(place).rstrip(b"\n").partition(b": ")
        if head != b"gitdir":
            raise ValueError(f"{place}: it names no directory")
        own = os.path.join(os.path.dirname(place), os.fsdecode(rest))
    try:
        common = os.fsdecode(_read(join(own, "commondir")).rstrip(b"\n"))
    except FileNotFoundError:
        return own, own
    return own, os.path.normpath(os.path.join(own, common))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_WORDS_LIMIT)


def _ask_configuration(place: str) -> _Configured:
    """Ask git for the files of its configuration, and of its user's ignore patterns."""
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CONFIG_HOME") or join(home, ".config")
    files = [join(home, ".gitconfig"), join(base, "git/config"), "/etc/gitconfig"]
    ignored = join(base, "git/ignore")
    is_conditional = False
    words = _run(place, ["config", "--list", "--show-origin", "-z"]).split("\0")
    for origin, setting in zip(words[::2], words[1::2], strict=False):
        kind, _, file = origin.partition(":")
        if kind == "file":
            files.append(os.path.join(place, file))
        key, _, value = setting.partition("\n")
        value = os.path.expanduser(value)
        if key == "core.excludesfile":
            ignored = os.path.join(place, value)
        elif key.startswith("include") and key.endswith(".path"):
            files.append(os.path.join(place, os.path.dirname(file), value))
            is_conditional = is_conditional or key.startswith("includeif.")
    return _Configured((*dict.fromkeys(files), ignored), is_conditional)


def _owner(path: str, wanted: frozenset[str]) -> str | None:
    while path not in wanted:
        if "/" not in path:
            return None
        path = path.rpartition("/")[0]
    return path


def _batches(paths: "Sequence[str]") -> "Iterator[list[str]]":
    """Cut the paths so that each call's words fit into what the kernel takes."""
    batch: list[str] = []
    size = 0
    for path in paths:
        batch.append(path)
        size += len(os.fsencode(path)) + 1
        if size > _WORDS_LIMIT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _environment() -> dict[str, str]:
    """Give git its surroundings, without what points it elsewhere, as git sets it for its hooks."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in PASSED_ON
    }
    return {**ours, "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}


class GitError(RegrowError):
    """git gave no answer."""


def _list(repository: str, paths: list[str]) -> str:
    return _run(
        repository,
        [
            "ls-files", "-z", "-t", "--cached", "--others", "--directory", "--exclude-standard",
            "--", *paths,
        ],
    )  # fmt: skip


def _run(place: str, words: "Sequence[str]") -> str:
    from regrow import executable

    try:
        answer = executable.ask(["git", *_OFF, "-C", place, *words], _TIME_LIMIT, _environment())
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except OSError as error:
        raise GitError(str(error)) from error
    if answer.code != 0:
        raise GitError(answer.errors.decode(errors="replace").strip() or "it failed")
    return os.fsdecode(answer.output)
