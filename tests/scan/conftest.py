"""What the tests of repeated scans share."""

import tempfile

import pytest

from regrow.scan import incremental, snapshot
from regrow.system import cache, mounts


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of every tree, however small, believed however fresh; see ``settle``."""
    if not mounts.keeps_times(tempfile.gettempdir()):
        pytest.skip("the file system's kind is not known, as in a chroot: nothing is remembered")
    monkeypatch.setattr(incremental, "_KEPT_FROM", 0)
    monkeypatch.setattr(incremental, "_MOSTLY", 0)
    monkeypatch.setattr(snapshot, "FRESH", 0)
    monkeypatch.setattr("regrow.decide.cache.FRESH", 0)
    code = cache.code()  # whoever runs these tests may be at work on it
    monkeypatch.setattr(cache, "running_code", lambda: code)
