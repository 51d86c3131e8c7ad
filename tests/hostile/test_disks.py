"""Directories and disks that refuse: the error names the path, and the other paths are done."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The ordinary user of these tests may not be able to read regrow's own files: all is loaded before.
import regrow_marks.libc
import regrow_marks.nodump
import regrow_marks.xdg  # noqa: F401
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    Done,
    assert_every_mark_has_its_record,
    fill,
    has_attribute,
    is_untouched,
    leftovers,
    read_records,
    run,
    temporary_records,
    use_creator,
)
from tests.mounts import mounted_image
from tests.sweeping import Inside

pytestmark = LINUX_ONLY

AsOrdinaryUser = Callable[[Callable[[], Any]], Any]
WITHOUT_ATTRIBUTES = [
    pytest.param("vfat", marks=pytest.mark.needs("mkfs.vfat")),
    "ramfs",
]
ext4 = pytest.mark.needs("mkfs.ext4")


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def users_home(open_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory that is the ordinary user's own."""
    home = open_place / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 65534, 65534)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 without a free block, on which a directory ``cache`` stands."""
    with mounted_image(tmp_path, "ext4") as disk:
        (disk / "cache").mkdir()
        (disk / "cache" / "object.o").write_bytes(b"x" * 4096)
        fill(disk)
        yield disk


# Rights.


def test_a_directory_without_the_write_bit_is_reported_and_the_next_one_done(
    users_home: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    locked, other = users_home / "locked", users_home / "other"

    def mark() -> tuple[Done, Done]:
        locked.mkdir()
        other.mkdir()
        locked.chmod(0o555)
        return run("mark", "--json", "--tag", locked, other), run("unmark", "--json", locked)

    marked, unmarked = as_ordinary_user(mark)
    assert marked.code == 1
    first, second = marked.lines
    assert (first["path"], first["outcome"]) == (str(locked), "failed")
    for marker in ("xdg-robots", "cachedir-tag"):
        assert "no permission (EACCES)" in first["markers"][marker]["error"]
    assert (second["path"], second["outcome"]) == (str(other), "marked")
    assert is_untouched(locked)
    assert unmarked.code == 0
    records = read_records(users_home / ".local/share/regrow/records")
    assert [record.path for record in records] == [str(other)]


@pytest.mark.needs_root
def test_someone_elses_sticky_directory_is_reported_and_the_next_one_done(
    open_place: Path, users_home: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    sticky, other = open_place / "sticky", users_home / "other"
    sticky.mkdir()
    sticky.chmod(0o1777)

    def mark() -> Done:
        other.mkdir()
        return run("mark", "--json", "--no-tag", sticky, other)

    done = as_ordinary_user(mark)
    assert done.code == 1
    first, second = done.lines
    assert first["outcome"] == "failed"
    assert "only its owner may do that (EPERM)" in first["markers"]["xdg-robots"]["error"]
    assert second["outcome"] == "marked"
    assert is_untouched(sticky)


@pytest.mark.needs_root
def test_a_directory_that_may_not_be_read_is_reported(
    open_place: Path, users_home: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    secret = open_place / "secret"
    (secret / "cache").mkdir(parents=True)
    secret.chmod(0o700)

    def mark() -> list[Done]:
        return [
            run("mark", "--json", secret),
            run("mark", "--json", secret / "cache"),
            run("unmark", "--json", secret),
            run("venv", "--creator", "venv", secret / "deep" / ".venv"),
        ]

    for done in as_ordinary_user(mark):
        assert done.code == 1
        for line in done.lines:
            assert str(secret) in line["error"]
            assert "no permission (EACCES)" in line["error"]
    assert is_untouched(secret)
    assert os.listdir(secret) == ["cache"]


@pytest.mark.needs_root
def test_leftovers_of_other_users_stop_nobody_and_are_not_taken_for_ones_own(
    open_place: Path,
    users_home: Path,
    as_ordinary_user: AsOrdinaryUser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In /tmp anyone can make a directory of any name."""
    use_creator(monkeypatch, open_place / "programs")
    shared = open_place / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / ".regrow-new-0123456789abcdef").mkdir()
    planted = shared / ".regrow-old-01234567-.venv"
    (planted / "bin").mkdir(parents=True)
    (planted / "pyvenv.cfg").touch()
    done = as_ordinary_user(lambda: run("venv", "--json", shared / ".venv"))
    assert done.code == 0, done.errors
    assert done.errors == ""
    assert planted.exists()
    assert os.stat(shared / ".venv").st_uid == 65534

    shutil.rmtree(shared / ".venv")
    for name in leftovers(shared):
        os.chown(shared / name, 65534, 65534)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("venv", "--json", shared / ".venv").code == 0, "root does not adopt a user's either"
    assert planted.exists()


# File systems.


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", WITHOUT_ATTRIBUTES)
def test_a_file_system_without_attributes_is_named_and_nothing_recorded(
    regrow: Regrow, tmp_path: Path, records_directory: Path, kind: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with mounted_image(tmp_path, kind) as disk:
        (disk / "cache").mkdir()
        done = regrow("mark", disk / "cache", other)
        assert done.returncode == 1
        assert f"{disk / 'cache'}: user.xdg.robots.backup: this file system" in done.stderr
        assert os.listdir(disk / "cache") == []
        assert [record.path for record in read_records(records_directory)] == [str(other)]

        [line] = regrow.json("mark", "--tag", disk / "cache")
        assert line["outcome"] == "failed"
        assert line["markers"]["cachedir-tag"] == {"state": "marked"}, "what can be set is set"
        assert_every_mark_has_its_record(disk, records_directory)
        [line] = regrow.json("unmark", disk / "cache")
        assert line["outcome"] == "unmarked"
        assert os.listdir(disk / "cache") == []
    assert has_attribute(other)


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", WITHOUT_ATTRIBUTES)
def test_an_environment_on_a_file_system_without_attributes_is_made_and_said_to_be_half_marked(
    regrow: Regrow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records_directory: Path,
    kind: str,
) -> None:
    use_creator(monkeypatch, tmp_path / "programs", 'touch "$place/pyvenv.cfg"')
    with mounted_image(tmp_path, kind) as disk:
        done = regrow("venv", disk / ".venv")
        assert done.returncode == 1
        assert f"{disk / '.venv'}: user.xdg.robots.backup: this file system" in done.stderr
        assert "left out of backups (cachedir-tag)" in done.stdout
        assert os.listdir(disk) in ([".venv"], [".venv", "lost+found"])
        [record] = read_records(records_directory)
        assert (record.set, record.state) == (("cachedir-tag",), "pending")


@ext4
@pytest.mark.needs_root
def test_a_read_only_file_system_is_named_and_the_next_path_done(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    def prepare(disk: Path) -> None:
        (disk / "cache").mkdir()
        (disk / ".venv").mkdir()
        (disk / ".venv" / "pyvenv.cfg").touch()

    other = tmp_path / "other"
    other.mkdir()
    with mounted_image(tmp_path, "ext4", read_only=True, prepare=prepare) as disk:
        done = regrow("mark", "--tag", disk / "cache", other)
        assert done.returncode == 1
        for title in ("user.xdg.robots.backup", "CACHEDIR.TAG"):
            assert f"{disk / 'cache'}: {title}: the file system is read-only (EROFS)" in done.stderr
        assert regrow("unmark", disk / "cache").returncode == 0
        for words in (("new",), ("a/b/new",), (".venv", "--clear")):
            done = regrow("venv", *words, cwd=disk)
            assert done.returncode == 1
            assert "the file system is read-only (EROFS)" in done.stderr
            assert words[0].removesuffix("/new") in done.stderr
            assert "Traceback" not in done.stderr
        assert is_untouched(disk / "cache")
    assert has_attribute(other)
    assert [record.path for record in read_records(records_directory)] == [str(other)]
    assert temporary_records(records_directory) == []


@ext4
@pytest.mark.needs_root
def test_a_full_disk_is_named_and_no_half_written_tag_stays(
    regrow: Regrow, full_disk: Path, tmp_path: Path, records_directory: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    done = regrow("mark", "--tag", full_disk / "cache", other)
    assert done.returncode == 1
    assert f"{full_disk / 'cache'}: CACHEDIR.TAG: the disk is full (ENOSPC)" in done.stderr
    assert os.listdir(full_disk / "cache") == ["object.o"]
    assert has_attribute(other)
    assert_every_mark_has_its_record(full_disk, records_directory)
    assert_every_mark_has_its_record(other, records_directory)


@ext4
@pytest.mark.needs_root
def test_no_environment_is_begun_on_a_full_disk(
    regrow: Regrow, full_disk: Path, records_directory: Path
) -> None:
    before = sorted(os.listdir(full_disk))
    done = regrow("venv", full_disk / "deep" / ".venv")
    assert done.returncode == 1
    assert "the disk is full (ENOSPC)" in done.stderr
    assert str(full_disk / "deep") in done.stderr
    assert sorted(os.listdir(full_disk)) == before
    assert read_records(records_directory) == []


@ext4
@pytest.mark.needs_root
def test_a_disk_that_fills_up_while_the_creator_writes_leaves_the_old_environment(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records_directory: Path
) -> None:
    change = use_creator(monkeypatch, tmp_path / "programs")
    with mounted_image(tmp_path, "ext4") as disk:
        assert regrow("venv", cwd=disk).returncode == 0
        (disk / ".venv" / "old").touch()
        change('dd if=/dev/zero of="$place/pyvenv.cfg" bs=1M count=64')
        done = regrow("venv", "--clear", cwd=disk)
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert (disk / ".venv" / "old").exists()
        assert leftovers(disk) == []
        assert_every_mark_has_its_record(disk, records_directory)


# Records that can't be kept.


def _refuses_everything(regrow: Regrow, cache: Path, cause: str) -> None:
    """Check that nothing is marked, made or moved without a record."""
    new, old = cache.parent / "new", cache.parent / "old"
    cache.mkdir()
    old.mkdir()
    (old / "pyvenv.cfg").touch()
    for words in (("mark", "--tag", cache), ("venv", new), ("venv", "--clear", old)):
        done = regrow(*words)
        assert done.returncode == 1
        assert cause in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert is_untouched(cache)
        assert not new.exists()
        assert os.listdir(old) == ["pyvenv.cfg"]
        assert is_untouched(old)
        assert leftovers(cache.parent) == []


@ext4
@pytest.mark.needs_root
def test_nothing_is_marked_where_the_disk_of_the_records_is_full(
    regrow: Regrow, full_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    # The names are there, and no block for what they should hold.
    (full_disk / "filler").unlink()
    directory = full_disk / "data" / "regrow" / "records"
    directory.mkdir(parents=True)
    fill(full_disk)
    monkeypatch.setenv("XDG_DATA_HOME", str(full_disk / "data"))
    place = tmp_path / "place"
    place.mkdir()
    _refuses_everything(regrow, place / "cache", "the disk is full (ENOSPC)")
    assert os.listdir(directory) == []
    done = regrow("mark", place / "cache")
    assert f"{place / 'cache'}: its record can't be written: {directory}" in done.stderr


@ext4
@pytest.mark.needs_root
def test_nothing_is_marked_where_the_records_are_on_a_read_only_file_system(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    place = tmp_path / "place"
    place.mkdir()

    def prepare(disk: Path) -> None:
        (disk / "with" / "regrow" / "records").mkdir(parents=True)

    with mounted_image(tmp_path, "ext4", read_only=True, prepare=prepare) as disk:
        for data in ("with", "without"):
            monkeypatch.setenv("XDG_DATA_HOME", str(disk / data))
            (place / data).mkdir()
            _refuses_everything(regrow, place / data / "cache", "read-only (EROFS)")


def test_nothing_is_marked_where_the_records_may_not_be_written(
    users_home: Path, as_ordinary_user: AsOrdinaryUser
) -> None:
    cache = users_home / "cache"
    directory = users_home / ".local/share/regrow/records"

    def mark() -> Done:
        cache.mkdir()
        directory.mkdir(parents=True)
        directory.chmod(0o555)
        return run("mark", "--json", "--tag", cache)

    done = as_ordinary_user(mark)
    assert done.code == 1
    [line] = done.lines
    assert line["outcome"] == "failed"
    assert f"{cache}: its record can't be written: {directory}" in line["error"]
    assert is_untouched(cache)


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_something_else_in_the_place_of_the_records_is_reported(
    regrow: Regrow, tmp_path: Path, records_directory: Path, kind: str
) -> None:
    records_directory.parent.mkdir(parents=True)
    if kind == "file":
        records_directory.touch()
    else:
        records_directory.symlink_to("nowhere")
    cache = tmp_path / "cache"
    cache.mkdir()
    done = regrow("mark", cache)
    assert done.returncode == 1
    assert f"{records_directory}: records can't be kept" in done.stderr
    assert is_untouched(cache)


@pytest.mark.parametrize("kind", ["directory", "link", "damaged"])
def test_something_else_in_the_place_of_a_record_is_reported_or_replaced(
    regrow: Regrow, tmp_path: Path, records_directory: Path, kind: str
) -> None:
    cache, other, victim = tmp_path / "cache", tmp_path / "other", tmp_path / "victim"
    cache.mkdir()
    other.mkdir()
    victim.write_text("years of work")
    assert regrow("mark", cache).returncode == 0
    assert regrow("unmark", cache).returncode == 0
    from regrow.records.store import file_name

    place = records_directory / file_name(str(cache))
    if kind == "directory":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(victim)
    else:
        place.write_bytes(b"\0\xff no TOML")
    done = regrow("mark", cache, other)
    assert "Traceback" not in done.stderr
    assert has_attribute(other), "the other path is done"
    assert done.returncode == (0 if kind == "damaged" else 1)
    assert has_attribute(cache) == (kind == "damaged")
    assert victim.read_text() == "years of work"
