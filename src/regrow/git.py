"""Questions to git, asked so that nothing of the repository's own configuration is run."""

import os

from regrow.directory import ancestors, join

# What a repository's configuration could make git execute while it answers us.
_OFF = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.pager=cat",
    "-c", "protocol.allow=never",
)  # fmt: skip
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


def ignores(repository: str, path: str) -> bool:
    """Ask git whether it ignores a path.

    Args:
        repository: the work tree's path.
        path: the path, below it.

    Returns:
        True if git says so; False if not, if it tracks the path, or if git can't be asked.
    """
    import subprocess

    try:
        answer = subprocess.run(
            ["git", *_OFF, "-C", repository, "check-ignore", "-q", "-z", "--stdin"],
            input=os.fsencode(path),
            capture_output=True,
            timeout=_TIME_LIMIT,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
