"""Records are trusted only if nobody else can have written them, and are whole."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.errors import RecordError
from regrow.records.store import Store, file_name
from regrow.system import ownership
from regrow_marks.safe_read import TEXT_LIMIT, UnsafeFileError, read
from tests.conftest import NOBODY, Regrow
from tests.records.making import a_record
from tests.sweeping import Inside, age, attribute, modules

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


def mark(regrow: Regrow, *paths: Path) -> None:
    for path in paths:
        path.mkdir(parents=True, exist_ok=True)
    assert regrow("mark", *paths).returncode == 0


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def of_gigabytes(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 * 1024**3)


def open_for_all(path: Path) -> None:
    path.write_text("")
    path.chmod(0o666)


STRANGE = (a_directory, a_link, a_socket, of_gigabytes, open_for_all)
READERS = (
    ("list", "--json"),
    ("rebuild", "--dry-run"),
    ("export", "paths"),
    ("sweep", "--dry-run", "."),
    ("doctor",),
    ("undo", "--dry-run", "--json"),
)


@pytest.mark.parametrize(
    ("make", "words"),
    [*((a_fifo, words) for words in READERS), *((make, READERS[0]) for make in STRANGE)],
)
def test_what_is_no_record_is_named_and_the_others_are_read(
    make: Callable[[Path], None],
    words: tuple[str, ...],
    regrow: Regrow,
    tmp_path: Path,
    records_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark(regrow, tmp_path / "shop/scratch")
    monkeypatch.chdir(records_directory)  # a socket's path must be short
    make(records_directory / "x-0.toml")
    done = regrow(*words, cwd=tmp_path)
    assert f"{records_directory}/x-0.toml: " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if words[0] in ("list", "export", "undo"):
        assert f"{tmp_path}/shop/scratch" in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "x = 1979-05-27",
        "x = 07:32:00",
        "x = 1979-05-27T07:32:00Z",
        "x = 3.14",
        "x = inf",
        "x = { y = 1 }",
        "x = [1, 2]",
        "x = [[]]",
        f"x = {2**70}",
        f"x = 0x{'f' * 5000}",
        f"x = {'9' * 5000}",
        f"x = {'[' * 5000}{']' * 5000}",
        'x = "a\\u0000b"',
        "x_b64 = 5",
        '"no key" = ""',
    ],
)
def test_a_value_that_regrow_never_writes_is_a_damaged_record_in_words(
    line: str, tmp_path: Path, records_directory: Path
) -> None:
    regrow = Inside()
    mark(regrow, tmp_path / "x", tmp_path / "z")
    name = file_name(str(tmp_path / "x"))
    file = records_directory / name
    file.write_text(f"{file.read_text()}{line}\n")
    done = regrow("list", "--json")
    assert done.returncode == 1
    assert f"{name}: this record is damaged: " in done.stderr
    assert "Error(" not in done.stderr
    assert f'"{tmp_path}/z"' in done.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('state = "marked" ', 'state = "sold"   '),
        ("inode = ", "inode = -"),
        ("inode = ", "inode = true #"),
        ("inode = ", "inode = 1979-05-27 #"),
        ("inode = ", f"inode = {2**65} #"),
        ("born = ", f"born = {2**64} #"),
        ("modified = ", "modified = 1.5 #"),
        ("time = ", "time = 5 #"),
        ("time = ", "time = 1979-05-27 #"),
        ("time = ", "time = 0001-01-01T00:00:00+23:59 #"),
        ("host = ", "host = 5 #"),
        ("rule = ", "rule = [] #"),
        ("set = ", "set = [5] #"),
        ("[recipe]", "[recipes]"),
    ],
)
def test_a_field_of_another_kind_is_a_damaged_record_in_words(
    old: str, new: str, tmp_path: Path, records_directory: Path
) -> None:
    regrow = Inside()
    mark(regrow, tmp_path / "x")
    (file,) = records_directory.glob("*.toml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    for words in (("list", "--json"), ("undo", "--yes"), ("rebuild", "--dry-run")):
        done = regrow(*words)
        assert f"{file}: this record is damaged: " in done.stderr, words
        assert "Traceback" not in done.stderr


def test_a_record_under_the_name_of_another_is_not_taken_for_it(records_directory: Path) -> None:
    with Store() as store:
        store.write(a_record("/home/ada/evil")).close()
        (file,) = records_directory.iterdir()
        file.rename(records_directory / file_name("/home/ada/shop"))
        with pytest.raises(RecordError, match="copy of the record of /home/ada/evil"):
            store.read("/home/ada/shop")


def test_what_could_not_be_read_again_is_not_written(records_directory: Path) -> None:
    with Store() as store:
        store.write(a_record()).close()
        for recipe in (
            {"kind": "cmake", "configure": ["\1" * 3_000_000]},
            {"kind": "python", "prompt": "half \ud800 a character"},
            {"kind": "python", "prompt": "a\0b"},
            {"kind": "python", "stamp": 2**64},
        ):
            with pytest.raises(RecordError, match="/home/ada"):
                store.write(a_record()._replace(recipe=recipe))  # type: ignore[arg-type]
        assert store.read(a_record().path) == a_record()
    assert len(list(records_directory.iterdir())) == 1


def test_nothing_is_marked_whose_record_could_not_be_read_again(
    tmp_path: Path, records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regrow.records.store._SIZE_LIMIT", 200)
    path = modules(tmp_path / "shop")
    age(tmp_path / "shop")
    done = Inside()("sweep", "--yes", tmp_path)
    assert done.returncode == 1
    assert f"{path}: its record would be larger than 200 bytes" in done.stderr
    assert list(records_directory.iterdir()) == []
    assert attribute(path) is None


@needs_root
def test_another_users_record_is_named_and_not_used(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    mark(regrow, tmp_path / "x", tmp_path / "z")
    file = records_directory / file_name(str(tmp_path / "x"))
    os.chown(file, NOBODY, NOBODY)
    done = regrow("undo", "--yes", "--json")
    assert f"{file}: it belongs to another user ({NOBODY})" in done.stderr
    assert f'"{tmp_path}/z"' in done.stdout
    assert f'"{tmp_path}/x"' not in done.stdout


@pytest.mark.parametrize("above", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("words", [("list",), ("rebuild", "--yes"), ("sweep", "--yes", ".")])
def test_records_where_others_may_write_are_not_used(
    above: int,
    words: tuple[str, ...],
    tmp_path: Path,
    home: Path,
    records_directory: Path,
) -> None:
    regrow = Inside()
    mark(regrow, tmp_path / "x")
    place = [records_directory, *records_directory.parents][above]
    assert place.is_relative_to(home)
    place.chmod(0o777)
    done = regrow(*words, cwd=tmp_path)
    assert done.returncode != 0
    assert f"{place}: everybody may write to it" in done.stderr
    assert "chmod go-w" in done.stderr
    place.chmod(0o755)
    assert regrow("list").returncode == 0


def test_directories_for_records_are_made_private_whatever_the_umask(
    regrow: Regrow, tmp_path: Path, home: Path, records_directory: Path
) -> None:
    before = os.umask(0)
    try:
        (tmp_path / "x").mkdir(mode=0o755)
        mark(regrow, tmp_path / "x")
    finally:
        os.umask(before)
    place = records_directory
    while place != home:
        assert place.stat().st_mode & 0o777 == 0o700
        place = place.parent
    assert regrow("list").returncode == 0


@needs_root
def test_root_keeps_no_records_in_the_home_of_another_user(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "roots").mkdir()
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/regrow").symlink_to(tmp_path / "roots")
    os.chown(home, NOBODY, NOBODY)
    done = regrow("mark", tmp_path / "x")
    assert done.returncode != 0
    assert f"{home}: it belongs to another user" in done.stderr
    assert "sudo -H" in done.stderr
    assert list((tmp_path / "roots").iterdir()) == []


def test_a_link_to_a_place_of_ones_own_is_followed_and_one_to_an_open_place_is_not(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    place = tmp_path / "disk/share"
    place.mkdir(parents=True)
    (home / ".local").mkdir()
    (home / ".local/share").symlink_to(place)
    mark(regrow, tmp_path / "x")
    assert regrow("list", "--json").stdout
    place.parent.chmod(0o777)
    assert f"{place.parent}: everybody may write" in regrow("list").stderr
    place.parent.chmod(0o1777)  # nobody can take the place of what is in it
    assert regrow("list").returncode == 0


def test_a_way_is_trusted_by_every_step_of_it(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open/link").symlink_to(tmp_path / "a")
    (tmp_path / "link").symlink_to("open/link/b")
    assert ownership.not_trusted_way(str(tmp_path / "a/b")) == ""
    assert ownership.not_trusted_way(str(tmp_path / "a/b/missing/more")) == ""
    for path in ("open", "link", "open/link/b", "a/../open/x"):
        why = ownership.not_trusted_way(str(tmp_path / path))
        assert why == f"{tmp_path}/open: everybody may write to it"
    (tmp_path / "open").chmod(0o1777)
    assert ownership.not_trusted_way(str(tmp_path / "link")) == ""
    assert ownership.not_trusted_way(str(tmp_path / "open")) != ""  # what is in it is anybody's
    (tmp_path / "round").symlink_to("round")
    assert ownership.not_trusted_way(str(tmp_path / "round")) == ""


@needs_root
def test_a_group_of_ones_own_may_write_and_another_may_not(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o660)
    assert ownership.read_own(str(file), TEXT_LIMIT) == b"x"  # root's group
    os.chown(file, 0, NOBODY)
    os.chown(tmp_path, 0, 0)
    with pytest.raises(UnsafeFileError, match="group"):
        ownership.read_own(str(file), TEXT_LIMIT)
    assert read(str(file)) == b"x"
