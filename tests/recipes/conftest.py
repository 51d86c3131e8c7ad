"""What the tests of recipes share."""

from pathlib import Path

import pytest

from tests.recipes.environment import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "project/.venv")
