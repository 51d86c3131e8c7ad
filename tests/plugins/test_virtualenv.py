"""The plugin in virtualenv, run from the tests' own environment as tools run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regrow.records.format import MARKED
from tests import attributes
from tests.attributes import is_marked
from tests.plugins.making import configure, record_of, recorded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")


def virtualenv(*words: str | Path) -> str:
    """Make an environment in a process of its own, which must succeed; gives what it says."""
    return python("-m", "virtualenv", "--no-seed", *words)


def python(*words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def script(lines: str, *words: str | Path) -> str:
    return python("-c", lines, *words)


def test_an_environment_is_marked_and_recorded(place: Path) -> None:
    path = place / "env"
    virtualenv(path)
    assert is_marked(path)
    record = recorded(path)
    assert record.state == MARKED
    assert record.recipe["made_by"] == "virtualenv"
    command = record.recipe["command"]
    assert isinstance(command, list)
    assert (command[:2], command[3:]) == (["virtualenv", "--python"], [str(path)])


@pytest.mark.parametrize("names", ["bash", "", "regrow"])
def test_it_is_marked_whatever_activators_are_chosen(place: Path, names: str) -> None:
    virtualenv("--activators", names, place / "env")
    assert is_marked(place / "env")
    assert recorded(place / "env").state == MARKED


def test_the_seeds_are_in_the_record(place: Path) -> None:
    python("-m", "virtualenv", "--no-periodic-update", place / "env")
    requirements = recorded(place / "env").recipe["requirements"]
    assert isinstance(requirements, list)
    assert any(line.startswith("pip==") for line in requirements)


def test_the_mark_is_on_when_the_creator_starts_and_nothing_is_there(place: Path) -> None:
    said = script(
        "import os, sys, virtualenv\n"
        "session = virtualenv.session_via_cli([sys.argv[1], '--no-seed', '--clear'])\n"
        "create = type(session.creator).create\n"
        "def create_watched(creator):\n"
        "    place = str(creator.dest)\n"
        "    print(os.listdir(place), os.listxattr(place))\n"
        "    create(creator)\n"
        "type(session.creator).create = create_watched\n"
        "session.run()\n"
        "session.run()\n",
        place / "env",
    )
    assert said.splitlines() == ["[] ['user.xdg.robots.backup', 'user.regrow.record']"] * 2


def test_a_session_that_only_asks_makes_no_directory(place: Path, home: Path) -> None:
    script("import sys, virtualenv; virtualenv.session_via_cli(sys.argv[1:])", place / "env")
    assert os.listdir(place) == []
    assert not (home / ".local/share/regrow").exists()


def test_nothing_but_the_plugin_is_imported_before_an_environment_is_made(place: Path) -> None:
    said = script(
        "import sys, virtualenv; virtualenv.session_via_cli(sys.argv[1:])\n"
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] == 'regrow'))",
        place / "env",
    )
    assert said.split() == [
        "regrow",
        "regrow.create",
        "regrow.errors",
        "regrow.plugins",
        "regrow.plugins.birth",
        "regrow.plugins.virtualenv",
    ]


def test_an_environment_over_an_older_one_is_marked_late(place: Path) -> None:
    path = place / "env"
    virtualenv(path)
    attributes.remove(path, "user.xdg.robots.backup")
    virtualenv(path)
    assert is_marked(path)


def test_a_project_that_becomes_an_environment_is_left_alone(place: Path) -> None:
    (place / "thesis.tex").touch()
    virtualenv(place)
    assert not is_marked(place)
    assert record_of(place) is None


def test_a_broken_configuration_breaks_no_creation(place: Path, home: Path) -> None:
    configure(home, "keeep = []\n")
    said = virtualenv(place / "env")
    assert "unknown key 'keeep'" in said
    assert (place / "env/pyvenv.cfg").exists()
    assert not is_marked(place / "env")


def test_a_place_for_records_that_is_a_file_breaks_no_creation(place: Path, home: Path) -> None:
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/regrow").touch()
    said = virtualenv(place / "env")
    assert "records can't be kept" in said
    assert (place / "env/pyvenv.cfg").exists()
    assert not is_marked(place / "env")


def test_an_error_of_regrows_own_breaks_no_creation(place: Path) -> None:
    said = script(
        "import sys, virtualenv\n"
        "from regrow.plugins import steps\n"
        "steps.config = None\n"
        "virtualenv.cli_run([sys.argv[1], '--no-seed'])\n",
        place / "env",
    )
    assert "AttributeError" in said
    assert (place / "env/pyvenv.cfg").exists()
    assert not is_marked(place / "env")


def test_a_virtualenv_with_another_creator_breaks_no_creation(place: Path) -> None:
    said = script(
        "import sys, virtualenv\n"
        "session = virtualenv.session_via_cli([sys.argv[1], '--no-seed'])\n"
        "from regrow.plugins import virtualenv as plugin\n"
        "plugin._recipe = lambda creator: creator.python\n"
        "session.run()\n",
        place / "env",
    )
    assert "has no attribute 'python'" in said
    assert (place / "env/pyvenv.cfg").exists()
    assert not is_marked(place / "env")


def test_where_creation_can_not_be_wrapped_the_activator_marks_late(place: Path) -> None:
    script(
        "import sys, virtualenv, virtualenv.run\n"
        "run = virtualenv.run.Session.run\n"
        "from regrow.plugins import virtualenv as plugin\n"
        "virtualenv.run.Session.run = run\n"
        "plugin._MARKS_AT_BIRTH = None\n"
        "virtualenv.cli_run([sys.argv[1], '--no-seed'])\n",
        place / "env",
    )
    assert is_marked(place / "env")
    assert recorded(place / "env").state == MARKED


FAIL = (
    "import sys, virtualenv\n"
    "session = virtualenv.session_via_cli([sys.argv[1], '--no-seed'])\n"
    "def fail(creator):\n"
    "    raise {}\n"
    "type(session.creator).create = fail\n"
    "try:\n"
    "    session.run()\n"
    "except {}:\n"
    "    print('passed through')\n"
)


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit", "RuntimeError"])
def test_a_creation_that_fails_leaves_nothing_of_regrows(place: Path, error: str) -> None:
    assert "passed through" in script(FAIL.format(error, error), place / "env")
    assert os.listdir(place) == []
    assert record_of(place / "env") is None
