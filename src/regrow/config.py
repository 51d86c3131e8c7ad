"""The configuration file: read, checked, and turned into plain data."""

import os

from regrow.errors import ConfigurationError
from regrow.system import directories
from regrow_marks import safe_read
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any


class Export(NamedTuple):
    """An exclude file that ``regrow watch`` keeps fresh."""

    program: str
    """A format's name: see ``export.formats``."""
    output: str
    source: str | None = None
    """The directory that is backed up, as the program is given it."""


class Configuration(NamedTuple):
    """Every setting, with the value that holds without a file."""

    start: tuple[str, ...] = ("~",)
    skip: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    programs: tuple[str, ...] | None = None
    """None: Time Machine on macOS, else the installed ones."""
    caches: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    nodump: bool = False
    rules: "tuple[dict[str, Any], ...]" = ()
    exports: tuple[Export, ...] = ()


def path() -> str:
    """Return the path of the configuration file: ``~/.config/regrow/config.toml``."""
    return os.path.join(directories.configuration(), "config.toml")


def read(file_name: str | None = None) -> Configuration:
    """Return the user's settings from a file (default: ``path()``), checked.

    Where there is no file, the defaults hold.

    Raises:
        ConfigurationError: the file can't be read, is no TOML, or holds an unknown key or a value
            of the wrong type. The message names the file and the line.
    """
    name = file_name or path()
    try:
        data = safe_read.read(os.path.realpath(name))  # people keep such files behind links
    except OSError as error:
        raise ConfigurationError(f"{name}: {in_words(error)}") from error
    except safe_read.UnsafeFileError as error:
        raise ConfigurationError(f"{name}: {error.why}") from error
    return Configuration() if data is None else parse(data, name)


def parse(data: bytes, name: str) -> Configuration:
    """Return the settings that a configuration file's bytes hold; see ``read``."""
    from regrow.system import safe_toml  # 7 ms, which a machine without a file need not pay

    try:
        text = data.decode()
        table = safe_toml.loads(data)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{name}:{line}: this is not UTF-8, as TOML must be") from error
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error

    settings: dict[str, Any] = {}
    for key, value in table.items():
        if key == "markers":
            settings["nodump"] = _markers(value, text, name)
            continue
        if key not in (*_LISTS, *_TABLES):
            known = ", ".join(sorted([*_LISTS, *_TABLES, "markers"]))
            raise _error(name, text, key, f"unknown key {key!r}; known are {known}")
        kind: type = str
        wanted = 'a list of strings, as in ["~/work"]'
        if key in _TABLES:
            kind, wanted = dict, f"one or more tables, as in [[{key}]]"
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise _error(name, text, key, f"{key} must be {wanted}")
        settings[_TABLES.get(key, key)] = tuple(value)
    _check_programs(settings.get("programs"), text, name)
    settings["exports"] = tuple(
        _export(export, index, text, name)
        for index, export in enumerate(settings.get("exports", ()))
    )
    return Configuration(**settings)


_LISTS = ("start", "skip", "keep", "programs", "caches", "disable")
_TABLES = {"rule": "rules", "export": "exports"}
"""By table: the field of ``Configuration``."""


def _markers(value: object, text: str, name: str) -> bool:
    if not isinstance(value, dict):
        raise _error(name, text, "markers", "markers must be a table: [markers]")
    for key, flag in value.items():
        if key != "nodump":
            raise _error(name, text, key, f"unknown key {key!r} in [markers]; known is nodump")
        if not isinstance(flag, bool):
            raise _error(name, text, key, "nodump must be true or false")
    return bool(value.get("nodump", False))


def _check_programs(configured: "tuple[str, ...] | None", text: str, name: str) -> None:
    from regrow_marks import programs

    for item in configured or ():
        if item not in programs.names():
            known = ", ".join(programs.names())
            raise _error(name, text, "programs", f"unknown program {item!r}; known are {known}")


def _export(table: "dict[str, Any]", index: int, text: str, name: str) -> Export:
    """Return one ``[[export]]``, checked."""
    from regrow.programs.export import compose, formats
    from regrow.programs.export.model import SourceNeededError

    def wrong(key: str, problem: str) -> ConfigurationError:
        begin = _lines(text, "export")[index : index + 1] or [1]
        end = _lines(text, "export")[index + 1 : index + 2]
        inside = [n for n in _lines(text, key) if n > begin[0] and (not end or n < end[0])]
        return ConfigurationError(f"{name}:{(inside or begin)[0]}: [[export]]: {problem}")

    for key, value in table.items():
        if key not in Export._fields:
            raise wrong(key, f"unknown key {key!r}; known are {', '.join(Export._fields)}")
        if not isinstance(value, str) or not value or "\0" in value:
            raise wrong(key, f"{key} must be a string")
    for key in ("program", "output"):
        if key not in table:
            raise wrong(key, f"{key} is missing")
    if table["program"] not in formats.names():
        known = ", ".join(formats.names())
        raise wrong("program", f"unknown program {table['program']!r}; known are {known}")
    export = Export(**table)
    try:
        compose.check_source(formats.by_name(export.program), export.source)
    except SourceNeededError:
        raise wrong("program", f"{export.program} needs source, the directory backed up") from None
    return export


def _error(name: str, text: str, key: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{name}:{(_lines(text, key) or [1])[0]}: {problem}")


def _lines(text: str, key: str) -> list[int]:
    """Return the lines on which a key or a table of that name is defined."""
    import re

    defined = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=\].]""")
    return [n for n, line in enumerate(text.splitlines(), start=1) if defined.match(line)]
