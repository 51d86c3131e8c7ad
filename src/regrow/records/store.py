"""The records: one small TOML file a directory that regrow marked, private to the user.

A record is written before the first mark goes on, so that after a kill at any instant every mark
that regrow set has its record. Records are not synced to the disk one by one: that would cost a
hundred times the mark itself, and what a power cut can lose here is told by ``regrow status``.
"""

import os
import time
from functools import lru_cache

from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
from regrow.records.format import HEAD, MARKED, decode, encode, line, state_line
from regrow.system import directories, own_files, ownership
from regrow_marks import safe_read
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

ATTACHMENTS = ("package-lock.json",)
"""The files that may stand beside a record."""

_HASH_SIZE = 8  # bytes: with a million records, one collision in 37 million homes
_LOCK = ".lock"
_SLUG_LENGTH = 48  # characters: enough to know a project by, far from the limit of 255 bytes
_SIZE_LIMIT = 16 * 1024 * 1024  # bytes; 200 distributions with their URLs take 30 KiB


class Identity(NamedTuple):
    """What tells a directory from one that takes its place later."""

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
    """Name the record of a path: a slug that people recognise, and a hash.

    >>> file_name("/home/ada/shop/.venv")
    'shop-.venv-23b142570d5233d4.toml'
    """
    last_two = "-".join(path.rsplit("/", 2)[1:])
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in last_two)
    return f"{slug[-_SLUG_LENGTH:].lstrip('.-')}-{digest(path)}.toml"


def attachment_name(path: str, name: str) -> str:
    """Name a file that stands beside the record of a path."""
    return f"{file_name(path).removesuffix('.toml')}.{name}"


def digest(text: str) -> str:
    """Give a name for a path that is short and its own."""
    return own_files.blake2b(os.fsencode(text), digest_size=_HASH_SIZE).hexdigest()


class Store:
    """The directory of records, held open. Use it as a context manager.

    Two processes may use it at the same time: a record appears and is replaced whole.
    """

    __slots__ = ("_fd", "_identities", "_lock", "path", "unreadable")

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
        self._identities: dict[Identity, str] | None = None
        self.unreadable: list[RecordError] = []
        """The records that ``paths`` could not read."""

    @classmethod
    def if_any(cls) -> "Store | None":
        """Open the directory only if it is there, for commands that shall leave no trace.

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
        """List the records' file names, sorted. Raises RecordError."""
        try:
            found = os.listdir(self._fd)
        except OSError as error:
            raise RecordError(f"{self.path}: {in_words(error)}") from error
        return sorted(name for name in found if name.endswith(".toml") and name[0] != ".")

    def all(self) -> "Iterator[Record | RecordError]":
        """Read every record; one that can't be read comes as the error that names its file."""
        for name in self.names():
            try:
                record = self.by_name(name)
                if record is not None:  # not removed since it was listed
                    yield record
            except RecordError as error:
                yield error

    def paths(self) -> dict[str, str]:
        """Give the paths of the records that can be read, by their file names. Raises RecordError.

        A name has its path's hash in it, so it stands for the same path for ever: each is read
        once, and kept in the cache directory.
        """
        import marshal

        from regrow.system import cache

        kept_as = f"records-{digest(self.path)}"
        content = cache.read(kept_as)
        known: dict[str, str] = marshal.loads(content) if content else {}  # noqa: S302 - our own file, and whole
        names = self.names()
        found = {name: known[name] for name in names if name in known}
        self.unreadable.clear()
        for name in names:
            if name not in found:
                try:
                    path = self._path_in(name)
                except RecordError as error:
                    self.unreadable.append(error)
                    continue
                if path is not None:  # not removed since it was listed
                    found[name] = path
        if found != known:
            cache.write(kept_as, marshal.dumps(found))
        return found

    def _path_in(self, name: str) -> str | None:
        """Read a record's path, without parsing it where it stands as regrow writes it."""
        data = self.data("", name) or b""
        _, _, rest = data.partition(b'\npath = "')
        path, end, rest = rest.partition(b'"\n')
        if end and b"\\" not in path and not rest.startswith(b"path_b64"):
            plain = os.fsdecode(path)
            if file_name(plain) == name:
                return plain
        record = self.by_name(name)
        return record.path if record is not None else None

    def remove_leftovers(self) -> None:
        """Remove what was written when a regrow was killed: half a file, or one without a record.

        Where the file system has no locks, its writer may be alive: only what is old goes.
        """
        with self.locked():
            names = frozenset(os.listdir(self._fd))
            for name in names:
                if not name.startswith(own_files.TEMPORARY) and not _is_alone(name, names):
                    continue
                try:
                    if time.time() - self._status(name).st_mtime > own_files.LEFTOVER_AGE:
                        os.unlink(name, dir_fd=self._fd)
                except OSError:
                    continue  # it does no harm

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False)

    def read(self, path: str) -> Record | None:
        """Read the record of a directory's path; None if there is none.

        Raises:
            RecordError: it is damaged, or a newer regrow wrote it; the message names the file.
        """
        data = self.data(path)
        if data is None:
            return None
        return self._decoded(data, file_name(path))

    def read_unless_damaged(self, path: str) -> Record | None:
        """Read a record that is to be replaced; what a damaged one said is lost already.

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

    def data(self, path: str, name: str | None = None) -> bytes | None:
        """Read the bytes of a record, or of a file beside it, to compare or to decode them."""
        return self._read(name or file_name(path), _SIZE_LIMIT)

    def _read(self, name: str, limit: int) -> bytes | None:
        file = os.path.join(self.path, name)
        try:
            return ownership.read_own(name, limit, self._fd)
        except OSError as error:
            raise RecordError(f"{file}: {in_words(error)}") from error
        except safe_read.UnsafeFileError as error:
            raise RecordError(
                f"{file}: {error.why}, so it is no record of yours; look at it, and remove it"
            ) from error

    def by_name(self, name: str) -> Record | None:
        """Read a record by the name of its file; see ``read``."""
        data = self.data("", name)
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

    def by_identity(self, directory: Identity) -> Record | None:
        """Find the record of a directory wherever it stood; it has to have a birth time.

        The records are gone through once, until ``forget_identities``; what was written since is
        not found.
        """
        if directory.born is None:
            return None
        if self._identities is None:
            self._identities = dict(self._all_identities())
        name = self._identities.get(directory, "")
        try:
            record = self.by_name(name) if name else None
        except RecordError:
            return None
        if record is None or (record.inode, record.born) != directory:
            return None  # it was replaced since
        return record

    def forget_identities(self) -> None:
        """Let ``by_identity`` go through the records again: they are others after some time."""
        self._identities = None

    def _all_identities(self) -> "Iterator[tuple[Identity, str]]":
        import re

        lines = re.compile(rb"^inode = (\d+)\nborn = (\d+)$", re.MULTILINE)
        for name in self.names():
            try:
                found = lines.search(self.data("", name) or b"")
            except RecordError:
                continue
            if found:
                yield Identity(int(found[1]), int(found[2])), name

    def locked(self) -> own_files.Lock:
        """Keep other processes from recording and marking for the length of a ``with`` block.

        What is read, recorded and marked in the block fits together. Blocks may be nested.
        """
        return self._lock

    def write(self, record: Record, files: "Sequence[tuple[str, bytes]]" = ()) -> "Written":
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

    def restore(
        self, path: str, data: bytes | None, files: "Sequence[tuple[str, bytes]]" = ()
    ) -> None:
        """Put a record's bytes back as ``data`` gave them; None: there was no record.

        Args:
            path: the directory's path.
            data: the record's bytes.
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
        """Read a file that stands beside a record; None if there is none."""
        return self.get(attachment_name(path, name))

    def attachments(self, path: str) -> "tuple[tuple[str, bytes], ...]":
        """Return the files that stand beside a record: name and bytes of each."""
        found = ((name, self.attachment(path, name)) for name in ATTACHMENTS)
        return tuple((name, data) for name, data in found if data is not None)

    def _replace(self, path: str, data: bytes, name: str | None = None) -> int:
        """Write a file whole, and give its descriptor."""
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

    def get(self, name: str) -> bytes | None:
        """Read a file by its name; None if there is none. Raises RecordError."""
        return self._read(name, safe_read.LOCK_LIMIT)

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
    """Refuse a directory of records in which somebody else could put, or change, a record."""
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
        """Turn a pending record into one that says marked, in place.

        The state stands at a fixed place in a fixed width, so that one small write does it: a
        second file and a second rename would double what a mark costs. If another process has
        replaced the record meanwhile, this one has no name any more, and nothing is harmed.

        Raises:
            RecordError: it can't be written; the record says pending still.
        """
        try:
            os.pwrite(self._fd, state_line(MARKED), len(HEAD))
        except OSError as error:
            raise RecordError(
                f"{self._path}: it is marked; its record can't be completed: {in_words(error)}"
            ) from error


def _is_alone(name: str, names: frozenset[str]) -> bool:
    """Tell whether a file should stand beside a record, and none of the names is that record's."""
    return any(
        name.endswith(f".{attachment}")
        and f"{name.removesuffix(f'.{attachment}')}.toml" not in names
        for attachment in ATTACHMENTS
    )


def is_current(data: bytes, path: str, directory: Identity) -> bool:
    """Return whether a record's bytes say that it is complete and about this very directory."""
    lines = [
        state_line(MARKED).decode(),
        line("path", path),
        line("host", host()),
        line("inode", directory.inode),
    ]
    if directory.born is not None:
        lines.append(line("born", directory.born))
    return all(f"\n{one}".encode() in data for one in lines)


def is_about(record: Record, directory: Identity) -> bool:
    """Return whether a record is about this very directory.

    A birth time says so by itself: machines change their names, and macOS does by the network it
    is in. Without one, a home that several machines share may have the same inode twice.
    """
    if (record.inode, record.born) != directory:
        return False
    return record.born is not None or record.host == host()
