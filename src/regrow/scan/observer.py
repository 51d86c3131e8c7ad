"""What can follow a scan. Only annotations need this module."""

import os
from collections.abc import Iterable
from typing import Protocol


class Observer(Protocol):
    """Follows which directories a scan enters, those without directories in them included."""

    def enter(self, fd: int, path: str) -> None:
        """Note a directory that is about to be listed."""

    def stay(self, path: str) -> None:
        """Note a directory that is not entered until its entries change."""

    def leave(self, path: str) -> None:
        """Note a directory that is not entered."""


class Recorder(Protocol):
    """Records what a scan's findings depend on, for the next scan."""

    def looked_at(self, path: str, status: os.stat_result) -> None:
        """Record a directory as it was before it was listed."""

    def depends_on(self, path: str, names: Iterable[str]) -> None:
        """Record that the finding about a directory depends on what these entries hold."""

    def doubtful(self, path: str) -> None:
        """Record a directory that the next scan must look at whether it changes or not."""

    def hinted(self, path: str) -> None:
        """Record a directory for which a listing further up holds evidence."""
