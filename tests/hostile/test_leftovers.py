"""What a killed rebuild moved aside: backed up, found wherever it turns up, and put back."""

import shutil
from pathlib import Path

import pytest

from regrow.create import aside
from regrow.records.store import Store, file_name
from regrow.system import aside_names
from regrow_marks import signature
from regrow_marks.directory import open_child, open_directory, open_parent
from tests.conftest import Regrow
from tests.hostile.helpers import LINUX_ONLY, has_attribute, leftovers, record_of
from tests.mounts import bind_mount
from tests.rebuilding import (
    HANGING,
    UV,
    Doubles,
    Hanging,
    ending,
    environment,
    identify,
    python,
    rebuild,
    recorded,
    running,
    write,
)
from tests.sweeping import Inside, set_attribute

pytestmark = LINUX_ONLY

TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


class Killed:
    """A broken environment with a file of its user's, and a rebuild of it that hangs."""

    def __init__(self, doubles: Doubles, place: Path) -> None:
        self.place = place
        self._hanging = Hanging(doubles, place, "installer", HANGING["hangs"])
        self.path = self._hanging.path
        (self.path / "bin").mkdir(parents=True)
        (self.path / "pyvenv.cfg").touch()
        (self.path / "CACHEDIR.TAG").write_text(TAG)
        (self.path / "mine").write_text("years of work")
        (self.path / "bin/python").symlink_to("/nowhere/python")
        set_attribute(self.path, b"false")
        identify(self.path)
        with open_directory(self.path) as directory:
            signature.put(directory, file_name(str(self.path)), ("xdg-robots",))

    def kill(self) -> None:
        with running("rebuild", "--yes") as process, ending(self._hanging.wait()):
            process.kill()
            process.communicate()
        assert has_attribute(self.aside)

    @property
    def aside(self) -> Path:
        [name] = leftovers(self.path.parent)
        return self.path.parent / name

    def assert_put_back(self, regrow: Regrow) -> None:
        self._hanging.mend()
        code, [line] = rebuild(regrow)
        assert (code, line["path"]) == (0, str(self.path)), line
        assert (self.path / "mine").read_text() == "years of work"
        assert leftovers(self.path.parent) == []

    def wait(self) -> list[int]:
        return self._hanging.wait()


@pytest.fixture
def killed(doubles: Doubles, place: Path, home: Path) -> Killed:
    made = Killed(doubles, place)
    made.kill()
    return made


def test_a_sweep_lets_backups_have_it(killed: Killed, regrow: Regrow) -> None:
    for _ in range(2):
        assert regrow("sweep", "--yes", killed.place).returncode == 0
        assert not has_attribute(killed.aside)
        assert not (killed.aside / "CACHEDIR.TAG").exists()
    states = {entry["path"]: entry["state"] for entry in regrow.json("list")}
    assert states == {str(killed.path): "unfinished", str(killed.aside): "leftover"}
    killed.assert_put_back(regrow)


def test_a_sweep_leaves_alone_what_a_rebuild_is_at_work_on(
    doubles: Doubles, place: Path, regrow: Regrow, home: Path
) -> None:
    made = Killed(doubles, place)
    with running("rebuild", "--yes"), ending(made.wait()):
        assert regrow("sweep", "--yes", place).returncode == 0
        assert has_attribute(made.aside)


@pytest.mark.parametrize("words", [["undo", "--yes"], ["sweep", "--yes"]])
def test_the_next_rebuild_puts_it_back_though_its_marks_are_off(
    killed: Killed, regrow: Regrow, words: list[str]
) -> None:
    assert regrow(*words, killed.place).returncode == 0
    assert not has_attribute(killed.aside)
    killed.assert_put_back(regrow)


def test_it_follows_its_project_and_the_recipe_stays_whole(
    killed: Killed, regrow: Regrow, records_directory: Path
) -> None:
    project = killed.path.parent
    killed.path = project.rename(project.with_name("other")) / ".venv"
    assert regrow("sweep", "--yes", killed.place).returncode == 0
    states = {entry["path"]: entry["state"] for entry in regrow.json("list")}
    assert states == {str(killed.path): "unfinished", str(killed.aside): "leftover"}
    record = record_of(killed.path, records_directory)
    assert record is not None
    assert record.recipe["requirements"] == ["a==1"]
    assert not has_attribute(killed.aside)
    killed.assert_put_back(regrow)


def test_nobody_is_sent_to_a_command_that_has_nothing_to_do(killed: Killed, regrow: Regrow) -> None:
    shutil.rmtree(killed.path)
    assert regrow("list", "--forget", killed.path).returncode == 0
    assert rebuild(regrow, killed.path.parent)[0] == 0
    [finding] = [one for one in regrow.json("doctor") if str(killed.aside) in one["text"]]
    assert "regrow leftovers" in finding["remedy"]
    assert "regrow rebuild" not in finding["remedy"]


def test_removing_it_removes_nothing_from_what_is_mounted_in_it(
    killed: Killed, regrow: Regrow, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "thesis").write_text("years of work")
    (killed.aside / "data").mkdir()
    with bind_mount(source, killed.aside / "data"):
        done = regrow("leftovers", "--remove", "--yes", killed.aside)
        assert done.returncode == 1
        assert "can't be deleted in full" in done.stderr
        assert (source / "thesis").read_text() == "years of work"
    assert regrow("leftovers", "--remove", "--yes", killed.aside).returncode == 0
    assert leftovers(killed.path.parent) == []


def test_a_long_name_comes_back_whole(doubles: Doubles, place: Path, regrow: Regrow) -> None:
    path = place / ("e" * 230)
    path.mkdir()
    (path / "mine").write_text("years of work")
    write(recorded(path, python()))
    identify(path)
    with (
        open_parent(str(place)) as parent,
        open_child(parent, path.name) as directory,
        Store() as store,
    ):
        aside.move(parent, directory, store, aside_names.REBUILT)
    assert regrow("leftovers", "--put-back", place).returncode == 0
    assert (path / "mine").read_text() == "years of work"


@pytest.mark.parametrize("other", ["directory", "file"])
def test_what_somebody_put_in_its_place_meanwhile_is_not_deleted_where_a_tool_fails(
    doubles: Doubles, place: Path, regrow: Regrow, other: str
) -> None:
    environment(place / "project", "a==1")
    path = place / "project/.venv"
    make = {
        "directory": f"mkdir {path}; echo work > {path}/mine",
        "file": f"echo work > {path}",
    }[other]
    doubles.write("uv", f"{UV}\n[ $1 = venv ] || {{ mv {path} {place}/moved; {make}; exit 1; }}")
    code, [line] = rebuild(regrow)
    assert (code, line["outcome"]) == (1, "failed")
    assert (path / "mine" if other == "directory" else path).read_text() == "work\n"
