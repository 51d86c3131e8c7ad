"""What one project holds costs little memory and time: a sweep goes on, and says what it kept."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.helpers import LINUX_ONLY
from tests.hostile.test_one_stops_none import SOURCE, cmake, conda, meson, node, python
from tests.sweeping import modules

pytestmark = LINUX_ONLY

MEMORY = 200  # MB
SECONDS = 10.0  # of the processor's time: machines may be busy
ADDRESSES = 2 << 30  # bytes: where a bound fails, the machine is not to suffer

CHILD = """
import json, resource, sys
from regrow.cli.main import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)  # its ru_maxrss counts what forked us, too
with open("/proc/self/status") as status:
    own = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
most = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
print(json.dumps([code, most >> 10, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


def measured(*words: str, cwd: Path) -> tuple[int, int, float, str]:
    """Run regrow; returns the exit code, the most memory in MB, seconds, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
    )
    assert "Traceback" not in done.stderr, done.stderr
    code, memory, seconds = json.loads(done.stderr.splitlines()[-1])
    return code, memory, seconds, done.stdout


def sparse(path: Path, head: bytes = b"") -> None:
    path.write_bytes(head)
    os.truncate(path, 2 << 30)


def in_environment(name: str, write: Callable[[Path], Any]) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        python(place, "top_level.txt", "one")
        (info,) = (place / ".venv").glob("lib/*/*/*.dist-info")
        write(info / name)

    return make


def beside_environment(name: str, *text: tuple[bytes, int]) -> Callable[[Path], None]:
    """Write a file beside an environment, of parts that are repeated."""

    def make(place: Path) -> None:
        python(place, "top_level.txt", "one")
        (place / name).write_bytes(b"".join(part * count for part, count in text))

    return make


def many(name: str, count: int) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        python(place, "top_level.txt", "one")
        (packages,) = (place / ".venv").glob("lib/*/site-packages")
        for number in range(count):
            (packages / name.format(number)).touch()

    return make


M = 1 << 20
TREES: dict[str, Callable[[Path], None]] = {
    "lock of brackets": beside_environment("uv.lock", (b"[\n", 30 * M)),
    "lock of packages": beside_environment("poetry.lock", (b'[[package]]\nname = "a"\n', 2 * M)),
    "lock of names": beside_environment(
        "pdm.lock", (b"[[package]]\n", 1), (b'name = "a"\n', 5 * M)
    ),
    "lock of pins": beside_environment("requirements.txt", (b"a==1\n", 12 * M)),
    "lock of a wide character": beside_environment("uv.lock", (b"a", 60 * M), ("😀".encode(), 1)),
    "Pipfile.lock": beside_environment("Pipfile.lock", (b"[", 1), (b"[],", 20 * M), (b"[]]", 1)),
    "Pipfile.lock of strings": beside_environment(
        "Pipfile.lock", (b'["', 1), (b'","', 20 * M), (b'"]', 1)
    ),
    "pyproject": beside_environment("pyproject.toml", (b"a.", 40_000), (b"a = 1", 1)),
    "own file": beside_environment(".regrow.toml", (b"a.", 8000), (b"a = 1", 1)),
    "sparse RECORD": in_environment("RECORD", sparse),
    "sparse METADATA": in_environment("METADATA", lambda p: sparse(p, b"Name: one\nVersion: 1\n")),
    "sparse direct_url": in_environment("direct_url.json", sparse),
    "RECORD of lines": in_environment("RECORD", lambda p: p.write_bytes(b"a\n" * (11 * M))),
    "RECORD of names": in_environment(
        "RECORD", lambda p: p.write_text("".join(f"{n},,\n" for n in range(199_000)))
    ),
    "hidden lock of lists": lambda place: node(place, "{}", "[" + "[]," * (20 * M) + "[]]"),
    "hidden lock of objects": lambda place: node(
        place, "{}", '{"packages": {"": {}' + ',"":{}' * (9 * M) + "}}"
    ),
    "hidden lock that barely passes": lambda place: node(
        place, "{}", '{"packages":{"":{}' + "".join(f',"{n}":{{}}' for n in range(250_000)) + "}}"
    ),
    "hidden lock that is deep": lambda place: node(
        place,
        "{}",
        '{"packages":{},"a":[' + ",".join("[" * 800 + "]" * 800 for _ in range(600)) + "]}",
    ),
    "package": lambda place: conda(place, '{"files": [' + '"",' * (20 * M) + '""]}'),
    "cmake lines": lambda place: cmake(place, b"\n" * (4 * M)),
    "cmake entries": lambda place: cmake(place, b"".join(b"a%d:B=c\n" % n for n in range(100_000))),
    "cmake large": lambda place: cmake(place, b"A:STRING=" + b"a" * (64 * M)),
    "meson options": lambda place: meson(place, SOURCE % "", "[options]\n" + "a=b\n" * (4 * M)),
    "meson options of small size": lambda place: meson(
        place, SOURCE % "", "[options]\n" + "".join(f"a{n}=b\n" for n in range(13_000))
    ),
    "meson information": lambda place: meson(place, "[" + "[]," * (5 * M) + "[]]"),
    "many distributions": many("a{0}-1.dist-info", 20_000),
    "many files": many("a{0}.py", 120_000),
}  # fmt: skip


SLOW = ("lock of names", "hidden lock that barely passes", "package", "many files")
"""Their likes run in ``make test``."""


@pytest.mark.parametrize(
    "tree", [pytest.param(tree, marks=pytest.mark.slow) if tree in SLOW else tree for tree in TREES]
)
def test_a_project_takes_little_memory_and_time_and_the_other_is_marked(
    tree: str, home: Path
) -> None:
    TREES[tree](home / "hostile")
    other = modules(home / "z").resolve()
    code, memory, seconds, out = measured("sweep", "--yes", "--json", str(home), cwd=home)
    lines = {line["path"]: line for line in map(json.loads, out.splitlines())}
    assert lines[str(other)]["outcome"] == "marked"
    assert memory < MEMORY
    assert seconds < SECONDS
    assert code in (0, 1)


@pytest.mark.parametrize(
    "pyproject", [b"a." * 20_000 + b"a = 1", b"[[a]]\n" * 200_000, b"a=" + b"[" * 90_000]
)
def test_uv_is_started_whatever_the_pyproject(pyproject: bytes, home: Path) -> None:
    binaries = home / "bin"
    binaries.mkdir()
    (binaries / "uv").write_text("#!/bin/sh\ntouch ran\n")
    (binaries / "uv").chmod(0o755)
    project = home / "p"
    project.mkdir()
    (project / "pyproject.toml").write_bytes(b'[project]\nname = "x"\n' + pyproject)
    code, memory, seconds, _ = measured("run", "--", str(binaries / "uv"), "sync", cwd=project)
    assert (project / "ran").exists()
    assert (code, memory < MEMORY, seconds < SECONDS) == (0, True, True)


def test_depth_costs_no_more_than_its_names(home: Path) -> None:
    place = os.open(home, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 255, dir_fd=place)
        inner = os.open("d" * 255, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    try:
        code, memory, seconds, out = measured("sweep", "--dry-run", "--json", str(home), cwd=home)
        assert "longer than programs can name" in out
        assert (code, memory < 100, seconds < SECONDS) == (0, True, True)
    finally:
        subprocess.run(["rm", "-rf", home / ("d" * 255)], check=True)


def test_a_directory_of_a_huge_size_is_no_evidence_and_what_is_in_it_is_visited(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regrow.rules import loader
    from regrow.scan import evidence, walk

    other = modules(home / "many/z").resolve()
    (home / "many/pyvenv.cfg").touch()
    (home / "many/bin").mkdir()
    (home / "many/bin/python").symlink_to("/usr/bin/python3")
    monkeypatch.setattr(evidence, "HUGE", -1)
    monkeypatch.setattr(walk, "HUGE", -1)
    names = {one.path for one in walk.Scan([str(home)], loader.shipped())}
    assert names == set(), "each directory is a huge one"
    monkeypatch.undo()
    assert str(other) in {one.path for one in walk.Scan([str(home)], loader.shipped())}


@pytest.mark.slow
def test_a_million_entries_take_little(home: Path) -> None:
    (home / "photos").mkdir()
    place = os.open(home / "photos", os.O_RDONLY)
    for number in range(1_000_000):
        os.mknod(f"{number:07}.jpg", dir_fd=place)
    os.close(place)
    other = modules(home / "photos/z").resolve()
    code, memory, seconds, _ = measured("sweep", "--yes", str(home), cwd=home)
    assert (code, memory < MEMORY, seconds < SECONDS) == (0, True, True)
    assert other.is_dir()
