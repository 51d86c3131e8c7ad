"""What the tests of regrow-marks share. They run on every Python from 3.8 on: `make test-marks`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing, or fail it with REGROW_REQUIRE_TOOLS=1."""
    needed = [command for marker in item.iter_markers("needs") for command in marker.args]
    missing = [command for command in needed if shutil.which(command) is None]
    if missing:
        message = f"needs {', '.join(missing)}: not on PATH"
        if os.environ.get("REGROW_REQUIRE_TOOLS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory of the test's own."""
    place = tmp_path_factory.mktemp("homes") / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    return place
