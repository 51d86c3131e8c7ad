"""A kill -9 during a rebuild: what is left is nothing, or said to be unfinished and then redone.

strace sends SIGKILL as regrow, or its tool, enters its N-th call of one name.
"""

import os
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    leftovers,
    record_of,
)
from tests.rebuilding import (
    HANGING,
    THIS_PYTHON,
    Doubles,
    Hanging,
    assert_rebuilt,
    ending,
    environment,
    identify,
    is_alive,
    modules_without_lock,
    outcomes,
    python,
    rebuild,
    recorded,
    running,
    use_index,
    wait_for,
    write,
    write_wheel,
)
from tests.sweeping import Inside, age

pytestmark = LINUX_ONLY

REBUILD = ("rebuild", "--yes", "--json")

CALLS = (
    "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
    "fsetxattr", "utimensat", "write", "pwrite64", "ftruncate", "flock", "vfork", "clone3",
)  # fmt: skip
SAMPLE = 8  # the default run takes every eighth step

Step = tuple[str, int]


class Killing:
    """A place that every round finds as it was."""

    def __init__(self, regrow: Regrow, place: Path, kind: str) -> None:
        self.regrow = regrow
        self.place = place
        self.kind = kind
        self.name, self.path = {
            "missing": ("uv", place / "project/.venv"),
            "broken": ("uv", place / "project/.venv"),
            "modules": ("npm", place / "project/node_modules"),
        }[kind]
        self.data = Path(os.environ["HOME"]) / ".local"
        if self.name == "uv":
            environment(place / "project", "a==1", "b==2")
        else:
            modules_without_lock(place / "project")
        if kind == "broken":
            (self.path / "bin").mkdir(parents=True)
            (self.path / "pyvenv.cfg").touch()
            (self.path / "mine").write_text("years of work")
            (self.path / "bin/python").symlink_to("/nowhere/python")
        self._saved = place.parent / "saved"
        for directory in (self.data, place):
            shutil.copytree(directory, self._saved / directory.name, symlinks=True)
        self.records = self.data / "share/regrow/records"
        self._trace = place.parent / "trace"

    def begin(self) -> None:
        for directory in (self.data, self.place):
            shutil.rmtree(directory)
            shutil.copytree(self._saved / directory.name, directory, symlinks=True)
        if self.kind == "broken":
            identify(self.path)

    def steps(self) -> list[Step]:
        """Run to the end, and give the calls: of each name, as many as one process makes."""
        self._strace(["-o", str(self._trace), "-e", f"trace={','.join(CALLS)}"])
        counts: Counter[tuple[str, str]] = Counter(
            re.findall(r"^(\d+) +(\w+)\(", self._trace.read_text(), re.MULTILINE)
        )
        most = {call: max((counts[c] for c in counts if c[1] == call), default=0) for call in CALLS}
        return [(call, number + 1) for call in CALLS for number in range(most[call])]

    def kill(self, step: Step) -> None:
        call, number = step
        injection = f"inject={call}:signal=SIGKILL:when={number}"
        self._strace(["-o", os.devnull, "-e", f"trace={call}", "-e", injection])

    def _strace(self, options: list[str]) -> None:
        subprocess.run(
            ["strace", "-f", *options, *self.regrow.command, "rebuild", "--yes"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def check(self, step: Step) -> None:
        """Check what the kill has left, then that the next run completes it."""
        inside = Inside()
        is_complete = self._is_complete(inside)
        assert_every_mark_has_its_record(self.place, self.records)
        assert self.kind != "broken" or self._mine(), f"{step}: it is lost"
        if os.path.lexists(self.path) and not is_complete and self.kind != "broken":
            [entry] = inside.json("list", self.path)
            assert entry["state"] == "unfinished", (step, entry)

        code, lines = rebuild(inside)
        assert (code, self._is_complete(inside)) == (0, True), (step, lines)
        assert self.kind != "broken" or self._mine() == self.path / "mine", (step, lines)
        record = record_of(self.path, self.records)
        assert record is not None
        if self.name == "uv":
            assert record.recipe["requirements"] == ["a==1", "b==2"], step
        assert sorted(os.listdir(self.place)) == ["project", "thesis.txt"]
        assert not (self.place / "project/package-lock.json").exists(), step
        assert leftovers(self.path.parent) == [], step
        assert_every_mark_has_its_record(self.place, self.records)
        assert rebuild(inside) == (0, []), step

    def _mine(self) -> Path | None:
        """Tell where the user's file is that stood in the broken environment."""
        project = self.place / "project"
        found = list(project.glob("*/mine"))
        assert all(file.read_text() == "years of work" for file in found)
        return found[0] if len(found) == 1 else None

    def _is_complete(self, inside: Regrow) -> bool:
        """Tell whether it stands whole, marked and recorded."""
        if self.name == "uv":
            packages = "lib/python3.11/site-packages"
            is_whole = all(
                (self.path / packages / f"{name}.dist-info/METADATA").exists()
                for name in ("a-1", "b-2")
            )
        else:
            is_whole = (self.path / ".package-lock.json").exists()
        entries = inside.json("list") if is_whole else []
        states = {entry["path"]: entry["state"] for entry in entries}
        return states.get(str(self.path)) in ("there", "interrupted")


def kill_at(killing: Killing, every: int) -> None:
    for step in killing.steps()[::every]:
        killing.begin()
        killing.kill(step)
        killing.check(step)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("kind", ["missing", "broken", "modules"])
def test_a_kill_leaves_nothing_or_what_the_next_run_completes(
    regrow: Regrow, place: Path, kind: str
) -> None:
    kill_at(Killing(regrow, place, kind), SAMPLE)


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize("kind", ["missing", "broken", "modules"])
def test_a_kill_at_any_step_leaves_nothing_or_what_the_next_run_completes(
    regrow: Regrow, place: Path, kind: str
) -> None:
    kill_at(Killing(regrow, place, kind), 1)


# What a tool does that survives.


@pytest.mark.parametrize("kind", ["beginner", "creator", "installer", "npm"])
def test_a_tool_that_survives_a_kill_holds_the_lock_until_it_ends(
    regrow: Regrow, doubles: Doubles, place: Path, records_directory: Path, kind: str
) -> None:
    hanging = Hanging(doubles, place, kind, HANGING["hangs"])
    with running(*REBUILD) as process:
        found = hanging.wait()
        with ending(found):
            process.kill()
            process.communicate()
            assert all(map(is_alive, found))
            [entry] = regrow.json("list", hanging.path)
            assert entry["state"] == "unfinished"
            code, [line] = rebuild(regrow)
            assert (code, line["outcome"]) == (1, "failed")
            assert line["detail"] == [f"{hanging.path}: another program is filling it"]
            assert all(map(is_alive, found))
    wait_for(lambda: not any(map(is_alive, found)))
    hanging.mend()
    assert_rebuilt(regrow, hanging.path)
    assert not (place / "project/package-lock.json").exists()


def test_a_broken_environment_that_was_moved_aside_survives_a_kill(
    regrow: Regrow, doubles: Doubles, place: Path, records_directory: Path
) -> None:
    hanging = Hanging(doubles, place, "installer", HANGING["hangs"])
    path = hanging.path
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    (path / "mine").write_text("years of work")
    (path / "bin/python").symlink_to("/nowhere/python")
    identify(path)
    with running(*REBUILD) as process, ending(hanging.wait()):
        process.kill()
        process.communicate()
    [aside] = leftovers(path.parent)
    assert (path.parent / aside / "mine").read_text() == "years of work"
    hanging.mend()
    [left] = regrow.json("leftovers", path.parent)
    assert (left["path"], left["kind"]) == (str(path.parent / aside), "interrupted")
    code, [line] = rebuild(regrow)
    assert (code, line["outcome"]) == (0, "rebuilt")
    assert (path / "mine").read_text() == "years of work"
    assert leftovers(path.parent) == []
    assert rebuild(regrow) == (0, [])


@pytest.mark.parametrize(
    "kind",
    [
        "beginner",
        "creator",
        "installer",
        "npm",
    ],
)
def test_sweep_and_a_failing_rebuild_leave_the_unfinished_alone(
    inside: Regrow, doubles: Doubles, place: Path, records_directory: Path, kind: str
) -> None:
    hanging = Hanging(doubles, place, kind, HANGING["hangs"])
    with running(*REBUILD) as process, ending(hanging.wait()):
        process.kill()
        process.communicate()
    age(place)
    before = record_of(hanging.path, records_directory)
    assert before is not None
    for _ in range(2):
        assert inside("sweep", "--yes", place).returncode == 0
        assert record_of(hanging.path, records_directory) == before
        [entry] = inside.json("list", hanging.path)
        assert entry["state"] == "unfinished"
        doubles.write(hanging.name, "exit 1")
        code, lines = rebuild(inside)
        assert (code, outcomes(lines)) == (1, ["failed"])
    hanging.mend()
    assert_rebuilt(inside, hanging.path)


# The real uv.


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_a_kill_at_any_instant_beside_the_real_uv(
    regrow: Regrow,
    inside: Regrow,
    tmp_path: Path,
    records_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seed = int(os.environ.get("REGROW_TEST_SEED") or random.SystemRandom().getrandbits(32))
    chance = random.Random(seed)
    wheels, path = tmp_path / "wheels", tmp_path / "place/.venv"
    wheels.mkdir()
    path.parent.mkdir()
    use_index(wheels, monkeypatch)
    names = [f"p{number}" for number in range(20)]
    for name in names:
        write_wheel(wheels, name, "1.0")
    lines = [f"{name}==1.0" for name in sorted(names)]
    write(recorded(path, python(*lines) | THIS_PYTHON))
    begun = time.monotonic()
    assert regrow(*REBUILD).returncode == 0
    duration = time.monotonic() - begun
    for number in range(40):
        shutil.rmtree(path)
        with running(*REBUILD) as process:
            time.sleep(chance.random() * duration)
            process.kill()
            process.wait()
        said = f"round {number}; REGROW_TEST_SEED={seed} chooses the same instants"
        assert_every_mark_has_its_record(path.parent, records_directory)
        wait_for(lambda: "another program" not in inside("rebuild", "--yes").stdout)
        assert rebuild(inside) == (0, []), said
        [entry] = inside.json("list")
        assert entry["state"] in ("there", "interrupted"), said
        assert entry["recipe"]["requirements"] == lines, said
        assert len(list(path.glob("lib/*/site-packages/*.dist-info"))) == len(names), said
        assert leftovers(path.parent) == [], said
