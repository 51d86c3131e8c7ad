"""Which values a record may hold: what regrow writes, and reads again, of what TOML can hold."""

from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.model import Record

STATES = ("pending", "marked", "rebuild")

_INT64 = range(-(2**63), 2**63)
_INODES = range(2**64)
_TIMES = range(2**38)  # seconds since 1970; until the year 10680
_SHOWN = 60  # characters of a value that a message has room for


def check(record: "Record") -> None:
    """Check the values of a record that is to be written, or was read.

    Raises:
        TypeError, ValueError: one is nothing that regrow writes, or could not be read again.
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
    if record.state not in STATES:
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
