"""The library: the calls are those of regrow-marks."""

import doctest

import pytest

import regrow
import regrow_marks
from regrow.cli import output
from regrow.create import birth  # noqa: F401 - see the first test
from regrow.doctor import itself
from regrow.programs.export import escape
from regrow.records import store
from regrow.service import systemd


@pytest.mark.parametrize("name", ["create", "exclude", "include", "is_excluded"])
def test_the_calls_are_those_of_regrow_marks(name: str) -> None:
    """``regrow.create`` is a package, too, which is imported here."""
    assert getattr(regrow, name) is getattr(regrow_marks, name)


@pytest.mark.parametrize("module", [escape, itself, output, store, systemd])
def test_the_examples_in_docstrings_run(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
