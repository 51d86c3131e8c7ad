"""Each case in which a rule that is too wide would lose somebody's work: the files stay."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from regrow.rules import loader
from regrow.scan import evidence
from tests import attributes
from tests.conftest import Regrow
from tests.sweeping import Inside

pytestmark = pytest.mark.needs("git")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def project(home: Path) -> Path:
    place = home.resolve() / "work" / "project"
    place.mkdir(parents=True)
    return place


def put(place: Path, *names: str) -> None:
    """Make files, and directories where a name ends in a slash."""
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)


def put_environment(place: Path) -> None:
    put(place, "pyvenv.cfg", "lib/python3.11/site-packages/x.py")
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / "python").symlink_to("/usr/bin/python3")


def put_cmake(place: Path, source: Path, written_in: Path | None = None) -> None:
    put(place, "CMakeFiles/", "made.o")
    (place / "CMakeCache.txt").write_text(
        f"CMAKE_CACHEFILE_DIR:INTERNAL={written_in or place}\n"
        f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\n"
        "CMAKE_GENERATOR:INTERNAL=Ninja\n"
    )


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *who, "-C", place, *words], check=True, capture_output=True)


def ignore_all_that_is_made(place: Path, *patterns: str) -> None:
    git(place, "init", "-q")
    (place / ".gitignore").write_text("\n".join(patterns) + "\n")


def would_mark(regrow: Regrow, *start: Path, more: Sequence[str] = ()) -> set[str]:
    done = regrow("sweep", "--dry-run", "--json", *more, *start)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["path"] for line in lines if line["decision"] == "mark"}


def assert_stays(regrow: Regrow, file: Path, start: Path | None = None) -> None:
    """Check that a sweep of the home directory marks neither a file nor anything above it."""
    assert os.path.lexists(file)
    marked = would_mark(regrow, *([start] if start else []))
    assert not {str(file), *map(str, file.parents)} & marked


def assert_goes(regrow: Regrow, directory: Path) -> None:
    """Check the control: without the danger, the same directory is marked."""
    assert str(directory) in would_mark(regrow)


# Python.


def test_a_project_that_was_turned_into_an_environment_stays(regrow: Regrow, project: Path) -> None:
    put_environment(project)
    assert_goes(regrow, project)
    put(project, "main.py")
    assert_stays(regrow, project / "main.py")


def test_sources_in_an_environments_src_stay(regrow: Regrow, project: Path) -> None:
    put_environment(project)
    put(project, "src/")
    assert_goes(regrow, project)
    put(project, "src/main.py")
    assert_stays(regrow, project / "src" / "main.py")
    (line,) = regrow.json("sweep", "--dry-run")
    assert (line["guard"], line["reason"]) == ("repository", "its src/ is not empty: main.py")


def test_checkouts_of_pip_in_an_environments_src_stay(regrow: Regrow, project: Path) -> None:
    put_environment(project / ".venv")
    put(project, ".venv/src/package/.git/HEAD", ".venv/src/package/changed.py")
    assert_stays(regrow, project / ".venv/src/package/changed.py")


def test_an_environment_whose_src_is_a_link_or_a_file_stays(regrow: Regrow, project: Path) -> None:
    put_environment(project)
    (project / "src").symlink_to("lib")
    assert_stays(regrow, project / "src")
    (project / "src").unlink()
    put(project, "src")
    assert_stays(regrow, project / "src")


@pytest.mark.parametrize("name", ["envs", "condabin"])
@pytest.mark.parametrize("kind", ["directory", "link"])
def test_a_base_installation_of_conda_stays(
    regrow: Regrow, project: Path, name: str, kind: str
) -> None:
    base = project / "miniconda3"
    put(base, "conda-meta/history", "bin/python", "share/data")
    (base / "conda-meta/xz.json").write_text('{"url": "https://example.org/xz-5.4.conda"}')
    assert_goes(regrow, base)
    if kind == "link":
        (base / name).symlink_to("bin")
    else:
        put(base, f"{name}/")
    assert_stays(regrow, base / "share/data")


def test_the_examples_that_hypothesis_found_stay(regrow: Regrow, project: Path) -> None:
    put(project, "pyproject.toml", ".hypothesis/examples/abc/def")
    ignore_all_that_is_made(project, ".hypothesis/")
    assert_stays(regrow, project / ".hypothesis/examples/abc/def")


def test_old_releases_in_dist_stay(regrow: Regrow, project: Path) -> None:
    put(project, "pyproject.toml", "setup.py", "package.json", "dist/old-1.0.tar.gz")
    ignore_all_that_is_made(project, "dist/")
    assert_stays(regrow, project / "dist/old-1.0.tar.gz")


def test_pycache_is_not_marked(regrow: Regrow, project: Path) -> None:
    put(project, "pyproject.toml", "__pycache__/a.cpython-311.pyc")
    ignore_all_that_is_made(project, "__pycache__/")
    assert_stays(regrow, project / "__pycache__")


def test_unsaved_notebooks_stay(regrow: Regrow, project: Path) -> None:
    put(project, "pyproject.toml", ".ipynb_checkpoints/thesis-checkpoint.ipynb")
    ignore_all_that_is_made(project, ".ipynb_checkpoints/")
    assert_stays(regrow, project / ".ipynb_checkpoints/thesis-checkpoint.ipynb")


# Configuration that lives beside what can be rebuilt: file, directory that goes, evidence.

BESIDE = [
    (".pixi/config.toml", ".pixi/envs", "pixi.toml"),
    (".turbo/config.json", ".turbo/cache", "turbo.json"),
    (".yarn/patches/a.patch", ".yarn/cache", ".yarnrc.yml"),
    (".yarn/releases/yarn.cjs", ".yarn/unplugged", ".yarnrc.yml"),
    (".godot/export_credentials.cfg", ".godot/imported", "project.godot"),
    (".terraform/terraform.tfstate", ".terraform/providers", ".terraform.lock.hcl"),
    (".terraform/terraform.tfstate", ".terraform/modules", ".terraform.lock.hcl"),
    ("renv/activate.R", "renv/library", "renv.lock"),
    ("renv/settings.json", "renv/staging", "renv.lock"),
    (".moon/workspace.yml", ".moon/cache", ".moon/workspace.yml"),
    (".nx/workspace-data.json", ".nx/cache", "nx.json"),
    (".angular/settings.json", ".angular/cache", "angular.json"),
    (".netlify/state.json", ".netlify/cache", "netlify.toml"),
    (".aws-sam/build.toml", ".aws-sam/build", "template.yaml"),
    ("Carthage/notes.txt", "Carthage/Build", "Cartfile.resolved"),
    ("resources/page.md", "resources/_gen", "hugo.toml"),
    ("vendor/assets/app.css", "vendor/bundle", "Gemfile.lock"),
]


@pytest.mark.parametrize(("file", "goes", "beside"), BESIDE)
def test_what_stands_beside_what_goes_stays(
    regrow: Regrow, project: Path, file: str, goes: str, beside: str
) -> None:
    put(project, beside, file, f"{goes}/made")
    if goes == ".pixi/envs":  # it needs a recipe, which is taken from what pixi writes
        put(project, f"{goes}/default/conda-meta/")
        package = '{"url": "https://example.org/xz-5.4.conda"}'
        (project / goes / "default/conda-meta/xz.json").write_text(package)
    ignore_all_that_is_made(project, f"{file.partition('/')[0]}/")
    assert_goes(regrow, project / goes)
    assert_stays(regrow, project / file)


KEPT = [
    (".bundle/config", "Gemfile.lock"),
    (".terraform.d/credentials.tfrc.json", "main.tf"),
    (".terragrunt-cache/a/b/terraform.tfstate", "terragrunt.hcl"),
    (".vagrant/machines/default/virtualbox/private_key", "Vagrantfile"),
    (".devenv/state/postgres/base", "devenv.nix"),
    (".swiftpm/xcode/xcshareddata/xcschemes/a.xcscheme", "Package.swift"),
    ("Saved/SaveGames/slot.sav", "game.uproject"),
    ("_opam/lib/a.ml", "dune-project"),
    ("packages/core/main.cs", "all.sln"),
    ("lib/mine/src.cr", "shard.yml"),
    ("vendor/assets/app.css", "Gemfile"),
    ("cache/fuzz/failures", "foundry.toml"),
    (".direnv/notes", ".envrc"),
]


@pytest.mark.parametrize(("file", "beside"), KEPT)
def test_what_people_may_think_of_and_nothing_brings_back_stays(
    regrow: Regrow, project: Path, file: str, beside: str
) -> None:
    put(project, beside, file, "package.json", "pyproject.toml")
    ignore_all_that_is_made(project, f"{file.partition('/')[0]}/")
    assert_stays(regrow, project / file)


def test_vendor_beside_a_gemfile_stays_even_where_go_or_composer_made_it(
    regrow: Regrow, project: Path
) -> None:
    put(project, "go.mod", "vendor/modules.txt", "vendor/assets/app.css")
    put(project, "composer.lock", "vendor/autoload.php", "vendor/composer/a.php")
    ignore_all_that_is_made(project, "vendor/")
    assert_goes(regrow, project / "vendor")
    put(project, "Gemfile")
    assert_stays(regrow, project / "vendor/assets/app.css")


def test_cache_beside_foundrys_file_stays_even_where_hardhat_is_used_too(
    regrow: Regrow, project: Path
) -> None:
    put(project, "hardhat.config.js", "cache/fuzz/failures")
    ignore_all_that_is_made(project, "cache/")
    assert_goes(regrow, project / "cache")
    put(project, "foundry.toml")
    assert_stays(regrow, project / "cache/fuzz/failures")


def test_the_file_dot_packages_and_links_stay(regrow: Regrow, project: Path) -> None:
    put(project, "pubspec.yaml", ".packages", "WORKSPACE", "flake.nix", "store/precious")
    for name in ("bazel-out", "bazel-bin", "result", ".dart_tool"):
        (project / name).symlink_to("store")
    assert_stays(regrow, project / ".packages")
    assert would_mark(regrow) == set()


def test_direnv_is_entered_and_environments_in_it_match(regrow: Regrow, project: Path) -> None:
    put(project, ".envrc", ".direnv/notes")
    put_environment(project / ".direnv" / "python-3.11")
    assert would_mark(regrow) == {str(project / ".direnv" / "python-3.11")}


# git knows it.


def test_a_zero_install_cache_of_yarn_stays(regrow: Regrow, project: Path) -> None:
    put(project, ".yarnrc.yml", ".yarn/cache/a.zip", ".yarn/patches/a.patch")
    git(project, "init", "-q")
    assert_goes(regrow, project / ".yarn/cache")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all")
    assert_stays(regrow, project / ".yarn/cache/a.zip")


def test_checkouts_of_carthage_that_are_git_submodules_stay(
    regrow: Regrow, project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    put(other, "source.swift")
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-q", "-m", "all")
    put(project, "Cartfile.resolved", "Carthage/Checkouts/plain/a.swift")
    git(project, "init", "-q")
    assert_goes(regrow, project / "Carthage/Checkouts")
    git(project, "submodule", "add", "-q", str(other), "Carthage/Checkouts/other")
    assert_stays(regrow, project / "Carthage/Checkouts/other/source.swift")


def test_what_is_asked_of_git_is_not_led_astray_by_the_caller(
    regrow: Regrow, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(project, "Cargo.toml", "target/kept")
    git(project, "init", "-q")
    git(project, "add", ".")
    other = tmp_path / "other"
    put(other, "file")
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert_stays(regrow, project / "target" / "kept")


@pytest.mark.parametrize("name", ["build", "vendor", "bin", "out", "deps", "public", "site"])
def test_a_common_name_that_git_does_not_ignore_stays(
    regrow: Regrow, project: Path, name: str
) -> None:
    put(project, "setup.py", "a.csproj", "foundry.toml", "mix.lock", "hugo.toml", "mkdocs.yml")
    put(project, "composer.lock", "go.mod", f"{name}/written-by-hand", f"{name}/made.o")
    assert_stays(regrow, project / name / "written-by-hand")
    ignore_all_that_is_made(project, "*.o")
    assert_stays(regrow, project / name / "written-by-hand")
    (project / name / "written-by-hand").unlink()
    assert_stays(regrow, project / name)  # all in it is ignored so far; it itself is not


# CMake.


@pytest.mark.parametrize("name", ["project", "cmake-build-debug"])
def test_a_build_in_the_middle_of_its_sources_stays(
    regrow: Regrow, project: Path, name: str, tmp_path: Path
) -> None:
    place = project / name
    put(project, "CMakeLists.txt")
    put(place, "CMakeLists.txt", "main.c", "cmake/CMakeLists.txt")
    put_cmake(place, project)
    ignore_all_that_is_made(project, f"/{name}/")  # else its main.c alone would keep it
    assert_goes(regrow, place)
    alias = tmp_path / "alias"
    alias.symlink_to(place)
    for source in (place, place / "cmake", alias, alias / "cmake", place / "." / ".." / name):
        put_cmake(place, source)
        assert_stays(regrow, place / "main.c")


def test_a_copy_of_a_build_in_its_sources_stays(regrow: Regrow, project: Path) -> None:
    original, copy = project / "original", project / "copy"
    for place in (original, copy):
        put(place, "CMakeLists.txt", "main.c")
        put_cmake(place, original, written_in=original)
    assert_stays(regrow, copy / "main.c")
    assert_stays(regrow, original / "main.c")


def test_a_build_whose_sources_are_gone_or_not_told_stays(regrow: Regrow, project: Path) -> None:
    put(project, "out/main.c")
    lines = ("", "/gone/away", "relative", "/a\0b", "/" + "a/" * 100_000, "/dev/null")
    for source in lines:
        (project / "out/CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\n")
        assert_stays(regrow, project / "out/main.c")


# The home directory.


def test_the_gradle_directory_at_home_stays_whatever_stands_beside(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "all" / "user"
    monkeypatch.setenv("HOME", str(home))
    put(home, "build.gradle", "settings.gradle.kts", ".gradle/gradle.properties")
    assert_stays(regrow, home.resolve() / ".gradle/gradle.properties")
    assert_stays(regrow, home.resolve() / ".gradle/gradle.properties", home.parent)


AT_HOME = [
    ".cache/precious/file", ".m2/repository/mine/a.jar", ".ollama/models/mine",
    ".lmstudio/models/mine", ".local/share/pipx/venvs/a/pipx_metadata.json",
    ".pyenv/versions/3.11.7/lib/a.py", ".nvm/versions/node/v20/lib/a.js",
]  # fmt: skip


@pytest.mark.parametrize("file", AT_HOME)
def test_a_cache_at_home_that_holds_more_than_a_cache_stays(
    regrow: Regrow, home: Path, file: str
) -> None:
    put(home, file, "gatsby-config.js", "pyproject.toml", "package.json")
    put_environment((home / file).parent)
    assert_stays(regrow, home.resolve() / file)


HOME_CACHES = [
    rule.directory
    for rule in loader.shipped()
    if rule.home and not rule.keep and not rule.container
]


@pytest.mark.parametrize("cache", HOME_CACHES)
def test_a_cache_at_home_stays_unless_the_configuration_names_it(
    regrow: Regrow, home: Path, cache: str
) -> None:
    put(home, f"{cache}/file")
    assert_stays(regrow, home.resolve() / cache / "file")
    put(home, ".config/regrow/")
    (home / ".config/regrow/config.toml").write_text(f'caches = ["~/{cache}"]\n')
    assert_goes(regrow, home.resolve() / cache)


# What people publish.

OUTPUTS = [
    (".next", "package.json"),
    (".output", "nuxt.config.ts"),
    ("zig-out", "build.zig"),
    ("_site", "_config.yml"),
    ("public", "hugo.toml"),
    ("site", "mkdocs.yml"),
    ("build", "pubspec.yaml"),
]


@linux
@pytest.mark.parametrize(("name", "beside"), OUTPUTS)
def test_what_people_publish_gets_no_tag(
    regrow: Regrow, project: Path, name: str, beside: str
) -> None:
    put(project, beside, f"{name}/index.html", "tox.ini", ".tox/made")
    ignore_all_that_is_made(project, f"{name}/", ".tox/")
    assert would_mark(regrow) == {str(project / name), str(project / ".tox")}
    for each in (name, ".tox"):  # with the attribute, only what wants a tag as well is not done yet
        attributes.put(project / each, "user.xdg.robots.backup", b"false")
    assert would_mark(regrow) == {str(project / ".tox")}


# The user's word.


@pytest.mark.parametrize("parent", ["plain", "line\nbreak"])
def test_a_keep_pattern_holds_through_links_at_home_and_in_any_name(
    regrow: Regrow, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    real, link = tmp_path / "disk [2]", tmp_path / "linked"
    put(real / parent / "thesis", "Cargo.toml", "target/precious")
    link.symlink_to(real)
    monkeypatch.setenv("HOME", str(link))
    target = real / parent / "thesis" / "target"
    assert would_mark(regrow, real) == {str(target)}
    for pattern in ("~/*/thesis/target", "**/thesis/target", "thesis/", "~"):
        assert would_mark(regrow, real, more=["--keep", pattern]) == set()


def test_a_project_file_above_the_start_directory_holds(regrow: Regrow, project: Path) -> None:
    put(project, "part/Cargo.toml", "part/target/precious")
    (project / ".regrow.toml").write_text('keep = ["part"]\n')
    assert_stays(regrow, project / "part/target/precious", project / "part")


def test_a_rule_of_ones_own_with_a_common_name_heeds_what_must_not_be_inside(
    project: Path,
) -> None:
    table = {
        "name": "mine", "directory": "made", "beside": ["x"], "generic": True,
        "inside_none": ["keep.txt"], "command": "make",
    }  # fmt: skip
    rule = loader.check(table, "test")
    put(project, "made/keep.txt")
    fd = os.open(project / "made", os.O_RDONLY)
    try:
        assert evidence.speaks_against(rule, evidence.Listing.read(fd))
    finally:
        os.close(fd)


def test_a_skipped_directory_is_not_marked_itself(regrow: Regrow, home: Path) -> None:
    put(home, "code/Cargo.toml", "code/target/a", ".config/regrow/")
    assert_goes(regrow, home.resolve() / "code/target")
    (home / ".config/regrow/config.toml").write_text('skip = ["~/code/target"]\n')
    assert_stays(regrow, home.resolve() / "code/target/a")
