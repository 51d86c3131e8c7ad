"""Which project a directory belongs to, and what of it is marked."""

import os
from pathlib import Path

import pytest

from regrow import pipeline
from regrow.config import Configuration
from regrow.model import Scope
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan import project_root
from regrow_marks.model import ALREADY_MARKED, MARKED

IN_FORCE = loader.active_rules(Configuration(), "")


@pytest.fixture(autouse=True)
def home(home: Path) -> Path:
    """The home directory under its true name."""
    return home.resolve()


def make(place: Path, *names: str) -> None:
    """Make files, and directories where a name ends in a slash."""
    for name in names:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(parents=True) if name.endswith("/") else path.touch()


def root_of(directory: Path) -> str | None:
    return project_root.root_of(str(directory), IN_FORCE)


def test_a_directory_in_a_repository_leads_to_the_repository(home: Path) -> None:
    make(home, "code/shop/.git/", "code/shop/src/deep/a.py", "code/package.json")
    assert root_of(home / "code/shop/src/deep") == f"{home}/code/shop"
    assert root_of(home / "code/shop") == f"{home}/code/shop"


def test_a_repository_within_one_is_a_project_of_its_own(home: Path) -> None:
    make(home, "shop/.git/", "shop/module/.git", "shop/module/src/a.c")  # a submodule's is a file
    assert root_of(home / "shop/module/src") == f"{home}/shop/module"


def test_a_member_of_a_workspace_leads_to_its_root(home: Path) -> None:
    make(home, "shop/package.json", "shop/packages/cart/package.json", "shop/packages/cart/src/")
    assert root_of(home / "shop/packages/cart/src") == f"{home}/shop"


@pytest.mark.parametrize("evidence", ["demo.csproj", "main.tf", ".moon/workspace.yml"])
def test_every_kind_of_evidence_makes_a_project(evidence: str, home: Path) -> None:
    make(home, f"demo/{evidence}", "demo/src/part/")
    assert root_of(home / "demo/src/part") == f"{home}/demo"


def test_a_directory_without_any_evidence_is_its_own_project(home: Path) -> None:
    make(home, "notes/2024/")
    assert root_of(home / "notes/2024") == f"{home}/notes/2024"


def test_what_stands_in_the_home_directory_makes_no_project_of_it(home: Path) -> None:
    make(home, "package.json", ".git/", "demo/src/", "shop/package.json", "shop/src/")
    assert root_of(home / "demo/src") == f"{home}/demo/src"
    assert root_of(home / "shop/src") == f"{home}/shop"


def test_the_home_directory_and_those_above_are_nobodys_project(home: Path) -> None:
    make(home, "package.json")
    for place in (home, home.parent, Path("/")):
        assert root_of(place) is None


def test_a_home_that_is_reached_through_a_link_is_known(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(home, "package.json", "demo/")
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    assert root_of(home) is None
    assert root_of(home / "demo") == f"{home}/demo"


def test_what_all_users_share_is_nobodys_project(tmp_path: Path) -> None:
    shared = tmp_path.resolve() / "tmp"
    make(shared, "package.json", ".git/", "mine/src/")
    shared.chmod(0o1777)
    assert root_of(shared) is None
    assert root_of(shared / "mine/src") == f"{shared}/mine/src"
    make(shared, "mine/package.json")
    assert root_of(shared / "mine/src") == f"{shared}/mine"


def test_a_directory_that_is_gone_leads_to_what_is_left(home: Path) -> None:
    make(home, "shop/package.json")
    assert root_of(home / "shop/gone") == f"{home}/shop"


def test_all_of_a_project_is_marked_and_nothing_beside_it(home: Path) -> None:
    for place in ("shop", "shop/packages/cart", "other"):
        make(home, f"{place}/package.json", f"{place}/node_modules/")
        (home / place / "package-lock.json").write_text('{"lockfileVersion": 3}')

    def outcomes() -> dict[str, str]:
        scope = Scope([f"{home}/shop"], Configuration(), IN_FORCE)
        with Store() as store:
            results = list(pipeline.apply(pipeline.plan(scope, store), store))
        return {result.decision.candidate.path: result.outcome for result in results}

    marked = {f"{home}/shop/node_modules", f"{home}/shop/packages/cart/node_modules"}
    assert outcomes() == dict.fromkeys(marked, MARKED)
    assert outcomes() == dict.fromkeys(marked, ALREADY_MARKED)
    with Store() as store:
        assert len(store.names()) == len(marked)


@pytest.mark.parametrize("skip", ["~/shop", "~", "~/shop/"])
def test_what_the_user_skips_is_nobodys_project(skip: str, home: Path) -> None:
    make(home, "shop/package.json", "shop/node_modules/")
    assert project_root.root_of(f"{home}/shop", IN_FORCE, (skip,)) is None
    assert project_root.root_of(f"{home}/shop", IN_FORCE, ("~/shop/node_modules",))


def test_what_cannot_be_listed_is_climbed_past(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(home, "shop/package.json", "shop/closed/inner/")
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/closed"):
            raise PermissionError(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert root_of(home / "shop/closed/inner") == f"{home}/shop"
