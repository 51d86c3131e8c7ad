"""Records for tests."""

from regrow.model import Record
from regrow.records.format import PENDING


def a_record(path: str = "/home/ada/shop/.venv") -> Record:
    return Record(
        path, "vm", 7, 9, "venv", ("pyvenv.cfg",), {"kind": "none"}, ("xdg-robots",), (), {},
        PENDING, 1_700_000_000,
    )  # fmt: skip
