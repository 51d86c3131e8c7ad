"""Programs that no test can run: their lines mean exactly what they shall, by other readers.

For Kopia and Duplicacy that is a small reference matcher; for rustic it is ripgrep, whose
``--glob`` is read by the same library.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrow.programs.export import duplicacy, kopia, rustic
from regrow.programs.export.compose import compose
from regrow.programs.export.model import Format
from regrow.programs.export.sources import Source
from tests.programs.export.matchers import duplicacy_leaves_out, kopia_leaves_out
from tests.programs.export.trees import NAMES, is_name, neighbours, plant

READERS = (
    pytest.param(kopia.FORMAT, kopia_leaves_out, id="kopia"),
    pytest.param(duplicacy.FORMAT, duplicacy_leaves_out, id="duplicacy"),
)


@pytest.mark.parametrize(("form", "leaves_out"), READERS)
def test_each_line_names_its_directory_and_nothing_else(
    form: Format, leaves_out: Callable[..., bool]
) -> None:
    for name in NAMES:
        check(form, leaves_out, name)


@pytest.mark.parametrize(("form", "leaves_out"), READERS)
@given(name=st.binary(min_size=1, max_size=8).filter(is_name))
def test_random_names_too(form: Format, leaves_out: Callable[..., bool], name: bytes) -> None:
    check(form, leaves_out, name)


def check(form: Format, leaves_out: Callable[..., bool], name: bytes) -> None:
    directory = b"code/" + name
    file = compose(form, [f"/home/ada/{os.fsdecode(directory)}"], Source("~", "/home/ada"))
    is_listed = not file.left_out
    assert leaves_out(file.data, directory, is_directory=True) == is_listed
    assert not leaves_out(file.data, directory, is_directory=False)
    others = {other for other in neighbours(name) if is_name(other)} - {name}
    for other in (*(b"code/" + other for other in others), name, b"deeper/" + directory, b"code"):
        assert not leaves_out(file.data, other, is_directory=True), other


@pytest.mark.skipif(sys.platform != "linux", reason="names that macOS refuses")
@pytest.mark.needs("rg")
@pytest.mark.slow
def test_ripgrep_leaves_out_what_rustics_glob_file_names(tmp_path: Path) -> None:
    tree = plant(tmp_path / "the source", NAMES)
    file = compose(rustic.FORMAT, map(os.fsdecode, tree.excluded))
    globs = [line for line in file.data.decode().split("\n")[:-1] if not line.startswith("#")]
    words = [word for line in globs for word in ("--glob", line)]

    done = subprocess.run(
        ["rg", "--files", "--null", "--hidden", "--no-ignore", *words, tree.root],
        cwd="/",  # globs with a slash count from where it runs; rustic's count from the root
        capture_output=True,
        check=True,
    )

    root = os.fsencode(tree.root)
    found = {os.path.relpath(path, root) for path in done.stdout.split(b"\0")[:-1]}
    expected = tree.without(frozenset(map(os.fsencode, file.listed)))
    assert found == {path for path in expected if os.path.isfile(os.path.join(root, path))}
