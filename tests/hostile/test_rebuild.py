"""Rebuilds among hostile records, tools that hang, and each other.

Whatever happens, nothing outside the target is touched, and a second run completes the first.
"""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.records.store import file_name
from regrow.system import directories
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    at_once,
    cli,
    leftovers,
    read_records,
    snapshot,
)
from tests.hostile.test_sweep_races import sweeping
from tests.rebuilding import (
    HANGING,
    NPM,
    PATIENCE,
    UV,
    Doubles,
    Hanging,
    assert_rebuilt,
    command,
    ending,
    environment,
    is_alive,
    modules,
    modules_without_lock,
    outcomes,
    pids,
    rebuild,
    recorded,
    running,
    write,
)

pytestmark = LINUX_ONLY

REBUILD = ("rebuild", "--yes", "--json")
NOBODY = 65534


# Records that anybody may have written. What fields may hold: tests/rebuild/test_plan.py.


def test_a_record_that_is_cut_off_anywhere_harms_nothing(
    inside: Regrow, place: Path, records_directory: Path
) -> None:
    good, cut = environment(place / "good", "a==1"), environment(place / "cut", "b==1", "c==2")
    file = records_directory / file_name(cut.path)
    whole = file.read_bytes()
    before = snapshot(place)
    for length in (*range(0, len(whole) - 1, 7), len(whole) - 2):
        file.write_bytes(whole[:length])
        done = inside(*REBUILD)
        assert done.returncode == 1, length
        assert str(file) in done.stderr or '"not possible"' in done.stdout
        assert os.path.exists(good.path), done.stdout + done.stderr
        shutil.rmtree(good.path)
        assert snapshot(place) == before, length
        assert file.read_bytes() == whole[:length], "it is no record of ours to mend"
    file.write_bytes(whole)
    assert_rebuilt(inside, Path(good.path), Path(cut.path))


def _binary(data: bytes) -> bytes:
    return b"\0\xff" + data


def _newer(data: bytes) -> bytes:
    return data.replace(b"format = 1\n", b"format = 99\n")


def _nested(data: bytes) -> bytes:
    return b"a = " + b"[" * 100_000


def _relative(data: bytes) -> bytes:
    return data.replace(b'path = "/', b'path = "')


def _null(data: bytes) -> bytes:
    return data.replace(b'path = "/', b'path = "/\\u0000')


def _of_wrong_type(data: bytes) -> bytes:
    return data.replace(b'rule = "venv"', b"rule = 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_binary, "this record is damaged"),
        (_newer, "a newer regrow wrote this record (format 99); it is left alone"),
        (_nested, "this record is damaged"),
        (_relative, "this record is damaged"),
        (_null, "this record is damaged"),
        (_of_wrong_type, "this record is damaged"),
    ],
)
def test_what_is_no_record_is_named_and_the_rest_rebuilt(
    inside: Regrow,
    place: Path,
    records_directory: Path,
    change: Callable[[bytes], bytes],
    message: str,
) -> None:
    good, bad = environment(place / "good", "a==1"), environment(place / "bad", "a==1")
    file = records_directory / file_name(bad.path)
    file.write_bytes(change(file.read_bytes()))
    done = inside("rebuild", "--yes")
    assert done.returncode == 1
    assert f"regrow: {file}: {message}" in done.stderr
    assert os.path.exists(good.path)
    assert os.listdir(place / "bad") == []


def test_a_copy_of_a_record_under_another_name_is_named(
    inside: Regrow, place: Path, records_directory: Path
) -> None:
    record = environment(place / "project", "a==1")
    file = records_directory / file_name(record.path)
    shutil.copy(file, records_directory / "copy.toml")
    done = inside("rebuild", "--yes")
    assert done.returncode == 1
    assert f"{records_directory}/copy.toml: this is a copy of the record of" in done.stderr
    assert os.path.exists(record.path)


def test_another_machines_record_is_as_good(inside: Regrow, place: Path) -> None:
    """A home that was restored on a new machine."""
    record = environment(place / "project", "a==1")
    write(record._replace(host="elsewhere", inode=12, born=None))
    assert_rebuilt(inside, Path(record.path))


def test_nothing_is_run_or_made_outside_the_target(
    inside: Regrow, doubles: Doubles, place: Path
) -> None:
    """Records that name other places, beside a good one."""
    doubles.write("cargo", "touch evil")
    good = environment(place / "good", "a==1")
    other = place / "other"
    modules(other)
    real = place / "real"
    (real / "sub").mkdir(parents=True)
    (place / "link").symlink_to(real)
    for path, recipe in (
        (place / "link/.venv", good.recipe),
        (place / "link/sub/.venv", good.recipe),
        (place / "link/new/deep/.venv", good.recipe),
        (place / "good/../.venv", good.recipe),
        (place / "x/target", command(other, "cargo", "build")),
        (place / "link/target", command(place / "link", "cargo", "build")),
        (place / "elsewhere/node_modules", modules(other).recipe),
        (place / "thesis.txt", good.recipe),
        (place, good.recipe),
        ("/", good.recipe),
        ("/etc", good.recipe),
    ):
        write(recorded(path, recipe, "cargo-target"))
    (other / "node_modules").mkdir()
    (other / "node_modules/sound").touch()
    before = snapshot(place)
    etc = os.stat("/etc")
    code, lines = rebuild(inside, "--builds")
    assert code == 1
    assert {line["path"] for line in lines if line["outcome"] == "rebuilt"} == {good.path}
    assert set(outcomes(lines)) == {"rebuilt", "not possible"}
    shutil.rmtree(good.path)
    assert snapshot(place) == before
    assert (os.stat("/etc").st_mtime_ns, os.stat("/etc").st_ctime_ns) == (
        etc.st_mtime_ns,
        etc.st_ctime_ns,
    )


@pytest.mark.parametrize("kind", ["python", "node"])
def test_a_project_that_becomes_a_link_meanwhile_is_left_alone(
    inside: Regrow, doubles: Doubles, place: Path, kind: str
) -> None:
    """The first project's tool plays the one who swaps the second one."""
    (environment if kind == "python" else modules)(place / "a")
    (environment if kind == "python" else modules)(place / "b")
    victim = place / "victim"
    victim.mkdir()
    swap = f"mv {place}/b {place}/moved; ln -s {victim} {place}/b\n"
    for name, lines in (("uv", UV), ("npm", NPM)):
        doubles.write(name, f"[ -e {place}/moved ] || {{ {swap}}}\n{lines}")
    code, lines_ = rebuild(inside)
    assert (code, outcomes(lines_)) == (1, ["rebuilt", "failed"])
    assert "a link leads to it now" in lines_[1]["detail"][0]
    assert os.listdir(victim) == []


def test_what_is_sound_is_never_touched(
    inside: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    for name in ("environment", "modules", "file", "link"):
        environment(place / name)
    (place / "environment/.venv/bin").mkdir(parents=True)
    (place / "environment/.venv/bin/python").symlink_to(sys.executable)
    (place / "environment/.venv/pyvenv.cfg").touch()
    (place / "modules/.venv/something").mkdir(parents=True)
    (place / "file/.venv").write_text("a file")
    (place / "link/.venv").symlink_to(place / "environment")
    before = snapshot(place), snapshot(records_directory)
    assert rebuild(inside, "--builds") == (0, [])
    assert (snapshot(place), snapshot(records_directory)) == before
    assert doubles.calls() == []


@pytest.mark.needs_root
def test_another_users_project_is_reported_and_ones_own_rebuilt(
    open_place: Path, doubles: Doubles, inside: Regrow
) -> None:
    environment(open_place / "own")
    environment(open_place / "others")
    os.chown(open_place / "others", NOBODY, NOBODY)
    environment(open_place / "shared")
    (open_place / "shared").chmod(0o1777)
    code, lines = rebuild(inside)
    assert code == 1
    assert {Path(line["path"]).parent.name: line["outcome"] for line in lines} == {
        "own": "rebuilt",
        "others": "not possible",
        "shared": "not possible",
    }
    assert os.listdir(open_place / "others") == []
    assert os.listdir(open_place / "shared") == []


# Tools that hang.

INTERRUPTED = (
    ("beginner", "hangs", signal.SIGTERM),
    ("creator", "leaves children", signal.SIGINT),
    ("installer", "hangs", signal.SIGINT),
    ("npm", "leaves children", signal.SIGTERM),
)
ALL_INTERRUPTED = [
    (kind, name, number)
    for kind in ("beginner", "creator", "installer", "npm")
    for name in HANGING
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
]


@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [
        pytest.param(*how, marks=() if how in INTERRUPTED else pytest.mark.slow)
        for how in ALL_INTERRUPTED
    ],
)
def test_an_interrupted_rebuild_ends_its_tools_and_leaves_all_as_it_was(
    regrow: Regrow,
    doubles: Doubles,
    place: Path,
    records_directory: Path,
    kind: str,
    name: str,
    number: int,
) -> None:
    hanging = Hanging(doubles, place, kind, HANGING[name])
    before = snapshot(place), snapshot(records_directory)
    with running(*REBUILD) as process:
        found = hanging.wait()
        with ending(found):
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
            assert not any(map(is_alive, found))
    assert process.returncode == 130
    [line] = [json.loads(text) for text in out.splitlines()]
    assert line["outcome"] == "interrupted"
    assert os.path.exists(line["log"])
    assert err == ""
    assert (snapshot(place), snapshot(records_directory)) == before
    hanging.mend()
    assert_rebuilt(regrow, hanging.path)


@pytest.mark.parametrize("kind", ["creator", "installer", "npm"])
@pytest.mark.parametrize("lines", HANGING.values(), ids=HANGING)
def test_a_tool_that_takes_too_long_is_ended_and_all_is_as_it_was(
    inside: Regrow,
    doubles: Doubles,
    place: Path,
    records_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    lines: str,
) -> None:
    monkeypatch.setattr("regrow.rebuild.processes._PATIENCE", 0.3)
    hanging = Hanging(doubles, place, kind, lines)
    before = snapshot(place), snapshot(records_directory)
    done = inside("rebuild", "--yes", "--timeout", "0.01")
    assert done.returncode == 1
    assert "took longer than 0.01 minutes (--timeout) and was ended" in done.stdout
    assert f"    the log: {directories.logs()}/" in done.stdout
    assert not any(map(is_alive, hanging.wait()))
    assert (snapshot(place), snapshot(records_directory)) == before
    hanging.mend()
    assert_rebuilt(inside, hanging.path)


def test_an_interrupt_begins_none_of_the_others(
    regrow: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    hanging = Hanging(doubles, place, "creator", HANGING["hangs"])
    for number in range(5):
        environment(place / f"other{number}")
    before = snapshot(place), snapshot(records_directory)
    with running("rebuild", "--yes") as process, ending(hanging.wait()):
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out.endswith("interrupted 6\n")
    assert out.count("interrupted  ") == 6
    assert len(doubles.calls()) == 1
    assert (snapshot(place), snapshot(records_directory)) == before


def on_terminal(
    columns: int, ready: Callable[[], object] = lambda: False, typed: bytes = b""
) -> tuple[int, str]:
    """Run a rebuild on a terminal, and type something once it is ready."""
    program = (
        "import fcntl, os, signal, sys, termios\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'regrow', 'rebuild', '--yes'])\n"
    )
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    )
    os.close(its_end)
    seen = b""
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            if typed and ready():
                os.write(terminal, typed)
                typed = b""
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:  # Linux' way to say that the other end is closed
                    break
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return code, seen.decode(errors="replace")


def test_ctrl_c_on_a_terminal(
    regrow: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    hanging = Hanging(doubles, place, "npm", HANGING["leaves children"])
    before = snapshot(place), snapshot(records_directory)
    code, text = on_terminal(40, lambda: pids(hanging.pids, 2), b"\x03")
    with ending(hanging.wait()):
        assert code == 130
        assert f"interrupted  {hanging.path}" in text, "and no line is broken"
        assert "Traceback" not in text
        assert not any(map(is_alive, hanging.wait()))
    assert (snapshot(place), snapshot(records_directory)) == before
    hanging.mend()
    assert_rebuilt(regrow, hanging.path)


def test_a_path_is_no_markup_where_progress_is_shown(doubles: Doubles, place: Path) -> None:
    names = ("[/b]", "[bold]x", ":smile:")
    for name in names:
        modules(place / name)
    doubles.write("npm", f"sleep 0.5\n{NPM}")
    code, text = on_terminal(400)
    assert code == 0, text
    assert "Traceback" not in text
    for name in names:
        assert f"rebuilding {place}/{name}/node_modules" in text
        assert f"rebuilt  {place}/{name}/node_modules" in text


# Two at once.


def test_two_rebuilds_at_once_do_no_work_twice(
    inside: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    for number in range(4):
        environment(place / f"python{number}", "a==1")
        modules_without_lock(place / f"node{number}")
    doubles.write("uv", f"sleep 0.1\n{UV}")
    doubles.write("npm", f"sleep 0.2\n{NPM}")
    done = at_once([cli(*REBUILD, "--jobs", "2")] * 3, place)
    lines = [json.loads(line) for _, out, _ in done for line in out.splitlines()]
    assert {err for _, _, err in done} == {""}
    assert sorted(outcomes(lines)).count("rebuilt") == 8
    for line in lines:
        if line["outcome"] == "failed":
            assert line["detail"] == [f"{line['path']}: another program is filling it"]
        else:
            assert line["outcome"] in ("rebuilt", "already there"), line
    assert len(doubles.calls()) == 4 * 2 + 4, "one venv and one pip, or one npm, for each"
    assert rebuild(inside) == (0, [])
    assert {record.state for record in read_records(records_directory)} == {"marked"}
    assert_every_mark_has_its_record(place, records_directory)
    for number in range(4):
        assert sorted(os.listdir(place / f"node{number}")) == ["node_modules", "package.json"]
        assert leftovers(place / f"python{number}") == []


def test_a_plan_that_another_rebuild_has_carried_out_meanwhile_is_done(
    inside: Regrow, doubles: Doubles, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first project's tool is a second rebuild, of the second project."""
    environment(place / "a")
    environment(place / "b")
    other = f"{sys.executable} -m regrow rebuild --yes {place}/b"
    doubles.write("uv", f'case "$*" in *{place}/a*) {other};; esac\n{UV}')
    code, lines = rebuild(inside)
    assert (code, outcomes(lines)) == (0, ["rebuilt", "already there"])
    assert len(doubles.calls()) == 2


@pytest.mark.needs("git")
def test_rebuilds_beside_sweeps(
    inside: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    doubles.write("uv", f"{UV}\nsleep 0.1")
    doubles.write("npm", f"sleep 0.1\n{NPM}\nsleep 0.1")
    paths = [environment(place / f"python{n}", "a==1").path for n in range(4)]
    paths += [modules(place / f"node{n}").path for n in range(4)]
    with sweeping(place):
        for turn in range(2):
            code, lines = rebuild(inside, "--jobs", "3")
            assert (code, set(outcomes(lines))) == (0, {"rebuilt"}), lines
            assert {line["path"] for line in lines} == set(paths)
            for number, path in enumerate(paths):  # in one step: a sweep may write into them
                os.rename(path, place.parent / f"gone{turn}-{number}")
    assert_rebuilt(inside, *map(Path, paths))
    for record in read_records(records_directory):
        assert record.state == "marked"
        if record.recipe["kind"] == "python":
            assert record.recipe["requirements"] == ["a==1"]
    assert_every_mark_has_its_record(place, records_directory)
