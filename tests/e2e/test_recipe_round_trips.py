"""Round trips: what real tools made is deleted, and its recipe alone makes an equal one."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest

from regrow.recipes.recipe import RecipeError, RecipeResult, build_recipe
from tests.e2e.projects import Tools, output, problem, run
from tests.e2e.tools import CMAKE, HELLO_C, ONE_PACKAGE, PACKAGE, Tool

# What managers write into node_modules about their own work: times, and the lock that was there.
JOURNALS = (".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml")
JOURNALS_OF_PNPM = (".pnpm-workspace-state-v1.json", "lock.yaml")

# 3.0.0 asks for is-number ^6.0.0; 3.0.1 is newer: without a lock, it would come instead.
OLD = '{"name": "demo", "version": "1.0.0", "private": true, "dependencies": {"is-odd": "3.0.0"}}\n'
NEW = OLD.replace('"3.0.0"', '"^3.0.0"')
# fsevents is for macOS alone: on Linux it stands in no hidden lock.
OPTIONAL = NEW.replace("}}", '}, "optionalDependencies": {"fsevents": "2.3.3"}}')
PRIVATE = '{"name": "demo", "private": true, "workspaces": ["packages/*"]}\n'
WORKSPACE = MappingProxyType(
    {
        "packages/one/package.json": ONE_PACKAGE.replace("demo", "one"),
        "packages/two/package.json": ONE_PACKAGE.replace("demo", "two").replace("7.0.0", "6.0.0"),
    }
)
PLACES = ("node_modules", "packages/one/node_modules", "packages/two/node_modules")


class Made(NamedTuple):
    """How node_modules are made, for ``sh``."""

    name: str
    make: str
    files: Mapping[str, str] = MappingProxyType({"package.json": OLD})
    npm: tuple[str, ...] = ()
    then: str = OLD
    """What package.json says afterwards: versions in the lock are older than it asks for."""
    lock_is_copied: bool = False
    slow: bool = True


NODE = (
    Made("npm-with-a-lock", "npm install", slow=False),
    Made(
        "npm-without-a-lock",
        "npm install --no-package-lock",
        then=NEW,
        lock_is_copied=True,
        slow=False,
    ),
    Made(
        "npm-without-a-lock-and-what-this-system-can-not-use",
        "npm install --no-package-lock --omit=optional",
        then=OPTIONAL,
        lock_is_copied=True,
        slow=False,
    ),
    Made(
        "npm-that-never-locks",
        "echo package-lock=false > .npmrc\nnpm install",
        then=NEW,
        lock_is_copied=True,
    ),
    Made(
        "npm-workspaces",
        "npm install",
        files={"package.json": PRIVATE, **WORKSPACE},
        then=PRIVATE,
    ),
    Made(
        "npm-workspaces-without-a-lock",
        "npm install --no-package-lock",
        files={"package.json": PRIVATE, **WORKSPACE},
        then=PRIVATE,
        lock_is_copied=True,
    ),
    Made("pnpm", "pnpm install", npm=("pnpm@10.34.9",)),
    Made(
        "pnpm-workspace",
        "pnpm install",
        npm=("pnpm@10.34.9",),
        files={
            "package.json": PACKAGE,
            "pnpm-workspace.yaml": "packages:\n  - packages/*\n",
            **WORKSPACE,
        },
        then=PACKAGE,
    ),
    Made("yarn-classic", "yarn install", npm=("yarn@1.22.22",)),
    Made(
        "yarn-berry",
        "yarn install",
        npm=("@yarnpkg/cli-dist@4.18.1",),
        files={"package.json": OLD, ".yarnrc.yml": "nodeLinker: node-modules\n"},
    ),
    Made(
        "yarn-classic-workspaces",
        "yarn install",
        npm=("yarn@1.22.22",),
        files={"package.json": PRIVATE, **WORKSPACE},
        then=PRIVATE,
    ),
)


def contents(directory: Path) -> dict[str, str | bytes]:
    """Give every file's bytes and every link's target, the managers' journals left out.

    Of a package that is there in two versions, pnpm lifts now the one and now the other into
    ``.pnpm/node_modules``.
    """
    found: dict[str, str | bytes] = {}
    for place, directories, files in os.walk(directory):
        if place.endswith("/.pnpm/node_modules"):
            continue
        for name in (*directories, *files):
            path = Path(place, name)
            if path.is_symlink():
                found[str(path.relative_to(directory))] = os.readlink(path)
            elif name in files and name not in (*JOURNALS, *JOURNALS_OF_PNPM):
                found[str(path.relative_to(directory))] = path.read_bytes()
    return found


def versions(directory: Path) -> set[tuple[str, str]]:
    return {
        (str(path.relative_to(directory)), str(json.loads(path.read_text()).get("version")))
        for path in directory.rglob("package.json")
    }


def words(taken: RecipeResult, key: str) -> list[str | Path]:
    given = taken.recipe[key]
    assert isinstance(given, list)
    return [*given]


@pytest.mark.needs("npm", "node")
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(made, id=made.name, marks=[pytest.mark.slow] if made.slow else [])
        for made in NODE
    ],
)
def test_node_modules_come_back(made: Made, project: Path, tools: Tools) -> None:
    variables = tools.environment(Tool(made.name, "", {}, npm=made.npm, needs=("npm", "node")))
    for name, text in made.files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    done = run(["sh", "-euc", made.make], project, variables)
    if done.returncode:
        pytest.skip(f"its packages can't be had: {problem(done)}")
    (project / "package.json").write_text(made.then)

    directories = [name for name in PLACES if (project / name).is_dir()]
    if made.lock_is_copied:
        for name in directories[1:]:  # npm's lock in the workspace's root is not looked for
            with pytest.raises(RecipeError, match="nothing pins"):
                build_recipe("node", str(project / name), str((project / name).parent))
        del directories[1:]
    assert directories
    everything = {name: contents(project / name) for name in directories}
    all_versions = {name: versions(project / name) for name in directories}
    assert any(all_versions.values())
    for name in directories:
        path = project / name
        taken = build_recipe("node", str(path), str(path.parent))
        assert taken.recipe.get("lock_is_copied", False) is made.lock_is_copied
        for other in directories:
            shutil.rmtree(project / other)
        directory = Path(str(taken.recipe["directory"]))
        for lock, data in taken.files:
            assert not (directory / lock).exists()
            (directory / lock).write_bytes(data)
        output(words(taken, "command"), directory, variables)
        assert {name: versions(project / name) for name in directories} == all_versions
        again = {name: contents(project / name) for name in directories}
        differing = [
            f"{name}/{path}"
            for name in directories
            for path in again[name].keys() | everything[name].keys()
            if again[name].get(path) != everything[name].get(path)
        ]
        assert differing == []


@pytest.mark.needs("npm", "node")
def test_what_npm_was_told_not_to_save_is_kept(project: Path, tools: Tools) -> None:
    variables = tools.environment(Tool("npm", "", {}, needs=("npm", "node")))
    (project / "package.json").write_text(PACKAGE)
    fetch = "npm install --no-save --no-package-lock is-number@7.0.0"
    done = run(["sh", "-euc", fetch], project, variables)
    if done.returncode:
        pytest.skip(f"its packages can't be had: {problem(done)}")
    with pytest.raises(RecipeError, match=r"is-number stands in no package\.json"):
        build_recipe("node", str(project / "node_modules"), str(project))


# A project with what caches are bad at: blanks, lists, colons, quotes.
CMAKE_LISTS = CMAKE["CMakeLists.txt"] + (
    'set(LIST "a;b c" CACHE STRING "")\nset("odd:name" "x" CACHE STRING "")\n'
    'set(BLANKS "x" CACHE STRING "")\noption(FLAG "" OFF)\nset(EMPTY "x" CACHE STRING "")\n'
    "mark_as_advanced(LIST)\nfind_program(NOT_THERE no-such-program-anywhere)\n"
)
CMAKE_OPTIONS = [
    "-DCMAKE_C_FLAGS_DEBUG=-g -O1 -DNAME=1",
    "-DLIST=Debug;unix makefiles;/a b",
    '-D"odd:name":STRING=1',
    "-DBLANKS:PATH=/between blanks",
    "-DFLAG=ON",
    "-DEMPTY:STRING=",
    "-DCMAKE_BUILD_TYPE=Debug",
]  # fmt: skip


def cache(build: Path) -> set[str]:
    """Give the entries of a CMakeCache.txt, but for what CMake notes otherwise where it is told.

    These are which entries its user interfaces hide, and the type of the compiler's path.
    """
    lines = (build / "CMakeCache.txt").read_text().split("\n")
    return {
        line.replace("CMAKE_C_COMPILER:STRING=", "CMAKE_C_COMPILER:FILEPATH=")
        for line in lines
        if line and not line.startswith(("#", "//")) and "-ADVANCED:INTERNAL=" not in line
    }


@pytest.mark.parametrize(
    "generator",
    [
        pytest.param("Unix Makefiles", marks=pytest.mark.needs("cmake", "make", "gcc")),
        pytest.param("Ninja", marks=[pytest.mark.needs("cmake", "gcc"), pytest.mark.slow]),
        pytest.param(
            "CodeBlocks - Unix Makefiles",
            marks=[pytest.mark.needs("cmake", "make", "gcc"), pytest.mark.slow],
        ),
    ],
)
def test_a_cmake_build_comes_back(generator: str, project: Path, tools: Tools) -> None:
    pip = ("ninja==1.13.0",) if generator == "Ninja" else ()
    variables = tools.environment(Tool("cmake", "", {}, pip=pip))
    sources = project / "-sources and blanks"
    build = project / "-build and blanks"
    for name, text in {**CMAKE, "CMakeLists.txt": CMAKE_LISTS}.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_text(text)
    first: list[str | Path] = ["cmake", "-S", sources, "-B", build, "-G", generator, *CMAKE_OPTIONS]
    output(first, project, variables)
    output(["cmake", "--build", build], project, variables)
    taken = build_recipe("cmake", str(build), str(project))
    entries = cache(build)
    wanted = {
        "BLANKS:PATH=/between blanks",
        "EMPTY:STRING=",
        "LIST:STRING=Debug;unix makefiles;/a b",
    }
    assert wanted <= entries
    shutil.rmtree(build)

    output(words(taken, "configure"), project.parent, variables)
    assert cache(build) == entries
    output(words(taken, "build"), project.parent, variables)
    assert subprocess.run([build / "demo"], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.needs("gcc")
@pytest.mark.parametrize("version", ["1.12.1", "0.64.1"])
def test_a_meson_build_comes_back(version: str, project: Path, tools: Tools) -> None:
    pip = (f"meson=={version}", "ninja==1.13.0", "setuptools==80.9.0")
    variables = tools.environment(Tool("meson", "", {}, pip=pip))
    (project / "meson.build").write_text("project('demo', 'c')\nexecutable('demo', 'main.c')\n")
    (project / "meson_options.txt").write_text(
        "option('words', type: 'array', value: [])\noption('text', type: 'string')\n"
        "option('empty', type: 'string', value: 'x')\n"
    )
    (project / "main.c").write_text(HELLO_C)
    machine = project / "it's mine.ini"
    machine.write_text("[binaries]\nc = 'gcc'\n")
    build = project / "build directory"
    output(
        [
            "meson", "setup", build, project, "--buildtype=release", "--prefix=/opt/x y",
            "-Dwords=auto,/a b", "-Dtext=/x # y", "-Dempty=", "-Dc_args=-DA=1 -DB",
            "--native-file", machine,
        ],
        project, variables,
    )  # fmt: skip
    output(["meson", "configure", build, "-Dwerror=true"], project, variables)
    output(["meson", "compile", "-C", build], project, variables)
    taken = build_recipe("meson", str(build), str(project))

    def configured() -> list[dict[str, object]]:
        text = output(["meson", "introspect", "--buildoptions", build], project, variables)
        found = json.loads(text)
        assert isinstance(found, list)
        return sorted(found, key=lambda option: str(option["name"]))

    before = configured()
    assert {option["name"]: option["value"] for option in before}["text"] == "/x # y"
    shutil.rmtree(build)
    output(words(taken, "configure"), project.parent, variables)
    assert configured() == before
    output(words(taken, "build"), project.parent, variables)
    assert subprocess.run([build / "demo"], check=False).returncode == 0
