"""What `regrow mark`, `regrow venv` and the library refuse, and what doctor says of such marks."""

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regrow as library
from regrow.decide import refusals
from regrow_marks.directory import open_directory
from tests import attributes
from tests.conftest import Regrow
from tests.mounts import mounted_image
from tests.sweeping import Inside

linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")
ATTRIBUTE = "user.xdg.robots.backup"

pytestmark = linux


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


def is_marked(path: Path) -> bool:
    return ATTRIBUTE in attributes.names(path)


def records_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.toml"))


@pytest.fixture
def code(home: Path) -> Path:
    place = home / "code"
    place.mkdir()
    return place


@pytest.fixture
def refused(regrow: Regrow, home: Path, records_directory: Path) -> Callable[..., str]:
    """Asks for a mark that must be refused, and for another one that must not; gives the words."""
    other = home / "ordinary"
    other.mkdir()

    def ask(path: Path | str, *, true_path: Path | None = None) -> str:
        before = records_in(records_directory)
        done = regrow("mark", path)
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert "not marked: " in done.stderr
        assert "`regrow mark --force` marks it all the same" in done.stderr
        assert not is_marked(true_path or Path(path))
        assert records_in(records_directory) == before
        [failed, fine] = regrow.json("mark", path, other)
        assert failed["outcome"] == "failed"
        assert failed["error"] in done.stderr
        assert fine["outcome"] in ("marked", "already marked")
        return done.stderr

    return ask


def forced(regrow: Regrow, path: Path) -> None:
    done = regrow("mark", "--force", path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert is_marked(path)


# --- homes


def test_the_home_directory_and_what_holds_it_are_refused(
    refused: Callable[..., str], home: Path, regrow: Regrow
) -> None:
    assert f"it is the home directory {home}" in refused(home)
    assert f"it holds {home}" in refused(home.parent)
    assert f"it holds {home}" in refused(home.parent.parent)
    forced(regrow, home)


@pytest.mark.parametrize("spelling", ["{}/", "{}/.", "{}/code/..", "{}//", "{}/link/."])
def test_however_home_is_spelled(
    spelling: str, refused: Callable[..., str], home: Path, code: Path
) -> None:
    (home / "link").symlink_to(home)
    assert "it is the home directory" in refused(spelling.format(home), true_path=home)


def test_home_is_refused_from_inside_and_by_a_linked_home(
    regrow: Regrow, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    for words, place in ((".", home), ("..", home / "code")):
        place.mkdir(exist_ok=True)
        done = regrow("mark", words, cwd=place)
        assert done.returncode == 1
        assert "it is the home directory" in done.stderr
    assert not is_marked(home)


@pytest.mark.needs_root
@pytest.mark.parametrize("value", [None, "/nowhere", "relative", ""])
def test_the_user_database_is_asked_whatever_home_says(
    value: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", value)
    with open_directory(pwd.getpwuid(os.getuid()).pw_dir) as directory:
        reason = refusals.Refusals().of_place(directory)
    assert reason is not None
    assert "it is the home directory" in reason.text


@pytest.mark.needs_root
def test_another_users_home_is_refused(home: Path, open_place: Path) -> None:
    if shutil.which("useradd") is None:
        pytest.skip("needs useradd")
    name = f"regrow{os.getpid()}"
    place = open_place / "homes" / name
    place.parent.mkdir()
    subprocess.run(["useradd", "-m", "-d", str(place), name], check=True, capture_output=True)
    try:
        with open_directory(place) as directory:
            found = refusals.Refusals().of_place(directory)
        assert found is not None
        assert f"it is the home directory {place}" in found.text
        with open_directory(place.parent) as directory:
            found = refusals.Refusals().of_place(directory)
        assert found is not None
        assert f"it holds {place}" in found.text
    finally:
        subprocess.run(["userdel", "-f", name], check=True, capture_output=True)


def test_the_root_directory_is_refused(regrow: Regrow) -> None:
    done = regrow("mark", "/")
    assert done.returncode == 1
    assert ATTRIBUTE not in attributes.names("/")


# --- mount points


@pytest.mark.needs_root
def test_mount_points_and_what_holds_them_are_refused(
    refused: Callable[..., str], tmp_path: Path, regrow: Regrow
) -> None:
    with mounted_image(tmp_path, "ext4") as root:
        assert "it is a mount point" in refused(root)
        (root / "out").mkdir()
        assert regrow("mark", root / "out").returncode == 0
        forced(regrow, root)
        holder = tmp_path / "holder"
        (holder / "deep/inside").mkdir(parents=True)
        subprocess.run(["mount", "--bind", root, holder / "deep/inside"], check=True)
        try:
            said = refused(holder)
            assert f"a file system is mounted inside it, at {holder}/deep/inside" in said
        finally:
            subprocess.run(["umount", holder / "deep/inside"], check=True)


@pytest.mark.needs_root
def test_a_bind_mount_of_the_same_file_system_is_a_mount_point(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "from", tmp_path / "to"], check=True)
    try:
        assert "it is a mount point" in refused(tmp_path / "to")
    finally:
        subprocess.run(["umount", tmp_path / "to"], check=True)


# --- version control inside


@pytest.mark.parametrize("name", [name for name in refusals.VERSION_CONTROL if name != "CVS"])
@pytest.mark.parametrize("kind", ["directory", "file"])
@pytest.mark.parametrize("place", ["", "a", "a/node_modules/.hidden/b"])
def test_version_control_anywhere_inside_is_refused(
    name: str, kind: str, place: str, refused: Callable[..., str], code: Path
) -> None:
    inside = code / "scratch" / place
    inside.mkdir(parents=True)
    if kind == "file":
        (inside / name).write_text("gitdir: ../elsewhere\n")
    else:
        (inside / name).mkdir()
    assert f"it holds version control: {inside / name} (" in refused(code / "scratch")


def test_what_cvs_tracks_is_refused_and_not_what_is_called_like_it(
    refused: Callable[..., str], regrow: Regrow, code: Path
) -> None:
    (code / "CVS/out").mkdir(parents=True)
    assert regrow("mark", code / "CVS/out").returncode == 0
    assert regrow("mark", code / "CVS").returncode == 0
    (code / "all/shop/CVS").mkdir(parents=True)
    assert regrow("mark", code / "all").returncode == 0
    (code / "all/shop/CVS/Root").write_text(":local:/srv/cvs\n")
    assert f"it holds version control: {code}/all/shop/CVS (CVS)" in refused(code / "all/shop")


@pytest.mark.needs("git")
def test_a_bare_repository_is_version_control(refused: Callable[..., str], code: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", code / "all/shop.git"], check=True)
    assert f"{code}/all/shop.git (git, bare)" in refused(code / "all")
    assert "version control" in refused(code / "all/shop.git")


@pytest.mark.needs("git")
def test_what_belongs_to_version_control_is_refused(
    refused: Callable[..., str], code: Path
) -> None:
    subprocess.run(["git", "init", "-q", code], check=True)
    assert "it belongs to version control: .git is git's" in refused(code / ".git")
    assert "it belongs to version control" in refused(code / ".git/objects")


def test_links_are_not_followed(regrow: Regrow, code: Path) -> None:
    (code / "project/.git").mkdir(parents=True)
    (code / "scratch").mkdir()
    (code / "scratch/link").symlink_to(code / "project")
    assert regrow("mark", code / "scratch").returncode == 0


def test_what_cannot_be_read_is_named(
    tmp_path: Path, open_place: Path, as_ordinary_user: Callable[[Callable[[], Any]], Any]
) -> None:
    shut = open_place / "scratch/deep/shut"
    shut.mkdir(parents=True)
    shut.chmod(0)

    def look() -> str:
        with open_directory(open_place / "scratch") as directory:
            reason = refusals.version_control_inside(directory)
        assert reason is not None
        assert not reason.is_certain
        return reason.text

    assert as_ordinary_user(look).startswith(f"{shut}, inside it, can't be read: no permission")


def test_what_is_too_large_to_look_through_is_refused(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (code / f"{number}/below").mkdir(parents=True)
    monkeypatch.setattr(refusals, "_ENTRIES_LIMIT", 25)
    with open_directory(code) as directory:
        reason = refusals.Refusals().of_contents(directory)
    assert reason is not None
    assert "it is too large to look through: " in reason.text
    with open_directory(code) as directory:
        reason = refusals.Refusals(patience=-1).of_contents(directory)
    assert reason is not None
    assert "it is too large to look through: " in reason.text


# --- tracked files


@pytest.mark.needs("git")
def test_what_git_tracks_files_in_is_refused(
    refused: Callable[..., str], regrow: Regrow, code: Path
) -> None:
    subprocess.run(["git", "init", "-q", code], check=True)
    for name in ("tracked/deep/file", "ignored/file", "untracked/file"):
        (code / name).parent.mkdir(parents=True)
        (code / name).touch()
    (code / ".gitignore").write_text("ignored/\n")
    subprocess.run(["git", "-C", code, "add", "tracked"], check=True)
    assert f"git tracks {code}/tracked/deep/file" in refused(code / "tracked")
    assert f"git tracks {code}/tracked/deep/file" in refused(code / "tracked/deep")
    for name in ("ignored", "untracked"):
        assert regrow("mark", code / name).returncode == 0
    forced(regrow, code / "tracked")


@pytest.mark.needs("git")
def test_where_git_cannot_answer_a_mark_is_refused(refused: Callable[..., str], code: Path) -> None:
    subprocess.run(["git", "init", "-q", code], check=True)
    (code / "out").mkdir()
    (code / ".git/index").write_text("no index")
    assert "git can't say whether it tracks anything inside" in refused(code / "out")


def working_copy(code: Path, kind: str) -> None:
    """Write the list of a working copy that tracks kept/file, as the program would name it."""
    if kind == ".hg":
        (code / ".hg").mkdir()
        entry = b"n" + b"\0" * 15 + b"\x09" + b"kept/file"
        (code / ".hg/dirstate").write_bytes(b"\0" * 40 + entry)
    elif kind == ".jj":
        (code / ".jj/working_copy").mkdir(parents=True)
        (code / ".jj/working_copy/tree_state").write_bytes(b"\x12\x0d\x0a\x09kept/file\x12\x00")
    else:
        name = ".svn/wc.db" if kind == ".svn" else kind
        (code / name).parent.mkdir(exist_ok=True)
        with sqlite3.connect(code / name) as database:
            database.execute("create table nodes (id integer, local_relpath text)")
            database.execute("insert into nodes values (1, 'kept/file')")
        database.close()


@pytest.mark.parametrize("kind", [".hg", ".svn", ".fslckout", "_FOSSIL_", ".jj"])
def test_what_other_version_control_tracks_files_in_is_refused(
    kind: str, refused: Callable[..., str], regrow: Regrow, code: Path
) -> None:
    working_copy(code, kind)
    for name in ("kept", "out"):
        (code / name).mkdir()
    assert "tracks files in it: " in refused(code / "kept")
    assert regrow("mark", code / "out").returncode == 0


@pytest.mark.parametrize("kind", [".bzr", "_darcs", ".pijul"])
def test_what_version_control_cannot_be_asked_about_is_refused(
    kind: str, refused: Callable[..., str], code: Path
) -> None:
    (code / kind).mkdir()
    (code / "out").mkdir()
    assert f"it lies in {code}, and regrow can't tell what" in refused(code / "out")


def test_a_name_across_two_reads_is_found(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_CHUNK", 7)
    for before in range(20):
        (code / "list").write_bytes(b"x" * before + b"kept/file")
        assert refusals._mentions(str(code / "list"), b"kept/")
        assert not refusals._mentions(str(code / "list"), b"out/")


# --- sources of marked projects, and the records


def test_what_holds_the_sources_of_marked_projects_is_refused(
    refused: Callable[..., str], regrow: Regrow, code: Path
) -> None:
    modules = code / "shop/node_modules"
    modules.mkdir(parents=True)
    (code / "shop/package.json").touch()
    assert regrow("mark", modules).returncode == 0
    expected = f"it holds {code}/shop/package.json, beside {modules}, which regrow marked"
    assert expected in refused(code)
    assert expected in refused(code / "shop")
    modules.rmdir()
    assert expected in refused(code), "what is gone was there for its sources, too"
    forced(regrow, code)


def test_marked_directories_alone_are_no_sources(regrow: Regrow, code: Path) -> None:
    for name in ("envs/a", "envs/b/c"):
        (code / name).mkdir(parents=True)
        assert regrow("mark", code / name).returncode == 0
    assert regrow("mark", code / "envs").returncode == 0
    (code / ".tox/py311").mkdir(parents=True)
    (code / ".tox/log").mkdir()
    assert regrow("mark", code / ".tox/py311").returncode == 0
    assert regrow("mark", code / ".tox").returncode == 0


def test_regrows_own_records_are_not_left_out(
    refused: Callable[..., str], regrow: Regrow, code: Path, records_directory: Path
) -> None:
    (code / "out").mkdir()
    regrow("mark", code / "out")
    for place in (records_directory, records_directory.parent, records_directory.parent.parent):
        assert f"regrow's own records are in {records_directory}" in refused(place)


# --- the other ways in


def test_venv_refuses_what_stands_there(regrow: Regrow, home: Path, code: Path) -> None:
    done = regrow("venv", "--creator", "venv", home)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{home}: not marked: it is the home directory" in done.stderr
    assert "`regrow venv --force` takes it all the same" in done.stderr
    assert not is_marked(home)

    env = code / "env"
    (env / "src/mine/.git").mkdir(parents=True)
    (env / "pyvenv.cfg").touch()
    done = regrow("venv", "--creator", "venv", "--clear", env)
    assert done.returncode == 1
    assert f"it holds version control: {env}/src/mine/.git" in done.stderr
    assert (env / "src/mine/.git").is_dir()


def test_the_library_refuses_places_and_looks_at_nothing_inside(home: Path, code: Path) -> None:
    for call in (library.exclude, library.create):
        for place in (home, home.parent):
            with pytest.raises(library.RefusedError, match="home"):
                call(place)
            assert not is_marked(place)
    (code / ".git").mkdir()
    assert library.exclude(code)["xdg-robots"].state == "marked"


def test_an_environment_with_a_checkout_inside_is_not_marked_by_the_builder(code: Path) -> None:
    (code / "pyvenv.cfg").touch()
    (code / "src/mine/.git").mkdir(parents=True)
    builder = library.EnvBuilder(symlinks=True)
    builder.create(code)
    assert builder.outcomes == {}
    assert not is_marked(code)


# --- doctor


def misplaced(regrow: Regrow, place: Path) -> list[dict[str, Any]]:
    done = regrow("doctor", "--json", place)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [line for line in lines if line["name"] == "misplaced"]
    assert done.returncode == int(any(line["state"] == "wrong" for line in lines))
    return found


def test_doctor_reports_marks_on_homes_whoever_set_them(
    regrow: Regrow, home: Path, tmp_path: Path
) -> None:
    [fine] = misplaced(regrow, tmp_path)
    assert fine["state"] == "ok"
    attributes.put(home, ATTRIBUTE, b"false")
    (home.parent / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    above, at_home = misplaced(regrow, tmp_path)
    assert (above["state"], at_home["state"]) == ("wrong", "wrong")
    assert f"{home} is left out of backups" in at_home["text"]
    assert at_home["remedy"] == f"take it off: `regrow unmark {home}`"
    assert f"it holds {home}" in above["text"]
    assert f"`rm {home.parent}/CACHEDIR.TAG`" in above["remedy"]
    assert regrow("unmark", home).returncode == 0
    (home.parent / "CACHEDIR.TAG").unlink()
    assert misplaced(regrow, tmp_path) == [fine]


def test_doctor_reports_marks_on_sources(regrow: Regrow, code: Path, tmp_path: Path) -> None:
    project = code / "with blank"
    project.mkdir()
    assert regrow("mark", project).returncode == 0
    (project / "deep/.git").mkdir(parents=True)
    [found] = misplaced(regrow, tmp_path)
    assert found["state"] == "wrong"
    assert f"it holds version control: {project}/deep/.git" in found["text"]
    assert found["remedy"] == f"take it off: `regrow unmark '{project}'`"
    assert "what regrow marked" not in found["text"]


def test_what_packages_bring_along_in_a_recognised_directory_is_no_fault(
    regrow: Regrow, code: Path, tmp_path: Path
) -> None:
    modules = code / "shop/node_modules"
    (modules / "git-client/test/.git").mkdir(parents=True)
    (code / "shop/package.json").write_text("{}")
    (code / "shop/package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    (modules / ".package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    assert regrow("sweep", "--yes", code).returncode == 0
    if is_marked(modules):  # else a guard keeps it
        [found] = misplaced(regrow, tmp_path)
        assert found["state"] == "ok"
        (modules / ".git").mkdir()
        [found] = misplaced(regrow, tmp_path)
        assert found["state"] == "wrong"


# --- what is shown


def test_progress_is_shown_on_a_terminal_alone(
    code: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        (code / f"{number}").mkdir()
    monkeypatch.setattr(refusals, "_PROGRESS_EVERY", -1.0)
    told: list[int] = []
    with open_directory(code) as directory:
        assert refusals.Refusals(progress=told.append).of_contents(directory) is None
    assert told[-1] == 5
