"""What was decided about directories, and what that depends on: kept, to decide nothing twice.

Beside each decision stand its witnesses: the files and directories whose change could change it,
each with the time of its last change (ctime, which nobody can set). It is a cache, as the snapshot
of a scan is: where anything is in doubt the guards are asked again.
"""

import marshal
import os
import time

from regrow.decide.guards import PROJECT_FILE
from regrow.model import FAILURE, Candidate, Decision
from regrow.recipes.recipe import RecipeResult, inputs_of
from regrow.scan.snapshot import FRESH, pack
from regrow.system import cache, git
from regrow.system import mounts as filesystem
from regrow_marks import tag
from regrow_marks.directory import ancestors, is_below, join, split
from regrow_marks.plain import TYPE_CHECKING

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
_FORGOTTEN = frozenset(("git-silent", "not-ours", "no-recipe", FAILURE))
"""Guards whose word depends on more than can be named."""


class Memory:
    """The decisions of earlier sweeps."""

    def __init__(
        self, configuration: "Configuration", start: "Sequence[str]", keep: "Sequence[str]" = ()
    ) -> None:
        """Read what is remembered, and look what has changed since.

        Args:
            configuration: the user's settings.
            start: the start directories, true paths.
            keep: patterns besides the configuration's.
        """
        self._name = _PREFIX + _key(configuration, start, keep)
        self._fresh = time.time_ns() - FRESH
        self.repositories = git.Repositories()
        """The work trees that were found so far."""
        self._git = git.Dependencies(self.repositories)
        self._seen: dict[str, int] = {}
        self._home = os.path.realpath(os.path.expanduser("~"))
        self._rows: dict[str, Packed] = {}
        """By path: the candidate, the decision, and the numbers of its witnesses."""
        self._paths: list[str] = []
        self._times: list[int] = []
        content = cache.read(self._name)
        if content is not None:
            cache.refresh(self._name)
            self._rows, self._paths, self._times = marshal.loads(content)  # noqa: S302 - our own file, and whole
        pairs = enumerate(zip(self._times, map(_time, self._paths), strict=True))
        self._changed = {number for number, (before, now) in pairs if before != now}
        """The numbers of the witnesses that have another time now."""

    def recall(self, candidates: "Iterable[Candidate]") -> dict[str, Decision]:
        """Give the decisions that are still true, by path.

        Args:
            candidates: what a scan has found.
        """
        found = {}
        for candidate in candidates:
            row = self._rows.get(candidate.path)
            if row is not None and row[0] == pack(candidate) and self._changed.isdisjoint(row[2]):
                found[candidate.path] = unpack_decision(row[1], candidate)
        return found

    def look(self, candidate: Candidate) -> dict[str, int] | None:
        """Look at what a decision will depend on in any case.

        That comes before the guards are asked: what changes between the two is noticed next time.

        Args:
            candidate: what is about to be decided about.

        Returns:
            The witnesses with their times, for ``note``; None where they can't be told.
        """
        try:
            return self._look(candidate)
        except Exception:  # noqa: BLE001 - whatever it is, the next sweep decides anew
            return None

    def _look(self, candidate: Candidate) -> dict[str, int] | None:
        if candidate.rule.home:
            return None
        times: dict[str, int] = {}
        for directory in ancestors(candidate.path):
            self._add_name(directory, PROJECT_FILE, candidate.project, times)
            if directory == self._home:
                break
        repository = self.repositories.of(candidate.path)
        for directory in ancestors(candidate.path):
            if directory == repository:
                break
            self._add_name(directory, ".git", candidate.project, times)
        files = [] if repository is None else self._git.of(repository, candidate.path)
        if files is None:
            return None
        for path in files:
            self._add(path, times)
        return times

    def note(self, decision: Decision, times: dict[str, int] | None) -> "Noted":
        """Give a decision in plain data, with what it depends on.

        Args:
            decision: what was just decided.
            times: what ``look`` gave before.
        """
        packed = pack_decision(decision)
        if times is None or decision.guard in _FORGOTTEN:
            return packed, None
        try:
            for path in self._places(decision):
                self._add_inner(path, decision.candidate.project, times)
        except Exception:  # noqa: BLE001 - whatever it is, the next sweep decides anew
            return packed, None
        return packed, times

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

    def _places(self, decision: Decision) -> "Iterator[str]":
        """Name the files that the guards look at inside, and what the recipe was taken from."""
        candidate = decision.candidate
        yield candidate.path
        yield join(candidate.path, tag.NAME)
        if not decision.guard:
            recipe = decision.taken.recipe if decision.taken else {}
            yield from inputs_of(recipe, candidate.rule.recipe, candidate.path, candidate.project)
        elif decision.guard == "repository":
            yield from (join(candidate.path, name) for name in ("src", "lib"))

    def _add(self, path: str, times: dict[str, int]) -> None:
        time = self._time_of(path)
        times[path] = time if time < self._fresh else _NEVER

    def _add_name(self, directory: str, name: str, project: str, times: dict[str, int]) -> None:
        """Add a file; where a project has none, the project tells when it appears."""
        path = join(directory, name)
        is_told = directory == project and self._time_of(path) == _ABSENT
        self._add(directory if is_told else path, times)

    def _add_inner(self, path: str, project: str, times: dict[str, int]) -> None:
        """Add a witness that may be gone since it was looked at.

        What is not there is told by the directory it would be in, whose time says if it was there a
        moment ago. Above the project, where other things come and go, it is asked for by its name.
        """
        if path in times:
            return
        self._add(path, times)
        if times[path] == _ABSENT:
            parent = split(path)[0]
            if is_below(parent, project):
                del times[path]
                self._add_inner(parent, project, times)
            elif self._time_of(parent) >= self._fresh:
                times[path] = _NEVER

    def _time_of(self, path: str) -> int:
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
        cache.running_code(),
        os.geteuid(),
        os.path.expanduser("~"),
        tuple(configuration),
        list(start),
        list(keep),
        [tuple(mount) for mount in mounts],
        os.environ.get("XDG_CONFIG_HOME"),
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
    return Decision(
        candidate, word, guard, reason, RecipeResult(*taken) if taken else None, markers
    )
