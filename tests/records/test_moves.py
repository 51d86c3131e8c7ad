"""Marks follow what is moved, and never stay behind on what is copied, renamed or forgotten."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from regrow.records import moves
from regrow.records.store import file_name
from regrow_marks import signature
from regrow_marks.directory import mount_point, open_directory
from tests import attributes
from tests.conftest import Regrow
from tests.hostile.helpers import LINUX_ONLY, record_of
from tests.mounts import mounted_image
from tests.sweeping import Inside, age, attribute, environment, modules, set_attribute

pytestmark = LINUX_ONLY


@pytest.fixture
def regrow() -> Regrow:
    return Inside()


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", source, target], check=True)


def signed(path: Path) -> signature.Signature | None:
    with open_directory(path) as directory:
        return signature.read(directory)


def sweep(regrow: Regrow, *places: Path) -> dict[str, dict[str, str]]:
    """Sweep, and give what was said of each path."""
    done = regrow("sweep", "--yes", "--json", *places)
    assert done.returncode == 0, done.stderr
    return {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}


def listed(regrow: Regrow) -> dict[str, str]:
    done = regrow("list", "--json")
    return {line["path"]: line["state"] for line in map(json.loads, done.stdout.splitlines())}


def explicit(regrow: Regrow, path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "data").write_text("x")
    assert regrow("mark", path).returncode == 0
    return path


# Signatures.


def test_a_marked_directory_is_signed_with_its_record_and_the_marks_that_regrow_set(
    regrow: Regrow, home: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    assert signed(path) == signature.Signature(file_name(str(path)), ("xdg-robots",))
    assert regrow("undo", "--yes").returncode == 0
    assert not attributes.names(path)


def test_a_mark_of_another_is_not_signed_as_regrows(regrow: Regrow, home: Path) -> None:
    path = home / "scratch"
    path.mkdir()
    set_attribute(path, b"false")
    explicit(regrow, path)
    assert signed(path) == signature.Signature(file_name(str(path)), ())


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1",
        b"1 a.toml",
        b"2 a.toml xdg-robots",
        b"1 ../a.toml xdg-robots",
        b"1 /etc/a.toml xdg-robots",
        b"1 .hidden.toml xdg-robots",
        b"1 a.toml xdg-robots more",
        b"1 a.toml no-such-marker",
        b"1 a.toml xdg-robots,",
        b"1 a.toml\n xdg-robots",
        b"1 \xff.toml xdg-robots",
        b"1 a\0b.toml xdg-robots",
        b"1 " + b"a" * 400 + b".toml xdg-robots",
        b"x" * 3000,
    ],
)
def test_what_regrow_does_not_write_is_no_signature(
    value: bytes, regrow: Regrow, home: Path
) -> None:
    assert signature.parse(value) is None
    path = home / "documents"
    path.mkdir()
    set_attribute(path, b"false")
    attributes.put(path, signature.ATTRIBUTE, value)
    assert str(path) not in sweep(regrow)
    assert regrow("undo", "--yes").returncode == 0
    assert attribute(path) == b"false"
    assert attributes.get(path, signature.ATTRIBUTE) == value


def test_a_forged_signature_has_no_mark_taken_that_is_not_regrows(
    regrow: Regrow, home: Path
) -> None:
    path = home / "documents"
    path.mkdir()
    set_attribute(path, b"true")
    (path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# another's\n")
    attributes.put(path, signature.ATTRIBUTE, b"1 shop-x.toml xdg-robots,cachedir-tag,time-machine")
    regrow("sweep", "--yes")
    regrow("undo", "--yes")
    assert attribute(path) == b"true"
    assert (path / "CACHEDIR.TAG").exists()


@pytest.mark.needs_root
def test_the_directory_of_another_user_is_left_alone(regrow: Regrow, home: Path) -> None:
    original = explicit(regrow, home / "scratch")
    copy(original, home / "theirs")
    os.chown(home / "theirs", 65534, 65534)
    assert str(home / "theirs") not in sweep(regrow)
    assert regrow("undo", "--yes").returncode == 0
    assert attribute(home / "theirs") == b"false"


def test_marks_from_before_signatures_are_signed_by_a_sweep(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    (file,) = records_directory.iterdir()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith("mount = ")))
    attributes.remove(path, signature.ATTRIBUTE)
    sweep(regrow)
    assert signed(path) == signature.Signature(file_name(str(path)), ("xdg-robots",))
    record = record_of(path, records_directory)
    assert record is not None
    assert record.set == ("xdg-robots",)
    assert record.mount == mount_point(str(path))


def test_a_sweep_without_a_change_signs_nothing_again(regrow: Regrow, home: Path) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    before = path.stat().st_ctime_ns
    sweep(regrow)
    assert path.stat().st_ctime_ns == before


# What was moved.


@pytest.mark.parametrize("parent", [False, True], ids=["it", "its parent"])
def test_what_the_user_named_stays_named_where_it_is_moved(
    parent: bool, regrow: Regrow, home: Path
) -> None:
    path = explicit(regrow, home / "a/scratch")
    if parent:
        (home / "a").rename(home / "b")
        place = home / "b/scratch"
    else:
        place = path.rename(home / "renamed").rename(home / "renamed again")
    assert listed(regrow) == {str(place): "there"}
    assert str(place) not in sweep(regrow)
    assert listed(regrow) == {str(place): "there"}
    assert signed(place) == signature.Signature(file_name(str(place)), ("xdg-robots",))
    assert attribute(place) == b"false"


def test_what_no_rule_recognises_at_its_new_place_is_backed_up_again_and_named(
    regrow: Regrow, home: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    place = path.rename(home / "release-2.0")
    would = {line["path"]: line for line in regrow.json("sweep", "--dry-run")}
    assert would[str(place)]["decision"] == "take back"
    assert attribute(place) == b"false"
    assert listed(regrow) == {str(place): "there"}
    said = regrow("sweep", "--yes").stdout
    assert "release-2.0  taken back" in said
    assert f"it was moved here from {path}" in said
    assert not attributes.names(place)
    assert listed(regrow) == {}


def test_what_is_recognised_at_its_new_place_has_its_record_there(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    before = record_of(path, records_directory)
    (home / "shop").rename(home / "store")
    sweep(regrow)
    after = record_of(home / "store/node_modules", records_directory)
    assert before is not None
    assert after is not None
    assert after.set == before.set
    assert listed(regrow) == {str(home / "store/node_modules"): "there"}


def test_two_that_changed_places_keep_each_its_record(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    (home / "a").mkdir()
    one, other = explicit(regrow, home / "a/one"), explicit(regrow, home / "other")
    first, second = (record_of(path, records_directory) for path in (one, other))
    one.rename(home / "x")
    other.rename(one)
    (home / "x").rename(other)
    sweep(regrow)
    now = record_of(other, records_directory), record_of(one, records_directory)
    assert first is not None
    assert second is not None
    assert all(now)
    assert [r and r.inode for r in now] == [first.inode, second.inode]
    assert listed(regrow) == {str(one): "there", str(other): "there"}


def test_what_moved_is_taken_back_by_undo_before_anybody_swept(regrow: Regrow, home: Path) -> None:
    place = explicit(regrow, home / "scratch").rename(home / "elsewhere")
    assert regrow("undo", "--yes").returncode == 0
    assert not attributes.names(place)
    assert listed(regrow) == {}


def test_what_a_regrow_is_just_making_is_left_to_it(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = explicit(regrow, home / "scratch")
    (file,) = records_directory.iterdir()
    file.write_text(file.read_text().replace('state = "marked" ', 'state = "pending"'))
    place = path.rename(home / ".regrow-being-made")
    sweep(regrow)
    assert attribute(place) == b"false"
    assert record_of(path, records_directory) is not None


# What was copied.


def test_a_copy_of_what_the_user_named_is_backed_up_and_the_original_is_not(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = explicit(regrow, home / "scratch")
    before = record_of(path, records_directory)
    copy(path, home / "copy")
    said = sweep(regrow)
    assert said[str(home / "copy")]["decision"] == "take back"
    assert (
        said[str(home / "copy")]["reason"] == f"it is a copy of {path}, and no rule recognises it"
    )
    assert not attributes.names(home / "copy")
    assert attribute(path) == b"false"
    assert record_of(path, records_directory) == before


def test_a_copy_that_is_marked_has_a_record_of_its_own(regrow: Regrow, home: Path) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    copy(home / "shop", home / "copy")
    sweep(regrow)
    place = home / "copy/node_modules"
    assert listed(regrow) == {str(path): "there", str(place): "there"}
    assert signed(place) == signature.Signature(file_name(str(place)), ("xdg-robots",))
    regrow("undo", home / "copy")
    assert not attributes.names(place)
    assert attribute(path) == b"false"


def test_a_copy_that_is_kept_loses_the_mark_at_once(regrow: Regrow, home: Path) -> None:
    modules(home / "shop")
    sweep(regrow)
    copy(home / "shop", home / "copy")
    (home / "copy/package-lock.json").unlink()
    said = sweep(regrow)
    assert said[str(home / "copy/node_modules")]["decision"] == "take back"
    assert not attributes.names(home / "copy/node_modules")


def test_a_copy_over_a_recorded_place_counts_as_a_copy_where_the_original_moved_on(
    regrow: Regrow, home: Path
) -> None:
    path = explicit(regrow, home / "scratch")
    moved = path.rename(home / "moved")
    copy(moved, path)
    sweep(regrow)
    assert listed(regrow) == {str(moved): "there"}
    assert not attributes.names(path)


def test_what_was_taken_out_of_a_backup_stays_named(regrow: Regrow, home: Path) -> None:
    path = explicit(regrow, home / "scratch")
    copy(path, home / "backup")
    shutil.rmtree(path)
    copy(home / "backup", path)
    shutil.rmtree(home / "backup")
    sweep(regrow)
    assert listed(regrow) == {str(path): "there"}
    assert attribute(path) == b"false"


def test_a_copy_inside_of_what_is_marked_is_left(regrow: Regrow, home: Path) -> None:
    path = modules(home / "shop")
    scratch = explicit(regrow, home / "scratch")
    copy(scratch, path / "copy")
    sweep(regrow)
    assert attribute(path / "copy") == b"false"


@pytest.mark.parametrize("words", [(), ("copies",)], ids=["all", "by path"])
def test_undo_finds_copies_that_nobody_swept(
    words: tuple[str, ...], regrow: Regrow, home: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    (home / "copies").mkdir()
    copy(home / "shop", home / "copies/shop")
    done = regrow("undo", "--yes", *words, cwd=home)
    assert done.returncode == 0, done.stderr
    assert not attributes.names(home / "copies/shop/node_modules")
    assert (attribute(path) is None) == (not words)


def test_marks_whose_records_are_lost_are_taken_back(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = explicit(regrow, home / "scratch")
    shutil.rmtree(records_directory.parent)
    would = regrow("undo", "--dry-run").stdout
    assert str(path) in would
    assert regrow("undo", "--yes").returncode == 0
    assert not attributes.names(path)


def test_doctor_names_what_was_moved_and_copied(regrow: Regrow, home: Path) -> None:
    path = explicit(regrow, home / "scratch")
    copy(path, home / "copy")
    moved = path.rename(home / "moved")
    found = {line["name"]: line for line in regrow.json("doctor")}
    assert str(moved) in found["moved"]["text"]
    assert str(home / "copy") in found["copied"]["text"]


def test_a_sweep_finds_a_copy_in_what_was_scanned_before(regrow: Regrow, home: Path) -> None:
    for number in range(250):  # from 200 directories on a snapshot is kept
        (home / f"code/{number}").mkdir(parents=True)
    path = explicit(regrow, home / "scratch")
    copy(path, home / "copy")
    age(home / "code")
    for _ in range(2):
        would = {line["path"]: line for line in regrow.json("sweep", "--dry-run")}
        assert would[str(home / "copy")]["decision"] == "take back"
    sweep(regrow)
    assert not attributes.names(home / "copy")


# What is away.


@pytest.mark.needs_root
@pytest.mark.needs("mkfs.ext4")
def test_what_is_on_a_disk_that_is_unplugged_is_away_and_not_gone(
    regrow: Regrow, home: Path
) -> None:
    with mounted_image(home, "ext4") as disk:
        path = modules(disk / "web")
        environment(disk / ".venv")
        here = modules(home / "here")
        assert regrow("sweep", "--yes", disk, home / "here").returncode == 0
        marked = {str(path): "away", str(disk / ".venv"): "away"}
        shutil.rmtree(home / "here")
        subprocess.run(["umount", disk], check=True)
        try:
            assert listed(regrow) == {**marked, str(here): "gone"}
            assert regrow("list", "--forget").returncode == 0
            assert listed(regrow) == marked
            done = regrow("rebuild", "--dry-run")
            assert f"it is away: {disk} is not mounted" in done.stdout + done.stderr
            sweep(regrow)
            disk.rmdir()
            assert listed(regrow) == marked, "nor where the mount point is gone"
        finally:
            disk.mkdir(exist_ok=True)
            image = home / "ext4.image"
            subprocess.run(["mount", "-o", "loop", image, disk], check=True)
        assert set(listed(regrow).values()) == {"there"}


@pytest.mark.needs_root
@pytest.mark.needs("mkfs.ext4")
def test_a_disk_that_comes_back_at_another_place_has_its_records_there(
    regrow: Regrow, home: Path
) -> None:
    with mounted_image(home, "ext4") as disk:
        scratch = explicit(regrow, disk / "scratch")
        other = home / "other"
        other.mkdir()
        subprocess.run(["mount", "--move", disk, other], check=False)
        if scratch.exists():
            subprocess.run(["mount", "--bind", disk, other], check=True)
            subprocess.run(["umount", disk], check=True)
        try:
            assert regrow("sweep", "--yes", other).returncode == 0
            assert listed(regrow) == {str(other / "scratch"): "there"}
        finally:
            subprocess.run(["mount", "--bind", other, disk], check=True)
            subprocess.run(["umount", other], check=True)


@pytest.mark.needs_root
@pytest.mark.needs("mkfs.ext4")
def test_away_can_be_forgotten_where_the_user_says_so(regrow: Regrow, home: Path) -> None:
    with mounted_image(home, "ext4") as disk:
        explicit(regrow, disk / "scratch")
        subprocess.run(["umount", disk], check=True)
        try:
            assert "forgotten: 1" in regrow("list", "--forget", "--state", "away").stdout
            assert listed(regrow) == {}
        finally:
            subprocess.run(["mount", "-o", "loop", home / "ext4.image", disk], check=True)
        assert regrow("sweep", "--yes", disk).returncode == 0
        assert not attributes.names(disk / "scratch"), "a mark without a record does not stay"


@pytest.mark.needs_root
def test_a_directory_under_two_names_has_its_marks_taken_by_neither(
    regrow: Regrow, home: Path
) -> None:
    scratch = explicit(regrow, home / "a/scratch")
    (home / "b").mkdir()
    subprocess.run(["mount", "--bind", home / "a", home / "b"], check=True)
    try:
        for _ in range(2):
            before = scratch.stat().st_ctime_ns
            assert regrow("sweep", "--yes").returncode == 0
            assert attribute(scratch) == b"false"
            assert scratch.stat().st_ctime_ns == before
    finally:
        subprocess.run(["umount", home / "b"], check=True)
    assert listed(regrow) == {str(scratch): "there"}


def test_what_stands_where_its_project_was_restored_to_is_missing_and_not_away(
    regrow: Regrow, home: Path, records_directory: Path
) -> None:
    path = modules(home / "shop")
    sweep(regrow)
    record = record_of(path, records_directory)
    assert record is not None
    elsewhere = record._replace(mount=str(home))
    shutil.rmtree(path)
    assert moves.absence(elsewhere) == ""
    shutil.rmtree(home / "shop")
    assert moves.absence(elsewhere) == f"{home} is not mounted"
    assert moves.absence(record._replace(mount="")) == ""
