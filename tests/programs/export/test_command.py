import json
import sys
from pathlib import Path

import pytest

from regrow.programs.export import formats
from tests import attributes
from tests.conftest import Regrow
from tests.sweeping import Inside


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def code(home: Path) -> Path:
    """A project in the home directory with one directory that a sweep would mark."""
    shop = home / "code" / "shop"
    (shop / "node_modules" / "left-pad").mkdir(parents=True)
    (shop / "package.json").write_text("{}")
    (shop / "package-lock.json").write_text("{}")
    (home / "code" / "scratch").mkdir()
    return home / "code"


def test_what_is_marked_and_what_a_sweep_would_mark_is_listed(regrow: Regrow, code: Path) -> None:
    assert regrow("mark", code / "scratch").returncode == 0
    done = regrow("export", "paths")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{code}/scratch\n{code}/shop/node_modules\n"
    assert regrow("export", "paths", "--marked-only").stdout == f"{code}/scratch\n"
    assert regrow("export", "paths", "-0", "--marked-only").stdout == f"{code}/scratch\0"


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux' own mark off")
def test_what_lost_its_mark_or_is_gone_is_not_listed(regrow: Regrow, code: Path) -> None:
    (code / "gone").mkdir()
    assert regrow("mark", code / "scratch", code / "gone").returncode == 0
    (code / "gone").rmdir()
    attributes.remove(code / "scratch", "user.xdg.robots.backup")
    assert regrow("export", "paths", "--marked-only").stdout == ""


def test_what_a_sweep_would_take_back_is_not_listed(regrow: Regrow, code: Path) -> None:
    assert regrow("sweep", "--yes").returncode == 0
    listed = f"{code}/shop/node_modules\n"
    assert regrow("export", "paths").stdout == listed
    (code / "shop" / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    assert regrow("export", "paths").stdout == ""
    assert regrow("export", "paths", "--marked-only").stdout == listed


def test_nothing_is_changed(regrow: Regrow, code: Path, records_directory: Path) -> None:
    regrow("export", "restic")
    assert not records_directory.exists()


def test_a_file_is_written_checked_and_written_anew(
    regrow: Regrow, code: Path, tmp_path: Path
) -> None:
    file = tmp_path / "exclude"
    words = ("export", "restic", "--output", file)
    assert regrow(*words, "--check").returncode == 1
    assert not file.exists()
    done = regrow(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert file.read_text().splitlines()[1:] == [f"{code}/shop/node_modules/"]
    assert regrow(*words, "--check").returncode == 0

    (code / "shop" / "package.json").unlink()
    done = regrow(*words, "--check")
    assert done.returncode == 1
    assert f"{file}: it is out of date" in done.stderr
    assert regrow(*words).returncode == 0
    assert file.read_text().splitlines()[1:] == []
    assert regrow(*words, "--check").returncode == 0


def test_standard_output_is_the_default_and_has_a_name(regrow: Regrow, code: Path) -> None:
    assert regrow("export", "borg").stdout == regrow("export", "borg", "--output", "-").stdout


def test_a_file_that_someone_wrote_by_hand_is_left_alone(
    regrow: Regrow, code: Path, tmp_path: Path
) -> None:
    file = tmp_path / "exclude"
    file.write_text("/home/ada/music\n")
    done = regrow("export", "restic", "--output", file)
    assert done.returncode == 1
    assert "regrow did not write this file" in done.stderr
    assert file.read_text() == "/home/ada/music\n"


def test_what_can_not_be_expressed_is_left_out_with_a_warning(regrow: Regrow, code: Path) -> None:
    (code / "new\nline").mkdir()
    regrow("mark", code / "new\nline")
    done = regrow("export", "tar", "--marked-only")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"regrow: {code}/new\\nline: stays in the backup: GNU tar can't leave it out:"
        " its name holds a newline\n"
    )
    assert regrow("export", "restic", "--marked-only").stderr == ""


def test_json_has_a_line_a_directory(regrow: Regrow, code: Path) -> None:
    (code / "new\nline").mkdir()
    regrow("mark", code / "new\nline", code / "scratch")
    assert regrow.json("export", "tar", "--marked-only") == [
        {"path": f"{code}/new\nline", "listed": False, "reason": "its name holds a newline"},
        {"path": f"{code}/scratch", "listed": True, "reason": None},
    ]


def test_the_source_gives_the_names(regrow: Regrow, code: Path, home: Path) -> None:
    done = regrow("export", "rclone", "--source", "code", cwd=home)
    assert done.stdout.splitlines()[1:] == ["/shop/node_modules/"]
    done = regrow("export", "tar", "--source", "./code", cwd=home)
    assert done.stdout.splitlines() == ["./code/shop/node_modules"]
    assert regrow("export", "tar", "--source", home / "code" / "scratch").stdout == ""


def test_a_program_that_needs_the_source_says_so_before_anything_is_read(
    regrow: Regrow, code: Path
) -> None:
    done = regrow("export", "rclone")
    assert done.returncode == 2
    assert "--source DIR" in done.stderr


def test_a_start_directory_that_is_missing_is_told(regrow: Regrow, code: Path, home: Path) -> None:
    configuration = home / ".config" / "regrow" / "config.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text('start = ["~/code", "~/missing"]\n')
    done = regrow("export", "paths")
    assert done.returncode == 1
    assert "~/missing: not read" in done.stderr
    assert done.stdout == f"{code}/shop/node_modules\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("time-machine",),
        ("restic", "--print0"),
        ("restic", "--check"),
        ("restic", "--check", "--output", "-"),
        ("restic", "--check", "--list"),
    ],
)
def test_wrong_usage(regrow: Regrow, words: tuple[str, ...]) -> None:
    assert regrow("export", *words).returncode == 2


def test_the_list_tells_every_command_line(regrow: Regrow) -> None:
    shown = regrow("export", "--list").stdout
    assert all(command in shown for form in formats.FORMATS for command in form.commands)
    lines = [json.loads(line) for line in regrow("export", "--list", "--json").stdout.splitlines()]
    assert [line["program"] for line in lines] == list(formats.names())
    (line,) = regrow.json("export", "--list", "kopia")
    assert (line["file"], line["needs_source"]) == ("SOURCE/.kopiaignore", True)
