from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.rebuilding import Doubles, install_doubles
from tests.sweeping import Inside


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


@pytest.fixture
def place(tmp_path: Path, doubles: Doubles) -> Path:
    """Where projects are rebuilt, beside what nobody may touch."""
    made = tmp_path / "place"
    made.mkdir()
    (made / "thesis.txt").write_text("years of work")
    return made


@pytest.fixture
def inside() -> Regrow:
    """Runs regrow in this process, for those who run it often."""
    return Inside()
