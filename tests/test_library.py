import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import regrow
from regrow.programs import catalogue, effect
from regrow.records import store
from regrow_marks import directory, tag
from regrow_marks.markers import CACHEDIR_TAG, NODUMP, XDG_ROBOTS
from tests import attributes

linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")
ATTRIBUTE = "user.xdg.robots.backup"


def attribute(path: Path) -> bytes | None:
    return attributes.get(path, ATTRIBUTE)


@linux
def test_exclude_sets_the_attribute_and_says_so(tmp_path: Path) -> None:
    first = regrow.exclude(tmp_path)
    again = regrow.exclude(tmp_path)
    assert first == {XDG_ROBOTS: regrow.Outcome("marked")}
    assert again == {XDG_ROBOTS: regrow.Outcome("already marked")}
    assert attribute(tmp_path) == b"false"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("inside", ["pyvenv.cfg", "conda-meta/history"])
def test_environments_get_a_tag_too(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    assert regrow.exclude(tmp_path)[CACHEDIR_TAG].state == "marked"
    assert (tmp_path / "CACHEDIR.TAG").read_bytes().startswith(tag.SIGNATURE)


def test_a_directory_called_pyvenv_cfg_makes_no_environment(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").mkdir()
    assert CACHEDIR_TAG not in regrow.exclude(tmp_path)


def test_the_signature_is_the_specifications() -> None:
    import hashlib

    assert len(tag.SIGNATURE) == 43
    digest = hashlib.md5(b".IsCacheDirectory").hexdigest()
    assert f"Signature: {digest}".encode() == tag.SIGNATURE


def test_writing_and_taking_away_a_tag_leaves_the_directorys_times(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(10**18, 10**18 + 7))
    regrow.exclude(tmp_path, tag=True)
    assert tmp_path.stat().st_mtime_ns == 10**18 + 7
    regrow.include(tmp_path)
    assert os.listdir(tmp_path) == []
    assert tmp_path.stat().st_mtime_ns == 10**18 + 7


def test_a_tag_without_the_signature_is_reported_and_left(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_text("mine\n")
    outcome = regrow.exclude(tmp_path, tag=True)[CACHEDIR_TAG]
    assert outcome.state == "failed"
    assert "without the signature" in outcome.error
    assert (tmp_path / "CACHEDIR.TAG").read_text() == "mine\n"


def test_an_empty_tag_is_completed(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").touch()
    assert regrow.exclude(tmp_path, tag=True)[CACHEDIR_TAG].state == "marked"
    assert (tmp_path / "CACHEDIR.TAG").read_bytes().startswith(tag.SIGNATURE)


def test_include_leaves_another_programs_tag_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "CACHEDIR.TAG").write_bytes(tag.SIGNATURE + b"\n# by uv\n")
    outcome = regrow.include(tmp_path)[CACHEDIR_TAG]
    assert outcome.state == "not marked"
    assert "another program wrote it" in outcome.error
    assert (tmp_path / "CACHEDIR.TAG").exists()


@linux
def test_another_value_of_the_attribute_is_no_mark_and_is_replaced(tmp_path: Path) -> None:
    attributes.put(tmp_path, ATTRIBUTE, b"true")
    assert regrow.is_excluded(tmp_path)["borg2"] is None
    assert regrow.exclude(tmp_path)[XDG_ROBOTS].state == "marked"
    assert attribute(tmp_path) == b"false"


@linux
def test_include_takes_the_attribute_away_whoever_set_it(tmp_path: Path) -> None:
    attributes.put(tmp_path, ATTRIBUTE, b"false")
    assert regrow.include(tmp_path)[XDG_ROBOTS].state == "unmarked"
    assert regrow.include(tmp_path)[XDG_ROBOTS].state == "not marked"
    assert attribute(tmp_path) is None


def test_is_excluded_tells_the_mark_the_place_and_the_option(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    regrow.exclude(tmp_path / "a", tag=True)
    place = os.path.realpath(tmp_path / "a")
    for path in (tmp_path / "a", inner, inner / "file"):
        verdicts = regrow.is_excluded(path)
        assert verdicts["restic"] == regrow.Exclusion(CACHEDIR_TAG, place, "--exclude-caches")
        assert verdicts["kopia"] == regrow.Exclusion(CACHEDIR_TAG, place, None)
    assert regrow.is_excluded(tmp_path)["restic"] is None


@linux
def test_a_mark_that_needs_no_option_is_named_before_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    regrow.exclude(tmp_path)
    regrow.exclude(tmp_path / "inner", tag=True)
    found = regrow.is_excluded(tmp_path / "inner")["borg2"]
    assert found is not None
    assert (found.marker, found.option) == (XDG_ROBOTS, None)


@linux
@pytest.mark.needs("chattr")
def test_nodump_is_read_and_never_set_by_default(tmp_path: Path) -> None:
    regrow.exclude(tmp_path, tag=True)
    assert regrow.is_excluded(tmp_path)["bsdtar"] is None
    if subprocess.run(["chattr", "+d", tmp_path], capture_output=True).returncode != 0:
        pytest.skip("this file system has no flags")
    found = regrow.is_excluded(tmp_path)["bsdtar"]
    assert found == regrow.Exclusion(NODUMP, os.path.realpath(tmp_path), "--nodump")


def test_create_makes_a_marked_empty_directory(tmp_path: Path) -> None:
    outcomes = regrow.create(tmp_path / "new")
    assert outcomes
    assert all(outcome.holds for outcome in outcomes.values())
    assert os.listdir(tmp_path) == ["new"]
    assert os.listdir(tmp_path / "new") == []


def test_create_obeys_the_umask_as_mkdir_does(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        regrow.create(tmp_path / "new")
        (tmp_path / "plain").mkdir()
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_create_takes_an_empty_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert all(outcome.holds for outcome in regrow.create(tmp_path / "new").values())


def test_create_never_marks_a_directory_that_holds_files(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    with pytest.raises(regrow.PathError, match="with files in it"):
        regrow.create(tmp_path / "precious")
    assert all(verdict is None for verdict in regrow.is_excluded(tmp_path / "precious").values())


def test_create_again_on_a_marked_and_filled_directory_is_success(tmp_path: Path) -> None:
    regrow.create(tmp_path / "new")
    (tmp_path / "new/file").touch()
    assert {outcome.state for outcome in regrow.create(tmp_path / "new").values()} == {
        "already marked"
    }


@pytest.mark.parametrize("path", ["", ".", "..", "/", "a/..", "missing/new", "nul\0l"])
def test_create_refuses_a_path_that_names_no_new_directory(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(regrow.PathError):
        regrow.create(path)
    assert os.listdir(tmp_path) == []


def test_paths_may_be_text_bytes_or_path_objects(tmp_path: Path) -> None:
    for given in (str(tmp_path), os.fsencode(tmp_path), tmp_path):
        regrow.exclude(given)
        assert regrow.is_excluded(given)
        regrow.include(given)


def test_a_missing_path_is_an_error_that_names_it(tmp_path: Path) -> None:
    for function in (regrow.exclude, regrow.include, regrow.is_excluded):
        with pytest.raises(regrow.PathError, match=r"missing: it does not exist"):
            function(tmp_path / "missing")


def test_the_library_imports_the_standard_library_alone() -> None:
    code = """
import sys, tempfile, regrow
with tempfile.TemporaryDirectory() as place:
    regrow.create(place + "/new")
    regrow.exclude(place, tag=True)
    regrow.is_excluded(place)
    regrow.include(place)
known = sys.stdlib_module_names | {"regrow", "__main__"}
print(sorted({name.partition(".")[0] for name in sys.modules} - known))
"""
    # -S: without site, whose hooks (editable installs, coverage) import what they like
    source = str(Path(regrow.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_every_program_can_be_named_and_states_markers_that_exist() -> None:
    from regrow_marks import markers

    assert list(catalogue.names()) == sorted(catalogue.names())
    for program in catalogue.PROGRAMS:
        assert catalogue.program(program.name) is program
        assert program.honours
        assert program.honours.keys() <= set(markers.NAMES)


def test_programs_in_use_are_the_configured_or_those_that_honour_a_mark_set_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        catalogue, "installed", lambda: (catalogue.program("bsdtar"), catalogue.program("tar"))
    )
    monkeypatch.setattr(sys, "platform", "linux")
    names = [program.name for program in catalogue.in_use(None, [XDG_ROBOTS, CACHEDIR_TAG])]
    assert names == ["tar"]
    assert [p.name for p in catalogue.in_use(["bsdtar"], [XDG_ROBOTS])] == ["bsdtar"]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert [p.name for p in catalogue.in_use(None, ["time-machine"])] == ["time-machine"]


def test_an_attribute_above_a_mounted_volume_does_not_cover_it_for_time_machine() -> None:
    program = catalogue.program("time-machine")
    above = effect.Mark("time-machine", "/Volumes", same_volume=False)
    nearer = effect.Mark("time-machine", "/Volumes/disk", same_volume=True)
    assert effect.exclusion(program, [above]) is None
    assert effect.exclusion(program, [nearer, above]) == regrow.Exclusion(
        "time-machine", "/Volumes/disk"
    )
    assert effect.exclusion(catalogue.program("borg2"), [above]) is not None


def test_one_command_that_serves_two_programs_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    borg = tmp_path / "borg"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for version, name in (("borg 1.4.5", "borg"), ("borg 2.0.0b23", "borg2")):
        borg.write_text(f"#!/bin/sh\necho {version}\n")
        borg.chmod(0o755)
        found = [program.name for program in catalogue.installed() if "borg" in program.name]
        assert found == [name]


@pytest.mark.parametrize("module", [regrow, directory, store])
def test_the_examples_in_docstrings_run(module: object) -> None:
    done = doctest.testmod(module)  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
