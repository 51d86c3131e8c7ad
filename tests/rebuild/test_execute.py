"""Tasks executed with doubles of the tools: marked from birth, compared; or all as it was."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow.config import Configuration
from regrow.model import Record
from regrow.rebuild.execute import Context, execute
from regrow.rebuild.plan import Task
from regrow.rebuild.processes import Processes
from regrow.records.format import MARKED, REBUILD
from regrow.records.store import Store, attachment_name, file_name, identity_of
from regrow.system import aside_names, directories
from regrow_marks.tag import SIGNATURE
from tests.conftest import Regrow
from tests.hostile.helpers import (
    LINUX_ONLY,
    has_attribute,
    has_regrows_tag,
    leftovers,
    record_of,
    snapshot,
)
from tests.rebuilding import (
    CONDA,
    LOCK,
    NPM,
    UV,
    Doubles,
    cmake,
    command,
    environment,
    identify,
    modules,
    modules_without_lock,
    node,
    python,
    recorded,
    write,
)

pytestmark = [LINUX_ONLY, pytest.mark.usefixtures("doubles")]

Rebuild = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def rebuild(regrow: Regrow, records_directory: Path) -> Rebuild:
    """Rebuilds everything; gives a line a directory."""

    def rebuild(*words: str) -> list[dict[str, Any]]:
        done = regrow("rebuild", "--yes", "--json", *words)
        assert "Traceback" not in done.stderr, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return rebuild


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


def outcomes(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {Path(line["path"]).name: line["outcome"] for line in lines}


def assert_complete(path: Path, directory: Path, *, tag: bool = False) -> Record:
    """Check that a directory is marked, and that its record says so of this very one."""
    record = record_of(path, directory)
    assert record is not None
    fd = os.open(path, os.O_RDONLY)
    this = identity_of(fd)
    os.close(fd)
    assert (record.state, record.inode, record.born) == (MARKED, *this)
    assert has_attribute(path)
    assert has_regrows_tag(path) == tag
    assert leftovers(path.parent) == []
    return record


# What succeeds.


def test_an_environment_is_made_marked_and_compared(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    environment(project, "a==1.0", "b==2")
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])
    record = assert_complete(project / ".venv", records_directory, tag=True)
    assert record.recipe["requirements"] == ["a==1.0", "b==2"]
    assert (record.rule, record.recipe["made_by"]) == ("venv", "uv")
    first, second = doubles.calls()
    assert first == f"uv venv --python 3.11.7 {project}/.venv"
    assert second.startswith(f"uv pip install --python {project}/.venv/bin/python --no-deps -r ")
    assert rebuild() == [], "what stands is not touched again"


def test_the_mark_is_there_before_the_first_file(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    look = "import os, sys; print(os.listdir(sys.argv[1]), os.listxattr(sys.argv[1]))"
    for name, path, lines in (("uv", ".venv", UV), ("npm", "node_modules", NPM)):
        see = f"python3 -c '{look}' {project}/{path} >> {project}/seen"
        doubles.write(name, f'case "$1" in venv|ci) {see};; esac\n{lines}')
    environment(project)
    modules(project)
    assert {line["outcome"] for line in rebuild()} == {"rebuilt"}
    assert (
        project / "seen"
    ).read_text() == "[] ['user.xdg.robots.backup', 'user.regrow.record']\n" * 2


def test_the_rule_that_found_it_and_the_users_word_stay(
    rebuild: Rebuild, project: Path, records_directory: Path
) -> None:
    for rule in ("explicit", "mine"):
        write(recorded(project / rule, python("a==1"), rule))
    assert outcomes(rebuild("--only", "mine", "--only", "explicit")) == {
        "explicit": "rebuilt",
        "mine": "rebuilt",
    }
    for rule in ("explicit", "mine"):
        assert assert_complete(project / rule, records_directory, tag=True).rule == rule


@pytest.mark.parametrize(
    ("installed", "detail"),
    [
        ("s/==1.0/==1.1/", ["not installed: a==1.0", "installed besides: a==1.1"]),
        ("/a==/d", ["not installed: a==1.0"]),
        ("$ a new==3", ["installed besides: new==3"]),
    ],
)
def test_what_differs_is_said(
    rebuild: Rebuild, doubles: Doubles, project: Path, installed: str, detail: list[str]
) -> None:
    change = f'if [ "$1" = pip ]; then for file; do :; done; sed -i "{installed}" "$file"; fi\n'
    doubles.write("uv", change + UV)
    environment(project, "a==1.0", "b==2")
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("differs", detail)


def test_another_version_of_python_is_named(rebuild: Rebuild, project: Path) -> None:
    write(recorded(project / ".venv", python("a==1") | {"version": "3.9.1"}))
    [line] = rebuild()
    assert line["outcome"] == "differs"
    assert line["detail"] == ["it has Python 3.11.7, where Python 3.9.1 was"]


def test_names_are_compared_as_indexes_have_them(rebuild: Rebuild, project: Path) -> None:
    environment(project, "Some.Name==1.0")
    doubled = UV.replace("${line%%==*}", "some_name")
    (project.parent / "programs/uv").write_text(f"#!/bin/sh\n{doubled}")
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])


@pytest.mark.parametrize("left", [(), ("CACHEDIR.TAG",), ("CACHEDIR.TAG", ".DS_Store")])
def test_the_shell_that_a_backup_left_is_filled(
    rebuild: Rebuild, project: Path, records_directory: Path, left: tuple[str, ...]
) -> None:
    environment(project, "a==1")
    modules(project)
    for name in (".venv", "node_modules"):
        (project / name).mkdir()
        for file in left:
            (project / name / file).write_bytes(SIGNATURE)
    lines = rebuild()
    assert outcomes(lines) == {".venv": "rebuilt", "node_modules": "rebuilt"}
    assert [line["detail"] for line in lines] == [[], []], "nobody misses it"
    assert_complete(project / ".venv", records_directory, tag=True)
    assert_complete(project / "node_modules", records_directory)


def test_an_environment_with_a_broken_interpreter_is_replaced(
    rebuild: Rebuild, project: Path, records_directory: Path
) -> None:
    path = project / ".venv"
    environment(project, "a==1")
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    (path / "bin/python").symlink_to("/nowhere/python")
    identify(path)
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])
    assert line["why"] == "broken: its interpreter /nowhere/python is gone"
    assert (path / "bin/python").resolve() == Path("/bin/true").resolve()
    assert_complete(path, records_directory, tag=True)


def test_a_lock_that_stands_nowhere_else_is_lent_to_the_project(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    doubles.write("npm", f"cp package-lock.json {project.parent}/lent\n{NPM}")
    modules_without_lock(project)
    assert outcomes(rebuild()) == {"node_modules": "rebuilt"}
    assert (project.parent / "lent").read_bytes() == LOCK
    assert sorted(os.listdir(project)) == ["node_modules", "package.json"]
    record = assert_complete(project / "node_modules", records_directory)
    with Store() as store:
        assert store.attachment(record.path, "package-lock.json"), "it is kept beside the record"


def test_a_lock_that_is_there_by_now_is_the_truth(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    modules_without_lock(project)
    (project / "package-lock.json").write_text("the project's own")
    assert outcomes(rebuild()) == {"node_modules": "rebuilt"}
    assert (project / "package-lock.json").read_text() == "the project's own"
    doubles.write("npm", "exit 1")
    shutil.rmtree(project / "node_modules")
    assert outcomes(rebuild()) == {"node_modules": "failed"}
    assert (project / "package-lock.json").read_text() == "the project's own"


def test_the_copy_of_a_lock_that_is_gone_is_named(rebuild: Rebuild, project: Path) -> None:
    record = modules_without_lock(project)
    with Store() as store:
        (Path(store.path) / attachment_name(record.path, "package-lock.json")).unlink()
    [line] = rebuild()
    assert line["outcome"] == "failed"
    assert line["detail"][0] == (
        "the copy of package-lock.json that stood beside its record is gone"
    )
    assert os.listdir(project) == ["package.json"]


def test_modules_of_a_workspace_come_back_by_one_command(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    recipe = node(project)
    (project / "package.json").write_text('{"workspaces": ["packages/*"]}')
    member = project / "packages/b"
    member.mkdir(parents=True)
    (member / "package.json").write_text("{}")
    (project / "node_modules").mkdir()
    doubles.write("npm", f"{NPM}touch packages/b/node_modules/c")
    for place in (project, member):
        write(recorded(place / "node_modules", recipe, "node-modules"))
    assert [line["outcome"] for line in rebuild()] == ["rebuilt", "rebuilt"]
    assert doubles.calls() == ["npm ci"]
    for place in (project, member):
        assert_complete(place / "node_modules", records_directory)


def test_a_conda_environment_by_a_double_of_conda(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    doubles.write("conda", f"{CONDA}cat $file > {project}/list")
    explicit = [f"https://host/{name}-1-0.conda#{number * 32}" for name, number in ("a0", "b1")]
    write(
        recorded(
            project / "env", {"kind": "conda", "explicit": explicit, "requirements": []}, "conda"
        )
    )
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])
    assert (project / "list").read_text() == "\n".join(["@EXPLICIT", *explicit, ""])
    [call] = doubles.calls()
    assert call.startswith(f"conda create --yes --prefix {project}/env --file /")
    assert_complete(project / "env", records_directory, tag=True)

    shutil.rmtree(project / "env")
    doubles.write("conda", CONDA.replace("grep -v", "sed -i s/b-1/b-2/ $file; grep -v"))
    [line] = rebuild()
    assert line["outcome"] == "differs"
    assert line["detail"] == [
        f"not installed: {explicit[1]}",
        "installed besides: " + (explicit[1].replace("b-1", "b-2")),
    ]


def test_what_pip_added_to_a_conda_environment_comes_back(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    note = (
        f'#!/bin/sh\nfor file; do :; done; echo "$*" > {project}/pip; cat "$file" >> {project}/pip'
    )
    (project / "python").write_text(note)
    (project / "python").chmod(0o755)
    doubles.write("conda", f'{CONDA}mkdir "$2/bin"; cp {project}/python "$2/bin/python"')
    recipe: Any = {"kind": "conda", "explicit": ["https://host/a-1-0.conda#" + "0" * 32]}
    write(recorded(project / "env", recipe | {"requirements": ["x==1"]}, "conda"))
    [line] = rebuild()
    assert line["detail"] == ["not installed: x==1"], "the double of pip only notes its words"
    words, requirement = (project / "pip").read_text().splitlines()
    assert "-m pip install --no-deps -r /" in words
    assert requirement == "x==1"


def test_the_environments_of_pixi_by_a_double_of_pixi(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    made = '{"url": "https://host/a-1-0.conda", "md5": "' + "0" * 32 + '"}'
    meta = ".pixi/envs/default/conda-meta"
    doubles.write(
        "pixi", f"pwd; mkdir -p {meta}; touch {meta}/history; echo '{made}' > {meta}/a.json"
    )
    for name in ("pixi.toml", "pixi.lock"):
        (project / name).touch()
    (project / ".pixi").mkdir()
    write(
        recorded(
            project / ".pixi/envs",
            {
                "kind": "pixi",
                "command": ["pixi", "install", "--all", "--frozen"],
                "directory": str(project),
                "explicit": ["[default]", f"https://host/a-1-0.conda#{'0' * 32}"],
                "requirements": [],
            },
            "pixi-envs",
        )
    )
    [line] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])
    assert doubles.calls() == ["pixi install --all --frozen"]
    assert f"\n{project}\n" in Path(line["log"]).read_text()
    assert_complete(project / ".pixi/envs", records_directory)


def test_pnpm_finds_a_directory_that_is_not_empty(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    """pnpm replaces an empty directory, and its mark would be lost while it is filled."""
    doubles.write(
        "pnpm",
        "rmdir node_modules && mkdir node_modules; touch node_modules/.modules.yaml; ls -A",
    )
    recipe = node(project)
    (project / "pnpm-lock.yaml").write_text("lockfileVersion: '9.0'\n")
    recipe |= {
        "command": ["pnpm", "install", "--frozen-lockfile"],
        "lock": str(project / "pnpm-lock.yaml"),
    }
    write(recorded(project / "node_modules", recipe, "node-modules"))
    [line] = rebuild()
    assert line["outcome"] == "rebuilt"
    assert os.listdir(project / "node_modules") == [".modules.yaml"]
    assert "not empty" in Path(line["log"]).read_text(), "it was kept"
    assert_complete(project / "node_modules", records_directory)


def test_builds_run_only_when_asked_for(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    source, path = project / "source", project / "deep/build"
    source.mkdir()
    doubles.write("cargo", "mkdir -p target; touch target/app")
    cache = f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\\nCMAKE_GENERATOR:INTERNAL=Ninja\\n"
    doubles.write("cmake", f'printf "{cache}" > {path}/CMakeCache.txt')
    write(recorded(source / "target", command(source, "rm", "-rf", "/"), "cargo-target"))
    write(recorded(path, cmake(source, path), "cmake-build"))
    assert outcomes(rebuild()) == {"target": "build", "build": "build"}
    assert doubles.calls() == []
    assert outcomes(rebuild("--builds")) == {"target": "rebuilt", "build": "rebuilt"}
    assert sorted(doubles.calls()) == [
        "cargo build",
        f"cmake --build {path}",
        f"cmake -S {source} -B {path} -G Ninja -DA:BOOL=ON",
    ]
    for place in (source / "target", path):
        assert_complete(place, records_directory)


# What fails, and what is left then: what was there before.


class Before:
    """All around a target, and the records, as they are before a rebuild."""

    def __init__(self, place: Path, directory: Path) -> None:
        self._places = (place, directory)
        self._snapshots = self._look()

    def _look(self) -> list[dict[str, tuple[int, bytes]]]:
        return [snapshot(place) for place in self._places]

    def is_now(self) -> bool:
        now = self._look()
        for before, after in zip(self._snapshots, now, strict=True):
            assert before == after
        return True


def _hollow(path: Path) -> None:
    path.mkdir()
    (path / "CACHEDIR.TAG").write_bytes(SIGNATURE)


def _broken(path: Path) -> None:
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    (path / "bin/python").symlink_to("/nowhere/python")


def _missing(_: Path) -> None:
    return


FAILING = {
    "fails": "echo no such package >&2; exit 2",
    "makes nothing": "exit 0",
    "fails half-way": "{work}\nexit 1",
    "makes a link": 'rm -rf "$place"; ln -s {elsewhere} "$place"',
    "makes a file": 'rm -rf "$place"; touch "$place"',
    "removes it": 'rm -rf "$place"; exit 1',
    "removes all": 'rm -rf "$place"',
    "is missing an interpreter": "exec /nowhere/program",
}


BEGINNINGS: tuple[tuple[str, Callable[[Path], None]], ...] = (
    ("python", _missing),
    ("python", _hollow),
    ("python", _broken),
    ("node", _missing),
    ("node", _hollow),
)


@pytest.mark.parametrize(
    ("kind", "begin", "lines"),
    [
        pytest.param(kind, begin, lines, id=f"{kind}{begin.__name__} {name}")
        for name, lines in FAILING.items()
        for kind, begin in BEGINNINGS
        # A tool that takes away what stood there has no other one to put back; uv is given none.
        if not (kind == "node" and begin is _hollow and "rm -rf" in lines)
    ],
)
def test_where_a_tool_fails_all_is_as_it_was(
    rebuild: Rebuild,
    doubles: Doubles,
    project: Path,
    records_directory: Path,
    kind: str,
    begin: Callable[[Path], None],
    lines: str,
) -> None:
    elsewhere = project.parent / "elsewhere"
    (elsewhere / "bin").mkdir(parents=True)
    (elsewhere / "pyvenv.cfg").write_text("years of work")
    name, path, work = {
        "python": ("uv", project / ".venv", UV),
        "node": ("npm", project / "node_modules", NPM),
    }[kind]
    environment(project, "a==1") if kind == "python" else modules(project)
    begin(path)
    if begin is _broken:
        identify(path)
    before = Before(project, records_directory), snapshot(elsewhere)
    doubles.write(name, f"place={path}\n" + lines.format(work=work, elsewhere=elsewhere))
    [line] = rebuild()
    assert line["outcome"] == "failed"
    assert line["detail"]
    assert before[0].is_now()
    assert snapshot(elsewhere) == before[1]
    assert not has_attribute(path)
    assert os.path.exists(line["log"])

    doubles.write(name, work)
    assert outcomes(rebuild()) == {path.name: "rebuilt"}


@pytest.mark.parametrize("begin", [_missing, _broken])
def test_what_somebody_puts_into_an_environment_while_its_tool_fails_is_kept(
    rebuild: Rebuild, doubles: Doubles, project: Path, begin: Callable[[Path], None]
) -> None:
    environment(project, "a==1")
    path = project / ".venv"
    begin(path)
    if begin is _broken:
        identify(path)
    write_note = f"echo years of work > {path}/thesis.tex"
    doubles.write("uv", f'{UV}if [ "$1" = pip ]; then {write_note}; exit 1; fi')
    [line] = rebuild()
    assert line["outcome"] == "failed"
    [place] = project.glob(".regrow-kept-*-.venv")
    assert os.listdir(place) == ["thesis.tex"]
    assert f"kept in {place}, for no tool made it: thesis.tex" in "\n".join(line["detail"])
    assert not has_attribute(place)
    assert path.exists() == (begin is _broken)

    doubles.write("uv", UV)
    assert outcomes(rebuild())[".venv"] == "rebuilt"
    assert (place / "thesis.tex").read_text() == "years of work\n"


def test_a_failure_shows_the_last_lines_of_its_log(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    environment(project, "a==1")
    doubles.write("uv", f'[ "$1" = pip ] && seq 100 && echo no match for a==1 >&2 && exit 1\n{UV}')
    [line] = rebuild()
    reason, *lines = line["detail"]
    assert reason.endswith("uv failed (exit code 1)")
    assert lines == ["97", "98", "99", "100", "no match for a==1"]
    assert line["log"].startswith(directories.logs())
    log = Path(line["log"])
    assert f"$ (cd {project} && uv pip install" in log.read_text()
    assert log.stat().st_mode & 0o77 == 0
    assert log.parent.stat().st_mode & 0o77 == 0


def test_a_log_is_that_of_the_last_run(rebuild: Rebuild, doubles: Doubles, project: Path) -> None:
    environment(project)
    doubles.write("uv", "seq 1000; exit 1")
    rebuild()
    doubles.write("uv", "echo short; exit 1")
    [line] = rebuild()
    assert "1000" not in Path(line["log"]).read_text()


def test_binary_output_is_shown_in_measure(
    regrow: Regrow, rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    environment(project)
    doubles.write(
        "uv", "head -c 100000 /dev/urandom | tr -d '\\n\\r'; printf '\\033[2J\\0'; exit 1"
    )
    [line] = rebuild()
    assert line["outcome"] == "failed"
    assert all(len(text) <= 300 for text in line["detail"])
    shown = regrow("rebuild", "--yes").stdout
    assert all(character.isprintable() for character in shown if character != "\n")
    assert "\\x1b[2J" in shown


def test_a_hundred_megabytes_of_output_are_no_reason_to_stop(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    environment(project)
    doubles.write("uv", f"head -c 100000000 /dev/zero\n{UV}")
    [line] = rebuild()
    assert line["outcome"] == "rebuilt"
    assert os.path.getsize(line["log"]) > 100_000_000
    os.truncate(line["log"], 0)


def test_a_directory_that_a_tool_replaced_is_marked_again(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path
) -> None:
    environment(project)
    modules(project)
    (project / "keep").mkdir()  # or the new one may get the old one's inode
    doubles.write("uv", f"for place; do :; done; mv $place {project}/keep/1\n{UV}")
    doubles.write("npm", f"mv node_modules {project}/keep/2\n{NPM}")
    assert outcomes(rebuild()) == {".venv": "rebuilt", "node_modules": "rebuilt"}
    assert_complete(project / ".venv", records_directory, tag=True)
    assert_complete(project / "node_modules", records_directory)


@pytest.mark.parametrize("end", ["exit 0", "exit 1"])
@pytest.mark.parametrize("what", ["*.toml", "*"])
def test_records_that_vanish_meanwhile_are_written_again(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path, what: str, end: str
) -> None:
    environment(project / "a", "x==1")
    modules_without_lock(project / "b")
    before = snapshot(records_directory)
    for name, place, lines in (("uv", "a", UV), ("npm", "b", NPM)):
        doubles.write(name, f"{lines}\nrm -f {records_directory}/{place}-{what}\n{end}")
    outcome = "rebuilt" if end == "exit 0" else "failed"
    assert outcomes(rebuild()) == {".venv": outcome, "node_modules": outcome}
    if end == "exit 0":
        assert_complete(project / "a/.venv", records_directory, tag=True)
        assert_complete(project / "b/node_modules", records_directory)
        assert snapshot(records_directory).keys() == before.keys()
    else:
        assert snapshot(records_directory) == before


def test_the_next_interpreter_is_tried(rebuild: Rebuild, doubles: Doubles, project: Path) -> None:
    environment(project)
    doubles.write("uv", f'[ "$3" = 3.11.7 ] && echo no such version && exit 2\n{UV}')
    [line] = rebuild()
    assert line["outcome"] == "rebuilt"
    assert [call.split()[3] for call in doubles.calls()] == ["3.11.7", "3.11"]
    assert "no such version" in Path(line["log"]).read_text()


def test_packages_that_can_not_be_had_are_asked_for_once(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    environment(project, "a==1")
    doubles.write("uv", f'[ "$1" = pip ] && exit 1\n{UV}')
    assert outcomes(rebuild()) == {".venv": "failed"}
    assert [call.split()[1] for call in doubles.calls()] == ["venv", "pip"]


def test_a_container_of_environments_is_marked_whoever_begins(
    rebuild: Rebuild, doubles: Doubles, home: Path, records_directory: Path
) -> None:
    container = home / ".local/share/virtualenvs"
    environment(home / "-first")
    write(recorded(container, {"kind": "contents"}, "pipenv-environments"))
    write(recorded(container / "shop-x", python("a==1")))
    doubles.write("uv", f"mkdir -p {container}/begun\n{UV}")
    assert set(outcomes(rebuild()).values()) == {"rebuilt"}
    assert_complete(container, records_directory)
    assert_complete(container / "shop-x", records_directory, tag=True)


def test_what_was_whole_when_the_plan_was_made_is_not_rebuilt_unasked(
    doubles: Doubles, project: Path, tmp_path: Path, records_directory: Path
) -> None:
    record = environment(project, "a==1")
    task = Task((record,), "python", "unfinished, and whole", str(project))
    context = Context(Configuration(), Processes(1), str(tmp_path / "logs"))
    result = execute(task, context)
    assert result.outcome == "failed"
    assert result.detail == (
        f"{project}/.venv: it has changed since the plan was made; run it again",
    )
    assert doubles.calls() == []


def test_parents_that_a_failed_build_needed_go_again(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    doubles.write("cmake", "exit 1")
    path = project / "deep/er/build"
    write(recorded(path, cmake(project, path), "cmake-build"))
    assert outcomes(rebuild("--builds")) == {"build": "failed"}
    assert os.listdir(project) == []


def test_a_directory_that_can_not_be_deleted_is_said_to_be_unfinished(
    rebuild: Rebuild, doubles: Doubles, project: Path, regrow: Regrow
) -> None:
    modules(project)
    doubles.write("npm", f"{NPM}chattr +i node_modules/a || touch {project}/cannot; exit 1")
    [line] = rebuild()
    try:
        if (project / "cannot").exists():
            pytest.skip("this file system has no immutable directories")
        assert line["outcome"] == "failed"
        [entry] = regrow.json("list")
        assert entry["state"] == "unfinished"
    finally:
        subprocess.run(["chattr", "-i", project / "node_modules/a"], check=False)
    doubles.write("npm", NPM)
    assert outcomes(rebuild()) == {"node_modules": "rebuilt"}


def test_what_a_killed_run_moved_aside_goes_back_to_its_place(
    rebuild: Rebuild, doubles: Doubles, project: Path
) -> None:
    environment(project)
    old = project / f"{aside_names.REBUILT}01234567-.venv"
    _broken(old)
    (old / "mine").write_text("years of work")
    fd = os.open(old, os.O_RDONLY)
    inode, born = identity_of(fd)
    os.close(fd)
    write(recorded(old, python())._replace(inode=inode, born=born))
    (project / ".venv").mkdir()
    [line] = rebuild()
    assert line["outcome"] == "rebuilt"
    assert line["detail"] == ["put back, for nothing else brings it: mine"]
    assert (project / ".venv/mine").read_text() == "years of work"
    assert not old.exists()


@pytest.mark.parametrize("place", ["state", "regrow"])
def test_logs_that_can_not_be_written_are_named(
    rebuild: Rebuild, project: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (project.parent / "state").mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(project.parent / "state"))
    if place == "state":
        monkeypatch.setenv("XDG_STATE_HOME", str(project.parent / "state/file"))
        (project.parent / "state/file").touch()
    else:
        (project.parent / "state/regrow").symlink_to("nowhere")
    environment(project)
    [line] = rebuild()
    assert line["outcome"] == "failed"
    assert "its log can't be written: " in line["detail"][0]
    assert os.listdir(project) == []


def test_a_planted_link_in_the_place_of_a_log_is_not_followed(
    rebuild: Rebuild, project: Path
) -> None:
    record = environment(project)
    logs = Path(directories.logs())
    logs.mkdir(parents=True)
    victim = project.parent / "victim"
    victim.write_text("years of work")
    name = file_name(record.path).removesuffix(".toml")
    (logs / f"{name}.log").symlink_to(victim)
    [line] = rebuild()
    assert line["outcome"] == "failed"
    assert victim.read_text() == "years of work"


def test_what_an_archive_brought_is_never_put_into_an_environment(
    rebuild: Rebuild, doubles: Doubles, project: Path, regrow: Regrow
) -> None:
    """A directory of the name that regrow gives, but without a record of regrow's."""
    planted = project / f"{aside_names.REBUILT}01234567-.venv"
    site = "lib/python3.11/site-packages"
    (planted / site).mkdir(parents=True)
    (planted / site / "evil.pth").write_text("import os")
    environment(project, "a==1")
    [line, left] = rebuild()
    assert (line["outcome"], line["detail"]) == ("rebuilt", [])
    assert (left["path"], left["outcome"]) == (str(planted), "leftover")
    assert not (project / ".venv" / site / "evil.pth").exists()
    shutil.rmtree(project / ".venv")
    assert regrow("venv", cwd=project).returncode == 0
    assert (planted / site / "evil.pth").exists()
    assert not (project / ".venv" / site / "evil.pth").exists()


@pytest.mark.parametrize("kind", ["node", "conda", "pixi"])
def test_what_people_put_into_what_was_not_finished_goes_back_to_its_place(
    rebuild: Rebuild, doubles: Doubles, project: Path, records_directory: Path, kind: str
) -> None:
    """Package managers empty or prune what they find."""
    recipe = node(project)
    path = project / "node_modules"
    made = "a"
    clear = "rm -rf node_modules; "
    if kind == "conda":
        path, made = project / "env", "conda-meta"
        recipe = {"kind": "conda", "explicit": ["https://host/a-1-0.conda"], "requirements": []}
        doubles.write("conda", f'rm -rf "{path}"; {CONDA}')
    elif kind == "pixi":
        path, made = project / ".pixi/envs", "default"
        meta = f"{path}/default/conda-meta"
        note = '{"url": "https://host/a-1-0.conda", "md5": "' + "0" * 32 + '"}'
        words = f"mkdir -p {meta}; touch {meta}/history; echo '{note}' > {meta}/a.json"
        doubles.write("pixi", f'rm -rf "{path}"; {words}')
        for name in ("pixi.toml", "pixi.lock"):
            (project / name).touch()
        recipe = {
            "kind": "pixi",
            "command": ["pixi", "install", "--all", "--frozen"],
            "directory": str(project),
            "explicit": ["[default]", f"https://host/a-1-0.conda#{'0' * 32}"],
            "requirements": [],
        }
    else:
        doubles.write("npm", f"{clear}{NPM}")
    for name in ("mine/thesis.tex", f"{made}/patch.diff", ".hidden"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("years of work")
    fd = os.open(path, os.O_RDONLY)
    inode, born = identity_of(fd)
    os.close(fd)
    unfinished = recorded(path, recipe, "conda-env" if kind == "conda" else "node-modules")
    write(unfinished._replace(inode=inode, born=born, state=REBUILD))
    [line] = rebuild()
    assert line["why"] == "unfinished"
    assert line["outcome"] in ("rebuilt", "differs"), line
    assert any("put back" in text for text in line["detail"])
    for name in ("mine/thesis.tex", f"{made}/patch.diff", ".hidden"):
        assert (path / name).read_text() == "years of work"
    assert_complete(path, records_directory, tag=kind == "conda")


def test_what_is_left_at_a_path_is_found_without_any_record(
    project: Path, regrow: Regrow, records_directory: Path
) -> None:
    kept = project / f"{aside_names.KEPT}01234567-.venv"
    kept.mkdir()
    (kept / "mine").write_text("years of work")
    assert not records_directory.exists()
    assert regrow("leftovers").stdout == "nothing was left by any rebuild\n"
    [line] = regrow.json("leftovers", project)
    assert (line["path"], line["first"]) == (str(kept), ["mine"])
    assert regrow("leftovers", "--put-back", kept).returncode == 0
    assert (project / ".venv/mine").read_text() == "years of work"
