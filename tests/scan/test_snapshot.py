"""A sweep reads what has changed since the last one: one test for each thing that may change."""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regrow.model import Unreadable
from regrow.scan import incremental, snapshot
from regrow.system import cache
from regrow.system import mounts as filesystem
from regrow.system.mounts import Mount
from regrow_marks import tag, xdg
from tests import attributes
from tests.conftest import NOBODY
from tests.hostile.helpers import LINUX_ONLY
from tests.mounts import mounted_image
from tests.scan import surveying
from tests.scan.surveying import RULES, exchange, paths, settle, snapshots, sweep
from tests.sweeping import environment, modules, set_attribute

pytestmark = [LINUX_ONLY, pytest.mark.usefixtures("at_once")]

ELSEWHERE = 12
"""Directories that nothing happens to, but one that is looked at beside what has changed."""


@pytest.fixture
def code(home: Path) -> Path:
    """A start directory with a project, and with others that stay as they are."""
    place = home.resolve() / "code"
    for number in range(ELSEWHERE):
        (place / f"elsewhere/{number}/src").mkdir(parents=True)
    (place / "project").mkdir()
    return place


def changed(*start: Path, skip: Sequence[Path] = ()) -> set[str]:
    """Sweep a tree that was swept before: what is found, having read little of it."""
    surveyed = sweep(*start, skip=skip)
    assert 0 < surveyed.read < ELSEWHERE
    assert surveyed.unchanged > ELSEWHERE
    return paths(surveyed)


def target(project: Path) -> Path:
    (project / "target").mkdir(parents=True)
    (project / "Cargo.toml").touch()
    return project / "target"


def test_where_nothing_has_changed_nothing_is_read(code: Path) -> None:
    found = {str(target(code / "project"))}
    assert paths(sweep(code)) == found
    again = sweep(code)
    assert (again.read, paths(again)) == (0, found)
    assert again.unchanged > 2 * ELSEWHERE


def test_a_directory_that_appears_is_read(code: Path) -> None:
    sweep(code)
    found = {str(modules(code / "project/deep/down"))}
    assert changed(code) == found


def test_a_directory_that_goes_is_forgotten_with_all_below_it(code: Path) -> None:
    modules(code / "project/deep/down")
    sweep(code)
    shutil.rmtree(code / "project/deep")
    assert changed(code) == set()
    assert changed_nothing(code) == set()


def changed_nothing(*start: Path) -> set[str]:
    surveyed = sweep(*start)
    assert surveyed.read == 0
    return paths(surveyed)


def test_what_was_found_by_a_partial_scan_is_kept_for_the_next(code: Path) -> None:
    sweep(code)
    found = {str(modules(code / "project/deep"))}
    changed(code)
    assert changed_nothing(code) == found


def test_what_was_not_looked_at_again_is_remembered_all_the_same(code: Path) -> None:
    sweep(code)
    found = {str(modules(code / "project/deep"))}
    assert changed(code) == found
    found.add(str(modules(code / "elsewhere/1/src")))
    assert changed(code) == found
    shutil.rmtree(code / "elsewhere/1/src")
    assert changed(code) == {str(code / "project/deep/node_modules")}


def test_a_directory_that_is_moved_in_from_elsewhere_is_read(code: Path, home: Path) -> None:
    modules(home / "outside/deep/down")
    sweep(code)
    (home / "outside").rename(code / "project/moved")
    assert changed(code) == {str(code / "project/moved/deep/down/node_modules")}


def test_a_directory_that_is_moved_away_takes_its_candidates_along(code: Path, home: Path) -> None:
    modules(code / "project/deep/down")
    sweep(code)
    (code / "project/deep").rename(home / "away")
    assert changed(code) == set()


def test_a_directory_that_is_renamed_is_found_under_its_new_name(code: Path) -> None:
    modules(code / "project/deep/down")
    sweep(code)
    (code / "project/deep").rename(code / "project/other")
    assert changed(code) == {str(code / "project/other/down/node_modules")}


def twins(place: Path) -> tuple[Path, Path]:
    """Make two trees whose directories have equal names and equal times, one with a candidate."""
    for attempt in range(100):
        one, other = place / f"{attempt}/one", place / f"{attempt}/other"
        for path in (one, other):
            (path / "deep/down").mkdir(parents=True)
        (other / "deep/down/node_modules").mkdir()
        (one / "deep/down/node-modules").mkdir()
        for path in (one, other):
            (path / "deep/down/package.json").touch()
        if times(one) == times(other):  # the clock did not tick meanwhile
            return one, other
        shutil.rmtree(place / f"{attempt}")
    raise AssertionError("the clock ticks too fast")


def times(place: Path) -> list[int]:
    return [os.lstat(place / name).st_ctime_ns for name in ("", "deep", "deep/down")]


def test_two_directories_that_change_places_are_told_apart_though_their_times_are_equal(
    code: Path,
) -> None:
    one, other = twins(code / "project")
    assert paths(sweep(code)) == {str(other / "deep/down/node_modules")}
    exchange(one, other)
    assert changed(code) == {str(one / "deep/down/node_modules")}


def test_directories_that_change_places_deeper_down_are_told_apart(code: Path) -> None:
    one, other = twins(code / "project")
    sweep(code)
    exchange(one / "deep", other / "deep")
    assert changed(code) == {str(one / "deep/down/node_modules")}


def test_a_start_directory_whose_parent_is_another_one_is_read_though_its_times_are_equal(
    home: Path,
) -> None:
    one, other = twins(home)
    assert paths(sweep(one / "deep")) == set()
    exchange(one, other)
    assert paths(sweep(one / "deep")) == {str(one / "deep/down/node_modules")}


def test_a_link_in_place_of_a_directory_hides_what_is_below(code: Path, home: Path) -> None:
    modules(code / "project/deep/down")
    sweep(code)
    (code / "project/deep").rename(home / "away")
    (code / "project/deep").symlink_to(home / "away")
    assert changed(code) == set()


def test_a_directory_in_place_of_a_link_is_read(code: Path, home: Path) -> None:
    modules(home / "away/down")
    (code / "project/deep").symlink_to(home / "away")
    sweep(code)
    (code / "project/deep").unlink()
    (home / "away").rename(code / "project/deep")
    assert changed(code) == {str(code / "project/deep/down/node_modules")}


def test_evidence_that_appears_beside_is_seen(code: Path) -> None:
    (code / "project/target").mkdir()
    sweep(code)
    (code / "project/Cargo.toml").touch()
    assert changed(code) == {str(code / "project/target")}


def test_evidence_that_goes_from_beside_is_missed(code: Path) -> None:
    target(code / "project")
    sweep(code)
    (code / "project/Cargo.toml").unlink()
    assert changed(code) == set()


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_evidence_that_something_else_replaces_is_missed(code: Path, kind: str) -> None:
    target(code / "project")
    sweep(code)
    evidence = code / "project/Cargo.toml"
    evidence.unlink()
    if kind == "directory":
        evidence.mkdir()
    else:
        evidence.symlink_to("nowhere")
    assert changed(code) == set()


def test_what_is_no_longer_recognised_is_entered(code: Path) -> None:
    target(code / "project")
    below = modules(code / "project/target/deep/down")
    assert paths(sweep(code)) == {str(code / "project/target")}
    (code / "project/Cargo.toml").unlink()
    assert changed(code) == {str(below)}


def test_what_is_recognised_now_is_entered_no_more(code: Path) -> None:
    (code / "project/target").mkdir()
    below = modules(code / "project/target/deep/down")
    assert paths(sweep(code)) == {str(below)}
    (code / "project/Cargo.toml").touch()
    assert changed(code) == {str(code / "project/target")}
    assert changed_nothing(code) == {str(code / "project/target")}


def test_of_several_levels_that_are_no_longer_recognised_all_are_entered(code: Path) -> None:
    target(code / "project")
    target(code / "project/target/deep")
    below = modules(code / "project/target/deep/target/down")
    sweep(code)
    (code / "project/Cargo.toml").unlink()
    changed(code)
    (code / "project/target/deep/Cargo.toml").unlink()
    assert changed(code) == {str(below)}


def test_evidence_of_a_rule_with_a_path_is_seen_further_up(code: Path) -> None:
    (code / "project/renv/library/R").mkdir(parents=True)
    sweep(code)
    (code / "project/renv.lock").touch()
    assert changed(code) == {str(code / "project/renv/library")}


def test_a_directory_that_a_rule_with_a_path_named_is_entered_without_it(code: Path) -> None:
    below = modules(code / "project/.terraform/providers/deep")
    (code / "project/.terraform.lock.hcl").touch()
    sweep(code)
    (code / "project/.terraform.lock.hcl").unlink()
    assert changed(code) == {str(below)}


def test_evidence_in_a_directory_beside_is_seen(code: Path) -> None:
    (code / "project/.moon/cache").mkdir(parents=True)
    sweep(code)
    (code / "project/.moon/workspace.yml").touch()
    assert changed(code) == {str(code / "project/.moon/cache")}
    (code / "project/.moon/workspace.yml").unlink()
    assert changed(code) == set()


def test_evidence_in_another_directory_beside_is_seen(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = next(rule for rule in RULES if rule.name == "cargo-target")
    own = known._replace(name="own", directory="out", beside=("settings/out.yml",))
    monkeypatch.setattr(surveying, "RULES", [own])
    (code / "project/out").mkdir()
    (code / "project/settings").mkdir()
    sweep(code)
    (code / "project/settings/out.yml").touch()
    assert changed(code) == {str(code / "project/out")}
    (code / "project/settings/out.yml").unlink()
    assert changed(code) == set()


def test_an_interpreter_that_appears_in_an_environment_is_seen(code: Path) -> None:
    (code / "project/venv/bin").mkdir(parents=True)
    (code / "project/venv/pyvenv.cfg").touch()
    sweep(code)
    (code / "project/venv/bin/python").symlink_to("/nowhere")
    assert changed(code) == {str(code / "project/venv")}


def test_an_interpreter_that_goes_from_an_environment_is_missed(code: Path) -> None:
    environment(code / "project/venv")
    sweep(code)
    (code / "project/venv/bin/python").unlink()
    assert changed(code) == set()


def test_what_no_creator_puts_in_an_environment_is_seen(code: Path) -> None:
    environment(code / "project")
    sweep(code)
    (code / "project/thesis.txt").touch()
    assert changed(code) == set()


def test_the_history_of_an_environment_of_conda_is_missed(code: Path) -> None:
    (code / "project/env/conda-meta").mkdir(parents=True)
    (code / "project/env/conda-meta/history").touch()
    (code / "project/env/bin").mkdir()
    assert paths(sweep(code)) == {str(code / "project/env")}
    (code / "project/env/conda-meta/history").unlink()
    assert changed(code) == set()


def cmake_cache(build: Path, source: Path | str) -> None:
    (build / "CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\n")


def test_where_a_build_has_its_sources_is_read_each_time(code: Path) -> None:
    build = code / "project/out"
    build.mkdir()
    cmake_cache(build, build)
    assert paths(sweep(code)) == set()
    cmake_cache(build, "/usr")
    assert changed(code) == {str(build)}


def test_sources_that_are_gone_are_missed(code: Path, home: Path) -> None:
    build = code / "project/out"
    build.mkdir()
    (home / "sources").mkdir()
    cmake_cache(build, home / "sources")
    assert paths(sweep(code)) == {str(build)}
    (home / "sources").rmdir()
    assert changed(code) == set()


def test_what_a_tag_says_is_read_again_when_its_file_is_written(code: Path) -> None:
    below = modules(code / "project/deep/down")
    (code / f"project/deep/{tag.NAME}").write_bytes(tag.SIGNATURE)
    assert paths(sweep(code)) == set()
    (code / f"project/deep/{tag.NAME}").write_bytes(b"something else")
    assert changed(code) == {str(below)}
    (code / f"project/deep/{tag.NAME}").write_bytes(tag.SIGNATURE)
    assert changed(code) == set()


def test_a_mark_that_is_set_is_seen(code: Path) -> None:
    modules(code / "project/deep/down")
    sweep(code)
    set_attribute(code / "project/deep", xdg.VALUE)
    assert changed(code) == set()


@pytest.mark.parametrize("value", [None, b"true"])
def test_a_mark_that_is_taken_away_is_missed(code: Path, value: bytes | None) -> None:
    below = modules(code / "project/deep/down")
    set_attribute(code / "project/deep", xdg.VALUE)
    assert paths(sweep(code)) == set()
    if value is None:
        attributes.remove(code / "project/deep", xdg.ATTRIBUTE)
    else:
        set_attribute(code / "project/deep", value)
    assert changed(code) == {str(below)}


@pytest.mark.parametrize("when", [0, 4_000_000_000])
def test_times_that_are_set_by_hand_hide_nothing(code: Path, when: int) -> None:
    sweep(code)
    before = (code / "project").stat()
    found = {str(modules(code / "project"))}
    os.utime(code / "project", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(code, (when, when))
    assert changed(code) == found


def test_what_changes_just_before_a_scan_is_looked_at_by_the_next(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change again in the same tick of the clock: here the times are set equal."""
    sweep(code)
    (code / "project/target").mkdir()
    monkeypatch.setattr(snapshot, "FRESH", 2_000_000_000)
    sweep(code)
    assert {str(code), str(code / "project")} <= looked_at_again(code)
    assert str(code / "elsewhere/1") not in looked_at_again(code)


def looked_at_again(*start: Path) -> set[str]:
    """Give the directories whose time the snapshot does not believe."""
    asked = incremental._Wanted(tuple(map(str, start)), list(map(str, start)), RULES, (), print)
    earlier = snapshot.load(incremental._key(asked), RULES)
    assert earlier is not None
    with earlier:
        return {path for path, changed, _ in earlier.rows() if not changed}


def test_a_clock_that_was_put_back_makes_every_time_doubtful(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() - 3600 * 10**9)
    monkeypatch.setattr(incremental, "time", clock)
    sweep(code)
    again = sweep(code)
    assert again.read > 2 * ELSEWHERE
    found = {str(modules(code / "project/deep"))}
    assert paths(sweep(code)) == found


def test_where_most_has_changed_all_is_read(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incremental, "_MOSTLY", 4)
    sweep(code)
    for number in range(ELSEWHERE):
        (code / f"elsewhere/{number}/new").mkdir()
    assert sweep(code).unchanged == 0
    (code / "elsewhere/0/other").mkdir()
    assert sweep(code).unchanged > ELSEWHERE


def test_of_a_small_tree_no_snapshot_is_kept(
    code: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "_KEPT_FROM", 1000)
    sweep(code)
    assert snapshots(home) == []


# Start directories.


def test_a_start_directory_that_was_missing_is_read_when_it_is_there(
    code: Path, home: Path
) -> None:
    later = home.resolve() / "later"
    first = sweep(code, later)
    assert [one.path for one in first.findings if isinstance(one, Unreadable)] == [str(later)]
    found = {str(modules(later / "deep"))}
    assert paths(sweep(code, later)) == found


def test_a_start_directory_that_is_gone_is_told_and_its_candidates_are_forgotten(
    code: Path, home: Path
) -> None:
    other = home.resolve() / "other"
    modules(other)
    sweep(code, other)
    shutil.rmtree(other)
    now = sweep(code, other)
    assert [one.path for one in now.findings] == [str(other)]


def test_a_start_directory_that_another_one_holds_stays_a_candidate(code: Path) -> None:
    found = modules(code / "project")
    (code / "project/other").mkdir()
    start = (code, found)
    assert paths(sweep(*start)) == {str(found)}
    (code / "project/other/new").mkdir()
    assert changed(*start) == {str(found)}


def test_what_changes_in_a_start_directory_below_a_candidate_is_seen(code: Path) -> None:
    inner = target(code / "project") / "inner"
    inner.mkdir()
    sweep(code, inner)
    below = modules(inner / "deep")
    assert changed(code, inner) == {str(code / "project/target"), str(below)}


def test_a_skipped_directory_is_read_when_it_is_skipped_no_more(code: Path) -> None:
    below = modules(code / "project/deep")
    assert paths(sweep(code, skip=[code / "project"])) == set()
    (code / "project/deep/src").mkdir()
    (code / "new").mkdir()
    assert changed(code, skip=[code / "project"]) == set()
    assert paths(sweep(code)) == {str(below)}


def test_hidden_entries_of_the_home_directory_are_entered_by_name_alone(home: Path) -> None:
    place = home.resolve()
    for number in range(ELSEWHERE):
        (place / f"elsewhere/{number}/src").mkdir(parents=True)
    (place / ".virtualenvs").mkdir()
    (place / ".local/share").mkdir(parents=True)
    sweep(place)
    known = {str(environment(place / ".virtualenvs/a"))}
    environment(place / ".local/share/other/b")
    known.add(str(environment(place / ".local/share/virtualenvs/c")))
    environment(place / ".hidden/d")
    assert changed(place) == known


# What an ordinary user can't read.


@pytest.fixture
def as_owner(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> Callable[[Callable[[Path], None]], None]:
    """Runs a check as an ordinary user, who is given a start directory of his own."""

    def run(check: Callable[[Path], None]) -> None:
        home = open_place.resolve() / "home"
        code = home / "code"
        for number in range(ELSEWHERE):
            (code / f"elsewhere/{number}/src").mkdir(parents=True)
        modules(code / "project/deep/down")
        if os.geteuid() == 0:
            for path in (home, *home.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

        def work() -> None:
            os.environ["HOME"] = str(home)
            check(code)

        as_ordinary_user(work)

    return run


def unreadable(*start: Path) -> list[str]:
    surveyed = sweep(*start)
    return [one.path for one in surveyed.findings if isinstance(one, Unreadable)]


@pytest.mark.parametrize("mode", [0, 0o111])
def test_what_is_locked_is_told_each_time_and_read_when_it_is_open_again(
    as_owner: Callable[[Callable[[Path], None]], None], mode: int
) -> None:
    def check(code: Path) -> None:
        first = sweep(code)
        (code / "project/deep").chmod(mode)
        for _ in range(3):
            assert unreadable(code) == [str(code / "project/deep")]
        (code / "project/deep").chmod(0o755)
        assert changed(code) == paths(first)

    as_owner(check)


def test_a_start_directory_that_was_locked_is_read_when_it_is_open_again(
    as_owner: Callable[[Callable[[Path], None]], None],
) -> None:
    def check(code: Path) -> None:
        (code / "project").chmod(0)
        start = (code / "elsewhere", code / "project")
        for _ in range(2):
            assert unreadable(*start) == [str(code / "project")]
        (code / "project").chmod(0o755)
        assert changed(*start) == {str(code / "project/deep/down/node_modules")}

    as_owner(check)


# What a snapshot is made of besides the directories.


def sweeps(code: Path, **other: Any) -> bool:
    """Sweep again; tell whether everything was read."""
    settle()
    given = {"start": [str(code)], "active_rules": RULES, **other}
    surveyed = incremental.survey(**given)
    assert surveyed.findings
    return surveyed.read > 0


def test_another_rule_discards_what_is_known(code: Path) -> None:
    target(code / "project")
    sweep(code)
    assert not sweeps(code)
    fewer = [rule for rule in RULES if rule.name != "node-modules"]
    assert sweeps(code, active_rules=fewer)
    other = [rule._replace(command="other") for rule in RULES]
    assert sweeps(code, active_rules=other)


def test_another_directory_to_skip_discards_what_is_known(code: Path) -> None:
    target(code / "project")
    sweep(code)
    assert sweeps(code, skip=[str(code / "elsewhere")])


def test_other_start_directories_have_a_snapshot_of_their_own(code: Path, home: Path) -> None:
    target(code / "project")
    sweep(code)
    assert sweeps(code, start=[str(code), str(code / "elsewhere")])
    assert len(snapshots(home)) == 2
    assert not sweeps(code)


def test_other_code_discards_what_is_known(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target(code / "project")
    sweep(code)
    monkeypatch.setattr(cache, "running_code", lambda: "another version")
    assert sweeps(code)


def test_another_file_system_that_is_mounted_below_discards_what_is_known(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target(code / "project")
    sweep(code)
    mounts = [*filesystem.mounts(), Mount(str(code / "elsewhere/1"), "tmpfs", "rw")]
    monkeypatch.setattr(filesystem, "mounts", lambda: mounts)
    assert sweeps(code)
    assert not sweeps(code)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "vfat", "unheard-of"])
def test_a_file_system_that_may_not_keep_times_is_read_each_time(
    code: Path, home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    target(code / "project")
    mounts = [*filesystem.mounts(), Mount(str(code), kind, "rw")]
    monkeypatch.setattr(filesystem, "mounts", lambda: mounts)
    sweep(code)
    assert sweeps(code)
    assert snapshots(home) == []


def test_where_nothing_is_known_of_mounts_all_is_read(
    code: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "mounts", list)
    sweep(code)
    assert snapshots(home) == []


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "kind", [pytest.param("vfat", marks=pytest.mark.needs("mkfs.vfat")), "ramfs"]
)
def test_a_real_file_system_without_times_of_change_is_read_each_time(
    tmp_path: Path, home: Path, kind: str
) -> None:
    with mounted_image(tmp_path, kind) as place:
        target(place.resolve() / "project")
        assert sweep(place.resolve()).read == 2
        assert sweep(place.resolve()).read == 2
        (place / "project/Cargo.toml").unlink()
        assert paths(sweep(place.resolve())) == set()
    assert snapshots(home) == []


@pytest.mark.needs_root
def test_what_a_mounted_file_system_hid_is_seen_without_it(tmp_path: Path, code: Path) -> None:
    place = code / "project"
    below = modules(place / "ramfs/deep")
    (place / "ramfs").rename(tmp_path / "aside")
    with mounted_image(place, "ramfs"):
        assert paths(sweep(code)) == set()
    (tmp_path / "aside").rename(place / "ramfs")
    assert paths(sweep(code)) == {str(below)}


# How a survey is told.


def test_a_survey_gives_what_it_has_found_sorted_by_path(code: Path) -> None:
    for name in ("b", "a/x", "a", "a.b", "a/x.y"):
        modules(code / name)
    sweep(code)
    modules(code / "a/y")
    found = [finding.path for finding in sweep(code).findings]
    assert found == sorted(found, key=lambda path: path.split("/"))
    assert found[:3] == [str(code / name / "node_modules") for name in ("a", "a/x", "a/x.y")]


def test_names_of_any_kind_are_remembered(code: Path) -> None:
    for name in (b"new\nline", b"\xff not UTF-8", "ü".encode(), b"\x1b[31m", b" "):
        modules(code / "project" / os.fsdecode(name))
    first = sweep(code)
    assert len(paths(first)) == 5
    assert changed_nothing(code) == paths(first)
