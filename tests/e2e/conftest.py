"""Where tests make projects with the tools of ``tools.py``, each installed once for all."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.projects import Tools


@pytest.fixture(scope="session")
def tools() -> Iterator[Tools]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-tools-") as place:
        yield Tools(Path(place))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "demo"
    place.mkdir()
    yield place
    shutil.rmtree(place)  # pytest keeps its directories, and node_modules are large
