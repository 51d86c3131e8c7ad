"""The formats that regrow knows, sorted by name."""

from regrow.programs.export import (
    borg,
    bup,
    dar,
    duplicacy,
    duplicity,
    kopia,
    paths,
    rclone,
    rdiff_backup,
    restic,
    rsync,
    rustic,
    tar,
)
from regrow.programs.export.model import Format

FORMATS = (
    borg.BORG,
    borg.BORG2,
    tar.BSDTAR,
    bup.FORMAT,
    dar.FORMAT,
    duplicacy.FORMAT,
    duplicity.FORMAT,
    kopia.FORMAT,
    paths.FORMAT,
    rclone.FORMAT,
    rdiff_backup.FORMAT,
    restic.FORMAT,
    rsync.FORMAT,
    rustic.FORMAT,
    tar.GNU_TAR,
)


def names() -> tuple[str, ...]:
    """Return every format's name, sorted."""
    return tuple(known.name for known in FORMATS)


def by_name(name: str) -> Format:
    """Return the format of a name. Raises KeyError for an unknown one."""
    return {known.name: known for known in FORMATS}[name]
