"""No git runs anything of a repository's while regrow asks it, whatever the repository configures.

Each key that a git names by ``git help --config`` leads to a trap: a program that notes its name.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import REQUIRE_TOOLS, Regrow
from tests.sweeping import modules

OTHERS = sorted((Path(__file__).parents[2] / ".tools/gits").glob("*/git"))  # scripts/gits.sh
GITS = [
    pytest.param(None, id="git", marks=pytest.mark.needs("git")),
    *(pytest.param(git, id=git.parent.name, marks=pytest.mark.slow) for git in OTHERS),
]
if not OTHERS and not REQUIRE_TOOLS:
    absent = pytest.mark.skip("scripts/gits.sh has found no other versions of git")
    GITS.append(pytest.param(None, id="other versions", marks=[pytest.mark.slow, absent]))

# What stands in place of a name that git leaves open: its first word, or this.
OPEN = {
    "name": "origin",
    "driver": "trap",
    "base": "https://example.org/",
    "url": "https://a.example/",
}
# With a path as their value these would keep git from working at all, and nothing would be proven.
DECIDES = re.compile(
    r"(core\.(bare|worktree|repositoryformatversion|excludesfile|quotepath|.*eol|.*crlf|compression)"
    r"|remote\..*vcs|credential\.usehttppath|diff\..*\.cachetextconv|advice|color|column|extensions"
    r"|index|feature|include(if)?|trace2|http|safe|init|i18n|pack|fetch|fsck|ssh)\b.*"
)
# What takes the name of a program, or something that git starts one for.
NAMES_PROGRAM = re.compile(
    r"(cmd|command|program|helper|editor|pager|proxy|hook|hookspath|fsmonitor|textconv|external"
    r"|clean|smudge|process|driver|askpass|receivepack|uploadpack|browser|viewer|tool|\.path)$"
)
NOT_LISTED = ("filter.trap.process", "pager.ls-files", "pager.config")
HOOKS = ("post-index-change", "fsmonitor-watchman", "query-watchman", "pre-commit", "pre-auto-gc")


class Trapped(NamedTuple):
    """A work tree whose repository is full of traps."""

    place: Path
    git: str
    ran: Path
    """Where each trap that is sprung writes its name."""

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [self.git, "-C", str(self.place), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def trap(tmp_path: Path) -> Callable[[str], Path]:
    traps = tmp_path / "traps"
    traps.mkdir()

    def make(name: str) -> Path:
        path = traps / name.replace("/", "_")
        path.write_text(f"#!/bin/sh\necho {path.name} >> {tmp_path / 'ran'}\nexit 1\n")
        path.chmod(0o755)
        return path

    return make


SLOW_WAYS = [pytest.param(way, marks=pytest.mark.slow) for way in ("included", "elsewhere")]


@pytest.fixture(params=["programs", "every key", *SLOW_WAYS])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=GITS)
def trapped(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    home: Path,
    how: str,
    trap: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Trapped:
    """Make a project in such a repository; the git in question is first in PATH."""
    if request.param is not None:
        monkeypatch.setenv("PATH", f"{request.param.parent}:{os.environ['PATH']}")
    found = Trapped(home / "project", str(request.param or "git"), tmp_path / "ran")
    place = found.place
    modules(place)
    modules(place / "lib")
    (place / "sub").mkdir()
    for name in ("lib/f", "sub/f", "lib/.gitignore"):
        (place / name).write_text(f"# {name}\n")
    (place / ".gitignore").write_text("node_modules/\n")
    subprocess.run([found.git, "init", "-q", place], check=True)
    found.run("config", "user.name", "me")
    found.run("config", "user.email", "me@example.org")
    found.run("add", ".")
    assert found.run("commit", "-q", "-m", "all").returncode == 0
    # Objects are missing that git asks for: one of a sparse index, one of a file of patterns.
    if found.run("sparse-checkout", "init", "--cone", "--sparse-index").returncode == 0:
        found.run("sparse-checkout", "set", "lib")
    found.run("update-index", "--skip-worktree", "lib/.gitignore")
    _forget(found, "HEAD:lib/.gitignore", "HEAD:sub")
    (place / "lib/.gitignore").unlink()
    (place / ".gitattributes").write_text("* filter=trap diff=trap merge=trap\n")
    _configure(found, how, trap)
    time.sleep(0.01)
    os.utime(place / "lib/f")  # git would have to look into it again
    return found


def _forget(trapped: Trapped, *objects: str) -> None:
    for name in trapped.run("rev-parse", *objects).stdout.split():
        (trapped.place / ".git/objects" / name[:2] / name[2:]).unlink()


def _configure(trapped: Trapped, how: str, trap: Callable[[str], Path]) -> None:
    listed = trapped.run("help", "--config").stdout.split()
    keys = [key for key in listed if re.fullmatch(r"[\w.<>*-]+", key) and "." in key]
    assert len(keys) > 300
    settings = []
    for key in (*map(_filled_in, keys), *NOT_LISTED):
        wanted = not DECIDES.fullmatch(key.lower())
        if how != "every key":
            wanted = wanted and NAMES_PROGRAM.search(key.lower()) is not None
        if wanted:
            settings.append((key, str(trap(key))))
    hooks = trapped.place.parent / "hooks"
    hooks.mkdir()
    for name in HOOKS:
        trap(name).rename(hooks / name)
    settings += [
        ("core.hooksPath", str(hooks)),
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::{trap('remote')}"),
        ("protocol.allow", "always"),
        ("protocol.ext.allow", "always"),
        ("filter.trap.required", "true"),
        *(("hook.trap.event", event) for event in HOOKS),
    ]
    text = ""
    for key, value in settings:
        section, _, rest = key.partition(".")
        middle, _, last = rest.rpartition(".")
        head = f'{section} "{middle}"' if middle else section
        text += f"[{head}]\n\t{last} = {value}\n"
    directory = trapped.place / ".git"
    if how == "included":
        (directory / "more").write_text(text)
        text = "[include]\n\tpath = more\n[extensions]\n\tpartialClone = origin\n"
    with (directory / "config").open("a") as file:
        file.write(text)
    if how == "elsewhere":
        moved = trapped.place.parent / "repository"
        directory.rename(moved)
        directory.write_text(f"gitdir: {moved}\n")


def _filled_in(key: str) -> str:
    key = re.sub(r"<(\w+)[^>]*>", lambda found: OPEN.get(found[1], "trap"), key)
    return key.replace("*", "trap")


COMMANDS = {
    "sweep --dry-run": ["sweep", "--dry-run"],
    "sweep": ["sweep"],
    "sweep again": ["sweep"],
    "status": ["status", "node_modules"],
    "list": ["list"],
    "doctor": ["doctor"],
    "export": ["export", "restic"],
    "unmark": ["unmark", "node_modules"],
    "mark": ["mark", "node_modules"],
    "run": ["run", "--", "true"],
    "hook": ["hook", "--check", "stamp"],
    "rebuild": ["rebuild", "--dry-run"],
    "undo": ["undo", "--yes"],
}


def test_no_command_runs_what_a_repository_configures(
    regrow: Regrow,
    trapped: Trapped,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    trap: Callable[[str], Path],
) -> None:
    with monkeypatch.context() as surroundings:
        for name in ("GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_PAGER", "GIT_EXTERNAL_DIFF"):
            surroundings.setenv(name, str(trap(name)))
        surroundings.setenv("GIT_CONFIG_COUNT", "1")
        surroundings.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
        surroundings.setenv("GIT_CONFIG_VALUE_0", str(trap("GIT_CONFIG_COUNT")))
        surroundings.setenv("GIT_ALLOW_PROTOCOL", "ext")
        (line,) = regrow.json("explain", "node_modules", cwd=trapped.place)
        # git was asked; where it knows sparse indexes, it has missed an object.
        assert line["decision"] == "mark" or "error: " in line["reason"], line
        for title, words in COMMANDS.items():
            regrow(*words, cwd=trapped.place)
            assert not trapped.ran.exists(), f"{title}: {trapped.ran.read_text()}"
        watch = subprocess.Popen(
            [*regrow.command, "watch", trapped.place.parent], stdin=subprocess.DEVNULL
        )
        time.sleep(2)
        watch.send_signal(signal.SIGTERM)
        watch.wait(30)
        assert not trapped.ran.exists(), f"watch: {trapped.ran.read_text()}"
    if how != "every key":  # that many are too much for git itself
        trapped.run("ls-files", "--others", "--exclude-standard", "--", "lib")
        trapped.run("status")
        trapped.run("diff")
        assert trapped.ran.exists()  # the control: the traps do work
