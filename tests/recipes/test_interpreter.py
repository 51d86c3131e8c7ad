"""Which interpreter an environment has, and who made it."""

import shutil
from pathlib import Path

import pytest

from tests.recipes.environment import Environment


@pytest.mark.parametrize(
    ("interpreter", "source"),
    [
        ("/home/ada/.local/share/uv/python/cpython-3.12.1-linux/bin/python3.12", "uv"),
        ("/home/ada/.pyenv/versions/3.11.7/bin/python3.11", "pyenv"),
        ("/opt/homebrew/opt/python@3.12/bin/python3.12", "Homebrew"),
        ("/usr/local/Cellar/python@3.12/3.12.1/bin/python3.12", "Homebrew"),
        ("/usr/local/opt/python@3.12/bin/python3.12", "Homebrew"),
        ("/home/linuxbrew/.linuxbrew/bin/python3.12", "Homebrew"),
        ("/Library/Frameworks/Python.framework/Versions/3.12/bin/python3", "python.org"),
        ("/home/ada/miniconda3/bin/python", "conda"),
        ("/opt/anaconda3/envs/x/bin/python", "conda"),
        ("/opt/conda/bin/python", "conda"),
        ("/home/ada/miniforge3/bin/python", "conda"),
        ("/home/ada/.asdf/installs/python/3.11/bin/python", "asdf"),
        ("/home/ada/.local/share/mise/installs/python/3.11/bin/python", "mise"),
        ("/usr/bin/python3.99", "system"),
        ("/Library/Developer/CommandLineTools/usr/bin/python3", "system"),
        ("/usr/local/bin/python3.99", "other"),
        ("/home/ada/conda-project/python", "other"),
    ],
)
def test_where_the_interpreter_comes_from(
    environment: Environment, interpreter: str, source: str
) -> None:
    environment.configure(f"home = /x\nexecutable = {interpreter}\nversion = 3.12.1\n")
    recipe = environment.recipe()
    assert (recipe["interpreter"], recipe["interpreter_from"]) == (interpreter, source)


def test_interpreter_that_only_the_link_names(environment: Environment, tmp_path: Path) -> None:
    real = tmp_path / "real/python3.12"
    real.parent.mkdir()
    real.touch()
    environment.configure(f"home = {real.parent}\nuv = 0.9\nversion_info = 3.12.4\n")
    (environment.path / "bin/python").symlink_to(real)
    assert environment.recipe()["interpreter"] == str(real)
    real.unlink()
    assert environment.recipe()["interpreter"] == f"{real.parent}/python3"


@pytest.mark.parametrize(
    ("links", "leads_to"),
    [
        ({}, "project/.venv/bin/python"),
        ({"bin/python": "python3.12"}, "project/.venv/bin/python3.12"),
        ({"bin/python": "python3", "bin/python3": "../../../real/python"}, "real/python"),
        ({"bin/python": "../../../through/python"}, "real/python"),
        ({"bin": "../../real"}, "real/python"),
    ],
)
def test_all_links_to_the_interpreter_are_resolved(
    environment: Environment, tmp_path: Path, links: dict[str, str], leads_to: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/python").touch()
    (tmp_path / "through").symlink_to("real")
    (environment.path / "bin/python3.12").touch()
    if "bin" in links:
        shutil.rmtree(environment.path / "bin")
    for name, target in links.items():
        (environment.path / name).symlink_to(target)
    environment.configure("version = 3.12.1\n")
    assert environment.recipe()["interpreter"] == str(tmp_path / leads_to)


@pytest.mark.parametrize(
    ("settings", "creator", "version"),
    [
        ("uv = 0.9.1\nversion_info = 3.11.7\n", "uv 0.9.1", "3.11.7"),
        ("virtualenv = 20.26\nversion_info = 3.11.7.final.0\n", "virtualenv 20.26", "3.11.7"),
        ("version = 3.13.0\ncommand = python -m venv x\n", "venv", "3.13.0"),
    ],
)
def test_creator(environment: Environment, settings: str, creator: str, version: str) -> None:
    environment.configure(settings)
    recipe = environment.recipe()
    assert (recipe["creator"], recipe["version"]) == (creator, version)
    assert (recipe["prompt"], recipe["system_site_packages"]) == ("", False)


@pytest.mark.parametrize("prompt", ["it's", "it's'", "shop"])
def test_prompt_and_system_site_packages(environment: Environment, prompt: str) -> None:
    for written in (repr(prompt), prompt):
        environment.configure(f"prompt = {written}\ninclude-system-site-packages = True\n")
        recipe = environment.recipe()
        assert (recipe["prompt"], recipe["system_site_packages"]) == (prompt, True)
