"""The tools of a rebuild: they run in peace, and end when they have to, with all they started."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regrow.rebuild import processes
from regrow.rebuild.command import Command
from regrow.rebuild.processes import Processes, StepError, ToolFailedError, UserInterruptError
from tests.rebuilding import PATIENCE, is_alive, pids, wait_for

LONG = "60"  # seconds that a tool sleeps that has to be ended

Run = Callable[..., None]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.fixture
def run(tmp_path: Path, log: int) -> Run:
    """Runs lines of sh as a tool."""

    def run(lines: str, limit: float = PATIENCE, of: Processes | None = None) -> None:
        (of or Processes(limit)).run(Command(("sh", "-c", lines), str(tmp_path)), log)

    return run


def test_what_a_tool_prints_is_in_the_log_after_its_command(run: Run, tmp_path: Path) -> None:
    run("pwd; echo wrong >&2")
    shown = f"(cd {tmp_path} && sh -c 'pwd; echo wrong >&2')"
    assert (tmp_path / "log").read_text() == f"\n$ {shown}\n{tmp_path}\nwrong\n"


def test_a_tool_reads_nothing_from_the_terminal(run: Run) -> None:
    run("! read -r line")


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"])
def test_variables_that_lead_elsewhere_are_not_handed_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid")
    run(f'test -z "${name}" && test "$PIP_INDEX_URL" = https://index.invalid')


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("exit 3", r"sh failed \(exit code 3\)"),
        ("kill -9 $$", "sh was ended by a signal: Killed"),
        ("kill -35 $$", "sh was ended by a signal: Real-time signal"),
    ],
)
def test_a_tool_that_fails_says_how(run: Run, lines: str, message: str) -> None:
    with pytest.raises(ToolFailedError, match=message):
        run(lines)


def test_a_program_that_is_missing_is_named(tmp_path: Path, log: int) -> None:
    with pytest.raises(ToolFailedError, match=r"nothing-such can't be run: it does not exist"):
        Processes(1).run(Command(("nothing-such",), str(tmp_path)), log)


def test_a_full_disk_of_logs_is_named(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(StepError, match=r"log can't be written: the disk is full \(ENOSPC\)"):
            Processes(1).run(Command(("touch", "made"), str(tmp_path)), full)
    finally:
        os.close(full)
    assert not (tmp_path / "made").exists()


CHILDREN = f"""
sleep {LONG} & echo $! > quiet.pid
(trap '' TERM; echo $$ > /dev/null; exec sleep {LONG}) & echo $! > deaf.pid
"""


def test_a_tool_that_takes_too_long_is_ended_with_its_children(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.5)
    with pytest.raises(StepError, match=r"sh took longer than 0\.01 minutes \(--timeout\)"):
        run(f"{CHILDREN}trap '' TERM; echo $$ > own.pid; sleep {LONG}; sleep {LONG}", limit=0.6)
    found = pids(tmp_path, 3)
    assert len(found) == 3
    wait_for(lambda: not any(map(is_alive, found)))


@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
def test_what_a_tool_leaves_running_is_ended(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.5)
    if end == "exit 0":
        run(f"{CHILDREN}{end}")
    else:
        with pytest.raises(ToolFailedError):
            run(f"{CHILDREN}{end}")
    found = pids(tmp_path, 2)
    assert len(found) == 2
    wait_for(lambda: not any(map(is_alive, found)))


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
def test_to_stop_ends_every_tool_and_starts_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.5)
    tools = Processes(PATIENCE)
    raised: list[BaseException] = []

    def work(number: int) -> None:
        try:
            run(f"{trap} echo $$ > {number}.pid; sleep {LONG}; sleep {LONG}", of=tools)
        except StepError as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: pids(tmp_path, 3))
    found = pids(tmp_path, 3)
    tools.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert [type(error) for error in raised] == [UserInterruptError] * 3
    assert not any(map(is_alive, found))
    with pytest.raises(UserInterruptError):
        run("touch started", of=tools)
    assert not (tmp_path / "started").exists()


def test_a_signal_to_regrows_own_group_does_not_reach_a_tool(run: Run, tmp_path: Path) -> None:
    """A Ctrl-C is for regrow, which ends its tools in its own order."""
    run("ps -o pgid= -p $$ > group")
    assert int((tmp_path / "group").read_text()) != os.getpgid(0)
