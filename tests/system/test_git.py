"""Questions to git: repositories of every shape are answered, and none makes regrow wait."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regrow.errors import GitError
from regrow.system import git, git_directory
from regrow.system.git import Verdict
from tests.conftest import NOBODY
from tests.sweeping import git as run_git

pytestmark = pytest.mark.needs("git")
PATIENCE = 5.0  # seconds for what takes some hundredths of one unless it waits
NAMES = ("tracked", "ignored", "plain")


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 2 * PATIENCE


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "place"


def fill(place: Path) -> Path:
    """Put a directory that git tracks, one that it ignores and one of neither kind in a tree."""
    for name in NAMES:
        (place / name).mkdir(parents=True)
        (place / name / "file").write_text(name)
    (place / ".gitignore").write_text("ignored\n")
    return place


def init(place: Path, *words: str) -> Path:
    fill(place)
    subprocess.run(["git", "init", "-q", *words, place], check=True, capture_output=True)
    run_git(place, "add", "tracked", ".gitignore")
    run_git(place, "commit", "-q", "-m", "all")
    return place


def ask(place: Path, *names: str) -> dict[str, Verdict]:
    paths = [str(place / name) for name in names or NAMES]
    return {os.path.relpath(path, place): one for path, one in git.ask(str(place), paths).items()}


ANSWERS = {
    "tracked": Verdict(tracked="tracked/file"),
    "ignored": Verdict(is_ignored=True),
    "plain": Verdict(),
}


# Shapes.


def test_an_ordinary_repository_is_answered(place: Path) -> None:
    assert ask(init(place)) == ANSWERS


@pytest.mark.parametrize("words", [("--object-format=sha256",), ("--ref-format=reftable",)])
def test_other_formats_are_answered(place: Path, words: tuple[str, ...]) -> None:
    try:
        init(place, *words)
    except subprocess.CalledProcessError:
        pytest.skip(f"this git knows no {words[0]}")
    assert ask(place) == ANSWERS


def test_a_repository_without_a_commit_is_answered(place: Path) -> None:
    fill(place)
    run_git(place, "init", "-q")
    assert ask(place) == {**ANSWERS, "tracked": Verdict()}


INDEXES = {
    "split": ("update-index", "--split-index"),
    "untracked cache": ("update-index", "--force-untracked-cache"),
    "version 4": ("update-index", "--index-version", "4"),
    "skipped": ("update-index", "--skip-worktree", "tracked/file"),
    "assumed unchanged": ("update-index", "--assume-unchanged", "tracked/file"),
    "file system monitor": ("update-index", "--fsmonitor"),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_indexes_of_all_kinds_are_answered(place: Path, kind: str) -> None:
    init(place)
    run_git(place, *INDEXES[kind])
    (place / "tracked/more").touch()
    run_git(place, "add", "tracked/more")
    assert ask(place) == ANSWERS


def sparse(place: Path) -> Path:
    init(place)
    (place / "away").mkdir()
    (place / "away/file").touch()
    run_git(place, "add", "away")
    run_git(place, "commit", "-q", "-m", "away")
    try:
        run_git(place, "sparse-checkout", "init", "--cone", "--sparse-index")
    except subprocess.CalledProcessError:
        pytest.skip("this git knows no sparse index")
    run_git(place, "sparse-checkout", "set", "tracked")
    for name in ("ignored", "plain"):
        (place / name).mkdir(exist_ok=True)
    return place


def test_a_sparse_index_is_answered(place: Path) -> None:
    sparse(place)
    expected = {**ANSWERS, "away": Verdict(tracked="away/file")}
    assert ask(place, *NAMES, "away") == expected


def test_objects_that_lead_elsewhere_are_not_read(place: Path, tmp_path: Path) -> None:
    sparse(place)
    (place / ".git/objects/info").mkdir(exist_ok=True)
    (place / ".git/objects/info/alternates").write_text(f"{tmp_path}/nowhere\n")
    assert all(verdict.error for verdict in ask(place).values())


def test_a_sparse_index_whose_objects_are_missing_is_not_answered(place: Path) -> None:
    sparse(place)
    name = subprocess.run(
        ["git", "-C", place, "rev-parse", "HEAD:away"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (place / ".git/objects" / name[:2] / name[2:]).unlink()
    assert all(verdict.error for verdict in ask(place, "away", "plain").values())


def test_a_clone_that_shares_objects_is_answered(place: Path, tmp_path: Path) -> None:
    init(tmp_path / "original")
    run_git(tmp_path, "clone", "-q", "--shared", "original", place)
    for name in ("ignored", "plain"):
        (place / name).mkdir()
    assert ask(place) == ANSWERS


def test_a_work_tree_beside_the_main_one_is_answered(place: Path, tmp_path: Path) -> None:
    init(tmp_path / "main")
    run_git(tmp_path / "main", "worktree", "add", "-q", place)
    for name in ("ignored", "plain"):
        (place / name).mkdir()
    run_git(tmp_path / "main", "rm", "-q", "-r", "tracked")  # the other index is no concern here
    assert ask(place) == ANSWERS


def test_a_submodule_is_answered(place: Path, tmp_path: Path) -> None:
    init(tmp_path / "original")
    outer = init(tmp_path.resolve() / "outer")
    run_git(
        outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", tmp_path / "original",
        "sub",
    )  # fmt: skip
    for name in ("ignored", "plain"):
        (outer / "sub" / name).mkdir()
    assert ask(outer / "sub") == ANSWERS
    assert ask(outer, "sub") == {"sub": Verdict(tracked="sub")}


def test_a_git_directory_elsewhere_is_answered(place: Path, tmp_path: Path) -> None:
    assert ask(init(place, f"--separate-git-dir={tmp_path / 'separate'}")) == ANSWERS
    (place / ".git").unlink()
    (place / ".git").symlink_to(tmp_path / "separate")
    assert ask(place) == ANSWERS


@pytest.mark.needs_root
def test_a_git_directory_of_another_user_is_answered(place: Path) -> None:
    init(place)
    for path in (place / ".git", *(place / ".git").rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    assert ask(place) == ANSWERS


# Beside the work trees of a bare repository.


def bare(place: Path, tmp_path: Path) -> Path:
    init(tmp_path / "seed")
    fill(place)
    run_git(tmp_path, "clone", "-q", "--bare", "seed", place / ".bare")
    (place / ".git").write_text("gitdir: ./.bare\n")
    return place


@pytest.mark.parametrize("is_told_by_work_tree", [False, True])
def test_what_is_beside_the_work_trees_of_a_bare_repository_is_in_none(
    place: Path, tmp_path: Path, is_told_by_work_tree: bool
) -> None:
    bare(place, tmp_path)
    if is_told_by_work_tree:  # as git sparse-checkout does
        run_git(place / ".bare", "config", "--unset", "core.bare")
        run_git(place / ".bare", "config", "extensions.worktreeConfig", "true")
        run_git(place / ".bare", "config", "core.repositoryFormatVersion", "1")
        (place / ".bare/config.worktree").write_text("[core]\n\tbare = true\n")
    run_git(place / ".bare", "worktree", "add", "-q", place / "feature", "-b", "feature")
    for name in ("ignored", "plain"):
        (place / "feature" / name).mkdir()
    assert ask(place) == dict.fromkeys(NAMES, Verdict())
    assert ask(place / "feature") == ANSWERS


def test_a_work_tree_around_a_bare_repository_may_track_what_is_beside(
    place: Path, tmp_path: Path
) -> None:
    bare(init(place) / "inner", tmp_path)
    (place / "inner/.git").rename(tmp_path / "file")
    run_git(place, "add", "-f", "inner/tracked")
    (tmp_path / "file").rename(place / "inner/.git")
    (place / ".gitignore").write_text("inner\n")
    expected = {**dict.fromkeys(NAMES, Verdict()), "tracked": Verdict(tracked="inner/tracked/file")}
    assert ask(place / "inner") == expected


@pytest.mark.parametrize("bare", ["true", "yes", "1", ""])
def test_bare_is_read_as_git_reads_it(place: Path, bare: str) -> None:
    init(place)
    (place / ".git/config").write_text(f"[core]\n\tbare{f' = {bare}' if bare else ''}\n")
    assert ask(place) == dict.fromkeys(NAMES, Verdict())


def test_a_work_tree_that_is_elsewhere_is_not_answered(place: Path, tmp_path: Path) -> None:
    init(place)
    run_git(place, "config", "core.worktree", str(place))
    assert ask(place) == ANSWERS
    with (place / ".git/config").open("a") as file:
        file.write(f"[core]\n\tworktree = {tmp_path}\n")
    assert {verdict.error for verdict in ask(place).values()} == {
        f"{place}/.git: its work tree is {tmp_path} (core.worktree)"
    }


# Patterns.


def test_patterns_of_the_repository_come_after_those_of_its_user(place: Path, home: Path) -> None:
    init(place)
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("plain\nother\n")
    (place / "other").mkdir()
    ignored = Verdict(is_ignored=True)
    assert ask(place, "plain", "other") == {"plain": ignored, "other": ignored}
    (place / ".git/info/exclude").write_text("!plain\n")
    assert ask(place, "plain", "other") == {"plain": Verdict(), "other": ignored}
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("plain\n")
    assert ask(place, "plain", "other") == {"plain": Verdict(), "other": Verdict()}
    (place / ".git/info/exclude").unlink()
    assert ask(place, "plain", "other") == {"plain": ignored, "other": Verdict()}
    (place / ".gitignore").write_text("!plain\n")
    assert ask(place, "plain") == {"plain": Verdict()}


def test_a_file_of_patterns_that_the_repository_names_counts(place: Path, home: Path) -> None:
    init(place)
    for name in ("~/mine", str(home / "mine"), "../patterns"):
        path = place / Path(name).expanduser()
        path.write_text("plain\n")
        run_git(place, "config", "core.excludesFile", name)
        assert ask(place, "plain") == {"plain": Verdict(is_ignored=True)}
        path.unlink()
        assert ask(place, "plain") == {"plain": Verdict()}


def test_names_are_compared_as_the_repository_says(place: Path) -> None:
    init(place)
    (place / ".gitignore").write_text("PLAIN\n")
    assert ask(place, "plain") == {"plain": Verdict()}
    run_git(place, "config", "core.ignoreCase", "true")
    assert ask(place, "plain") == {"plain": Verdict(is_ignored=True)}


# What git would wait for, or never come to an end with.

WAITS = [
    ".git", ".git/HEAD", ".git/config", ".git/commondir", ".git/index", ".git/info/exclude",
    ".gitignore", "patterns", "plain/.git/HEAD",
]  # fmt: skip


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("kind", ["FIFO", "link to a FIFO", "link to a device"])
def test_nothing_waits_for_a_special_file(place: Path, name: str, kind: str) -> None:
    init(place)
    if name == "patterns":
        run_git(place, "config", "core.excludesFile", "patterns")
    special = place / name
    special.parent.mkdir(exist_ok=True)
    if special.exists():
        special.rename(place / "old")
    if kind == "FIFO":
        os.mkfifo(special)
    elif kind == "link to a FIFO":
        os.mkfifo(place / "fifo")
        special.symlink_to(place / "fifo")
    else:
        special.symlink_to("/dev/tty")
    began = time.monotonic()
    verdict = ask(place)["plain"]
    assert time.monotonic() - began < PATIENCE
    is_a_link_for_git = name.endswith("HEAD") and kind != "FIFO" and name.startswith(".git/")
    assert verdict.error or is_a_link_for_git


def test_what_waits_keeps_only_what_it_is_about(place: Path) -> None:
    init(place)
    for name in ("a", "b"):
        (place / name / "ignored").mkdir(parents=True)
    os.mkfifo(place / "a/.gitignore")
    found = ask(place, "a/ignored", "b/ignored")
    assert found["a/ignored"].error == (
        f"{place}/a/.gitignore: it is no regular file; git would wait for it"
    )
    assert found["b/ignored"] == Verdict(is_ignored=True)


def test_git_is_given_up_after_a_while(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(place)
    run_git(place, "update-index", "--split-index")
    (shared,) = (place / ".git").glob("sharedindex.*")
    shared.unlink()
    os.mkfifo(shared)
    monkeypatch.setattr(git, "_TIME_LIMIT", 0.5)
    assert all("timed out" in verdict.error for verdict in ask(place).values())


@pytest.mark.parametrize("name", [".git/index", ".git/config", ".git/info/exclude", ".gitignore"])
def test_a_file_without_end_is_not_read(place: Path, name: str) -> None:
    init(place)
    with (place / name).open("a") as file:
        file.truncate(8 << 30)  # bytes; they take no room on the disk
    assert "larger than" in ask(place)["plain"].error


def test_an_index_that_promises_too_much_takes_no_memory(place: Path) -> None:
    init(place)
    index = bytearray((place / ".git/index").read_bytes())
    index[8:12] = b"\xff\xff\xff\xf0"  # the number of its entries
    (place / ".git/index").write_bytes(index)
    assert all(verdict.error for verdict in ask(place).values())


# Settings.

SETTINGS = [
    "[core]\n\tbare = true\n", "[CORE]\n\tBare=false\nbare = TRUE\n", "[core] bare = yes\n",
    "[core]\nbare\n", '[core "bare"]\nbare = true\n', "[core.more]\nbare = true\n",
    "[core]\n# bare = true\n; bare = true\nbare = no # yes\n",
    '[core]\nexcludesFile = "a # b" c ; d\n', "[core]\nexcludesFile =\n",
    "[core]\nexcludesFile = a\\\nb\\\n  c\n", '[core]\nexcludesFile = "a  "  \n',
    "[core]\r\nbare = on\r\n", '[core]\nexcludesFile = a\\t\\n\\"\\\\b\n',
    '[remote "]"]\nbare = true\n[core]\nbare = off\n', '[a "\\"]"]\n[core]\nworktree = x\n',
    "[core]\nexcludesFile = a # b \\\nbare = true\n", "\ufeff[core]\nbare = true\n",
    '[core]\nexcludesFile = "  a\\\n  b"  c  \n', "[core][extensions]objectFormat = sha256\n",
    "[extensions]\nworktreeConfig = true\n[include]\npath = /dev/null\n",
]  # fmt: skip


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_are_read_as_git_reads_them(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_bytes(text.encode())
    listed = subprocess.run(
        ["git", "config", "--file", file, "--list", "-z"],
        check=True,
        capture_output=True,
        text=True,
    )
    expected = {}
    for entry in listed.stdout.split("\0"):
        key, equals, value = entry.partition("\n")
        if key.startswith(("core.", "extensions.")) and key.count(".") == 1:
            expected[key] = value if equals else "true"
    assert git_directory._settings(str(file)) == expected


@pytest.mark.parametrize("text", ["[core", '[core "a]\n', "[core]\nexcludesFile = a\0b\n"])
def test_settings_that_are_none_are_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(GitError, match=r"config: "):
        git_directory._settings(str(tmp_path / "config"))
