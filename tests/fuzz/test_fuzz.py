"""Files of others in every damaged form: what reads them raises nothing but a RegrowError."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import HARD, PIECES, TARGETS, json_of, run
from tests.hostile.helpers import LINUX_ONLY

pytestmark = LINUX_ONLY

SECONDS = 600 / len(TARGETS)  # for each target of the slow test: ten minutes in all
_CHUNK = 300  # examples

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["1", "", "/usr", "https://x.org/a", "git", "a" * 3000])
)
_KEYS = st.sampled_from(
    [
        *("url", "dir_info", "editable", "vcs_info", "vcs", "commit_id", "archive_info", "hash"),
        *("hashes", "sha256", "subdirectory", "name", "version", "packages", "dependencies"),
        *("link", "resolved", "workspaces", "packageManager", "directories", "source", "files"),
        *("md5", "default", "develop", "inBundle"),
    ]
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_KEYS | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
).map(json_of)


def files(name: str) -> st.SearchStrategy[bytes]:
    """Make files for a target: of its pieces, of hard ones and of anything."""
    piece = st.sampled_from(PIECES[name])
    hard = st.sampled_from(HARD)
    mostly = st.lists(st.one_of(piece, piece, piece, hard, st.binary(max_size=4)), max_size=16)
    found = mostly.map(b"".join)
    is_json = any(one.startswith(b'{"') for one in PIECES[name])
    return found | _JSON | st.tuples(_JSON, found).map(b"".join) if is_json else found


def fuzz(name: str, place: Path, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(files(name))
    def check(data: bytes) -> None:
        run(name, data, place)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_an_error_in_words(name: str, tmp_path: Path) -> None:
    fuzz(name, tmp_path / "a/b", 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_errors_in_words_for_ten_minutes(name: str, tmp_path: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        fuzz(name, tmp_path / "a/b", _CHUNK)
