"""The project does not choose what regrow runs: neither by modules nor by programs in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from regrow.create import creators
from regrow.errors import CreatorError
from regrow.system.program import (
    ask_program,
    find_program,
    program_directories,
    program_environment,
)
from tests.conftest import Regrow
from tests.e2e.making import CHEAPLY

SHADOWED = ("filelock", "platformdirs", "virtualenv", "distlib", "pip", "venv", "ensurepip", "site")
"""Modules that creators, or the Python that runs them, import."""

RELATIVE = (".", "", "bin", "./bin", "tools/../bin", "~/bin")


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def came(tmp_path: Path, ran: Path) -> Path:
    """A project with modules and programs of names that are looked for."""
    place = tmp_path / "came"
    for directory in (place, place / "bin", place / "~/bin"):
        directory.mkdir(parents=True, exist_ok=True)
    for name in SHADOWED:
        (place / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    for directory in (place, place / "bin", place / "~/bin"):
        for name in ("git", "uv", "python3", "python3.11", "npm", "regrow", "systemctl"):
            program = directory / name
            program.write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n")
            program.chmod(0o755)
    return place


@pytest.mark.parametrize(
    "words",
    [
        *((name, "--", *CHEAPLY[name]) for name in creators.NAMES),
        *(pytest.param((name,), marks=pytest.mark.slow) for name in creators.NAMES),
    ],
)
def test_no_module_of_the_project_is_imported(
    regrow: Regrow, came: Path, ran: Path, words: tuple[str, ...]
) -> None:
    done = regrow("venv", "--creator", *words, cwd=came)
    assert done.returncode == 0, done.stderr
    assert not ran.exists()


def test_no_module_of_the_project_is_imported_by_the_user_who_installed_for_himself(
    came: Path, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import site

    import virtualenv

    place = str(Path(virtualenv.__file__).parents[1])
    monkeypatch.setattr(site, "getusersitepackages", lambda: place)
    words = creators.command("virtualenv", str(came / "made"), creators.Request())
    assert words[1] == "-P"
    monkeypatch.chdir(came)
    subprocess.run([*words[:-1], "--version"], check=True, capture_output=True)
    assert not ran.exists()


@pytest.mark.parametrize("words", [("--version",), ("list",), ("doctor",), ("sweep", "--yes", ".")])
def test_regrow_as_a_module_imports_nothing_of_the_project(
    came: Path, ran: Path, home: Path, words: tuple[str, ...]
) -> None:
    for name in ("tomllib", "argparse", "rich", "pathspec", "subprocess", "shlex", "json"):
        (came / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (came / "regrow").unlink()
    subprocess.run([sys.executable, "-m", "regrow", *words], cwd=came, capture_output=True)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        *((("sweep", "--yes", "."), entry) for entry in RELATIVE),
        (("venv",), "."),
        (("venv", "--creator", "venv", "--python", "3.11", "--", "--without-pip"), "."),
        (("doctor",), "."),
        (("status", "."), "."),
        (("rebuild", "--yes"), "."),
    ],
)
def test_a_path_that_leads_into_the_current_directory_is_not_searched(
    regrow: Regrow, came: Path, ran: Path, home: Path, words: tuple[str, ...], entry: str
) -> None:
    for name in SHADOWED:
        (came / f"{name}.py").unlink()
    (came / "package.json").write_text("{}")
    (came / "package-lock.json").write_text("{}")
    (came / "node_modules/a").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", came], check=True)
    environment = {**os.environ, "PATH": f"{entry}:{os.environ['PATH']}"}
    if words[0] == "rebuild":
        regrow("mark", came / "node_modules")
        shutil.rmtree(came / "node_modules")
    regrow(*words, cwd=came, env=environment)
    assert not ran.exists()


def test_programs_are_found_by_full_paths_alone(
    came: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(came)
    monkeypatch.setenv("PATH", f":.:bin:{came}/bin:")
    assert program_directories() == [f"{came}/bin"]
    assert find_program("git") == f"{came}/bin/git"
    assert program_environment()["PATH"] == f"{came}/bin"
    assert program_environment({"A": "b"})["A"] == "b"
    monkeypatch.setenv("PATH", "bin")
    assert find_program("git") is None
    with pytest.raises(FileNotFoundError):
        ask_program(["git", "--version"], 5)


@pytest.mark.needs("uv")
@pytest.mark.parametrize("name", [".python-version", ".python-versions"])
@pytest.mark.parametrize("request_", ["./tools/python", "{}/tools/python", "evil"])
def test_a_program_that_the_project_asks_uv_for_is_not_run(
    regrow: Regrow, tmp_path: Path, ran: Path, name: str, request_: str
) -> None:
    place = tmp_path / "project"
    for program in (place / "tools/python", place / "evil"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\ntouch {ran}\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
    (place / name).write_text(f"# ours\n{request_.format(place)}\n")
    done = regrow("venv", "--creator", "uv", cwd=place)
    assert done.returncode == 2
    assert f"{place / name}: it names a program" in done.stderr
    assert not ran.exists()
    assert not (place / ".venv").exists()
    done = regrow("venv", "--creator", "uv", "--python", sys.executable, cwd=place)
    assert done.returncode == 0, done.stderr
    assert not ran.exists()


@pytest.mark.needs("uv")
def test_a_version_that_the_project_asks_uv_for_is_made(regrow: Regrow, tmp_path: Path) -> None:
    version = ".".join(map(str, sys.version_info[:2]))
    (tmp_path / ".python-version").write_text(f"{version}\n")
    creators.refuse_named_by_project(str(tmp_path))
    assert regrow("venv", "--creator", "uv", cwd=tmp_path).returncode == 0
    (tmp_path / version).mkdir()
    with pytest.raises(CreatorError, match="names a program"):
        creators.refuse_named_by_project(str(tmp_path))
