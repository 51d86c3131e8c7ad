"""What regrow makes for itself is its user's alone, whatever the umask."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow.programs.export import files
from regrow.records.store import Store
from regrow.system import cache, own_files
from regrow_marks.directory import open_directory
from regrow_marks.markers import CACHEDIR_TAG, marker, put_on
from tests.conftest import Regrow

UMASKS = pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)


def modes(top: Path) -> dict[str, str]:
    """By path below a directory: the permissions, of all that stands there."""
    return {
        str(path.relative_to(top)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in top.rglob("*")
        if not path.is_symlink()
    }


@pytest.mark.parametrize(
    "umask",
    [0o000, 0o777, *(pytest.param(umask, marks=pytest.mark.slow) for umask in (0o22, 0o77, 0o277))],
    ids=oct,
)
def test_records_caches_stamps_locks_and_logs_are_the_users_alone(
    umask: int, regrow: Regrow, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    (tmp_path / "node_modules/a").mkdir(parents=True)
    (tmp_path / "node_modules/.package-lock.json").write_text("{}")
    (tmp_path / "out").mkdir()
    stamp = home / f".cache/regrow/hooks/{os.getpid()}-1"
    for words in (
        ("mark", "out"),
        ("sweep", "--yes", "."),
        ("list",),
        ("hook", "--check", str(stamp)),
        ("doctor",),
    ):
        regrow(*words, cwd=tmp_path, umask=umask)
    watching = subprocess.Popen(
        [*Regrow.command, "watch", str(tmp_path)], umask=umask, stdout=subprocess.PIPE
    )
    try:
        lock = home / ".local/share/regrow/watch.lock"
        if sys.platform == "darwin":
            lock = home / "Library/Application Support/regrow/watch.lock"
        while not lock.exists():
            assert watching.poll() is None
    finally:
        watching.kill()
        watching.communicate()
    (tmp_path / "node_modules").rename(tmp_path / "gone")
    regrow("rebuild", "--yes", cwd=tmp_path, umask=umask)
    found = {name: mode for name, mode in modes(home).items() if not name.startswith(".npm")}
    assert len(found) > 10
    assert found == {name: "0o700" if (home / name).is_dir() else "0o600" for name in found}


@UMASKS
def test_a_tag_can_be_read_by_its_owner_and_written_by_nobody_else(
    umask: int, tmp_path: Path
) -> None:
    before = os.umask(umask)
    try:
        with open_directory(tmp_path) as directory:
            assert put_on(marker(CACHEDIR_TAG), directory).holds
    finally:
        os.umask(before)
    mode = (tmp_path / "CACHEDIR.TAG").stat().st_mode
    assert mode & 0o600 == 0o600
    assert not mode & 0o022


@UMASKS
def test_an_exclude_file_can_be_written_by_nobody_else(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        files.write(str(tmp_path / "list"), b"1")
        files.write(str(tmp_path / "list"), b"2")
    finally:
        os.umask(before)
    mode = (tmp_path / "list").stat().st_mode
    assert mode & 0o600 == 0o600
    assert not mode & 0o022


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_an_ordinary_user_reads_again_what_was_written(
    umask: int, open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    def write() -> bytes | None:
        os.environ["HOME"] = str(open_place / "home")
        os.umask(umask)
        cache.write("name", b"content")
        with Store() as store:
            store.restore("/a/b", b"data")
            assert store.data("/a/b") == b"data"
        return cache.read("name")

    open_place.chmod(0o755)
    (open_place / "home").mkdir()
    os.chown(open_place / "home", 65534, 65534) if os.geteuid() == 0 else None
    assert as_ordinary_user(write) == b"content"


def test_directories_that_are_there_keep_their_permissions(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share").chmod(0o755)
    own_files.make_directory(str(tmp_path / "share/regrow/records"))
    assert modes(tmp_path) == {
        "share": "0o755",
        "share/regrow": "0o700",
        "share/regrow/records": "0o700",
    }
