import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrow import records
from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record

# Any name that the kernel takes: bytes without a null, as Python shows them.
texts = st.binary(max_size=40).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))
numbers = st.integers(-(2**63), 2**63 - 1)
recipes = st.dictionaries(
    st.text("abcdefghij_", min_size=1).filter(lambda key: not key.endswith("_b64")),
    texts | numbers | st.booleans() | st.lists(texts, max_size=3),
    max_size=4,
)
some_records = st.builds(
    Record,
    path=texts,
    host=texts,
    inode=st.integers(0, 2**63 - 1),
    born=st.none() | numbers,
    rule=texts,
    evidence=st.lists(texts, max_size=3).map(tuple),
    recipe=recipes,
    set=st.lists(st.sampled_from(["xdg-robots", "cachedir-tag"])).map(tuple),
    found=st.lists(st.sampled_from(["nodump"])).map(tuple),
    previous=st.dictionaries(st.sampled_from(["xdg-robots", "time-machine"]), st.binary()),
    state=st.sampled_from([records.PENDING, records.MARKED]),
    time=st.integers(0, 2**32),
)


def a_record(path: str = "/home/ada/shop/.venv") -> Record:
    return Record(
        path, "vm", 7, 9, "venv", ("pyvenv.cfg",), {"kind": "none"}, ("xdg-robots",), (), {},
        records.PENDING, 1_700_000_000,
    )  # fmt: skip


@given(some_records)
def test_what_is_written_is_read_back(record: Record) -> None:
    assert records.decode(records.encode(record), "x.toml") == record


@given(some_records)
def test_every_record_is_toml_that_others_can_read(record: Record) -> None:
    assert tomllib.loads(records.encode(record).decode())["format"] == records.FORMAT


@given(some_records, st.data())
def test_a_truncated_record_is_an_error_and_never_another_record(
    record: Record, data: st.DataObject
) -> None:
    whole = records.encode(record)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        read = records.decode(part, "x.toml")
    except RecordError:
        return
    # It was cut inside the last table: nothing that undo needs is missing.
    assert read._replace(recipe={}, previous={}) == record._replace(recipe={}, previous={})


def test_a_record_of_a_newer_format_is_refused_by_its_name() -> None:
    newer = records.encode(a_record()).replace(b"format = 1", b"format = 2")
    with pytest.raises(NewerRecordError, match=r"x\.toml.*newer"):
        records.decode(newer, "x.toml")


def test_records_and_their_directory_are_private(records_directory: Path) -> None:
    with records.Store() as store:
        store.write(a_record()).close()
    (written,) = records_directory.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(records_directory.stat().st_mode) == 0o700


def test_a_pending_record_is_completed_in_place(records_directory: Path) -> None:
    with records.Store() as store:
        with store.write(a_record()) as written:
            before = store.read("/home/ada/shop/.venv")
            written.complete()
        after = store.read("/home/ada/shop/.venv")
    assert before is not None
    assert after == before._replace(state=records.MARKED)


def test_completing_a_record_that_another_process_replaced_changes_nothing() -> None:
    with records.Store() as store:
        first = store.write(a_record())
        store.write(a_record()._replace(host="other")).close()
        first.complete()
        first.close()
        read = store.read("/home/ada/shop/.venv")
    assert read is not None
    assert (read.host, read.state) == ("other", records.PENDING)


def test_a_failed_write_leaves_the_former_record_and_no_temporary_file(
    records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with records.Store() as store:
        store.write(a_record()).close()

        def full(fd: int, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RecordError, match="the disk is full"):
            store.write(a_record()._replace(host="other"))
        monkeypatch.undo()
        read = store.read("/home/ada/shop/.venv")
    assert read == a_record()


def test_a_current_record_is_recognised_without_parsing() -> None:
    here = a_record()._replace(host=records.host(), state=records.MARKED)
    this = records.Identity(here.inode, here.born)
    data = records.encode(here)
    assert records.is_current(data, here.path, this)
    assert not records.is_current(data, here.path + "x", this)
    assert not records.is_current(data, here.path, this._replace(inode=8))
    assert not records.is_current(data, here.path, this._replace(born=8))
    pending = records.encode(here._replace(state=records.PENDING))
    assert not records.is_current(pending, here.path, this)


def test_names_are_readable_and_differ_where_paths_differ() -> None:
    first = records.file_name("/home/ada/shop/.venv")
    assert first.startswith("shop-.venv-")
    assert first != records.file_name("/home/bob/shop/.venv")
    for hostile in ("/a/..", "/\n/\x1b", "/-rf/--x", "/" + "ü" * 300, "/\udcff/x"):
        name = records.file_name(hostile)
        assert name.isascii()
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert "/" not in name
        assert len(name) < 100


def test_the_fast_hash_is_hashlibs_own() -> None:
    import hashlib

    digest = hashlib.blake2b(b"/home/ada/shop/.venv", digest_size=8).hexdigest()
    assert digest in records.file_name("/home/ada/shop/.venv")
