"""What the documentation shows is what happens: its commands run, its output is today's."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from regrow.cli.main import COMMANDS
from tests.conftest import Regrow
from tests.e2e.test_python_round_trip import make_wheel
from tests.sweeping import Inside

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_PLACEHOLDER = re.compile(r"[\[…<]|\b[A-Z]{3,}\b")
_REST = re.compile(r" *\\?(\||>|&&|;|#).*")


@pytest.fixture
def code(home: Path) -> Path:
    """The two projects that the README shows, in ``~/code``."""
    shop, thesis = home / "code/shop", home / "code/thesis"
    (shop / "node_modules/express").mkdir(parents=True)
    (shop / "node_modules/express/index.js").write_text("1\n")
    (shop / "package.json").write_text("{}\n")
    (shop / "package-lock.json").write_text("{}\n")
    (shop / ".gitignore").write_text("node_modules/\n")
    subprocess.run(["git", "init", "-q", shop], check=True)
    (thesis / "build").mkdir(parents=True)
    (thesis / "build/figure.svg").write_text("<svg/>\n")
    (thesis / "setup.py").touch()
    subprocess.run(["uv", "venv", "-q", thesis / ".venv"], check=True)
    return home / "code"


def documented() -> set[str]:
    """Give regrow's command lines that pages show, up to a pipe; a command's name alone is none."""
    found: set[str] = set()
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            lines = [line.removeprefix("$ ") for line in block.splitlines()]
            found.update(line for line in lines if line.startswith("regrow "))
        found.update(re.findall(r"`(regrow [a-z]+ [^`]+)`", text.replace("\n", " ")))
    return {
        line for line in (_REST.sub("", line) for line in found) if not _PLACEHOLDER.search(line)
    }


def test_every_command_that_a_page_names_is_there() -> None:
    named = {
        word
        for page in PAGES
        for word in re.findall(r"`regrow ([a-z]+)[ `]", page.read_text().replace("\n", " "))
    }
    assert {"sweep", "list", "undo"} <= named <= set(COMMANDS)


@pytest.mark.needs("git", "uv")
@pytest.mark.parametrize("line", sorted(documented()))
def test_every_command_line_that_a_page_shows_is_right_usage(
    line: str, regrow: Regrow, code: Path, home: Path
) -> None:
    words = [word.replace("~", str(home), 1) for word in shlex.split(line)[1:]]
    asks = words[0] in ("sweep", "rebuild") and not {"--yes", "--dry-run"} & set(words)
    asks |= words in (["undo"], ["undo", "--json"])
    if words[0] == "venv":
        words += ["--creator", "uv"]
    if words[0] == "run":
        words = ["run", "--", "true"]  # the command is any
    if words[0] in ("service", "watch"):
        words.append("--help")  # the developer's service manager is no test's; a watch never ends
    runner = regrow if words[0] == "run" else Inside()
    done = runner(*words, *(["--dry-run"] if asks else []), cwd=code / "shop")
    assert done.returncode in (0, 1), done.stderr
    assert "usage:" not in done.stderr


def as_read(text: str, home: str) -> list[str]:
    """Leave out of an output what differs from machine to machine: sizes, times, column widths."""
    text = text.replace(home, "/home/ada")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"[\d.]+ [kMG]?B\b", "SIZE", text)
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.needs("git", "uv")
@pytest.mark.skipif(sys.platform != "linux", reason="the marks' names are Linux'")
def test_the_readmes_sweep_list_and_undo_print_what_they_print(
    regrow: Regrow, code: Path, home: Path
) -> None:
    blocks = re.findall(r"```console\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "$ regrow sweep" in block)
    shown = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    assert [command.split()[1] for command, _, _ in shown] == ["sweep", "sweep", "list", "undo"]
    for command, _, output in shown:
        words = shlex.split(command.replace("~", str(home)))[1:]
        done = regrow(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert as_read(done.stdout.strip(), str(home.resolve())) == (
            as_read(output.strip(), "/home/ada")
        )


@pytest.mark.needs("git", "uv")
@pytest.mark.skipif(sys.platform != "linux", reason="the marks' names are Linux'")
def test_the_readmes_rebuild_prints_what_it_prints(
    regrow: Regrow, code: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = code / "shop/.venv"
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    subprocess.run(["uv", "venv", "-q", "--python", sys.executable, environment], check=True)
    wheels = [make_wheel(tmp_path, name) for name in ("bolt", "nut")]
    assert wheels
    install = ["uv", "pip", "install", "-q", "--offline", "--python", str(environment)]
    subprocess.run([*install, "bolt", "nut"], check=True)
    assert regrow("sweep", "--yes", code).returncode == 0
    shutil.rmtree(environment)
    blocks = re.findall(r"```console\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "$ regrow rebuild" in block)
    command, _, output = block.partition("\n")
    done = regrow(*shlex.split(command.replace("~", str(home)))[2:])
    assert (done.returncode, done.stderr) == (0, "")
    version = ".".join(map(str, sys.version_info[:3]))
    assert as_read(done.stdout.strip(), str(home.resolve())) == (
        as_read(
            output.strip()
            .replace("3.11.7", version)
            .replace("--python 3.11 ", f"--python {version.rpartition('.')[0]} ")
            .replace("/usr/bin/python3.11", os.path.realpath(sys.executable)),
            "/home/ada",
        )
    )


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_on_plugins_names_the_virtualenv_that_is_required() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    [version] = [word[len("virtualenv>=") :] for word in dependencies if "virtualenv>=" in word]
    text = " ".join((ROOT / "docs/plugins.md").read_text().split())
    assert f"requires virtualenv {version};" in text
