import os
import stat
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
from regrow.records import index
from regrow.records.format import (
    FORMAT,
    MARKED,
    PENDING,
    decode,
    encode,
    has_recipe,
    has_rule,
    is_current,
)
from regrow.records.store import Identity, Store, file_name, host, is_about
from regrow.system import directories

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
    path=texts.map(lambda text: f"/{text}"),
    host=texts,
    inode=st.integers(0, 2**63 - 1),
    born=st.none() | numbers,
    rule=texts,
    evidence=st.lists(texts, max_size=3).map(tuple),
    recipe=recipes,
    set=st.lists(st.sampled_from(["xdg-robots", "cachedir-tag"])).map(tuple),
    found=st.lists(st.sampled_from(["nodump"])).map(tuple),
    previous=st.dictionaries(st.sampled_from(["xdg-robots", "time-machine"]), st.binary()),
    state=st.sampled_from([PENDING, MARKED]),
    time=st.integers(0, 2**32),
    modified=st.none() | numbers,
)


def a_record(path: str = "/home/ada/shop/.venv") -> Record:
    return Record(
        path, "vm", 7, 9, "venv", ("pyvenv.cfg",), {"kind": "none"}, ("xdg-robots",), (), {},
        PENDING, 1_700_000_000,
    )  # fmt: skip


@given(some_records)
def test_what_is_written_is_read_back(record: Record) -> None:
    assert decode(encode(record), "x.toml") == record


@given(some_records)
def test_every_record_is_toml_that_others_can_read(record: Record) -> None:
    assert tomllib.loads(encode(record).decode())["format"] == FORMAT


@given(some_records, st.data())
def test_a_truncated_record_is_an_error_and_never_another_record(
    record: Record, data: st.DataObject
) -> None:
    whole = encode(record)
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        read = decode(part, "x.toml")
    except RecordError:
        return
    # It was cut inside the last table: nothing that undo needs is missing.
    assert read._replace(recipe={}, previous={}) == record._replace(recipe={}, previous={})


@given(some_records, texts)
def test_a_record_is_told_by_its_bytes_as_by_what_is_read_of_them(
    record: Record, rule: str
) -> None:
    data = encode(record)
    assert has_rule(data, record.rule)
    assert has_rule(data, rule) == (record.rule == rule)
    assert has_recipe(data, record.recipe)


def test_a_record_of_a_newer_format_is_refused_by_its_name() -> None:
    newer = encode(a_record()).replace(b"format = 1", b"format = 2")
    with pytest.raises(NewerRecordError, match=r"x\.toml.*newer"):
        decode(newer, "x.toml")


def test_records_and_their_directory_are_private(records_directory: Path) -> None:
    with Store() as store:
        store.write(a_record()).close()
    (written,) = records_directory.iterdir()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(records_directory.stat().st_mode) == 0o700


def test_a_pending_record_is_completed_in_place(records_directory: Path) -> None:
    with Store() as store:
        with store.write(a_record()) as written:
            before = store.read("/home/ada/shop/.venv")
            written.complete()
        after = store.read("/home/ada/shop/.venv")
    assert before is not None
    assert after == before._replace(state=MARKED)


def test_completing_a_record_that_another_process_replaced_changes_nothing() -> None:
    with Store() as store:
        first = store.write(a_record())
        store.write(a_record()._replace(host="other")).close()
        first.complete()
        first.close()
        read = store.read("/home/ada/shop/.venv")
    assert read is not None
    assert (read.host, read.state) == ("other", PENDING)


def test_a_failed_write_leaves_the_former_record_and_no_temporary_file(
    records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store() as store:
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
    here = a_record()._replace(host=host(), state=MARKED)
    this = Identity(here.inode, here.born)
    data = encode(here)
    assert is_current(data, here.path, host(), this)
    assert not is_current(data, here.path + "x", host(), this)
    assert not is_current(data, here.path, host(), this._replace(inode=8))
    assert not is_current(data, here.path, host(), this._replace(born=8))
    pending = encode(here._replace(state=PENDING))
    assert not is_current(pending, here.path, host(), this)


def test_a_rule_is_named_by_its_whole_line_alone() -> None:
    data = encode(a_record()._replace(rule="venv", evidence=('rule = "next"',)))
    assert has_rule(data, "venv")
    for other in ("ven", "venv2", "next", "explicit", ""):
        assert not has_rule(data, other)
    text = "x\nrule = 'next'"
    assert not has_rule(encode(a_record(f"/{text}")), "next")


def test_a_recipe_with_a_stamp_is_known_by_the_stamp() -> None:
    recipe: dict[str, str | int | bool | list[str]] = {
        "kind": "python",
        "requirements": ["a==1"],
        "stamp": 17,
    }
    data = encode(a_record()._replace(recipe={**recipe, "command": "uv venv"}))
    assert has_recipe(data, recipe)
    assert has_recipe(data, {**recipe, "requirements": []}), "the stamp is enough"
    for stamp in (1, 7, 170, 18):
        assert not has_recipe(data, {**recipe, "stamp": stamp})
    without = encode(a_record())
    assert not has_recipe(without, recipe)


def test_a_recipe_without_a_stamp_is_known_by_all_it_says() -> None:
    recipe: dict[str, str | int | bool | list[str]] = {
        "kind": "command",
        "command": ["npm", "ci"],
        "directory": "/home/\udcff",
    }
    data = encode(a_record()._replace(recipe=recipe))
    assert has_recipe(data, recipe)
    assert not has_recipe(data, {**recipe, "command": ["npm"]})
    assert not has_recipe(data, {**recipe, "directory": "/home/\udcfe"})
    assert not has_recipe(data, {"kind": "none"})


def test_a_directory_is_the_same_by_inode_and_birth_whatever_the_machine_is_called() -> None:
    here = a_record()._replace(host=host())
    renamed = here._replace(host="as it was called before")
    this = Identity(here.inode, here.born)
    assert is_about(here, this)
    assert is_about(renamed, this)
    for record in (here, renamed):
        assert not is_about(record, this._replace(inode=8))
        assert not is_about(record, this._replace(born=8))
        assert not is_about(record, this._replace(born=None))
        assert not is_about(record._replace(born=None), this)


def test_without_a_birth_time_only_the_machine_that_recorded_it_knows_a_directory() -> None:
    here = a_record()._replace(host=host(), born=None)
    this = Identity(here.inode, None)
    assert is_about(here, this)
    assert not is_about(here._replace(host="elsewhere"), this)


@pytest.mark.parametrize("modified", [None, 0, -1, 1_700_000_000_123_456_789])
def test_the_time_before_the_first_mark_is_kept_to_the_nanosecond(modified: int | None) -> None:
    data = encode(a_record()._replace(modified=modified))
    assert decode(data, "x.toml").modified == modified
    assert (b"modified = " in data) == (modified is not None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('path = "/', 'path = "'),
        ('path = "/', 'path = "/\\u0000'),
        ("inode = 7", 'inode = "7"'),
        ('set = ["xdg-robots"]', "set = [1]"),
        ('evidence = ["pyvenv.cfg"]', "evidence = [[]]"),
        ("format = 1", 'format = "1"'),
        ("format = 1\n", ""),
        ("time = 2023", "time = 0000"),
        ('kind = "none"', "kind_b64 = 1"),
    ],
)
def test_what_no_regrow_writes_is_damage(old: str, new: str) -> None:
    text = encode(a_record()).decode()
    assert old in text
    with pytest.raises(RecordError, match=r"^x\.toml: this record is damaged: ") as raised:
        decode(text.replace(old, new, 1).encode(), "x.toml")
    assert not isinstance(raised.value, NewerRecordError)


def test_a_record_that_was_cut_to_nothing_is_damaged_and_not_newer() -> None:
    with pytest.raises(RecordError, match="damaged") as raised:
        decode(b"", "x.toml")
    assert not isinstance(raised.value, NewerRecordError)


# The files.


def make_old(path: Path, seconds: int = 3600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_what_killed_writers_left_goes_and_what_is_fresh_or_not_regrows_stays(
    records_directory: Path,
) -> None:
    with Store() as store:
        store.write(a_record(), [("package-lock.json", b"{}")]).close()
        record, lock = sorted(os.listdir(records_directory), reverse=True)
        leftover, fresh = ".regrow-12-0123abcd", ".regrow-13-0123abcd"
        of_lock = ".regrow-12-89abcdef"
        strangers = (".DS_Store", ".gitignore", ".12-notours", f".{record}", "notes.txt")
        for name in (leftover, fresh, of_lock, *strangers):
            (records_directory / name).touch()
        (records_directory / ".git").mkdir()
        for path in records_directory.iterdir():
            make_old(path)
        make_old(records_directory / fresh, 30)
        store.remove_leftovers()
    assert set(os.listdir(records_directory)) == {record, lock, fresh, ".git", *strangers}


def test_a_temporary_record_is_known_for_one_whatever_the_path(
    records_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that are written are the names that are cleared away."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with Store() as store:
        for path in ("/home/ada/shop/.venv", "/\n", "/\udcff/x", "/-rf/--x"):
            with monkeypatch.context() as patch:
                patch.setattr(os, "rename", killed)
                patch.setattr(os, "unlink", lambda *_, **__: None)
                with pytest.raises(KeyboardInterrupt):
                    store.write(a_record(path), [("package-lock.json", b"{}")])
        left = os.listdir(records_directory)
        for name in left:
            make_old(records_directory / name)
        store.remove_leftovers()
    assert len(left) == 4
    assert os.listdir(records_directory) == []


def test_a_copy_under_another_name_is_refused_and_the_record_is_read(
    records_directory: Path,
) -> None:
    with Store() as store:
        store.write(a_record()).close()
        (file,) = records_directory.iterdir()
        (records_directory / "copy.toml").write_bytes(file.read_bytes())
        read = list(store.all())
        assert a_record() in read
        (error,) = (entry for entry in read if isinstance(entry, RecordError))
        assert str(error).startswith(f"{records_directory}/copy.toml: this is a copy")
        assert store.read(a_record().path) == a_record()


def test_names_are_readable_and_differ_where_paths_differ() -> None:
    first = file_name("/home/ada/shop/.venv")
    assert first.startswith("shop-.venv-")
    assert first != file_name("/home/bob/shop/.venv")
    for hostile in ("/a/..", "/\n/\x1b", "/-rf/--x", "/" + "ü" * 300, "/\udcff/x"):
        name = file_name(hostile)
        assert name.isascii()
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert "/" not in name
        assert len(name) < 100


# The paths of all records.


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the records that are read from now on."""
    names: list[str] = []
    path_in = index._path_in

    def counted(store: Store, name: str) -> str | None:
        names.append(name)
        return path_in(store, name)

    monkeypatch.setattr(index, "_path_in", counted)
    return names


def test_each_record_is_read_once_for_its_path(reads: list[str]) -> None:
    paths = ["/home/ada/one/.venv", "/home/ada/two/\udcff", "/home/ada/three/a\nb", '/a"\nb']
    expected = {file_name(path): path for path in paths}
    with Store() as store:
        for path in paths:
            store.write(a_record(path)).close()
        assert store.paths() == expected
        assert sorted(reads) == sorted(expected)
        assert store.paths() == expected
        assert len(reads) == 4
        store.write(a_record("/home/ada/four")).close()
        store.remove(paths[0])
        assert set(store.paths().values()) == {*paths[1:], "/home/ada/four"}
        assert reads[4:] == [file_name("/home/ada/four")]


def test_a_record_that_cannot_be_read_has_no_path_until_it_can(reads: list[str]) -> None:
    with Store() as store:
        store.write(a_record("/home/ada/.venv")).close()
        file = Path(store.path) / file_name("/home/ada/.venv")
        good = file.read_bytes()
        file.write_text("damaged")
        assert store.paths() == {}
        file.write_bytes(good)
        assert set(store.paths().values()) == {"/home/ada/.venv"}


def test_without_their_cache_the_paths_are_read_again(reads: list[str]) -> None:
    with Store() as store:
        store.write(a_record("/home/ada/.venv")).close()
        expected = store.paths()
        for file in Path(directories.caches()).glob("records-*"):
            file.write_bytes(file.read_bytes()[:-1])
        assert store.paths() == expected
        assert len(reads) == 2
