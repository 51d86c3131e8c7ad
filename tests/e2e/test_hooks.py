"""The prompt hooks in real shells on a real terminal."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from regrow_marks import markers
from regrow_marks.directory import open_directory
from tests.e2e.terminal import INTERRUPT, SUSPEND, TAB, Shell

LOCK = '{"name": "demo", "lockfileVersion": 3, "packages": {}}\n'
A_LONG_COMMAND = "sleep 2"
SAYS_WHEN_IT_RUNS = "sh -c 'echo up$((1 + 1)); exec sleep 1000'"  # what is typed holds no "up2"


class Kind(NamedTuple):
    """What differs between the shells."""

    name: str
    words: tuple[str, ...]
    startup: str
    """The file that an interactive shell reads, from the home directory."""
    prompt: str
    """What makes the prompt that ``Shell`` waits for."""
    install: str
    code: str
    codes: str


BASH = Kind(
    "bash",
    ("bash", "--rcfile", "startup.bash", "-i"),
    "startup.bash",
    "READY=0; PS1='READY$((READY += 1))>'\n",
    'eval "$(regrow hook bash)"\n',
    "$?",
    '"${PIPESTATUS[@]}"',
)
ZSH = Kind(
    "zsh",
    ("zsh", "-d", "-i"),
    ".zshrc",
    "unsetopt prompt_sp prompt_cr; setopt prompt_subst\n"
    "READY=0; precmd() { READY=$((READY + 1)); }; PS1='READY$READY>'\n",
    'eval "$(regrow hook zsh)"\n',
    "$?",
    '"${pipestatus[@]}"',
)
FISH = Kind(
    "fish",
    ("fish", "-i"),
    ".config/fish/config.fish",
    "set -g fish_greeting; set -g READY 0\n"
    "function count_prompts --on-event fish_prompt; set READY (math $READY + 1); end\n"
    "function fish_prompt; echo -n READY$READY'>'; end\n",
    "regrow hook fish | source\n",
    "$status",
    "$pipestatus",
)

bash, zsh, fish = (
    pytest.param(kind, marks=pytest.mark.needs(kind.name), id=kind.name)
    for kind in (BASH, ZSH, FISH)
)
every_shell = pytest.mark.parametrize("kind", [bash, zsh, fish])
posix_like = pytest.mark.parametrize("kind", [bash, zsh])


class Site:
    """A home with a project, and a regrow on PATH whose calls are counted."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self.project = home / "code/shop"
        self.project.mkdir(parents=True)
        # Without it a new fish spends its first seconds on reading every manual page.
        (home / ".local/share/fish/generated_completions").mkdir(parents=True)
        self.stamps = home / ".cache/regrow/hooks"
        self.stamps.mkdir(parents=True)  # as after the first look of all
        self.bin = home / "bin"
        self.bin.mkdir()
        self._log = home / "calls"
        self._stack = stack
        self.environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "TERM": "dumb",
            "PAGER": "cat",
            "LC_ALL": "C.UTF-8",
        }
        self.regrow_is(f'exec {shlex.quote(sys.executable)} -m regrow "$@"')

    def regrow_is(self, script: str) -> None:
        """Put another regrow in place, which still counts its calls."""
        program = self.bin / "regrow"
        log = shlex.quote(str(self._log))
        program.write_text(f'#!/bin/sh\necho "$*" >>{log}\n{script}\n')
        program.chmod(0o755)

    def open(
        self,
        kind: Kind,
        before: str = "",
        after: str = "",
        cwd: Path | None = None,
        under: tuple[str, ...] = (),
    ) -> Shell:
        """Start a shell in the project, with lines before and after the hook's."""
        startup = self.home / kind.startup
        startup.parent.mkdir(parents=True, exist_ok=True)
        startup.write_text(kind.prompt + before + kind.install + after)
        words = [str(startup) if word == kind.startup else word for word in kind.words]
        shell = Shell([*under, *words], self.environment, cwd or self.project)
        return self._stack.enter_context(shell)

    def checks(self) -> int:
        """Count how often a hook has run regrow."""
        if not self._log.exists():
            return 0
        return self._log.read_text().count("hook --check ")


@pytest.fixture
def site(home: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(home, stack)


def is_marked(directory: Path) -> bool:
    with open_directory(str(directory)) as held:
        return markers.all_hold(markers.selected(nodump=False), held)


def write_lock(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text('{"name": "demo"}\n')
    (directory / "package-lock.json").write_text(LOCK)


def make_modules(directory: Path) -> Path:
    """Make what ``npm ci`` makes."""
    write_lock(directory)
    (directory / "node_modules/one").mkdir(parents=True)
    return directory / "node_modules"


# --- what is marked


@every_shell
@pytest.mark.needs("make")
def test_an_environment_that_make_made_is_marked_at_the_next_prompt(kind: Kind, site: Site) -> None:
    python = shlex.quote(sys.executable)
    (site.project / "Makefile").write_text(f".venv:\n\t{python} -m venv --without-pip .venv\n")
    shell = site.open(kind)
    shown = shell.run("make .venv")
    assert is_marked(site.project / ".venv")
    assert shown.count("regrow: ") == 1
    assert f"regrow: {site.project}/.venv is left out of backups (python -m venv .venv)\n" in shown


@every_shell
def test_what_a_long_script_made_in_a_subdirectory_is_marked(kind: Kind, site: Site) -> None:
    write_lock(site.project / "web/app")
    (site.project / "make.sh").write_text(f"mkdir -p web/app/node_modules/one\n{A_LONG_COMMAND}\n")
    shell = site.open(kind)
    assert "web/app/node_modules is left out of backups (npm ci)" in shell.run("sh make.sh")
    assert is_marked(site.project / "web/app/node_modules")


@every_shell
def test_what_appears_above_the_current_directory_is_marked(kind: Kind, site: Site) -> None:
    inner = site.project / "src/shop"
    inner.mkdir(parents=True)
    shell = site.open(kind, cwd=inner)
    made = make_modules(site.project)
    assert "is left out of backups" in shell.run("true")
    assert is_marked(made)


@every_shell
def test_a_replaced_environment_is_marked_again(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    assert ".venv is left out of backups" in shell.run("uv venv -q")
    before = (site.project / ".venv").stat().st_ctime_ns
    assert ".venv is left out of backups" in shell.run("uv venv -q --clear")
    assert (site.project / ".venv").stat().st_ctime_ns > before
    assert is_marked(site.project / ".venv")


@every_shell
def test_a_project_is_looked_at_when_one_comes_into_it(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    made = make_modules(site.home / "code/other")
    assert "other/node_modules is left out of backups" in shell.run("cd ../other")
    assert is_marked(made)


@every_shell
def test_hostile_directory_names_are_only_names(kind: Kind, site: Site) -> None:
    names = [
        "two words",
        "-n",
        "new\nline",
        "last\n",
        "*",
        "[a",
        "$(touch pwned)",
        "`touch pwned`",
        "'\";touch pwned;",
        "\\",
        "\udcff\udcfe",
        "ü",
    ]
    places = [site.project / name for name in names]
    for number, place in enumerate(places):
        (place / "inner").mkdir(parents=True)
        site.environment[f"HOSTILE{number}"] = f"{place}/inner"
    shell = site.open(kind)
    for number, place in enumerate(places):
        shell.run(f'cd "$HOSTILE{number}"')
        made = make_modules(place)
        assert "is left out of backups" in shell.run("true"), place
        assert is_marked(made)
    assert not list(site.home.rglob("pwned"))


# --- what it costs


@every_shell
@pytest.mark.needs("strace")
def test_an_idle_prompt_starts_no_process(kind: Kind, site: Site) -> None:
    inner = site.project / "src/shop"
    inner.mkdir(parents=True)
    trace = site.home / "trace"
    calls = "trace=execve,execveat,fork,vfork,?clone,?clone3"
    shell = site.open(kind, under=("strace", "-f", "-qq", "-e", calls, "-o", str(trace)))

    def started() -> int:
        lines = trace.read_text().splitlines()
        return sum("(" in line and "CLONE_THREAD" not in line for line in lines)

    shell.run("true")
    before = started()
    for line in ("", "true", "cd src", "cd shop", "", "false", "cd ../..", "true"):
        shell.run(line)
    assert started() == before
    site.project.joinpath("new").mkdir()
    shell.run("true")
    assert started() > before


@every_shell
def test_it_looks_once_for_each_change_and_after_long_commands(kind: Kind, site: Site) -> None:
    (site.project / "src").mkdir()
    shell = site.open(kind)
    counts = []
    for line in ("true", "mkdir one", "true", "cd src", "", "touch ../two", "", A_LONG_COMMAND, ""):
        shell.run(line)
        counts.append(site.checks())
    assert counts == [0, 1, 1, 1, 1, 2, 2, 3, 3]


@every_shell
def test_nothing_is_said_where_nothing_was_marked(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    assert "regrow" not in shell.greeting
    assert "regrow" not in shell.run("mkdir src")
    assert site.checks() == 1


@every_shell
def test_the_home_directory_and_those_above_are_not_looked_at(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.run("cd")
    shell.run(A_LONG_COMMAND)
    for place in ("~", "..", "/"):
        shell.run(f"cd {place}")
        (site.home / f"new{place.strip('/')}").mkdir()
        shell.run("true")
    assert site.checks() == 0


@every_shell
def test_changes_above_the_repository_are_no_reason_to_look(kind: Kind, site: Site) -> None:
    (site.project / ".git").mkdir()
    shell = site.open(kind)
    (site.project.parent / "another").mkdir()
    shell.run("true")
    assert site.checks() == 0
    (site.project / "new").mkdir()
    shell.run("true")
    assert site.checks() == 1


# --- what stays as it is


@every_shell
def test_exit_codes_are_kept(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    for line, code, codes in (
        ("true", "0", "0"),
        ("sh -c 'mkdir one; exit 7'", "7", "7"),
        ("sh -c 'exit 3' | true | sh -c 'mkdir two; exit 5'", "5", "3 0 5"),
        ("no-such-command", "127", "127"),
    ):
        shell.run(line)
        assert f"code={code}\n" in shell.run(f"echo code={kind.code}")
        shell.run(line)
        assert f"codes {codes}\n" in shell.run(f"echo codes {kind.codes}")
    assert site.checks() == 2


@every_shell
def test_an_interrupted_command_is_interrupted(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.type(f"{SAYS_WHEN_IT_RUNS}\n")
    shell.wait_for("up2")
    make_modules(site.project)
    shell.type(INTERRUPT)
    assert "node_modules is left out of backups" in shell.wait_for_prompt()
    assert "code=130\n" in shell.run(f"echo code={kind.code}")


@every_shell
def test_a_suspended_command_goes_on(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.type("sh -c 'echo up$((1 + 1)); read line; echo got-$line; exit 9'\n")
    shell.wait_for("up2")
    make_modules(site.project)
    shell.type(SUSPEND)
    assert "node_modules is left out of backups" in shell.wait_for_prompt()
    shell.type("fg\n")
    shell.wait_for("echo up")  # each shell shows what goes on
    shell.type("word\n")
    assert "got-word\n" in shell.wait_for_prompt()
    code = 0 if kind is FISH else 9  # fish's fg tells nothing of the command
    assert f"code={code}\n" in shell.run(f"echo code={kind.code}")


@every_shell
def test_interrupting_the_check_leaves_the_shell_as_it_is(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    site.regrow_is("echo up$((1 + 1)); exec sleep 1000")
    (stamp,) = site.stamps.iterdir()
    for name in ("one", "two"):
        os.utime(stamp, (0, 0))
        shell.type("true\n")
        shell.wait_for("up2")
        shell.type(INTERRUPT)
        shell.type(f"printf 'done-%s\\n' {name}\n")
        shell.wait_for(f"done-{name}\r\n")
    assert site.checks() == 2


@every_shell
@pytest.mark.needs("git")
def test_the_check_can_not_be_suspended(kind: Kind, site: Site) -> None:
    subprocess.run(["git", "init", "-q", site.project], check=True)
    git = site.bin / "git"
    git.write_text("#!/bin/sh\necho up$((1 + 1)) >/dev/tty\nexec sleep 1000\n")
    git.chmod(0o755)
    shell = site.open(kind)
    make_modules(site.project)
    shell.type("true\n")
    shell.wait_for("up2")
    shell.type(SUSPEND)
    shell.type(INTERRUPT)
    shell.type("jobs; printf 'done-%s\\n' 42\n")
    assert "regrow" not in shell.wait_for("done-42\r\n")


@every_shell
def test_completion_and_aliases_work(kind: Kind, site: Site) -> None:
    (site.project / "unmistakable-name").mkdir()
    shell = site.open(kind, before="alias say='echo said'\n")
    shell.run("mkdir new")
    shown = shell.run(f"say unmis{TAB}")
    assert "said unmistakable-name" in shown
    assert site.checks() == 1


HOSTILE_NAMES = """
alias printf=false local=false return=false type=false whence=false command=false builtin=false \
    true=false emulate=false typeset=false break=false shopt=false
printf() { false; }
type() { false; }
"""

HOSTILE_OPTIONS = {
    "bash": "set -u; set -C; IFS=0123456789/; shopt -s nullglob extglob",
    "zsh": "setopt no_unset no_clobber ksh_arrays sh_word_split glob_subst warn_create_global;"
    " IFS=0123456789/",
}


@posix_like
def test_neither_aliases_nor_functions_nor_options_are_in_its_way(kind: Kind, site: Site) -> None:
    names = HOSTILE_NAMES.replace("printf()", "function printf").replace("type()", "function type")
    hostile = f"{HOSTILE_OPTIONS[kind.name]}\n{names}"
    shell = site.open(kind, before=hostile)
    assert "\n" not in shell.greeting
    make_modules(site.project)
    shown = shell.run(":")
    assert "node_modules is left out of backups" in shown
    assert shown.count("\n") == 2
    shell.run("unalias printf; unset -f printf")
    assert "kept\n" in shell.run("case $-/$IFS in *u*/0123456789/) echo kept ;; esac")


@posix_like
def test_the_shell_survives_a_prompt_under_errexit(kind: Kind, site: Site) -> None:
    shell = site.open(kind, before="set -e\n", after="set -e\n")
    shell.run("! true")
    assert "code=1\n" in shell.run("echo code=$?")
    made = make_modules(site.project)
    shell.run("! true")
    assert is_marked(made)
    site.regrow_is("exit 5")
    (site.project / "new").mkdir()
    shell.run("! true")
    assert site.checks() == 2
    assert "code=0\n" in shell.run("true; echo code=$?")


@every_shell
def test_what_the_hook_does_is_in_no_history_and_no_job_list(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.run("mkdir new")
    assert site.checks() == 1
    assert "regrow" not in shell.run("history") + shell.run("jobs")


# --- beside others


HOOKED = {
    "bash": 'echo ${PROMPT_COMMAND[*]} "${PS0@Q}"',
    "zsh": "echo $precmd_functions $preexec_functions",
    "fish": "functions --handlers-type generic",
}


@every_shell
def test_evaluated_twice_it_is_there_once(kind: Kind, site: Site) -> None:
    hooked = [site.open(kind).run(HOOKED[kind.name])]
    shell = site.open(kind, after=kind.install)
    shell.run(kind.install.strip())
    hooked.append(shell.run(HOOKED[kind.name]))
    assert hooked[1].count("_regrow") == hooked[0].count("_regrow") > 0
    shell.run("mkdir new")
    shell.run("true")
    assert site.checks() == 1


OTHERS_IN_BASH = {
    "a string": "PROMPT_COMMAND='other;'",
    "a string with a comment": "PROMPT_COMMAND='other # mine'",
    "an array": "PROMPT_COMMAND=(other true)",
}
LATER_IN_BASH = {
    "before": 'PROMPT_COMMAND="other;$PROMPT_COMMAND"',
    "before, if there is anything": 'PROMPT_COMMAND="other${PROMPT_COMMAND:+;$PROMPT_COMMAND}"',
    "after": 'PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND;}other"',
    "around": 'inner=$PROMPT_COMMAND; PROMPT_COMMAND="other; eval \\"$inner\\""',
    "an element": "PROMPT_COMMAND+=(other)",
}
OTHER = 'other() { seen="$? ${PIPESTATUS[*]}"; }\n'


def check_beside_another(shell: Shell, site: Site) -> None:
    shell.run("sh -c 'mkdir new; exit 3' | sh -c 'exit 5'")
    assert "seen 5 3 5\n" in shell.run("echo seen $seen")
    assert site.checks() == 1


@pytest.mark.needs("bash")
@pytest.mark.parametrize("others", OTHERS_IN_BASH)
def test_a_prompt_command_that_was_there_is_kept(others: str, site: Site) -> None:
    check_beside_another(site.open(BASH, before=f"{OTHER}{OTHERS_IN_BASH[others]}\n"), site)


@pytest.mark.needs("bash")
@pytest.mark.parametrize("later", LATER_IN_BASH)
def test_a_prompt_command_that_comes_later_sees_the_exit_codes(later: str, site: Site) -> None:
    check_beside_another(site.open(BASH, after=f"{OTHER}{LATER_IN_BASH[later]}\n"), site)


@pytest.mark.needs("bash")
def test_a_startup_file_that_is_read_again_brings_the_hook_back(site: Site) -> None:
    anew = "PROMPT_COMMAND=other; unset 'PROMPT_COMMAND[1]'"
    shell = site.open(BASH, before=f"{OTHER}{anew}\n")
    shell.run(f"{anew}; {BASH.install.strip()}")
    check_beside_another(shell, site)


@pytest.mark.needs("bash")
@pytest.mark.parametrize("later", ["before", "after"])
def test_where_bash_has_no_array_of_prompt_commands_it_is_in_the_string(
    later: str, site: Site
) -> None:
    # The branch for bash before 5.1, run by this bash.
    code = 'eval "$(regrow hook bash | sed s/501/999999/)"\n'
    other = 'other() { seen="$?"; return "$seen"; }\n'
    kind = BASH._replace(install=code)
    shell = site.open(
        kind, before=f"{other}PROMPT_COMMAND='other;'\n", after=LATER_IN_BASH[later] + "\n"
    )
    shell.run("sh -c 'mkdir new; exit 5'")
    assert "seen 5\n" in shell.run("echo seen $seen")
    assert site.checks() == 1
    shell.run("declare -p PROMPT_COMMAND")
    assert "declare -- PROMPT" in shell.run("declare -p PROMPT_COMMAND")


@pytest.mark.needs("zsh")
def test_other_functions_of_zsh_are_kept_and_see_the_exit_codes(site: Site) -> None:
    shell = site.open(
        ZSH,
        before='first() { one="$? $pipestatus" }; precmd_functions=(first)\n',
        after='last() { two="$? $pipestatus" }; precmd_functions+=(last)\n',
    )
    shell.run("sh -c 'mkdir new; exit 3' | sh -c 'exit 5'")
    assert "seen 5 3 5 and 5 3 5\n" in shell.run("echo seen $one and $two")
    assert site.checks() == 1


@pytest.mark.needs("fish")
def test_other_functions_of_fish_are_kept_and_see_the_exit_codes(site: Site) -> None:
    other = "function {0} --on-event fish_postexec; set -g {0} $status $pipestatus; end\n"
    shell = site.open(FISH, before=other.format("first"), after=other.format("last"))
    shell.run("sh -c 'mkdir new; exit 3' | sh -c 'exit 5'")
    assert "seen 5 3 5 and 5 3 5\n" in shell.run("echo seen $first and $last")
    assert site.checks() == 1


# --- where something is missing


@every_shell
def test_without_regrow_on_the_path_it_is_silent(kind: Kind, site: Site) -> None:
    empty = site.home / "empty"
    empty.mkdir()
    nobody = (
        "command_not_found_handle() { echo asked; }; command_not_found_handler() { echo asked; }"
    )
    handler = "function fish_command_not_found; echo asked; end" if kind is FISH else nobody
    path = f"set -gx PATH {empty}" if kind is FISH else f"PATH={empty}"
    shell = site.open(kind, after=f"{handler}\n{path}\n")
    assert "asked" in shell.run("no-such-command")
    (site.project / "new").mkdir()
    shown = shell.run("true")
    assert "asked" not in shown
    assert "regrow" not in shown


@every_shell
@pytest.mark.parametrize(
    "first_line", ["#!/nonexistent/python", "#!/bin/sh\necho Traceback >&2; exit 1; #"]
)
def test_a_regrow_that_does_not_start_is_silent(kind: Kind, site: Site, first_line: str) -> None:
    shell = site.open(kind)
    (site.bin / "regrow").write_text(f"{first_line}\n")
    (site.project / "new").mkdir()
    shown = shell.run("true")
    assert "regrow" not in shown
    assert "Traceback" not in shown
    assert "code=0\n" in shell.run(f"echo code={kind.code}")


@every_shell
def test_a_look_that_failed_is_not_repeated(kind: Kind, site: Site) -> None:
    shell = site.open(kind, before="" if kind is FISH else "set -C\n")
    site.regrow_is("exit 5")
    (stamp,) = site.stamps.iterdir()
    os.utime(stamp, (0, 0))
    for _ in range(3):
        shell.run("true")
    assert site.checks() == 1


@every_shell
def test_a_cache_that_can_not_be_written_costs_one_look(kind: Kind, site: Site) -> None:
    site.stamps.rmdir()
    site.stamps.write_text("a file\n")
    shell = site.open(kind)
    shown = shell.greeting + "".join(shell.run("mkdir -p new") for _ in range(3))
    assert site.checks() == 1
    assert "regrow" not in shown
    assert "cache" not in shown


@every_shell
def test_a_directory_that_is_gone_does_no_harm(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.run("mkdir -p gone/deeper")
    shell.run("cd gone/deeper")
    shell.run("rm -r ../../gone")
    shown = "".join(shell.run("true") for _ in range(3))
    assert "regrow" not in shown
    assert site.checks() < 4
    shell.run(f"cd {shlex.quote(str(site.project))}")
    made = make_modules(site.project)
    shell.run("true")
    assert is_marked(made)


@every_shell
def test_without_a_home_it_does_nothing(kind: Kind, site: Site) -> None:
    unset = "set -e HOME" if kind is FISH else "unset HOME"
    shell = site.open(kind, before=f"{unset}\n")
    shown = shell.greeting + shell.run("mkdir new")
    assert "regrow" not in shown
    assert site.checks() == 0


@every_shell
def test_once_its_home_is_gone_it_does_nothing(kind: Kind, site: Site) -> None:
    shell = site.open(kind)
    shell.run("set -e HOME" if kind is FISH else "unset HOME")
    shown = shell.run("mkdir new") + shell.run("true")
    assert "HOME" not in shown
    assert site.checks() == 0


@every_shell
def test_a_broken_configuration_is_told_in_one_line(kind: Kind, site: Site) -> None:
    file = site.home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("nonsense = 1\n")
    shell = site.open(kind)
    assert shell.run("mkdir new").count("regrow: ") == 1
    assert "regrow" not in shell.run("true")


@every_shell
def test_stamps_are_private_and_go_with_their_shells(kind: Kind, site: Site) -> None:
    shutil.rmtree(site.home / ".cache")
    stamps = site.stamps
    with site.open(kind) as shell:
        shell.run("true")
        shell.run("true")
        assert site.checks() == 1  # where there is no stamp yet it looks
        assert stamps.stat().st_mode & 0o777 == 0o700
        (stamp,) = stamps.iterdir()
        (stamps / "notes").write_text("not a stamp\n")
    shell = site.open(kind)
    shell.run("mkdir another")
    assert not stamp.exists()
    assert len(list(stamps.iterdir())) == 2
