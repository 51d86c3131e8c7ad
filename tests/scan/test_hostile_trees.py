"""Trees made to break a scan: names, loops, depths, pipes, changes under its hands, git's traps."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regrow.config import Configuration
from regrow.decide import decisions, guards
from regrow.model import KEEP, MARK, Candidate, Decision, Scope, Unreadable
from regrow.rules import loader
from regrow.scan.walk import Scan
from tests import attributes
from tests.conftest import NOBODY, Regrow
from tests.mounts import mounted_image

RULES = [rule for rule in loader.shipped() if not rule.home]
PATIENCE = 10.0  # seconds for what takes a fraction of one unless it hangs


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def scan(*start: Path | str) -> tuple[set[str], list[Unreadable]]:
    """Scan, and check that no descriptor is left open."""
    before = open_descriptors()
    findings = list(Scan([str(place) for place in start], RULES))
    assert open_descriptors() == before
    found = [finding.path for finding in findings if isinstance(finding, Candidate)]
    assert len(found) == len(set(found))
    return set(found), [finding for finding in findings if isinstance(finding, Unreadable)]


def decide(*start: Path) -> dict[str, Decision]:
    places = [str(place) for place in start]
    found = [finding for finding in Scan(places, RULES) if isinstance(finding, Candidate)]
    return {
        d.candidate.path: d for d in decisions.decide(found, Scope(places, Configuration(), ()))
    }


def make_target(project: Path) -> Path:
    (project / "target").mkdir(parents=True)
    (project / "Cargo.toml").touch()
    return project / "target"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "place"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """Fail where a test takes so long that something must have waited."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 3 * PATIENCE


# Names.

NAMES = [b"line\nbreak", b"not UTF-8 \xff\xfe", b"\x1b[31mred\x1b]0;title\x07", b"\x9b31m", b"\r",
         b"blank ", b"\\", b"*", b"-rf", b"\xc2\x9b2J", b"\xe2\x80\xae", b"[bold]"]  # fmt: skip


def test_names_of_all_kinds_are_found_shown_escaped_and_given_exactly(
    regrow: Regrow, place: Path
) -> None:
    expected = set()
    for name in NAMES:
        project = os.path.join(os.fsencode(place), name)
        expected.add(os.fsencode(make_target(Path(os.fsdecode(project)))))
    done = regrow("sweep", "--dry-run", place)
    assert done.returncode == 0
    assert all(c.isprintable() or c == "\n" for c in done.stdout + done.stderr)
    assert done.stdout.count("would mark") == len(NAMES) + 1
    lines = regrow.json("sweep", "--dry-run", place)
    exact = {
        b64decode(line["path_b64"]) if "path_b64" in line else os.fsencode(line["path"])
        for line in lines
    }
    assert exact == expected
    assert sum("path_b64" in line for line in lines) == 2
    nulls = subprocess.run(
        [*regrow.command, "sweep", "--dry-run", "-0", place], capture_output=True, check=True
    )
    assert set(nulls.stdout.split(b"\0")) - {b""} == expected


def test_a_name_that_terminals_obey_is_escaped_in_reasons_too(regrow: Regrow, place: Path) -> None:
    project = place / "\x1b[2J"
    make_target(project)
    (project / ".regrow.toml").write_text('"\\u001b[31m" = 1\n')
    done = regrow("sweep", "--dry-run", place)
    assert "\x1b" not in done.stdout + done.stderr
    assert "can't be read" in done.stdout


# Shapes.


def test_loops_of_links_are_not_followed(place: Path) -> None:
    target = make_target(place / "a")
    (place / "a" / "up").symlink_to(place)
    (place / "self").symlink_to("self")
    (place / "node_modules").symlink_to("a")
    (place / "package.json").touch()
    assert scan(place) == ({str(target)}, [])


DEEP = """
import os, resource, sys
from regrow.rules import loader
from regrow.scan.walk import Scan
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
before = os.listdir("/dev/fd")
findings = list(Scan([sys.argv[1]], loader.shipped()))
assert os.listdir("/dev/fd") == before
print(*sorted(finding.path.count("/d") for finding in findings))
"""


def make_deep(place: Path, levels: int, targets: set[int]) -> None:
    fd = os.open(place, os.O_RDONLY)
    for level in range(1, levels + 1):
        os.mkdir("d", dir_fd=fd)
        lower = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = lower
        if level in targets:
            os.mkdir("target", dir_fd=fd)
            os.close(os.open("Cargo.toml", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_three_thousand_levels_are_read_with_few_descriptors(place: Path) -> None:
    try:
        levels = {1, 63, 64, 65, 66, 1500, 2999, 3000}
        make_deep(place, 3000, levels)
        done = subprocess.run(
            [sys.executable, "-c", DEEP, place], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        named = [str(level) for level in sorted(levels) if level <= 1500]
        *found, too_long = done.stdout.split()
        assert found == named
        assert 1900 < int(too_long) < 2048, "programs can't name what is further down"
        assert {d.decision for d in decide(place).values()} == {MARK}
    finally:
        subprocess.run(["rm", "-rf", place], check=True)


def test_many_deep_branches_are_read_with_few_descriptors(place: Path) -> None:
    make_deep(place, 90, set())
    branching = [place.joinpath(*"d" * level) for level in (0, 2, 40, 90)]
    for parent in branching:
        for name in "abz":
            (parent / name).mkdir()
            make_deep(parent / name, 100, {100})
    found, unreadable = scan(place)
    assert (len(found), unreadable) == (12, [])
    subprocess.run(["rm", "-rf", place], check=True)


def test_a_scan_that_is_given_up_leaves_no_descriptor_open(place: Path) -> None:
    for name in "abc":
        (place / name).mkdir()
        make_deep(place / name, 100, {50, 100})
    before = open_descriptors()
    for many in range(6):
        walk = iter(Scan([str(place)], RULES))
        for _ in range(many):
            next(walk)
        walk.close()  # type: ignore[attr-defined]
        assert open_descriptors() == before
    subprocess.run(["rm", "-rf", place], check=True)


# Rights.


def test_unreadable_directories_are_told_and_the_rest_is_done(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    target = make_target(open_place / "z")
    closed = {open_place / "no-list", open_place / "nothing"}
    for directory, mode in zip(sorted(closed), (0o311, 0o000), strict=True):
        make_target(directory)
        directory.chmod(mode)
    found, unreadable = as_ordinary_user(lambda: scan(open_place))
    assert found == {str(target)}
    assert {one.path for one in unreadable} == {str(path) for path in closed}
    assert all("EACCES" in one.error for one in unreadable)


@pytest.mark.needs_root
def test_what_belongs_to_somebody_else_is_kept(place: Path) -> None:
    theirs, mine = make_target(place / "theirs"), make_target(place / "mine")
    os.chown(theirs, NOBODY, NOBODY)
    decisions = decide(place)
    assert (decisions[str(theirs)].decision, decisions[str(theirs)].guard) == (KEEP, "not-ours")
    assert decisions[str(mine)].decision == MARK


# Evidence that is none.


def make_special(path: Path, kind: str) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path has 108 bytes at most
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(here)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        (path.parent / "real").touch()
        path.symlink_to("real")
    else:
        path.symlink_to(path.name)


@pytest.mark.parametrize("kind", ["FIFO", "socket", "directory", "link", "loop"])
@pytest.mark.parametrize(
    ("evidence", "directory"),
    [("package.json", "node_modules"), ("Cargo.toml", "target"), ("env/pyvenv.cfg", "env/bin"),
     ("out/CMakeCache.txt", "out"), ("vendor/modules.txt", "other"), ("renv.lock", "renv/library"),
     (".mypy_cache/CACHEDIR.TAG", ".mypy_cache"), ("CACHEDIR.TAG", "sub")],
)  # fmt: skip
def test_only_a_regular_file_is_evidence(
    place: Path, kind: str, evidence: str, directory: str
) -> None:
    (place / directory).mkdir(parents=True)
    if directory == "env/bin":
        (place / "env/bin/python").symlink_to("/usr/bin/python3")
    (place / evidence).parent.mkdir(exist_ok=True)
    make_special(place / evidence, kind)
    assert scan(place) == (set(), [])


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100_000, bytes(range(256)) * 1000, b"x" * (9 << 20),
     b"CMAKE_HOME_DIRECTORY:INTERNAL=/usr\0\n", b"CMAKE_HOME_DIRECTORY:INTERNAL=" + b"/a" * 900_000,
     b"CMAKE_HOME_DIRECTORY:INTERNAL=/" + b"\xff" * 200, b"CMAKE_HOME_DIRECTORY:INTERNAL=~"],
    ids=["empty", "zeros", "binary", "huge", "null", "long", "not UTF-8", "home"],
)  # fmt: skip
def test_a_cmake_cache_that_is_none_is_no_evidence(place: Path, content: bytes) -> None:
    target = make_target(place / "z")
    (place / "out").mkdir()
    (place / "out" / "CMakeCache.txt").write_bytes(content)
    assert scan(place) == ({str(target)}, [])


def test_a_cmake_cache_that_names_itself_through_links_is_no_evidence(place: Path) -> None:
    (place / "out").mkdir()
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    (place / "c").symlink_to("out")
    for source in ("a", "a/x", "c", "c/../out", "out/CMakeCache.txt"):
        (place / "out" / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:X={place}/{source}\n")
        assert scan(place) == (set(), [])


def test_a_cmake_cache_that_becomes_a_pipe_does_not_stop_the_scan(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regrow.scan import evidence

    (place / "out").mkdir()
    cache = place / "out" / "CMakeCache.txt"
    cache.write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/usr\n")
    real = evidence.cmake_variable

    def late(variable: str, directory: evidence.Listing) -> str | None:
        cache.unlink(missing_ok=True)
        os.mkfifo(cache)
        return real(variable, directory)

    monkeypatch.setattr(evidence, "cmake_variable", late)
    thread = threading.Thread(target=scan, args=(place,), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


# Changes under the scan.


def test_what_vanishes_or_becomes_a_link_during_the_scan_is_passed_over(
    place: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path.resolve() / "elsewhere"
    make_target(elsewhere)
    make_target(place / "a")
    for name in ("gone", "link", "file"):
        make_target(place / name)
    last = make_target(place / "z")
    walk = iter(Scan([str(place)], RULES))
    before = open_descriptors()
    first = next(walk)
    assert first.path == str(place / "a" / "target")
    for name in ("gone", "link", "file"):
        (place / name).rename(tmp_path / name)
    (place / "link").symlink_to(elsewhere)
    (place / "file").touch()
    assert [finding.path for finding in walk] == [str(last)]
    assert open_descriptors() <= before


def test_a_directory_that_is_moved_away_during_a_deep_scan_is_told(
    place: Path, tmp_path: Path
) -> None:
    (place / "a").mkdir()
    make_deep(place / "a", 200, {200})
    make_target(place / "a" / "d" / "z")
    walk = iter(Scan([str(place)], RULES))
    before = open_descriptors()
    assert isinstance(next(walk), Candidate)  # the one at the bottom
    inner = place.joinpath("a", *"d" * 100)
    inner.rename(tmp_path / "moved")
    rest = list(walk)
    assert [type(finding) for finding in rest] == [Unreadable]
    assert rest[0].path == str(place / "a" / "d")
    assert "moved" in getattr(rest[0], "error", "")
    assert open_descriptors() <= before
    subprocess.run(["rm", "-rf", place, tmp_path / "moved"], check=True)


def test_a_tree_that_somebody_changes_all_the_time_is_scanned_to_its_end(
    place: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path.resolve() / "elsewhere"
    make_target(elsewhere)
    quiet = make_target(place / "quiet")
    stop = threading.Event()

    def change() -> None:
        busy = place / "busy"
        while not stop.is_set():
            busy.mkdir()
            (busy / "target").mkdir()
            (busy / "Cargo.toml").touch()
            busy.rename(place / "other")
            busy.symlink_to(elsewhere)
            busy.unlink()
            subprocess.run(["rm", "-rf", place / "other"], check=True)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            found = {
                finding.path
                for finding in Scan([str(place)], RULES)
                if isinstance(finding, Candidate)
            }
            assert str(quiet) in found
            assert found <= {str(place / n / "target") for n in ("quiet", "busy", "other")}
    finally:
        stop.set()
        thread.join()


def test_a_candidate_that_was_replaced_since_is_kept(place: Path, tmp_path: Path) -> None:
    target = make_target(place)
    found = [f for f in Scan([str(place)], RULES) if isinstance(f, Candidate)]
    target.rename(tmp_path / "away")
    target.mkdir()
    (decision,) = decisions.decide(found, Scope([str(place)], Configuration(), ()))
    assert (decision.decision, decision.guard) == (KEEP, "not-ours")
    target.rmdir()
    target.symlink_to(tmp_path / "away")
    (decision,) = decisions.decide(found, Scope([str(place)], Configuration(), ()))
    assert (decision.decision, decision.guard) == (KEEP, "not-ours")


# git.

TRAPS = """\
[core]
    fsmonitor = {trap} fsmonitor
    hooksPath = {hooks}
    pager = {trap} pager
    editor = {trap} editor
    sshCommand = {trap} ssh
    alternateRefsCommand = {trap} refs
    gitProxy = {trap} proxy
    attributesFile = {attributes}
[filter "trap"]
    clean = {trap} clean
    smudge = {trap} smudge
    process = {trap} process
    required = true
[diff]
    external = {trap} diff
[diff "trap"]
    textconv = {trap} textconv
    command = {trap} command
[merge "trap"]
    driver = {trap} merge
[alias]
    ls-files = !{trap} alias
    status = !{trap} alias
[pager]
    ls-files = {trap} pager
[gpg]
    program = {trap} gpg
[credential]
    helper = !{trap} credential
"""


@pytest.mark.needs("git")
@pytest.mark.parametrize("where", ["own", "included", "elsewhere"])
def test_nothing_that_a_repository_configures_is_run(
    regrow: Regrow, place: Path, tmp_path: Path, where: str
) -> None:
    ran, trap, hooks = tmp_path / "ran", tmp_path / "trap", tmp_path / "hooks"
    trap.write_text(f'#!/bin/sh\necho "$*" >> {ran}\ncat\n')
    trap.chmod(0o755)
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "pre-commit", "post-checkout"):
        (hooks / hook).write_text(trap.read_text())
        (hooks / hook).chmod(0o755)
    subprocess.run(["git", "init", "-q", place], check=True)
    make_target(place / "sub")
    (place / "build").mkdir()
    (place / "setup.py").touch()
    (place / ".gitignore").write_text("build/\n")
    subprocess.run(["git", "-C", place, "add", "."], check=True)
    (place / ".gitattributes").write_text("* filter=trap diff=trap merge=trap\n")
    attributes, included = tmp_path / "attributes", tmp_path / "included"
    attributes.write_text("* filter=trap\n")
    text = TRAPS.format(trap=trap, hooks=hooks, attributes=attributes)
    if where == "included":
        included.write_text(text)
        text = f'[includeIf "gitdir:/"]\n    path = {included}\n'
    with (place / ".git" / "config").open("a") as configuration:
        configuration.write(text)
    if where == "elsewhere":
        (place / ".git").rename(tmp_path / "repository")
        (place / ".git").write_text(f"gitdir: {tmp_path / 'repository'}\n")
    time.sleep(0.01)
    os.utime(place / "sub" / "Cargo.toml")  # git would have to look into it again
    lines = regrow.json("sweep", "--dry-run", place)
    assert {line["path"]: line["reason"] for line in lines} == {
        str(place / "sub" / "target"): None,
        str(place / "build"): None,
    }
    assert not ran.exists(), ran.read_text()
    subprocess.run(["git", "-C", place, "status"], capture_output=True, check=False)
    assert ran.exists()  # the control: the traps do work


@pytest.mark.needs("git")
@pytest.mark.parametrize("content", ["gitdir: /nowhere\n", "nonsense", "", "gitdir: .git\n"])
def test_a_git_file_that_leads_nowhere_keeps_what_is_beside_it(place: Path, content: str) -> None:
    make_target(place)
    (place / ".git").write_text(content)
    (decision,) = decide(place).values()
    assert (decision.decision, decision.guard) == (KEEP, "git-silent")


# The project's own file.

KEEPS_ALL: dict[str, bytes | str] = {
    "huge": b"#" * (20 << 20), "binary": bytes(range(256)), "unknown key": b"mark = ['target']",
    "wrong type": b"keep = 'target'", "wrong item": b"keep = [1]", "no pattern": b"keep = ['!']",
    "deep": b"keep = " + b"[" * 15_000, "dots": b".".join([b"a"] * 8000) + b" = 1",
    "wildcards": b"keep = ['" + b"**/a*/" * 40 + b"*a*a*a*b']", "FIFO": "FIFO", "link": "link",
    "socket": "socket", "directory": "directory", "loop": "loop",
}  # fmt: skip


@pytest.mark.parametrize("what", KEEPS_ALL)
def test_a_project_file_that_is_none_keeps_all_below(place: Path, what: str) -> None:
    make_target(place / "project" / ("a" * 200) / ("a" * 200))
    beside = make_target(place / "zzz")
    content = KEEPS_ALL[what]
    if isinstance(content, bytes):
        (place / "project" / guards.PROJECT_FILE).write_bytes(content)
    else:
        make_special(place / "project" / guards.PROJECT_FILE, content)
    before = open_descriptors()
    began = time.monotonic()
    below, other = decide(place).values()
    assert time.monotonic() - began < PATIENCE
    assert open_descriptors() == before
    assert (below.decision, below.guard) == (KEEP, "kept-by-user")
    assert (other.candidate.path, other.decision) == (str(beside), MARK)


def test_a_project_file_that_is_a_link_to_a_good_one_is_not_read(place: Path) -> None:
    make_target(place / "project")
    (place / "real").write_text("keep = []\n")
    (place / "project" / guards.PROJECT_FILE).symlink_to("../real")
    (decision,) = decide(place).values()
    assert decision.guard == "kept-by-user"
    (place / "project" / guards.PROJECT_FILE).unlink()
    (place / "project" / guards.PROJECT_FILE).symlink_to("/etc/passwd")
    (decision,) = decide(place).values()
    assert decision.guard == "kept-by-user"


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [(["!**"], MARK), (["**", "!**"], MARK), (["target", "!target"], MARK), (["tar*"], KEEP),
     ([f"{n:x}" for n in range(10_000)], KEEP), ([f"{n:x}" for n in range(1500)], MARK),
     (["target", *(f"{n:x}" for n in range(1500))], KEEP), ([], MARK), ([""], MARK)],
)  # fmt: skip
def test_many_and_odd_patterns_hold(place: Path, patterns: list[str], expected: str) -> None:
    make_target(place)
    (place / guards.PROJECT_FILE).write_text(f"keep = {json.dumps(patterns)}\n")
    (decision,) = decide(place).values()
    assert decision.decision == expected


# The home directory.


def test_stray_evidence_at_home_marks_nothing(regrow: Regrow, home: Path) -> None:
    for name in ("package.json", "package-lock.json", "build.gradle", "renv.lock"):
        (home / name).touch()
    for name in ("node_modules", ".gradle", "renv/library"):
        (home / name).mkdir(parents=True)
    target = make_target(home / "work").resolve()
    decisions = {line["path"]: line for line in regrow.json("sweep", "--dry-run")}
    assert decisions.pop(str(target))["decision"] == "mark"
    assert decisions.keys() == {str(home.resolve() / n) for n in ("node_modules", "renv/library")}
    assert {line["guard"] for line in decisions.values()} == {"evidence-place"}


@pytest.mark.parametrize("start", ["home", "above", "link"])
def test_hidden_entries_of_the_home_directory_are_entered_where_environments_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    home = tmp_path / "all" / "user"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    entered = (".virtualenvs", ".venvs", ".local/share/virtualenvs", "visible", "visible/.hidden")
    others = (".config", ".local", ".local/share", ".local/state/virtualenvs", ".cache",
              ".local/share/pipx", ".Trash", ".ssh/virtualenvs")  # fmt: skip
    for name in (*entered, *others):
        make_target(home / name / "project")
    (tmp_path / "link").symlink_to(home)
    place = {"home": home, "above": home.parent, "link": tmp_path / "link"}[start]
    assert scan(place)[0] == {str(home.resolve() / name / "project" / "target") for name in entered}


# Start directories.


def test_a_start_directory_may_come_twice_nested_and_through_a_link(
    place: Path, tmp_path: Path
) -> None:
    outer, inner = make_target(place), make_target(place / "a" / "b")
    link = tmp_path / "link"
    link.symlink_to(place / "a")
    expected: tuple[set[str], list[Unreadable]] = ({str(outer), str(inner)}, [])
    starts: list[tuple[Path | str, ...]] = [
        (place, place), (place, place / "a"), (place / "a", place), (link, place, link),
        (f"{place}/", f"{place}/a/../"),
    ]  # fmt: skip
    for start in starts:
        assert scan(*start) == expected


def test_a_start_directory_that_is_missing_is_told_and_the_others_are_done(
    regrow: Regrow, place: Path
) -> None:
    target = make_target(place)
    found, unreadable = scan(place / "missing", place, place / "Cargo.toml")
    assert found == {str(target)}
    assert [one.path for one in unreadable] == [str(place / "missing"), str(place / "Cargo.toml")]
    done = regrow("sweep", "--dry-run", place / "missing", place)
    assert done.returncode == 1
    assert "missing: not read" in done.stderr
    assert "would mark 1" in done.stdout


def test_a_start_directory_that_vanishes_is_told(place: Path) -> None:
    for name in ("a", "b"):
        make_target(place / name)
    walk = iter(Scan([str(place / "a"), str(place / "b")], RULES))
    assert isinstance(next(walk), Candidate)
    subprocess.run(["rm", "-rf", place / "b"], check=True)
    assert not any(isinstance(finding, Candidate) for finding in walk)


@pytest.mark.needs_root
@pytest.mark.needs("mkfs.ext4")
def test_other_file_systems_are_not_entered_and_a_mount_point_is_kept(place: Path) -> None:
    (place / "Cargo.toml").touch()
    with mounted_image(place, "ext4") as root:
        inside = make_target(root / "project")
        assert scan(place) == (set(), [])
        assert scan(root)[0] == {str(inside)}
        target = place / "target"
        target.mkdir()
        subprocess.run(["mount", "--bind", root, target], check=True)
        try:
            (decision,) = decide(place).values()
            assert (decision.decision, decision.reason) == (KEEP, "it is a mount point")
        finally:
            subprocess.run(["umount", target], check=True)


@pytest.mark.needs_root
def test_a_candidate_that_is_bound_from_the_same_file_system_is_kept(
    place: Path, tmp_path: Path
) -> None:
    target = make_target(place)
    other = tmp_path / "other"
    other.mkdir()
    bound = subprocess.run(["mount", "--bind", other, target], check=False, capture_output=True)
    if bound.returncode != 0:
        pytest.skip("mounting needs CAP_SYS_ADMIN")
    try:
        (decision,) = decide(place).values()
        assert (decision.decision, decision.reason) == (KEEP, "it is a mount point")
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")
@pytest.mark.parametrize("how", ["tag", "attribute"])
def test_what_somebody_has_excluded_already_is_not_entered(place: Path, how: str) -> None:
    inside, beside = make_target(place / "a" / "b"), make_target(place / "z")
    (place / "a" / "CACHEDIR.TAG").write_text("Signature: of something else")
    attributes.put(place / "a", "user.xdg.robots.backup", b"true")
    assert scan(place)[0] == {str(inside), str(beside)}
    if how == "tag":
        tag = "Signature: 8a477f597d28d172789f06886806bc55\n"
        (place / "a" / "CACHEDIR.TAG").write_text(tag)
    else:
        attributes.put(place / "a", "user.xdg.robots.backup", b"false")
    assert scan(place)[0] == {str(beside)}
    assert scan(place / "a")[0] == {str(inside)}  # the user names it
