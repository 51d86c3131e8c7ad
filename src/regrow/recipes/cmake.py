"""The recipes of CMake's and Meson's build directories: how they were configured."""

import ast
import os
import re
from configparser import Error as ParserError
from configparser import RawConfigParser

from regrow.recipes import harmless
from regrow.recipes.files import parse_json, read_text
from regrow.recipes.recipe import RecipeError, RecipeResult
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regrow.recipes.recipe import Recipe

_LIMIT = 1024 * 1024  # bytes; LLVM's CMakeCache.txt has 0.2 MiB
_GIVEN_LIMIT = 128 * 1024  # bytes of what Meson was called with
_ENTRY = re.compile(r'^("[^"]*"|[^#/":=\s][^:=]*):(\w+)=(.*)$', re.DOTALL)
_TRUNCATED = re.compile(r"^# ?WARNING: Value of (.*) contained a newline", re.MULTILINE)
_ARGUMENT_TYPES = ("BOOL", "STRING", "PATH", "FILEPATH", "UNINITIALIZED")
_GENERATOR = re.compile(r"[A-Za-z0-9][\w .,+=/-]{0,80}")


def build_cmake(path: str) -> RecipeResult:
    """Return the recipe of a CMake build directory, from CMakeCache.txt.

    Its ``configure`` is the command that configures an equal directory.

    Raises:
        RecipeError: the cache names no source directory or no generator, or holds a value that no
            command line can.
    """
    text = os.fsdecode(read(os.path.join(path, "CMakeCache.txt"), _LIMIT) or b"")
    # By name, as it stands there: CMake reads the option -D as it reads a line of the cache, with
    # quotes around a name with a colon, and around a value that begins or ends with a blank.
    entries: dict[str, tuple[str, str]] = {}
    for line in text.split("\n"):
        found = _ENTRY.match(line.lstrip(" \t").rstrip(" \t\r"))
        if found:
            entries[found[1]] = (found[2], found[3])

    def value_of(variable: str) -> str:
        return entries.get(variable, ("", ""))[1]

    source = _place(value_of("CMAKE_HOME_DIRECTORY"), "CMakeCache.txt")
    generator = value_of("CMAKE_GENERATOR")
    if not generator:
        raise RecipeError("its CMakeCache.txt names no generator")
    extra = value_of("CMAKE_EXTRA_GENERATOR")
    words = ["cmake", "-S", source, "-B", path]
    for flag, value in (
        ("-G", f"{extra} - {generator}" if extra else generator),
        ("-A", value_of("CMAKE_GENERATOR_PLATFORM")),
        ("-T", value_of("CMAKE_GENERATOR_TOOLSET")),
    ):
        if value and not _GENERATOR.fullmatch(value):
            raise RecipeError(f"its CMakeCache.txt has something else for a name behind {flag}")
        if value:
            words += [flag, value]
    arguments = {
        name: (f"-D{name}:{kind}={value}", value)
        for name, (kind, value) in sorted(entries.items())
        if kind in _ARGUMENT_TYPES and not value.endswith("-NOTFOUND")
    }
    for name in _TRUNCATED.findall(text):
        # The file has the first line alone. What CMake itself computes, it computes again.
        if name in arguments or f'"{name}"' in arguments:
            raise RecipeError(f"its CMakeCache.txt has only the first line of {name}")
    return _result("cmake", source, generator, words, arguments, path)


def build_meson(path: str) -> RecipeResult:
    """Return the recipe of a Meson build directory, from meson-info and meson-private.

    Its ``configure`` is the command that configures an equal directory.

    Raises:
        RecipeError: the source directory is not named, or how it was configured.
    """
    text = read_text(os.path.join(path, "meson-info/meson-info.json"), _LIMIT)
    information = parse_json(text) if text else {}
    source = _place(information.get("directories", {}).get("source", ""), "meson-info")
    given = read_text(os.path.join(path, "meson-private/cmd_line.txt"), _GIVEN_LIMIT)
    if given is None:
        raise RecipeError("its meson-private does not say how it was configured")
    parser = RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(given)
    except ParserError as error:
        raise RecipeError(f"its meson-private/cmd_line.txt can't be read: {error}") from error
    arguments: dict[str, tuple[str, str]] = {}
    if parser.has_section("options"):
        arguments = {name: (f"-D{name}={value}", value) for name, value in parser.items("options")}
    if parser.has_section("properties"):
        for name in ("cross_file", "native_file"):
            for file in _files(parser.get("properties", name, fallback="[]")):
                if os.path.commonpath((file, path)) == path:
                    raise RecipeError(f"it was configured from a file of its own: {file}")
                arguments[f"{name} {file}"] = (f"--{name.replace('_', '-')}={file}", file)
    return _result("meson", source, "", ["meson", "setup", path, source], arguments, path)


def is_own(kind: str, configure: "Sequence[str]", build: "Sequence[str]", path: str) -> bool:
    """Return whether a record's commands are such as ``build_cmake`` and ``build_meson`` write.

    Args:
        kind: ``cmake`` or ``meson``.
        configure: the command that configures.
        build: the command that builds.
        path: the build directory.
    """
    if tuple(build) != tuple(_build(kind, path)):
        return False
    if kind == "meson":
        options = ("-D", "--cross-file=/", "--native-file=/")
        return tuple(configure[:3]) == ("meson", "setup", path) and all(
            word.startswith(options) for word in configure[4:]
        )
    if (configure[0], configure[1], *configure[3:5]) != ("cmake", "-S", "-B", path):
        return False
    rest = list(configure[5:])
    while rest and rest[0] in ("-G", "-A", "-T"):
        if rest[1:2] and rest[1].startswith("-"):
            return False
        rest = rest[2:]
    return all(word.startswith("-D") for word in rest)


def _build(kind: str, path: str) -> list[str]:
    return ["cmake", "--build", path] if kind == "cmake" else ["meson", "compile", "-C", path]


def _place(source: object, file: str) -> str:
    """Return a source directory; only a full path can't be taken for an option."""
    if not isinstance(source, str) or not source.startswith("/"):
        raise RecipeError(f"its {file} names no source directory")
    return source


def _files(text: str) -> list[str]:
    """Return the list of machine files, which meson writes as Python does."""
    try:
        files = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        files = None
    if not isinstance(files, list) or not all(
        isinstance(file, str) and file.startswith("/") for file in files
    ):
        raise RecipeError("its meson-private/cmd_line.txt names its machine files in no known way")
    return files


def _result(
    kind: str,
    source: str,
    generator: str,
    words: list[str],
    arguments: "Mapping[str, tuple[str, str]]",
    path: str,
) -> RecipeResult:
    """Return the recipe, without the options that are not known to be harmless."""
    cut = [name for name, (word, value) in arguments.items() if not _is_harmless(name, word, value)]
    words += (word for name, (word, _) in arguments.items() if name not in cut)
    if any("\0" in word for word in words):
        raise RecipeError("how it was configured has null characters in it")
    names = list(dict.fromkeys(map(harmless.name, cut)))
    recipe: Recipe = {
        "kind": kind,
        "source": source,
        **({"generator": generator} if generator else {}),
        "configure": words,
        "build": _build(kind, path),
        **({"cut": names} if names else {}),
    }
    remark = f"options that may hold a secret are not recorded: {', '.join(names)}"
    return RecipeResult(recipe, (), (remark,) if names else ())


def _is_harmless(name: str, word: str, value: str) -> bool:
    if word.startswith(("--cross-file=", "--native-file=")):
        return True
    return harmless.option(name.strip('"'), value)
