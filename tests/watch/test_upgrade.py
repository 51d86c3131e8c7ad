"""Another regrow is installed in the place of the one that watches."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

import regrow
import regrow_marks
from regrow.watch import lock, upgrade
from regrow.watch.upgrade import Upgrade
from tests.hostile.helpers import LINUX_ONLY, has_attribute
from tests.service.conftest import hurry, installed, make_tool
from tests.service.conftest import upgrade as put_another_in_its_place
from tests.sweeping import modules
from tests.watch.watching import HURRY, Process, agrees_with_a_sweep, eventually

pytestmark = LINUX_ONLY


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """The interpreter of an installed regrow that looks all the time."""
    python = make_tool(tmp_path / "tool")
    hurry(python)
    return python


def watch_by(tool: Path, code: Path, **more: int) -> Process:
    words = [str(tool), "-P", "-c", HURRY]
    program = f"import os, sys; os.execv({words[0]!r}, [*{words!r}, *sys.argv[1:]])"
    return Process(code, program=program, **more)


def begins(watch: Process, code: Path) -> None:
    becomes_marked(modules(code / "begins"))
    eventually(lambda: lock.owner() is not None)


def becomes_marked(path: Path) -> None:
    eventually(lambda: has_attribute(path), lambda: f"{path} is not marked")


def test_a_watch_goes_on_as_the_regrow_that_was_installed(tool: Path, code: Path) -> None:
    with watch_by(tool, code) as watch:
        begins(watch, code)
        before = lock.owner()

        put_another_in_its_place(tool)
        modules(code / "shop")

        eventually(lambda: watch.says("another regrow was installed, and goes on watching"))
        path = modules(code / "thesis")
        eventually(lambda: watch.says(f"noted  {path}"))
        after = lock.owner()
        assert before is not None
        assert after is not None
        assert after.pid == before.pid == watch.process.pid
        assert after.code != before.code
        agrees_with_a_sweep(code, count=3)
        assert watch.end() == 0
        assert watch.err.count(b"\n") == 1


def test_what_does_not_start_does_not_go_on_and_is_told_once(tool: Path, code: Path) -> None:
    broken = installed(tool) / "cli/watch.py"
    whole = broken.read_text()
    with watch_by(tool, code) as watch:
        begins(watch, code)

        broken.write_text(f"import no_such_module\n{whole}")
        modules(code / "shop")

        problem = "it does not start: ModuleNotFoundError: No module named 'no_such_module'"
        eventually(lambda: watch.says(f"this one goes on watching: {problem}"))
        for number in range(5):
            becomes_marked(modules(code / f"more-{number}"))
        assert watch.err.count(b"\n") == 1

        broken.write_text(whole)
        put_another_in_its_place(tool)
        modules(code / "thesis")
        eventually(lambda: watch.says("another regrow was installed, and goes on watching"))
        path = modules(code / "later")
        eventually(lambda: watch.says(f"noted  {path}"))
        assert watch.end() == 0


def test_in_a_terminal_it_only_says_so(tool: Path, code: Path) -> None:
    master, slave = os.openpty()
    os.set_blocking(master, False)
    said = b""

    def is_told() -> bool:
        nonlocal said
        with contextlib.suppress(BlockingIOError):
            said += os.read(master, 4096)
        return said.endswith(b"start it again to use it\r\n")

    with watch_by(tool, code, stderr=slave) as watch:
        begins(watch, code)

        put_another_in_its_place(tool)
        modules(code / "shop")

        eventually(is_told)
        path = modules(code / "thesis")
        eventually(lambda: watch.says(f"marked  {path}"))
        assert watch.end() == 0
    assert is_told()
    assert said.count(b"\n") == 1
    os.close(slave)
    os.close(master)


def test_where_the_interpreter_is_gone_it_goes_on(
    told: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    looks(monkeypatch, ["a", "b", "b"])
    one = Upgrade(told.append)
    assert [one.look(), one.look()] == [False, False]
    (said,) = told
    assert f"{tmp_path / 'python'} can't be started: it does not exist (ENOENT)" in said


# When it looks.


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told by those who are in no terminal, and look all the time."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)
    monkeypatch.setattr(upgrade, "_BETWEEN", 0.0)
    monkeypatch.setattr(upgrade, "_SETTLED", 0.0)
    return []


def looks(monkeypatch: pytest.MonkeyPatch, found: Iterable[str]) -> None:
    """Let what is installed be one after the other, the first of which runs."""
    codes = iter(found)
    monkeypatch.setattr(upgrade, "code", lambda: next(codes))


def test_an_installation_is_taken_when_it_has_not_changed_between_two_looks(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "_problem", lambda: "")
    looks(monkeypatch, ["old", "old", "half", "", "more", "new", "new"])
    one = Upgrade(told.append)
    assert [one.look() for _ in range(6)] == [False, False, False, False, False, True]
    assert one.is_ready


def test_an_upgrade_that_is_taken_back_changes_nothing(
    told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, ["old", "new", "old", "old"])
    one = Upgrade(told.append)
    assert [one.look() for _ in range(3)] == [False, False, False]
    assert one.due == float("inf")
    assert told == []


def test_it_looks_once_an_hour_and_again_a_minute_after_a_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(upgrade, "_problem", lambda: "it is refused (a double)")
    installed_now = "old"
    times = []

    def code() -> str:
        times.append(now)
        return installed_now

    monkeypatch.setattr(upgrade, "code", code)
    one = Upgrade(lambda _: None)
    dues = set()
    for now in map(float, range(0, 4 * 3600, 10)):
        installed_now = "new" if now > 3600 else "old"
        one.look()
        dues.add(one.due)
    assert times == [0, 3600, 7200, 7260, 10860]
    assert dues == {float("inf"), 7260.0}, "by itself it wakes nobody up otherwise"


# What is another code.


def test_links_and_times_are_no_upgrade_and_whatever_a_file_holds_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "regrow"
    shutil.copytree(Path(regrow.__file__).parent, package)
    monkeypatch.setattr(regrow, "__path__", [str(package)])
    before = upgrade.code()

    (package / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "link").hardlink_to(package / "model.py")
    os.utime(package / "model.py", (1, 1))
    subprocess.run(["touch", package / "__pycache__/model.pyc"], check=True)
    assert upgrade.code() == before, "uv links, and the interpreter compiles"

    text = (package / "model.py").read_text()
    (package / "model.py").write_text(text.replace("e", "E", 1))
    assert upgrade.code() != before
    (package / "model.py").write_text(text)
    assert upgrade.code() == before

    (package / "more.py").touch()
    assert upgrade.code() != before
    (package / "more.py").unlink()

    (package / "model.py").rename(package / "models.py")
    assert upgrade.code() != before


def test_the_same_regrow_in_two_places_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = upgrade.code()
    for package in (regrow, regrow_marks):
        copy = tmp_path / package.__name__
        shutil.copytree(package.__path__[0], copy)
        monkeypatch.setattr(package, "__path__", [str(copy)])
    assert upgrade.code() == here
