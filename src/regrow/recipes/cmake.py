"""The recipes of CMake's and Meson's build directories: how they were configured."""

import json
import os
import re
from configparser import RawConfigParser

from regrow.recipes import RecipeError, Taken
from regrow.recipes.files import read, read_text

_LIMIT = 16 * 1024 * 1024  # bytes
_ENTRY = re.compile(r"^([^#/:=\s][^:=]*):(\w+)=(.*)$")
_INTERNAL = ("INTERNAL", "STATIC")
_ARGUMENT_TYPES = ("BOOL", "STRING", "PATH", "FILEPATH", "UNINITIALIZED")


def take_cmake(path: str) -> Taken:
    """Take the recipe of a CMake build directory, from CMakeCache.txt.

    Args:
        path: the build directory.

    Returns:
        The recipe: ``configure`` holds the words of the command that configures an equal one.

    Raises:
        RecipeError: the cache names no source directory or no generator.
    """
    data = read(os.path.join(path, "CMakeCache.txt"), _LIMIT)
    entries: dict[str, tuple[str, str]] = {}
    for line in os.fsdecode(data or b"").splitlines():
        found = _ENTRY.match(line)
        if found:
            entries[found[1].strip('"')] = (found[2], found[3])
    source = entries.get("CMAKE_HOME_DIRECTORY", ("", ""))[1]
    generator = entries.get("CMAKE_GENERATOR", ("", ""))[1]
    if not source or not generator:
        raise RecipeError("its CMakeCache.txt names no source directory or no generator")
    words = ["cmake", "-S", source, "-B", path, "-G", generator]
    for flag, variable in (("-A", "CMAKE_GENERATOR_PLATFORM"), ("-T", "CMAKE_GENERATOR_TOOLSET")):
        value = entries.get(variable, ("", ""))[1]
        if value:
            words += [flag, value]
    words += (
        f"-D{name}:{kind}={value}"
        for name, (kind, value) in sorted(entries.items())
        if kind in _ARGUMENT_TYPES and not value.endswith("-NOTFOUND")
    )
    return Taken(
        {
            "kind": "cmake",
            "source": source,
            "generator": generator,
            "configure": words,
            "build": ["cmake", "--build", path],
        }
    )


def take_meson(path: str) -> Taken:
    """Take the recipe of a Meson build directory, from meson-info and meson-private.

    Args:
        path: the build directory.

    Returns:
        The recipe: ``configure`` holds the words of the command that configures an equal one.

    Raises:
        RecipeError: the source directory is not named.
    """
    text = read_text(os.path.join(path, "meson-info/meson-info.json"), _LIMIT)
    information = json.loads(text) if text else {}
    source = information.get("directories", {}).get("source", "")
    if not source:
        raise RecipeError("its meson-info names no source directory")
    words = ["meson", "setup", path, source]
    given = read_text(os.path.join(path, "meson-private/cmd_line.txt"), _LIMIT)
    if given is None:
        raise RecipeError("its meson-private does not say how it was configured")
    parser = RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(given)
    if parser.has_section("options"):
        words += (f"-D{name}={value}" for name, value in parser.items("options"))
    if parser.has_section("properties"):
        for name, flag in (("cross_file", "--cross-file"), ("native_file", "--native-file")):
            for file in re.findall(r"'([^']+)'", parser.get("properties", name, fallback="")):
                words += [flag, file]
    return Taken(
        {
            "kind": "meson",
            "source": source,
            "configure": words,
            "build": ["meson", "compile", "-C", path],
        }
    )
