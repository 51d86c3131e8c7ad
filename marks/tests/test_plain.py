"""Named tuples of our own behave as typing's, as far as anybody here can tell."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import Any

import pytest

from regrow_marks import plain


class Ours(plain.NamedTuple):
    """What a directory is."""

    path: str
    size: int = 0
    set: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Theirs(typing.NamedTuple):
    """What a directory is."""

    path: str
    size: int = 0
    set: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


both = pytest.mark.parametrize("kind", [Ours, Theirs])


@both
def test_values_are_taken_by_position_by_name_and_from_the_class(kind: Any) -> None:
    assert kind("/a/b") == kind(path="/a/b") == kind("/a/b", 0, set=()) == ("/a/b", 0, ())
    assert kind._make(("/a", 1, ("x",))) == kind(set=("x",), size=1, path="/a")


@both
@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        ((), {"size": 1}),
        (("/a", 1, (), 4), {}),
        (("/a",), {"path": "/b"}),
        (("/a",), {"other": 1}),
    ],
    ids=["nothing", "one missing", "one too many", "one twice", "one unknown"],
)
def test_other_values_are_refused(kind: Any, values: tuple[Any, ...], named: Any) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


@both
def test_fields_are_read_by_name_and_never_set(kind: Any) -> None:
    made = kind("/a/b", 3)
    assert (made.path, made.size, made.set, made.name) == ("/a/b", 3, (), "b")
    for name in ("path", "other"):
        with pytest.raises(AttributeError):
            setattr(made, name, "/c")
    assert not hasattr(made, "__dict__")
    assert kind.__doc__ == "What a directory is."


@both
def test_a_copy_may_differ_in_some_fields(kind: Any) -> None:
    made = kind("/a/b", 3)
    assert made._replace(size=4) == ("/a/b", 4, ())
    assert type(made._replace(size=4)) is kind
    assert made == ("/a/b", 3, ())
    with pytest.raises((TypeError, ValueError)):
        made._replace(other=4)


@both
def test_it_is_shown_compared_and_carried_as_a_tuple(kind: Any) -> None:
    made = kind("/a/b", 3)
    assert repr(made) == f"{kind.__name__}(path='/a/b', size=3, set=())"
    assert made._asdict() == {"path": "/a/b", "size": 3, "set": ()}
    assert kind._fields == ("path", "size", "set")
    assert hash(made) == hash(("/a/b", 3, ()))
    assert sorted([kind("/b"), kind("/a")]) == [kind("/a"), kind("/b")]
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert (type(again), again) == (kind, made)


def test_annotations_that_a_function_gives_are_fields() -> None:
    """A double of the class body that Python 3.14 makes (PEP 649)."""
    asked = []

    def annotate(form: int) -> dict[str, type]:
        asked.append(form)
        return {"first": int, "second": str}

    body = {"__module__": __name__, "__annotate_func__": annotate, "second": "x"}
    made: Any = type(plain.NamedTuple)("Made", (plain.NamedTuple,), body)  # type: ignore[misc]
    assert tuple(made(1)) == (1, "x")
    assert made._fields == ("first", "second")
    assert asked == [1]
