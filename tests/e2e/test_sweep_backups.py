"""A home with real tools' projects is swept and backed up: the backup holds what was decided.

What a backup must hold is derived from what ``sweep --json`` reported and from what
``regrow_marks.programs`` says of the program: which marks it honours, by which option.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from regrow.cli.main import main
from regrow.model import KEEP, KEPT, MARK, MARKED_ALREADY
from regrow_marks import markers
from regrow_marks.markers import CACHEDIR_TAG, TIME_MACHINE, XDG_ROBOTS
from regrow_marks.model import ALREADY_MARKED, MARKED
from regrow_marks.programs import BY_DEFAULT, program
from regrow_marks.tag import SIGNATURE
from tests import attributes
from tests.conftest import REQUIRE_TOOLS, Regrow
from tests.e2e.backups import BORG2, Backup, Tree, backup, read_back, tree
from tests.e2e.projects import Tools, generate, living_in, write_sources
from tests.e2e.tools import ONE_PACKAGE, PACKAGE, TOOLS, Tool, kept, mark
from tests.mounts import fuse_passthrough

if sys.platform != "linux":
    pytest.skip("Linux' marks and programs", allow_module_level=True)

from tests.e2e.test_apple_attribute import TIME_MACHINE_ON_LINUX

pytestmark = pytest.mark.needs("git")

LOCK = '{"name": "demo", "lockfileVersion": 3, "packages": {}}\n'
A_PACKAGE = "mkdir -p node_modules/one\necho 1 > node_modules/one/index.js\n"

BY_HAND = (
    Tool(
        "a-build-of-ones-own",
        files={"setup.py": ""},
        run="mkdir build\necho mine > build/notes.txt",
        expected={"build": kept("setuptools-build", "generic-name")},
    ),
    Tool(
        "node-modules-in-git",
        files={"package.json": PACKAGE, "package-lock.json": LOCK, "node_modules/one/a.js": "1\n"},
        run="",
        expected={"node_modules": kept("node-modules", "tracked")},
    ),
    Tool(
        "node-modules-that-git-does-not-ignore",
        files={"package.json": PACKAGE, "package-lock.json": LOCK},
        run=A_PACKAGE,
        expected={"node_modules": mark("node-modules")},
    ),
    Tool(
        "node-modules-without-a-lock",
        files={"package.json": ONE_PACKAGE},
        run=A_PACKAGE,
        ignore=("node_modules/",),
        expected={"node_modules": kept("node-modules", "no-recipe")},
    ),
    Tool(
        "node-modules-that-the-project-keeps",
        files={
            "package.json": PACKAGE,
            "package-lock.json": LOCK,
            ".regrow.toml": 'keep = ["node_modules"]\n',
        },
        run=A_PACKAGE,
        ignore=("node_modules/",),
        expected={"node_modules": kept("node-modules", "kept-by-user")},
    ),
    Tool(
        "a-repository-in-its-place",
        files={"package.json": PACKAGE, "package-lock.json": LOCK},
        run=f"{A_PACKAGE}git init -q node_modules",
        ignore=("node_modules/",),
        expected={"node_modules": kept("node-modules", "repository")},
    ),
    Tool(
        "what-is-deployed",
        files={"package.json": PACKAGE},
        run="mkdir -p .next/server\necho 1 > .next/server/page.js",
        ignore=("/.next/",),
        expected={".next": mark("next")},
    ),
    Tool(
        "what-git-ignores-and-nothing-rebuilds",
        files={"main.py": ""},
        run=(
            "echo SECRET=1 > .env\nmkdir -p data/empty dist\necho 1 > 'data/größe.csv'\n"
            "ln -s nowhere data/link\necho 1 > dist/demo-0.9.tar.gz"
        ),
        ignore=(".env", "data/", "dist/"),
        expected={},
    ),
)
"""What no tool makes, and a directory that gets an attribute and no tag."""

QUICK_TOO = ("cmake", "mypy")
SMALL = (
    *BY_HAND,
    *(tool for tool in TOOLS if not tool.slow or tool.name in QUICK_TOO),
)
WHOLE = (*BY_HAND, *TOOLS)


class Home(NamedTuple):
    """A home directory after a sweep, and what is known of it."""

    path: Path
    missing: dict[str, str]
    """By project: why it can't be made here."""
    before: Tree
    """All that stood there before the sweep."""
    lines: list[dict[str, Any]]
    """What the sweep reported."""

    def told_of(self, project: str) -> dict[str, tuple[str, str, str | None]]:
        """By relative path: the rule, the decision and the guard, of a project's directories.

        A creator's tag and attribute may be all that there is to mark.
        """
        there = {MARKED_ALREADY: MARK}
        place = self.path / project
        return {
            os.path.relpath(line["path"], place): (
                line["rule"],
                there.get(line["decision"], line["decision"]),
                line["guard"],
            )
            for line in self.lines
            if Path(line["path"]).is_relative_to(place)
        }


def furnish(home: Path, table: Iterable[Tool], tools: Tools) -> dict[str, str]:
    """Make a project for each row in a home; gives the reasons for those that can't be made."""
    missing: dict[str, str] = {}
    with living_in(home):
        for tool in table:
            absent = [command for command in tool.needs if shutil.which(command) is None]
            if absent:
                missing[tool.name] = f"needs {', '.join(absent)}: not on PATH"
                continue
            place = home / tool.name
            place.mkdir()
            try:
                variables = tools.environment(tool)
                write_sources(tool, place, variables)
                generate(tool, place, variables)
            except pytest.skip.Exception as reason:
                shutil.rmtree(place)
                missing[tool.name] = str(reason)
    return missing


def swept(home: Path, table: Iterable[Tool], tools: Tools) -> Home:
    """Furnish a home and sweep it as its owner would."""
    missing = furnish(home, table, tools)
    before = tree(home)
    with living_in(home):
        lines = Regrow().json("sweep", "--yes")
    return Home(home, missing, before, lines)


@pytest.fixture(scope="module")
def small(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return swept(tmp_path_factory.mktemp("ada"), SMALL, tools)


@pytest.fixture(scope="module")
def whole(tools: Tools) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="regrow-test-home-") as place:
        yield swept(Path(place), WHOLE, tools)


def tagged(everything: Tree) -> set[str]:
    """Give the directories in which a ``CACHEDIR.TAG`` stands."""
    return {
        os.path.dirname(path)
        for path, content in everything.items()
        if os.path.basename(path) == "CACHEDIR.TAG"
        and isinstance(content, bytes)
        and content.startswith(SIGNATURE)
    }


def marked_by(lines: list[dict[str, Any]], home: Path) -> dict[str, set[str]]:
    """Give, by relative path, the marks that a sweep says are on a directory."""
    return {
        os.path.relpath(line["path"], home): {
            name
            for name, outcome in line["markers"].items()
            if outcome["state"] in (MARKED, ALREADY_MARKED)
        }
        for line in lines
    }


def what_is_due(home: Home, everything: Tree, taken: Backup, options: str) -> Tree:
    """Tell what a backup must hold: all but the directories with a mark that the program honours.

    That some carry a tag of their creator's is not the sweep's doing, and no program asks whose a
    tag is.
    """
    honours = program(taken.name).honours
    honoured = {name for name, option in honours.items() if option in (BY_DEFAULT, options)}
    marks = marked_by(home.lines, home.path)
    for path in tagged(home.before):
        marks.setdefault(path, set()).add(CACHEDIR_TAG)
    left_out = {path: names & honoured for path, names in marks.items() if names & honoured}
    return {
        path: content
        for path, content in everything.items()
        if _is_due(path, left_out, taken.keeps_of_tagged)
    }


def _is_due(path: str, left_out: dict[str, set[str]], keeps_of_tagged: tuple[str, ...]) -> bool:
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        above = "/".join(parts[:count])
        if above in left_out:
            rest = "/".join(parts[count:]) or "."
            return left_out[above] == {CACHEDIR_TAG} and rest in keeps_of_tagged
    return True


def with_attribute(home: Path) -> set[str]:
    """Give the paths that carry any attribute at all."""
    return {
        os.path.relpath(path, home)
        for directory, names, files in os.walk(home)
        for path in (os.path.join(directory, name) for name in (*names, *files))
        if attributes.names(path)
    }


def check_decisions(tool: Tool, home: Home) -> None:
    if tool.name in home.missing:
        (pytest.fail if REQUIRE_TOOLS else pytest.skip)(home.missing[tool.name])
    assert home.told_of(tool.name) == tool.expected


def check_changes(home: Home) -> None:
    """The sweep wrote tags where it says so, its records, and nothing else."""
    tags = {
        f"{os.path.relpath(line['path'], home.path)}/CACHEDIR.TAG"
        for line in home.lines
        if line["markers"].get(CACHEDIR_TAG, {}).get("state") == MARKED
    }
    assert tags
    after = tree(home.path)
    records = {path for path in after.keys() - home.before.keys() if path not in tags}
    # The rules are compiled at first use, into the cache.
    own = (".local/", ".cache/regrow/")
    assert {path for path in records if not f"{path}/".startswith(own) and path != ".cache"} == (
        set()
    )
    assert {path for path, content in home.before.items() if after.get(path, b"") != content} == (
        set()
    )
    assert after.keys() - home.before.keys() - records == tags
    assert all(line["outcome"] == KEPT for line in home.lines if line["decision"] == KEEP)
    said = marked_by(home.lines, home.path)
    assert with_attribute(home.path) == {
        path for path, names in said.items() if XDG_ROBOTS in names
    }


def check_backup(home: Home, taken: Backup, options: str, place: Path) -> None:
    everything = tree(home.path)
    due = what_is_due(home, everything, taken, options)
    assert (
        {f"{tool.name}/.git" for tool in WHOLE} & everything.keys()
        <= due.keys()
        < (everything.keys())
    )
    assert read_back(taken, home.path, place, options) == due


def tool_rows(table: Iterable[Tool]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("tool", [pytest.param(tool, id=tool.name) for tool in table])


BY_TAG = tuple(
    pytest.param(name, id=name, marks=pytest.mark.needs(backup(name).command))
    for name in ("borg", "restic")
)


class TestHomeOfQuickTools:
    @tool_rows(SMALL)
    def test_each_project_is_decided_about_as_the_tools_table_says(
        self, tool: Tool, small: Home
    ) -> None:
        check_decisions(tool, small)

    def test_the_sweep_writes_tags_and_records_and_nothing_else(self, small: Home) -> None:
        check_changes(small)

    def test_some_directory_has_the_attribute_alone_and_some_the_tag_too(self, small: Home) -> None:
        kinds = {frozenset(names) for names in marked_by(small.lines, small.path).values() if names}
        assert kinds == {frozenset((XDG_ROBOTS,)), frozenset((XDG_ROBOTS, CACHEDIR_TAG))}

    @pytest.mark.parametrize("name", BY_TAG)
    def test_the_backup_holds_exactly_what_the_decisions_say(
        self, name: str, small: Home, tmp_path: Path
    ) -> None:
        option = program(name).honours[CACHEDIR_TAG]
        check_backup(small, backup(name), option, tmp_path)

    @pytest.mark.slow
    @pytest.mark.needs(BORG2)
    def test_so_does_a_backup_by_attribute(self, small: Home, tmp_path: Path) -> None:
        option = program("borg2").honours[XDG_ROBOTS]
        check_backup(small, backup("borg2"), option, tmp_path)


@pytest.mark.slow
class TestHomeOfEveryTool:
    @tool_rows(WHOLE)
    def test_each_project_is_decided_about_as_the_tools_table_says(
        self, tool: Tool, whole: Home
    ) -> None:
        check_decisions(tool, whole)

    def test_the_sweep_writes_tags_and_records_and_nothing_else(self, whole: Home) -> None:
        check_changes(whole)

    @pytest.mark.parametrize("name", BY_TAG)
    def test_the_backup_holds_exactly_what_the_decisions_say(
        self, name: str, whole: Home, tmp_path: Path
    ) -> None:
        option = program(name).honours[CACHEDIR_TAG]
        check_backup(whole, backup(name), option, tmp_path)

    @pytest.mark.needs(BORG2)
    def test_so_does_a_backup_by_attribute(self, whole: Home, tmp_path: Path) -> None:
        option = program("borg2").honours[XDG_ROBOTS]
        check_backup(whole, backup("borg2"), option, tmp_path)


@pytest.fixture
def mounted_home(tools: Tools, tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A home on a file system that takes any attribute name, and what could not be made in it."""
    below, mount_point = tmp_path / "below", tmp_path / "ada"
    below.mkdir()
    mount_point.mkdir()
    with fuse_passthrough(below, mount_point) as home:
        yield home, furnish(home, SMALL, tools)


def in_this_process(home: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    with living_in(home):
        assert main(["sweep", "--yes", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def as_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let regrow choose Apple's attribute: the calls are Linux', the value is what it writes."""
    others: Callable[[str], Any] = markers.marker
    apples = TIME_MACHINE_ON_LINUX
    monkeypatch.setattr(markers, "selected", lambda **_: (apples,))
    monkeypatch.setattr(
        markers, "marker", lambda name: apples if name == TIME_MACHINE else others(name)
    )


@pytest.mark.slow
@pytest.mark.needs(BORG2, "fusermount3")
@pytest.mark.parametrize("attribute", [TIME_MACHINE, XDG_ROBOTS])
def test_on_a_mount_that_takes_any_attribute_borg_2_leaves_out_exactly_what_was_marked(
    attribute: str,
    mounted_home: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    if attribute == TIME_MACHINE:
        as_on_a_mac(monkeypatch)
    path, missing = mounted_home
    before = tree(path)
    home = Home(path, missing, before, in_this_process(path, capsys))
    kinds = {frozenset(names) for names in marked_by(home.lines, path).values() if names}
    assert kinds == {frozenset((attribute,)), frozenset((attribute, CACHEDIR_TAG))}
    for tool in SMALL:
        if tool.name not in missing:
            assert home.told_of(tool.name) == tool.expected
    place = tmp_path / "backup"
    place.mkdir()
    check_backup(home, backup("borg2"), program("borg2").honours[attribute], place)
