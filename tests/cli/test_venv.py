import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.hostile.helpers import has_attribute

QUICK = {"uv": [], "virtualenv": ["--", "--no-seed"], "venv": ["--", "--without-pip"]}
creators = pytest.mark.parametrize("creator", QUICK)


@creators
def test_an_environment_works_and_success_is_one_line(
    creator: str, regrow: Regrow, tmp_path: Path
) -> None:
    done = regrow("venv", "--creator", creator, *QUICK[creator], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert "left out of backups" in done.stdout
    assert done.stdout.endswith("activate it: source .venv/bin/activate\n")
    prefix = subprocess.run(
        [tmp_path / ".venv/bin/python", "-c", "import sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert prefix == f"{tmp_path}/.venv\n"
    assert os.listdir(tmp_path) == [".venv"]
    assert (tmp_path / ".venv/CACHEDIR.TAG").is_file()


@creators
def test_the_options_reach_the_creator(creator: str, regrow: Regrow, tmp_path: Path) -> None:
    python = shutil.which("python3") or "python3"
    options = ("--prompt", "a b", "--system-site-packages", "--python", python)
    words = ("venv", "env", "--json", "--creator", creator, *options, *QUICK[creator])
    line = json.loads(regrow(*words, cwd=tmp_path).stdout)
    text = (tmp_path / "env/pyvenv.cfg").read_text()
    assert "include-system-site-packages = true" in text
    assert "a b" in (tmp_path / "env/bin/activate").read_text()
    assert line["creator"] == creator
    assert line["python"].startswith("3.")
    assert line["outcome"] == "marked"


def test_uv_leaves_pip_out_unless_asked(regrow: Regrow, tmp_path: Path) -> None:
    regrow("venv", "plain", "--creator", "uv", cwd=tmp_path)
    regrow("venv", "seeded", "--creator", "uv", "--seed", cwd=tmp_path)
    assert not (tmp_path / "plain/bin/pip").exists()
    assert (tmp_path / "seeded/bin/pip").exists()


def test_without_uv_virtualenv_makes_an_environment_with_pip(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if shutil.which("uv"):
        pytest.skip("uv is in /usr/bin here")
    (line,) = regrow.json("venv", cwd=tmp_path)
    assert line["creator"] == "virtualenv"
    assert (tmp_path / ".venv/bin/pip").exists()
    done = regrow("venv", "other", "--creator", "uv", cwd=tmp_path)
    assert done.returncode == 2
    assert "uv: it is not installed" in done.stderr


def test_an_existing_environment_is_an_error_that_names_clear(
    regrow: Regrow, tmp_path: Path
) -> None:
    regrow("venv", cwd=tmp_path)
    before = (tmp_path / ".venv").stat()
    done = regrow("venv", cwd=tmp_path)
    assert done.returncode == 2
    assert ".venv: there is an environment already; --clear replaces it" in done.stderr
    after = (tmp_path / ".venv").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@creators
def test_clear_replaces_an_environment_and_the_new_one_is_marked(
    creator: str, regrow: Regrow, tmp_path: Path
) -> None:
    regrow("venv", cwd=tmp_path)
    words = ("venv", "--clear", "--json", "--creator", creator, *QUICK[creator])
    line = json.loads(regrow(*words, cwd=tmp_path).stdout)
    assert line["outcome"] in ("marked", "already marked")
    assert os.listdir(tmp_path) == [".venv"]


@creators
def test_clear_keeps_ones_own_files_beside_and_names_them(
    creator: str, regrow: Regrow, tmp_path: Path
) -> None:
    regrow("venv", "--creator", creator, *QUICK[creator], cwd=tmp_path)
    (tmp_path / ".venv/mine").write_text("years of work")
    done = regrow("venv", "--clear", "--creator", creator, *QUICK[creator], cwd=tmp_path)
    assert not (tmp_path / ".venv/mine").exists()
    [kept] = [tmp_path / name for name in os.listdir(tmp_path) if name != ".venv"]
    assert os.listdir(kept) == ["mine"]
    assert (kept / "mine").read_text() == "years of work"
    assert not has_attribute(kept)
    assert f"kept in {kept}: mine" in done.stderr


@pytest.mark.parametrize("clear", [[], ["--clear"]])
def test_files_that_are_no_environment_are_never_cleared(
    clear: list[str], regrow: Regrow, tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").touch()
    done = regrow("venv", "thesis", *clear, cwd=tmp_path)
    assert done.returncode == 2
    assert "it holds files and is no environment" in done.stderr
    assert os.listdir(tmp_path / "thesis") == ["chapter"]


def test_an_empty_directory_that_is_there_is_filled(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert regrow.json("venv", cwd=tmp_path)[0]["outcome"] == "marked"


def test_parents_are_made_and_taken_away_again_when_it_fails(
    regrow: Regrow, tmp_path: Path
) -> None:
    done = regrow("venv", "a/b/env", "--creator", "uv", "--python", "3.99", cwd=tmp_path)
    assert done.returncode == 2
    assert "3.99" in done.stderr
    assert os.listdir(tmp_path) == []
    assert regrow("venv", "a/b/env", "--creator", "uv", cwd=tmp_path).returncode == 0


def test_a_failed_clear_leaves_the_old_environment(regrow: Regrow, tmp_path: Path) -> None:
    regrow("venv", cwd=tmp_path)
    (tmp_path / ".venv/mine").touch()
    done = regrow("venv", "--clear", "--creator", "uv", "--python", "3.99", cwd=tmp_path)
    assert done.returncode != 0
    assert (tmp_path / ".venv/mine").exists()
    assert os.listdir(tmp_path) == [".venv"]


def test_a_python_that_venv_cannot_find_is_named(regrow: Regrow, tmp_path: Path) -> None:
    done = regrow("venv", "--creator", "venv", "--python", "3.99", cwd=tmp_path)
    assert done.returncode == 2
    assert "3.99: there is no such Python on PATH" in done.stderr
    assert os.listdir(tmp_path) == []


def test_the_record_says_how_to_make_it_again_and_that_works(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    import tomllib

    regrow("venv", "env", "--prompt", "shop; rm -rf", "--creator", "uv", cwd=tmp_path)
    (file,) = records_directory.iterdir()
    record = tomllib.loads(file.read_text())
    assert (record["rule"], record["state"]) == ("venv", "marked")
    assert record["recipe"]["made_by"] == "uv"
    shutil.rmtree(tmp_path / "env")
    command = record["recipe"]["command"]
    assert command[:2] == ["regrow", "venv"]
    assert regrow(*command[1:], cwd=Path("/")).returncode == 0
    assert "shop; rm -rf" in (tmp_path / "env/pyvenv.cfg").read_text()


def test_two_paths_are_wrong_usage(regrow: Regrow, tmp_path: Path) -> None:
    done = regrow("venv", "a", "b", cwd=tmp_path)
    assert done.returncode == 2
    assert "one PATH at a time" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("shell", "ending"), [("fish", ".fish"), ("tcsh", ".csh"), ("zsh", "")])
def test_the_activation_line_suits_the_shell(
    shell: str, ending: str, regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    (line,) = regrow.json("venv", "it's", cwd=tmp_path)
    assert line["activate"] == f"source 'it'\"'\"'s/bin/activate{ending}'"
