"""What the tests of repeated scans share."""

import pytest

from regrow.scan import incremental, snapshot
from regrow.system import cache


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of every tree, however small, believed however fresh; see ``settle``."""
    monkeypatch.setattr(incremental, "_KEPT_FROM", 0)
    monkeypatch.setattr(incremental, "_MOSTLY", 0)
    monkeypatch.setattr(snapshot, "FRESH", 0)
    monkeypatch.setattr("regrow.decide.cache.FRESH", 0)
    code = cache.code()  # whoever runs these tests may be at work on it
    monkeypatch.setattr(cache, "running_code", lambda: code)
