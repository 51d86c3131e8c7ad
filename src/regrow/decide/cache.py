"""What the guards said of candidates in earlier sweeps, each answer with its inputs.

The inputs are the files and directories whose change could change the answer, each with the time
of its last change (ctime, which nobody can set). It is a cache, as the snapshot of a scan is: where
anything is in doubt the guards are asked again.
"""

import marshal
import os
import time

from regrow.decide.decisions import Assessment
from regrow.decide.guards import BY_NAME, FORGOTTEN, PROJECT_FILE
from regrow.recipes.recipe import RecipeResult, inputs_of
from regrow.scan.snapshot import FRESH, pack
from regrow.system import cache, git, mounts
from regrow_marks import tag
from regrow_marks.directory import ancestors, is_below, join, split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from regrow.model import Candidate, Scope

    Packed = tuple[Any, ...]
    # An answer and the times of its inputs; None: it is not to be remembered.
    Noted = tuple[Packed, dict[str, int] | None]

_PREFIX = "decisions-"
_KEPT = 8  # files, of different start directories and settings
_ABSENT = -1  # in place of a time: nothing is there
_NEVER = 0  # in place of a time: it was changed so lately that it may change again unseen


class Memory:
    """What is remembered of a scope."""

    def __init__(self, scope: "Scope") -> None:
        """Read what is remembered, and look which inputs have changed since.

        Args:
            scope: where is looked, and by which settings: another one has a memory of its own.
        """
        self._name = _PREFIX + _key(scope)
        self._fresh = time.time_ns() - FRESH
        self.repositories = git.Repositories()
        """The work trees that were found so far."""
        self._git = git.Dependencies(self.repositories)
        self._seen: dict[str, int] = {}
        self._home = os.path.realpath(os.path.expanduser("~"))
        self._rows: dict[str, Packed] = {}
        """By path: the candidate, the answer, and the numbers of its inputs."""
        self._paths: list[str] = []
        self._times: list[int] = []
        content = cache.read(self._name)
        if content is not None:
            cache.refresh(self._name)
            self._rows, self._paths, self._times = marshal.loads(content)  # noqa: S302 - our own file, and whole
        pairs = enumerate(zip(self._times, map(_time, self._paths), strict=True))
        self._changed = {number for number, (before, now) in pairs if before != now}
        """The numbers of the inputs that have another time now."""

    def recall(self, candidates: "Iterable[Candidate]") -> dict[str, Assessment]:
        """Return the answers that are still true, by path.

        Args:
            candidates: what a scan has found.
        """
        found = {}
        for candidate in candidates:
            row = self._rows.get(candidate.path)
            if row is not None and row[0] == pack(candidate) and self._changed.isdisjoint(row[2]):
                found[candidate.path] = _unpack(row[1])
        return found

    def look(self, candidate: "Candidate") -> dict[str, int] | None:
        """Return the inputs that every answer has, with their times, for ``note``.

        That comes before the guards are asked: what changes between the two is noticed next time.

        Args:
            candidate: what is about to be assessed.

        Returns:
            None, where they can't be named.
        """
        try:
            return self._look(candidate)
        except Exception:  # noqa: BLE001 - whatever it is, the next sweep asks anew
            return None

    def _look(self, candidate: "Candidate") -> dict[str, int] | None:
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

    def note(
        self, candidate: "Candidate", answer: Assessment, times: dict[str, int] | None
    ) -> "Noted":
        """Return an answer as plain data, with all its inputs.

        Args:
            candidate: what was just assessed.
            answer: what the guards said.
            times: what ``look`` returned before.
        """
        packed = _pack(answer)
        if times is None or answer.guard in FORGOTTEN:
            return packed, None
        try:
            for path in _inputs_inside(candidate, answer):
                self._add_inner(path, candidate.project, times)
        except Exception:  # noqa: BLE001 - whatever it is, the next sweep asks anew
            return packed, None
        return packed, times

    def keep(
        self,
        candidates: "Iterable[Candidate]",
        recalled: "Mapping[str, Assessment]",
        noted: "Mapping[str, Noted]",
    ) -> dict[str, Assessment]:
        """Remember answers for the next time, and forget all others.

        Args:
            candidates: what a scan has found.
            recalled: what ``recall`` returned of them.
            noted: the answers about the rest, by path.

        Returns:
            All answers, by path.
        """
        answers = {**recalled, **{path: _unpack(packed) for path, (packed, _) in noted.items()}}
        if noted or len(self._rows) != len(answers):
            self._write(candidates, noted)
        return answers

    def _write(self, candidates: "Iterable[Candidate]", noted: "Mapping[str, Noted]") -> None:
        rows: dict[str, Packed] = {}
        numbers: dict[str, int] = {}
        times: list[int] = []

        def number(path: str, time: int) -> int:
            if path not in numbers:
                numbers[path] = len(times)
                times.append(time)
            return numbers[path]

        for candidate in candidates:
            path = candidate.path
            if path in noted:
                packed, inputs = noted[path]
                if inputs is None:
                    continue
            else:
                _, packed, known = self._rows[path]
                inputs = {self._paths[n]: self._times[n] for n in known}
            on = [number(*pair) for pair in inputs.items()]
            rows[path] = (pack(candidate), packed, on)
        cache.write(self._name, marshal.dumps((rows, list(numbers), times)))
        cache.keep_newest(_PREFIX, _KEPT)

    def _add(self, path: str, times: dict[str, int]) -> None:
        time = self._time_of(path)
        times[path] = time if time < self._fresh else _NEVER

    def _add_name(self, directory: str, name: str, project: str, times: dict[str, int]) -> None:
        """Add a file; where a project has none, the project's time says when it appears."""
        path = join(directory, name)
        is_told = directory == project and self._time_of(path) == _ABSENT
        self._add(directory if is_told else path, times)

    def _add_inner(self, path: str, project: str, times: dict[str, int]) -> None:
        """Add an input that may be gone since it was looked at.

        For what is not there the directory is added that it would be in, whose time says whether it
        was there a moment ago. Above the project, where other things come and go, it is asked for
        by its name.
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
        """Return a path's time; those further up are asked for again and again."""
        if path not in self._seen:
            self._seen[path] = _time(path)
        return self._seen[path]


def _time(path: str) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return _ABSENT


def _inputs_inside(candidate: "Candidate", answer: Assessment) -> "Iterator[str]":
    """Yield the files in a candidate that guards have read, and what the recipe was taken from."""
    yield candidate.path
    yield join(candidate.path, tag.NAME)
    if answer.guard:
        yield from (join(candidate.path, name) for name in BY_NAME[answer.guard].reads)
    elif answer.recipe is not None:
        yield from inputs_of(
            answer.recipe.recipe, candidate.rule.recipe, candidate.path, candidate.project
        )


def _key(scope: "Scope") -> str:
    """Return what answers depend on besides files: settings, and how file systems are mounted."""
    places = scope.places
    mounted = [
        mount
        for mount in mounts.mounts()
        if any(is_below(mount.point, place) or is_below(place, mount.point) for place in places)
    ]
    parts = (
        cache.running_code(),
        os.geteuid(),
        os.path.expanduser("~"),
        tuple(scope.configuration),
        places,
        list(scope.keep),
        [tuple(mount) for mount in mounted],
        os.environ.get("XDG_CONFIG_HOME"),
    )
    return cache.digest(repr(parts).encode(errors="surrogateescape")).hex()


def _pack(answer: Assessment) -> "Packed":
    """Return an answer as plain data, which ``marshal`` takes."""
    recipe = tuple(answer.recipe) if answer.recipe is not None else None
    return answer.guard, answer.reason, recipe, answer.markers, answer.is_marked


def _unpack(packed: "Packed") -> Assessment:
    """Return the answer that ``_pack`` was given."""
    guard, reason, recipe, markers, is_marked = packed
    return Assessment(guard, reason, RecipeResult(*recipe) if recipe else None, markers, is_marked)
