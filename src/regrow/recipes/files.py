"""Reads other programs' files: text and JSON, by ``regrow.safe_read``."""

from regrow.plain import TYPE_CHECKING
from regrow.safe_read import LOCK_LIMIT as LOCK_LIMIT
from regrow.safe_read import TEXT_LIMIT
from regrow.safe_read import read as read
from regrow.safe_read import read_head as read_head

if TYPE_CHECKING:
    from typing import Any


def read_text(path: str, limit: int = TEXT_LIMIT) -> str | None:
    """Read a regular file as UTF-8; see ``safe_read.read``. Other bytes are a ValueError."""
    data = read(path, limit)
    return None if data is None else data.decode()


def parse_json(data: bytes | str) -> "Any":
    """Read JSON. Whatever is wrong with it is a ValueError, too deep nesting as well."""
    import json

    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
