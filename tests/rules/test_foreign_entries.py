"""A file that came from elsewhere takes nobody's own files out of the backup."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.config import Configuration
from regrow.decide.decisions import decide
from regrow.model import MARK, Candidate, Decision, Scope
from regrow.rules import loader
from regrow.scan.contents import strangers
from regrow.scan.evidence import Listing
from regrow.scan.walk import Scan

SHIPPED = loader.shipped()
Write = Callable[[Path], None]
PACKAGE = json.dumps({"name": "xz", "url": "https://example.org/linux-64/xz-5.4.conda"})


def put(place: Path, *names: str) -> None:
    """Make files, and directories where a slash is at the end."""
    for name in names:
        path = place / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()


def decisions(start: Path) -> dict[str, Decision]:
    found = [one for one in Scan([str(start)], SHIPPED) if isinstance(one, Candidate)]
    decided = decide(found, Scope([str(start)], Configuration(), ()))
    return {str(Path(one.candidate.path).relative_to(start.resolve())): one for one in decided}


def cmake(place: Path) -> None:
    put(place, "CMakeCache.txt")
    (place / "CMakeCache.txt").write_text(
        "CMAKE_HOME_DIRECTORY:INTERNAL=/usr\nCMAKE_GENERATOR:INTERNAL=Ninja\n"
    )


def conda(place: Path) -> None:
    put(place, "conda-meta/history", "conda-meta/xz.json", "bin/xz")
    (place / "conda-meta/xz.json").write_text(PACKAGE)


def meson(place: Path) -> None:
    put(place, "meson-info/meson-info.json", "meson-private/cmd_line.txt")
    (place / "meson-info/meson-info.json").write_text('{"directories": {"source": "/usr"}}')
    (place / "meson-private/cmd_line.txt").write_text("[options]\n")


def venv(place: Path) -> None:
    put(place, "pyvenv.cfg", "bin/python")


def nim(place: Path) -> None:
    put(place, "hello.nim.c")


def tagged(place: Path) -> None:
    put(place, "CACHEDIR.TAG")


STRAY = [
    pytest.param(write, name, id=f"{write.__name__}-{name}")
    for write, names in (
        (cmake, ("Downloads", "build")), (conda, ("Documents", "env")), (meson, ("Pictures",)),
        (venv, ("Documents", ".venv")), (nim, ("nimcache",)),
        (tagged, (".mypy_cache", ".pytest_cache", ".ruff_cache")),
    )
    for name in names
]  # fmt: skip
OWN = ("thesis.odt", "holiday/1.jpg", ".secret", "Report 2024", "run")


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize(("write", "name"), STRAY)
def test_stray_evidence_takes_nobodys_files(
    write: Write, name: str, own: str, tmp_path: Path
) -> None:
    write(tmp_path / "alone" / name)
    assert [one.decision for one in decisions(tmp_path / "alone").values()] == [MARK]
    write(tmp_path / "own" / name)
    put(tmp_path / "own" / name, own)
    assert MARK not in [one.decision for one in decisions(tmp_path / "own").values()]


@pytest.mark.parametrize("write", [cmake, conda, meson, venv])
def test_what_stands_below_stray_evidence_is_found_all_the_same(
    write: Write, tmp_path: Path
) -> None:
    put(tmp_path / "Downloads", "thesis.odt", "shop/Cargo.toml", "shop/target/debug/")
    write(tmp_path / "Downloads")
    found = decisions(tmp_path)
    assert found["Downloads/shop/target"].decision == MARK
    assert "Downloads" not in found


def test_a_build_that_was_unpacked_among_ones_files_stays_and_a_file_is_named(
    tmp_path: Path,
) -> None:
    place = tmp_path / "Downloads"
    cmake(place)
    put(place, "Makefile", "CMakeFiles/demo.dir/", "demo", "thesis.odt", "holiday/1.jpg")
    decision = decisions(tmp_path)["Downloads"]
    assert decision.guard == "foreign"
    assert decision.reason == "it holds what cmake does not make: holiday, thesis.odt"


@pytest.mark.needs("git")
def test_gits_word_is_enough_for_what_a_build_makes_by_any_name(tmp_path: Path) -> None:
    place = tmp_path / "project" / "build"
    cmake(place)
    put(place, "Makefile", "CMakeFiles/demo.dir/", "run.mac")
    assert decisions(tmp_path)["project/build"].guard == "foreign"
    subprocess.run(["git", "init", "-q", tmp_path / "project"], check=True)
    (tmp_path / "project/.gitignore").write_text("build/\n")
    assert decisions(tmp_path)["project/build"].decision == MARK


def test_a_file_that_comes_later_is_noticed_and_one_that_goes(tmp_path: Path) -> None:
    place = tmp_path / "out"
    cmake(place)
    put(place, "Makefile", "CMakeFiles/", "part/CMakeFiles/")
    assert decisions(tmp_path)["out"].decision == MARK
    (place / "part/CMakeFiles").rmdir()
    assert decisions(tmp_path)["out"].reason.endswith(": part")


@pytest.mark.parametrize(
    ("patterns", "targets", "left"),
    [
        (("a", "b/"), "", ["b", "c", "d", "libone.so.1", "one", "one.p", "one.txt"]),
        (("a", "b", "[cd]*", "d/"), "", ["libone.so.1", "one", "one.p", "one.txt"]),
        (("a", "b", "c", "*/x.cmake"), "", ["libone.so.1", "one", "one.p", "one.txt"]),
        (("a", "b", "c", "*/*.cmake"), "", ["libone.so.1", "one", "one.p", "one.txt"]),
        (("a", "b", "c", "*/*.txt"), "", ["d", "libone.so.1", "one", "one.p", "one.txt"]),
        (("[a-d]", "*.p", "{}"), "*.p/", ["libone.so.1", "one.txt"]),
        (("[a-d]", "*.p", "{}.*"), "*.p/", ["libone.so.1"]),
        (("[a-d]", "*.p", "{}.*", "lib{}.*"), "*.p/", []),
        (("[a-d]", "*.p", "{}.*", "lib{}.*"), "d/*.cmake", ["libone.so.1", "one", "one.txt"]),
        (("*",), "", []),
    ],
)
def test_a_list_says_what_is_no_stranger(
    patterns: tuple[str, ...], targets: str, left: list[str], tmp_path: Path
) -> None:
    put(tmp_path, "a", "b", "c", "d/x.cmake", "one.p/", "one", "one.txt", "libone.so.1")
    put(tmp_path, ".DS_Store")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert strangers(patterns, Listing.read(fd), targets) == left
    finally:
        os.close(fd)


@pytest.mark.needs("cmake", "make", "gcc")
def test_what_cmake_and_its_kin_make_is_no_stranger(tmp_path: Path) -> None:
    put(tmp_path, "sub/CMakeLists.txt")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(demo C)\nenable_testing()\n"
        "add_executable(app main.c)\nadd_library(one SHARED one.c)\nadd_library(two one.c)\n"
        "set_target_properties(one PROPERTIES VERSION 1.2.3 SOVERSION 1)\ninclude(CPack)\n"
        "add_subdirectory(sub)\nadd_test(NAME t COMMAND app)\ninstall(TARGETS app DESTINATION x)\n"
    )
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "one.c").write_text("int one(void) { return 1; }\n")
    for words in (
        ("cmake", "-S", ".", "-B", "out", "-G", "Unix Makefiles"),
        ("cmake", "--build", "out"),
        ("cmake", "-E", "chdir", "out", "ctest"),
        ("cmake", "--install", "out", "--prefix", "installed"),
    ):
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert decisions(tmp_path)["out"].decision == MARK
    put(tmp_path / "out", "events.root")
    assert decisions(tmp_path)["out"].reason.endswith(": events.root")
