"""A directory is taken, replaced or made; a failure leaves all as it was."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow import config, marking
from regrow.create import aside
from regrow.create.claim import Caller, claim, parent_of, prepared
from regrow.marking import Reason
from regrow.records.format import PENDING
from regrow.records.store import Store
from regrow.system import aside_names
from regrow_marks.directory import Directory, open_directory
from regrow_marks.errors import PathError
from tests import attributes
from tests.attributes import is_marked
from tests.plugins.making import record_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")

REASON = Reason("venv", ("pyvenv.cfg",))


class ToolFailedError(Exception):
    """What a tool's failure is to the block that runs it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project/.venv"


def run(
    path: Path,
    tool: Callable[[], object],
    prefix: str | None = aside_names.REBUILT,
    check: Callable[[Directory], None] = lambda _: None,
) -> list[str]:
    """Run a tool in a claimed directory, and return what the user should read."""
    said: list[str] = []
    with Store() as store, parent_of(str(path.parent)) as parent:
        caller = Caller(store, config.read(), said.append)
        with claim(parent, path.name, REASON, caller, prefix=prefix, check=check):
            assert is_marked(path)
            record = store.read(str(path))
            assert record is not None
            assert record.state == PENDING
            tool()
    return said


def fail() -> None:
    raise ToolFailedError


def run_and_fail(path: Path, tool: Callable[[], object], prefix: str | None) -> None:
    def tool_that_fails() -> None:
        tool()
        fail()

    with pytest.raises(ToolFailedError):
        run(path, tool_that_fails, prefix)


@pytest.mark.parametrize("prefix", [None, aside_names.REBUILT])
def test_a_new_directory_and_its_missing_parents_go_if_the_tool_fails(
    path: Path, prefix: str | None
) -> None:
    new = path.parent / "missing/deeper/.venv"
    run_and_fail(new, lambda: (new / "bin").mkdir(), prefix)
    assert os.listdir(path.parent) == []
    assert record_of(new) is None


def test_parents_that_somebody_uses_by_now_stay(path: Path) -> None:
    new = path.parent / "missing/.venv"
    run_and_fail(new, lambda: (new.parent / "note").touch(), None)
    assert os.listdir(path.parent / "missing") == ["note"]


@pytest.mark.parametrize("prefix", [None, aside_names.REBUILT])
def test_an_empty_directory_is_taken_and_left_empty_without_a_trace(
    path: Path, prefix: str | None
) -> None:
    path.mkdir()
    inode = path.stat().st_ino
    run_and_fail(path, lambda: (path / "bin").mkdir(), prefix)
    assert (os.listdir(path), attributes.names(path)) == ([], [])
    assert path.stat().st_ino == inode
    assert record_of(path) is None


def test_what_stands_there_is_moved_aside_and_comes_back(path: Path) -> None:
    path.mkdir()
    (path / "old").touch()

    def look() -> None:
        assert os.listdir(path) == []
        assert len(aside.beside(str(path))) == 1

    run_and_fail(path, look, aside_names.REBUILT)
    assert os.listdir(path) == ["old"]
    assert os.listdir(path.parent) == [".venv"]
    assert record_of(path) is None
    run(path, lambda: (path / "new").touch())
    assert os.listdir(path) == ["new"]
    [old] = aside.beside(str(path))
    assert os.listdir(old) == ["old"]


def test_without_a_prefix_what_stands_there_is_filled_as_it_is(path: Path) -> None:
    path.mkdir()
    (path / "old").touch()
    run_and_fail(path, lambda: (path / "new").touch(), None)
    assert sorted(os.listdir(path)) == ["new", "old"]
    assert record_of(path) is None


def test_what_is_refused_is_not_touched(path: Path) -> None:
    path.mkdir()
    (path / "old").touch()

    def refuse(directory: Directory) -> None:
        raise PathError(f"{directory.path}: refused")

    with pytest.raises(PathError, match="refused"):
        run(path, fail, check=refuse)
    assert (os.listdir(path), attributes.names(path)) == (["old"], [])
    assert record_of(path) is None


def test_two_runs_do_not_claim_one_directory(path: Path) -> None:
    with pytest.raises(PathError, match="another"):
        run(path, lambda: run(path, fail))
    assert os.listdir(path.parent) == []


def test_what_is_prepared_in_vain_leaves_no_trace(path: Path) -> None:
    def prepare(accepts: bool) -> bool:
        with prepared(str(path), REASON, config.read(), accepts=lambda _: accepts) as claimed:
            assert is_marked(path) == (claimed is not None)
            return claimed is not None

    assert prepare(accepts=False)  # nothing stood there
    assert os.listdir(path.parent) == []
    path.mkdir()
    assert not prepare(accepts=False)
    assert prepare(accepts=True)
    assert attributes.names(path) == []
    assert record_of(path) is None


def test_what_a_tool_makes_in_place_of_a_prepared_directory_keeps_its_record(path: Path) -> None:
    path.mkdir()
    configuration = config.read()
    with prepared(str(path), REASON, configuration, accepts=lambda _: True):
        path.rmdir()
        path.mkdir()
        with Store() as store, open_directory(str(path)) as directory:
            chosen = marking.choose_markers(directory, configuration)
            marking.mark(directory, chosen, store, REASON)
    assert is_marked(path)
    assert record_of(path) is not None


def test_a_directory_that_can_not_be_removed_hides_no_failure_of_its_tool(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    with monkeypatch.context() as patch:
        run_and_fail(path, lambda: patch.setattr(os, "rmdir", refuse), None)
    assert is_marked(path)
    record = record_of(path)
    assert record is not None
    assert record.state == PENDING
