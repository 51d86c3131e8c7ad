"""Sweeps beside sweeps, beside undo, and beside the tools that make what they mark."""

import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regrow import config, pipeline
from regrow.decide import decisions
from regrow.model import MARK, VANISHED, Candidate, Decision, Plan, Result, Scope
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan.walk import Scan
from tests.conftest import Regrow
from tests.hostile.helpers import (
    GATE,
    LINUX_ONLY,
    assert_all_are_marked,
    assert_every_mark_has_its_record,
    assert_marks_are_recorded,
    at_once,
    cli,
    differences,
    plant,
    portray,
    read_records,
    temporary_records,
)

pytestmark = [LINUX_ONLY, pytest.mark.needs("git")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "tree"


# Sweeps and undos at once.


@pytest.mark.parametrize("count", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_sweeps_at_once_mark_each_directory_exactly_once(
    regrow: Regrow, tree: Path, records_directory: Path, count: int
) -> None:
    planted = plant(tree, 200)
    before = portray(tree)
    marked: Counter[str] = Counter()
    for code, out, err in at_once([cli("sweep", "--yes", "--json", str(tree))] * count, tree):
        assert (code, err) == (0, "")
        outcomes = {line["path"]: line["outcome"] for line in map(json.loads, out.splitlines())}
        assert outcomes.keys() == {str(path) for path, _ in planted}
        assert {*outcomes.values()} <= {"marked", "already marked"}
        marked.update(path for path, outcome in outcomes.items() if outcome == "marked")
    assert marked == Counter(str(path) for path, _ in planted)
    assert_all_are_marked(planted, records_directory)
    assert regrow("undo", "--yes").returncode == 0
    assert differences(before, portray(tree)) == []


LOOP = f"""{GATE}
import contextlib, io
for _ in range(int(sys.argv[1])):
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(sys.argv[2:])
    if code:
        sys.exit(code)
"""


def sweep_and_undo_at_once(regrow: Regrow, tree: Path, directory: Path, times: int) -> None:
    planted = plant(tree, 40)
    before = portray(tree)
    Store().close()  # undo has something to say where there is none
    sweep = [LOOP, str(times), "sweep", "--yes", str(tree)]
    undo = [LOOP, str(times), "undo", "--yes"]
    for code, _, err in at_once([sweep, undo, sweep, undo], tree):
        assert (code, err) == (0, "")
    assert_marks_are_recorded(tree, before, directory)
    recorded = {record.path: record for record in read_records(directory)}
    for path, markers in planted:
        record = recorded.get(str(path))
        if record is None:
            earlier = before[os.path.relpath(path, tree)]
            assert portray(path)["."] == earlier, f"{path}: half a state"
        else:
            assert record.state == "marked"
            assert {*record.set, *record.found} == markers
    assert temporary_records(directory) == []
    assert regrow("undo", "--yes").returncode == 0
    assert differences(before, portray(tree)) == []


def test_sweep_and_undo_at_once_leave_both_mark_and_record_or_neither(
    regrow: Regrow, tree: Path, records_directory: Path
) -> None:
    sweep_and_undo_at_once(regrow, tree, records_directory, 8)


@pytest.mark.slow
def test_many_sweeps_and_undos_at_once_leave_both_mark_and_record_or_neither(
    regrow: Regrow, tree: Path, records_directory: Path
) -> None:
    sweep_and_undo_at_once(regrow, tree, records_directory, 150)


# Sweeps beside the tools whose directories they mark.

SWEEPING = """
import contextlib, io, os, sys
from regrow.cli.main import main
count = 0
while os.path.exists(sys.argv[2]):
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(["sweep", "--yes", sys.argv[1]])
    if code:
        sys.exit(code)
    count += 1
print(count)
"""


@contextlib.contextmanager
def sweeping(tree: Path) -> Iterator[None]:
    """Sweep a tree again and again for the length of a block; each sweep has to succeed."""
    going = tree.parent / "going"
    going.touch()
    sweeps = subprocess.Popen(
        [sys.executable, "-c", SWEEPING, tree, going],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
    finally:
        going.unlink()
        try:
            out, err = sweeps.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            sweeps.kill()
            sweeps.communicate()
            raise
    assert (err, sweeps.returncode) == ("", 0)
    assert int(out) > 0


def repeat(times: int, *command: str | Path, cwd: Path) -> None:
    for _ in range(times):
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def assert_current(regrow: Regrow, tree: Path, records_directory: Path, *made: Path) -> None:
    """Check that one more sweep leaves everything marked, with records that are true."""
    assert regrow("sweep", "--yes", tree).returncode == 0
    states = {line["path"]: line["state"] for line in regrow.json("list")}
    assert states == {str(path): "there" for path in made}
    assert {record.state for record in read_records(records_directory)} == {"marked"}
    assert_every_mark_has_its_record(tree, records_directory)
    assert temporary_records(records_directory) == []
    again = regrow.json("sweep", "--yes", tree)
    assert {line["outcome"] for line in again} == {"already marked"}


@pytest.fixture
def project(tree: Path) -> Path:
    """A project in a repository that ignores what its tools make, so that sweeps write tags."""
    made = tree / "project"
    made.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", made], check=True)
    (made / ".gitignore").write_text("node_modules/\n.venv/\n.tox/\n")
    return made


def write_npm_package(file: Path) -> None:
    files = {"package.json": b'{"name": "left-pad", "version": "1.0.0"}'}
    files |= {f"lib/{number}/index.js": b"x" for number in range(150)}
    with tarfile.open(file, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def write_wheel(file: Path) -> None:
    name, version = file.name.split("-")[:2]
    about = f"{name}-{version}.dist-info"
    files = {f"{name}/module{number}.py": "" for number in range(100)}
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(file, "w") as archive:
        lines = []
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
            lines.append(f"{path},sha256={digest.rstrip(b'=').decode()},{len(content)}\n")
        archive.writestr(f"{about}/RECORD", "".join([*lines, f"{about}/RECORD,,\n"]))


def npm_beside_sweeps(
    regrow: Regrow, project: Path, directory: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_update_notifier", "false")
    write_npm_package(project.parent / "left-pad-1.0.0.tgz")
    (project / "package.json").write_text(
        '{"name": "x", "dependencies": {"left-pad": "file:../left-pad-1.0.0.tgz"}}'
    )
    repeat(1, "npm", "install", "--offline", "--no-audit", "--no-fund", cwd=project)
    with sweeping(project.parent):
        repeat(times, "npm", "ci", "--offline", "--no-audit", "--no-fund", cwd=project)
    # npm takes the tag away; a sweep puts it back once nothing more can be being removed.
    os.utime(project / "node_modules", (0, 0))
    assert_current(regrow, project.parent, directory, project / "node_modules")
    assert (project / "node_modules/CACHEDIR.TAG").exists()


def uv_sync_beside_sweeps(regrow: Regrow, project: Path, directory: Path, times: int) -> None:
    write_wheel(project.parent / "left_pad-1.0.0-py3-none-any.whl")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["left-pad"]\n'
        '[tool.uv.sources]\nleft-pad = { path = "../left_pad-1.0.0-py3-none-any.whl" }\n'
    )
    with sweeping(project.parent):
        repeat(times, "uv", "sync", "--offline", "--reinstall", cwd=project)
        repeat(1, ".venv/bin/python", "-c", "import left_pad.module1", cwd=project)
    assert_current(regrow, project.parent, directory, project / ".venv")


def uv_venv_beside_sweeps(regrow: Regrow, project: Path, directory: Path, times: int) -> None:
    with sweeping(project.parent):
        repeat(times, "uv", "venv", "--offline", "--clear", cwd=project)
        repeat(1, ".venv/bin/python", "-c", "", cwd=project)
    assert_current(regrow, project.parent, directory, project / ".venv")


@pytest.mark.needs("npm")
def test_npm_ci_beside_sweeps(
    regrow: Regrow, project: Path, records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_beside_sweeps(regrow, project, records_directory, 2, monkeypatch)


@pytest.mark.needs("uv")
def test_uv_sync_beside_sweeps(regrow: Regrow, project: Path, records_directory: Path) -> None:
    uv_sync_beside_sweeps(regrow, project, records_directory, 4)


@pytest.mark.needs("uv")
def test_uv_venv_beside_sweeps(regrow: Regrow, project: Path, records_directory: Path) -> None:
    uv_venv_beside_sweeps(regrow, project, records_directory, 6)


@pytest.mark.slow
@pytest.mark.needs("npm")
def test_npm_ci_many_times_beside_sweeps(
    regrow: Regrow, project: Path, records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_beside_sweeps(regrow, project, records_directory, 20, monkeypatch)


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_uv_sync_many_times_beside_sweeps(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    uv_sync_beside_sweeps(regrow, project, records_directory, 100)


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_uv_venv_many_times_beside_sweeps(
    regrow: Regrow, project: Path, records_directory: Path
) -> None:
    uv_venv_beside_sweeps(regrow, project, records_directory, 100)


@pytest.fixture(scope="module")
def tox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tox")
    python = place / "bin/python"
    for words in (
        ("venv", "-q", place),
        ("pip", "install", "-q", "--python", python, "tox==4.67.15"),
    ):
        done = subprocess.run(["uv", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"tox can't be had: {done.stderr}")
    return place / "bin/tox"


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_tox_beside_sweeps(
    regrow: Regrow, project: Path, tox: Path, records_directory: Path
) -> None:
    (project / "tox.ini").write_text(
        "[tox]\nenv_list = a, b\n[testenv]\npackage = skip\ncommands = python -V\n"
    )
    with sweeping(project.parent):
        repeat(20, tox, "-r", cwd=project)
    assert_current(regrow, project.parent, records_directory, project / ".tox")
    assert (project / ".tox/CACHEDIR.TAG").exists()


# Directories that are no longer what was decided about.


def decide(tree: Path) -> list[Decision]:
    settings = config.read()
    found = [f for f in Scan([str(tree)], loader.shipped()) if isinstance(f, Candidate)]
    with Store() as store:
        return decisions.decide(found, Scope([str(tree)], settings, loader.shipped()), store)


def carry_out(
    decided: list[Decision], meanwhile: Callable[[], None] = lambda: None
) -> list[Result]:
    """Carry decisions out; something happens after the first of them."""
    with Store() as store:
        results = pipeline.apply(Plan(decided), store)
        first = next(results)
        meanwhile()
        return [first, *results]


def delete(path: Path, _: Path) -> None:
    shutil.rmtree(path)


def rename(path: Path, elsewhere: Path) -> None:
    path.rename(elsewhere / "renamed")


def link(path: Path, elsewhere: Path) -> None:
    rename(path, elsewhere)
    path.symlink_to(elsewhere / "victim")


def link_to_itself(path: Path, elsewhere: Path) -> None:
    rename(path, elsewhere)
    path.symlink_to(elsewhere / "renamed")


def replace(path: Path, elsewhere: Path) -> None:
    rename(path, elsewhere)
    shutil.copytree(elsewhere / "renamed", path, symlinks=True)


def write_file(path: Path, elsewhere: Path) -> None:
    rename(path, elsewhere)
    path.write_text("a file")


def delete_project(path: Path, _: Path) -> None:
    shutil.rmtree(path.parent)


def rename_project(path: Path, elsewhere: Path) -> None:
    path.parent.rename(elsewhere / "renamed")


def link_project(path: Path, elsewhere: Path) -> None:
    rename_project(path, elsewhere)
    (elsewhere / "victim" / path.name).mkdir()
    path.parent.symlink_to(elsewhere / "victim")


CHANGES = (
    delete, rename, link, link_to_itself, replace, write_file,
    delete_project, rename_project, link_project,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])
def test_what_changed_since_it_was_decided_about_is_left_alone(
    tree: Path, tmp_path: Path, records_directory: Path, change: Callable[[Path, Path], None]
) -> None:
    planted = plant(tree, 10)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "victim").mkdir(parents=True)
    (elsewhere / "victim/thesis.txt").write_text("years of work")
    decided = decide(tree)
    assert {d.decision for d in decided} == {MARK}
    for number, (path, _) in enumerate(planted):
        (elsewhere / str(number)).mkdir()
        shutil.copytree(elsewhere / "victim", elsewhere / f"{number}/victim")
        change(path, elsewhere / str(number))
    before = portray(tmp_path)

    results = carry_out(decided)
    assert [result.outcome for result in results] == [VANISHED] * 10
    assert differences(before, portray(tmp_path)) == []
    assert read_records(records_directory) == []


@pytest.mark.parametrize("change", [rename_project, link_project, delete_project])
def test_a_project_that_changes_between_two_of_its_directories_is_left_alone(
    tree: Path, tmp_path: Path, records_directory: Path, change: Callable[[Path, Path], None]
) -> None:
    """The project is still held open, for its second directory, when it goes."""
    tree.mkdir()
    project = tree / "project"
    for name in ("node_modules", "target"):
        (project / name).mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "Cargo.toml"):
        (project / name).write_text("{}")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "victim").mkdir(parents=True)
    before = {}

    def meanwhile() -> None:
        change(project / "target", elsewhere)
        before.update(portray(tmp_path))

    first, second = carry_out(decide(tree), meanwhile)
    assert (first.outcome, second.outcome) == ("marked", VANISHED)
    assert differences(before, portray(tmp_path)) == []
    [record] = read_records(records_directory)
    assert record.path == str(project / "node_modules")
