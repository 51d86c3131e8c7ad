"""What differs from asimov and tmignore: a test a row of the table in ``docs/coming-from.md``.

asimov goes by a directory's name and a file beside it, tmignore by what git ignores. What either
would exclude in a tree is worked out here in the same way, and regrow is asked about the same tree.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from regrow_marks.tag import SIGNATURE
from tests import attributes
from tests.conftest import Regrow
from tests.sweeping import Inside

pytestmark = pytest.mark.needs("git")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")

PAGE = Path(__file__).parents[1] / "docs/coming-from.md"
ATTRIBUTE = "user.xdg.robots.backup"
LOCK = '{"lockfileVersion": 3, "packages": {}}'


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture
def project(home: Path) -> Path:
    """A project in the home directory, in a repository, whose ``.gitignore`` a test writes."""
    place = home.resolve() / "code" / "shop"
    place.mkdir(parents=True)
    git(place, "init", "-q")
    return place


def git(place: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "core.excludesFile=")
    return subprocess.run(
        ["git", *who, "-C", place, *words], check=True, capture_output=True, text=True
    ).stdout


def put(place: Path, *names: str) -> None:
    """Make files, and directories where a name ends in a slash."""
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(LOCK if name.endswith("package-lock.json") else f"{name}\n")


def put_modules(place: Path) -> Path:
    """Make what npm makes; gives its ``node_modules``."""
    put(place, "package.json", "package-lock.json", "node_modules/one/index.js")
    return place / "node_modules"


def put_environment(place: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)


def by_a_file_beside(place: Path, directory: str, beside: str) -> set[str]:
    """Find directories of a name with a file beside them, entering none of them, like asimov."""
    found = set()
    for at, names, _ in os.walk(place):
        if directory in names and os.path.exists(os.path.join(at, beside)):
            found.add(os.path.relpath(os.path.join(at, directory), place))
            names.remove(directory)
    return found


def by_git(place: Path) -> set[str]:
    """Ask git for all that it ignores, a directory as a whole, like tmignore."""
    said = git(
        place, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"
    )
    return {name.rstrip("/") for name in said.split("\0") if name}


def by_regrow(regrow: Regrow, place: Path, *words: str) -> dict[str, dict[str, Any]]:
    """Sweep, and give by relative path what was said."""
    done = regrow("sweep", "--yes", "--json", *words, place)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {os.path.relpath(line["path"], place): line for line in lines}


def marked(said: dict[str, dict[str, Any]]) -> set[str]:
    return {path for path, line in said.items() if line["decision"] != "keep"}


def is_excluded(path: Path) -> bool:
    """Tell whether any mark is on a path."""
    tag = path / "CACHEDIR.TAG"
    has_tag = tag.is_file() and tag.read_bytes().startswith(SIGNATURE)
    return has_tag or bool(attributes.names(path))


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_row_names_a_test_of_its_own_and_every_test_here_has_its_row() -> None:
    named = [re.fullmatch(r"`(test_\w+)`", row[-1]) for row in rows()]
    names = [match[1] for match in named if match]
    here = {name for name in globals() if name.startswith("test_")}
    assert len(names) == len(rows()) >= 15
    assert len(set(names)) == len(names)
    about_the_page = {"test_every_row_names_a_test_of_its_own_and_every_test_here_has_its_row"}
    assert set(names) == here - about_the_page


@linux
def test_what_git_ignores_and_no_rule_recognises_stays(regrow: Regrow, project: Path) -> None:
    put(project, ".env", "db.sqlite3", "data/survey.csv", "notes/draft.md")
    modules = put_modules(project)
    (project / ".gitignore").write_text(".env\n*.sqlite3\ndata/\nnotes/\nnode_modules/\n")
    assert by_git(project) == {".env", "db.sqlite3", "data", "notes", "node_modules"}
    assert marked(by_regrow(regrow, project)) == {"node_modules"}
    assert is_excluded(modules)
    for name in (".env", "db.sqlite3", "data", "data/survey.csv", "notes"):
        assert not is_excluded(project / name)


@linux
def test_a_single_file_is_never_marked(regrow: Regrow, project: Path) -> None:
    put(project, "run.log", "main.pyc", "node_modules", "package.json", "package-lock.json")
    (project / ".gitignore").write_text("*.log\n*.pyc\nnode_modules\n")
    assert by_git(project) == {"run.log", "main.pyc", "node_modules"}
    assert by_regrow(regrow, project) == {}
    assert not any(is_excluded(path) for path in project.iterdir())


HOLDS_ONES_OWN = [
    ("vendor", "Gemfile", "vendor/assets/app.css", None),
    ("dist", "setup.py", "dist/shop-0.9.tar.gz", None),
    ("renv", "renv.lock", "renv/activate.R", "renv/library"),
    (".yarn", ".yarnrc.yml", ".yarn/patches/one.patch", ".yarn/unplugged"),
    (".vagrant", "Vagrantfile", ".vagrant/machines/a/virtualbox/private_key", None),
    (".direnv", ".envrc", ".direnv/notes", None),
    (
        ".terraform",
        ".terraform.lock.hcl",
        ".terraform/terraform.tfstate",
        ".terraform/providers",
    ),
]


@linux
@pytest.mark.parametrize(("directory", "beside", "own", "part"), HOLDS_ONES_OWN)
def test_what_holds_something_of_ones_own_stays_and_its_part_that_comes_back_goes(
    regrow: Regrow, project: Path, directory: str, beside: str, own: str, part: str | None
) -> None:
    put(project, beside, own, *([f"{part}/made"] if part else []))
    (project / ".gitignore").write_text(f"{directory}/\n")
    assert by_a_file_beside(project, directory, beside) == by_git(project) == {directory}
    assert marked(by_regrow(regrow, project)) == ({part} if part else set())
    above = [project / own, *(project / own).parents]
    assert not any(is_excluded(path) for path in above[: above.index(project) + 1])


@linux
@pytest.mark.parametrize(
    ("directory", "beside", "inside"),
    [
        ("build", "setup.py", None),
        ("bin", "shop.csproj", None),
        ("deps", "mix.exs", None),
        ("vendor", "go.mod", "modules.txt"),
    ],
)
def test_a_common_name_needs_more_than_a_file_beside_it(
    regrow: Regrow, project: Path, directory: str, beside: str, inside: str | None
) -> None:
    put(project, beside, f"{directory}/{'example.org/x.go' if inside else 'notes.txt'}")
    if directory == "deps":
        put(project, "mix.lock")
    assert by_a_file_beside(project, directory, beside) == {directory}
    assert marked(by_regrow(regrow, project)) == set()
    if inside:
        put(project, f"{directory}/{inside}")
    else:
        put(project, "obj/project.assets.json")  # .NET's restore writes it beside bin/
        (project / ".gitignore").write_text(f"{directory}/\nobj/\n")
    assert directory in marked(by_regrow(regrow, project))


@linux
def test_what_git_tracks_stays(regrow: Regrow, project: Path) -> None:
    modules = put_modules(project)
    git(project, "add", "-A")
    assert by_a_file_beside(project, "node_modules", "package.json") == {"node_modules"}
    assert by_git(project) == set()
    said = by_regrow(regrow, project)
    assert said["node_modules"]["guard"] == "tracked"
    assert not is_excluded(modules)


@linux
def test_without_a_way_back_it_stays(regrow: Regrow, project: Path) -> None:
    modules = put_modules(project)
    (project / "package-lock.json").unlink()
    (project / ".gitignore").write_text("node_modules/\n")
    assert by_a_file_beside(project, "node_modules", "package.json") == by_git(project)
    said = by_regrow(regrow, project)
    assert said["node_modules"]["guard"] == "no-recipe"
    assert not is_excluded(modules)


@linux
def test_no_repository_is_needed(regrow: Regrow, home: Path) -> None:
    modules = put_modules(home / "Desktop" / "experiment")
    assert marked(by_regrow(regrow, home)) == {"Desktop/experiment/node_modules"}
    assert is_excluded(modules)


@linux
def test_an_environment_is_recognised_by_what_is_inside(regrow: Regrow, project: Path) -> None:
    put_environment(project / "py311 for the talk")
    put(project, "venv/lyrics.txt", "requirements.txt")
    assert by_a_file_beside(project, "venv", "requirements.txt") == {"venv"}
    assert by_git(project) == set()
    assert marked(by_regrow(regrow, project)) == {"py311 for the talk"}
    assert not is_excluded(project / "venv")


@linux
def test_hidden_entries_of_the_home_directory_are_not_entered(regrow: Regrow, home: Path) -> None:
    extension = put_modules(home / ".vscode/extensions/one")
    put_environment(home / ".virtualenvs/shop")
    assert by_a_file_beside(home, "node_modules", "package.json") == {
        ".vscode/extensions/one/node_modules"
    }
    assert marked(by_regrow(regrow, home)) == {".virtualenvs/shop"}
    assert not is_excluded(extension)


@linux
def test_a_link_is_neither_marked_nor_evidence(regrow: Regrow, project: Path, home: Path) -> None:
    elsewhere = put_modules(home / ".elsewhere")
    put(project, "one/package.json", "one/package-lock.json", "two/node_modules/one/index.js")
    (project / "one/node_modules").symlink_to(elsewhere)
    (project / "two/package.json").symlink_to(elsewhere.parent / "package.json")
    (project / "two/package-lock.json").symlink_to(elsewhere.parent / "package-lock.json")
    assert "two/node_modules" in by_a_file_beside(project, "node_modules", "package.json")
    assert by_regrow(regrow, project) == {}
    assert not is_excluded(elsewhere)
    assert not is_excluded(project / "two/node_modules")


def test_tmutil_is_never_run(
    regrow: Regrow, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_modules(project)
    trace = tmp_path / "trace"
    stub = tmp_path / "bin/tmutil"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\necho called >> '{trace}'\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}{os.pathsep}{os.environ['PATH']}")
    subprocess.run(["tmutil"], check=True)
    trace.unlink()
    assert marked(by_regrow(regrow, project)) == {"node_modules"}
    assert regrow("status", project / "node_modules").returncode in (0, 1)
    assert regrow("undo", "--yes").returncode == 0
    assert not trace.exists()


@pytest.mark.needs("tar")
@pytest.mark.skipif(sys.platform != "linux", reason="GNU tar")
def test_other_backup_programs_leave_it_out_too(
    regrow: Regrow, project: Path, tmp_path: Path
) -> None:
    put_modules(project)
    (project / ".gitignore").write_text("node_modules/\n")

    def archived() -> set[str]:
        archive = tmp_path / "shop.tar"
        words = [
            "tar",
            "--exclude-caches-all",
            "-C",
            str(project.parent),
            "-cf",
            str(archive),
            "shop",
        ]
        subprocess.run(words, check=True)
        done = subprocess.run(["tar", "-tf", archive], check=True, capture_output=True, text=True)
        return {name for name in done.stdout.splitlines() if "/.git/" not in name}

    assert "shop/node_modules/one/index.js" in archived()
    by_regrow(regrow, project)
    assert archived() == {
        "shop/", "shop/.gitignore", "shop/package.json", "shop/package-lock.json",
    }  # fmt: skip


@linux
def test_linux_has_its_own_attribute(regrow: Regrow, project: Path) -> None:
    modules = put_modules(project)
    by_regrow(regrow, project)
    assert attributes.get(modules, ATTRIBUTE) == b"false"
    assert sorted(attributes.names(modules)) == ["user.regrow.record", ATTRIBUTE]


@linux
def test_what_others_excluded_is_found_and_left_by_undo(regrow: Regrow, project: Path) -> None:
    modules = put_modules(project)
    foreign = put_modules(project / "archive/old").parent.parent
    for path in (modules, foreign, project / "package.json"):
        attributes.put(path, ATTRIBUTE, b"false")
    said = by_regrow(regrow, project)
    assert {path: line["decision"] for path, line in said.items()} == {
        "node_modules": "marked already"
    }
    (line,) = regrow.json("list")
    assert (line["set"], line["found"]) == ([], ["xdg-robots"])
    assert regrow("undo", "--yes").returncode == 0
    for path in (modules, foreign, project / "package.json"):
        assert attributes.get(path, ATTRIBUTE) == b"false"
    assert not is_excluded(foreign / "old/node_modules")


@linux
def test_undo_takes_back_exactly_what_was_set_all_or_by_path(regrow: Regrow, project: Path) -> None:
    places = [put_modules(project / name) for name in ("one", "two", "three")]
    (project / ".gitignore").write_text("node_modules/\n")

    def state() -> list[tuple[str, int, list[str]]]:
        return [
            (str(path), path.lstat().st_mtime_ns, attributes.names(path))
            for path in sorted(project.rglob("*"))
        ]

    before = state()
    by_regrow(regrow, project)
    assert all(is_excluded(path) for path in places)
    assert regrow("undo", places[0].parent).returncode == 0
    assert [is_excluded(path) for path in places] == [False, True, True]
    assert regrow("undo", "--yes").returncode == 0
    assert state() == before
    assert regrow.json("sweep", "--yes", "--keep", "node_modules", project)[0]["guard"] == (
        "kept-by-user"
    )
    assert state() == before


@linux
def test_a_record_tells_how_it_comes_back_and_is_no_cache(
    regrow: Regrow, project: Path, home: Path, records_directory: Path
) -> None:
    modules = put_modules(project)
    by_regrow(regrow, project)
    (file,) = records_directory.glob("*.toml")
    record = tomllib.loads(file.read_text())
    assert record["path"] == str(modules)
    assert record["evidence"] == ["package.json"]
    assert record["recipe"]["kind"] == "node"
    assert record["recipe"]["manager"] == "npm"
    assert record["recipe"]["lock"] == str(project / "package-lock.json")
    assert not any(path.name == "CACHEDIR.TAG" for path in home.glob(".local/**/*"))
    assert not any(".cache" in path.parts for path in home.rglob("*.toml"))


@linux
def test_exceptions_are_patterns_and_a_project_can_say_so_itself(
    regrow: Regrow, project: Path, home: Path
) -> None:
    for name in ("one", "two", "three", "four"):
        put_modules(project / name)
    put_environment(project / ".venv")
    (project / "two/.regrow.toml").write_text('keep = ["node_modules"]\n')
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('keep = ["three/node_modules"]\nskip = ["~/code/shop/four"]\n'
                    'disable = ["venv"]\n')  # fmt: skip
    said = by_regrow(regrow, project, "--keep", "one/node_modules")
    assert {path: line["guard"] for path, line in said.items()} == dict.fromkeys(
        (f"{name}/node_modules" for name in ("one", "two", "three")), "kept-by-user"
    )


def test_a_timer_can_run_it_again_and_again(regrow: Regrow, project: Path) -> None:
    put_modules(project)
    assert regrow("sweep").returncode == 2  # nobody is there to answer
    assert [line["outcome"] for line in regrow.json("sweep", "--yes")] == ["marked"]
    assert [line["outcome"] for line in regrow.json("sweep", "--yes")] == ["already marked"]
    done = regrow("sweep", "--yes")
    assert done.returncode == 0
    assert done.stdout.startswith("marked 0, marked already 1, ")


def test_what_matched_is_not_read(regrow: Regrow, project: Path) -> None:
    modules = put_modules(project)
    put(modules, *(f"package-{number}/lib/deep/index.js" for number in range(50)))
    done = regrow("sweep", "--dry-run", project)
    assert done.stdout.endswith("; 1 directories read\n")
