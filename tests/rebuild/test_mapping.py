"""A home that stood elsewhere: its paths are found wherever they stand, and nothing else is."""

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regrow.errors import ConfigurationError
from regrow.rebuild import mapping
from tests.rebuilding import python, recorded

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

HOME = mapping.parse(["/home/ada=/Users/grace"])

# What paths are made of: blanks, marks that part paths elsewhere, text that is not UTF-8.
names = st.text(st.sampled_from("ab .@:;,='\"#&%+~()é\udcff-"), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def mapped(text: str, pairs: "mapping.Mapping" = HOME) -> str:
    """Map one text of a recipe."""
    recipe: Recipe = {"text": text, "texts": [text]}
    found = mapping.apply(recorded("/x", recipe), pairs).recipe
    assert found["texts"] == [found["text"]]
    assert isinstance(found["text"], str)
    return found["text"]


@settings(deadline=None)
@given(paths, paths)
def test_a_path_that_is_not_below_the_old_one_stays(old: str, path: str) -> None:
    assume(path != old and not path.startswith(f"{old}/"))
    pairs = mapping.parse([f"{old}=/new"]) if "=" not in old else [(old, "/new")]
    assert mapped(path, pairs) == path
    assert mapped(f"-e {path}", pairs) == f"-e {path}"
    assert mapping.apply(recorded(path, {}), pairs).path == path


@settings(deadline=None)
@given(paths, paths, paths)
def test_a_path_below_the_old_one_is_below_the_new_one(old: str, new: str, rest: str) -> None:
    pairs = [(old, new)]
    assert mapping.apply(recorded(old + rest, {}), pairs).path == new + rest
    assert mapped(old, pairs) == new
    assert mapped(f"-e {old}{rest}", pairs) == f"-e {new}{rest}"
    assume(";" not in old + rest)
    assert mapped(f"-DX:PATH={old}{rest};{old}", pairs) == f"-DX:PATH={new}{rest};{new}"


@settings(deadline=None)
@given(paths, paths, paths, st.sampled_from(["", "#sha256=00", "@0123abc", "?a=b"]))
def test_an_address_is_mapped_as_it_is_quoted(old: str, new: str, rest: str, end: str) -> None:
    before, after = (f"a @ git+file://{quote(os.fsencode(p + rest))}{end}" for p in (old, new))
    assert mapped(before, [(old, new)]) == after


@settings(deadline=None)
@given(paths, paths)
def test_an_address_elsewhere_stays(old: str, path: str) -> None:
    assume(path != old and not path.startswith(f"{old}/"))
    for before in ("file://", "https://host", "git+ssh://git@host", "https://[::1]:8080"):
        place = path if before == "file://" else old + path
        line = f"a @ {before}{quote(os.fsencode(place))}"
        assert mapped(line, [(old, "/new")]) == line


@settings(deadline=None)
@given(st.text(), st.text())
def test_text_without_the_old_path_stays(before: str, after: str) -> None:
    assume("/home/ada" not in before + after)
    text = f"{before}{after}"
    assert mapped(text) == text


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from("abc0_-.~é)"))
def test_the_old_path_within_another_one_stays(rest: str, character: str) -> None:
    assume("/home/ada" not in rest)
    for text in (f"-DX=a{character}/home/ada/{rest}", f"-DX=/home/ada{character}{rest}"):
        assert mapped(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/home/ada", "/Users/grace"),
        ("/home/ada smith/x", "/home/ada smith/x"),
        ("/home/ada@work", "/home/ada@work"),
        ("/mnt/(old)/home/ada/x", "/mnt/(old)/home/ada/x"),
        ("-DCMAKE_INSTALL_PREFIX:PATH=/home/ada/local", None),
        ("-DX:FILEPATH=/home/ada smith/x", "-DX:FILEPATH=/home/ada smith/x"),
        ("-DX:PATH=/home/ada/a;/opt/b;/home/ada/c", None),
        ("-DX:STRING=-O2 -I/home/ada/include -L/home/ada/lib -Wl,-rpath,/home/ada/lib", None),
        ("-DX=file:///home/ada/x", None),
        ('-DX:STRING="/home/ada/a b"', None),
        ("-DX:STRING=/home/adam;/home/ada-lovelace;/home/ada.x", "="),
        ("-DX:STRING=../home/ada/x", "="),
        ("--cross-file=/home/ada/cross.ini", None),
        ("a @ file:///home/ada/a-1.0.tar.gz#sha256=00", None),
        ("a @ git+file:///home/ada@0123abc", None),
        ("a @ git+ssh://git@host/home/ada/a", "="),
        ("a @ https://host/home/ada/a.whl", "="),
        ("-e /home/ada/a", None),
        ("-e file:///home/ada/a%20b", None),
        ("file:///home/ada/pkgs/a-1.conda#0123", None),
        ("npm", "="),
        ("a==1.0", "="),
    ],
)  # fmt: skip
def test_texts_of_recipes(text: str, wanted: str | None) -> None:
    expected = text.replace("/home/ada", "/Users/grace")
    assert mapped(text) == {None: expected, "=": text}.get(wanted, wanted)


def test_what_is_no_text_stays() -> None:
    recipe: Recipe = {"number": 1, "is": True, "mixed": ["/home/ada", 1]}  # type: ignore[list-item]
    found = mapping.apply(recorded("/home/ada/x", recipe), HOME).recipe
    assert found == {"number": 1, "is": True, "mixed": ["/Users/grace", 1]}


def test_without_a_mapping_a_record_is_itself() -> None:
    record = recorded("/home/ada/x", python("a==1"))
    assert mapping.apply(record, mapping.parse([])) is record


def test_of_two_that_fit_the_longer_one_counts_and_nothing_is_mapped_twice() -> None:
    pairs = mapping.parse(["/home=/srv", "/home/ada/job=/job", "/job=/never", "/srv=/never"])
    assert mapped("/home/ada/job/x", pairs) == "/job/x"
    assert mapped("/home/bob", pairs) == "/srv/bob"
    assert mapped("-DX=/home/ada/job:/home/x:/job", pairs) == "-DX=/job:/srv/x:/never"


def test_a_whole_disk_is_mapped() -> None:
    assert mapped("/home/ada", mapping.parse(["/=/mnt/old"])) == "/mnt/old/home/ada"
    assert mapped("/mnt/old/home/ada", mapping.parse(["/mnt/old=/"])) == "/home/ada"
    assert mapped("/mnt/old", mapping.parse(["/mnt/old=/"])) == "/"


def test_paths_are_taken_as_records_have_them() -> None:
    assert mapping.parse(["//home/./ada/=/Users/x/../grace//"]) == HOME


@pytest.mark.parametrize("word", ["", "/a", "=", "/a=", "=/b", "a=/b", "/a=b", "~=/b"])
def test_what_is_no_pair_of_absolute_paths_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="give two absolute paths"):
        mapping.parse([word])
