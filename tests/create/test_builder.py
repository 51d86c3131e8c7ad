import doctest
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import regrow
from regrow.create import builder
from tests.attributes import is_marked
from tests.plugins.making import record_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")


class Watched(regrow.EnvBuilder):
    """Tells what was there when venv had made its directories, and when it was about to."""

    first: bool
    alone: list[str]

    def ensure_directories(
        self, env_dir: str | bytes | os.PathLike[str] | os.PathLike[bytes]
    ) -> SimpleNamespace:
        context = super().ensure_directories(env_dir)
        self.first = is_marked(Path(os.fsdecode(env_dir)))
        return context

    def _mark(self, path: str) -> dict[str, regrow.Outcome]:
        outcomes = super()._mark(path)
        self.alone = os.listdir(path)
        return outcomes


def test_the_directory_is_marked_before_its_first_file(tmp_path: Path) -> None:
    watched = Watched(symlinks=True)
    watched.create(tmp_path / "missing" / "env")
    assert (watched.first, watched.alone) == (True, [])
    assert is_marked(tmp_path / "missing" / "env")


def test_the_tag_comes_last(tmp_path: Path) -> None:
    made = regrow.EnvBuilder()
    made.create(tmp_path / "env")
    assert (tmp_path / "env/CACHEDIR.TAG").exists()
    assert {name for name, outcome in made.outcomes.items() if outcome.holds} == {
        "xdg-robots",
        "cachedir-tag",
    }


def test_the_environment_works(tmp_path: Path) -> None:
    regrow.EnvBuilder(symlinks=True).create(tmp_path / "env")
    python = tmp_path / "env/bin/python"
    said = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(tmp_path / "env")


def test_no_record_is_written(tmp_path: Path, home: Path) -> None:
    regrow.EnvBuilder().create(tmp_path / "env")
    assert record_of(tmp_path / "env") is None


def test_an_environment_that_is_cleared_is_marked(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "old").touch()
    regrow.EnvBuilder(clear=True).create(tmp_path / "env")
    assert is_marked(tmp_path / "env")
    assert not (tmp_path / "env" / "old").exists()


def test_so_is_one_that_stands(tmp_path: Path) -> None:
    regrow.EnvBuilder().create(tmp_path / "env")
    regrow.include(tmp_path / "env")
    regrow.EnvBuilder().create(tmp_path / "env")
    assert is_marked(tmp_path / "env")


def test_a_project_that_becomes_an_environment_is_not_marked(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    made = regrow.EnvBuilder()
    made.create(tmp_path)
    assert made.outcomes == {}
    assert not is_marked(tmp_path)
    assert not (tmp_path / "CACHEDIR.TAG").exists()


def test_venv_says_what_is_wrong_with_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "a:b"):
        with pytest.raises(ValueError, match=r"Unable|Refusing"):
            regrow.EnvBuilder().create(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    assert not is_marked(tmp_path)


def test_a_mark_that_can_not_be_set_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    made = regrow.EnvBuilder()
    made.create(tmp_path / "env")
    assert made.outcomes["xdg-robots"].state == "failed"
    assert made.outcomes["cachedir-tag"].state == "marked"
    assert (tmp_path / "env/pyvenv.cfg").exists()


def test_importing_regrow_does_not_import_venv() -> None:
    lines = (
        "import sys, regrow; print('venv' in sys.modules);"
        " regrow.EnvBuilder; print('venv' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True"]


def test_the_example_runs() -> None:
    done = doctest.testmod(builder)
    assert (done.attempted > 0, done.failed) == (True, 0)


def test_there_is_no_other_name_that_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Envbuilder'"):
        regrow.Envbuilder  # type: ignore[attr-defined] # noqa: B018
