"""What a watch does: looks at what has changed, and at everything once a day."""

import contextlib
import os
import time

from regrow import pipeline
from regrow.decide import withdraw
from regrow.decide.guards import BY_NAME, LACKS_RECIPE
from regrow.errors import RecordError, WatchError, as_sentence
from regrow.model import (
    EXPLICIT,
    KEEP,
    MARKED_ALREADY,
    NO_RECIPE,
    TAKE_BACK,
    VANISHED,
    Candidate,
    Decision,
    Plan,
    Result,
    Scope,
    Unreadable,
)
from regrow.records import moves
from regrow.records.format import PENDING, has_rule
from regrow.scan.home import at_home
from regrow.scan.walk import Scan
from regrow.system import git
from regrow_marks.directory import ancestors, is_below, join, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import ALREADY_MARKED, FAILED, MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from regrow.config import Configuration
    from regrow.model import Rule
    from regrow.programs.export.fresh import Fresh
    from regrow.records.store import Store
    from regrow.watch.source import Watcher
    from regrow.watch.upgrade import Upgrade

# All in seconds.
DAY = 24 * 60 * 60.0
_SOON = 10 * 60.0  # until another try, and between sweeps where the kernel doesn't watch everything
_QUIET = 3.0  # without a change, after which a directory counts as filled
_LOOK = 1.0  # between two looks at those that are being filled
_ABSENT = 60.0  # between two looks for a start directory that is not there
_BREATH = 10.0  # between two sweeps because changes were lost: they may be lost for hours

LIMIT = (
    "{:,} directories are not watched: the kernel watches no more for you; until it does, they are"
    " swept every ten minutes. Raise the limit: sysctl fs.inotify.max_user_watches=1048576 (and in"
    " /etc/sysctl.d)"
)
OVERFLOW = (
    "more changed at once than the kernel keeps for its readers: everything is swept again. If that"
    " happens often: sysctl fs.inotify.max_queued_events=131072 (and in /etc/sysctl.d)"
)


class _Seen(NamedTuple):
    """A candidate, and when it was changed last."""

    candidate: Candidate
    changed: float | None
    """In seconds since 1970, by whatever clock: only compared for equality."""
    since: float
    """Since when it has been quiet, as ``time.monotonic`` counts."""
    due: float
    """When to look again, likewise."""

    def is_quiet(self, seconds: float) -> bool:
        """Tell whether it has been quiet for so long."""
        return time.monotonic() - self.since >= seconds


class Watch:
    """Keeps the start directories marked."""

    def __init__(
        self,
        start: "Sequence[str]",
        configuration: "Configuration",
        active_rules: "Sequence[Rule]",
        store: "Store",
        report: "Callable[[Result], None]",
        tell: "Callable[[str], None]",
        fresh: "Fresh",
        upgrade: "Upgrade",
    ) -> None:
        """Prepare it; ``run`` begins.

        Args:
            start: the start directories, true paths.
            configuration: the user's settings.
            active_rules: the rules.
            store: where the records go.
            report: told of each directory whose marks were changed, or could not be.
            tell: told in a sentence, once, what else is not as it should be.
            fresh: keeps the exclude files that the configuration names.
            upgrade: notices that another regrow was installed.
        """
        self._start = start
        self._scope = Scope(start, configuration, active_rules)
        self._store = store
        self._report = report
        self._tell = tell
        self._fresh = fresh
        self._upgrade = upgrade
        self._problems: dict[str, str] = {}
        self._waiting: dict[str, _Seen] = {}
        self._absent: list[str] = []
        self._unwatched = 0
        self._next_sweep = self._last_sweep = float("-inf")

    def run(
        self,
        watcher: "Watcher",
        is_ended: "Callable[[], bool]",
        uninterrupted: "Callable[[], AbstractContextManager[None]]" = contextlib.nullcontext,
    ) -> None:
        """Watch until it is ended, or another regrow is to go on.

        Args:
            watcher: tells of changes; it has begun, so that none is missed.
            is_ended: asked after each wait.
            uninterrupted: surrounds the writing of each record and its marks, in which no signal
                may raise.
        """
        self._watcher = watcher
        self._uninterrupted = uninterrupted
        while not is_ended():
            try:
                if self._turn(watcher):
                    return
            except (WatchError, BrokenPipeError):
                raise  # whoever read what it says is gone, and it ends, as every command does
            except Exception as error:  # noqa: BLE001 - what comes is still to be looked at
                self._survive(error)

    def _turn(self, watcher: "Watcher") -> bool:
        """Do what is due, wait, and look at what changed; tell whether another regrow goes on."""
        if time.monotonic() >= self._next_sweep or self._has_come_back():
            self._sweep()
        self._look_at_waiting()
        self._fresh.look()
        if self._upgrade.look():
            return True
        changes = watcher.wait(self._until_next())
        self._fresh.note(changes)
        if changes.is_overflown:
            self._tell(OVERFLOW)
            self._sweep_within(max(0.0, self._last_sweep + _BREATH - time.monotonic()))
        elif changes.directories or changes.appeared:
            self._look(changes.directories | changes.appeared)
        return False

    def _survive(self, error: Exception) -> None:
        """Go on after what nobody foresaw: it is told once, and all is swept again later."""
        problem = as_sentence(error)
        if self._is_new("", problem):
            self._tell(f"a look failed, another follows: {problem}")
        self._sweep_within(_SOON)
        time.sleep(_LOOK)  # it may fail again at once

    def _until_next(self) -> float:
        """Give the seconds until something is to be done without a change."""
        now = time.monotonic()
        waiting = (one.due for one in self._waiting.values())
        due = min([self._next_sweep, self._fresh.due, self._upgrade.due, *waiting]) - now
        return max(0.0, min(due, _ABSENT) if self._absent else due)

    def _sweep_within(self, seconds: float) -> None:
        self._next_sweep = min(self._next_sweep, time.monotonic() + seconds)

    def _has_come_back(self) -> bool:
        return any(os.path.isdir(path) for path in self._absent)

    def _sweep(self) -> None:
        """Look at everything: at the start, once a day, and after changes were lost."""
        self._next_sweep = time.monotonic() + DAY
        self._watcher.unwatched = 0
        noting = _Noting(self._watcher)
        rules, skip = self._scope.rules, self._scope.configuration.skip
        scan = Scan(self._start, rules, skip, None, noting)
        plan = pipeline.plan(
            self._scope,
            self._store,
            scan=lambda: pipeline.survey_of(scan),
            also=at_home(rules),
        )
        self._tell_of_unreadable(plan.unreadable)
        found = [decision.candidate for decision in plan.decisions]
        taken_back = self._handle(plan)
        if any(_has_changed_lately(path) for path in self._doubtful(noting, found)):
            self._sweep_within(_later())
        self._look_at_watcher()
        self._fresh.expire()
        self._problems = {path: p for path, p in self._problems.items() if os.path.lexists(path)}
        self._last_sweep = time.monotonic()
        if taken_back:
            self._look(taken_back)  # as long as they were marked, nobody looked inside

    def _look(self, changed: "Iterable[str]" = (), again: "Iterable[str]" = ()) -> list[Candidate]:
        """Look at directories that have changed and all below them, and at single others again.

        Args:
            changed: the paths of the directories that have changed.
            again: the paths of earlier candidates.

        Returns:
            The candidates found.
        """
        changed, again = set(changed), set(again)
        route = {*changed, *again}.union(*map(ancestors, changed | again))
        noting = _Noting(self._watcher, changed)

        def visits(parent: str, name: str, _: bool) -> bool:
            return parent in noting.anew or join(parent, name) in route

        start = [path for path in self._start if path in route]
        rules, skip = self._scope.rules, self._scope.configuration.skip
        scan = Scan(start, rules, skip, visits, noting)
        at_homes = at_home(rules)
        plan = pipeline.plan(
            self._scope,
            self._store,
            scan=lambda: pipeline.survey_of(scan)._replace(is_whole=False),
            also=[candidate for candidate in at_homes if candidate.path in again],
        )
        found = [decision.candidate for decision in plan.decisions]
        taken_back = self._handle(plan)
        containers = [candidate.path for candidate in at_homes if candidate.rule.container]
        if self._doubtful(noting, found) or any(
            is_below(path, container) for container in containers for path in changed
        ):
            self._sweep_within(_later())  # it takes back what stays so
        self._look_at_watcher()
        if taken_back:
            self._look(taken_back)
        return found

    def _look_at_watcher(self) -> None:
        """Look at what is not watched, and say so."""
        self._absent = [path for path in self._start if not os.path.isdir(path)]
        unwatched = self._watcher.unwatched
        if unwatched:
            self._sweep_within(_SOON)
        if unwatched and not self._unwatched:
            self._tell(LIMIT.format(unwatched))
        self._unwatched = unwatched

    def _doubtful(self, noting: "_Noting", found: "Sequence[Candidate]") -> list[str]:
        """Find what regrow marked by a rule, and no rule recognised this time."""
        candidates = {candidate.path for candidate in found}
        return [path for path in noting.unentered - candidates if self._is_marked_by_rule(path)]

    def _is_marked_by_rule(self, path: str) -> bool:
        try:
            data = self._store.data(path)
        except RecordError:
            return False  # `regrow list` tells of it
        return data is not None and not has_rule(data, EXPLICIT)

    def _handle(self, plan: Plan) -> list[str]:
        """Act on each decision; what is still being filled is marked now and completed later.

        Returns:
            The paths of what was taken back and no rule recognises: all in it is to be looked at.
        """
        with self._uninterrupted():
            try:
                list(pipeline.apply(Plan((), plan.moved), self._store))
            except RecordError as error:
                self._tell(str(error))
        results = [self._act(decision) for decision in plan.decisions]
        return [
            one.decision.candidate.path
            for one in results
            if one and one.outcome == UNMARKED and one.decision.guard not in BY_NAME
        ]

    def _act(self, decision: Decision) -> Result | None:
        candidate = decision.candidate
        lacks_recipe = (decision.decision, decision.guard) == (KEEP, LACKS_RECIPE)
        is_for_marking = lacks_recipe or decision.decision not in (KEEP, TAKE_BACK)
        if is_for_marking and not candidate.rule.container:
            self._watcher.leave(candidate.path)
        seen = self._see(candidate)
        if is_for_marking and candidate.rule.container and not seen.is_quiet(_QUIET):
            self._wait(seen, _later())
        elif is_for_marking and not seen.is_quiet(_QUIET):
            if decision.decision != MARKED_ALREADY or self._has_moved_here(candidate):
                self._begin(decision)
            self._wait(seen, _LOOK)
        elif lacks_recipe and not seen.is_quiet(withdraw.QUIET):
            if self._has_moved_here(candidate):
                self._begin(decision)
            self._wait(seen, _later())  # then it is decided to take the mark back
        else:
            was_begun = self._waiting.pop(candidate.path, None) is not None
            result = self._carry_out(decision, was_begun=was_begun)
            if result.outcome == FAILED:
                self._wait(seen, _SOON)
            elif result.outcome == VANISHED and was_begun:
                self._wait(seen, _LOOK)  # its record is still to be withdrawn
            elif _is_git_at_work(candidate.path):
                self._wait(seen, _later())
            return result
        return None

    def _carry_out(self, decision: Decision, *, was_begun: bool = False) -> Result:
        with self._uninterrupted():
            (result,) = pipeline.apply(Plan([decision]), self._store)
            # It was told when it was begun; not so what it lacks.
            if result.notes or not (was_begun and _adds_tag_only(result)):
                self._take_note(result)
        return result

    def _withdraw(self, candidate: Candidate) -> None:
        """Remove the record of what vanished before any recipe could be taken."""
        with self._uninterrupted(), self._store.locked():
            try:
                record = self._store.read(candidate.path)
                is_void = record is not None and record.recipe == NO_RECIPE
                if record is not None and is_void and record.inode == candidate.inode:
                    self._store.remove(candidate.path)
            except RecordError:
                return  # `regrow list` tells of it

    def _has_moved_here(self, candidate: Candidate) -> bool:
        """Tell whether it was another path's directory when regrow recorded it."""
        try:
            with open_directory(candidate.path) as directory:
                return moves.standing(directory, self._store).word == moves.MOVED
        except PathError:
            return False  # the next look tells

    def _begin(self, decision: Decision) -> None:
        """Record and mark what is still being filled."""
        with self._uninterrupted():
            self._take_note(pipeline.begin(decision, self._store, self._scope.configuration))

    def _take_note(self, result: Result) -> None:
        path = result.decision.candidate.path
        if result.outcome != FAILED:
            if not result.notes:
                self._problems.pop(path, None)
            elif not self._is_new(path, result.notes[0]):
                result = result._replace(notes=())
            self._report(result)
        elif self._is_new(path, result.problem):
            self._report(result)

    def _tell_of_unreadable(self, findings: "Iterable[Unreadable]") -> None:
        for finding in findings:
            if self._is_new(finding.path, finding.error):
                self._tell(f"{finding.path}: {finding.error}")

    def _is_new(self, path: str, problem: str) -> bool:
        """Tell whether a path had another problem until now, or none; it has this one now."""
        before = self._problems.get(path)
        self._problems[path] = problem
        return before != problem

    def _see(self, candidate: Candidate) -> _Seen:
        """Look when a directory was changed last; to be gone is a change, too."""
        now = time.monotonic()
        changed = None if _is_gone(candidate) else withdraw.last_change(candidate)
        known = self._waiting.get(candidate.path)
        if known and (known.candidate.inode, known.changed) == (candidate.inode, changed):
            return known
        # A time to come says nothing: it is quiet from now on, until it changes again.
        age = max(0.0, time.time() - changed) if changed is not None else 0.0
        return _Seen(candidate, changed, now - age, now)

    def _wait(self, seen: _Seen, seconds: float) -> None:
        """Look again later: by a sweep at a container, for all that it holds decides about it."""
        if seen.candidate.rule.container:
            self._sweep_within(seconds)
            return
        due = time.monotonic() + seconds
        self._waiting[seen.candidate.path] = seen._replace(due=due)

    def _look_at_waiting(self) -> None:
        """Look again at what was being filled, and has been quiet since."""
        now = time.monotonic()
        quiet = {}
        for known in [one for one in self._waiting.values() if one.due <= now]:
            candidate = known.candidate
            seen = self._see(candidate)
            if not seen.is_quiet(_QUIET):
                self._wait(seen, _LOOK)
            elif not _is_gone(candidate):
                self._wait(seen, _LOOK)
                quiet[candidate.path] = candidate
            elif not seen.is_quiet(withdraw.QUIET):
                self._wait(seen, _later())  # if it was moved, its record is of use at the new place
            else:
                del self._waiting[candidate.path]
                self._withdraw(candidate)
        if not quiet:
            return
        found = {candidate.path for candidate in self._look(again=quiet)}
        for path in quiet.keys() - found:
            if not _is_gone(quiet[path]):  # else the next look withdraws it
                del self._waiting[path]
                self._give_up(quiet[path], found)

    def _give_up(self, candidate: Candidate, found: "Iterable[str]") -> None:
        """End what was begun with a directory that a scan does not find any more.

        Inside another candidate no later scan would: that one speaks for both.
        """
        outer = next((path for path in found if is_below(candidate.path, path)), "")
        if outer and self._is_pending(candidate.path):
            reason = f"it is inside {outer}, which is decided about as a whole"
            self._carry_out(Decision(candidate, TAKE_BACK, withdraw.NO_RULE, reason))

    def _is_pending(self, path: str) -> bool:
        try:
            record = self._store.read(path)
        except RecordError:
            return False  # `regrow list` tells of it
        return record is not None and record.state == PENDING


class _Noting:
    """Passes on to a watcher what a scan enters, and takes notes."""

    def __init__(self, watcher: "Watcher", changed: "Iterable[str]" = ()) -> None:
        self._watcher = watcher
        self.anew = set(changed)
        """What has changed, all below it, and what was not watched before."""
        self.unentered: set[str] = set()
        """What carries an exclusion, and candidates that are not yet decided about for good."""

    def enter(self, fd: int, path: str) -> None:
        if split(path)[0] in self.anew or path not in self._watcher.watched:
            self.anew.add(path)
        self._watcher.enter(fd, path)

    def stay(self, path: str) -> None:
        self.unentered.add(path)
        self._watcher.stay(path)

    def leave(self, path: str) -> None:
        self._watcher.leave(path)


def _adds_tag_only(result: Result) -> bool:
    states = {name: outcome.state for name, outcome in result.outcomes.items()}
    return states.pop(CACHEDIR_TAG, "") == MARKED and set(states.values()) == {ALREADY_MARKED}


def _is_gone(candidate: Candidate) -> bool:
    """Tell whether a directory is no longer where it was; False, where nobody can tell."""
    try:
        status = os.lstat(candidate.path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return (status.st_dev, status.st_ino) != (candidate.device, candidate.inode)


def _later() -> float:
    """Give the seconds after which what is quiet now is taken for settled."""
    return withdraw.QUIET + _LOOK


def _is_git_at_work(path: str) -> bool:
    """Tell whether git has done something in a repository, such as cloning it, just now.

    What it tracks may not be known to it yet, and which names it ignores may be about to change.
    """
    repository = git.repository_of(path)
    return repository is not None and _has_changed_lately(join(repository, ".git"))


def _has_changed_lately(path: str) -> bool:
    try:
        return abs(time.time() - os.lstat(path).st_mtime) < withdraw.QUIET
    except OSError:
        return False  # it is gone


def is_of_interest(active_rules: "Sequence[Rule]") -> "Callable[[str], bool]":
    """Give a function that tells of a name whether something depends on it.

    Args:
        active_rules: the rules; locks, what git goes by and the projects' own word count besides.
    """
    import re
    from fnmatch import translate

    from regrow.decide.guards import PROJECT_FILE
    from regrow.recipes import locks, node

    names = {".git", ".gitignore", PROJECT_FILE, *node.LOCKS, *locks.LOCKS}
    for rule in active_rules:
        evidence = (*rule.beside, *rule.beside_all, *rule.inside, *rule.inside_all)
        for name in (*evidence, *rule.inside_none):
            names.update(name.rstrip("/").split("/"))
    matches = re.compile("|".join(translate(name) for name in names if "*" in name)).match
    return lambda name: name in names or matches(name) is not None
