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
_PASSED_ON = ("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
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
        if not name.startswith("GIT_") or name in _PASSED_ON
    }
    return {**ours, "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}


class GitError(RegrowError):
    """git gave no answer."""


def _list(repository: str, paths: list[str]) -> str:
    import subprocess

    try:
        answer = subprocess.run(
            [
                "git", *_OFF, "-C", repository, "ls-files", "-z", "-t", "--cached", "--others",
                "--directory", "--exclude-standard", "--", *paths,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT,
            env=_environment(),
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(str(error)) from error
    if answer.returncode != 0:
        raise GitError(answer.stderr.decode(errors="replace").strip() or "it failed")
    return os.fsdecode(answer.stdout)
