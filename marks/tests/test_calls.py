"""The calls that tools make: exclude, include, is_excluded, create."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import regrow_marks
from regrow_marks import directory, tag
from regrow_marks.markers import CACHEDIR_TAG


@pytest.mark.parametrize("inside", ["pyvenv.cfg", "conda-meta/history"])
def test_environments_get_a_tag_too(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    assert regrow_marks.exclude(tmp_path)[CACHEDIR_TAG].state == "marked"
    assert (tmp_path / "CACHEDIR.TAG").read_bytes().startswith(tag.SIGNATURE)


def test_a_directory_called_pyvenv_cfg_makes_no_environment(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").mkdir()
    assert CACHEDIR_TAG not in regrow_marks.exclude(tmp_path)


def test_the_signature_is_the_specifications() -> None:
    import hashlib

    assert len(tag.SIGNATURE) == 43
    digest = hashlib.md5(b".IsCacheDirectory").hexdigest()
    assert f"Signature: {digest}".encode() == tag.SIGNATURE


def test_writing_and_taking_away_a_tag_leaves_the_directorys_times(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(10**18, 10**18 + 7))
    regrow_marks.exclude(tmp_path, tag=True)
    assert tmp_path.stat().st_mtime_ns == 10**18 + 7
    regrow_marks.include(tmp_path)
    assert os.listdir(tmp_path) == []
    assert tmp_path.stat().st_mtime_ns == 10**18 + 7


def test_a_tag_without_the_signature_is_reported_and_left(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_text("mine\n")
    outcome = regrow_marks.exclude(tmp_path, tag=True)[CACHEDIR_TAG]
    assert outcome.state == "failed"
    assert "without the signature" in outcome.error
    assert (tmp_path / "CACHEDIR.TAG").read_text() == "mine\n"


def test_an_empty_tag_is_completed(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").touch()
    assert regrow_marks.exclude(tmp_path, tag=True)[CACHEDIR_TAG].state == "marked"
    assert (tmp_path / "CACHEDIR.TAG").read_bytes().startswith(tag.SIGNATURE)


def test_include_leaves_another_programs_tag_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_bytes(tag.SIGNATURE + b"\n# by uv\n")
    outcome = regrow_marks.include(tmp_path)[CACHEDIR_TAG]
    assert outcome.state == "not marked"
    assert "another program wrote it" in outcome.error
    assert (tmp_path / "CACHEDIR.TAG").exists()


def test_is_excluded_tells_the_mark_the_place_and_the_option(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    regrow_marks.exclude(tmp_path / "a", tag=True)
    place = os.path.realpath(tmp_path / "a")
    for path in (tmp_path / "a", inner, inner / "file"):
        verdicts = regrow_marks.is_excluded(path)
        assert verdicts["restic"] == regrow_marks.Exclusion(CACHEDIR_TAG, place, "--exclude-caches")
        assert verdicts["kopia"] == regrow_marks.Exclusion(CACHEDIR_TAG, place, None)
    assert regrow_marks.is_excluded(tmp_path)["restic"] is None


def test_create_makes_a_marked_empty_directory(tmp_path: Path) -> None:
    outcomes = regrow_marks.create(tmp_path / "new")
    assert outcomes
    assert all(outcome.holds for outcome in outcomes.values())
    assert os.listdir(tmp_path) == ["new"]
    assert os.listdir(tmp_path / "new") == []


def test_create_obeys_the_umask_as_mkdir_does(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        regrow_marks.create(tmp_path / "new")
        (tmp_path / "plain").mkdir()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_create_takes_an_empty_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert all(outcome.holds for outcome in regrow_marks.create(tmp_path / "new").values())


def test_create_never_marks_a_directory_that_holds_files(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    with pytest.raises(regrow_marks.PathError, match="with files in it"):
        regrow_marks.create(tmp_path / "precious")
    assert all(
        verdict is None for verdict in regrow_marks.is_excluded(tmp_path / "precious").values()
    )


def test_create_again_on_a_marked_and_filled_directory_is_success(tmp_path: Path) -> None:
    regrow_marks.create(tmp_path / "new")
    (tmp_path / "new/file").touch()
    assert {outcome.state for outcome in regrow_marks.create(tmp_path / "new").values()} == {
        "already marked"
    }


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a/..", "missing/new", "nul\0l"])
def test_create_refuses_a_path_that_names_no_new_directory(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(regrow_marks.PathError):
        regrow_marks.create(path)
    assert os.listdir(tmp_path) == []


def test_paths_may_be_text_bytes_or_path_objects(tmp_path: Path) -> None:
    for given in (str(tmp_path), os.fsencode(tmp_path), tmp_path):
        regrow_marks.exclude(given)
        assert regrow_marks.is_excluded(given)
        regrow_marks.include(given)


def test_a_missing_path_is_an_error_that_names_it(tmp_path: Path) -> None:
    for function in (regrow_marks.exclude, regrow_marks.include, regrow_marks.is_excluded):
        with pytest.raises(regrow_marks.PathError, match=r"missing: it does not exist"):
            function(tmp_path / "missing")


def test_home_directories_and_what_holds_them_are_refused(home: Path) -> None:
    (home / ".cache").mkdir()
    for call in (regrow_marks.exclude, regrow_marks.create):
        for path in (home, home.parent):
            with pytest.raises(regrow_marks.RefusedError, match="not marked: it"):
                call(path)
    assert all(outcome.holds for outcome in regrow_marks.exclude(home / ".cache").values())


def test_the_calls_need_the_standard_library_alone_and_little_of_it(tmp_path: Path) -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import regrow_marks
place = sys.argv[2] + "/new"
regrow_marks.create(place)
regrow_marks.exclude(place, tag=True)
regrow_marks.is_excluded(place)
regrow_marks.include(place)
print(*set(sys.modules) - before)
"""
    source = str(Path(regrow_marks.__file__).parent.parent)
    # -I and -S: nothing that is installed can be imported
    words = [sys.executable, "-I", "-S", "-c", code, source, str(tmp_path)]
    imported = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert "regrow_marks" in imported
    heavy = {"dataclasses", "inspect", "json", "pathlib", "re", "subprocess", "tempfile", "typing"}
    assert heavy.isdisjoint(imported)


@pytest.mark.parametrize("module", [regrow_marks, directory])
def test_the_examples_in_docstrings_run(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node_modules").mkdir()
    known: dict[str, Any] = {}
    exec(example, known)
    assert known["outcomes"]
    assert all(outcome.holds for outcome in known["outcomes"].values())
