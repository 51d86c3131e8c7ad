"""The recipe of a Python environment as a whole."""

import os

import pytest

from regrow.recipes.recipe import RecipeError
from tests.recipes.environment import Environment


def test_no_metadata_and_no_configuration(environment: Environment) -> None:
    (environment.install("bare") / "METADATA").unlink()
    with pytest.raises(RecipeError, match="neither name nor version"):
        environment.take()
    (environment.path / "pyvenv.cfg").unlink()
    with pytest.raises(RecipeError, match=r"no pyvenv\.cfg"):
        environment.take()


def test_hostile_configuration_yields_no_option(environment: Environment) -> None:
    environment.configure(
        "executable = --upgrade\nversion = --pre\nimplementation = -x\nprompt = \x1b[2J\n"
    )
    recipe = environment.recipe()
    for key in ("interpreter", "version", "implementation"):
        assert recipe[key] == ""


def test_configuration_that_is_not_utf8_keeps_its_bytes(environment: Environment) -> None:
    (environment.path / "pyvenv.cfg").write_bytes(b"executable = /opt/p\xffthon\nversion = 3.12\n")
    assert os.fsencode(environment.recipe()["interpreter"]) == b"/opt/p\xffthon"


def test_huge_configuration_is_refused(environment: Environment) -> None:
    environment.configure("x" * 2_000_000)
    with pytest.raises(RecipeError, match="larger than"):
        environment.take()


def test_the_module_needs_no_interpreter_and_no_parser(environment: Environment) -> None:
    """What costs time at the start is loaded only when an environment asks for it."""
    import subprocess
    import sys

    environment.install("six")
    code = (
        "import sys; from regrow.recipes import python;"
        f"python.build({str(environment.path)!r}, '/');"
        "print(*{'json', 'tomllib', 'urllib.parse', 'subprocess'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == ""
