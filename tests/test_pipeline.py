"""plan() looks and changes nothing; apply() does what it says, one directory at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow import marking, pipeline
from regrow.config import Configuration
from regrow.model import KEEP, MARK, TAKE_BACK, Scope
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.walk import Scan
from regrow_marks.model import FAILED, MARKED
from tests.hostile.helpers import LINUX_ONLY
from tests.sweeping import age, attribute, modules, stamps

pytestmark = [LINUX_ONLY, pytest.mark.needs("git")]


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store() as opened:
        yield opened


@pytest.fixture
def code(home: Path) -> Path:
    return home.resolve() / "code"


def scope(place: Path) -> Scope:
    return Scope([str(place)], Configuration(), loader.shipped())


def words(plan: Any) -> dict[str, str]:
    return {one.candidate.path: one.decision for one in plan.decisions}


def test_a_plan_changes_nothing(code: Path, store: Store) -> None:
    path = modules(code / "shop")
    before = stamps(code, Path(store.path))
    assert words(pipeline.plan(scope(code), store)) == {str(path): MARK}
    assert stamps(code, Path(store.path)) == before


def test_what_a_plan_says_is_done_and_then_there_is_nothing_to_do(code: Path, store: Store) -> None:
    path = modules(code / "shop")
    (result,) = pipeline.apply(pipeline.plan(scope(code), store), store)
    assert (result.outcome, attribute(path)) == (MARKED, b"false")
    assert store.read(str(path)) is not None
    assert words(pipeline.plan(scope(code), store)) == {str(path): "marked already"}


def test_each_result_comes_before_the_next_directory_is_touched(code: Path, store: Store) -> None:
    first, second = modules(code / "a"), modules(code / "b")
    results = pipeline.apply(pipeline.plan(scope(code), store), store)
    assert next(results).decision.candidate.path == str(first)
    assert (attribute(first), attribute(second)) == (b"false", None)


def test_marks_are_taken_back_only_where_records_are_given(code: Path, store: Store) -> None:
    path = modules(code / "shop")
    list(pipeline.apply(pipeline.plan(scope(code), store), store))
    (code / "shop/package-lock.json").unlink()
    age(path)
    assert words(pipeline.plan(scope(code), store)) == {str(path): TAKE_BACK}
    assert words(pipeline.plan(scope(code), None)) == {str(path): KEEP}


def test_what_a_partial_scan_does_not_reach_stays_marked(code: Path, store: Store) -> None:
    path = modules(code / "shop")
    list(pipeline.apply(pipeline.plan(scope(code), store), store))
    (code / "shop/package.json").unlink()
    age(path)

    def look(is_whole: bool) -> dict[str, str]:
        scan = Scan([str(code)], loader.shipped(), visits=lambda *_: is_whole)
        survey = pipeline.survey_of(scan)._replace(is_whole=is_whole)
        return words(pipeline.plan(scope(code), store, scan=lambda: survey))

    assert look(is_whole=True) == {str(path): TAKE_BACK}
    assert look(is_whole=False) == {}


def test_a_failure_on_one_directory_does_not_stop_the_rest(
    code: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = modules(code / "a"), modules(code / "b")
    mark = marking.mark

    def fail_once(directory: Any, *rest: Any) -> Any:
        if directory.path == str(first):
            raise OSError(28, "No space left on device")
        return mark(directory, *rest)

    monkeypatch.setattr(pipeline, "mark", fail_once)
    results = list(pipeline.apply(pipeline.plan(scope(code), store), store))
    assert [result.outcome for result in results] == [FAILED, MARKED]
    assert str(first) in results[0].error
    assert attribute(second) == b"false"


def test_what_is_still_being_filled_gets_attributes_alone(code: Path, store: Store) -> None:
    path = modules(code / "shop")
    (decision,) = pipeline.plan(scope(code), store).decisions
    result = pipeline.begin(decision, store, Configuration())
    assert (result.outcome, attribute(path)) == (MARKED, b"false")
    assert not (path / "CACHEDIR.TAG").exists()
    record = store.read(str(path))
    assert record is not None
    assert record.state == "pending"
