"""The candidates that a watch looks at again although no change is reported.

Nothing inside a candidate is watched. One that is not finished has a state:

=========  ===============================================  ============================  ==========
state      when                                             what the watch does           next look
=========  ===============================================  ============================  ==========
FILLING    it changed less than 3 s ago                     marks it, without a recipe    in 1 s
LACKING    its recipe can't be taken, and it changed less   follows it, if it was moved   in 1 min
           than a minute ago                                here
SETTLED    it has been quiet for so long, or nothing is to  applies the decision          in 1 s
           be marked
FAILED     the decision could not be applied                                              in 10 min
VANISHED   it vanished while the decision was applied                                     in 1 s
AT_WORK    git is at work in its repository                                               in 1 min
GONE       it is not there, for less than a minute: it may                                in 1 min
           have been moved, and its record follow it
LOST       it has been gone for longer                      withdraws an empty record     never
DONE       nothing is left to do                                                          never
=========  ===============================================  ============================  ==========
"""

import os
import time

from regrow.decide import withdraw
from regrow.decide.guards import LACKS_RECIPE
from regrow.model import KEEP, TAKE_BACK, VANISHED
from regrow.system import git
from regrow_marks.directory import join
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from regrow.model import Candidate, Decision, Result

# All in seconds.
QUIET = 3.0  # without a change, after which a directory counts as filled
LOOK = 1.0  # between two looks at one that is being filled
SOON = 10 * 60.0  # until another try

FILLING = "filling"
LACKING = "lacking a recipe"
SETTLED = "settled"
AT_WORK = "git is at work"
GONE = "gone"
LOST = "lost"
DONE = "done"


class Seen(NamedTuple):
    """A candidate, and when it was changed last."""

    candidate: "Candidate"
    changed: float | None
    """In seconds since 1970, by whatever clock: only compared for equality. None: it is gone."""
    since: float
    """Since when it has been quiet, as ``time.monotonic`` counts."""
    due: float
    """When to look again, likewise."""

    def is_quiet(self, seconds: float) -> bool:
        """Return whether it has been quiet for so long."""
        return time.monotonic() - self.since >= seconds


class Waiting:
    """The candidates that are waiting for another look, by path."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: dict[str, Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def due(self) -> float:
        """When the next look is due, as ``time.monotonic`` counts."""
        return min((seen.due for seen in self._seen.values()), default=float("inf"))

    def look(self, candidate: "Candidate") -> Seen:
        """Return when a candidate was changed last. To vanish is a change, too."""
        now = time.monotonic()
        changed = None if is_gone(candidate) else withdraw.last_change(candidate)
        known = self._seen.get(candidate.path)
        if known and (known.candidate.inode, known.changed) == (candidate.inode, changed):
            return known
        # A time in the future is of no use: it is quiet from now on, until it changes again.
        age = max(0.0, time.time() - changed) if changed is not None else 0.0
        return Seen(candidate, changed, now - age, now)

    def look_at_due(self) -> list[Seen]:
        """Return what another look at each candidate that is due shows."""
        now = time.monotonic()
        due = [seen.candidate for seen in self._seen.values() if seen.due <= now]
        return [self.look(candidate) for candidate in due]

    def put(self, seen: Seen, state: str) -> None:
        """Keep a candidate until its state wants the next look; drop it if the state wants none."""
        seconds = until_next_look(state)
        if seconds is None:
            self.drop(seen.candidate.path)
        else:
            due = time.monotonic() + seconds
            self._seen[seen.candidate.path] = seen._replace(due=due)

    def drop(self, path: str) -> bool:
        """Drop a candidate; return whether it was waiting."""
        return self._seen.pop(path, None) is not None


def until_next_look(state: str) -> float | None:
    """Return the seconds until a candidate in a state is looked at again; None: it is not."""
    seconds: dict[str, float | None] = {
        FILLING: LOOK,
        LACKING: later(),
        SETTLED: LOOK,
        FAILED: SOON,
        VANISHED: LOOK,
        AT_WORK: later(),
        GONE: later(),
        LOST: None,
        DONE: None,
    }
    return seconds[state]


def later() -> float:
    """Return the seconds after which what is quiet now counts as settled for good."""
    return withdraw.QUIET + LOOK


def is_to_be_marked(decision: "Decision") -> bool:
    """Return whether a candidate is marked, or will be as soon as it has a recipe."""
    return _lacks_recipe(decision) or decision.decision not in (KEEP, TAKE_BACK)


def _lacks_recipe(decision: "Decision") -> bool:
    return (decision.decision, decision.guard) == (KEEP, LACKS_RECIPE)


def state_of(decision: "Decision", seen: Seen) -> str:
    """Return the state of a candidate that was decided about: SETTLED, FILLING or LACKING."""
    if is_to_be_marked(decision) and not seen.is_quiet(QUIET):
        return FILLING
    if _lacks_recipe(decision) and not seen.is_quiet(withdraw.QUIET):
        return LACKING
    return SETTLED


def state_after(result: "Result", *, was_waiting: bool) -> str:
    """Return the state of a candidate whose decision was applied.

    Args:
        result: what became of it.
        was_waiting: whether it has waited, so that it may have a record without a recipe.
    """
    if result.outcome == FAILED:
        return FAILED
    if result.outcome == VANISHED and was_waiting:
        return VANISHED
    return AT_WORK if is_git_at_work(result.decision.candidate.path) else DONE


def state_when_due(seen: Seen) -> str:
    """Return the state of a candidate that has waited: FILLING, SETTLED, GONE or LOST."""
    if not seen.is_quiet(QUIET):
        return FILLING
    if not is_gone(seen.candidate):
        return SETTLED
    return LOST if seen.is_quiet(withdraw.QUIET) else GONE


def is_gone(candidate: "Candidate") -> bool:
    """Return whether a directory is no longer where it was; False if nobody knows."""
    try:
        status = os.lstat(candidate.path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return (status.st_dev, status.st_ino) != (candidate.device, candidate.inode)


def is_git_at_work(path: str) -> bool:
    """Return whether git has just done something in a directory's repository, such as cloning it.

    What git tracks may not be known to it yet, and the names that it ignores may be about to
    change.
    """
    repository = git.repository_of(path)
    return repository is not None and has_changed_lately(join(repository, ".git"))


def has_changed_lately(path: str) -> bool:
    """Return whether a path was changed less than a minute ago."""
    try:
        return abs(time.time() - os.lstat(path).st_mtime) < withdraw.QUIET
    except OSError:
        return False  # it is gone
