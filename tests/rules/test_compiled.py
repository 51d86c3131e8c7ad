"""The compiled rules are a cache: whatever happens to them costs time and nothing else."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow import cache, rules
from regrow.model import Rule
from regrow.rules import compiled

PLACE = os.path.dirname(rules.__file__)
NAMES = sorted(name for name in os.listdir(PLACE) if name.endswith(".toml"))


@pytest.fixture
def read() -> tuple[Rule, ...]:
    """The rules as they stand in the files."""
    return rules._read(PLACE, NAMES)


@pytest.fixture
def file() -> Iterator[Path]:
    """Where they are kept, after they were read once."""
    rules.shipped.cache_clear()
    rules.shipped()
    yield Path(cache.directory()) / "rules"
    rules.shipped.cache_clear()


def again() -> tuple[Rule, ...]:
    rules.shipped.cache_clear()
    return rules.shipped()


def test_what_was_compiled_is_what_was_read(file: Path, read: tuple[Rule, ...]) -> None:
    assert compiled.load(compiled.key(PLACE, NAMES)) == read
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["rules"]


def test_compiled_rules_are_used(file: Path, read: tuple[Rule, ...]) -> None:
    compiled.save(compiled.key(PLACE, NAMES), read[:3])
    assert again() == read[:3]


def test_changed_files_are_noticed(file: Path, read: tuple[Rule, ...], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("x")
    before = compiled.key(str(tmp_path), ["mine.toml"])
    compiled.save(before, read)
    assert compiled.load(before) == read
    os.utime(tmp_path / "mine.toml", ns=(0, 0))
    touched = compiled.key(str(tmp_path), ["mine.toml"])
    assert compiled.load(touched) is None
    (tmp_path / "mine.toml").write_text("longer")
    os.utime(tmp_path / "mine.toml", ns=(0, 0))
    assert compiled.key(str(tmp_path), ["mine.toml"]) != touched


@pytest.mark.parametrize("length", [0, 1, 16, 17, 100, -1])
def test_a_truncated_file_is_read_again(length: int, file: Path, read: tuple[Rule, ...]) -> None:
    file.write_bytes(file.read_bytes()[:length])
    assert again() == read
    assert compiled.load(compiled.key(PLACE, NAMES)) == read


@pytest.mark.parametrize("place", [0, 15, 16, 40, 5000, -1])
def test_a_damaged_file_is_read_again(place: int, file: Path, read: tuple[Rule, ...]) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0x55
    file.write_bytes(data)
    assert again() == read


def test_a_file_that_others_may_write_to_is_not_trusted(file: Path) -> None:
    file.chmod(0o620)
    assert compiled.load(compiled.key(PLACE, NAMES)) is None


def test_a_link_is_not_followed(file: Path, tmp_path: Path, read: tuple[Rule, ...]) -> None:
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert compiled.load(compiled.key(PLACE, NAMES)) is None
    assert again() == read


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(
    file: Path, read: tuple[Rule, ...]
) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("no directory")
    assert again() == read
