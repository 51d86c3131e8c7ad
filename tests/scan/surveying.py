"""What the tests of repeated scans share: a survey beside a scan of everything, and changes."""

import ctypes
import os
import time
from collections.abc import Sequence
from pathlib import Path

from regrow.model import Candidate, Survey, Unreadable
from regrow.rules import loader
from regrow.scan import incremental
from regrow.scan.walk import Scan

RULES = [rule for rule in loader.shipped() if not rule.home]
CACHE = ".cache/regrow"
TICK = 0.012  # seconds; the kernel stamps by a clock that ticks every 4 or 10 ms, as it was built

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>

Finding = Candidate | Unreadable


def settle() -> None:
    """Wait until the kernel's clock has ticked.

    Where ``FRESH`` is 0, a change that follows a scan in the same tick would have the very time
    that the scan has seen. Waiting before the scan is enough: it then sees earlier ticks only.
    """
    time.sleep(TICK)


def everything(start: Sequence[Path], skip: Sequence[Path] = ()) -> list[Finding]:
    """Scan all there is, in the order in which a survey gives it."""
    found = Scan(list(map(str, start)), RULES, list(map(str, skip)))
    return sorted(found, key=lambda finding: finding.path.split("/"))


def sweep(*start: Path, skip: Sequence[Path] = ()) -> Survey:
    """Survey, and check that it is what a scan of everything finds, every field of it."""
    settle()
    surveyed = incremental.survey(list(map(str, start)), RULES, list(map(str, skip)))
    assert surveyed.findings == everything(start, skip)
    return surveyed


def paths(surveyed: Survey) -> set[str]:
    """Give the candidates' paths."""
    return {finding.path for finding in surveyed.findings if isinstance(finding, Candidate)}


def exchange(one: Path, other: Path) -> None:
    """Let two directories change places in one instant, so that both get the same ctime."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if rename(*names, _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


def snapshots(home: Path) -> list[Path]:
    """Give the snapshots' files."""
    return sorted((home / CACHE).glob("scan-*"))
