"""What a shell offers after some words of a command line, asked of the shells themselves."""

import os
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from regrow.cli.main import COMMANDS, main
from tests.conftest import Regrow
from tests.e2e.terminal import TAB, Shell

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where completion is asked for: a directory with a directory and a file."""
    place = tmp_path / "place"
    (place / "some dir").mkdir(parents=True)
    (place / "some-file").write_text("")
    return place


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def offered_by_bash(script: str, line: str, place: Path) -> list[str]:
    """Ask the function that bash would call."""
    words = line.replace("=", " = ").split(" ")
    ask = (
        f'{script}\nset -u; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
        "_regrow_complete 2>/dev/null; printf '%s\\n' ${COMPREPLY[@]+\"${COMPREPLY[@]}\"}"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", ask, "bash", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def offered_by_fish(script: str, line: str, place: Path) -> list[str]:
    done = subprocess.run(
        ["fish", "-c", f"{script}\ncomplete -C$argv[1]", line],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    return [row.split("\t")[0] for row in done.stdout.splitlines()]


def flags(command: str) -> set[str]:
    made = import_module(f"regrow.cli.{command}").arguments()
    return {flag for action in made._actions for flag in action.option_strings}


Ask = Callable[[str, str, Path], list[str]]
both = pytest.mark.parametrize(
    ("shell", "ask"),
    [
        pytest.param("bash", offered_by_bash, marks=pytest.mark.needs("bash")),
        pytest.param("fish", offered_by_fish, marks=pytest.mark.needs("fish")),
    ],
)


@both
def test_every_command_and_each_of_its_options_is_offered(
    shell: str, ask: Ask, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    assert set(COMMANDS) <= set(ask(text, "regrow ", place))
    for command in COMMANDS:
        offered = {*ask(text, f"regrow {command} -", place)}
        offered |= {*ask(text, f"regrow {command} --", place)}
        assert offered == flags(command)


@pytest.mark.needs("git")
@both
def test_words_that_an_argument_may_be_are_offered(
    shell: str, ask: Ask, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script(shell, capsys)
    assert ask(text, "regrow sw", place) == ["sweep"]
    assert sorted(ask(text, "regrow venv --creator v", place)) == ["venv", "virtualenv"]
    assert set(ask(text, "regrow hook ", place)) == {"bash", "zsh", "fish"}
    assert set(ask(text, "regrow completion ", place)) == {"bash", "zsh", "fish"}
    assert "restic" in ask(text, "regrow status --program ", place)
    assert "git" in ask(text, "regrow run -- gi", place)


@both
def test_a_word_with_a_blank_is_one_word(
    shell: str,
    ask: Ask,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from regrow.create import creators

    monkeypatch.setattr(creators, "NAMES", ("it's", "two words"))
    offered = ask(script(shell, capsys), "regrow venv --creator ", place)
    # What bash is given it inserts as it is.
    quoted = ["it\\'s", "two\\ words"] if shell == "bash" else ["it's", "two words"]
    assert offered == quoted


@pytest.mark.needs("fish")
def test_fish_offers_paths_where_a_path_belongs(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script("fish", capsys)
    assert offered_by_fish(text, "regrow status so", place) == ["some dir/", "some-file"]
    assert offered_by_fish(text, "regrow sweep so", place) == ["some dir/"]
    assert offered_by_fish(text, "regrow hook so", place) == []
    assert offered_by_fish(text, "regrow venv --prompt so", place) == []
    assert "commit" in offered_by_fish(text, "regrow run -- git comm", place)


STARTUP = {
    "bash": "READY=0; PS1='READY$((READY += 1))>'\n",
    "zsh": "unsetopt prompt_sp prompt_cr; setopt prompt_subst\n"
    "READY=0; precmd() { READY=$((READY + 1)); }; PS1='READY$READY>'\n"
    "autoload -U compinit; compinit -u -D\n",
}
WORDS = {"bash": ("bash", "--rcfile", ".zshrc", "-i"), "zsh": ("zsh", "-d", "-i")}


@pytest.mark.parametrize(
    "shell", [pytest.param(name, marks=pytest.mark.needs(name)) for name in STARTUP]
)
def test_what_is_typed_with_tabs_is_completed(
    shell: str, home: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say = "regrow() { printf 'got'; printf '<%s>' \"$@\"; echo; }\n"
    (home / ".zshrc").write_text(STARTUP[shell] + script(shell, capsys) * 2 + say)
    words = [str(home / word) if word == ".zshrc" else word for word in WORDS[shell]]
    environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    with Shell(words, environment, place) as terminal:
        assert "\n" not in terminal.greeting
        for typed, got in (
            (f"regrow sw{TAB}", "got<sweep>"),
            (f"regrow --v{TAB}", "got<--version>"),
            (f"regrow venv --syst{TAB}", "got<venv><--system-site-packages>"),
            (f"regrow venv --creator=u{TAB}", "got<venv><--creator=uv>"),
            (f"regrow venv --creator u{TAB}", "got<venv><--creator><uv>"),
            (f"regrow sweep some{TAB}", "got<sweep><some dir"),
            (f"regrow status some-{TAB}", "got<status><some-file>"),
        ):
            assert f"\n{got}" in terminal.run(typed)


@pytest.mark.needs("zsh")
def test_zsh_finds_the_script_in_a_directory_of_functions(
    home: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "functions").mkdir()
    (home / "functions/_regrow").write_text(script("zsh", capsys))
    say = "regrow() { printf '<%s>' \"$@\"; echo; }\n"
    (home / ".zshrc").write_text(f"fpath=(~/functions $fpath)\n{STARTUP['zsh']}{say}")
    environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    with Shell(WORDS["zsh"], environment, place) as terminal:
        assert "<hook><fish>\n" in terminal.run(f"regrow hook fi{TAB}")
        assert "<run><--><git><--version>\n" in terminal.run(f"regrow run -- git --versi{TAB}")


@pytest.mark.needs("zsh")
def test_without_zshs_completion_system_the_script_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = subprocess.run(
        ["zsh", "-f", "-c", script("zsh", capsys)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_does_not_call_regrow(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    code = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in code if "(regrow" in line or line.lstrip().startswith("regrow")]


def test_an_unknown_shell_is_wrong_usage(regrow: Regrow) -> None:
    done = regrow("completion", "tcsh")
    assert done.returncode == 2
    assert "'bash', 'fish', 'zsh'" in done.stderr
