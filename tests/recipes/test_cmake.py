"""The recipes of build directories: the words that configure an equal one, and hostile caches."""

import json
import os
import time
from pathlib import Path

import pytest

from regrow.model import Rule
from regrow.recipes.recipe import RecipeError, RecipeResult, build_recipe, command_recipe

HEAD = "CMAKE_HOME_DIRECTORY:INTERNAL=/src\nCMAKE_GENERATOR:INTERNAL=Ninja\n"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    place = tmp_path / "build"
    place.mkdir()
    return place


def cmake(build: Path, lines: str | bytes, head: str = HEAD) -> RecipeResult:
    data = lines if isinstance(lines, bytes) else os.fsencode(lines)
    (build / "CMakeCache.txt").write_bytes(head.encode() + data)
    return build_recipe("cmake", str(build), str(build.parent))


def words(taken: RecipeResult, start: int) -> list[str]:
    configure = taken.recipe["configure"]
    assert isinstance(configure, list)
    assert all(isinstance(word, str) for word in configure)
    return configure[start:]


def options(build: Path, lines: str | bytes) -> list[str]:
    return words(cmake(build, lines), 7)


def test_the_words_name_source_build_and_generator(build: Path) -> None:
    taken = cmake(build, "")
    assert taken.recipe["configure"] == ["cmake", "-S", "/src", "-B", str(build), "-G", "Ninja"]
    assert taken.recipe["build"] == ["cmake", "--build", str(build)]
    assert (taken.recipe["source"], taken.recipe["generator"]) == ("/src", "Ninja")


def test_platform_toolset_and_extra_generator_are_kept(build: Path) -> None:
    lines = (
        "CMAKE_GENERATOR_PLATFORM:INTERNAL=x64\nCMAKE_GENERATOR_TOOLSET:INTERNAL=v143,host=x64\n"
        "CMAKE_EXTRA_GENERATOR:INTERNAL=CodeBlocks\n"
    )
    expected = ["-G", "CodeBlocks - Ninja", "-A", "x64", "-T", "v143,host=x64"]
    assert words(cmake(build, lines), 5) == expected


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("A:STRING=x", "-DA:STRING=x"),
        ("A:BOOL=ON", "-DA:BOOL=ON"),
        ("A:PATH=/x y", "-DA:PATH=/x y"),
        ("A:FILEPATH=/x", "-DA:FILEPATH=/x"),
        ("A:UNINITIALIZED=x", "-DA:UNINITIALIZED=x"),
        ("A:STRING=", "-DA:STRING="),
        ("A:STRING=Release;Debug", "-DA:STRING=Release;Debug"),
        ("A:PATH=/a\\b\"'$(x)`y`", "-DA:PATH=/a\\b\"'$(x)`y`"),
        ("A:PATH=/x;/y", "-DA:PATH=/x;/y"),
        ('"a:b":STRING=x', '-D"a:b":STRING=x'),
        ("C_FLAGS:STRING=-O2 -std=c++17", "-DC_FLAGS:STRING=-O2 -std=c++17"),
        ("A:STRING=x\r", "-DA:STRING=x"),
        ("A:PATH=/x\x0b\x1c\x85\u2028y", "-DA:PATH=/x\x0b\x1c\x85\u2028y"),
        ("  A:STRING=x  ", "-DA:STRING=x"),
        ("A:STRING=https://example.org/x@y", "-DA:STRING=https://example.org/x@y"),
    ],
)
def test_an_entry_becomes_one_word(build: Path, line: str, word: str) -> None:
    assert options(build, line + "\n") == [word]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# A:STRING=x",
        "//A:STRING=x",
        "A:INTERNAL=x",
        "A:STATIC=x",
        "A-ADVANCED:INTERNAL=1",
        "A:FILEPATH=A-NOTFOUND",
        "no entry",
        "A:STRING",
        ":STRING=x",
        "=x",
        '"A:STRING=x',
    ],
)
def test_what_cmake_finds_itself_is_left_out(build: Path, line: str) -> None:
    assert options(build, line + "\n") == []


def test_advanced_entries_are_arguments(build: Path) -> None:
    lines = "CMAKE_C_FLAGS_DEBUG:STRING=-g -O1\nCMAKE_C_FLAGS_DEBUG-ADVANCED:INTERNAL=1\n"
    assert options(build, lines) == ["-DCMAKE_C_FLAGS_DEBUG:STRING=-g -O1"]


def test_names_are_bytes(build: Path) -> None:
    head = HEAD.replace("/src", "/s\udcff")
    (build / "CMakeCache.txt").write_bytes(os.fsencode(head) + b"A:PATH=/\xfe\n")
    taken = build_recipe("cmake", str(build), str(build.parent))
    assert [os.fsencode(word) for word in words(taken, 0)][2::5] == [b"/s\xff", b"-DA:PATH=/\xfe"]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "names no source directory"),
        ("CMAKE_HOME_DIRECTORY:INTERNAL=/src\n", "names no generator"),
        ("CMAKE_GENERATOR:INTERNAL=Ninja\n", "names no source directory"),
        (HEAD.replace("/src", ""), "names no source directory"),
        (HEAD.replace("/src", "-DX"), "names no source directory"),
        (HEAD.replace("/src", "relative"), "names no source directory"),
        (HEAD.replace("Ninja", "-DX=1"), "something else for a name"),
        (HEAD + "CMAKE_GENERATOR_PLATFORM:INTERNAL=-P\n", "something else for a name"),
        (HEAD + "CMAKE_GENERATOR_TOOLSET:INTERNAL=--help\n", "something else for a name"),
        (
            HEAD + "A:STRING=one\n# WARNING: Value of A contained a newline and was truncated."
            " Original\n# value: one\n",
            "only the first line of A",
        ),
    ],
)
def test_a_cache_that_says_too_little_is_no_recipe(build: Path, head: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        cmake(build, "", head)


def test_what_cmake_computes_may_be_cut_short(build: Path) -> None:
    lines = "A:INTERNAL=one\n# WARNING: Value of A contained a newline and was truncated.\n"
    assert options(build, lines) == []


def hostile(path: Path, how: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to("/etc/passwd")
    elif how == "directory":
        path.mkdir()
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(1024**3)


@pytest.mark.parametrize("how", ["fifo", "link", "directory", "huge", "missing"])
def test_a_hostile_cache_is_no_recipe(build: Path, how: str) -> None:
    hostile(build / "CMakeCache.txt", how)
    with pytest.raises(RecipeError):
        build_recipe("cmake", str(build), str(build.parent))


@pytest.mark.parametrize(
    "data",
    [b"a" * 500_000, b'"' * 500_000, b"a:b=c" * 100_000, b"://" * 160_000, b"?a" * 250_000],
)
def test_no_cache_takes_long(build: Path, data: bytes) -> None:
    begun = time.monotonic()
    cmake(build, b"A:STRING=https://" + data + b"\n" + data + b"\n")
    assert time.monotonic() - begun < 5


INFORMATION = {"directories": {"source": "/src", "build": "/src/build"}}
COMMAND_LINE = """[options]
buildtype = release
words = a b,c%d
text = x; # y = 'z'
c_args = -DA=1 -DB
sub:text = 
build.c_args = ['-DC', '-DD']
lines = one
\ttwo

[properties]
native_file = ["/s d/it's.ini", '/two.ini']
cross_file = ['/cross.ini']

"""  # noqa: W291 - as Meson 1.12.1 and 0.64.1 write it


def meson(
    build: Path, command_line: str | bytes | None = COMMAND_LINE, information: object = INFORMATION
) -> RecipeResult:
    for name in ("meson-info", "meson-private"):
        (build / name).mkdir(exist_ok=True)
    text = information if isinstance(information, str) else json.dumps(information)
    (build / "meson-info/meson-info.json").write_text(text)
    if command_line is not None:
        data = command_line if isinstance(command_line, bytes) else command_line.encode()
        (build / "meson-private/cmd_line.txt").write_bytes(data)
    return build_recipe("meson", str(build), str(build.parent))


def test_meson_s_command_line_becomes_words(build: Path) -> None:
    taken = meson(build)
    assert taken.recipe["configure"] == [
        "meson", "setup", str(build), "/src",
        "-Dbuildtype=release", "-Dc_args=-DA=1 -DB",
        "-Dsub:text=", "-Dbuild.c_args=['-DC', '-DD']",
        "--cross-file=/cross.ini", "--native-file=/s d/it's.ini", "--native-file=/two.ini",
    ]  # fmt: skip
    assert taken.recipe["build"] == ["meson", "compile", "-C", str(build)]
    assert "generator" not in taken.recipe
    assert taken.recipe["cut"] == ["words", "text", "lines"]


def test_meson_without_options_is_configured_without(build: Path) -> None:
    assert words(meson(build, "[options]\n\n[properties]\n\n"), 4) == []
    assert words(meson(build, ""), 4) == []


@pytest.mark.parametrize(
    "information",
    [
        "",
        "{",
        "[" * 200_000,
        "null",
        [],
        {},
        {"directories": None},
        {"directories": {}},
        {"directories": {"source": ""}},
        {"directories": {"source": "-Dx"}},
        {"directories": {"source": ["/src"]}},
        {"directories": {"source": "/s\0rc"}},
    ],
)
def test_meson_s_source_directory_must_be_named(build: Path, information: object) -> None:
    with pytest.raises(RecipeError):
        meson(build, information=information)


@pytest.mark.parametrize(
    "command_line",
    [
        None,
        "no section = 1\n",
        "[options\n",
        "[options]\nno value\n",
        b"[options]\na = \xff\n",
        "[properties]\ncross_file = /cross.ini\n",
        "[properties]\ncross_file = [" + "[" * 100_000 + "\n",
        "[properties]\ncross_file = ['relative.ini']\n",
        "[properties]\ncross_file = ['--wipe']\n",
        "[properties]\ncross_file = [1]\n",
        "[properties]\ncross_file = {}\n",
        "[properties]\ncross_file = ['/a'\n",
    ],
)
def test_meson_s_command_line_must_be_readable(
    build: Path, command_line: str | bytes | None
) -> None:
    with pytest.raises(RecipeError):
        meson(build, command_line)


def test_a_machine_file_inside_would_be_gone(build: Path) -> None:
    with pytest.raises(RecipeError, match="from a file of its own"):
        meson(build, f"[properties]\ncross_file = ['{build}/meson-private/x.ini']\n")


@pytest.mark.parametrize("name", ["meson-info/meson-info.json", "meson-private/cmd_line.txt"])
@pytest.mark.parametrize("how", ["fifo", "link", "directory", "huge", "missing"])
def test_hostile_files_of_meson_are_no_recipe(build: Path, name: str, how: str) -> None:
    meson(build)
    hostile(build / name, how)
    with pytest.raises(RecipeError):
        build_recipe("meson", str(build), str(build.parent))


def rule(command: str, *, home: bool = False) -> Rule:
    return Rule(
        name="demo",
        directory="out",
        ecosystem="demo",
        command=command,
        documentation="https://example.org",
        home=home,
    )


def test_a_command_is_a_list_of_words(build: Path, home: Path) -> None:
    taken = command_recipe(rule("Rscript -e 'renv::restore()'"), str(build))
    assert taken.recipe == {
        "kind": "command",
        "command": ["Rscript", "-e", "renv::restore()"],
        "directory": str(build),
    }
    at_home = command_recipe(rule("cargo fetch", home=True), str(build))
    assert at_home.recipe["directory"] == str(home)


def test_a_command_with_an_open_quote_is_no_recipe(build: Path) -> None:
    with pytest.raises(RecipeError, match="the command of rule demo can't be read"):
        command_recipe(rule("make 'all"), str(build))
