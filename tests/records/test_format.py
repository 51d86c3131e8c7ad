"""The text of a record: what is written is read back, and anything else is refused."""

import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrow.errors import NewerRecordError, RecordError
from regrow.model import Record
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
from regrow.records.store import Identity, host
from tests.records.making import a_record

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
