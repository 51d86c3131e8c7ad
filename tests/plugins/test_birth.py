import logging

import pytest

from regrow.errors import RecordError
from regrow.plugins.birth import attempt


def failing(error: BaseException) -> None:
    raise error


def test_a_step_that_succeeds_gives_its_result() -> None:
    assert attempt(lambda: 1) == 1


@pytest.mark.parametrize("error", [RecordError("no record"), OSError("no record")])
def test_an_error_is_logged_in_a_line_and_goes_no_further(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    attempt(lambda: failing(error))
    (line,) = caplog.records
    assert (line.levelno, line.getMessage()) == (logging.WARNING, "regrow: no record")
    assert line.exc_info is None


def test_a_mistake_of_regrows_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    attempt(lambda: failing(ValueError("a mistake")))
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "ValueError: a mistake" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_passes_through(error: BaseException) -> None:
    with pytest.raises(type(error)):
        attempt(lambda: failing(error))


def test_what_is_logged_controls_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RecordError("/a\x9b31m\nb: it is missing")

    attempt(fail)
    (line,) = caplog.records
    assert line.getMessage() == r"regrow: /a\x9b31m\nb: it is missing"
