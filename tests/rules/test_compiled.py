"""The compiled rules are a cache: whatever happens to them costs time and nothing else."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow.model import Rule
from regrow.rules import compiled, loader
from regrow.system import directories

PLACE = os.path.dirname(loader.__file__)
NAMES = sorted(name for name in os.listdir(PLACE) if name.endswith(".toml"))


@pytest.fixture
def read() -> tuple[Rule, ...]:
    """The rules as they stand in the files."""
    return loader._read(PLACE, NAMES)


@pytest.fixture
def file() -> Iterator[Path]:
    """Where they are kept, after they were read once."""
    loader.shipped.cache_clear()
    loader.shipped()
    yield Path(directories.caches()) / "rules"
    loader.shipped.cache_clear()


def again() -> tuple[Rule, ...]:
    loader.shipped.cache_clear()
    return loader.shipped()


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


def test_what_another_version_compiled_is_read_again(
    file: Path, read: tuple[Rule, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled.save(compiled.key(PLACE, NAMES), read[:3])
    monkeypatch.setattr(compiled, "__version__", "0.0.1")
    assert compiled.load(compiled.key(PLACE, NAMES)) is None
    assert again() == read


def test_rules_that_were_compiled_with_other_fields_are_read_again(
    file: Path, read: tuple[Rule, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rule, "_fields", Rule._fields[:-1])
    former = compiled.key(PLACE, NAMES)
    monkeypatch.undo()
    compiled.save(former, read[:3])
    assert compiled.load(former) == read[:3]
    assert again() == read


def test_the_next_process_uses_the_rules_as_they_are_then(tmp_path: Path) -> None:
    package = Path(loader.__file__).parent.parent
    shutil.copytree(package, tmp_path / "regrow", ignore=shutil.ignore_patterns("__pycache__"))
    place = tmp_path / "regrow/rules"
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from regrow.rules import loader"

    def names() -> set[str]:
        words = [sys.executable, "-I", "-c", f"{code}; print(*(r.name for r in loader.shipped()))"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    shipped = names()
    assert names() == shipped
    home = place / "home.toml"
    mine = '[[rule]]\nname = "mine"\ndirectory = "mine"\nbeside = ["mine.lock"]\ncommand = "mine"\n'
    home.write_text(f"{home.read_text()}\n{mine}")
    assert names() == shipped | {"mine"}
    (place / "others.toml").write_text(mine.replace('"mine"', '"other"', 1))
    assert names() == shipped | {"mine", "other"}
    (place / "others.toml").unlink()
    assert names() == shipped | {"mine"}


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
