"""What was decided is decided again only where something has changed, and never wrongly kept."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.config import Configuration
from regrow.decide import decisions
from regrow.decide.cache import Memory
from regrow.errors import GitError
from regrow.model import KEEP, MARK, MARKED_ALREADY, Candidate, Decision, Scope
from regrow.rules import loader
from regrow.scan.walk import Scan
from regrow.system import directories, git, mounts
from regrow.system.git_directory import GitDirectory
from tests import attributes
from tests.hostile.helpers import LINUX_ONLY
from tests.sweeping import environment, ignore, modules, set_attribute
from tests.sweeping import git as run_git

pytestmark = [LINUX_ONLY, pytest.mark.needs("git")]

TICK = 0.02  # seconds: two changes that far apart have different times


@pytest.fixture(autouse=True)
def nothing_is_too_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is a moment old count as settled: tests wait for a tick instead of two seconds."""
    monkeypatch.setattr("regrow.decide.cache.FRESH", 0)


@pytest.fixture
def start(home: Path) -> Path:
    place = home.resolve() / "code"
    place.mkdir()
    return place


@pytest.fixture
def project(start: Path) -> Path:
    """A repository with a candidate of each kind of decision."""
    place = start / "group/shop"
    ignore(place, "node_modules/", "/build/", ".venv/")
    (place / "README").touch()
    modules(place)
    install(environment(place / ".venv"), "attrs", "1.0")
    (place / "setup.py").touch()
    (place / "build/lib").mkdir(parents=True)
    (place / "Cargo.toml").touch()
    (place / "target").mkdir()
    run_git(place, "add", "README", "setup.py")
    run_git(place, "commit", "-qm", "sources")
    return place


def install(environment: Path, name: str, version: str) -> Path:
    """Install something, as its metadata tell."""
    place = environment / f"lib/python3.11/site-packages/{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n\n")
    return place


class Sweeps:
    """Decides about everything below a start directory, with and without what is remembered."""

    def __init__(self, start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.start = start
        self.configuration = Configuration()
        self.keep: tuple[str, ...] = ()
        self.decided: list[str] = []
        self.asked: list[str] = []
        assess, run = decisions._assess_one, git._run

        def counted_assess(candidate: Candidate, *rest: object) -> decisions.Assessment:
            self.decided.append(candidate.path)
            return assess(candidate, *rest)  # type: ignore[arg-type]

        def counted_run(place: str, directory: GitDirectory | None, words: list[str]) -> str:
            self.asked.append(place)
            return run(place, directory, words)

        monkeypatch.setattr(decisions, "_assess_one", counted_assess)
        monkeypatch.setattr(decisions, "_SHARED_FROM", 10**9)  # a second process counts for itself
        monkeypatch.setattr(git, "_run", counted_run)

    def __call__(self) -> dict[str, Decision]:
        """Decide; whatever is remembered, the outcome is that of deciding afresh."""
        time.sleep(TICK)
        start = [str(self.start)]
        active_rules = loader.active_rules(self.configuration, "")
        found = [one for one in Scan(start, active_rules) if isinstance(one, Candidate)]
        scope = Scope(start, self.configuration, (), self.keep)
        afresh = decisions.decide(found, scope)
        self.decided.clear()
        self.asked.clear()
        known = decisions.decide(found, scope, None, Memory(scope))
        assert known == afresh
        return {os.path.relpath(one.candidate.path, self.start): one for one in known}

    def settle(self) -> None:
        """Decide until nothing is decided anew."""
        self()
        self()
        assert (self.decided, self.asked) == ([], [])


@pytest.fixture
def sweeps(start: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    made = Sweeps(start, monkeypatch)
    made.settle()
    return made


NODE, VENV, BUILD, TARGET = (
    f"group/shop/{name}" for name in ("node_modules", ".venv", "build", "target")
)


def test_what_has_not_changed_is_not_decided_again_and_git_is_not_asked(sweeps: Sweeps) -> None:
    found = sweeps()
    assert {path: one.decision for path, one in found.items()} == dict.fromkeys(
        (NODE, VENV, BUILD, TARGET), MARK
    )
    assert (sweeps.decided, sweeps.asked) == ([], [])


def test_what_changes_elsewhere_in_a_repository_asks_nothing(sweeps: Sweeps, project: Path) -> None:
    (project / "src").mkdir()
    time.sleep(TICK)
    sweeps()  # the project's own listing: a lock may have appeared in it
    (project / "src/main.py").touch()
    (project / ".git/FETCH_HEAD").touch()
    (project / "target/debug").mkdir()
    sweeps()
    assert sweeps.decided == [str(project / "target")]


def test_what_comes_and_goes_further_up_asks_nothing(
    sweeps: Sweeps, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regrow.decide.cache.FRESH", 10**9)
    time.sleep(1)
    for file in Path(directories.caches()).glob("decisions-*"):
        file.unlink()
    for name in "ab":
        (home / name).touch()
        sweeps()
    assert (sweeps.decided, sweeps.asked) == ([], [])


# Each of these changes must be noticed: ``sweeps`` compares with deciding afresh.

Change = Callable[[Path], object]


def track(name: str) -> Change:
    def change(project: Path) -> None:
        (project / name / "kept").touch()
        run_git(project, "add", "-f", f"{name}/kept")

    return change


def append(name: str, text: str) -> Change:
    def change(project: Path) -> None:
        with (project / name).open("a") as file:
            file.write(text)

    return change


def write_over(name: str, text: str) -> Change:
    """Change a file's content, with the length and the time of modification that it had."""

    def change(project: Path) -> None:
        path = project / name
        before = path.stat()
        path.write_text(text[: before.st_size].ljust(before.st_size, "\n"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change


NOTICED: dict[str, tuple[Change, str, str]] = {
    "git tracks something in it": (track("target"), TARGET, KEEP),
    "git ignores it no longer": (
        write_over(".gitignore", "node_modules/\n.venv/\n"), BUILD, KEEP,
    ),
    "the project's own word": (
        lambda project: (project / ".regrow.toml").write_text('keep = ["target"]\n'), TARGET, KEEP,
    ),
    "a word further up": (
        lambda project: (project.parent / ".regrow.toml").write_text('keep = ["target"]\n'),
        TARGET, KEEP,
    ),
    "a repository in it": (lambda project: (project / "target/.git").mkdir(), TARGET, KEEP),
    "sources in an environment": (
        lambda project: (project / ".venv/src/own").mkdir(parents=True), VENV, KEEP,
    ),
    "what no creator makes in lib": (
        lambda project: (project / ".venv/lib/own").mkdir(), VENV, KEEP,
    ),
    "a package of another version": (
        lambda project: install(project / ".venv", "attrs", "2.0"), VENV, KEEP,
    ),
    "a package more": (
        lambda project: install(project / ".venv", "cattrs", "1.0"), VENV, MARK,
    ),
    "a lock beside an environment": (
        lambda project: (project / "requirements.txt").write_text("attrs==1.0\n"), VENV, MARK,
    ),
    "the lock is gone": (
        lambda project: (project / "package-lock.json").unlink(), NODE, KEEP,
    ),
    "another package manager": (
        lambda project: (project / "node_modules/.modules.yaml").touch(), NODE, MARK,
    ),
    "a mark": (lambda project: set_attribute(project / "target", b"false"), TARGET, MARKED_ALREADY),
    "the environment's settings": (
        append(".venv/pyvenv.cfg", "prompt = shop\n"), VENV, MARK,
    ),
    "a program in bin": (lambda project: (project / ".venv/bin/own").touch(), VENV, MARK),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTICED)
def test_a_change_is_noticed(name: str, sweeps: Sweeps, project: Path) -> None:
    change, path, expected = NOTICED[name]
    before = sweeps()[path]
    change(project)
    after = sweeps()[path]
    assert (after.decision, str(project.parent.parent / path) in sweeps.decided) == (expected, True)
    assert after != before


def test_a_lock_that_says_something_else_is_noticed(
    sweeps: Sweeps, project: Path, start: Path
) -> None:
    (project / "requirements.txt").write_text("attrs==1.0\n")
    sweeps.settle()
    write_over("requirements.txt", "attrs==2.0\n")(project)
    result = sweeps()[VENV].recipe
    assert result is not None
    assert result.recipe["agrees_with"] == []


def test_marks_that_are_taken_away_are_noticed(sweeps: Sweeps, project: Path) -> None:
    set_attribute(project / "target", b"false")
    assert sweeps()[TARGET].decision == MARKED_ALREADY
    sweeps.settle()
    attributes.remove(project / "target", "user.xdg.robots.backup")
    assert sweeps()[TARGET].decision == MARK


def test_a_tag_that_loses_its_signature_is_noticed(sweeps: Sweeps, project: Path) -> None:
    tag = project / ".venv/CACHEDIR.TAG"
    tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    set_attribute(project / ".venv", b"false")
    assert sweeps()[VENV].decision == MARKED_ALREADY
    sweeps.settle()
    write_over(".venv/CACHEDIR.TAG", "Signature: ffffffffffffffffffffffffffffffff\n")(project)
    assert sweeps()[VENV].decision == MARK


def test_what_was_installed_from_a_place_that_is_gone_is_noticed(
    sweeps: Sweeps, project: Path, home: Path
) -> None:
    source = home.resolve() / "elsewhere/own"
    source.mkdir(parents=True)
    place = install(project / ".venv", "own", "1.0")
    (place / "direct_url.json").write_text(
        f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}'
    )
    assert sweeps()[VENV].decision == MARK
    sweeps.settle()
    source.rmdir()
    assert sweeps()[VENV].decision == KEEP


# What git goes by.


def becomes_ignored_no_longer(sweeps: Sweeps, change: Callable[[], object]) -> None:
    assert sweeps()[BUILD].decision == MARK
    change()
    after = sweeps()[BUILD]
    assert (after.decision, after.guard) == (KEEP, "generic-name")


def test_what_a_repository_ignores_by_itself_is_noticed(sweeps: Sweeps, project: Path) -> None:
    (project / ".gitignore").write_text("node_modules/\n")
    (project / ".git/info/exclude").write_text("/build/\n")
    sweeps.settle()
    becomes_ignored_no_longer(sweeps, (project / ".git/info/exclude").unlink)


def test_what_a_user_ignores_everywhere_is_noticed(
    sweeps: Sweeps, project: Path, home: Path
) -> None:
    (project / ".gitignore").write_text("node_modules/\n")
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("build/\n")
    sweeps.settle()
    becomes_ignored_no_longer(sweeps, (home / ".config/git/ignore").unlink)


def test_a_file_that_the_users_configuration_names_is_noticed(
    sweeps: Sweeps, project: Path, home: Path
) -> None:
    (project / ".gitignore").write_text("node_modules/\n")
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    (home / "mine").write_text("build/\n")
    sweeps.settle()
    becomes_ignored_no_longer(sweeps, (home / "mine").unlink)


def test_a_configuration_that_is_included_for_a_place_is_noticed(
    sweeps: Sweeps, project: Path, home: Path, start: Path
) -> None:
    (project / ".gitignore").write_text("node_modules/\n")
    (home / ".gitconfig").write_text(
        f'[includeIf "gitdir:{start}/"]\n\tpath = {home}/work.config\n'
    )
    (home / "work.config").write_text(f"[core]\n\texcludesFile = {home}/mine\n")
    (home / "mine").write_text("build/\n")
    sweeps.settle()
    becomes_ignored_no_longer(sweeps, (home / "mine").unlink)
    (home / "mine").write_text("build/\n")
    assert sweeps()[BUILD].decision == MARK
    becomes_ignored_no_longer(sweeps, (home / "work.config").unlink)


def test_a_configuration_that_appears_is_noticed(sweeps: Sweeps, project: Path, home: Path) -> None:
    (home / "mine").write_text("target/\n")
    before = sweeps()[TARGET]
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/mine\n")
    assert sweeps()[TARGET].markers != before.markers, "it is ignored now: it takes a tag"


def test_a_repositorys_own_configuration_is_noticed(
    sweeps: Sweeps, project: Path, home: Path
) -> None:
    (project / ".gitignore").write_text("node_modules/\n")
    (home / "mine").write_text("build/\n")
    run_git(project, "config", "core.excludesFile", home / "mine")
    sweeps.settle()
    becomes_ignored_no_longer(sweeps, (home / "mine").unlink)


def test_a_work_tree_of_its_own_is_followed(sweeps: Sweeps, project: Path, start: Path) -> None:
    other = start / "other"
    run_git(project, "worktree", "add", "-q", other)
    (other / "Cargo.toml").touch()
    (other / "target").mkdir()
    sweeps.settle()
    (other / "target/kept").touch()
    run_git(other, "add", "-f", "target/kept")
    assert sweeps()["other/target"].guard == "tracked"


def test_a_repository_that_appears_further_up_is_noticed(
    sweeps: Sweeps, project: Path, start: Path
) -> None:
    place = start / "plain/app"
    place.mkdir(parents=True)
    (place / "setup.py").touch()
    (place / "build").mkdir()
    assert sweeps()["plain/app/build"].decision == KEEP
    sweeps.settle()
    ignore(start / "plain", "build/")
    assert sweeps()["plain/app/build"].decision == MARK


def test_a_git_that_gives_no_answer_is_asked_again(
    sweeps: Sweeps, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> str:
        raise GitError("it is not installed")

    (project / ".gitignore").touch()
    with monkeypatch.context() as patch:
        patch.setattr(git, "_run", silent)
        assert sweeps()[TARGET].guard == "git-silent"
    assert sweeps()[TARGET].decision == MARK


# Settings and surroundings.


def test_other_settings_remember_nothing(sweeps: Sweeps, project: Path) -> None:
    sweeps.keep = ("target",)
    assert sweeps()[TARGET].guard == "kept-by-user"
    sweeps.keep = ()
    sweeps.configuration = Configuration(keep=("**/shop/build",))
    assert sweeps()[BUILD].guard == "kept-by-user"


def test_other_mounts_remember_nothing(
    sweeps: Sweeps, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [*mounts.mounts(), mounts.Mount(str(project / "target"), "ext4", "rw")]
    monkeypatch.setattr(mounts, "mounts", lambda: mounted)
    assert sweeps()[TARGET].decision == KEEP


def test_another_directory_in_its_place_is_decided_about(sweeps: Sweeps, project: Path) -> None:
    (project / "away").mkdir()
    (project / "away/.git").mkdir()
    (project / "target").rename(project / "old")
    (project / "away").rename(project / "target")
    assert sweeps()[TARGET].guard == "repository"


def test_what_is_too_fresh_is_decided_again(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.setattr("regrow.decide.cache.FRESH", 3600 * 10**9)
    (project / "target/new").touch()
    sweeps()
    sweeps()
    assert str(project / "target") in sweeps.decided


@pytest.fixture
def file(sweeps: Sweeps) -> Path:
    (found,) = Path(directories.caches()).glob("decisions-*")
    return found


@pytest.mark.parametrize("length", [0, 1, 15, 16, 40, -1])
def test_a_truncated_file_remembers_nothing(length: int, sweeps: Sweeps, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:length])
    sweeps()
    assert len(sweeps.decided) == 4


@pytest.mark.parametrize("place", [0, 15, 16, 100, -1])
def test_a_damaged_file_remembers_nothing(place: int, sweeps: Sweeps, file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0x55
    file.write_bytes(data)
    sweeps()
    assert len(sweeps.decided) == 4


def test_without_its_file_all_is_decided_again(sweeps: Sweeps, file: Path) -> None:
    file.unlink()
    sweeps()
    assert len(sweeps.decided) == 4


def test_two_processes_decide_as_one_does(
    start: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        place = start / f"many/{number}"
        if number % 2:
            ignore(place, "node_modules/")
        modules(place)
    sweeps = Sweeps(start, monkeypatch)
    monkeypatch.setattr(decisions, "_SHARED_FROM", 1)
    assert len(sweeps()) == 44
    assert len(sweeps.decided) < 44, "the second process has decided some"
    sweeps()
    assert sweeps.decided == []


# Whatever happens.

STEPS: tuple[Change, ...] = (
    *(change for change, _, _ in NOTICED.values()),
    lambda project: shutil.rmtree(project / ".git/index", ignore_errors=True),
    lambda project: run_git(project, "reset", "-q", "--hard"),
    lambda project: run_git(project, "rm", "-rqf", "--cached", "--ignore-unmatch", "target"),
    lambda project: (project / ".regrow.toml").unlink(missing_ok=True),
    lambda project: (project.parent / ".regrow.toml").unlink(missing_ok=True),
    lambda project: (project / ".gitignore").write_text("build/\n"),
    lambda project: (project / ".gitignore").write_text("node_modules/\ntarget/\n.venv/\n"),
    lambda project: (project / "package-lock.json").write_text("{}"),
    lambda project: shutil.rmtree(project / ".venv/lib/own", ignore_errors=True),
    lambda project: shutil.rmtree(project / ".venv/src", ignore_errors=True),
    lambda project: shutil.rmtree(project / "target/.git", ignore_errors=True),
    lambda project: (project / "target").chmod(0o555),
    lambda project: (project / "target").chmod(0o755),
    lambda project: os.utime(project / "target", (0, 0)),
    lambda project: os.utime(project / ".venv", (2**32, 2**32)),
    lambda project: (project / "build").rename(project / "other"),
    lambda project: (project / "other").rename(project / "build"),
    lambda project: project.rename(project.parent / "away"),
    lambda project: (project.parent / "away").rename(project),
)


def mutate(sweeps: Sweeps, project: Path, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    for _ in range(steps):
        for _ in range(chance.randrange(3)):
            try:
                chance.choice(STEPS)(project)
            except (OSError, subprocess.CalledProcessError):
                continue  # it does not fit to what stands there
        sweeps()


def test_whatever_changes_decisions_are_those_of_deciding_afresh(
    sweeps: Sweeps, project: Path
) -> None:
    mutate(sweeps, project, 1, 60)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(8))
def test_whatever_else_changes_decisions_are_those_of_deciding_afresh(
    sweeps: Sweeps, project: Path, turn: int
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)  # of use where it fails
    mutate(sweeps, project, seed, 400)
