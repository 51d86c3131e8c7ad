import os
import subprocess
import sys
from pathlib import Path

import pytest

from regrow.system.program import Answer, ask_program, find_program

LONG = 60.0  # seconds


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_what_a_program_prints_and_its_exit_code_are_given() -> None:
    answer = ask_program(["sh", "-c", "echo one; echo two >&2; exit 3"], LONG)
    assert answer == Answer(3, b"one\n", b"two\n")


def test_it_reads_nothing_of_what_we_read() -> None:
    code = (
        "from regrow.system.program import ask_program\n"
        f"print(ask_program(['cat'], {LONG}))\n"
        "print(input())\n"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], input="ours", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [repr(Answer(0, b"", b"")), "ours"]


def test_more_than_a_pipe_holds_is_read_from_both_sides() -> None:
    code = "import sys; sys.stderr.write('e' * 10**6); sys.stdout.write('o' * 10**6)"
    answer = ask_program([sys.executable, "-c", code], LONG)
    assert answer == Answer(0, b"o" * 10**6, b"e" * 10**6)


def test_a_signal_that_ends_it_is_told() -> None:
    assert ask_program(["sh", "-c", "kill -TERM $$"], LONG).code == -15


def test_signals_that_python_ignores_end_it_as_usual() -> None:
    assert ask_program(["sh", "-c", "kill -PIPE $$"], LONG).code == -13


def test_it_gets_the_environment_it_is_given() -> None:
    answer = ask_program(["sh", "-c", 'echo "$GIVEN"'], LONG, {"GIVEN": "this"})
    assert answer.output == b"this\n"


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        ask_program(["sh", "-c", f"echo $$ > {tmp_path}/process; exec sleep 60"], 1)
    process = int((tmp_path / "process").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(FileNotFoundError):
        ask_program(["regrow-has-no-such-program"], LONG)


def test_a_program_is_found_as_a_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / name for name in ("missing", "first", "second", "third")]
    for place in places[1:]:
        place.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, places)))
    (places[1] / "tool").mkdir()
    (places[2] / "tool").write_text("no program\n")
    assert find_program("tool") is None
    wanted = program(places[3] / "tool", "#!/bin/sh\n")
    assert find_program("tool") == wanted
    assert find_program(str(places[2] / "tool")) is None
    assert find_program(wanted) == wanted


def test_nothing_stays_open() -> None:
    before = os.listdir("/dev/fd")
    ask_program(["true"], LONG)
    with pytest.raises(FileNotFoundError):
        ask_program(["regrow-has-no-such-program"], LONG)
    assert os.listdir("/dev/fd") == before
