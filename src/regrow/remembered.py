"""What was decided about directories, and what that depends on: kept, to decide nothing twice.

Beside each decision stand its witnesses: the files and directories whose change could change it,
each with the time of its last change (ctime, which nobody can set). It is a cache, as the snapshot
of a scan is: where anything is in doubt the guards are asked again.
"""

import marshal
import os
import time

from regrow import cache, filesystem, git, recipes
from regrow.directory import ancestors, is_below, join, split
from regrow.guards import PROJECT_FILE
from regrow.markers import tag
from regrow.model import Candidate, Decision
from regrow.plain import TYPE_CHECKING
from regrow.recipes import Taken
from regrow.snapshot import FRESH, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from regrow.config import Configuration

    Packed = tuple[Any, ...]
    # A decision and its witnesses' times; None: it is not to be remembered.
    Noted = tuple[Packed, dict[str, int] | None]

_PREFIX = "decisions-"
_KEPT = 8  # files, of different start directories and settings
_ABSENT = -1  # in place of a time: nothing is there
_NEVER = 0  # in place of a time: it was changed so lately that it may change again unseen
_FORGOTTEN = frozenset(("git-silent", "not-ours", "no-recipe"))
"""Guards whose word depends on more than can be named."""


class Memory:
    """The decisions of earlier sweeps."""

    def __init__(
        self, configuration: "Configuration", start: "Sequence[str]", keep: "Sequence[str]" = ()
    ) -> None:
        """Read what is remembered.

        Args:
            configuration: the user's settings.
            start: the start directories, true paths.
            keep: patterns besides the configuration's.
        """
        self._name = _PREFIX + _key(configuration, start, keep)
        self._fresh = time.time_ns() - FRESH
        self._git = git.Dependencies()
        self._seen: dict[str, int] = {}
        self._home = os.path.realpath(os.path.expanduser("~"))
        self._rows: dict[str, Packed] = {}
        """By path: the candidate, the decision, and the numbers of its witnesses."""
        self._paths: list[str] = []
        self._times: list[int] = []
        content = cache.read(self._name)
        if content is not None:
            self._rows, self._paths, self._times = marshal.loads(content)  # noqa: S302 - our own file, and whole

    def recall(self, candidates: "Iterable[Candidate]") -> dict[str, Decision]:
        """Give the decisions that are still true, by path.

        Args:
            candidates: what a scan has found.
        """
        if not self._rows:
            return {}
        now = map(_time, self._paths)
        pairs = enumerate(zip(self._times, now, strict=True))
        changed = {number for number, (before, time) in pairs if before != time}
        found = {}
        for candidate in candidates:
            row = self._rows.get(candidate.path)
            if row is not None and row[0] == pack(candidate) and changed.isdisjoint(row[2]):
                found[candidate.path] = unpack_decision(row[1], candidate)
        return found

    def note(self, decision: Decision) -> "Noted":
        """Give a decision in plain data, with what it depends on.

        Args:
            decision: what was just decided.
        """
        return pack_decision(decision), self._witnesses(decision)

    def keep(self, decisions: "Sequence[Decision]", noted: "Mapping[str, Noted]") -> None:
        """Remember decisions for the next time, and forget all others.

        Args:
            decisions: all that hold now.
            noted: those among them that were not recalled, by path.
        """
        if not noted and len(self._rows) == len(decisions):
            return
        rows: dict[str, Packed] = {}
        numbers: dict[str, int] = {}
        times: list[int] = []

        def number(path: str, time: int) -> int:
            if path not in numbers:
                numbers[path] = len(times)
                times.append(time)
            return numbers[path]

        for decision in decisions:
            path = decision.candidate.path
            if path in noted:
                packed, witnesses = noted[path]
                if witnesses is None:
                    continue
            else:
                _, packed, known = self._rows[path]
                witnesses = {self._paths[n]: self._times[n] for n in known}
            on = [number(*pair) for pair in witnesses.items()]
            rows[path] = (pack(decision.candidate), packed, on)
        cache.write(self._name, marshal.dumps((rows, list(numbers), times)))
        cache.keep_newest(_PREFIX, _KEPT)

    def _witnesses(self, decision: Decision) -> dict[str, int] | None:
        """Name what a decision depends on, with times; None where that can't be told."""
        candidate = decision.candidate
        if decision.guard in _FORGOTTEN or candidate.rule.home:
            return None
        times: dict[str, int] = {}
        try:
            for path in self._places(decision):
                self._add(path, candidate.project, times)
            for path in self._gits_places(candidate):
                self._add(path, None, times)
        except (OSError, ValueError):
            return None
        return times

    def _places(self, decision: Decision) -> "Iterator[str]":
        """Name the files that the guards look at, whether or not there are such."""
        candidate = decision.candidate
        yield candidate.path
        yield join(candidate.path, tag.NAME)
        if not decision.guard:
            recipe = decision.taken.recipe if decision.taken else {}
            yield from recipes.places(
                recipe, candidate.rule.recipe, candidate.path, candidate.project
            )
        elif decision.guard == "repository":
            yield from (join(candidate.path, name) for name in ("src", "lib"))
        for directory in ancestors(candidate.path):
            yield join(directory, PROJECT_FILE)
            if directory == self._home:
                break

    def _gits_places(self, candidate: Candidate) -> "Iterator[str]":
        """Name the files that git goes by, and those that would make a repository."""
        repository = git.repository_of(candidate.path)
        for directory in ancestors(candidate.path):
            if directory == repository:
                break
            yield join(directory, ".git")
        if repository is not None:
            files = self._git.of(repository, candidate.path)
            if files is None:
                raise ValueError("nobody knows what git goes by")
            yield from files

    def _add(self, path: str, project: str | None, times: dict[str, int]) -> None:
        """Add a witness.

        What is not there is told by the directory it would be in, which is a witness of more. Where
        other things come and go, above the project and in git's own directory, it is asked for by
        its name.
        """
        if path in times:
            return
        time = self._look(path)
        if time == _ABSENT:
            parent = split(path)[0]
            if project is not None and is_below(parent, project):
                self._add(parent, project, times)
                return
            if self._look(parent) >= self._fresh:
                time = _NEVER  # it may have been there when it was looked for
        times[path] = time if time < self._fresh else _NEVER

    def _look(self, path: str) -> int:
        """Give a path's time; those further up come again and again."""
        if path not in self._seen:
            self._seen[path] = _time(path)
        return self._seen[path]


def _time(path: str) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return _ABSENT


def _key(configuration: "Configuration", start: "Sequence[str]", keep: "Sequence[str]") -> str:
    """Tell what decisions depend on besides files: settings, and how file systems are mounted."""
    mounts = [
        mount
        for mount in filesystem.mounts()
        if any(is_below(mount.point, place) or is_below(place, mount.point) for place in start)
    ]
    parts = (
        cache.code(),
        os.geteuid(),
        os.path.expanduser("~"),
        tuple(configuration),
        list(start),
        list(keep),
        [tuple(mount) for mount in mounts],
        [os.environ.get(name) for name in ("XDG_CONFIG_HOME", *git.PASSED_ON)],
    )
    return cache.digest(repr(parts).encode(errors="surrogateescape")).hex()


def pack_decision(decision: Decision) -> "Packed":
    """Turn a decision into plain data, without its candidate."""
    taken = tuple(decision.taken) if decision.taken is not None else None
    return decision.decision, decision.guard, decision.reason, taken, decision.markers


def unpack_decision(packed: "Packed", candidate: Candidate) -> Decision:
    """Turn plain data into a decision again; see ``pack_decision``.

    Args:
        packed: the plain data.
        candidate: what was decided about.
    """
    word, guard, reason, taken, markers = packed
    return Decision(candidate, word, guard, reason, Taken(*taken) if taken else None, markers)
