"""Questions to git, asked so that it runs nothing of the repository's.

A repository's configuration names programs, and each release of git can add a key that does. So
git reads another one in its place: ``GIT_COMMON_DIR`` leads to a directory of regrow's own, and
only the index comes from the repository, and its objects where git asks for them. Nothing there
names a remote, so there is nowhere to fetch a missing object from.
"""

import os

from regrow.errors import GitError
from regrow_marks.directory import ancestors, join
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regrow.system.git_directory import GitDirectory

# git reads the user's configuration, whose ignore patterns count, not the repository's. These are
# all of its keys that could make git run something while it answers. core.fsmonitor is empty, not
# false: before git 2.36 any value was the name of a program.
_OFF = (
    "-c", "core.fsmonitor=",
    "-c", "core.hooksPath=/dev/null",
    "-c", "protocol.allow=never",
    "--no-pager",
)  # fmt: skip
_FORMATS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "git_formats")
_WORDS_LIMIT = 100_000  # bytes of one command line; Linux takes 2 MiB, macOS 1 MiB in all
_TIME_LIMIT = 10  # seconds for one answer; a repository of a million files takes two
_MEMORY_LIMIT = 1 << 30  # bytes that git may take; two million files take half
_ANSWER_LIMIT = 32 << 20  # bytes of one answer; whoever tracks more inside gets no mark


def repository_of(path: str) -> str | None:
    """Return the work tree that holds a path, without running git.

    Args:
        path: a true path.

    Returns:
        The nearest ancestor with a ``.git`` in it that no stranger put there; None where there is
        none.
    """
    for ancestor in ancestors(path):
        if _is_work_tree(ancestor):
            return ancestor
    return None


class Repositories:
    """The work trees of many paths: each directory is looked at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[str, str | None] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._directories: dict[str, GitDirectory] = {}

    def directory(self, work_tree: str) -> "GitDirectory":
        """Return a work tree's git directory, looked up once; see ``git_directory.find``."""
        from regrow.system import git_directory

        if work_tree not in self._directories:
            self._directories[work_tree] = git_directory.find(work_tree)
        return self._directories[work_tree]

    def of(self, path: str) -> str | None:
        """Return the work tree that holds a path; see ``repository_of``."""
        found = None
        passed = []
        for ancestor in ancestors(path):
            if ancestor in self._known:
                found = self._known[ancestor]
                break
            passed.append(ancestor)
            if _is_work_tree(ancestor):
                found = ancestor
                break
        self._known.update(dict.fromkeys(passed, found))
        return found

    def verdict(self, path: str) -> "Verdict | None":
        """Return git's verdict on a directory, asked once; None where no work tree holds it."""
        repository = self.of(path)
        if repository is None:
            return None
        if path not in self._verdicts:
            self._verdicts[path] = ask(repository, [path], self)[path]
        return self._verdicts[path]


def _is_work_tree(directory: str) -> bool:
    """Return whether a directory holds a ``.git`` that counts, not a stranger's in /tmp."""
    place = join(directory, ".git")
    try:
        owner = os.lstat(place).st_uid
    except (OSError, ValueError):
        return False
    if owner in (os.geteuid(), 0):
        return True
    from regrow.system import ownership

    return not ownership.is_strangers(place)


class Verdict(NamedTuple):
    """What git says of one directory."""

    is_ignored: bool = False
    tracked: str = ""
    """A path inside that git tracks; empty: none."""
    error: str = ""
    """Why git gave no answer; then nothing is known."""


def ask(
    repository: str, paths: "Sequence[str]", repositories: Repositories | None = None
) -> dict[str, Verdict]:
    """Return git's verdicts on directories of one work tree: tracked, ignored, or neither.

    One call lists what is tracked below them and which of them are untracked without being
    ignored; what is in neither list is ignored.

    Args:
        repository: the work tree's path.
        paths: directories below it.
        repositories: the work trees that are known; default: none.

    Returns:
        The verdict on each.
    """
    try:
        directory = (repositories or Repositories()).directory(repository)
    except GitError as error:
        return dict.fromkeys(paths, Verdict(error=str(error)))
    if directory.is_bare:
        return _ask_outside(repository, paths)
    verdicts = {}
    safe: list[str] = []
    prefix = repository.rstrip("/") + "/"
    looked_at: dict[str, str] = {}
    for path in paths:
        fault = _fault(repository, path, looked_at)
        if fault:
            verdicts[path] = Verdict(error=fault)
        else:
            safe.append(path.removeprefix(prefix))
    for batch in _batches(safe):
        try:
            output = _list(repository, directory, batch)
        except GitError as error:
            found = dict.fromkeys(batch, Verdict(error=str(error)))
        else:
            found = _read_list(output, batch)
        verdicts |= {prefix + path: verdict for path, verdict in found.items()}
    return verdicts


def _ask_outside(repository: str, paths: "Sequence[str]") -> dict[str, Verdict]:
    """Return the verdicts on directories beside the work trees of a bare repository.

    They are in none of its work trees. One further up may track them, from before it came.
    """
    outer = repository_of(repository)
    if outer is None:
        return dict.fromkeys(paths, Verdict())
    found = ask(outer, paths)
    return {path: verdict._replace(is_ignored=False) for path, verdict in found.items()}


def _fault(repository: str, path: str, looked_at: dict[str, str]) -> str:
    """Return why git would wait for a file above a directory, or in it; empty: it would not.

    Args:
        repository: the work tree's path.
        path: the directory.
        looked_at: by directory, what was found so far.
    """
    from regrow.system import git_directory

    try:
        git_directory.check_nested(path)
    except GitError as error:
        return str(error)
    fault = ""
    for directory in ancestors(path):
        if directory not in looked_at:
            try:
                git_directory.check_patterns(directory)
                looked_at[directory] = ""
            except GitError as error:
                looked_at[directory] = str(error)
        fault = fault or looked_at[directory]
        if directory == repository:
            break
    return fault


def _read_list(output: str, paths: "Sequence[str]") -> dict[str, Verdict]:
    tracked: dict[str, str] = {}
    untracked: set[str] = set()
    wanted = frozenset(paths)
    for entry in output.split("\0"):
        status, _, path = entry.partition(" ")
        owner = _owner(path.rstrip("/"), wanted)
        if owner is None:
            continue
        if status == "?":
            untracked.add(owner)
        else:
            tracked.setdefault(owner, path)
    return {
        path: Verdict(path not in tracked and path not in untracked, tracked.get(path, ""))
        for path in paths
    }


class _Configured(NamedTuple):
    """What git's configuration consists of."""

    files: tuple[str, ...]
    is_conditional: bool
    """Whether it depends on the repository."""


class Dependencies:
    """The files that git's verdicts depend on."""

    def __init__(self, repositories: Repositories) -> None:
        """Begin; git is asked for its configuration once."""
        self._repositories = repositories
        self._configured: dict[str, _Configured] = {}

    def of(self, repository: str, path: str) -> list[str] | None:
        """Return the files that git's verdict on a directory depends on.

        What is inside the directory is not among them: git answers for one that is untracked, or
        ignored, without looking into it.

        Args:
            repository: the work tree's path.
            path: the directory.

        Returns:
            Their paths, whether or not there are such files; None where git gives no answer.
        """
        try:
            directory = self._repositories.directory(repository)
            configured = self._ask(None)
            if configured.is_conditional:
                configured = self._ask(directory)
        except GitError:
            return None
        files = [*directory.files(), *configured.files]
        place = join(repository, ".git")
        if directory.own != place:
            files.append(place)
        for above in ancestors(path):
            files.append(join(above, ".gitignore"))
            if above == repository:
                break
        if not directory.is_bare:
            return files
        outer = repository_of(repository)
        for above in ancestors(repository):
            if above == outer:
                further = self.of(outer, path)
                return None if further is None else files + further
            files.append(join(above, ".git"))
        return files

    def _ask(self, directory: "GitDirectory | None") -> "_Configured":
        place = "" if directory is None else directory.own
        if place not in self._configured:
            self._configured[place] = _ask_configuration(directory)
        return self._configured[place]


def _ask_configuration(directory: "GitDirectory | None") -> _Configured:
    """Return the files of the user's git configuration, and of their ignore patterns.

    It may depend on the repository; None: for none.
    """
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CONFIG_HOME") or join(home, ".config")
    files = [join(home, ".gitconfig"), join(base, "git/config"), "/etc/gitconfig"]
    ignored = join(base, "git/ignore")
    is_conditional = False
    words = _run("/", directory, ["config", "--list", "--show-origin", "-z"]).split("\0")
    for origin, setting in zip(words[::2], words[1::2], strict=False):
        kind, _, file = origin.partition(":")
        if kind == "file":
            files.append(file)
        key, _, value = setting.partition("\n")
        value = os.path.expanduser(value)
        if key == "core.excludesfile":
            ignored = value
        elif key.startswith("include") and key.endswith(".path"):
            files.append(os.path.join(os.path.dirname(file), value))
            is_conditional = is_conditional or key.startswith("includeif.")
    files.append(ignored)
    # Where one of them is a link, what it leads to changes unseen by the link.
    return _Configured((*dict.fromkeys([*files, *map(os.path.realpath, files)]),), is_conditional)


def _owner(path: str, wanted: frozenset[str]) -> str | None:
    while path not in wanted:
        if "/" not in path:
            return None
        path = path.rpartition("/")[0]
    return path


def _batches(paths: "Sequence[str]") -> "Iterator[list[str]]":
    """Yield the paths in parts, each short enough for one command line."""
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


def _environment(work_tree: str, directory: "GitDirectory | None") -> dict[str, str]:
    """Return git's surroundings: none of the caller's own words to git, as it has in a git hook."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ours |= {
        "GIT_ALLOW_PROTOCOL": "none",  # git knows no protocol of that name; "" would do, too
        "GIT_DIR": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",  # its errors are recognised by their words
    }
    if directory is not None:
        format_ = join(_FORMATS, directory.format)
        objects = join(directory.common, "objects")
        if os.path.lexists(join(objects, "info/alternates")):
            # They lead out of the repository, even to where a network's disks are mounted when
            # asked for. Only a sparse index needs objects; git is silent about one then.
            objects = join(format_, "refs")
        ours |= {
            "GIT_COMMON_DIR": format_,
            "GIT_DIR": directory.own,
            "GIT_OBJECT_DIRECTORY": objects,
            "GIT_WORK_TREE": work_tree,
        }
    return ours


def _list(repository: str, directory: "GitDirectory", paths: list[str]) -> str:
    words = ["ls-files", "-z", "-t", "--cached", "--others", "--directory", "--exclude-standard"]
    # The last one wins, as git has it: the user's own patterns, then the repository's.
    exclude = directory.patterns[0]
    if os.path.isfile(exclude):
        words.append(f"--exclude-from={exclude}")
    return _run(repository, directory, [*directory.options, *words, "--", *paths])


def _run(place: str, directory: "GitDirectory | None", words: "Sequence[str]") -> str:
    from regrow.system.program import ask_program

    try:
        answer = ask_program(
            ["git", *_OFF, "-C", place, *words],
            _TIME_LIMIT,
            _environment(place, directory),
            most=_ANSWER_LIMIT,
            memory=_MEMORY_LIMIT,
        )
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except OSError as error:
        raise GitError(in_words(error)) from error
    said = answer.errors.decode(errors="replace").strip()
    # Where it can't read what a sparse index stands for it says so, and leaves that out.
    if answer.code != 0 or any(line.startswith("error: ") for line in said.splitlines()):
        raise GitError(said or "it failed")
    return os.fsdecode(answer.output)
