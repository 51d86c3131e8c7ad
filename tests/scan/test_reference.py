"""The scan against a slow, obvious reading of the rules, and the guards as properties."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from glob import escape
from itertools import chain, combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regrow.config import Configuration
from regrow.decide import decisions
from regrow.model import MARK, Candidate, Decision, Rule, Scope
from regrow.rules import loader
from regrow.scan.contents import NOISE
from regrow.scan.walk import Scan
from tests import attributes

RULES = [rule for rule in loader.shipped() if not rule.home]
PLAIN = [rule for rule in RULES if rule.directory != "*" and not rule.has_path]
SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
NEVER_ENTERED = (".git", ".hg", ".svn", ".jj", "site-packages", "dist-packages")

# What trees are made of: a path below some directory, and what stands there.
PARTS: list[tuple[str, str]] = [
    ("target", "dir"), ("target", "link"), ("Cargo.toml", "file"), ("Cargo.toml", "dir"),
    ("Cargo.toml", "link"), ("pom.xml", "file"), ("node_modules", "dir"), ("package.json", "file"),
    ("package.json", "link"), ("renv", "dir"), ("renv/library", "dir"), ("renv.lock", "file"),
    ("renv/renv.lock", "file"), (".terraform/providers", "dir"), (".terraform", "link"),
    (".terraform.lock.hcl", "file"), ("main.tf", "file"), (".terraform/modules", "dir"),
    (".moon/cache", "dir"), (".moon/workspace.yml", "file"), (".moon/workspace.yml", "link"),
    ("cmake-build-debug", "dir"), ("CMakeLists.txt", "file"),
    ("cmake-build-debug/CMakeCache.txt", "cmake-outside"), ("CMakeCache.txt", "cmake-outside"),
    ("CMakeCache.txt", "cmake-inside"), ("CMakeCache.txt", "file"), ("CMakeCache.txt", "dir"),
    ("venv/pyvenv.cfg", "file"), ("venv/bin/python", "link"), ("venv/lib", "dir"),
    ("venv/main.py", "file"), ("pyvenv.cfg", "file"), ("pyvenv.cfg", "dir"), ("bin/python", "link"),
    ("bin/python", "dir"), ("env/conda-meta/history", "file"), ("env/lib", "dir"),
    ("env/envs", "dir"), ("out/CMakeCache.txt", "cmake-outside"), ("out/CMakeFiles/x.dir", "dir"),
    ("out/x", "file"), ("out/own", "file"), ("out/sub/CMakeFiles", "dir"),
    ("env/envs", "link"), ("conda-meta/history", "file"), ("meson-info", "dir"),
    ("meson-private", "dir"), ("build", "dir"), ("build.gradle", "file"), ("setup.py", "file"),
    ("build/meson-info", "dir"), ("build/meson-private", "dir"), ("vendor", "dir"),
    ("go.mod", "file"), ("vendor/modules.txt", "file"), ("composer.lock", "file"),
    ("vendor/autoload.php", "file"), ("vendor/composer", "dir"), ("Gemfile", "file"),
    ("cache", "dir"), ("foundry.toml", "file"), ("hardhat.config.ts", "file"),
    ("DerivedData", "dir"), ("x.xcodeproj", "dir"), ("x.xcodeproj", "file"), ("_build", "dir"),
    ("conf.py", "file"), ("index.rst", "file"), ("dist", "dir"), (".hypothesis", "dir"),
    (".mypy_cache/CACHEDIR.TAG", "file"), ("CACHEDIR.TAG", "tag"), ("CACHEDIR.TAG", "file"),
    (".", "attribute"), (".", "other-attribute"), ("Tool.app/Contents", "dir"),
    (".git/target", "dir"), (".git/Cargo.toml", "file"), ("nimcache/a.nim.c", "file"),
]  # fmt: skip
PLACES = [
    ".", "a", "a/b", "target", "node_modules", "renv", "renv/library", "dist", "a/target", "build",
    "venv", "vendor", ".hypothesis", "cmake-build-debug", "Tool.app/Contents", ".terraform",
    "cache",
]  # fmt: skip
Part = tuple[str, tuple[str, str]]
# Parts that have to do with each other stand side by side above; these go with any.
ANYWHERE = [
    ("target", "dir"), ("Cargo.toml", "file"), ("CACHEDIR.TAG", "tag"), ("CACHEDIR.TAG", "file"),
    (".", "attribute"), (".", "other-attribute"),
]  # fmt: skip
_TOGETHER = st.integers(0, len(PARTS) - 1).flatmap(
    lambda first: st.lists(
        st.sampled_from([*PARTS[first : first + 6], *ANYWHERE]), min_size=2, max_size=6
    )
)
TREES = st.lists(st.tuples(st.sampled_from(PLACES), _TOGETHER), min_size=1, max_size=6).map(
    lambda groups: [(place, part) for place, parts in groups for part in parts]
)


def build(root: Path, parts: Sequence[Part]) -> None:
    """Make a tree; a part that does not fit to what stands already is left out."""
    for place, (name, kind) in parts:
        path = root / place / name
        try:
            if any(p.is_symlink() for p in (path, *path.parents) if root in p.parents):
                continue
            (path if kind == "dir" else path.parent).mkdir(parents=True, exist_ok=True)
            if kind == "link":
                path.symlink_to(root)
            elif kind == "file":
                path.touch()
            elif kind == "tag":
                path.write_text(SIGNATURE)
            elif kind == "attribute":
                attributes.put(path, "user.xdg.robots.backup", b"false")
            elif kind == "other-attribute":
                attributes.put(path, "user.xdg.robots.backup", b"true")
            elif kind == "cmake-outside":
                path.write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/usr\n")
            elif kind == "cmake-inside":
                path.write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={path.parent}\n")
        except OSError:
            continue


def stands(directory: Path, evidence: str) -> bool:
    wanted = evidence.rstrip("/")
    for path in directory.glob(wanted):
        if path.is_symlink():
            if "/" in wanted:  # an interpreter is a link
                return True
        elif path.is_dir() if evidence.endswith("/") else path.is_file():
            return True
    return False


def has_all(directory: Path, some: Sequence[str], every: Sequence[str]) -> bool:
    return (not some or any(stands(directory, name) for name in some)) and all(
        stands(directory, name) for name in every
    )


def fits_inside(rule: Rule, directory: Path) -> bool:
    names = {path.name for path in directory.iterdir()}
    if any(name.rstrip("/") in names for name in rule.inside_none):
        return False
    if rule.only and foreign(directory, rule.only):
        return False
    if rule.source_outside:
        cache = directory / "CMakeCache.txt"
        if cache.is_symlink() or not cache.is_file() or not cache.read_text():
            return False
        source = Path(cache.read_text().partition("=")[2].strip())
        if directory == source or directory in source.parents:
            return False
    return has_all(directory, rule.inside, rule.inside_all)


def is_made(entry: Path, patterns: Sequence[str], targets: str) -> bool:
    is_directory = entry.is_dir() and not entry.is_symlink()
    for pattern in patterns:
        if pattern.startswith("*/"):
            if is_directory and stands(entry, pattern.removeprefix("*/")):
                return True
        elif "{}" in pattern:
            before, after = targets.rstrip("/").split("/")[-1].split("*")
            for target in entry.parent.glob(targets.rstrip("/")):
                name = target.name[len(before) : len(target.name) - len(after)]
                if fnmatchcase(entry.name, pattern.replace("{}", escape(name))):
                    return True
        elif fnmatchcase(entry.name, pattern.rstrip("/")) and (
            is_directory or not pattern.endswith("/")
        ):
            return True
    return entry.name in NOISE


def foreign(directory: Path, patterns: Sequence[str], targets: str = "") -> bool:
    return not all(is_made(entry, patterns, targets) for entry in directory.iterdir())


def is_more_than_evidence(rule: Rule, directory: Path) -> bool:
    """Whether the tool made more than its evidence, or there is nothing of anybody else's."""
    if not rule.makes or not foreign(directory, rule.makes, rule.targets):
        return True
    made = [one for one in directory.iterdir() if is_made(one, rule.makes, rule.targets)]
    pieces = len(rule.inside_all) + bool(rule.inside)
    return len([one for one in made if one.name not in NOISE]) > pieces


def claims(directory: Path, root: Path) -> Iterator[Rule]:
    """Give the rules for a place, name before path, with the evidence beside in its place."""
    named = [rule for rule in PLAIN if rule.directory == directory.name]
    globs = [rule for rule in PLAIN if "*" in rule.directory]
    for rule in (*named, *(r for r in globs if fnmatchcase(directory.name, r.directory))):
        if has_all(directory.parent, rule.beside, rule.beside_all):
            yield rule
    for rule in RULES:
        if not rule.has_path or not str(directory).endswith("/" + rule.directory):
            continue
        project = Path(str(directory).removesuffix("/" + rule.directory))
        in_sight = project == root or root in project.parents
        if in_sight and has_all(project, rule.beside, rule.beside_all):
            yield rule


def recognise(directory: Path, root: Path) -> str | None:
    claiming = [rule for rule in claims(directory, root) if not rule.keep]
    of_its_own = [
        rule for rule in claiming
        if not rule.generic and not (rule.inside or rule.inside_all or rule.only)
    ]  # fmt: skip
    if of_its_own:
        return of_its_own[0].name
    decided = [
        rule for rule in claiming
        if (rule.inside or rule.inside_all) and fits_inside(rule, directory)
    ]  # fmt: skip
    if decided:
        return decided[0].name
    vague = [rule for rule in claiming if rule.generic]
    if vague:
        return vague[-1].name
    for rule in RULES:
        if rule.directory != "*" or not fits_inside(rule, directory):
            continue
        if is_more_than_evidence(rule, directory):
            return rule.name
    return None


def is_excluded(directory: Path) -> bool:
    tag = directory / "CACHEDIR.TAG"
    if tag.is_file() and not tag.is_symlink() and tag.read_text().startswith(SIGNATURE):
        return True
    return attributes.get(directory, "user.xdg.robots.backup") == b"false"


def reference(directory: Path, root: Path) -> Iterator[tuple[str, str]]:
    for child in directory.iterdir():
        if child.is_symlink() or not child.is_dir() or child.name in NEVER_ENTERED:
            continue
        rule = recognise(child, root)
        if rule is not None:
            yield str(child), rule
        elif child.suffix == ".app" and (child / "Contents").exists():
            continue
        elif not is_excluded(child):
            yield from reference(child, root)


def scanned(root: Path) -> set[tuple[str, str]]:
    found = list(Scan([str(root)], RULES))
    assert all(isinstance(finding, Candidate) for finding in found)
    return {(f.path, f.rule.name) for f in found if isinstance(f, Candidate)}


def check(parts: Sequence[Part]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        build(root, parts)
        assert scanned(root) == set(reference(root, root))


linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")
LOOSE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@linux
@settings(max_examples=200, deadline=None, suppress_health_check=LOOSE)
@given(TREES)
def test_the_scan_finds_what_the_rules_say_and_nothing_else(parts: list[Part]) -> None:
    check(parts)


@linux
@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=LOOSE)
@given(TREES)
def test_the_scan_finds_what_the_rules_say_in_thousands_of_trees(parts: list[Part]) -> None:
    check(parts)


def check_pairs(pairs: Iterable[tuple[tuple[str, str], ...]], tmp_path: Path) -> None:
    seen = set()
    for pair in pairs:
        with tempfile.TemporaryDirectory(dir=tmp_path) as made:
            build(Path(made), [(".", part) for part in pair])
            expected = set(reference(Path(made), Path(made)))
            assert scanned(Path(made)) == expected
            seen |= {rule for _, rule in expected}
    assert {
        "cargo-target", "node-modules", "renv-library", "terraform-providers", "moon-cache",
        "clion-build", "cmake-build", "venv", "conda", "meson-build", "go-vendor", "mypy-cache",
        "hardhat-cache", "xcode-deriveddata", "nim-cache", "maven-target", "gradle-build",
    } <= seen  # fmt: skip


@linux
def test_the_scan_finds_what_the_rules_say_of_each_two_things_that_go_together(
    tmp_path: Path,
) -> None:
    near = (combinations(PARTS[first : first + 6], 2) for first in range(0, len(PARTS), 3))
    check_pairs(dict.fromkeys(chain(*near)), tmp_path)


@linux
@pytest.mark.slow
def test_the_scan_finds_what_the_rules_say_of_each_two_things(tmp_path: Path) -> None:
    check_pairs(combinations(PARTS, 2), tmp_path)


# The guards.

PROJECTS: Mapping[str, tuple[str, ...]] = {
    "target": ("Cargo.toml",),
    ".tox": ("tox.ini",),
    "build": ("setup.py",),
    ".terraform/providers": (".terraform.lock.hcl",),
    "renv/library": ("renv.lock",),
    ".next": ("package.json",),
}


def decide(root: Path, keep: Sequence[str] = ()) -> list[Decision]:
    found = [f for f in Scan([str(root)], RULES) if isinstance(f, Candidate)]
    return decisions.decide(found, Scope([str(root)], Configuration(), (), keep))


def marked(root: Path, keep: Sequence[str] = ()) -> set[str]:
    return {d.candidate.path for d in decide(root, keep) if d.decision == MARK}


def make_project(root: Path, name: str) -> Path:
    place = root / name
    place.mkdir(parents=True)
    (place / "inner").mkdir()
    (place / "inner" / "made").touch()
    for evidence in PROJECTS[name]:
        (root / evidence).touch()
    return place


@pytest.mark.needs("git")
@settings(max_examples=25, deadline=None, suppress_health_check=LOOSE)
@given(
    name=st.sampled_from(sorted(PROJECTS)),
    where=st.sampled_from(["", "sub", "sub/deeper", "with blank", "ü", "line\nbreak", "*", ":!x"]),
    file=st.sampled_from(["kept", "inner/kept", "inner/line\nbreak", "inner/ü", ":(glob)*", "-n"]),
    ignored=st.booleans(),
    staged=st.booleans(),
)
def test_a_directory_with_a_file_that_git_tracks_is_never_marked(
    name: str, where: str, file: str, ignored: bool, staged: bool
) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made).resolve()
        git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
        subprocess.run([*git, "init", "-q"], check=True)
        place = make_project(root / where, name)
        (root / ".gitignore").write_text(f"{name}/\n" if ignored else "")
        expected = {str(place)} if ignored or name != "build" else set()
        assert marked(root) == expected
        (place / file).touch()
        literal = {**os.environ, "GIT_LITERAL_PATHSPECS": "1"}
        subprocess.run([*git, "add", "-f", "--", str(place / file)], check=True, env=literal)
        if not staged:
            subprocess.run([*git, "commit", "-q", "-m", "all"], check=True)
        assert marked(root) == set()


PATTERNS = st.lists(
    st.sampled_from(
        ["target", "!target", "**", "!**", "*", "/a", "a/", "b/**", "**/target", "!a/target",
         "a/*/target", "[ab]/", "nothing", "#target", "\\!a", "a/target/inner"]
    ),
    max_size=4,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=LOOSE)
@given(root_file=PATTERNS, nested_file=PATTERNS, keep=PATTERNS)
def test_the_users_word_only_turns_mark_into_keep(
    root_file: list[str], nested_file: list[str], keep: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made).resolve()
        for where in ("a", "b", "a/b"):
            make_project(root / where, "target")
        make_project(root / "a", "build")
        before = marked(root)
        assert len(before) == 3
        (root / ".regrow.toml").write_text(f"keep = {root_file!r}\n".replace("'", '"'))
        with_root = marked(root)
        (root / "a" / ".regrow.toml").write_text(f"keep = {nested_file!r}\n".replace("'", '"'))
        with_both = marked(root)
        assert marked(root, keep) <= with_both <= with_root <= before


CREATORS_NAMES = {
    ".DS_Store", ".Python", ".gitignore", ".lock", ".project", "CACHEDIR.TAG", "Include", "Lib",
    "Scripts", "bin", "etc", "include", "lib", "lib64", "local", "man", "pip-selfcheck.json",
    "pyvenv.cfg", "share", "src",
}  # fmt: skip
FOREIGN = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1,
                  max_size=20).filter(lambda n: n not in {".", ".."} | CREATORS_NAMES)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=LOOSE)
@given(name=FOREIGN, kind=st.sampled_from(["file", "directory", "link"]))
def test_one_foreign_entry_makes_an_environment_no_match(name: str, kind: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made).resolve()
        environment = root / "project"
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to("/usr/bin/python3")
        (environment / "pyvenv.cfg").touch()
        assert scanned(root) == {(str(environment), "venv")}
        entry = environment / name
        if kind == "file":
            entry.touch()
        elif kind == "directory":
            entry.mkdir()
        else:
            entry.symlink_to("pyvenv.cfg")
        assert (str(environment), "venv") not in scanned(root)
