"""The records: one small TOML file per directory that regrow marked, private to the user.

A record is written before the first mark goes on, so that after a kill at any instant every mark
that regrow set has its record. Records are not synced to the disk one by one: that would cost a
hundred times the mark itself. ``regrow status`` shows what a power cut lost here.
"""

import os
import time
from functools import lru_cache

from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
from regrow.records.format import HEAD, MARKED, decode, encode, state_line
from regrow.system import directories, own_files, ownership
from regrow_marks import safe_read
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    Files = Sequence[tuple[str, bytes]]  # what stands beside a record, name and bytes

ATTACHMENTS = ("package-lock.json",)
"""The files that may stand beside a record."""

_HASH_SIZE = 8  # bytes: with a million records, one collision in 37 million homes
_LOCK = ".lock"
_SLUG_LENGTH = 48  # characters: enough to know a project by, far from the limit of 255 bytes
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes; 200 distributions with their URLs take 30 KiB


class Identity(NamedTuple):
    """The numbers that a directory keeps, and one that takes its place later does not have."""

    inode: int
    born: int | None


def host() -> str:
    """Return this machine's name, as records hold it."""
    return os.uname().nodename


def now() -> int:
    """Return the time, in seconds since 1970 (UTC)."""
    return int(time.time())


def identity_of(fd: int) -> Identity:
    """Return a directory's inode and birth time.

    Inodes are used again: ``rm -r .venv; uv venv`` often gets the same one. Birth times aren't.
    """
    from regrow_marks.libc import birth_time

    return Identity(os.fstat(fd).st_ino, birth_time(fd))


@lru_cache(16)  # one step after the other asks for the same directory's
def file_name(path: str) -> str:
    """Return the name of a path's record: a slug that people recognise, and a hash.

    >>> file_name("/home/ada/shop/.venv")
    'shop-.venv-23b142570d5233d4.toml'
    """
    last_two = "-".join(path.rsplit("/", 2)[1:])
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in last_two)
    return f"{slug[-_SLUG_LENGTH:].lstrip('.-')}-{digest(path)}.toml"


def attachment_name(path: str, name: str) -> str:
    """Return the name of a file that stands beside the record of a path."""
    return f"{file_name(path).removesuffix('.toml')}.{name}"


def digest(text: str) -> str:
    """Return a short name for a path that no other path has."""
    return own_files.blake2b(os.fsencode(text), digest_size=_HASH_SIZE).hexdigest()


class Store:
    """The directory of records, held open. Use it as a context manager.

    Two processes may use it at the same time: a record appears and is replaced whole.
    """

    __slots__ = ("_fd", "_lock", "identities", "path", "unreadable")

    def __init__(self, path: str | None = None) -> None:
        """Open the directory, and make it if it is missing.

        Args:
            path: the directory; default: ``directories.records()``.

        Raises:
            RecordError: it can't be made or opened, or others may write there; the message names
                it.
        """
        self.path = path or directories.records()
        _refuse_others(self.path)
        try:
            own_files.make_directory(self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise RecordError(f"{self.path}: records can't be kept: {in_words(error)}") from error
        self._lock = own_files.Lock(self.path.rstrip("/") + _LOCK)
        self.identities: dict[Identity, str] | None = None
        """The records' names by what they are about; None: not read yet."""
        self.unreadable: list[RecordError] = []
        """The records that ``paths`` could not read."""

    @classmethod
    def if_any(cls) -> "Store | None":
        """Open the directory only if it is there, for commands that change nothing.

        Raises:
            RecordError: something else is there, or nobody can tell.
        """
        try:
            os.lstat(directories.records())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordError(f"{directories.records()}: {in_words(error)}") from error
        return cls()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the directory; the store is of no use afterwards."""
        self._lock.close()
        os.close(self._fd)

    def names(self) -> list[str]:
        """Return the records' file names, sorted. Raises RecordError."""
        try:
            found = os.listdir(self._fd)
        except OSError as error:
            raise RecordError(f"{self.path}: {in_words(error)}") from error
        return sorted(name for name in found if name.endswith(".toml") and name[0] != ".")

    def all(self) -> "Iterator[Record | RecordError]":
        """Yield every record; for one that can't be read, the error that names its file."""
        for name in self.names():
            try:
                record = self.by_name(name)
                if record is not None:  # not removed since it was listed
                    yield record
            except RecordError as error:
                yield error

    def paths(self) -> dict[str, str]:
        """Return the recorded paths by their records' file names; see ``index.paths``."""
        from regrow.records import index

        found, self.unreadable = index.paths(self)
        return found

    def remove_leftovers(self) -> None:
        """Remove what a killed regrow left: half a file, or a file that lacks its record."""
        with self.locked():
            names = frozenset(os.listdir(self._fd))
            for name in names:
                if name.startswith(own_files.TEMPORARY) or _lacks_record(name, names):
                    own_files.remove_if_old(name, self._fd)

    def read(self, path: str) -> Record | None:
        """Return the record of a directory's path; None where there is none.

        Raises:
            RecordError: it is damaged, or a newer regrow wrote it; the message names the file.
        """
        data = self.data(path)
        if data is None:
            return None
        return self._decoded(data, file_name(path))

    def read_unless_damaged(self, path: str) -> Record | None:
        """Return a record that is to be replaced; None where it is damaged: it says nothing.

        Raises:
            RecordError: the file can't be read, or a newer regrow wrote it.
        """
        data = self.data(path)
        try:
            return self._decoded(data, file_name(path)) if data is not None else None
        except NewerRecordError as error:
            raise NewerRecordError(f"{path}: {error}") from error
        except RecordError:
            return None

    def data(self, path: str) -> bytes | None:
        """Return the bytes of a directory's record; None: there is none. Raises RecordError."""
        return self.get(file_name(path))

    def get(self, name: str) -> bytes | None:
        """Return what a file holds, by its name; None where there is none. Raises RecordError."""
        file = os.path.join(self.path, name)
        limit = _SIZE_LIMIT if name.endswith(".toml") else safe_read.LOCK_LIMIT
        try:
            return ownership.read_own(name, limit, self._fd)
        except OSError as error:
            raise RecordError(f"{file}: {in_words(error)}") from error
        except safe_read.UnsafeFileError as error:
            raise RecordError(
                f"{file}: {error.why}, so it is no record of yours; look at it, and remove it"
            ) from error

    def by_name(self, name: str) -> Record | None:
        """Return a record by the name of its file; see ``read``."""
        data = self.get(name)
        return None if data is None else self._decoded(data, name)

    def _decoded(self, data: bytes, name: str) -> Record:
        file = os.path.join(self.path, name)
        record = decode(data, file)
        if file_name(record.path) != name:
            raise RecordError(
                f"{file}: this is a copy of the record of {record.path}, whose own name is"
                f" {file_name(record.path)}"
            )
        return record

    def forget_identities(self) -> None:
        """Let ``index.by_identity`` read the records again, which other processes change."""
        self.identities = None

    def locked(self) -> own_files.Lock:
        """Keep other processes from recording and marking for the length of a ``with`` block.

        What is read, recorded and marked in the block fits together. Blocks may be nested.
        """
        return self._lock

    def write(self, record: Record, files: "Files" = ()) -> "Written":
        """Write a record under a temporary name and rename it into place.

        Args:
            record: the record.
            files: what stands beside it, name and bytes; each of ``ATTACHMENTS``.

        Returns:
            The record's open file, to be completed or closed.

        Raises:
            RecordError: it can't be written, or could not be read again; an older record of the
                directory stands as it was.
        """
        content = encode(record)
        _refuse_size(record.path, content, _SIZE_LIMIT)
        for name, data in files:
            _refuse_size(record.path, data, safe_read.LOCK_LIMIT)
            os.close(self._replace(record.path, data, attachment_name(record.path, name)))
        return Written(self._replace(record.path, content), record.path)

    def restore(self, path: str, data: bytes | None, files: "Files" = ()) -> None:
        """Put a record back as it was.

        Args:
            path: the directory's path.
            data: the bytes that ``data`` returned; None: there was no record.
            files: what stood beside it, name and bytes.

        Raises:
            RecordError: it can't be written or removed.
        """
        if data is None:
            self.remove(path)
            return
        for name, content in files:
            if self.attachment(path, name) != content:
                os.close(self._replace(path, content, attachment_name(path, name)))
        if self.data(path) != data:
            os.close(self._replace(path, data))

    def attachment(self, path: str, name: str) -> bytes | None:
        """Return a file that stands beside a record; None where there is none."""
        return self.get(attachment_name(path, name))

    def attachments(self, path: str) -> "tuple[tuple[str, bytes], ...]":
        """Return the files that stand beside a record: name and bytes of each."""
        found = ((name, self.attachment(path, name)) for name in ATTACHMENTS)
        return tuple((name, data) for name, data in found if data is not None)

    def _replace(self, path: str, data: bytes, name: str | None = None) -> int:
        """Write a file whole; return its descriptor."""
        name = name or file_name(path)
        try:
            return own_files.replace(self._fd, name, [data])
        except OSError as error:
            raise RecordError(
                f"{path}: its record can't be written: {os.path.join(self.path, name)}:"
                f" {in_words(error)}"
            ) from error

    def remove(self, path: str) -> None:
        """Remove the record of a directory's path, if there is one, and what stands beside it."""
        for name in (file_name(path), *(attachment_name(path, name) for name in ATTACHMENTS)):
            self.drop(name)

    def put(self, name: str, data: bytes) -> None:
        """Write a file by its name, whole. Raises RecordError."""
        os.close(self._replace(self.path, data, name))

    def drop(self, name: str) -> None:
        """Remove a file by its name, if there is one. Raises RecordError."""
        try:
            os.unlink(name, dir_fd=self._fd)
        except FileNotFoundError:
            return
        except OSError as error:
            raise RecordError(f"{os.path.join(self.path, name)}: {in_words(error)}") from error


def _refuse_others(path: str) -> None:
    """Reject a directory in which somebody else could put, or change, a record."""
    home = os.path.expanduser("~")
    is_below_home = path.startswith(home.rstrip("/") + "/")
    # An ordinary user's home is where it is; the superuser's must be nobody's to move, either.
    top = home if is_below_home and os.geteuid() != 0 else "/"
    why = ownership.not_trusted_way(path, top)
    if not why:
        return
    way_out = (
        "run regrow as that user, or with a home directory of your own (sudo -H)"
        if "belongs to" in why
        else "take that away (chmod go-w), and look at the records before you use them"
    )
    raise RecordError(f"{why}, so the records in {path} could be anybody's: {way_out}")


def _refuse_size(path: str, data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise RecordError(f"{path}: its record would be larger than {limit:,} bytes")


class Written:
    """A record that was just written. Use it as a context manager."""

    __slots__ = ("_fd", "_path")

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the record as it was written."""
        os.close(self._fd)

    def complete(self) -> None:
        """Change the record's state from pending to marked, in place.

        The state has a fixed place and a fixed width, so that one small write does it: a second
        file and a second rename would double what a mark costs. If another process has replaced
        the record meanwhile, this one has no name any more, and the write changes nothing.

        Raises:
            RecordError: it can't be written; the record says pending still.
        """
        try:
            os.pwrite(self._fd, state_line(MARKED), len(HEAD))
        except OSError as error:
            raise RecordError(
                f"{self._path}: it is marked; its record can't be completed: {in_words(error)}"
            ) from error


def _lacks_record(name: str, names: frozenset[str]) -> bool:
    """Return whether a file should stand beside a record that is not among the names."""
    return any(
        name.endswith(f".{attachment}")
        and f"{name.removesuffix(f'.{attachment}')}.toml" not in names
        for attachment in ATTACHMENTS
    )


def is_about(record: Record, directory: Identity) -> bool:
    """Return whether a record is about this very directory.

    A birth time says so by itself: machines change their names, and macOS does by the network it
    is in. Without one, a home that several machines share may have the same inode twice.
    """
    if (record.inode, record.born) != directory:
        return False
    return record.born is not None or record.host == host()
