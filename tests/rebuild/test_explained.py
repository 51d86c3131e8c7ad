"""What installers and creators put into an environment is explained; a person's own is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regrow.rebuild import trees
from regrow.rebuild.explained import Installed, distributions
from regrow.recipes.distributions import site_packages
from tests.e2e.making import over_creators
from tests.rebuild.test_trees import opened
from tests.rebuilding import use_index, write_wheel

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
MAKE = {
    "uv": ("uv", "venv", "-q", "--python", sys.executable),
    "virtualenv": (sys.executable, "-m", "virtualenv", "-q"),
    "venv": (sys.executable, "-m", "venv", "--without-pip"),
}


def make(path: Path, creator: str) -> Path:
    subprocess.run([*MAKE[creator], path], check=True)
    return path


def left_over(path: Path, back: set[tuple[str, str]] | None = None) -> list[str]:
    """Remove what is explained, and name what is left."""
    explained = Installed(str(path), back)
    with opened(path) as (fd,):
        trees.remove_explained(fd, None, explained)
        return trees.left(fd)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "wheels"
    place.mkdir()
    write_wheel(place, "bolt", "1.0")
    write_wheel(place, "nut", "2.0")
    use_index(place, monkeypatch)
    return place


@over_creators
def test_nothing_is_left_of_an_environment_that_nobody_touched(
    creator: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "env", creator)
    subprocess.run([path / "bin/python", "-c", "import this"], check=True, capture_output=True)
    assert left_over(path) == []


@pytest.mark.needs("uv")
def test_what_is_installed_comes_back_if_its_distribution_does(
    tmp_path: Path, wheels: Path
) -> None:
    path = make(tmp_path / "env", "uv")
    subprocess.run(["uv", "pip", "install", "-q", "-p", path, "bolt", "nut"], check=True)
    subprocess.run([path / "bin/python", "-c", "import bolt, nut"], check=True)
    assert {
        (name, version)
        for place in site_packages(str(path))
        for _, name, version in distributions(place)
    } == {("bolt", "1.0"), ("nut", "2.0")}
    left = left_over(path, {("bolt", "1.0")})
    assert f"{SITE}/nut.py" in left
    assert not any("bolt" in name for name in left)


@pytest.mark.needs("uv")
def test_another_version_of_what_is_back_must_not_go_back(tmp_path: Path, wheels: Path) -> None:
    path = make(tmp_path / "env", "uv")
    subprocess.run(["uv", "pip", "install", "-q", "-p", path, "bolt"], check=True)
    (path / SITE / "mine.py").write_text("x")
    new = make(tmp_path / "new", "uv")
    explained = Installed(str(path), {("bolt", "1.1")})
    with opened(path, new) as (old_fd, new_fd):
        trees.remove_explained(old_fd, new_fd, explained)
        assert trees.move_back(old_fd, new_fd, explained) == [f"{SITE}/mine.py"]
        assert f"{SITE}/bolt.py" in trees.left(old_fd), "it stays aside"
    assert not list(new.glob("lib/*/site-packages/bolt*"))


@over_creators
def test_what_people_put_there_is_left(creator: str, tmp_path: Path) -> None:
    path = make(tmp_path / "env", creator)
    planted = {
        "thesis.tex": "x",
        "bin/deploy.sh": "x",
        "bin/python-report": "a script, not an interpreter",
        f"{SITE}/mine.py": "x",
        f"{SITE}/sitecustomize.py": "x",
        f"{SITE}/__pycache__/gone.cpython-311.pyc": "bytecode without its source",
        "share/kernels/thesis/kernel.json": "{}",
        ".gitignore": "secret\n",
        "CACHEDIR.TAG": "no tag",
        "data.virtualenv": "not empty",
    }
    for name, content in planted.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).unlink(missing_ok=True)
        (path / name).write_text(content)
    (path / "link").symlink_to("/nowhere")
    os.mkfifo(path / "pipe")
    activate = path / "bin/activate"
    activate.write_text(activate.read_text() + "export KEY=1\n")
    later = activate.stat().st_mtime + 60
    os.utime(activate, (later, later))
    assert left_over(path) == sorted([*planted, "link", "pipe", "bin/activate"])


@over_creators
def test_ones_own_whose_names_are_much_like_the_creators_is_left(
    creator: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "env", creator)
    mine = ["activate-prod", "activate.local", "deactivate.sh", "pypyrun", "python-data", "pythonx"]
    for name in mine:
        (path / "bin" / name).write_bytes(b"\x7fELF")
        os.utime(path / "bin" / name, (1, 1))
    (path / "bin/python-link").symlink_to("../data")
    assert left_over(path) == sorted(f"bin/{name}" for name in [*mine, "python-link"])


@over_creators
def test_an_edit_of_what_a_creator_wrote_is_left_though_its_time_was_put_back(
    creator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "env", creator)
    written = [file.lstat().st_ctime_ns for file in path.rglob("*")]
    lag = max(written) - min(written)  # nanoseconds: as short as a busy machine allows
    monkeypatch.setattr("regrow.rebuild.explained._LAG", lag)
    before = (path / "bin/activate").stat()
    time.sleep(2 * lag / 1e9 + 0.05)
    with (path / "bin/activate").open("a") as file:
        file.write("export KEY=1\n")
    os.utime(path / "bin/activate", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert left_over(path) == ["bin/activate"]


@over_creators
@pytest.mark.parametrize("line", ["# why it is 3.11: see the thesis", "not = mine"])
def test_an_edit_of_its_settings_is_left(creator: str, tmp_path: Path, line: str) -> None:
    path = make(tmp_path / "env", creator)
    settings = path / "pyvenv.cfg"
    settings.write_text(f"{settings.read_text()}{line}\n")
    later = settings.stat().st_mtime + (60 if line[0] != "#" else 0)
    os.utime(settings, (later, later))
    assert left_over(path) == ["pyvenv.cfg"]


def test_activation_scripts_may_be_written_long_after_the_settings(tmp_path: Path) -> None:
    path = make(tmp_path / "env", "venv")
    earlier = (path / "pyvenv.cfg").stat().st_mtime - 60  # it takes that long to install pip
    os.utime(path / "pyvenv.cfg", (earlier, earlier))
    assert left_over(path) == []


@pytest.mark.needs("uv")
@pytest.mark.parametrize("when", ["now", "as if nothing were"])
def test_an_edited_module_is_left_whatever_its_time(
    tmp_path: Path, wheels: Path, when: str
) -> None:
    path = make(tmp_path / "env", "uv")
    subprocess.run(["uv", "pip", "install", "-q", "-p", path, "bolt"], check=True)
    module = path / SITE / "bolt.py"
    before = module.stat()
    module.unlink()
    module.write_text("x")
    if when != "now":
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert left_over(path) == [f"{SITE}/bolt.py"]


@pytest.mark.needs("uv")
def test_a_copy_of_an_environment_costs_reading_it_and_no_false_alarm(
    tmp_path: Path, wheels: Path
) -> None:
    path = make(tmp_path / "env", "uv")
    subprocess.run(["uv", "pip", "install", "-q", "-p", path, "bolt"], check=True)
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", path, copy], check=True)
    assert left_over(copy) == []


@pytest.mark.needs("uv")
@pytest.mark.parametrize(
    "row",
    [
        "../../../thesis.tex,,\n",
        "../../../../outside,sha256=x,1\n",
        '"unclosed\n',
        "\0,\0,\0\n",
        f"{'a' * 200_000},,\n",
    ],
)
def test_a_record_that_claims_too_much_explains_nothing_more(
    tmp_path: Path, wheels: Path, row: str
) -> None:
    path = make(tmp_path / "env", "uv")
    subprocess.run(["uv", "pip", "install", "-q", "-p", path, "bolt"], check=True)
    (path / "thesis.tex").write_text("years")
    (tmp_path / "outside").write_text("x")
    record = next(path.glob("lib/*/site-packages/bolt-1.0.dist-info/RECORD"))
    text = record.read_text()
    record.unlink()
    record.write_text(text + row)
    assert "thesis.tex" in left_over(path)
    assert (tmp_path / "outside").exists()
