"""The watch: looks at what has changed, and at everything once a day."""

import contextlib
import os
import time

from regrow import pipeline
from regrow.decide import withdraw
from regrow.decide.guards import BY_NAME
from regrow.errors import RecordError, WatchError, as_sentence
from regrow.model import (
    EXPLICIT,
    MARKED_ALREADY,
    NO_RECIPE,
    TAKE_BACK,
    Candidate,
    Decision,
    Plan,
    Result,
    Scope,
)
from regrow.records import moves
from regrow.records.format import PENDING, has_rule
from regrow.scan.home import at_home
from regrow.scan.walk import Scan
from regrow.watch import waiting
from regrow.watch.reporter import Reporter
from regrow.watch.waiting import FILLING, LOST, SETTLED, Seen, Waiting
from regrow_marks.directory import ancestors, is_below, join, open_directory, split
from regrow_marks.errors import PathError
from regrow_marks.markers import CACHEDIR_TAG
from regrow_marks.model import ALREADY_MARKED, MARKED, UNMARKED
from regrow_marks.plain import TYPE_CHECKING

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


class Watch:
    """Keeps the start directories marked."""

    def __init__(
        self,
        start: "Sequence[str]",
        configuration: "Configuration",
        active_rules: "Sequence[Rule]",
        store: "Store",
        reporter: Reporter,
        fresh: "Fresh",
        upgrade: "Upgrade",
    ) -> None:
        """Prepare it; ``run`` begins.

        Args:
            start: the start directories, true paths.
            configuration: the user's settings.
            active_rules: the rules.
            store: where the records go.
            reporter: reports what was done, and what is wrong.
            fresh: keeps the exclude files that the configuration names.
            upgrade: notices that another regrow was installed.
        """
        self._start = start
        self._scope = Scope(start, configuration, active_rules)
        self._store = store
        self._reporter = reporter
        self._fresh = fresh
        self._upgrade = upgrade
        self._waiting = Waiting()
        self._absent: list[str] = []
        self._unwatched = 0
        self._next_sweep = self._last_sweep = float("-inf")

    def run(
        self,
        watcher: "Watcher",
        is_ended: "Callable[[], bool]",
        uninterrupted: "Callable[[], AbstractContextManager[None]]" = contextlib.nullcontext,
    ) -> None:
        """Watch until it is ended, or another regrow is to take over.

        Args:
            watcher: reports changes; it has begun, so that none is missed.
            is_ended: called after each wait.
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
                raise  # nobody reads what it reports any more: it ends, as every command does
            except Exception as error:  # noqa: BLE001 - what comes is still to be looked at
                self._reporter.failed_look(as_sentence(error))
                self._sweep_within(waiting.SOON)
                time.sleep(waiting.LOOK)  # it may fail again at once

    def _turn(self, watcher: "Watcher") -> bool:
        """Do what is due, wait, and look at what changed.

        Returns:
            Whether another regrow is to take over.
        """
        if time.monotonic() >= self._next_sweep or self._has_come_back():
            self._sweep()
        self._look_at_waiting()
        self._fresh.look()
        if self._upgrade.look():
            return True
        changes = watcher.wait(self._until_next())
        self._fresh.note(changes)
        if changes.is_overflown:
            self._reporter.complain(OVERFLOW)
            self._sweep_within(max(0.0, self._last_sweep + _BREATH - time.monotonic()))
        elif changes.directories or changes.appeared:
            self._look(changes.directories | changes.appeared)
        return False

    def _until_next(self) -> float:
        """Return the seconds until there is something to do even if nothing changes."""
        due = min(self._next_sweep, self._fresh.due, self._upgrade.due, self._waiting.due)
        seconds = due - time.monotonic()
        return max(0.0, min(seconds, _ABSENT) if self._absent else seconds)

    def _sweep_within(self, seconds: float) -> None:
        self._next_sweep = min(self._next_sweep, time.monotonic() + seconds)

    def _has_come_back(self) -> bool:
        return any(os.path.isdir(path) for path in self._absent)

    def _sweep(self) -> None:
        """Look at everything: at the start, once a day, and after changes were lost."""
        self._next_sweep = time.monotonic() + DAY
        self._watcher.unwatched = 0
        observer = _Observer(self._watcher)
        rules, skip = self._scope.rules, self._scope.configuration.skip
        scan = Scan(self._start, rules, skip, None, observer)
        plan = pipeline.plan(
            self._scope, self._store, scan=lambda: pipeline.survey_of(scan), also=at_home(rules)
        )
        self._reporter.unreadable(plan.unreadable)
        taken_back = self._apply(plan)
        if any(map(waiting.has_changed_lately, self._doubtful(observer, plan))):
            self._sweep_within(waiting.later())
        self._check_watcher()
        self._fresh.expire()
        self._reporter.forget_vanished()
        self._last_sweep = time.monotonic()
        if taken_back:
            self._look(taken_back)  # as long as they were marked, nobody looked inside

    def _look(self, changed: "Iterable[str]" = (), again: "Iterable[str]" = ()) -> set[str]:
        """Look at directories that have changed and all below them, and at single others again.

        Args:
            changed: the paths of the directories that have changed.
            again: the paths of earlier candidates.

        Returns:
            The paths of the candidates found.
        """
        changed, again = set(changed), set(again)
        route = {*changed, *again}.union(*map(ancestors, changed | again))
        observer = _Observer(self._watcher, changed)

        def visits(parent: str, name: str, _: bool) -> bool:
            return parent in observer.new or join(parent, name) in route

        start = [path for path in self._start if path in route]
        rules, skip = self._scope.rules, self._scope.configuration.skip
        scan = Scan(start, rules, skip, visits, observer)
        at_homes = at_home(rules)
        plan = pipeline.plan(
            self._scope,
            self._store,
            scan=lambda: pipeline.survey_of(scan)._replace(is_whole=False),
            also=[candidate for candidate in at_homes if candidate.path in again],
        )
        taken_back = self._apply(plan)
        containers = [candidate.path for candidate in at_homes if candidate.rule.container]
        if self._doubtful(observer, plan) or any(
            is_below(path, container) for container in containers for path in changed
        ):
            self._sweep_within(waiting.later())  # it takes back what is still so
        self._check_watcher()
        if taken_back:
            self._look(taken_back)
        return _paths(plan)

    def _check_watcher(self) -> None:
        """Find out which directories can't be watched, and report it once."""
        self._absent = [path for path in self._start if not os.path.isdir(path)]
        unwatched = self._watcher.unwatched
        if unwatched:
            self._sweep_within(waiting.SOON)
        if unwatched and not self._unwatched:
            self._reporter.complain(LIMIT.format(unwatched))
        self._unwatched = unwatched

    def _doubtful(self, observer: "_Observer", plan: Plan) -> list[str]:
        """Return what regrow marked by a rule, and no rule recognised this time."""
        return [path for path in observer.unentered - _paths(plan) if self._is_marked_by_rule(path)]

    def _is_marked_by_rule(self, path: str) -> bool:
        try:
            data = self._store.data(path)
        except RecordError:
            return False  # `regrow list` reports it
        return data is not None and not has_rule(data, EXPLICIT)

    def _apply(self, plan: Plan) -> list[str]:
        """Act on each decision; what is still being filled is marked now and completed later.

        Returns:
            The paths of what was taken back and no rule recognises: all in it is to be looked at.
        """
        with self._uninterrupted():
            try:
                list(pipeline.apply(Plan((), plan.moved), self._store))
            except RecordError as error:
                self._reporter.complain(str(error))
        results = [self._act(decision) for decision in plan.decisions]
        return [
            one.decision.candidate.path
            for one in results
            if one and one.outcome == UNMARKED and one.decision.guard not in BY_NAME
        ]

    def _act(self, decision: Decision) -> Result | None:
        """Apply a decision if its candidate is settled; else begin, and look again later."""
        candidate = decision.candidate
        if waiting.is_to_be_marked(decision) and not candidate.rule.container:
            self._watcher.leave(candidate.path)
        seen = self._waiting.look(candidate)
        state = waiting.state_of(decision, seen)
        result = None
        if state == SETTLED:
            was_waiting = self._waiting.drop(candidate.path)
            result = self._carry_out(decision, was_begun=was_waiting)
            state = waiting.state_after(result, was_waiting=was_waiting)
        elif self._is_to_begin(decision, state):
            with self._uninterrupted():
                configuration = self._scope.configuration
                self._reporter.result(pipeline.begin(decision, self._store, configuration))
        self._wait(seen, state)
        return result

    def _is_to_begin(self, decision: Decision, state: str) -> bool:
        """Return whether a candidate is recorded and marked before it is settled."""
        if state == FILLING and decision.candidate.rule.container:
            return False
        if state == FILLING and decision.decision != MARKED_ALREADY:
            return True
        return self._has_moved_here(decision.candidate)

    def _has_moved_here(self, candidate: Candidate) -> bool:
        """Return whether regrow recorded the directory when it was at another path."""
        try:
            with open_directory(candidate.path) as directory:
                return moves.standing(directory, self._store).is_moved
        except PathError:
            return False  # the next look finds out

    def _carry_out(self, decision: Decision, *, was_begun: bool = False) -> Result:
        with self._uninterrupted():
            (result,) = pipeline.apply(Plan([decision]), self._store)
            # That it was marked was reported when it was begun; what it lacks was not.
            if result.notes or not (was_begun and _adds_tag_only(result)):
                self._reporter.result(result)
        return result

    def _wait(self, seen: Seen, state: str) -> None:
        """Look again as the state asks for. All in a container decides about it: it is swept."""
        if not seen.candidate.rule.container:
            self._waiting.put(seen, state)
            return
        seconds = waiting.until_next_look(state)
        if seconds is not None:
            self._sweep_within(max(seconds, waiting.later()))

    def _look_at_waiting(self) -> None:
        """Look again at the candidates whose time has come."""
        settled = {}
        for seen in self._waiting.look_at_due():
            state = waiting.state_when_due(seen)
            self._wait(seen, state)
            if state == SETTLED:
                settled[seen.candidate.path] = seen.candidate
            elif state == LOST:
                self._withdraw(seen.candidate)
        if not settled:
            return
        found = self._look(again=settled)
        for path in settled.keys() - found:
            if not waiting.is_gone(settled[path]):  # else the next look withdraws it
                self._waiting.drop(path)
                self._give_up(settled[path], found)

    def _withdraw(self, candidate: Candidate) -> None:
        """Remove the record of what vanished before a recipe could be taken."""
        with self._uninterrupted(), self._store.locked():
            try:
                record = self._store.read(candidate.path)
                is_void = record is not None and record.recipe == NO_RECIPE
                if record is not None and is_void and record.inode == candidate.inode:
                    self._store.remove(candidate.path)
            except RecordError:
                return  # `regrow list` reports it

    def _give_up(self, candidate: Candidate, found: "Iterable[str]") -> None:
        """Take back what was begun inside another candidate, where no later scan comes.

        The outer directory's record covers both.
        """
        outer = next((path for path in found if is_below(candidate.path, path)), "")
        if outer and self._is_pending(candidate.path):
            reason = f"it is inside {outer}, which is decided about as a whole"
            self._carry_out(Decision(candidate, TAKE_BACK, withdraw.NO_RULE, reason))

    def _is_pending(self, path: str) -> bool:
        try:
            record = self._store.read(path)
        except RecordError:
            return False  # `regrow list` reports it
        return record is not None and record.state == PENDING


class _Observer:
    """Makes the watcher watch what a scan enters."""

    def __init__(self, watcher: "Watcher", changed: "Iterable[str]" = ()) -> None:
        self._watcher = watcher
        self.new = set(changed)
        """What has changed, all below it, and what was not watched before."""
        self.unentered: set[str] = set()
        """What carries an exclusion, and candidates that are not decided about for good."""

    def enter(self, fd: int, path: str) -> None:
        if split(path)[0] in self.new or path not in self._watcher.watched:
            self.new.add(path)
        self._watcher.enter(fd, path)

    def stay(self, path: str) -> None:
        self.unentered.add(path)
        self._watcher.stay(path)

    def leave(self, path: str) -> None:
        self._watcher.leave(path)


def _paths(plan: Plan) -> set[str]:
    return {decision.candidate.path for decision in plan.decisions}


def _adds_tag_only(result: Result) -> bool:
    states = {name: outcome.state for name, outcome in result.outcomes.items()}
    return states.pop(CACHEDIR_TAG, "") == MARKED and set(states.values()) == {ALREADY_MARKED}
