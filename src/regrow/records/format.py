"""The text of a record: TOML, and what its bytes say without being parsed.

A hot command asks a record's bytes for the lines that ``encode`` writes, which spares it the TOML
parser's start-up time. A record that people edited may be taken for out of date; it is then
written anew.
"""

import os
import time

from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeVar

    from regrow.recipes.recipe import Recipe
    from regrow.records.store import Identity

    T = TypeVar("T")
    Value = str | int | bool | list[str] | tuple[str, ...]

FORMAT = 1

PENDING = "pending"
MARKED = "marked"
REBUILD = "rebuild"
"""What stands there is not finished. As long as "pending": see ``state_line``."""

HEAD = "# What regrow marked, why, and how it comes back.\n"
_LINE_LENGTH = 100  # characters; a longer list has one line per item
_INT64 = range(-(2**63), 2**63)
_INODES = range(2**64)
_TIMES = range(2**38)  # seconds since 1970; until the year 10680
_SHOWN = 60  # characters of a value that a message has room for

# TOML 1.0: quotation mark, backslash and the control characters other than tab are escaped. So are
# C1, separators of lines and bidi controls, for people who look at a record in a terminal.
_CONTROLS = (
    *range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
)  # fmt: skip
_ESCAPES = {number: f"\\u{number:04x}" for number in _CONTROLS}
_ESCAPES |= {ord("\n"): "\\n", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}


def encode(record: Record) -> bytes:
    """Return a record as TOML. Text that is not UTF-8 has its bytes in a key ``…_b64`` besides.

    Raises:
        RecordError: it holds what could not be read again.
    """
    try:
        check_values(record)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{record.path}: no record can be made of it: {error}") from error
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.time))
    text = [
        HEAD,
        state_line(record.state).decode(),
        line("format", FORMAT),
        line("path", record.path),
        line("host", record.host),
        line("mount", record.mount) if record.mount else "",
        line("inode", record.inode),
        line("born", record.born) if record.born is not None else "",
        line("modified", record.modified) if record.modified is not None else "",
        f"time = {stamp}\n",
        line("awaited", record.awaited) if record.awaited is not None else "",
        line("rule", record.rule),
        line("evidence", record.evidence),
        line("set", record.set),
        line("found", record.found),
        _recipe(record.recipe),
    ]
    if record.previous:
        from base64 import b64encode

        text.append("\n[previous]\n")
        text += (line(key, b64encode(value).decode()) for key, value in record.previous.items())
    return "".join(text).encode()


def state_line(state: str) -> bytes:
    """Return the line of the first key, equally long for every state: see ``Written.complete``."""
    # TOML allows blanks at the end of a line.
    return f'state = "{state}"'.ljust(len(f'state = "{PENDING}"')).encode() + b"\n"


def line(key: str, value: "Value") -> str:
    """Return the line of one key, and of the key with its bytes where it is not UTF-8."""
    text = f"{key} = {_toml(value)}\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode(errors="replace").decode()
        return f"{shown}{key}_b64 = {_toml(_to_base64(value))}\n"
    return text


def _recipe(recipe: "Recipe") -> str:
    return "".join(["\n[recipe]\n", *(line(key, value) for key, value in recipe.items())])


def _toml(value: "Value") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    items = [_toml(item) for item in value]
    text = f"[{', '.join(items)}]"
    if len(text) <= _LINE_LENGTH:
        return text
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"


def _to_base64(value: "Value") -> "str | list[str]":
    from base64 import b64encode

    if isinstance(value, str):
        return b64encode(os.fsencode(value)).decode()
    if isinstance(value, int):
        raise TypeError(f"{value}: a number is UTF-8 always")
    return [b64encode(os.fsencode(item)).decode() for item in value]


def decode(data: bytes, name: str) -> Record:
    """Return the record that bytes hold.

    Args:
        data: the bytes of the file.
        name: the file, for messages.

    Raises:
        RecordError: the bytes are no record, or one of a newer format.
    """
    import tomllib
    from base64 import b64decode

    try:
        table = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{name}: this record is damaged: {error}") from error
    try:
        number = _typed(int, table["format"])
        if number > FORMAT:
            raise NewerRecordError(
                f"{name}: a newer regrow wrote this record (format {number}); it is left alone"
            )
        top = _from_base64(table)
        record = Record(
            path=_absolute(top["path"]),
            host=top["host"],
            inode=top["inode"],
            born=top.get("born"),
            modified=top.get("modified"),
            awaited=top.get("awaited"),
            rule=top["rule"],
            evidence=_texts(top["evidence"]),
            recipe=_from_base64(_typed(dict, top["recipe"])),
            set=_texts(top["set"]),
            found=_texts(top["found"]),
            previous={
                key: b64decode(value)
                for key, value in _typed(dict, top.get("previous", {})).items()
            },
            state=top["state"],
            time=int(top["time"].timestamp()),
            mount=_absolute(top["mount"]) if "mount" in top else "",
        )
        check_values(record)
    except KeyError as error:
        raise RecordError(f"{name}: this record is damaged: it has no {error.args[0]}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RecordError(f"{name}: this record is damaged: {error}") from error
    return record


def _from_base64(table: "dict[str, Any]") -> "dict[str, Any]":
    """Return a table with the exact text in place of the text that stands for it."""
    from base64 import b64decode

    exact = {}
    for key, value in table.items():
        if key.endswith("_b64"):
            exact[key.removesuffix("_b64")] = (
                os.fsdecode(b64decode(value))
                if isinstance(value, str)
                else [os.fsdecode(b64decode(item)) for item in value]
            )
    return {key: value for key, value in table.items() if not key.endswith("_b64")} | exact


def _typed(kind: "type[T]", value: object) -> "T":
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_typed(str, item) for item in _typed(list, value))


def _absolute(value: object) -> str:
    path = _typed(str, value)
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{path!r} is no path of a directory")
    return path


def is_current(data: bytes, path: str, host: str, directory: "Identity") -> bool:
    """Return whether a record's bytes say that it is complete and about this very directory.

    Args:
        data: the bytes of the record.
        path: the directory's path.
        host: this machine's name.
        directory: the directory's identity.
    """
    lines = [
        state_line(MARKED).decode(),
        line("path", path),
        line("host", host),
        line("inode", directory.inode),
    ]
    if directory.born is not None:
        lines.append(line("born", directory.born))
    return all(f"\n{one}".encode() in data for one in lines)


def has_rule(data: bytes, rule: str) -> bool:
    """Return whether a record's bytes name a rule."""
    return f"\n{line('rule', rule)}".encode() in data


def has_recipe(data: bytes, recipe: "Recipe") -> bool:
    """Return whether the recipe in a record's bytes is as good as another one."""
    if "stamp" in recipe:
        return has_stamp(data, int(recipe["stamp"]))  # type: ignore[arg-type]
    return _recipe(recipe).encode() in data


def has_stamp(data: bytes, stamp: int) -> bool:
    """Return whether the recipe in a record's bytes was taken from what a stamp stands for."""
    return f"\n{line('stamp', stamp)}".encode() in data


def has_mount(data: bytes) -> bool:
    """Return whether a record's bytes say where its file system is mounted: older ones do not."""
    return b"\nmount = " in data


def is_awaited(data: bytes, stamp: int | None = None) -> bool:
    """Return whether a record's bytes say that its directory holds less than it lists.

    Args:
        data: the bytes of the record.
        stamp: the stamp of what stands there; None: whichever.
    """
    return (b"\nawaited = " if stamp is None else f"\n{line('awaited', stamp)}".encode()) in data


def is_unfinished(data: bytes, inode: int) -> bool:
    """Return whether a record's bytes say that a rebuild of a directory was begun and not ended."""
    is_begun = data.startswith(HEAD.encode() + state_line(REBUILD))
    return is_begun and f"\n{line('inode', inode)}".encode() in data


def check_values(record: Record) -> None:
    """Check the values of a record that is to be written, or was read.

    TOML can hold more than regrow writes and can read again.

    Raises:
        TypeError, ValueError: one is nothing that regrow writes.
    """
    _check_number("inode", record.inode, _INODES)
    _check_number("time", record.time, _TIMES)
    for key, value in (
        ("born", record.born),
        ("modified", record.modified),
        ("awaited", record.awaited),
    ):
        if value is not None:
            _check_number(key, value, _INT64)
    if record.state not in (PENDING, MARKED, REBUILD):
        raise ValueError(f"state = {_shown(record.state)} is none that regrow writes")
    for key, text in (("path", record.path), ("host", record.host), ("rule", record.rule)):
        _check_text(key, text)
    for key, texts in (
        ("evidence", record.evidence),
        ("set", record.set),
        ("found", record.found),
        ("previous", record.previous),
    ):
        for text in texts:
            _check_text(key, text)
    for key, given in record.recipe.items():
        _check_key(key)
        _check_value(key, given)


def _check_value(key: str, value: object) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        _check_number(key, value, _INT64)
    elif isinstance(value, list):
        for item in value:
            _check_text(key, item)
    else:
        _check_text(key, value)


def _check_key(key: str) -> None:
    if not (key.isascii() and key.replace("_", "k").replace("-", "k").isalnum()):
        raise ValueError(f"{_shown(key)} is no key that regrow writes")


def _check_number(key: str, value: object, allowed: range) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{key} = {_shown(value)} is no whole number")
    if value not in allowed:
        raise ValueError(f"{key} is a number out of bounds")


def _check_text(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{key} = {_shown(value)} is nothing that regrow writes")
    if "\0" in value:
        raise ValueError(f"{key} has a null character in it")
    if not value.isascii():
        try:
            value.encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise ValueError(f"{key} has half a character in it, a lone surrogate") from error


def _shown(value: object) -> str:
    try:
        text = str(value) if not isinstance(value, str) else repr(value)
    except ValueError:  # a number of more digits than Python shows
        return f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
