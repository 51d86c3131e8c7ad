"""Directories in which tools keep environments: marked as a whole, decided about one by one."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from regrow.model import Rule
from regrow.rules import loader
from tests.conftest import Regrow
from tests.sweeping import Inside

CONTAINERS = [rule for rule in loader.shipped() if rule.container]


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


def environment(path: Path) -> Path:
    (path / "bin").mkdir(parents=True)
    (path / "bin/python").symlink_to(sys.executable)
    (path / "lib/python3.11/site-packages").mkdir(parents=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    (path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    os.utime(path / "pyvenv.cfg", (0, 0))
    return path


def said(regrow: Regrow, home: Path, *words: str) -> dict[str, str]:
    lines = regrow.json("sweep", "--yes", *words, home)
    return {os.path.relpath(line["path"], home): line["outcome"] for line in lines}


@pytest.fixture
def container(home: Path) -> Path:
    place = home / ".local/share/virtualenvs"
    environment(place / "shop-x1")
    return place


@pytest.mark.parametrize("rule", CONTAINERS, ids=lambda rule: rule.name)
def test_container_and_environment_are_marked_each_with_a_record(
    rule: Rule, regrow: Regrow, home: Path
) -> None:
    environment(home / rule.directory / "shop/x1/tests")
    path = f"{rule.directory}/shop/x1/tests"
    assert said(regrow, home) == {rule.directory: "marked", path: "marked"}
    recorded = {line["path"]: line["recipe"]["kind"] for line in regrow.json("list")}
    assert recorded == {
        str(home / rule.directory): "contents",
        str(home / path): "python",
    }


def test_a_marked_container_is_entered_again(regrow: Regrow, home: Path, container: Path) -> None:
    said(regrow, home)
    shutil.rmtree(container / "shop-x1")
    environment(container / "shop-x1")
    environment(container / "thesis-x2")
    assert said(regrow, home) == {
        ".local/share/virtualenvs": "already marked",
        ".local/share/virtualenvs/shop-x1": "marked",
        ".local/share/virtualenvs/thesis-x2": "marked",
    }


def test_a_container_stays_with_an_environment_that_stays(
    regrow: Regrow, home: Path, container: Path
) -> None:
    said(regrow, home)
    environment(container / "thesis-x2")
    (container / "thesis-x2/src").mkdir()
    (container / "thesis-x2/src/mine.py").touch()
    by_path = {line["path"]: line for line in regrow.json("sweep", "--yes", home)}
    line = by_path[str(container)]
    assert (line["outcome"], line["guard"]) == ("unmarked", "contents")
    assert f"it holds {container}/thesis-x2, which stays" in line["reason"]
    assert by_path[str(container / "shop-x1")]["outcome"] == "already marked"
    assert str(container) not in {line["path"] for line in regrow.json("list")}


@pytest.mark.parametrize("name", ["notes.txt", "other/notes.txt", "other/deeper/link"])
def test_a_container_stays_with_what_is_no_environment(
    name: str, regrow: Regrow, home: Path, container: Path
) -> None:
    (container / name).parent.mkdir(parents=True, exist_ok=True)
    (container / name).symlink_to("nowhere")
    (line,) = regrow.json("explain", container)
    assert line["decision"] == "keep"
    assert f"it holds {container}/{name}, which is no part" in line["reason"]
    assert said(regrow, home)[".local/share/virtualenvs"] == "kept"


def test_what_tools_leave_beside_their_environments_has_no_weight(
    regrow: Regrow, home: Path, container: Path
) -> None:
    for name in (".gitignore", "envs.toml", ".DS_Store", "CACHEDIR.TAG"):
        (container / name).touch()
    assert said(regrow, home)[".local/share/virtualenvs"] == "marked"
    (line,) = regrow.json("explain", container)
    assert line["decision"] == "marked already"


def test_a_rule_named_alone_takes_its_environments_along(
    regrow: Regrow, home: Path, container: Path
) -> None:
    assert said(regrow, home, "--rule", "pipenv-environments") == {
        ".local/share/virtualenvs": "marked",
        ".local/share/virtualenvs/shop-x1": "marked",
    }


def test_a_sweep_of_another_place_leaves_containers_alone(
    regrow: Regrow, home: Path, container: Path, tmp_path: Path
) -> None:
    assert regrow("sweep", "--yes", tmp_path).returncode == 0
    assert regrow("list").stdout == "0 recorded\n"
