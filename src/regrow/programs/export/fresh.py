"""Keeps the exclude files that the configuration names in step with what is marked."""

import os
import time

from regrow.programs.export import compose, files, formats, sources
from regrow.programs.export.gather import gather
from regrow_marks.directory import ancestors
from regrow_marks.errors import RegrowError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from regrow.config import Configuration, Export
    from regrow.watch.source import Changes

_LOOK = 3.0  # seconds between two looks at the records
_SHARE = 10  # the part of the time that writing may take: a tenth
_SETTLED = 1.0  # seconds: no clock of a file system is coarser, vfat's aside


class Fresh:
    """Writes the files again when a record has changed, or something stands where they name.

    Whoever changes marks writes a record, under a temporary name that is renamed: that changes the
    time of the records' directory.
    """

    def __init__(
        self, configuration: "Configuration", records: str, complain: "Callable[[str], None]"
    ) -> None:
        """Prepare it; the first ``look`` writes.

        *complain* is called once with what stays in the backup or could not be written.
        """
        self._configuration = configuration
        self._records = records
        self._complain = complain
        self._reported: set[str] = set()
        self._seen: int | None = None
        self._named: set[str] = set()
        self.due = time.monotonic() if configuration.exports else float("inf")
        """When the next look is due, as ``time.monotonic`` counts."""

    def note(self, changes: "Changes") -> None:
        """Let the next look write if something appeared in the place of a marked directory."""
        if not self._named.isdisjoint(changes.appeared):
            self.expire()

    def expire(self) -> None:
        """Let the next look write, whatever the records' directory says."""
        self._seen = None

    def look(self) -> None:
        """Write what is out of date, if a look is due."""
        begun = time.monotonic()
        if begun < self.due:
            return
        changed = _time_of(self._records)
        if changed != self._seen:
            self._write_all()
            is_settled = time.time() - changed / 1e9 > _SETTLED
            self._seen = changed if is_settled else None
        ended = time.monotonic()
        self.due = ended + max(_LOOK, _SHARE * (ended - begun))

    def _write_all(self) -> None:
        problems: set[str] = set()
        try:
            found = gather(self._configuration, marked_only=True)
            problems.update(found.problems)
            self._named = {
                place for path in found.directories for place in (path, *ancestors(path))
            }
            for export in self._configuration.exports:
                try:
                    problems |= _write(export, found.directories)
                except RegrowError as error:
                    problems.add(str(error))
        except RegrowError as error:
            problems.add(str(error))
        for problem in sorted(problems - self._reported):
            self._complain(problem)
        self._reported = problems


def _time_of(directory: str) -> int:
    try:
        return os.stat(directory).st_mtime_ns
    except OSError:
        return 0  # somebody took the records away


def _write(export: "Export", directories: set[str]) -> set[str]:
    """Write one file, if it is out of date; return what stays in the backup, for people."""
    form = formats.by_name(export.program)
    source = sources.find(os.path.expanduser(export.source)) if export.source else None
    file = compose.compose(form, directories, source)
    output = os.path.expanduser(export.output)
    if files.read(output) != file.data:
        files.replace(output, form, file.data)
    return {
        f"{path}: stays in the backup: {form.title} can't leave it out: {reason}"
        for path, reason in file.left_out
    }
