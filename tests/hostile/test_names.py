"""Names are bytes: what no terminal should see, no decoder can read and no shell would survive."""

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    assert_every_mark_has_its_record,
    has_attribute,
    leftovers,
    read_records,
    record_of,
    use_creator,
)
from tests.sweeping import Inside

pytestmark = LINUX_ONLY

NAMES = {
    "newline": b"two\nlines",
    "newline at the end": b"ends\n",
    "carriage return": b"over\rwritten",
    "escape": b"\x1b[31mred\x1b]0;title\x07",
    "C1 escape": "\x9b31m".encode(),
    "delete": b"rub\x7fout",
    "turned around": "\u202egpj.exe\u2069".encode(),
    "not UTF-8": b"\xff\xfe caf\xe9",
    "not UTF-8, with a newline": b"\xff\n\x80",
    "as long as can be": b"n" * 255,
    "long and not UTF-8": b"\xfe" * 255,
    "leading dash": b"-rf",
    "an option": b"--json",
    "spaces": b"  two  words ",
    "quotes": b"'\"$(touch x)`touch y`;\\",
    "TOML": b'"""\n[recipe]\nkind = "x',
    "umlaut": "Müll-日本".encode(),
    "dots": b"...",
    "deleted": b"x (deleted)",
    "a pattern": b"*?[a]{b}",
}
CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def place(tmp_path: Path) -> bytes:
    made = tmp_path / "place"
    made.mkdir()
    return os.fsencode(made)


def path_in(line: dict[str, Any]) -> bytes:
    """Give the exact path that a line of JSON names."""
    if "path_b64" in line:
        return base64.b64decode(line["path_b64"])
    return str(line["path"]).encode()


def assert_fit_for_a_terminal(text: str) -> None:
    assert not CONTROL.search(text), repr(text)


def test_every_name_goes_through_mark_status_and_unmark_as_json(
    regrow: Regrow, place: bytes, records_directory: Path
) -> None:
    paths = [os.path.join(place, name) for name in NAMES.values()]
    for path in paths:
        os.mkdir(path)

    lines = regrow.json("mark", "--tag", *paths)
    assert [(path_in(line), line["outcome"]) for line in lines] == [(p, "marked") for p in paths]
    assert all(has_attribute(path) for path in paths)
    assert_every_mark_has_its_record(Path(os.fsdecode(place)), records_directory)
    for path in paths:
        record = record_of(path, records_directory)
        assert record is not None
        assert os.fsencode(record.path) == path
        assert (record.state, record.inode) == ("marked", os.stat(path).st_ino)

    lines = regrow.json("status", "--program", "borg", *paths)
    assert [path_in(line) for line in lines] == paths
    assert all(line["programs"]["borg"]["excluded"] for line in lines)

    lines = regrow.json("mark", *paths)
    assert [line["outcome"] for line in lines] == ["already marked"] * len(paths)

    lines = regrow.json("unmark", *paths)
    assert [(path_in(line), line["outcome"]) for line in lines] == [(p, "unmarked") for p in paths]
    assert not any(has_attribute(path) for path in paths)
    assert read_records(records_directory) == []


def test_what_people_read_holds_no_control_character_and_one_line_a_path(
    regrow: Regrow, place: bytes
) -> None:
    paths = [os.path.join(place, name) for name in NAMES.values()]
    for path in paths:
        os.mkdir(path)
    for words in (("mark",), ("mark", "--tag"), ("unmark",)):
        done = regrow(*words, *paths)
        assert done.returncode == 0, done.stderr
        assert_fit_for_a_terminal(done.stdout + done.stderr)
        assert len(done.stdout.splitlines()) == len(paths)
    done = regrow("status", *paths)
    assert_fit_for_a_terminal(done.stdout + done.stderr)


@pytest.mark.parametrize("command", ["mark", "unmark", "status"])
def test_complaints_hold_no_control_character_and_one_line_a_path(
    regrow: Regrow, place: bytes, command: str
) -> None:
    names = [name for name in NAMES.values() if not name.startswith(b"-")]
    paths = [os.path.join(place, name) for name in names]
    done = regrow(command, *paths)
    assert done.returncode == 1
    assert_fit_for_a_terminal(done.stderr)
    assert len(done.stderr.splitlines()) == len(paths)
    for path in paths:
        os.symlink(b"\x1b[31mtarget\n", path)
    done = regrow(command, *paths)
    assert_fit_for_a_terminal(done.stdout + done.stderr)
    assert "Traceback" not in done.stderr


def test_a_failure_in_json_names_the_exact_path(regrow: Regrow, place: bytes) -> None:
    paths = [os.path.join(place, name) for name in NAMES.values()]
    lines = regrow.json("mark", *paths)
    assert [(path_in(line), line["outcome"]) for line in lines] == [(p, "failed") for p in paths]
    assert all(line["error"] for line in lines)


@pytest.mark.parametrize("words", [(b"mark",), (b"venv",), (b"\x1b[31m",)])
def test_usage_errors_hold_no_control_character(regrow: Regrow, words: tuple[bytes, ...]) -> None:
    # `regrow mark *` where somebody put a file of that name
    done = regrow(*words, b"--\x1b]0;title\x07\xff\n", b"x")
    assert done.returncode == 2
    assert_fit_for_a_terminal(done.stderr)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_an_environment_of_any_name_is_made_marked_and_replaced(
    regrow: Regrow,
    place: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    records_directory: Path,
    name: bytes,
) -> None:
    use_creator(monkeypatch, tmp_path / "programs")
    directory = Path(os.fsdecode(place))
    given = b"./" + name
    [line] = regrow.json("venv", given, cwd=directory)
    path = os.path.join(place, name)
    assert (path_in(line), line["outcome"]) == (path, "marked")
    record = record_of(path, records_directory)
    assert record is not None
    assert record.path == os.fsdecode(path)
    assert record.recipe["command"] == ["regrow", "venv", os.fsdecode(path)]

    (directory / os.fsdecode(name) / "old").write_text("years of work")
    done = regrow("venv", "--clear", given, cwd=directory)
    assert done.returncode == 0, done.stderr
    assert_fit_for_a_terminal(done.stdout + done.stderr)
    assert not (directory / os.fsdecode(name) / "old").exists()
    [kept] = leftovers(directory)
    assert {os.fsencode(kept), name} == set(os.listdir(place))
    assert (directory / kept / "old").read_text() == "years of work"
    shown = regrow("leftovers", directory)
    assert_fit_for_a_terminal(shown.stdout)
    assert "1 left" in shown.stdout
    assert_every_mark_has_its_record(directory, records_directory)
    assert len(read_records(records_directory)) == 1


def test_json_of_a_path_with_any_byte_is_utf_8(regrow: Regrow, place: bytes) -> None:
    every = bytes(byte for byte in range(1, 256) if byte != ord("/"))[:255]
    path = os.path.join(place, every)
    os.mkdir(path)
    done = regrow("mark", "--json", path)
    line = json.loads(done.stdout.encode())
    assert path_in(line) == path


@pytest.mark.parametrize("path", ["\0", "x\0y", "x\0/y"])
@pytest.mark.parametrize("function", ["exclude", "include", "create", "is_excluded"])
def test_the_library_refuses_what_can_not_be_a_path(
    function: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import regrow as library

    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    with pytest.raises(library.PathError):
        getattr(library, function)(path)
    assert os.listdir(place) == []
