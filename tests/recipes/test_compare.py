"""Recipes compared: which of the recorded packages are not there, and what else differs."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regrow.recipes import compare
from tests.rebuilding import python

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

CHANNEL = "https://example.org/conda-forge/noarch"
FULL = python("click==8.1", "Tiny_Tools==1.0", "toolz @ file:///w/toolz-1.0.whl#sha256=aa", "-e /p")


def conda(*names: str, kind: str = "conda") -> "Recipe":
    lines = [n if n.startswith("[") else f"{CHANNEL}/{n}-1.0-h0_1.conda#ab" for n in names]
    return {"kind": kind, "explicit": lines, "requirements": []}


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (FULL, []),
        (python(), sorted(compare.texts(FULL, "requirements"))),
        (
            python("pip==24.0", "setuptools==69", "click==8.1", "toolz==1.0", "-e /p"),
            ["Tiny_Tools==1.0"],
        ),
        (python("click==9.0", "tiny-tools==2", "toolz==3", "-e /p"), []),
    ],
    ids=["equal", "empty", "all but one", "other versions and another spelling"],
)
def test_what_is_missing_is_named_by_its_recorded_line(
    present: "Recipe", expected: list[str]
) -> None:
    assert compare.missing(FULL, present) == expected


@pytest.mark.parametrize(
    ("recorded", "present", "expected"),
    [
        (FULL, python("pip==24.0"), True),
        (FULL, python("click==8.2", "toolz==1.0"), True),
        (FULL, FULL, False),
        (FULL, python("click==8.1", "flask==3.0"), False),
        (FULL, python(*compare.texts(FULL, "requirements"), "flask==3.0"), False),
        (python("pip==24.0", "wheel==0.4"), python(), False),
        (python(), python(), False),
        (conda("tzdata", "python", "pip"), conda("tzdata", "python"), True),
        (conda("tzdata"), conda("tzdata", "xz"), False),
        (conda("tzdata"), python(), True),
        (
            conda("[default]", "tzdata", "[test]", "tzdata", kind="pixi"),
            conda("[default]", "tzdata", kind="pixi"),
            True,
        ),
    ],
)
def test_poorer_is_what_holds_less_and_nothing_of_its_own(
    recorded: "Recipe", present: "Recipe", expected: bool
) -> None:
    assert compare.is_poorer(recorded, present) is expected


def test_differences_are_told_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    recorded: Recipe = {
        **python("a==1", "B_b==2", "c @ https://e.org/c.whl#sha256=aa"),
        "unowned": ["there", "gone"],
    }
    present = python("a==2", "b-b==2", "c @ https://e.org/c.whl", version="3.12.0")
    assert compare.differences(recorded, present, str(tmp_path)) == [
        "not installed: a==1",
        "installed besides: a==2",
        "it has Python 3.12.0, where Python 3.11.7 was",
        "no package brings these files in it back: gone",
    ]
