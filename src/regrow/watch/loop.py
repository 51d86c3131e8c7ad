"""What a watch does: looks at what has changed, and at everything once a day."""

import time

from regrow import decisions, pipeline
from regrow.directory import Opener, ancestors, join, open_directory
from regrow.errors import RegrowError
from regrow.model import (
    FAILED,
    KEEP,
    MARKED,
    MARKED_ALREADY,
    Candidate,
    Decision,
    Outcome,
    Result,
    Unreadable,
)
from regrow.plain import TYPE_CHECKING
from regrow.scan import Scan, at_home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regrow.config import Configuration
    from regrow.model import Rule
    from regrow.records import Store
    from regrow.watch import Changes, Watcher

DAY = 24 * 60 * 60.0  # seconds
_UNWATCHED = 10 * 60.0  # seconds between two sweeps, where the kernel does not watch everything
_QUIET = 3.0  # seconds without a change after which a directory counts as filled
_LOOK = 1.0  # seconds between two looks at those that are being filled


class Watch:
    """Keeps the start directories marked."""

    def __init__(
        self,
        start: "Sequence[str]",
        configuration: "Configuration",
        in_force: "Sequence[Rule]",
        store: "Store",
        report: "Callable[[Result], None]",
        tell_limit: "Callable[[int], None]",
    ) -> None:
        """Prepare it; ``run`` begins.

        Args:
            start: the start directories, true paths.
            configuration: the user's settings.
            in_force: the rules.
            store: where the records go.
            report: told of each directory whose marks were changed, or could not be.
            tell_limit: told how many directories the kernel refuses to watch, when that changes.
        """
        self._start = start
        self._configuration = configuration
        self._in_force = in_force
        self._store = store
        self._report = report
        self._tell_limit = tell_limit
        self._unwatched = 0
        self._filling: dict[str, tuple[Candidate, float]] = {}
        self._next_sweep = 0.0

    def run(self, watcher: "Watcher", is_ended: "Callable[[], bool]") -> None:
        """Watch until it is ended.

        Args:
            watcher: tells of changes; it has begun, so that none is missed.
            is_ended: asked after each wait.
        """
        while not is_ended():
            if time.monotonic() >= self._next_sweep:
                self.sweep(watcher)
            self._look_at_filling()
            changes = watcher.wait(self._until_next())
            if changes.is_overflown:
                self._next_sweep = 0.0
            elif changes.directories:
                self._look(watcher, changes)

    def _until_next(self) -> float:
        """Give the seconds until something is to be done without a change."""
        due = min([self._next_sweep, *(when for _, when in self._filling.values())])
        return max(0.0, due - time.monotonic())

    def sweep(self, watcher: "Watcher") -> None:
        """Look at everything: at the start, once a day, and after changes were lost."""
        scan = Scan(self._start, self._in_force, self._configuration.skip, None, watcher)
        found = _candidates(scan)
        found += at_home(self._in_force)
        self._handle(found)
        with Opener() as opener:
            for decision in decisions.no_longer_recognised(
                found, self._configuration, self._start, self._in_force, self._store
            ):
                self._report(pipeline.carry_out(decision, self._store, opener))
        if watcher.unwatched > self._unwatched:
            self._unwatched = watcher.unwatched
            self._tell_limit(watcher.unwatched)
        self._next_sweep = time.monotonic() + (_UNWATCHED if watcher.unwatched else DAY)

    def _look(self, watcher: "Watcher", changes: "Changes") -> None:
        """Look at the directories that have changed, and at all that is new in them."""
        changed, appeared = changes.directories, changes.appeared
        route = {one for path in changed for one in ancestors(path)} | changed | appeared
        noting = _Noting(watcher)
        by_path: set[str] = set()

        def visits(parent: str, name: str, has_hints: bool) -> bool:
            path = join(parent, name)
            if path in route:
                return True
            if parent in by_path:  # on the way of a rule with a path
                return has_hints
            if parent not in changed and parent not in noting.fresh:
                return False
            if path not in watcher.watched:
                return True
            if has_hints:
                by_path.add(path)
            return has_hints

        start = [path for path in self._start if path in route]
        self._handle(
            _candidates(Scan(start, self._in_force, self._configuration.skip, visits, noting))
        )

    def _handle(self, found: "Sequence[Candidate]") -> None:
        """Decide and act; what is still being filled is marked now and completed later."""
        decided = decisions.decide(found, self._configuration, self._start, (), self._store)
        with Opener() as opener:
            for decision in decided:
                path = decision.candidate.path
                lacks_recipe = (decision.decision, decision.guard) == (KEEP, "no-recipe")
                if (lacks_recipe or decision.decision != KEEP) and _is_busy(decision.candidate):
                    self._begin(decision)
                elif lacks_recipe and path in self._filling:
                    # Once it has been quiet for longer, it is decided to take the mark back.
                    self._postpone(decision.candidate, decisions.QUIET + _LOOK)
                else:
                    self._filling.pop(path, None)
                    if decision.decision != KEEP:
                        self._report(pipeline.carry_out(decision, self._store, opener))

    def _begin(self, decision: Decision) -> None:
        """Mark what is being filled: attributes alone, so that no tool meets a file of ours."""
        candidate = decision.candidate
        if candidate.path not in self._filling and decision.decision != MARKED_ALREADY:
            try:
                outcomes = self._mark_pending(decision)
            except RegrowError as error:
                self._report(Result(decision, FAILED, error=str(error)))
                return
            self._report(Result(decision, pipeline.summed_up(outcomes, MARKED), outcomes))
        self._postpone(candidate, _LOOK)

    def _mark_pending(self, decision: Decision) -> dict[str, Outcome]:
        candidate = decision.candidate
        recipe = decision.taken.recipe if decision.taken else pipeline.NO_RECIPE
        reason = pipeline.Reason(candidate.rule.name, candidate.evidence, recipe)
        with open_directory(candidate.path) as directory:
            chosen = pipeline.choose_markers(directory, self._configuration, wants_tag=False)
            return pipeline.mark_before_birth(
                directory, chosen, self._store, reason, candidate.path
            )

    def _postpone(self, candidate: Candidate, seconds: float) -> None:
        self._filling[candidate.path] = (candidate, time.monotonic() + seconds)

    def _look_at_filling(self) -> None:
        """Look again at what was being filled, and has been quiet since."""
        now = time.monotonic()
        due = [candidate for candidate, when in self._filling.values() if when <= now]
        quiet = [candidate for candidate in due if not _is_busy(candidate)]
        for candidate in due:
            self._postpone(candidate, _LOOK)
        self._handle(quiet)


class _Noting:
    """Passes on to a watcher what a scan enters, and notes what was not watched before."""

    def __init__(self, watcher: "Watcher") -> None:
        self._watcher = watcher
        self.fresh: set[str] = set()

    def enter(self, fd: int, path: str) -> None:
        if path not in self._watcher.watched:
            self.fresh.add(path)
        self._watcher.enter(fd, path)

    def leave(self, path: str) -> None:
        self._watcher.leave(path)


def _candidates(scan: Scan) -> list[Candidate]:
    return [finding for finding in scan if not isinstance(finding, Unreadable)]


def _is_busy(candidate: Candidate) -> bool:
    """Tell whether a tool is filling a directory whose recipe is taken from its contents."""
    if candidate.rule.recipe in ("command", "contents"):
        return False
    changed = decisions.last_change(candidate)
    return changed is not None and abs(time.time() - changed) < _QUIET


def is_of_interest(in_force: "Sequence[Rule]") -> "Callable[[str], bool]":
    """Give a function that tells of a file's name whether something depends on it.

    Args:
        in_force: the rules; locks, ignore files and the projects' own word count besides.
    """
    from fnmatch import fnmatchcase

    from regrow.guards import PROJECT_FILE
    from regrow.recipes import node, python

    names = {".gitignore", PROJECT_FILE, *node.LOCKS, *python.LOCKS}
    for rule in in_force:
        for name in (*rule.beside, *rule.beside_all, *rule.inside, *rule.inside_all):
            names.update(name.rstrip("/").split("/"))
    globs = [name for name in names if "*" in name]
    return lambda name: name in names or any(fnmatchcase(name, glob) for glob in globs)
