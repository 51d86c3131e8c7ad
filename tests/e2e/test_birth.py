"""An environment has its attribute before it has its first entry: strace watches it being made."""

import sys
from pathlib import Path

import pytest

from tests import attributes
from tests.conftest import Regrow
from tests.e2e.making import CHEAPLY, over_creators
from tests.e2e.traces import Birth, birth, calls, trace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace runs on Linux")

ATTRIBUTE, VALUE = "user.xdg.robots.backup", "false"


def watch(place: Path, *command: str | Path) -> Birth:
    """Run a command that makes ``.venv`` in an empty directory, and tell how that came to be."""
    work = place / "work"
    work.mkdir()
    happened = trace(command, place / "trace", work)
    made = birth(str(work / ".venv"), ATTRIBUTE, VALUE, happened)
    there = {str(path) for path in (work / ".venv").rglob("*")}
    assert there, "nothing was made"
    assert there <= made.made, "the trace is not complete"
    return made


def told(*lines: str) -> Birth:
    """Tell how ``/w/.venv`` came to be by a trace."""
    happened = sorted(calls(lines), key=lambda call: call.begun)
    return birth("/w/.venv", ATTRIBUTE, VALUE, happened)


@pytest.mark.needs("strace")
@over_creators
def test_the_attribute_is_set_before_any_entry_is_made(creator: str, tmp_path: Path) -> None:
    command = (*Regrow.command, "venv", "--creator", creator, "--", *CHEAPLY[creator])
    assert watch(tmp_path, *command).before_the_mark == ()
    assert attributes.get(tmp_path / "work" / ".venv", ATTRIBUTE) == VALUE.encode()


@pytest.mark.needs("strace", "uv")
def test_what_uv_makes_by_itself_is_seen_as_made_without_the_attribute(tmp_path: Path) -> None:
    made = watch(tmp_path, "uv", "venv", tmp_path / "work" / ".venv")
    assert set(made.before_the_mark) == made.made


@pytest.mark.needs("strace", "uv")
def test_what_is_made_before_a_late_mark_is_seen(tmp_path: Path) -> None:
    there = tmp_path / "work" / ".venv"
    later = str(there / "later")
    mark = (
        "import os, subprocess, sys;"
        " subprocess.run(['uv', 'venv', sys.argv[1]], check=True);"
        f" os.setxattr(sys.argv[1], {ATTRIBUTE!r}, {VALUE.encode()!r});"
        " open(sys.argv[2], 'x').close()"
    )
    made = watch(tmp_path, sys.executable, "-c", mark, there, later)
    assert set(made.before_the_mark) == made.made - {later}
    assert later in made.made


MADE_ASIDE = '1 mkdirat(4</w>, ".new", 0777) = 0'
MARKED_ASIDE = '1 fsetxattr(5</w/.new>, "user.xdg.robots.backup", "false", 5, 0) = 0'
RENAMED = '1 renameat2(4</w>, ".new", 4</w>, ".venv", RENAME_NOREPLACE) = 0'
MADE = '2 mkdir("/w/.venv", 0777) = 0'
FILLED = (
    '2 openat(AT_FDCWD</w>, ".venv/\\303\\274", O_WRONLY|O_CREAT, 0666) = 3</w/.venv/\\303\\274>'
)
FILLED_ASIDE = '1 symlinkat("q", 5</w/.new>, "f") = 0'


def test_a_directory_takes_its_mark_along_when_it_gets_its_name() -> None:
    made = told(MADE_ASIDE, MARKED_ASIDE, RENAMED, FILLED)
    assert made == Birth(frozenset({"/w/.venv/ü"}), ())


def test_what_is_made_under_the_temporary_name_counts() -> None:
    made = told(MADE_ASIDE, FILLED_ASIDE, MARKED_ASIDE, RENAMED)
    assert made.before_the_mark == ("/w/.new/f",)


def test_a_directory_that_is_made_anew_has_no_mark() -> None:
    made = told(MADE_ASIDE, MARKED_ASIDE, RENAMED, MADE, FILLED)
    assert made.before_the_mark == ("/w/.venv/ü",)


def test_a_mark_with_another_value_is_none() -> None:
    made = told(MADE_ASIDE, MARKED_ASIDE.replace("false", "true"), RENAMED, FILLED)
    assert made.before_the_mark == ("/w/.venv/ü",)


def test_a_mark_that_fails_is_none() -> None:
    failed = MARKED_ASIDE.replace("= 0", "= -1 EPERM (Operation not permitted)")
    made = told(MADE_ASIDE, failed, RENAMED, FILLED)
    assert made.before_the_mark == ("/w/.venv/ü",)


def test_an_entry_that_is_begun_while_the_mark_is_being_set_is_made_before_it() -> None:
    begun, returned = MARKED_ASIDE.split(" 5, 0)")
    made = told(
        MADE_ASIDE,
        f"{begun} 5 <unfinished ...>",
        '2 mkdir("/w/.new/a", 0777 <unfinished ...>',
        f"1 <... fsetxattr resumed>, 0){returned}",
        "2 <... mkdir resumed>) = 0",
        '2 mkdir("/w/.new/b", 0777) = 0',
        RENAMED,
    )
    assert made == Birth(frozenset({"/w/.new/a", "/w/.new/b"}), ("/w/.new/a",))


def test_a_file_that_is_only_opened_is_not_made() -> None:
    opened = FILLED.replace("|O_CREAT", "")
    assert told(MADE, opened).made == frozenset()


def test_a_place_that_the_trace_does_not_tell_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not tell where"):
        told('2 mkdir("venv", 0777) = 0')
