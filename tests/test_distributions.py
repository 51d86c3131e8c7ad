"""The two distributions: what is built of each, and what each asks for."""

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

import regrow
import regrow_marks

ROOT = Path(__file__).parent.parent
VERSION = regrow.__version__


class Built(NamedTuple):
    wheel: set[str]
    source: set[str]
    """What is in the source distribution, below its top directory."""
    metadata: Message


def build(project: Path, place: Path, name: str) -> Built:
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(place)]
    subprocess.run(words, cwd=project, check=True, capture_output=True)
    with zipfile.ZipFile(place / f"{name}-{VERSION}-py3-none-any.whl") as wheel:
        metadata = wheel.read(f"{name}-{VERSION}.dist-info/METADATA").decode()
        inside = set(wheel.namelist())
    with tarfile.open(place / f"{name}-{VERSION}.tar.gz") as source:
        below = {member.partition("/")[2] for member in source.getnames()}
    return Built(inside, below, message_from_string(metadata))


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT / "marks", tmp_path_factory.mktemp("marks"), "regrow_marks")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("regrow"), "regrow")


def test_regrow_marks_is_its_package_its_licence_and_its_tests(marks: Built) -> None:
    assert {name.partition("/")[0] for name in marks.wheel} == {
        "regrow_marks",
        f"regrow_marks-{VERSION}.dist-info",
    }
    assert f"regrow_marks-{VERSION}.dist-info/licenses/LICENSE" in marks.wheel
    assert "regrow_marks/py.typed" in marks.wheel
    assert {"LICENSE", "README.md", "tests/test_calls.py"} <= marks.source


def test_regrow_marks_requires_python_3_8_and_nothing_else(marks: Built) -> None:
    assert marks.metadata["Requires-Python"] == ">=3.8"
    assert marks.metadata.get_all("Requires-Dist") is None


def test_regrow_brings_its_licence_and_no_part_of_regrow_marks(whole: Built) -> None:
    assert f"regrow-{VERSION}.dist-info/licenses/LICENSE" in whole.wheel
    assert {"regrow/py.typed", "regrow/rules/python.toml"} <= whole.wheel
    assert {"LICENSE", "README.md", "docs/library.md"} <= whole.source
    assert not [name for name in whole.wheel | whole.source if "marks/" in name]


def test_regrow_requires_the_regrow_marks_of_its_own_version(whole: Built) -> None:
    assert regrow_marks.__version__ == VERSION
    assert f"regrow-marks=={VERSION}" in whole.metadata.get_all("Requires-Dist", [])


def test_both_have_one_licence() -> None:
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "marks/LICENSE").read_bytes()
