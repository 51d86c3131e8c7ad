"""The command behind the prompt hooks; the hooks themselves run in tests/e2e/test_hooks.py."""

import os
import subprocess
from pathlib import Path

import pytest

from regrow_marks import markers
from regrow_marks.directory import open_directory
from tests.conftest import Regrow

SHELLS = ("bash", "zsh", "fish")
LOCK = '{"name": "demo", "lockfileVersion": 3, "packages": {}}\n'


@pytest.fixture
def project(home: Path) -> Path:
    place = home / "code/shop"
    (place / "node_modules/one").mkdir(parents=True)
    (place / "package.json").write_text('{"name": "demo"}\n')
    (place / "package-lock.json").write_text(LOCK)
    return place


@pytest.fixture
def stamp(home: Path) -> Path:
    return home / f".cache/regrow/hooks/{os.getpid()}-1"


def is_marked(directory: Path) -> bool:
    with open_directory(str(directory)) as held:
        return markers.all_hold(markers.selected(nodump=False), held)


def in_shell(shell: str) -> object:
    return pytest.param(shell, marks=pytest.mark.needs(shell))


@pytest.mark.parametrize("shell", [in_shell(shell) for shell in SHELLS])
def test_the_script_is_printed_and_parses(shell: str, regrow: Regrow) -> None:
    done = regrow("hook", shell)
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize("shell", [in_shell(shell) for shell in SHELLS])
def test_in_a_script_it_does_nothing(shell: str, regrow: Regrow) -> None:
    code = regrow("hook", shell).stdout
    look = {
        "bash": "declare -F; echo ${_regrow_stamp-nothing}",
        "zsh": "print -l ${(k)functions}; echo ${_regrow_stamp-nothing}",
        "fish": "functions -a; set -q _regrow_stamp; or echo nothing",
    }[shell]
    done = subprocess.run(
        [shell, "-c", f"{code}\n{look}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("nothing\n")
    assert "_regrow" not in done.stdout
    assert done.stderr == ""


def test_bash_3_2_knows_every_word_of_its_script(regrow: Regrow) -> None:
    # It can't be run here; these came later: ${x@Q}, ${x^}, |&, &>>, -v, declare -g, mapfile, …
    code = regrow("hook", "bash").stdout + regrow("completion", "bash").stdout
    later = ("@Q}", "^}", "^^}", ",,}", "|&", "&>>", "[[ -v", "declare -", "mapfile", "readarray",
             "coproc", "EPOCH", "local -n", ";;&", "wait -n")  # fmt: skip
    assert [word for word in later if word in code] == []


def test_no_shell_or_a_strange_one_is_wrong_usage(regrow: Regrow) -> None:
    assert regrow("hook").returncode == 2
    assert regrow("hook", "tcsh").returncode == 2
    assert regrow("hook", "bash", "--check", "x").returncode == 2


def test_the_check_marks_the_project_and_says_so_once(
    regrow: Regrow, project: Path, stamp: Path
) -> None:
    inner = project / "src"
    inner.mkdir()
    done = regrow("hook", "--check", stamp, cwd=inner)
    said = f"regrow: {project}/node_modules is left out of backups (npm ci)\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert is_marked(project / "node_modules")
    done = regrow("hook", "--check", stamp, cwd=inner)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_tells_what_it_takes_back(regrow: Regrow, project: Path, stamp: Path) -> None:
    regrow("hook", "--check", stamp, cwd=project)
    (project / ".regrow.toml").write_text('keep = ["node_modules"]\n')
    done = regrow("hook", "--check", stamp, cwd=project)
    assert "node_modules is backed up again: " in done.stdout
    assert not is_marked(project / "node_modules")


def test_the_stamp_gets_the_time_from_before_the_look(
    regrow: Regrow, project: Path, stamp: Path
) -> None:
    regrow("hook", "--check", stamp, cwd=project)
    os.utime(stamp, (0, 0))
    regrow("hook", "--check", stamp, cwd=project)
    record = next((project.parents[1]).rglob("records/*.toml"))
    (project / "node_modules").rename(project / "old")
    (project / "node_modules/one").mkdir(parents=True)
    regrow("hook", "--check", stamp, cwd=project)
    assert stamp.stat().st_mtime_ns <= record.stat().st_mtime_ns
    assert stamp.stat().st_mode & 0o777 == 0o600
    assert stamp.parent.stat().st_mode & 0o777 == 0o700


def test_stamps_of_living_shells_and_other_files_stay(
    regrow: Regrow, project: Path, stamp: Path
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    stamp.parent.mkdir(parents=True)
    names = [f"{gone.pid}-7", f"{os.getppid()}-7", "1-7", "notes", "12-", "-12", "a-1"]
    for name in names:
        (stamp.parent / name).write_text("")
    assert regrow("hook", "--check", stamp, cwd=project).returncode == 0
    left = {path.name for path in stamp.parent.iterdir()}
    assert left == {*names[1:], stamp.name}


@pytest.mark.parametrize("path", ["12-1", "/etc/12-1", "{home}/hooks/12-1", "{hooks}/notes"])
def test_a_file_that_is_not_the_hooks_own_is_not_touched(
    path: str, regrow: Regrow, project: Path, stamp: Path
) -> None:
    place = path.format(home=project.parents[1], hooks=stamp.parent)
    done = regrow("hook", "--check", place, cwd=project)
    assert done.returncode == 2
    assert "no file of the hook's" in done.stderr
    assert not (project / place).exists()
    assert not is_marked(project / "node_modules")


def test_a_stamp_that_is_a_link_is_not_followed(
    regrow: Regrow, project: Path, stamp: Path, tmp_path: Path
) -> None:
    stamp.parent.mkdir(parents=True)
    target = tmp_path / "target"
    stamp.symlink_to(target)
    done = regrow("hook", "--check", stamp, cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert not target.exists()


def test_a_directory_that_is_gone_is_no_news(regrow: Regrow, stamp: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    script = 'cd "$1"; rmdir "$1"; exec "$2" -m regrow hook --check "$3"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", here, regrow.command[0], stamp], capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_broken_configuration_is_one_line(
    regrow: Regrow, home: Path, project: Path, stamp: Path
) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("nonsense = 1\n")
    done = regrow("hook", "--check", stamp, cwd=project)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.count("\n") == 1
    assert "config.toml:1: " in done.stdout


def test_records_that_can_not_be_kept_are_no_news_at_a_prompt(
    regrow: Regrow, project: Path, stamp: Path, records_directory: Path
) -> None:
    records_directory.parent.parent.mkdir(parents=True, exist_ok=True)
    records_directory.parent.write_text("a file")
    done = regrow("hook", "--check", stamp, cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert not is_marked(project / "node_modules")
