"""Where pip is told to look for packages; uv reads none of that."""

import os
from pathlib import Path

import pytest

from regrow.rebuild import environment, indexes


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "XDG_"))]:
        monkeypatch.delenv(name)
    if indexes.are_set_for_pip():  # by this machine's /etc
        monkeypatch.setattr(indexes, "_files", lambda every=indexes._files: every()[3:4])


def test_without_settings_there_is_none() -> None:
    assert not indexes.are_set_for_pip()


@pytest.mark.parametrize(
    "name", ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"]
)
def test_a_variable_names_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert indexes.are_set_for_pip()


@pytest.mark.parametrize(
    ("text", "names_one"),
    [
        ("[global]\nindex-url = x\n", True),
        ("[install]\n  extra-index-url=\n    x\n", True),
        ("[global]\nfind-links: x\n", True),
        ("[global]\ntimeout = 60\n", False),
        ("[global]\n# index-url = x\n", False),
        ("[global]\nmy-index-url = x\n", False),
    ],
)
def test_a_file_may_name_one(text: str, names_one: bool, home: Path) -> None:
    file = home / ".config/pip/pip.conf"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert indexes.are_set_for_pip() is names_one


@pytest.mark.needs("uv")
@pytest.mark.parametrize(
    ("made_by", "is_set", "chosen"),
    [
        ("uv 0.9.0", False, "uv"),
        ("uv 0.9.0", True, "uv"),
        ("venv", False, "uv"),
        ("venv", True, "venv"),
        ("virtualenv 20.26", True, "venv"),
    ],
)
def test_what_uv_did_not_make_is_left_to_pip_where_pip_has_indexes(
    made_by: str, is_set: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "are_set_for_pip", lambda: is_set)
    assert environment.creator_of({"kind": "python", "creator": made_by}) == chosen


def test_without_uv_all_is_left_to_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.creator_of({"kind": "python", "creator": "uv 0.9.0"}) == "venv"
