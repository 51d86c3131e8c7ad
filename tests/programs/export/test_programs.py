"""Real backup programs leave out what an exclude file names, and store everything else.

Each backs up a tree of names that break escaping, by the command that ``regrow export --list``
tells; what it stored is read back and compared with exactly what should be there.
"""

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regrow.programs.export import formats, sources
from regrow.programs.export.compose import compose
from tests.programs.export.backups import BACKUPS, Backup, read_back
from tests.programs.export.trees import NAMES, Tree, is_name, plant

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names that macOS refuses")

SOURCE = "the source"
SOME_NAMES = NAMES[::4]  # a program's time grows with the square: each pattern meets each path
FEW_NAMES = (b"plain", b"[a]*", b"space after ", b"\xc3\xa4", b"$$", b"back\\slash")
EXAMPLES = 2  # trees of random names a program, each of some hundred directories


def over(programs: tuple[Backup, ...]) -> pytest.MarkDecorator:
    """Run a test once a program; those that `make test` leaves to `make test-all` are slow."""
    rows = []
    for program in programs:
        marks = [pytest.mark.needs(program.command)]
        if not program.in_make_test:
            marks.append(pytest.mark.slow)
        rows.append(pytest.param(program, id=program.name, marks=marks))
    return pytest.mark.parametrize("program", rows)


Planted = Callable[[Backup, tuple[bytes, ...]], Tree]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Return the tree of those of some names that a program can store, which is made once."""

    @functools.cache
    def made(names: tuple[bytes, ...], not_stored: tuple[bytes, ...]) -> Tree:
        return plant(tmp_path_factory.mktemp("disk") / SOURCE, names, not_stored)

    return lambda program, names: made(names, program.not_stored)


def check_backup(
    program: Backup, tree: Tree, place: Path, source: str | None = None, where: Path | None = None
) -> None:
    """Export, back up, and compare what was stored with what should be.

    Args:
        program: the backup program.
        tree: what it backs up.
        place: an empty directory for the backup.
        source: the tree's root as regrow and the program are given it; None: the program is given
            its path, and regrow nothing if it need not know.
        where: where the program and regrow run; default: beside the root.
    """
    form = formats.by_name(program.name)
    told = str(tree.root) if source is None and form.needs_source else source
    file = compose(
        form, map(os.fsdecode, tree.excluded), sources.find(told) if told is not None else None
    )
    listed = frozenset(map(os.fsencode, file.listed))
    expected = tree.without(listed)
    if program.keeps_directory:
        expected |= {path[len(os.fsencode(tree.root)) + 1 :] for path in listed}

    stored = read_back(
        program, file.data, source or str(tree.root), place, where or tree.root.parent
    )

    assert sorted(stored - expected) == []
    assert sorted(expected - stored) == []


@over(BACKUPS)
def test_a_backup_holds_exactly_what_the_exclude_file_does_not_name(
    program: Backup, planted: Planted, tmp_path: Path
) -> None:
    check_backup(program, planted(program, SOME_NAMES), tmp_path)


@pytest.mark.slow
@over(BACKUPS)
def test_a_backup_holds_exactly_what_the_exclude_file_of_all_names_does_not_name(
    program: Backup, planted: Planted, tmp_path: Path
) -> None:
    check_backup(program, planted(program, NAMES), tmp_path)


@pytest.mark.slow
@over(BACKUPS)
@pytest.mark.parametrize(
    "given_as",
    [
        "{link}",
        "./disk/the source/",
        pytest.param("{root}", marks=pytest.mark.slow),
        pytest.param("disk/the source", marks=pytest.mark.slow),
        pytest.param("link/the source", marks=pytest.mark.slow),
    ],
)
def test_the_source_may_be_given_in_any_way(
    program: Backup, given_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plant(tmp_path / "disk" / SOURCE, FEW_NAMES)
    (tmp_path / "link").symlink_to("disk")
    source = given_as.format(root=tree.root, link=tmp_path / "link" / SOURCE)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(tmp_path)
    check_backup(program, tree, place, source, where=tmp_path)


@pytest.mark.slow
@over(BACKUPS)
def test_a_file_that_names_nothing_excludes_nothing(program: Backup, tmp_path: Path) -> None:
    tree = plant(tmp_path / "disk" / SOURCE, FEW_NAMES)
    place = tmp_path / "place"
    place.mkdir()
    check_backup(program, tree._replace(excluded=frozenset()), place)


_PARTS = st.one_of(
    st.sampled_from([bytes([byte]) for byte in b"*?[]{}\\$#!^-+;'\" \t\r\n\x01.~:|()"]),
    st.sampled_from([b"a", b"B", b"0", b"**", b"\xff", b"\xe2\x82"]),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/").map(str.encode),
    st.binary(min_size=1, max_size=1),
)
random_names = st.lists(
    st.lists(_PARTS, min_size=1, max_size=6).map(b"".join).filter(is_name),
    min_size=8,
    max_size=12,
    unique=True,
)


@pytest.mark.slow
@over(tuple(program for program in BACKUPS if program.in_make_test))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(names=random_names)
def test_random_names_are_excluded_and_nothing_else(program: Backup, names: list[bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="regrow-test-") as directory:
        tree = plant(Path(directory, "disk", SOURCE), names)
        place = Path(directory, "place")
        place.mkdir()
        check_backup(program, tree, place)
