"""What is to be rebuilt, by which words; and what a record may not make regrow do."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from regrow.model import Record, Rule
from regrow.rebuild import condition
from regrow.rebuild.command import Command
from regrow.rebuild.condition import what_is_wrong
from regrow.rebuild.plan import Task, make_plan
from regrow.records.format import MARKED, REBUILD, decode, encode
from regrow.records.store import identity_of
from regrow.rules import loader
from regrow.system import aside_names
from tests.rebuilding import Doubles, cmake, command, modules, node, python, recorded

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

NOBODY = 65534

pytestmark = pytest.mark.usefixtures("doubles")


def only(*found: Record, rule: Rule | None = None) -> Task:
    """Find the one task of some records."""
    [task] = make_plan(found, (*loader.shipped(), *([rule] if rule else [])))
    return task


def problem_of(path: Path | str, recipe: dict[str, Any], rule: str = "venv") -> str:
    task = only(recorded(path, recipe, rule))
    assert not task.commands or task.problem
    return task.problem


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


# What is wrong with a directory.


def test_what_is_not_there_is_missing(project: Path) -> None:
    assert what_is_wrong(recorded(project / ".venv", python())) == condition.MISSING
    assert what_is_wrong(recorded(project / "gone/.venv", python())) == condition.MISSING


@pytest.mark.parametrize("names", [(), ("CACHEDIR.TAG",), (".DS_Store", "CACHEDIR.TAG")])
def test_what_a_backup_left_the_shell_of_is_empty(project: Path, names: tuple[str, ...]) -> None:
    (project / ".venv").mkdir()
    for name in names:
        (project / ".venv" / name).touch()
    assert what_is_wrong(recorded(project / ".venv", python())) == condition.HOLLOW


def test_an_environment_whose_interpreter_is_gone_is_broken(project: Path) -> None:
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/pyvenv.cfg").touch()
    (project / ".venv/bin/python").symlink_to("/opt/python3.9/bin/python")
    why = what_is_wrong(recorded(project / ".venv", python()))
    assert why == "broken: its interpreter /opt/python3.9/bin/python is gone"

    # Some programs copy no links.
    (project / ".venv/bin/python").unlink()
    why = what_is_wrong(recorded(project / ".venv", python()))
    assert why == f"broken: its interpreter {project}/.venv/bin/python is gone"


def test_what_a_killed_rebuild_left_is_unfinished(project: Path) -> None:
    path = project / "node_modules"
    (path / "half").mkdir(parents=True)
    record = recorded(path, {"kind": "node"})._replace(state=REBUILD)
    assert what_is_wrong(record) == "", "another directory stands there by now"
    fd = os.open(path, os.O_RDONLY)
    this = identity_of(fd)
    os.close(fd)
    record = record._replace(inode=this.inode, born=this.born)
    assert what_is_wrong(record) == condition.UNFINISHED
    assert what_is_wrong(record._replace(state=MARKED)) == ""


def _environment(path: Path) -> None:
    (path / "bin").mkdir(parents=True)
    (path / "pyvenv.cfg").touch()
    (path / "bin/python").symlink_to("/bin/true")


def _modules(path: Path) -> None:
    (path / "a").mkdir(parents=True)


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def _file_for_project(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


SOUND: dict[str, Callable[[Path], object]] = {
    "environment": _environment,
    "modules": _modules,
    "file": Path.touch,
    "link to a directory": _link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "file in the place of the project": _file_for_project,
}


@pytest.mark.parametrize("make", SOUND.values(), ids=SOUND)
def test_what_stands_there_is_left_alone(project: Path, make: Callable[[Path], object]) -> None:
    make(project / ".venv")
    assert make_plan([recorded(project / ".venv", python())], loader.shipped()) == []


@pytest.mark.needs_root
def test_what_is_out_of_reach_is_named(
    open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    secret = open_place / "secret"
    secret.mkdir(mode=0o700)
    task = as_ordinary_user(lambda: only(recorded(secret / ".venv", python())))
    assert task.problem == "it can't be looked at: no permission (EACCES)"


def test_what_has_no_recipe_is_passed_over(project: Path) -> None:
    assert (
        make_plan([recorded(project / "x", {"kind": "none"}, "explicit")], loader.shipped()) == []
    )


def test_what_a_killed_run_moved_aside_is_not_made_anew(project: Path) -> None:
    old = project / f"{aside_names.REBUILT}01234567-.venv"
    assert make_plan([recorded(old, python())], loader.shipped()) == []


# The commands.


def test_an_environment_by_uv(project: Path) -> None:
    path = f"{project}/.venv"
    lines = ("a==1", "b @ https://host/b.whl")
    task = only(recorded(path, python(*lines)))
    create = ("uv", "venv", "--python", "3.11.7", path)
    series = ("uv", "venv", "--python", "3.11", path)
    install = (
        *("uv", "pip", "install", "--python", f"{path}/bin/python", "--no-deps"),
        *("-r", "(2 requirements of the record)"),
    )
    assert task.commands == (
        Command(create, "/", fallbacks=(series,)),
        Command(install, str(project), lines),
    )
    assert (task.why, task.problem, task.is_build) == (condition.MISSING, "", False)


@pytest.fixture
def python311(doubles: Doubles, monkeypatch: pytest.MonkeyPatch) -> str:
    """The only program on PATH."""
    (doubles.place / "uv").unlink()
    doubles.write("python3.11", "")
    monkeypatch.setenv("PATH", str(doubles.place))
    return f"{doubles.place}/python3.11"


def test_an_environment_without_uv(project: Path, python311: str) -> None:
    path = f"{project}/.venv"
    pip = (f"{path}/bin/python", "-I", "-m", "pip")
    file = "(1 requirement of the record)"
    assert only(recorded(path, python("a==1"))).commands == (
        Command((python311, "-I", "-m", "venv", path), str(project)),
        Command((*pip, "install", "--no-deps", "-r", file), str(project), ("a==1",)),
        Command((*pip, "uninstall", "--yes", "pip", "setuptools"), str(project)),
    )


def test_what_venv_brings_by_itself_stays_if_it_is_recorded(project: Path, python311: str) -> None:
    seeds = ("pip==24.0", "setuptools @ file:///x/setuptools.whl")
    commands = only(recorded(project / ".venv", python(*seeds))).commands
    assert [command.argv[-1] for command in commands[1:]] == ["(2 requirements of the record)"]


def test_an_environment_without_packages_needs_no_pip(project: Path, python311: str) -> None:
    path = f"{project}/.venv"
    assert only(recorded(path, python())).commands == (
        Command((python311, "-I", "-m", "venv", "--without-pip", path), str(project)),
    )


@pytest.mark.usefixtures("python311")
def test_without_uv_the_python_has_to_be_here(project: Path) -> None:
    record = recorded(project / ".venv", python("a==1", version="3.9.1"))
    assert only(record).problem.startswith("3.9: there is no such Python on PATH")


@pytest.mark.parametrize(
    ("name", "first"), [("python3.11", True), ("python", True), ("python3.12", False)]
)
def test_the_recorded_interpreter_comes_last_if_its_name_says_that_it_is_another_one(
    project: Path, home: Path, name: str, first: bool
) -> None:
    program = home / ".local/bin" / name
    program.parent.mkdir(parents=True)
    program.touch()
    task = only(recorded(project / ".venv", python(interpreter=str(program))))
    asked = [command.argv[3] for command in task.commands[0].attempts()]
    versions = ["3.11.7", "3.11"]
    assert asked == ([str(program), *versions] if first else [*versions, str(program)])


def test_modules_of_a_workspace_come_back_together(project: Path) -> None:
    recipe = node(project)
    member = project / "packages/b"
    member.mkdir(parents=True)
    paths = [project / "node_modules", member / "node_modules"]
    task = only(*(recorded(path, recipe, "node-modules") for path in paths))
    assert [record.path for record in task.records] == [str(path) for path in paths]
    assert (task.directory, task.commands) == (
        str(project),
        (Command(("npm", "ci"), str(project)),),
    )


def test_a_sound_neighbour_in_a_workspace_is_not_made_anew(project: Path) -> None:
    recipe = node(project)
    (project / "node_modules/a").mkdir(parents=True)
    member = project / "packages/b"
    member.mkdir(parents=True)
    missing = recorded(member / "node_modules", recipe, "node-modules")
    assert only(missing).problem == (
        f"npm ci would remove from {project}/node_modules, which is there, what the lock does not"
        " name; move that away, or run it yourself"
    )
    repairing = recipe | {"command": ["yarn", "install", "--immutable"]}
    assert "yarn is not on PATH" in only(missing._replace(recipe=repairing)).problem


def test_the_problem_of_one_is_that_of_all_that_come_back_with_it(project: Path) -> None:
    recipe = node(project)
    gone = project / "packages/gone/node_modules"
    found = [recorded(path, recipe, "node-modules") for path in (project / "node_modules", gone)]
    assert only(*found).problem.startswith(f"its project is not there: {gone.parent}; --map")


@pytest.mark.parametrize("program", ["conda", "mamba", "micromamba"])
def test_a_conda_environment(
    project: Path, doubles: Doubles, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setenv("PATH", str(doubles.place))
    recipe: Recipe = {"kind": "conda", "explicit": ["https://h/a.conda#0"], "requirements": []}
    assert problem_of(project / "env", recipe, "conda") == (
        "conda is not on PATH: Miniforge has it; mamba and micromamba do as well"
    )
    doubles.write(program, "")
    path = str(project / "env")
    options = ("--yes", "--prefix", path, "--file", "(1 package of the record)")
    lines = ("@EXPLICIT", "https://h/a.conda#0")
    assert only(recorded(path, recipe, "conda")).commands == (
        Command((program, "create", *options), str(project), lines),
    )
    (_, install) = only(recorded(path, recipe | {"requirements": ["a==1"]}, "conda")).commands
    assert install.text(str(project)) == (
        f"{path}/bin/python -I -m pip install --no-deps -r '(1 requirement of the record)'"
    )


@pytest.mark.parametrize("words", [("--all",), ("--all", "--frozen")])
def test_the_environments_of_pixi(project: Path, doubles: Doubles, words: tuple[str, ...]) -> None:
    given = ["pixi", "install", *words]
    recipe: Recipe = {"kind": "pixi", "command": given, "directory": str(project)}
    path = project / ".pixi/envs"
    path.parent.mkdir()
    assert problem_of(path, recipe, "pixi-envs").startswith("pixi is not on PATH")
    doubles.write("pixi", "")
    task = only(recorded(path, recipe, "pixi-envs"))
    assert (task.directory, task.commands) == (
        str(project),
        (Command(tuple(given), str(project)),),
    )


def test_a_build_directory_may_stand_anywhere(project: Path, doubles: Doubles) -> None:
    doubles.write("cmake", "")
    path = project.parent / "builds/deep/release"
    recipe = cmake(project, path)
    task = only(recorded(path, recipe, "cmake-build"))
    assert [list(command.argv) for command in task.commands] == [
        recipe["configure"],
        recipe["build"],
    ]
    assert (task.directory, task.problem, task.is_build) == (str(project), "", True)


def test_a_command_is_the_rules_own_whatever_the_record_says(
    project: Path, doubles: Doubles
) -> None:
    doubles.write("cargo", "")
    for words in (["rm", "-rf", "/"], ["cargo", "install", "evil"], [], "rm -rf /", [1], None):
        recipe: dict[str, Any] = command(project) | {"command": words}
        if words is None:
            del recipe["command"]
        task = only(recorded(project / "target", recipe, "cargo-target"))
        if words == [1]:
            assert "is nothing that regrow writes" in task.problem
        else:
            assert task.commands == (Command(("cargo", "build"), str(project)),)


def test_the_users_own_rule_has_the_users_own_command(project: Path) -> None:
    rule = Rule("mine", "out", beside=("x",), command="true 'two words' $HOME;")
    task = only(recorded(project / "out", command(project, "false"), "mine"), rule=rule)
    assert [command.argv for command in task.commands] == [("true", "two words", "$HOME;")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"command": ""}, "its record can't be used: "),
        ({"command": "make 'half"}, "its record can't be used: No closing quotation"),
        ({"command": "nothing-such"}, "nothing-such is not on PATH; install it and try again"),
        ({"manual": True, "note": "name the port"}, "wants more than regrow knows: name the port"),
    ],
)
def test_a_rule_whose_command_can_not_be_run(
    project: Path, changes: dict[str, Any], problem: str
) -> None:
    rule = Rule("mine", "out", command="true")._replace(**changes)
    task = only(recorded(project / "out", command(project, "true"), "mine"), rule=rule)
    assert problem in task.problem


# Records that anybody may have written.


def test_an_unknown_rule_or_kind_is_named(project: Path) -> None:
    gone = only(recorded(project / "out", command(project, "rm"), "gone"))
    assert gone.problem == "no rule is named gone any more; run its command yourself"
    assert gone.commands == ()
    assert problem_of(project / "x", {"kind": "evil"}) == "regrow knows no recipe of kind 'evil'"
    assert problem_of(project / "x", {}) == "regrow knows no recipe of kind ''"


def _of(kind: str, project: Path) -> tuple[Path, dict[str, Any]]:
    """Give a good recipe of each kind, and where its directory stands."""
    if kind == "python":
        return project / ".venv", python("a==1")
    if kind == "node":
        return project / "node_modules", node(project)
    if kind == "conda":
        return project / "env", {
            "kind": kind,
            "explicit": ["https://h/a.conda"],
            "requirements": [],
        }
    if kind == "pixi":
        return project / ".pixi/envs", {
            "kind": kind,
            "command": ["pixi", "install", "--all"],
            "directory": str(project),
        }
    if kind == "cmake":
        return project / "build", cmake(project, project / "build")
    if kind == "meson":
        path = str(project / "build")
        return project / "build", {
            "kind": kind,
            "source": str(project),
            "configure": ["meson", "setup", path, str(project), "-Da=b"],
            "build": ["meson", "compile", "-C", path],
        }
    return project / "target", command(project, "cargo", "build")


KINDS = ("python", "node", "conda", "pixi", "cmake", "meson", "command")


@pytest.fixture
def everything(doubles: Doubles, project: Path) -> None:
    """All programs are there, so that a problem is the record's."""
    for name in ("conda", "pixi", "cmake", "meson", "cargo"):
        doubles.write(name, "")
    (project / ".pixi").mkdir()


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_a_good_record_of_each_kind_has_no_problem(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    assert only(recorded(path, recipe, "cargo-target")).problem == ""


VALUES: tuple[Any, ...] = (
    None, 1, 1.5, True, "", "x", "--option", "/", "..", "a\0b", "a\nb", "\udcff",
    [], [1], [[]], [""], ["a\0b"], ["a\nb"], ["--option"], [[], {}], {}, {"a": 1},
)  # fmt: skip


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_fields_of_any_value_and_type_are_refused_or_harmless(project: Path, kind: str) -> None:
    path, good = _of(kind, project)
    refused = 0
    for key in (*good, "new", "a b\n[previous]"):
        for value in VALUES:
            recipe = {k: v for k, v in good.items() if k != key} | {key: value}
            if value is None:
                del recipe[key]
            record = recorded(path, recipe, "cargo-target")
            found = make_plan([record], loader.shipped())
            if not found:
                assert recipe.get("kind") == "none"
                continue
            [task] = found
            refused += bool(task.problem)
            if not task.problem and task.kind == kind:
                decode(encode(record), "it can be written again")
                shown = [command.text() for command in task.commands]
                assert not any("--option" in line or "\0" in line for line in shown), (key, value)
    assert refused > len(VALUES)


REQUIREMENTS = (
    "--index-url https://evil.invalid/simple", "-i https://evil.invalid", "-r /etc/passwd",
    "-c /etc/passwd", "--pre", "-e git+https://evil.invalid/x;", "-e .", "-e ../x",
    "-e /x --index-url https://evil.invalid", "-e /x[extra]", "-e /x;y", "-e '/x'",
    "x==1 --hash sha256:00", "x==1;python_version>'3'", "x==1 # comment", "x", "x>=1", "x===1",
    "x==1\n--pre", "x==1\r--pre", "x==1\0", "x==1\\", "./x", "/x", "x[extra]==1", "-x==1", "",
    "x @ https://h/a b", "x @ https://h/\u2028--pre", "x @ https://h/\x85--pre",
    "x @ https://h/\x1c--pre", "x @ https://h/\x0b--pre", "x @ https://h/\u00a0--pre",
    "x @ https://h/\x1b[31m", "-e file:///a\u2028-r/etc/passwd", "-e file://x", "x@https://h/a",
    "x @ /etc/passwd", "--editable=/x", "-e/x", "https://h/a.whl", "$X==1", "${X}",
)  # fmt: skip


@pytest.mark.parametrize("line", REQUIREMENTS)
@pytest.mark.parametrize("kind", ["python", "conda"])
def test_requirements_that_regrow_does_not_write_are_refused(
    project: Path, kind: str, line: str
) -> None:
    path, recipe = _of(kind, project)
    recipe["requirements"] = ["a==1", line]
    found = problem_of(path, recipe)
    assert (
        "is no requirement that regrow writes" in found
        or "null character" in found
        or ("line break" in found)
    )


@pytest.mark.parametrize(
    "line",
    [
        "a==1", "A.b_c-d==1!2.0+local-1", "a @ file:///x/a%20b%0a.whl", "a @ file:///%zz%00",
        "a @ git+https://h/a.git@0123#subdirectory=b", "a @ https://${TOKEN}@h/é.whl",
        "-e /home/ada/a", "-e file:///home/ada/a%20b",
    ],
)  # fmt: skip
def test_requirements_that_regrow_writes_are_taken(project: Path, line: str) -> None:
    assert only(recorded(project / ".venv", python(line))).problem == ""


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("python", {"version": "--clear"}),
        ("python", {"version": "3.11 --clear"}),
        ("node", {"command": ["rm", "-rf", "/"]}),
        ("node", {"command": ["npm", "run", "evil"]}),
        ("node", {"command": ["npm", "ci", "--prefix", "/"]}),
        ("node", {"command": ["npm", "install"]}),
        ("node", {"directory": "/etc"}),
        ("node", {"directory": "relative"}),
        ("node", {"lock": "/nowhere/package-lock.json"}),
        ("node", {"lock": "/etc/passwd", "lock_is_copied": True}),
        ("node", {"lock": "../package-lock.json", "lock_is_copied": True}),
        ("conda", {"explicit": ["--file=/etc/passwd"]}),
        ("conda", {"explicit": ["numpy"]}),
        ("conda", {"explicit": ["https://h/a b"]}),
        ("pixi", {"command": ["pixi", "run", "evil"]}),
        ("pixi", {"command": ["pixi", "install", "--manifest-path=/x"]}),
        ("pixi", {"directory": "/etc"}),
        ("command", {"directory": "/etc"}),
        ("command", {"directory": ".."}),
    ],
)
def test_recipes_that_regrow_does_not_write_are_refused(
    project: Path, kind: str, changes: dict[str, Any]
) -> None:
    path, recipe = _of(kind, project)
    record = recorded(path, recipe | changes, "cargo-target")
    assert only(record).problem


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("kind", "configure"),
    [
        ("cmake", lambda good: [*good, "-P", "/x/evil.cmake"]),
        ("cmake", lambda good: [*good, "-C/x/evil.cmake"]),
        ("cmake", lambda good: [*good, "--install-prefix=/"]),
        ("cmake", lambda _: ["cmake", "-P", "/x/evil.cmake"]),
        ("cmake", lambda good: ["cmake", "-S", "/x", *good[3:]]),
        ("cmake", lambda good: ["cmake", "-S", "-P/x/evil.cmake", *good[3:]]),
        ("cmake", lambda good: [*good[:4], "/elsewhere"]),
        ("cmake", lambda good: [*good[:5], "-G", "-P"]),
        ("cmake", lambda good: ["/x/cmake", *good[1:]]),
        ("cmake", lambda _: ["cmake", "--build", "/elsewhere"]),
        ("cmake", lambda good: good[:1]),
        ("cmake", lambda _: []),
        ("meson", lambda good: [*good, "--wrap-mode=forcefallback"]),
        ("meson", lambda good: [*good, "-C", "/x"]),
        ("meson", lambda good: [*good, "--cross-file=relative"]),
        ("meson", lambda good: ["meson", "setup", "/elsewhere", *good[3:]]),
        ("meson", lambda good: [*good[:3], "--wipe", *good[4:]]),
        ("meson", lambda good: [*good[:3], "/elsewhere", *good[4:]]),
        ("meson", lambda good: good[:3]),
        ("meson", lambda _: []),
    ],
)
def test_other_words_to_configure_are_refused(
    project: Path, kind: str, configure: Callable[[list[str]], list[str]]
) -> None:
    path, recipe = _of(kind, project)
    assert problem_of(path, recipe | {"configure": configure(recipe["configure"])})


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", ["cmake", "meson"])
def test_other_words_to_build_are_refused(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    for build in ([], ["rm"], [*recipe["build"], "--target", "x"], [*recipe["build"][:-1], "/x"]):
        assert problem_of(path, recipe | {"build": build})


# Paths.


@pytest.mark.parametrize("path", ["/", "/etc", "/etc/passwd", "/usr"])
def test_what_is_there_is_no_matter_whose_never_a_task(path: str) -> None:
    assert make_plan([recorded(path, python("a==1"))], loader.shipped()) == []


@pytest.mark.parametrize("path", ["{}/../x/.venv", "{}/./.venv", "{}//.venv", "/{}/.venv", "{}/x/"])
def test_a_path_that_is_not_plain_is_refused(project: Path, path: str) -> None:
    found = problem_of(path.format(project), python("a==1"))
    assert "is no path that regrow writes" in found


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_a_path_through_a_link_is_refused(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    moved = project.parent / "moved"
    project.rename(moved)
    project.symlink_to(moved)
    found = problem_of(path, recipe, "cargo-target")
    parent, true_parent = path.parent, moved / path.parent.relative_to(project)
    assert found == f"a link leads to it now: {parent} is {true_parent}"


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_a_project_that_is_gone_is_named(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    project.rename(project.parent / "moved")
    found = problem_of(path, recipe, "cargo-target")
    assert found.startswith(f"its project is not there: {project}")
    assert found.endswith("--map OLD=NEW tells where it is now")


def test_a_container_of_environments_needs_no_project(home: Path) -> None:
    path = home / ".local/share/virtualenvs/shop-x"
    assert only(recorded(path, python("a==1"))).problem == ""


@pytest.mark.needs_root
@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_another_users_project_is_refused(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    for place in (project, path.parent):
        os.chown(place, NOBODY, NOBODY)
    found = problem_of(path, recipe, "cargo-target")
    assert found.endswith("belongs to another user: run regrow as that user")


@pytest.mark.needs_root
def test_another_users_broken_environment_is_refused(project: Path) -> None:
    (project / ".venv").mkdir()
    os.chown(project / ".venv", NOBODY, NOBODY)
    found = problem_of(project / ".venv", python("a==1"))
    assert found == f"{project}/.venv belongs to another user: run regrow as that user"


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("kind", KINDS)
def test_a_place_in_which_everybody_may_put_files_is_refused(project: Path, kind: str) -> None:
    path, recipe = _of(kind, project)
    for place in (project, path.parent):
        place.chmod(0o1777)
    assert "everybody may put files into" in problem_of(path, recipe, "cargo-target")


def test_the_records_of_two_projects_do_not_hinder_each_other(project: Path) -> None:
    bad = recorded(project / "bad", python("--pre"))
    good = recorded(project / "good", python("a==1"))
    found = {task.path: bool(task.problem) for task in make_plan([bad, good], loader.shipped())}
    assert found == {bad.path: True, good.path: False}


def test_modules_with_their_lock_are_a_task(project: Path) -> None:
    assert only(modules(project)).problem == ""
