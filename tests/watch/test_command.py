"""``regrow watch`` as a process: signals, output, the configuration, one instance."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regrow.records.format import MARKED
from regrow.system import directories
from regrow.watch import lock
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    fill,
    has_attribute,
    read_records,
)
from tests.mounts import mounted_image
from tests.sweeping import HOSTILE_NAMES, age, configure, environment, modules
from tests.watch.watching import (
    HURRY,
    PATIENCE,
    QUIET,
    Process,
    agrees_with_a_sweep,
    eventually,
    marked_below,
    records_by_path,
    stopped,
)

pytestmark = LINUX_ONLY


def becomes_marked(path: Path) -> None:
    eventually(lambda: has_attribute(path), lambda: f"{path} is not marked")


def is_watching(watch: Process) -> bool:
    owner = lock.owner()
    return owner is not None and owner.pid == watch.process.pid


def begins(watch: Process, place: Path) -> None:
    """Wait until it watches a start directory: what appears in it is marked."""
    becomes_marked(modules(place / "begins"))


# One instance.


def test_a_second_watch_names_the_first(code: Path, regrow: Regrow) -> None:
    with Process(code) as watch:
        eventually(lambda: is_watching(watch))

        second = regrow("watch", code)

        assert second.returncode == 1
        assert f"process {watch.process.pid}" in second.stderr
        assert watch.is_running()
    assert lock.owner() is None, "a killed one holds nothing"
    with Process(code) as third:
        eventually(lambda: is_watching(third))


# The end.


@pytest.mark.parametrize(("number", "code_"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_by_a_signal(code: Path, number: signal.Signals, code_: int) -> None:
    with Process(code) as watch:
        begins(watch, code)

        assert watch.end(number) == code_
        assert watch.err == b""
    assert lock.owner() is None


def doubled(double: str) -> str:
    """Give the program of a hurried watch, in which something is replaced by a double."""
    return HURRY.replace("sys.exit(", f"{double}\nsys.exit(")


# A first scan, or a first question to git, that takes very long.
SCAN = """
from regrow.scan import walk
true_list = walk.directories_in
def slow(*words):
    import time
    print("scanning", file=sys.stderr, flush=True)
    for _ in range(600):
        time.sleep(0.1)
    return true_list(*words)
walk.directories_in = slow
"""
DECISION = """
from regrow.system import git
def slow(*_):
    import subprocess
    print("scanning", file=sys.stderr, flush=True)
    subprocess.run(["sleep", "60"])
    return {}
git.ask = slow
"""


@pytest.mark.parametrize("double", [SCAN, DECISION], ids=["scan", "git"])
def test_it_ends_during_a_long_first_sweep(code: Path, double: str) -> None:
    modules(code / "shop")
    (code / ".git").mkdir()
    with Process(code, program=doubled(double)) as watch:
        eventually(lambda: watch.says("scanning"))
        before = time.monotonic()

        assert watch.end() == 0

        assert time.monotonic() - before < 30, "it did not wait for the sweep"


def test_it_ends_between_two_marks(code: Path) -> None:
    for number in range(300):
        modules(code / f"project-{number:03}")
    with Process(code) as watch:
        eventually(lambda: marked_below(code))

        assert watch.end() == 0

    assert len(marked_below(code)) < 300, "it ended too late to prove anything"
    assert_every_mark_has_its_record(code, Path(directories.records()))
    known = records_by_path()
    assert set(known) == marked_below(code), "none was interrupted"


def test_what_is_begun_is_completed_before_it_ends(code: Path) -> None:
    double = """
import os, signal
from regrow.records.store import Written
true_complete = Written.complete
def complete(self):
    os.kill(os.getpid(), signal.SIGTERM)
    true_complete(self)
Written.complete = complete
"""
    path = modules(code / "shop")
    age(code)
    with Process(code, program=doubled(double)) as watch:
        assert watch.process.wait(PATIENCE) == 0

    assert has_attribute(path)
    assert records_by_path()[str(path)].state == MARKED


# The configuration.


def test_hangup_lets_it_read_the_configuration_again(code: Path, home: Path) -> None:
    configure(home, 'start = ["~/code"]\n')
    with Process("--json") as watch:
        kept, other = modules(code / "thesis"), modules(code / "shop")
        becomes_marked(kept)
        becomes_marked(other)

        configure(home, 'start = ["~/code", "~/more"]\nkeep = ["thesis/node_modules"]\n')
        later = modules(home / "more/shop")
        watch.send(signal.SIGHUP)

        eventually(lambda: not has_attribute(kept))
        becomes_marked(later)
        assert has_attribute(other)
        eventually(lambda: (str(kept), "unmarked") in told(watch), lambda: watch.lines)
        agrees_with_a_sweep(code, home / "more", count=2)


def told(watch: Process) -> list[tuple[str, str]]:
    return [(line["path"], line["outcome"]) for line in watch.lines]


@pytest.mark.parametrize(
    "broken",
    ["start = [", "no_such_key = 1", 'keep = ["!"]', 'disable = ["no-such-rule"]'],
)
def test_a_configuration_that_breaks_is_told_and_the_old_one_holds(
    code: Path, home: Path, broken: str
) -> None:
    configure(home, 'start = ["~/code"]\nkeep = ["thesis/node_modules"]\n')
    with Process() as watch:
        begins(watch, code)

        configure(home, broken)
        watch.send(signal.SIGHUP)

        eventually(lambda: watch.says("what was read before holds on"))
        kept, other = modules(code / "thesis"), modules(code / "shop")
        becomes_marked(other)
        assert not has_attribute(kept)

        configure(home, 'start = ["~/code"]\n')
        watch.send(signal.SIGHUP)
        becomes_marked(kept)


def test_a_configuration_that_is_broken_at_the_start_changes_nothing(
    code: Path, home: Path, regrow: Regrow
) -> None:
    configure(home, "no_such_key = 1")
    done = regrow("watch", code)
    assert done.returncode == 2
    assert "no_such_key" in done.stderr
    assert not Path(directories.records()).exists()


# Output.


def test_lines_for_people(code: Path) -> None:
    with Process(code) as watch:
        path = modules(code / "shop")
        becomes_marked(path)
        eventually(lambda: watch.says(f"marked  {path}  (node-modules)\n"))
        other = code / "empty/node_modules"
        other.mkdir(parents=True)
        (code / "empty/package.json").write_text("{}")
        eventually(lambda: watch.says(f"taken back  {other}  nothing pins"))
        watch.end()
        assert watch.out.count(b"\n") == 3
        assert watch.err == b""


def test_lines_of_json(code: Path) -> None:
    with Process("--json", code) as watch:
        path = modules(code / "shop")
        eventually(lambda: watch.lines)
        assert watch.lines == [
            {
                "path": str(path),
                "rule": "node-modules",
                "outcome": "marked",
                "reason": None,
                "error": None,
            }
        ]


def test_what_stays_as_it_was_is_no_line(code: Path, home: Path) -> None:
    configure(home, 'keep = ["thesis/node_modules"]\n')
    with Process("--json", code) as watch:
        modules(code / "thesis")
        path = modules(code / "shop")
        agrees_with_a_sweep(code, count=1)
        watch.end()
        assert told(watch) == [(str(path), "marked")]


def test_hostile_names_are_shown_escaped(code: Path) -> None:
    with Process(code) as people:
        for name in HOSTILE_NAMES:
            modules(Path(os.fsdecode(os.fsencode(code) + b"/" + name)))
        agrees_with_a_sweep(code, count=len(HOSTILE_NAMES))
        people.end()
        assert people.out.count(b"\n") == len(HOSTILE_NAMES)
        assert b"\x1b" not in people.out
        assert b"\xff" not in people.out


def test_a_reader_that_goes_ends_it_and_nothing_is_lost(code: Path) -> None:
    receiving, sending = os.pipe()
    with Process(code, stdout=sending) as watch:
        os.close(sending)
        begins(watch, code)
        os.close(receiving)
        path = modules(code / "shop")

        assert watch.process.wait(PATIENCE) == 1

        assert has_attribute(path)
        assert_every_mark_has_its_record(code, Path(directories.records()))


# What can't be read or written.


AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def ordinary_users(code: Path) -> Process:
    """Watch a directory below a home as the ordinary user whose all of it is."""
    home = code.parent
    subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    words = list(AS_NOBODY)
    program = f"""
import os, sys
os.execvp("setpriv", {[*words, sys.executable, "-c", HURRY]!r} + sys.argv[1:])
"""
    try:
        subprocess.run([*words, sys.executable, "-c", ""], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("the interpreter is out of the ordinary user's reach")
    return Process(code, program=program, env={**os.environ, "HOME": str(home)})


@pytest.mark.needs_root
def test_an_unreadable_directory_is_told_once_and_the_rest_goes_on(open_place: Path) -> None:
    code = open_place / "home/code"
    (code / "closed").mkdir(parents=True)
    (code / "closed").chmod(0)
    with ordinary_users(code) as watch:
        eventually(lambda: watch.says(f"{code / 'closed'}: no permission"))
        path = environment(code / "shop/.venv")
        subprocess.run(["chown", "-R", "65534:65534", code / "shop"], check=True)
        (code / "probe").mkdir()
        subprocess.run(["touch", path.parent / "setup.py"], check=True)
        becomes_marked(path)
        watch.end()
        assert watch.err.count(b"no permission") == 1


@pytest.mark.needs_root
def test_what_is_closed_while_it_is_filled_keeps_its_record(
    open_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = open_place / "home/code"
    path = code / "shop/node_modules"
    path.parent.mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    monkeypatch.setenv("HOME", str(code.parent))
    with ordinary_users(code) as watch:
        eventually(lambda: is_watching(watch))
        # Not before: what is made while the watch starts may have been quiet for too long.
        subprocess.run([*AS_NOBODY, "mkdir", path], check=True)
        becomes_marked(path)
        (code / "shop").chmod(0)
        time.sleep(4 * QUIET)  # nobody can tell whether it is gone

        assert has_attribute(path)
        found = read_records(code.parent / ".local/share/regrow/records")
        assert [record.path for record in found] == [str(path)]
        watch.end()


def test_a_data_directory_that_cannot_be_written_is_told(
    code: Path, home: Path, regrow: Regrow
) -> None:
    place = home / ".local/share/regrow"
    place.mkdir(parents=True)
    (place / "watch.lock").mkdir()
    done = regrow("watch", code)
    assert done.returncode == 1
    assert "watch.lock" in done.stderr


@pytest.mark.needs_root
def test_a_full_disk_is_told_and_nothing_is_lost(code: Path, home: Path, tmp_path: Path) -> None:
    with mounted_image(tmp_path, "ext4") as root:
        (home / ".local").mkdir()
        (home / ".local/share").symlink_to(root)
        with Process(code) as watch:
            begins(watch, code)
            fill(root)
            path = modules(code / "shop")
            eventually(lambda: watch.says("the disk is full"))
            assert not has_attribute(path)

            (root / "filler").unlink()

            becomes_marked(path)
            agrees_with_a_sweep(code, count=2)
            watch.end()


@pytest.mark.needs_root
def test_records_that_turn_read_only_are_told_and_nothing_is_lost(
    code: Path, home: Path, tmp_path: Path
) -> None:
    with mounted_image(tmp_path, "ext4") as root:
        (home / ".local").mkdir()
        (home / ".local/share").symlink_to(root)
        with Process(code) as watch:
            begins(watch, code)
            records = root / "regrow/records"
            subprocess.run(["chattr", "+i", records], check=True)
            try:
                path = modules(code / "shop")
                eventually(lambda: watch.says("its record can't be written"))
                assert not has_attribute(path)
            finally:
                subprocess.run(["chattr", "-i", records], check=True)

            becomes_marked(path)
            agrees_with_a_sweep(code, count=2)
            watch.end()


# The kernel's own limits, in a user name space: each has its own.


def limited(name: str, limit: int) -> str:
    """Give the program of a hurried watch that the kernel allows only so many of something."""
    words = ["sh", "-c", f'echo {limit} > /proc/sys/user/{name} && exec "$@"', "sh"]
    program = [sys.executable, "-c", HURRY]
    return f"""
import os, sys
words = ["unshare", "--user", "--map-root-user", *{words!r}, *{program!r}, *sys.argv[1:]]
os.execvp("unshare", words)
"""


@pytest.fixture
def name_spaces() -> None:
    try:
        write = "echo 10 > /proc/sys/user/max_inotify_watches"
        words = ["unshare", "--user", "--map-root-user", "sh", "-c", write]
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user name space can be made here")


@pytest.mark.usefixtures("name_spaces")
def test_what_the_real_kernel_does_not_watch_is_swept(code: Path) -> None:
    for number in range(20):
        (code / f"group/project-{number:02}").mkdir(parents=True)
    with Process(code, program=limited("max_inotify_watches", 10)) as watch:
        eventually(lambda: watch.says("regrow: 12 directories are not watched"))

        for number in range(20):
            modules(code / f"group/project-{number:02}")

        agrees_with_a_sweep(code, count=20)
        assert watch.end() == 0
        assert watch.err.count(b"are not watched") == 1, "it is told once"


@pytest.mark.usefixtures("name_spaces")
def test_where_the_real_kernel_gives_no_instance_it_ends_with_the_remedy(code: Path) -> None:
    with Process(code, program=limited("max_inotify_instances", 0)) as watch:
        assert watch.process.wait(PATIENCE) == 1
        assert watch.says("sysctl fs.inotify.max_user_instances=512")
        assert not watch.says("ulimit")


# What a sweep does and a watch does not.


def test_it_shares_no_work_and_remembers_nothing_that_a_sweep_does(code: Path) -> None:
    double = """
import atexit, os
def fork():
    raise AssertionError("a watch was forked")
os.fork = fork
names = ("system.worker", "decide.cache", "scan.snapshot", "scan.incremental")
atexit.register(lambda: print("loaded", [n for n in names if f"regrow.{n}" in sys.modules]))
"""
    for number in range(40):  # a sweep would share that many
        modules(code / f"project-{number:02}")
    with Process(code, program=doubled(double)) as watch:
        agrees_with_a_sweep(code, count=40)
        for number in range(40):
            modules(code / f"later-{number:02}")
        agrees_with_a_sweep(code, count=80)
        assert watch.end() == 0
        assert watch.says("loaded []\n")
        assert watch.err == b""


def test_what_others_have_recorded_meanwhile_is_known_to_it(code: Path, regrow: Regrow) -> None:
    path = code / "shop/target"
    path.mkdir(parents=True)
    with Process("--json", code) as watch:
        begins(watch, code)
        with stopped(watch):
            (code / "shop/Cargo.toml").touch()
            age(code)
            assert regrow("sweep", "--yes", code).returncode == 0
            assert has_attribute(path)
            (code / "shop/Cargo.toml").unlink()

        eventually(lambda: (str(path), "unmarked") in told(watch), lambda: watch.lines)
        assert str(path) not in records_by_path()


# Idle.


def test_idle_it_takes_no_processor_time_and_sleeps(code: Path) -> None:
    for number in range(100):
        (code / f"group-{number % 10}/{number}").mkdir(parents=True)
    with Process(code) as watch:
        begins(watch, code)
        agrees_with_a_sweep(code, count=1)
        eventually(lambda: is_asleep(watch))
        before = (ticks(watch), switches(watch))

        time.sleep(2)

        assert (ticks(watch), switches(watch)) == before, "not even woken up"


def stat(watch: Process) -> list[str]:
    text = Path(f"/proc/{watch.process.pid}/stat").read_text()
    return text.rpartition(")")[2].split()


def is_asleep(watch: Process) -> bool:
    """Tell whether it has slept for a second."""
    before = switches(watch)
    time.sleep(1)
    return stat(watch)[0] == "S" and switches(watch) == before


def ticks(watch: Process) -> int:
    """Give the processor time that it has taken, in the kernel's ticks."""
    return int(stat(watch)[11]) + int(stat(watch)[12])


def switches(watch: Process) -> int:
    """Count how often it has gone to sleep."""
    status = Path(f"/proc/{watch.process.pid}/status").read_text()
    lines = [line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches")]
    return int(lines[0].split()[1])


def test_json_tells_of_what_failed(code: Path) -> None:
    double = """
from regrow.errors import RecordError
from regrow.records.store import Store
def refuse(*_):
    raise RecordError("nothing can be written (a double)")
Store.write = refuse
"""
    with Process("--json", code, program=doubled(double)) as watch:
        path = modules(code / "shop")
        eventually(lambda: watch.lines)
        assert watch.lines[0]["path"] == str(path)
        assert watch.lines[0]["outcome"] == "failed"
        assert watch.lines[0]["error"] == "nothing can be written (a double)"
        assert json.loads(watch.out.splitlines()[0])
