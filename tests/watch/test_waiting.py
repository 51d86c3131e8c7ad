"""The state of a candidate that a watch looks at again, and when it does."""

import os
import time
from pathlib import Path

import pytest

from regrow.decide import withdraw
from regrow.decide.guards import LACKS_RECIPE
from regrow.model import (
    KEEP,
    MARK,
    MARKED_ALREADY,
    TAKE_BACK,
    VANISHED,
    Candidate,
    Decision,
    Result,
)
from regrow.rules import loader
from regrow.watch import waiting
from regrow.watch.waiting import (
    AT_WORK,
    DONE,
    FILLING,
    GONE,
    LACKING,
    LOST,
    SETTLED,
    Seen,
    Waiting,
)
from regrow_marks.model import FAILED, MARKED

RULE = next(rule for rule in loader.shipped() if rule.name == "node-modules")
FULL = waiting.QUIET + 1  # seconds of quiet
LONG = withdraw.QUIET + 1


def candidate(path: Path) -> Candidate:
    path.mkdir(exist_ok=True)
    status = path.stat()
    return Candidate(str(path), RULE, str(path.parent), (), False, status.st_dev, status.st_ino)


def seen(path: Path, quiet: float) -> Seen:
    now = time.monotonic()
    return Seen(candidate(path), 0.0, now - quiet, now)


@pytest.mark.parametrize(
    ("decided", "guard", "quiet", "state"),
    [
        (MARK, "", 0, FILLING),
        (MARKED_ALREADY, "", 0, FILLING),
        (MARK, "", FULL, SETTLED),
        (KEEP, LACKS_RECIPE, 0, FILLING),
        (KEEP, LACKS_RECIPE, FULL, LACKING),
        (KEEP, LACKS_RECIPE, LONG, SETTLED),
        (KEEP, "tracked", 0, SETTLED),
        (TAKE_BACK, "", 0, SETTLED),
    ],
)
def test_what_was_decided_about_is_settled_when_it_has_been_quiet(
    tmp_path: Path, decided: str, guard: str, quiet: float, state: str
) -> None:
    one = seen(tmp_path / "node_modules", quiet)
    assert waiting.state_of(Decision(one.candidate, decided, guard), one) == state


@pytest.mark.parametrize(
    ("is_there", "quiet", "state"),
    [(True, 0, FILLING), (True, FULL, SETTLED), (False, FULL, GONE), (False, LONG, LOST)],
)
def test_what_is_gone_is_lost_when_it_does_not_come_back(
    tmp_path: Path, is_there: bool, quiet: float, state: str
) -> None:
    one = seen(tmp_path / "node_modules", quiet)
    if not is_there:
        os.rmdir(one.candidate.path)
    assert waiting.state_when_due(one) == state


@pytest.mark.parametrize(
    ("outcome", "was_waiting", "state"),
    [
        (MARKED, True, DONE),
        (FAILED, True, FAILED),
        (VANISHED, True, VANISHED),
        (VANISHED, False, DONE),
    ],
)
def test_what_was_not_done_is_looked_at_again(
    tmp_path: Path, outcome: str, was_waiting: bool, state: str
) -> None:
    decision = Decision(candidate(tmp_path / "node_modules"), MARK)
    assert waiting.state_after(Result(decision, outcome), was_waiting=was_waiting) == state


def test_where_git_was_at_work_all_is_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    decision = Decision(candidate(tmp_path / "node_modules"), MARK)
    assert waiting.state_after(Result(decision, MARKED), was_waiting=False) == AT_WORK
    os.utime(tmp_path / ".git", (0, 0))
    assert waiting.state_after(Result(decision, MARKED), was_waiting=False) == DONE


def test_a_candidate_waits_until_its_state_wants_nothing(tmp_path: Path) -> None:
    one = seen(tmp_path / "node_modules", 0)
    queue = Waiting()
    assert queue.due == float("inf")
    queue.put(one, FILLING)
    assert queue.due == pytest.approx(time.monotonic() + waiting.LOOK, abs=0.5)
    assert queue.look_at_due() == []
    queue.put(one, FAILED)
    assert queue.due == pytest.approx(time.monotonic() + waiting.SOON, abs=0.5)
    queue.put(one, LOST)
    assert len(queue) == 0
    assert not queue.drop(one.candidate.path)
