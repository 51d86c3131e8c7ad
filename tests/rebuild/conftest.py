from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.rebuilding import Doubles, install_doubles
from tests.sweeping import Inside


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return install_doubles(tmp_path, monkeypatch)


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()
