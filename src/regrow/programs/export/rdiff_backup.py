"""rdiff-backup's file list: https://rdiff-backup.net/rdiff-backup.1.html#file-selection."""

from regrow.programs.export import sources
from regrow.programs.export.model import Format


def line(path: str) -> str:
    """Write the path as it is: nothing is special between ``- `` and the last slash."""
    return f"- {path}/"


FORMAT = Format(
    name="rdiff-backup",
    title="rdiff-backup",
    line=line,
    commands=("rdiff-backup --null-separator backup --exclude-filelist FILE SOURCE TARGET",),
    beginning=sources.normalised,
    end="\0",
)
