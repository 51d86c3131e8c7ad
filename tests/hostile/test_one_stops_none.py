"""Whatever one project holds, the others are looked at, and people read words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow import pipeline
from regrow.decide import guards
from regrow.errors import TRACEBACK
from regrow.system import git
from regrow_marks import markers, tag
from tests.hostile.helpers import LINUX_ONLY
from tests.sweeping import Inside, modules
from tests.sweeping import git as run_git

pytestmark = LINUX_ONLY

DEEP = "[" * 10_000
DIGITS = "1" * 5_000


def meson(place: Path, information: str, given: str = "[options]\n") -> None:
    for name, text in (("info/meson-info.json", information), ("private/cmd_line.txt", given)):
        file = place / "build" / f"meson-{name}"
        file.parent.mkdir(parents=True)
        file.write_text(text)


def conda(place: Path, package: str) -> None:
    (place / "env/bin").mkdir(parents=True)
    (place / "env/conda-meta").mkdir()
    (place / "env/conda-meta/history").touch()
    (place / "env/conda-meta/xz.json").write_text(package)


def node(place: Path, package: str, lock: str) -> None:
    (place / "node_modules").mkdir(parents=True)
    (place / "package.json").write_text(package)
    (place / "node_modules/.package-lock.json").write_text(lock)


def python(place: Path, name: str, text: str) -> None:
    info = place / ".venv/lib/python3.11/site-packages/one-1.dist-info"
    info.mkdir(parents=True)
    (place / ".venv/bin").mkdir()
    (place / ".venv/bin/python").symlink_to("/usr/bin/python3")
    (place / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    (info / "METADATA").write_text("Name: one\nVersion: 1\n")
    (info / "RECORD").write_text("one/x.py,,\n")
    (info / name).write_text(text)


def cmake(place: Path, line: bytes) -> None:
    (place / "out").mkdir(parents=True)
    head = b"CMAKE_HOME_DIRECTORY:INTERNAL=/usr\nCMAKE_GENERATOR:INTERNAL=Ninja\n"
    (place / "out/CMakeCache.txt").write_bytes(head + line)


SOURCE = '{"directories": {"source": "/usr/%s"}}'
DAMAGE: dict[str, Callable[[Path], None]] = {
    "meson surrogate": lambda place: meson(place, SOURCE % "\\ud800"),
    "meson null": lambda place: meson(place, SOURCE % "\\u0000"),
    "meson digits": lambda place: meson(place, DIGITS),
    "meson deep": lambda place: meson(place, DEEP),
    "meson list": lambda place: meson(place, "[]"),
    "meson option": lambda place: meson(place, SOURCE % "", f"[properties]\ncross_file = {DEEP}"),
    "meson interpolation": lambda place: meson(place, SOURCE % "", "[options]\na = %(b)s\n"),
    "conda surrogate": lambda place: conda(place, '{"url": "https://x.org/\\udfff.conda"}'),
    "conda digits": lambda place: conda(place, f'{{"url": {DIGITS}}}'),
    "conda deep": lambda place: conda(place, DEEP),
    "conda number": lambda place: conda(place, "1e999"),
    "node surrogate": lambda place: node(place, '{"name": "\\ud800"}', '{"packages": {}}'),
    "node digits": lambda place: node(place, "{}", f'{{"packages": {{"": {DIGITS}}}}}'),
    "node deep": lambda place: node(place, "{}", DEEP),
    "node infinity": lambda place: node(place, "{}", '{"packages": {"": {"a": Infinity}}}'),
    "node manager": lambda place: node(place, f'{{"packageManager": {DEEP}', "{}"),
    "node list": lambda place: node(place, "[]", '{"packages": {"node_modules/a": []}}'),
    "python origin": lambda place: python(
        place, "direct_url.json", '{"url": "https://x.org/\\ud800", "archive_info": {}}'
    ),
    "python directory": lambda place: python(
        place, "direct_url.json", '{"url": "file:///usr/\\ud800", "dir_info": {}}'
    ),
    "python digits": lambda place: python(place, "direct_url.json", f'{{"url": {DIGITS}}}'),
    "python deep": lambda place: python(place, "direct_url.json", DEEP),
    "python hash": lambda place: python(
        place, "direct_url.json", '{"url": "https://x.org/a.zip", "archive_info": {"hash": 1}}'
    ),
    "cmake bytes": lambda place: cmake(place, b"A:STRING=\xed\xa0\x80\n"),
    "cmake null": lambda place: cmake(place, b"A:STRING=\0\n"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_in_one_project_is_told_in_words_and_the_other_is_marked(
    damage: str, home: Path
) -> None:
    DAMAGE[damage](home / "a/hostile")
    other = modules(home / "z")
    regrow = Inside()
    for words in (
        ("sweep", "--dry-run", "--json"), ("sweep", "--yes", "--json"), ("list", "--json"),
        ("export", "restic"), ("rebuild", "--dry-run"), ("undo", "--dry-run"), ("doctor",),
        ("sweep", "--yes"), ("explain", home / "a/hostile/build"),
    ):  # fmt: skip
        done = regrow(*words)
        assert "Traceback" not in done.stderr, words
        assert TRACEBACK not in done.stderr + done.stdout, words
    assert markers.all_hold(markers.selected(), _open(other))


def _open(path: Path) -> Any:
    from regrow_marks.directory import open_directory

    return open_directory(str(path))


@pytest.fixture
def two(home: Path) -> tuple[Path, Path]:
    return modules(home / "a/hostile").resolve(), modules(home / "z").resolve()


def raise_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, place: str) -> None:
    """Let a function fail, as it may by a fault that nobody knows of, where it is about a place."""
    whole = getattr(module, name)

    def fail(*words: Any, **named: Any) -> Any:
        if place in repr((words, named)):
            raise ZeroDivisionError("nobody foresaw this")
        return whole(*words, **named)

    monkeypatch.setattr(module, name, fail)


@pytest.mark.parametrize(
    ("module", "name"),
    [(guards, "build_recipe_for"), (tag, "is_environment"), (pipeline, "mark")],
)
def test_an_unforeseen_fault_is_that_directorys_failure_with_path_cause_and_way_out(
    module: Any, name: str, two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile, other = two
    if name == "mark":
        monkeypatch.setattr(
            "regrow_marks.directory.Directory.__repr__", lambda self: self.path, raising=False
        )
    if name == "is_environment":
        monkeypatch.setattr(
            "regrow_marks.directory.Directory.__repr__", lambda self: self.path, raising=False
        )
    raise_at(monkeypatch, module, name, "hostile")
    done = Inside()("sweep", "--yes", "--json")
    assert done.returncode == 1
    lines = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines[str(hostile)]["outcome"] == "failed"
    assert str(hostile) in lines[str(hostile)]["error"]
    assert "ZeroDivisionError: nobody foresaw this" in lines[str(hostile)]["error"]
    assert lines[str(other)]["outcome"] == "marked"
    said = Inside()("sweep", "--yes").stderr
    assert str(hostile) in said
    assert "Traceback" not in said


def test_a_fault_takes_no_mark_back_and_is_not_remembered(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Inside()("sweep", "--yes").returncode == 0
    (two[0] / "new").touch()  # or what was decided is remembered
    (two[0].parent / "package-lock.json").write_text("{ }")
    with monkeypatch.context() as patched:
        raise_at(patched, guards, "build_recipe_for", "hostile")
        assert Inside()("sweep", "--yes").returncode == 1
        assert markers.all_hold(markers.selected(), _open(two[0]))
    assert Inside()("sweep", "--yes").returncode == 0


def test_a_repository_that_git_cant_be_asked_about_for_an_unknown_reason_stays(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in two:
        run_git(path.parent, "init", "-q")
    raise_at(monkeypatch, git, "ask", "hostile")
    done = Inside()("sweep", "--yes", "--json")
    lines = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines[str(two[0])]["guard"] == "git-silent"
    assert lines[str(two[1])]["outcome"] == "marked"


def test_what_a_command_did_not_foresee_is_told_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regrow.rules.loader.active_rules", lambda *_: 1 // 0)
    done = Inside()("sweep", "--dry-run")
    assert done.returncode == 1
    assert done.stderr.startswith("regrow: ZeroDivisionError: ")
    assert "Traceback" not in done.stderr
    monkeypatch.setenv(TRACEBACK, "1")
    assert "Traceback" in Inside()("sweep", "--dry-run").stderr
