"""``regrow run``: the command's exit, streams, signals and terminal are its own."""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from regrow.system import foreground
from tests import sweeping
from tests.conftest import Regrow

RUN = (*Regrow.command, "run", "--")
TIME_LIMIT = 60  # seconds, after which something hangs

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of npm's; the tests run in it."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "package.json").write_text('{"name": "demo", "version": "1.0.0"}\n')
    (place / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}\n')
    monkeypatch.chdir(place)
    return place


MAKES = "mkdir -p node_modules/left-pad"
"""What a package manager does, in short."""


def shell(text: str) -> tuple[str, ...]:
    return ("run", "--", "sh", "-c", text)


def listed(regrow: Regrow) -> list[str]:
    done = regrow("list", "--json")
    return [json.loads(line)["path"] for line in done.stdout.splitlines()]


# --- what is marked


def test_what_the_command_made_is_marked_and_recorded(regrow: Regrow, project: Path) -> None:
    done = regrow(*shell(f"{MAKES}; echo done; echo problem >&2; exit 3"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "done\n", "problem\n")
    (line,) = regrow.json("list")
    assert (line["path"], line["state"]) == (f"{project}/node_modules", "there")
    assert line["rule"] == "node-modules"


def test_words_after_the_command_are_the_commands(regrow: Regrow) -> None:
    for words in (["run", "-q"], ["run"], ["run", "--"], ["run", "--quiet", "--"]):
        done = regrow(*words, "printf", "%s,", "--quiet", "-q", "--", "-h")
        assert (done.returncode, done.stdout) == (0, "--quiet,-q,--,-h,")


@pytest.mark.parametrize("words", [[], ["--"], ["-q"], ["-q", "--"], ["--bogus", "true"]])
def test_without_a_command_it_is_wrong_usage(words: list[str], regrow: Regrow) -> None:
    done = regrow("run", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: regrow run" in done.stderr


def test_failures_are_told_and_the_exit_code_stays(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    for quiet in ([], ["-q"]):
        done = regrow("run", *quiet, *shell(f"{MAKES}; echo done; exit 3")[1:])
        assert (done.returncode, done.stdout) == (3, "done\n")
        assert f"{tmp_path}/file/regrow/records: records can't be kept" in done.stderr


def test_with_a_broken_configuration_the_command_runs(regrow: Regrow, home: Path) -> None:
    (home / ".config/regrow").mkdir(parents=True)
    for text in ("colour = 1\n", '[[rule]]\nname = "x"\n', 'disable = ["no-such"]\n'):
        (home / ".config/regrow/config.toml").write_text(text)
        done = regrow(*shell(f"{MAKES}; echo done; exit 3"))
        assert (done.returncode, done.stdout) == (3, "done\n")
        assert "config.toml" in done.stderr
        assert "nothing will be marked" in done.stderr
    (home / ".config/regrow/config.toml").unlink()
    assert listed(regrow) == []


def test_when_nobody_can_read_the_failure_the_exit_code_stays(
    regrow: Regrow, home: Path, project: Path
) -> None:
    (home / ".config/regrow").mkdir(parents=True)
    (home / ".config/regrow/config.toml").write_text("colour = 1\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*RUN, "sh", "-c", "exit 3"], stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 3


def test_where_the_current_directory_is_gone_the_command_runs(
    regrow: Regrow, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    before = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", before, "sh", *RUN, "sh", "-c", "echo done; exit 3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "done\n")
    assert "Traceback" not in done.stderr


def test_a_command_may_remove_the_current_directory(regrow: Regrow, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = regrow(*shell(f'rmdir "{gone}"; exit 3'), cwd=gone)
    assert (done.returncode, done.stderr) == (3, "")


def test_in_the_home_directory_nothing_is_marked(regrow: Regrow, home: Path) -> None:
    (home / "package.json").write_text("{}")
    (home / "package-lock.json").write_text("{}")
    done = regrow(*shell(f"{MAKES}; exit 3"), cwd=home)
    assert (done.returncode, done.stderr) == (3, "")
    assert (home / "node_modules").is_dir()
    assert listed(regrow) == []


def test_what_the_user_skips_is_not_marked(regrow: Regrow, home: Path, tmp_path: Path) -> None:
    (home / ".config/regrow").mkdir(parents=True)
    (home / ".config/regrow/config.toml").write_text(f'skip = ["{tmp_path}"]\n')
    assert regrow(*shell(MAKES)).returncode == 0
    assert listed(regrow) == []


def test_what_the_command_removes_stays_recorded_as_gone(regrow: Regrow) -> None:
    regrow(*shell(MAKES))
    assert regrow(*shell("rm -r node_modules; exit 3")).returncode == 3
    (line,) = regrow.json("list")
    assert line["state"] == "gone"


# --- the exit


def test_every_exit_code_is_the_commands() -> None:
    codes = range(256)
    assert [foreground.exit_as(foreground.run(["sh", "-c", f"exit {code}"])) for code in codes] == [
        *codes
    ]


@pytest.mark.parametrize("code", [0, 1, 2, 126, 127, 130, 255])
def test_an_exit_code_reaches_the_caller(code: int, regrow: Regrow) -> None:
    done = regrow(*shell(f"exit {code}"))
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "KILL", "SEGV", "PIPE", "TERM", "USR1"])
def test_a_command_that_dies_by_a_signal_is_seen_to(name: str, regrow: Regrow) -> None:
    done = regrow(*shell(f"{MAKES}; kill -{name} $$"))
    assert (done.returncode, done.stderr) == (-signal.Signals[f"SIG{name}"], "")
    assert len(listed(regrow)) == 1


def test_a_shell_shows_a_signal_as_always() -> None:
    text = f"{' '.join(RUN)} sh -c 'kill -TERM $$'; echo $?"
    assert subprocess.run(["bash", "-c", text], capture_output=True).stdout == b"143\n"


@on_linux
def test_only_the_command_leaves_a_core(project: Path) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith(("|", "/")):
        pytest.skip("cores go elsewhere here")
    (project / "below").mkdir()
    text = f"ulimit -c unlimited && {' '.join(RUN)} sh -c 'cd below && kill -SEGV $$'"
    assert subprocess.run(["sh", "-c", f"{text}; exit $?"], check=False).returncode == 139
    assert len(list((project / "below").iterdir())) == 1
    assert not list(project.glob("*core*"))


@pytest.mark.parametrize("name", ["no-such", "./no-such", "", "./no-interpreter"])
def test_a_missing_command_is_127(name: str, regrow: Regrow, project: Path) -> None:
    (project / "no-interpreter").write_text("#!/no/such/interpreter\n")
    (project / "no-interpreter").chmod(0o755)
    done = regrow("run", "--", name)
    assert (done.returncode, done.stdout) == (127, "")
    assert f"regrow: {name or repr('')}: it does not exist" in done.stderr


@pytest.mark.parametrize("name", ["./plain", "./directory", "./plain/below"])
def test_a_command_that_cannot_be_executed_is_126(name: str, regrow: Regrow, project: Path) -> None:
    (project / "plain").touch(0o644)
    (project / "directory").mkdir()
    done = regrow("run", "--", name)
    assert (done.returncode, done.stdout) == (126, "")
    assert f"regrow: {name}: " in done.stderr


def test_a_script_without_an_interpreter_is_the_shells(
    regrow: Regrow, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "bin").mkdir()
    script = project / "bin/script"
    script.write_text('printf "%s," "$0" "$@"; exit 3\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"/no/such:{project}/bin:{os.environ['PATH']}")
    for name in ("bin/script", str(script), "script"):
        by_env = subprocess.run(["env", name, "a b", ""], capture_output=True, text=True)
        done = regrow("run", "--", name, "a b", "")
        assert (done.returncode, done.stdout) == (by_env.returncode, by_env.stdout)
        assert done.returncode == 3


# --- the streams


def test_the_streams_are_the_commands(project: Path) -> None:
    data = os.urandom(1024 * 1024) + b"\0\r\n\xff"
    text = f"{MAKES}; cat; printf '\\377\\000' >&2"
    done = subprocess.run([*RUN, "sh", "-c", text], input=data, capture_output=True, check=True)
    assert done.stdout == data
    assert done.stderr == b"\xff\0"


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_closed_stream_is_closed_for_the_command(descriptor: int, project: Path) -> None:
    look = f"import os, sys\ntry: os.fstat({descriptor})\nexcept OSError: sys.exit(3)"
    closed = f'exec {descriptor}>&-; exec "$@"'
    words = ["sh", "-c", closed, "sh", *RUN, sys.executable, "-c", look]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_with_closed_streams_complaints_go_nowhere() -> None:
    words = ["sh", "-c", 'exec "$@" 2>&-', "sh", *RUN, "no-such"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (127, "")


def test_a_reader_that_has_seen_enough_ends_the_command() -> None:
    text = f"{' '.join(RUN)} yes | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("y\n141\n", "")


def test_open_descriptors_reach_the_command() -> None:
    reading, writing = os.pipe()
    subprocess.run(
        [*RUN, "sh", "-c", f"echo told > /dev/fd/{writing}"], pass_fds=[writing], check=True
    )
    os.close(writing)
    with open(reading) as pipe:
        assert pipe.read() == "told\n"


@pytest.mark.needs("make")
def test_makes_job_server_reaches_a_make_below(project: Path) -> None:
    (project / "Makefile").write_text(
        f"all: a b\na b:\n\t+{' '.join(RUN)} $(MAKE) -s -f below.mk $@\n"
    )
    (project / "below.mk").write_text("a b:\n\t@echo made $@\n")
    done = subprocess.run(["make", "-s", "-j2"], capture_output=True, text=True, check=True)
    assert (sorted(done.stdout.splitlines()), done.stderr) == (["made a", "made b"], "")


def test_regrow_does_not_wait_for_what_a_command_leaves_behind(regrow: Regrow) -> None:
    done = regrow(*shell("sleep 1000 < /dev/null > /dev/null 2>&1 & echo $!"))
    left = int(done.stdout)
    os.kill(left, signal.SIGKILL)  # it is there still, or this fails


# --- signals


def ignore(*numbers: int) -> Callable[[], object]:
    return lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers]


def block(*numbers: int) -> Callable[[], object]:
    return lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


@on_linux
@pytest.mark.parametrize(
    "prepare",
    [
        ignore(),
        ignore(signal.SIGHUP),
        ignore(signal.SIGINT, signal.SIGQUIT),
        ignore(signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGUSR1),
        block(signal.SIGTERM, signal.SIGUSR2, signal.SIGINT),
    ],
    ids=["ordinary", "nohup", "background", "ignored", "blocked"],
)
def test_the_command_finds_signals_as_the_caller_left_them(prepare: Callable[[], object]) -> None:
    def state(*words: str) -> list[int]:
        done = subprocess.run(
            [*words, "sed", "-n", r"s/^Sig[BIC].*\t//p", "/proc/self/status"],
            preexec_fn=prepare,
            capture_output=True,
            text=True,
            check=True,
        )
        # Those above 31 are glibc's own in part: its posix_spawn ignores two that it uses itself.
        return [int(mask, 16) & 0x7FFFFFFF for mask in done.stdout.split()]

    assert state(*RUN) == state()


@pytest.mark.needs("git")
def test_with_sigchld_ignored_the_exit_code_is_known(regrow: Regrow) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    done = regrow(*shell(f"{MAKES}; exit 3"), preexec_fn=ignore(signal.SIGCHLD))
    assert (done.returncode, done.stderr) == (3, "")
    assert len(listed(regrow)) == 1


HANDLES = """\
import os, signal, sys
count = 0
def tell(*words):
    # A handler may come while a line is being written: print would refuse to be called again.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def handle(number, _):
    global count
    if number == signal.SIGUSR2:
        tell("asked", count)
        return
    count += 1
    tell("got", signal.Signals(number).name)
    # regrow answers by the number of signals: what came before is handled when this comes back.
    os.kill(os.getppid(), signal.SIGUSR2)
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], handle)
signal.signal(signal.SIGUSR2, handle)
tell("ready", os.getppid())
for line in sys.stdin:
    tell("read", line.strip())
sys.exit(3)
"""
"""A command that tells of each signal and each line, and ends with its input."""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT", "SIGQUIT", "SIGTSTP"])
def test_a_signal_to_regrow_alone_reaches_the_command_once(name: str) -> None:
    with subprocess.Popen(
        [*RUN, sys.executable, "-c", HANDLES, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"ready {running.pid}\n"
        running.send_signal(signal.Signals[name])
        assert running.stdout.readline() == f"got {name}\n"
        assert running.stdout.readline() == "asked 1\n"
        rest, _ = running.communicate(timeout=TIME_LIMIT)
    assert (running.returncode, rest) == (3, "")


def test_a_command_that_a_signal_ends_takes_regrow_along_after_the_marking(regrow: Regrow) -> None:
    with subprocess.Popen(
        [*RUN, "sh", "-c", f"{MAKES}; echo ready; exec sleep 1000"], stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.terminate()
        assert running.wait(TIME_LIMIT) == -signal.SIGTERM
    assert len(listed(regrow)) == 1


@on_linux
def test_without_a_terminal_a_stopped_command_does_not_stop_regrow() -> None:
    with subprocess.Popen(
        [*RUN, "sh", "-c", "kill -STOP $$; exit 3"], start_new_session=True
    ) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        wait_until(lambda: bool(children.read_text()))
        pid = int(children.read_text())
        wait_until(lambda: process_state(pid) == "T")
        os.kill(pid, signal.SIGCONT)
        assert running.wait(TIME_LIMIT) == 3


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + TIME_LIMIT
    while not condition():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.01)


# --- the terminal

PROMPT = "next> "


class Terminal:
    """A person's terminal with an interactive bash in it."""

    def __init__(self) -> None:
        self.seen = ""
        self._mark = 0
        self._count = 0
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1=PROMPT, TERM="dumb", HISTFILE="", LC_ALL="C.UTF-8")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
        ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        self.expect(PROMPT)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, pattern: str) -> str:
        """Wait until text appears that was not there at the last call; gives all until then."""
        limit = time.monotonic() + TIME_LIMIT
        while not (found := re.compile(pattern).search(self.seen, self._mark)):
            ready, _, _ = select.select([self._fd], [], [], max(0, limit - time.monotonic()))
            assert ready, f"{pattern!r} never came:\n{self.seen}"
            self.seen += os.read(self._fd, 65536).decode(errors="replace").replace("\r\n", "\n")
        before, self._mark = self._mark, found.end()
        return self.seen[before : self._mark]

    def do(self, line: str) -> str:
        """Have bash do a line, and give what was printed."""
        # The terminal shows what is typed at once, and a prompt may come late: neither tells when
        # bash is done with the line.
        self._count += 1
        self.type(f"{line}; echo done $(({self._count}))\n")
        self.expect(rf"done \$\(\({self._count}\)\)\n")
        end = f"done {self._count}\n"
        printed = self.expect(end).removesuffix(end)
        self.expect(PROMPT)
        return printed.replace(PROMPT, "")

    def close(self) -> None:
        os.close(self._fd)  # a hangup, which ends bash and what runs in it
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(project: Path, tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "handles.py").write_text(HANDLES)
    (tmp_path / "bin").mkdir()
    for name, words in (("run", RUN), ("handles", (sys.executable, str(tmp_path / "handles.py")))):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        script.chmod(0o755)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}/bin:{before}"
    opened = Terminal()
    os.environ["PATH"] = before
    yield opened
    opened.close()


CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"


def test_ctrl_c_reaches_the_command_once(terminal: Terminal) -> None:
    terminal.type("run handles SIGINT\n")
    terminal.expect(r"ready \d+\n")
    terminal.type(CTRL_C)
    terminal.expect("got SIGINT\n")
    terminal.expect("asked 1\n")
    terminal.type(CTRL_D)
    assert "got" not in terminal.expect(PROMPT)
    assert terminal.do("echo $?") == "3\n"


def test_what_was_made_until_ctrl_c_is_marked(terminal: Terminal, regrow: Regrow) -> None:
    terminal.type(f"run sh -c '{MAKES}; echo ready now; exec sleep 1000'\n")
    terminal.expect("\nready now\n")
    terminal.type(CTRL_C)
    assert "node_modules is left out of backups" in terminal.expect(PROMPT)
    assert terminal.do("echo $?") == "130\n"
    (line,) = regrow.json("list")
    assert line["state"] == "there"


def test_ctrl_c_ends_a_script_as_it_does_without_regrow(terminal: Terminal) -> None:
    terminal.type("""bash -c 'run sh -c "echo ready now; exec sleep 1000"; echo went on'\n""")
    terminal.expect("\nready now\n")
    terminal.type(CTRL_C)
    assert "went on" not in terminal.expect(PROMPT)
    assert terminal.do("echo $?") == "130\n"


@on_linux
def test_ctrl_z_stops_both_and_fg_goes_on(terminal: Terminal) -> None:
    terminal.type("run handles\n")
    pid = int(terminal.expect(r"ready \d+\n").split()[-1])
    child_pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    terminal.type(CTRL_Z)
    terminal.expect(rf"Stopped +run handles\n{PROMPT}")
    assert [process_state(each) for each in (pid, child_pid)] == ["T", "T"]
    assert terminal.do("echo $?") == f"{128 + signal.SIGTSTP}\n"
    terminal.type("fg\n")
    terminal.expect("run handles\n")
    terminal.type("hello\n")
    terminal.expect("read hello\n")
    terminal.type(CTRL_Z)
    terminal.expect(rf"Stopped +run handles\n{PROMPT}")
    terminal.type("fg\n")
    terminal.expect("run handles\n")
    terminal.type("again\n")
    terminal.expect("read again\n")
    terminal.type(CTRL_D)
    terminal.expect(PROMPT)
    assert terminal.do("echo $?") == "3\n"


@pytest.mark.parametrize("go_on", ["bg", "kill -CONT {regrow}"])
def test_it_goes_on_in_the_background_and_wait_gets_the_exit_code(
    go_on: str, terminal: Terminal, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    terminal.type(f"run handles < {tmp_path}/gate\n")
    with (tmp_path / "gate").open("w") as gate:
        regrow = terminal.expect(r"ready \d+\n").split()[-1]
        terminal.type(CTRL_Z)
        terminal.expect(rf"Stopped +run handles.*\n{PROMPT}")
        terminal.do(go_on.format(regrow=regrow))
        gate.write("hello\n")
        gate.flush()
        terminal.expect("read hello\n")
    assert terminal.do("wait %1; echo code $?").endswith("code 3\n")


def test_a_command_that_stops_itself_gives_the_prompt_back(terminal: Terminal) -> None:
    for name in ("STOP", "TSTP"):
        terminal.type(f"run sh -c 'kill -{name} $$; echo went on; exit 3'\n")
        terminal.expect(rf"Stopped.* run sh -c .*\n{PROMPT}")
        terminal.type("fg\n")
        terminal.expect(f"\nwent on\n{PROMPT}")
        assert terminal.do("echo $?") == "3\n"


def test_a_command_that_ignores_ctrl_z_is_not_stopped(terminal: Terminal) -> None:
    terminal.type("run sh -c 'trap \"\" TSTP; exec handles'\n")
    terminal.expect(r"ready \d+\n")
    terminal.type(CTRL_Z)
    terminal.type("hello\n")
    terminal.expect("read hello\n")
    terminal.type(CTRL_D)
    assert "Stopped" not in terminal.expect(PROMPT)


def test_a_command_that_reads_in_the_background_waits_for_fg(terminal: Terminal) -> None:
    terminal.type("run handles &\n")
    terminal.expect(r"ready \d+\n")
    while "Stopped" not in (told := terminal.do("jobs")):
        assert "run handles" in told
    terminal.type("fg\n")
    terminal.expect("run handles\n")
    terminal.type("hello\n")
    terminal.expect("read hello\n")
    terminal.type(CTRL_D)
    terminal.expect(PROMPT)
    assert terminal.do("echo $?") == "3\n"


def test_a_signal_to_regrow_in_the_background_reaches_the_command_once(
    terminal: Terminal, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    terminal.type(f"run handles SIGINT < {tmp_path}/gate &\n")
    with (tmp_path / "gate").open("w"):
        terminal.expect(r"ready \d+\n")
        terminal.type("kill -INT $!\n")
        terminal.expect("got SIGINT\n")
        terminal.expect("asked 1\n")
    assert terminal.do("wait %1; echo code $?").endswith("code 3\n")


def test_the_terminal_is_the_commands(terminal: Terminal) -> None:
    look = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo terminals"
    alone = terminal.do(f"sh -c '{look}'")
    assert alone.endswith("33 77\nterminals\n")
    assert terminal.do(f"run sh -c '{look}'") == alone


def test_on_a_terminal_what_is_newly_marked_is_told_once(terminal: Terminal, project: Path) -> None:
    told = terminal.do(f"run sh -c '{MAKES}'").replace("\n", "")
    assert told == f"regrow: {project}/node_modules is left out of backups (npm ci)"
    assert terminal.do(f"run sh -c '{MAKES}'") == ""
    assert terminal.do("rm package-lock.json; rm -r node_modules") == ""


def test_quiet_says_nothing_and_marks(terminal: Terminal, regrow: Regrow, tmp_path: Path) -> None:
    words = " ".join((*Regrow.command, "run", "--quiet"))
    (tmp_path / "bin/quietly").write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (tmp_path / "bin/quietly").chmod(0o755)
    assert terminal.do(f"quietly sh -c '{MAKES}'") == ""
    assert len(listed(regrow)) == 1


def test_what_is_no_longer_recognised_is_told_and_backed_up_again(
    terminal: Terminal, regrow: Regrow, project: Path
) -> None:
    terminal.do(f"run sh -c '{MAKES}'")
    os.utime(project / "node_modules", (0, 0))  # no tool is at work in it
    told = terminal.do("run rm package.json package-lock.json")
    assert "node_modules is backed up again" in told
    assert listed(regrow) == []


@pytest.mark.needs("git")
def test_a_tag_that_the_command_removed_is_put_back_at_once(regrow: Regrow, tmp_path: Path) -> None:
    sweeping.ignore(tmp_path / "shop", "node_modules")
    path = sweeping.modules(tmp_path / "shop")
    regrow("run", "--", "true", cwd=tmp_path / "shop")
    assert (path / "CACHEDIR.TAG").exists()
    regrow("run", "--", "rm", "node_modules/CACHEDIR.TAG", cwd=tmp_path / "shop")
    assert (path / "CACHEDIR.TAG").exists()
