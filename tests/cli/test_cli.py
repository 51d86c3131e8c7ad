import json
import os
import subprocess
import sys
import tomllib
from base64 import b64decode
from pathlib import Path

import pytest

from regrow.cli.main import COMMANDS
from regrow.cli.output import show
from tests import attributes
from tests.conftest import Regrow

linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")


def attribute(path: Path) -> bytes | None:
    return attributes.get(path, "user.xdg.robots.backup")


def test_help_lists_every_command_and_each_has_help_with_examples(regrow: Regrow) -> None:
    general = regrow("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in general
        text = regrow(command, "--help").stdout
        assert f"usage: regrow {command}" in text
        assert "examples:\n  regrow" in text


def test_no_command_or_an_unknown_one_is_wrong_usage(regrow: Regrow) -> None:
    assert regrow().returncode == 2
    done = regrow("statsu")
    assert done.returncode == 2
    assert "did you mean `regrow status`?" in done.stderr
    assert regrow("mark").returncode == 2
    assert regrow("mark", "--nonsense", ".").returncode == 2


def test_the_version_is_the_packages(regrow: Regrow) -> None:
    from importlib.metadata import version

    assert regrow("--version").stdout == f"regrow {version('regrow')}\n"


def test_mark_records_and_marks_and_unmark_takes_both_back(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    done = regrow("mark", place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"marked  {place}  (")
    (record,) = records_directory.iterdir()
    assert 'rule = "explicit"' in record.read_text()
    assert 'state = "marked"' in record.read_text()
    assert regrow("mark", place).stdout.startswith("already marked  ")
    assert regrow("unmark", place).stdout == f"unmarked  {place}\n"
    assert list(records_directory.iterdir()) == []
    assert regrow("unmark", place).stdout == f"not marked  {place}\n"


@linux
def test_one_bad_path_does_not_stop_the_others(regrow: Regrow, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    done = regrow("mark", "a", "missing", "b", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "regrow: missing: it does not exist (ENOENT)\n"
    assert attribute(tmp_path / "a") == attribute(tmp_path / "b") == b"false"


def test_a_file_is_refused_by_name(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = regrow("mark", "file", cwd=tmp_path)
    assert done.returncode == 1
    assert "file: it is not a directory" in done.stderr


@linux
def test_what_others_set_is_found_and_not_recorded_as_regrows(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    attributes.put(tmp_path, "user.xdg.robots.backup", b"false")
    assert regrow("mark", tmp_path).stdout.startswith("already marked")
    (record,) = records_directory.iterdir()
    assert 'set = []\nfound = ["xdg-robots"]' in record.read_text()


@linux
def test_what_regrow_set_stays_its_own_when_marked_again(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    regrow("mark", "--tag", tmp_path)
    attributes.remove(tmp_path, "user.xdg.robots.backup")
    regrow("mark", tmp_path)
    (record,) = records_directory.iterdir()
    assert 'set = ["xdg-robots", "cachedir-tag"]' in record.read_text()


@linux
def test_a_value_that_is_replaced_is_kept_in_the_record(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    attributes.put(tmp_path, "user.xdg.robots.backup", b"true")
    regrow("mark", tmp_path)
    (record,) = records_directory.iterdir()
    assert '[previous]\nxdg-robots = "dHJ1ZQ=="' in record.read_text()


def test_a_newer_record_is_left_alone_and_so_is_its_directory(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    regrow("mark", tmp_path)
    (record,) = records_directory.iterdir()
    newer = record.read_text().replace("format = 1", "format = 2")
    regrow("unmark", tmp_path)
    record.write_text(newer)
    for command in ("mark", "unmark"):
        done = regrow(command, tmp_path)
        assert done.returncode == 1
        assert "a newer regrow wrote this record" in done.stderr
    assert record.read_text() == newer
    assert attribute(tmp_path) is None


@pytest.mark.needs("git")
def test_a_directory_that_git_ignores_gets_a_tag(regrow: Regrow, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/out/\n/dist/\n/_site/\n")
    for name in ("out", "kept", "dist", "_site"):
        (tmp_path / name).mkdir()
    regrow("mark", "out", "kept", "dist", "_site", cwd=tmp_path)
    assert os.listdir(tmp_path / "out") == ["CACHEDIR.TAG"]
    # People upload or deploy these, and the tag would go along.
    assert os.listdir(tmp_path / "dist") == []
    assert os.listdir(tmp_path / "_site") == []
    assert os.listdir(tmp_path / "kept") == []
    regrow("mark", "--tag", "kept", cwd=tmp_path)
    assert os.listdir(tmp_path / "kept") == ["CACHEDIR.TAG"]


@pytest.mark.needs("git")
def test_asking_git_runs_nothing_of_the_repository(regrow: Regrow, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    proof = tmp_path / "executed"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{proof}'\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external"):
        subprocess.run(["git", "-C", tmp_path, "config", key, str(trap)], check=True)
    (tmp_path / ".gitignore").write_text("/out/\n")
    (tmp_path / "out").mkdir()
    # The control: git itself does run it.
    subprocess.run(["git", "-C", tmp_path, "status"], capture_output=True)
    assert proof.exists()
    proof.unlink()
    regrow("mark", "out", cwd=tmp_path)
    assert os.listdir(tmp_path / "out") == ["CACHEDIR.TAG"]
    assert not proof.exists()


def test_json_has_a_line_a_path(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first, second = regrow.json("mark", tmp_path / "a", tmp_path / "missing")
    assert first["path"] == str(tmp_path / "a")
    assert first["outcome"] == "marked"
    assert {state["state"] for state in first["markers"].values()} == {"marked"}
    assert second["outcome"] == "failed"
    assert "does not exist" in second["error"]
    (taken,) = regrow.json("unmark", tmp_path / "a")
    assert taken["outcome"] == "unmarked"


@linux
def test_a_path_that_is_not_utf_8_has_its_exact_bytes_in_json(
    regrow: Regrow, tmp_path: Path
) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\n\x1b[31m"
    os.mkdir(name)
    (line,) = regrow.json("mark", name)
    assert b64decode(line["path_b64"]) == name
    shown = regrow("mark", name).stdout
    assert shown.isprintable() or shown[:-1].isprintable()
    assert r"\xff\n\x1b[31m" in shown
    (line,) = regrow.json("status", "--program", "borg2", name)
    assert line["programs"]["borg2"]["excluded"] is True


def test_status_says_for_each_program_by_what_and_exits_1_if_one_copies(
    regrow: Regrow, tmp_path: Path
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    regrow("mark", "--tag", tmp_path)
    done = regrow("status", "--program", "restic", "--program", "bsdtar", "inner", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "inner"
    assert "bsdtar" in lines[2]
    assert "backed up" in lines[2]
    assert (
        f"by cachedir-tag, set on {tmp_path}; the backup must run with --exclude-caches"
        in done.stdout
    )
    assert regrow("status", "--program", "restic", cwd=tmp_path).returncode == 0
    (line,) = regrow.json("status", "--program", "restic", cwd=tmp_path)
    assert line["programs"]["restic"] == {
        "excluded": True,
        "marker": "cachedir-tag",
        "on": str(tmp_path),
        "option": "--exclude-caches",
    }


def test_status_obeys_the_programs_in_the_configuration(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('programs = ["kopia"]\n')
    (line,) = regrow.json("status", tmp_path)
    assert line["programs"] == {"kopia": {"excluded": False}}


@pytest.mark.parametrize("command", ["mark", "unmark", "status", "venv", "doctor"])
def test_a_wrong_configuration_stops_everything_before_it_begins(
    command: str, regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[markers]\nnodmup = true\n")
    (tmp_path / "a").mkdir()
    done = regrow(command, "a", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{file}:2: unknown key 'nodmup'" in done.stderr
    assert os.listdir(tmp_path / "a") == []
    assert attribute(tmp_path / "a") is None


@linux
def test_nodump_is_set_on_request_with_the_warning(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[markers]\nnodump = true\n")
    (line,) = regrow.json("mark", tmp_path)
    if line["markers"]["nodump"]["state"] == "failed":
        pytest.skip("this file system has no flags")
    assert "a file moved out keeps it" in regrow("mark", tmp_path).stderr
    (line,) = regrow.json("status", "--program", "bsdtar", tmp_path)
    assert line["programs"]["bsdtar"]["excluded"] is True
    assert regrow.json("unmark", tmp_path)[0]["markers"]["nodump"]["state"] == "unmarked"


def test_doctor_tries_the_markers_and_leaves_nothing(regrow: Regrow, tmp_path: Path) -> None:
    lines = regrow.json("doctor", tmp_path)
    assert os.listdir(tmp_path) == []
    tried = {line["name"]: line["state"] for line in lines if line["subject"] == "marker"}
    assert tried["cachedir-tag"] == "ok"
    creators = {line["name"] for line in lines if line["subject"] == "creator"}
    assert creators == {"uv", "virtualenv", "venv"}


@pytest.mark.needs("restic")
def test_doctor_names_the_option_that_an_installed_program_needs(
    regrow: Regrow, tmp_path: Path
) -> None:
    done = regrow("doctor", tmp_path)
    assert done.returncode == 0
    assert "  restic: run it with --exclude-caches\n" in done.stdout


def test_doctor_says_what_to_do_where_records_cannot_be_kept(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    records_directory.parent.parent.mkdir(parents=True)
    records_directory.parent.touch()
    done = regrow("doctor", tmp_path)
    assert done.returncode == 1
    assert "make it writable; nothing is marked without a record" in done.stdout


def test_output_into_a_closed_pipe_ends_quietly(regrow: Regrow, tmp_path: Path) -> None:
    words = [*Regrow.command, "status", *["--program", "tar"], *[str(tmp_path)] * 2000]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


SCRIPT = """
import sys, {imports}
from regrow.cli.main import script

{begun}
sys.argv = ["regrow", "mark", "missing"]
code = script()
print("it came back")
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("imports", "begun", "said"),
    [
        ("atexit", "atexit.register(print, 'handlers are run')", "handlers are run"),
        (
            "threading, time",
            "threading.Thread(target=lambda: (time.sleep(0.2), print('done'))).start()",
            "it came back\ndone",
        ),
    ],
)
def test_a_process_ends_without_tidying_up_where_nobody_waits_for_that(
    tmp_path: Path, imports: str, begun: str, said: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(imports=imports, begun=begun)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, sorted(ended.stdout.splitlines())) == (1, sorted(said.splitlines()))
    assert ended.stderr.startswith("regrow: missing: ")


def test_every_line_of_json_is_one_line(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "a\nb").mkdir()
    done = regrow("mark", "--json", tmp_path / "a\nb")
    assert json.loads(done.stdout)["path"] == f"{tmp_path}/a\nb"


CONTROLS = "\x1b\x7f\x85\x9b\u061c\u200e\u2028\u2029\u202e\u2066\U000e0001"
"""What terminals, readers of lines and eyes may take for something else than a letter."""


def test_json_and_records_hold_no_character_that_controls_a_terminal(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    place = tmp_path / f"a{CONTROLS}ü b"
    place.mkdir()
    for words in (("mark",), ("list",), ("status",), ("explain",), ("unmark",)):
        if words == ("list",):
            (record,) = records_directory.iterdir()
            assert set(CONTROLS[:-1]).isdisjoint(record.read_bytes().decode())
            assert "ü b" in record.read_text()
        done = regrow(*words, "--json", place)
        assert done.stdout.removesuffix("\n").isprintable()
        assert json.loads(done.stdout)["path"] == str(place)
        assert "ü b" in done.stdout


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ü.txt", "plain ü.txt"),
        ("a\nb", r"a\nb"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\udcff", r"\xff"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_control_characters_are_shown_escaped(name: str, shown: str) -> None:
    assert show(name) == shown


@linux
def test_a_full_disk_under_the_output_is_an_error_and_no_traceback(
    regrow: Regrow, tmp_path: Path
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*Regrow.command, "status", "--program", "tar", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "regrow: the output can't be written: the disk is full (ENOSPC)\n"


@linux
@pytest.mark.needs_root
def test_the_superuser_writes_nothing_inside_another_users_directory(
    regrow: Regrow, tmp_path: Path
) -> None:
    os.chown(tmp_path, 65534, 65534)
    done = regrow("mark", "--tag", tmp_path)
    assert done.returncode == 1
    assert "belongs to another user" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.needs("uv")
def test_an_environment_is_recorded_with_its_recipe_and_again_when_it_changed(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    subprocess.run(["uv", "venv", "-q", tmp_path / "env"], check=True)
    regrow("mark", tmp_path / "env")
    (file,) = records_directory.iterdir()
    first = tomllib.loads(file.read_text())["recipe"]
    assert (first["kind"], first["requirements"]) == ("python", [])
    regrow("mark", tmp_path / "env")
    assert tomllib.loads(file.read_text())["recipe"] == first

    (packages,) = (tmp_path / "env/lib").glob("python*/site-packages")
    (packages / "six-1.17.0.dist-info").mkdir()
    (packages / "six-1.17.0.dist-info/METADATA").write_text("Name: six\nVersion: 1.17.0\n")
    regrow("mark", tmp_path / "env")
    assert tomllib.loads(file.read_text())["recipe"]["requirements"] == ["six==1.17.0"]


def test_npms_own_lock_is_copied_beside_the_record_and_goes_with_it(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (tmp_path / "package.json").write_text('{"name": "shop", "dependencies": {"a": "1"}}')
    hidden = {"lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1.0.0"}}}
    (modules / ".package-lock.json").write_text(json.dumps(hidden))
    regrow("mark", modules)
    (lock,) = records_directory.glob("*.package-lock.json")
    assert json.loads(lock.read_text())["packages"]["node_modules/a"] == {"version": "1.0.0"}
    assert lock.stat().st_mode & 0o777 == 0o600
    regrow("unmark", modules)
    assert list(records_directory.iterdir()) == []


def test_without_a_recipe_the_users_word_is_enough(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package.json").write_text("{}")
    assert regrow("mark", tmp_path / "node_modules").returncode == 0
    (file,) = records_directory.iterdir()
    assert tomllib.loads(file.read_text())["recipe"] == {"kind": "none"}


def test_what_is_to_run_at_the_end_of_the_process_runs() -> None:
    """``atexit._run_exitfuncs`` is private to CPython: this shows that it is still there."""
    code = (
        "import atexit, sys; atexit.register(print, 'the end');"
        " from regrow.cli.main import script;"
        " sys.argv = ['regrow', '--version']; sys.exit(script())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("the end\n")


def test_argparse_is_imported_without_gettext_which_others_still_get() -> None:
    code = (
        "import sys; from regrow.cli.main import main; assert main(['undo', '-y', '-n']) == 2;"
        " import argparse; assert argparse.ngettext('one', 'more', 2) == 'more';"
        " assert 'gettext' not in sys.modules; import gettext; gettext.translation"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "not allowed with argument" in done.stderr
