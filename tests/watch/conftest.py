"""Fixtures for the watcher's tests."""

from pathlib import Path

import pytest

from tests.watch.watching import hurry


@pytest.fixture
def code(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty start directory, in a process that waits for seconds only."""
    hurry(monkeypatch)
    place = home / "code"
    place.mkdir()
    return place
