"""Under load: many environments at once, trees that come and go, npm in a loop."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hostile.helpers import LINUX_ONLY, has_attribute
from tests.sweeping import modules
from tests.watch.watching import (
    Process,
    agrees_with_a_sweep,
    assert_each_is_recorded_as_set,
    eventually,
    marked_below,
    records_by_path,
)

pytestmark = LINUX_ONLY

CREATOR = """
import os, sys
place, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    root = f"{place}/group-{number % 10}/project-{number}/.venv"
    packages = f"{root}/lib/python3.11/site-packages"
    os.makedirs(f"{root}/bin")
    os.symlink("/bin/true", f"{root}/bin/python")
    with open(f"{root}/pyvenv.cfg", "w") as file:
        file.write("home = /usr/bin\\nversion = 3.11.7\\n")
    os.makedirs(packages)
    for name in ("left", "right"):
        information = f"{packages}/{name}-1.0.dist-info"
        os.mkdir(information)
        with open(f"{information}/METADATA", "w") as file:
            file.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n\\n")
        with open(f"{information}/RECORD", "w"):
            pass
"""
"""Makes environments in the order in which creators do."""


def make_environments(place: Path, count: int, processes: int) -> None:
    """Make environments in a burst, from several processes at once."""
    share = count // processes
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-c",
                CREATOR,
                place,
                str(index * share),
                str(index * share + share),
            ]
        )
        for index in range(processes)
    ]
    assert [process.wait() for process in running] == [0] * processes


def check_burst(code: Path, count: int, processes: int, real: int) -> None:
    with Process(code) as watch:
        make_environments(code, count, processes)
        for number in range(real):
            subprocess.run(["uv", "venv", "-q", code / f"real-{number}/.venv"], check=True)

        agrees_with_a_sweep(code, count=count + real)

        assert_requirements(code, count)
        assert watch.end() == 0
        assert watch.err == b""


def assert_requirements(code: Path, count: int) -> None:
    """Check that the recipes hold what was put in after the directories were marked."""
    known = records_by_path()
    for number in range(count):
        record = known[f"{code}/group-{number % 10}/project-{number}/.venv"]
        assert record.recipe["requirements"] == ["left==1.0", "right==1.0"], record


@contextmanager
def meanwhile(*actions: Callable[[], None]) -> Iterator[None]:
    """Do things again and again, in threads, for the length of a block."""
    is_ended = threading.Event()
    errors: list[BaseException] = []

    def repeat(action: Callable[[], None]) -> None:
        try:
            while not is_ended.is_set():
                action()
        except BaseException as error:  # noqa: BLE001 - it is raised where the block ends
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_ended.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def deep_tree(place: Path) -> Path:
    """Make a deep tree of projects; five directories of it are to be marked."""
    for level in range(5):
        modules(place.joinpath(*["deep"] * level) / f"shop-{level}")
    return place


def check_coming_and_going(code: Path, home: Path, seconds: float) -> None:
    """Move trees in and out, and delete directories while they are being marked."""
    outside = home / "outside"
    outside.mkdir()
    deep_tree(outside / "tree")
    count = 0

    def move() -> None:
        os.rename(outside / "tree", code / "tree")
        time.sleep(random.random() * 0.2)
        os.rename(code / "tree", code / "renamed")
        time.sleep(random.random() * 0.2)
        os.rename(code / "renamed", outside / "tree")

    def delete() -> None:
        nonlocal count
        count += 1
        path = modules(code / f"short-lived-{count % 7}")
        time.sleep(random.random() * 0.15)
        shutil.rmtree(path.parent)

    def make() -> None:
        deep_tree(code / f"kept-{time.monotonic_ns()}")
        time.sleep(0.2)

    with Process(code) as watch:
        with meanwhile(move, delete, make):
            time.sleep(seconds)
        os.rename(outside / "tree", code / "tree")
        kept = len([path for path in code.iterdir() if path.name.startswith("kept-")])

        agrees_with_a_sweep(code, count=5 * kept + 5)
        assert_each_is_recorded_as_set(code)
        assert watch.end() == 0
        assert watch.err == b"", "what vanishes is no failure"


def check_npm(code: Path, turns: int) -> None:
    """Let npm take its directory away and make it anew."""
    project = code / "shop"
    local = code / "left"
    local.mkdir()
    (local / "package.json").write_text('{"name": "left", "version": "1.0.0"}')
    project.mkdir()
    (project / "package.json").write_text(json.dumps({"dependencies": {"left": "file:../left"}}))
    npm = ["npm", "--offline", "--no-audit", "--no-fund", "--silent"]
    subprocess.run([*npm, "install"], cwd=project, check=True)
    with Process(code) as watch:
        for _ in range(turns):
            subprocess.run([*npm, "ci"], cwd=project, check=True)
            eventually(lambda: has_attribute(project / "node_modules"))
        shutil.rmtree(project / "node_modules")
        subprocess.run([*npm, "install"], cwd=project, check=True)

        agrees_with_a_sweep(code, count=1)
        assert watch.end() == 0
        assert watch.err == b""


def test_environments_in_a_burst(code: Path) -> None:
    check_burst(code, 100, 4, 2)


@pytest.mark.slow
def test_a_thousand_environments_in_a_burst(code: Path) -> None:
    check_burst(code, 1000, 5, 20)


def test_trees_that_come_and_go(code: Path, home: Path) -> None:
    check_coming_and_going(code, home, 2)


@pytest.mark.slow
def test_trees_that_come_and_go_for_a_minute(code: Path, home: Path) -> None:
    check_coming_and_going(code, home, 60)


@pytest.mark.needs("npm")
def test_npm_ci_in_a_loop(code: Path) -> None:
    check_npm(code, 2)


@pytest.mark.slow
@pytest.mark.needs("npm")
def test_npm_ci_in_a_long_loop(code: Path) -> None:
    check_npm(code, 30)


@pytest.mark.slow
def test_all_at_once(code: Path) -> None:
    with Process(code) as watch:
        creating = threading.Thread(target=make_environments, args=(code, 400, 4))
        creating.start()
        (code / "other").mkdir()
        for number in range(50):
            deep_tree(code / f"other/{number}")
            if number % 2:
                os.rename(code / f"other/{number}", code / f"other/renamed-{number}")
            elif number % 3 == 0:
                shutil.rmtree(code / f"other/{number}")
        creating.join()

        agrees_with_a_sweep(code, count=400 + 5 * len(os.listdir(code / "other")))
        assert watch.end() == 0


def test_nothing_but_what_should_be_is_marked(code: Path) -> None:
    with Process(code):
        path = modules(code / "shop")
        (code / "plain/node_modules/x").mkdir(parents=True)
        (code / "shop/src/target").mkdir(parents=True)
        agrees_with_a_sweep(code, count=1)
        assert marked_below(code) == {str(path)}
