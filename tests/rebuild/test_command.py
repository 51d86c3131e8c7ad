"""What the plan shows is what is run, character for character, and what the log records."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow.rebuild.command import Command
from tests.conftest import Regrow
from tests.hostile.helpers import LINUX_ONLY
from tests.rebuilding import (
    CONDA,
    NPM,
    UV,
    Doubles,
    cmake,
    command,
    node,
    python,
    recorded,
    write,
)

pytestmark = LINUX_ONLY

FALLBACK = "or, if that fails: "

OBSERVE = r"""
{ printf '%s\0' "$PWD" "$0" "$@"; for last; do :; done
  case "$last" in /*.txt) cat "$last"; esac; printf '\1'; } >> "$REGROW_TEST_CALLS.exact"
"""
"""Notes where a program runs, its words, and what a temporary file among them holds."""

PYTHON = """
case "$*" in *"-m venv"*)
    for place; do :; done
    mkdir -p "$place/bin" "$place/lib/python3.11/site-packages"
    printf 'home = /usr/bin\\nversion_info = 3.11.7\\n' > "$place/pyvenv.cfg"
    cp "$0" "$place/bin/python"
esac
"""


class Observed:
    """Programs that note exactly how they are run."""

    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles
        self._file = doubles.place / "calls.exact"

    def write(self, name: str, lines: str) -> None:
        self._doubles.write(name, f"{OBSERVE}{lines}")

    def commands(self) -> list[Command]:
        """Return what was run; the names of programs that stand on PATH are short again."""
        found = []
        for call in self._file.read_text().split("\1")[:-1]:
            cwd, program, *arguments, lines = call.split("\0")
            if Path(program).parent == self._doubles.place and not program.endswith("python3.11"):
                program = Path(program).name
            found.append(Command((program, *arguments), cwd, tuple(lines.splitlines())))
        return found


@pytest.fixture
def observed(doubles: Doubles) -> Observed:
    return Observed(doubles)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "a project"
    made.mkdir()
    return made


def by_uv(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("uv", UV)
    recipe = python("a==1", "b==2", prompt="it's", system_site_packages=True)
    write(recorded(project / ".venv", recipe))


def by_uv_with_another_python(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("uv", f'[ "$3" = 3.11.7 ] && exit 2\n{UV}')
    write(recorded(project / ".venv", python("a==1")))


def by_venv(project: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    observed.write("uv", UV)
    observed.write("python3.11", PYTHON)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip's own settings: uv is not asked
    write(recorded(project / ".venv", python("a==1", creator="virtualenv 20.26")))


def by_venv_without_packages(
    project: Path, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_venv(project, observed, monkeypatch)
    write(recorded(project / ".venv", python(creator="venv")))


def by_npm(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("npm", NPM)
    write(recorded(project / "node_modules", node(project), "node-modules"))


def by_conda(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("python3.11", PYTHON)
    copy = f'mkdir "$2/bin"; cp {observed._doubles.place}/python3.11 "$2/bin/python"'
    observed.write("conda", f"{CONDA}{copy}")
    explicit = [f"https://host/a-1-0.conda#{'0' * 32}"]
    recipe: Any = {"kind": "conda", "explicit": explicit, "requirements": ["x==1"]}
    write(recorded(project / "env", recipe, "conda"))


def by_pixi(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("pixi", "mkdir -p .pixi/envs/default")
    (project / ".pixi").mkdir()
    argv = ["pixi", "install", "--all", "--frozen"]
    recipe: Any = {"kind": "pixi", "command": argv, "directory": str(project)}
    write(recorded(project / ".pixi/envs", recipe, "pixi-envs"))


def by_cmake(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("cmake", f'touch "{project}/build/CMakeCache.txt"')
    recipe: Any = cmake(project, project / "build")
    recipe["configure"] += [f"-DOPTION_{number}:STRING=two words" for number in range(9)]
    write(recorded(project / "build", recipe, "cmake-build"))


def by_meson(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    path = f"{project}/build"
    observed.write("meson", f'mkdir -p "{path}/meson-info"')
    recipe: Any = {
        "kind": "meson",
        "source": str(project),
        "configure": ["meson", "setup", path, str(project), "-Da=b"],
        "build": ["meson", "compile", "-C", path],
    }
    write(recorded(path, recipe, "meson-build"))


def by_a_rule(project: Path, observed: Observed, _: pytest.MonkeyPatch) -> None:
    observed.write("cargo", "mkdir -p target; touch target/app")
    write(recorded(project / "target", command(project, "cargo", "build"), "cargo-target"))


@pytest.mark.parametrize(
    "prepare",
    [
        by_uv,
        by_uv_with_another_python,
        by_venv,
        by_venv_without_packages,
        by_npm,
        by_conda,
        by_pixi,
        by_cmake,
        by_meson,
        by_a_rule,
    ],
)
@pytest.mark.usefixtures("records_directory")
def test_what_is_shown_is_what_is_run_and_logged(
    prepare: Callable[[Path, Observed, pytest.MonkeyPatch], None],
    regrow: Regrow,
    observed: Observed,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(project, observed, monkeypatch)
    plan = regrow("rebuild", "--dry-run", "--builds").stdout.splitlines()
    [planned] = regrow.json("rebuild", "--dry-run", "--builds")
    head = plan.index(str(project)) + 2
    shown = [line.strip() for line in plan[head:] if line.startswith("    ")]
    [done] = regrow.json("rebuild", "--yes", "--builds")
    assert done["outcome"] in ("rebuilt", "differs"), done

    ran = observed.commands()
    of_plan = [
        Command(tuple(argv), one["cwd"], tuple(one.get("lines", ())))
        for one in planned["commands"]
        for argv in (one["argv"], *one.get("fallbacks", ()))
    ]
    texts = [one.text(str(project)) for one in of_plan]
    assert [line.removeprefix(FALLBACK) for line in shown] == [*texts, *planned["notes"]]
    is_fallback = [line.startswith(FALLBACK) for line in shown[: len(texts)]]
    if prepare is not by_uv_with_another_python:
        of_plan = [one for one, skip in zip(of_plan, is_fallback, strict=True) if not skip]
    assert [_with_placeholder(one, of_plan) for one in ran] == of_plan
    log = Path(done["log"]).read_text().splitlines()
    assert [line[2:] for line in log if line.startswith("$ ")] == [one.text() for one in of_plan]


def _with_placeholder(ran: Command, planned: list[Command]) -> Command:
    """Return a command with its temporary file as the plan names it: it is gone by now."""
    if not ran.lines:
        return ran
    assert not os.path.exists(ran.argv[-1])
    [named] = {one.argv[-1] for one in planned if one.lines == ran.lines}
    return ran._replace(argv=(*ran.argv[:-1], named))


def test_the_temporary_file_is_private_and_goes(tmp_path: Path) -> None:
    lines = ("a==1", "b @ file:///caf\udce9")
    with Command(("pip", "-r", "(2 lines)"), "/", lines).runnable() as argv:
        assert argv[:-1] == ("pip", "-r")
        file = Path(argv[-1])
        assert file.read_bytes() == b"a==1\nb @ file:///caf\xe9\n"
        assert file.stat().st_mode & 0o77 == 0
    assert not file.exists()


def test_a_text_is_what_a_shell_takes(tmp_path: Path) -> None:
    made = tmp_path / "it's here"
    made.mkdir()
    text = Command(("touch", "two words", "$HOME"), str(made)).text()
    assert os.system(text) == 0
    assert sorted(os.listdir(made)) == ["$HOME", "two words"]
