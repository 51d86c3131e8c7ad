"""Package managers touch more than one directory: they run only where that harms nothing."""

import json
from pathlib import Path

import pytest

from regrow.rebuild.neighbours import in_the_way


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "package.json").write_text(json.dumps({"workspaces": ["packages/*"]}))
    (tmp_path / "package-lock.json").write_text("{}")
    for name in ("packages/a", "packages/b", "elsewhere/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "package.json").write_text("{}")
    return tmp_path


def stands_in_the_way(root: Path, *coming: Path) -> str:
    paths = [str(path / "node_modules") for path in (root, *coming)]
    return in_the_way(str(root), "package-lock.json", "npm ci", paths)


def test_a_member_whose_modules_stand_is_in_the_way(root: Path) -> None:
    (root / "packages/a/node_modules/mine").mkdir(parents=True)
    assert str(root / "packages/a/node_modules") in stands_in_the_way(root)
    assert stands_in_the_way(root, root / "packages/a") == "", "they come back, too"


def test_modules_that_are_no_members_are_not(root: Path) -> None:
    (root / "elsewhere/c/node_modules/mine").mkdir(parents=True)
    (root / "packages/a/node_modules").mkdir()
    (root / "packages/a/node_modules/CACHEDIR.TAG").touch()
    assert stands_in_the_way(root) == ""


def test_members_of_pnpm(root: Path) -> None:
    (root / "package.json").write_text("{}")
    (root / "pnpm-workspace.yaml").write_text("packages: ['packages/*']\n")
    lock = root / "pnpm-lock.yaml"
    lock.write_text("lockfileVersion: '9.0'\n\nimporters:\n\n  packages/b:\n    x: 1\n")
    (root / "packages/b/node_modules/mine").mkdir(parents=True)
    found = in_the_way(str(root), str(lock), "pnpm install", [str(root / "node_modules")])
    assert found.startswith("pnpm install would remove from ")
    assert str(root / "packages/b/node_modules") in found


def test_the_roots_own_modules_are_in_the_way_of_a_members(root: Path) -> None:
    (root / "node_modules/a").mkdir(parents=True)
    member = [str(root / "packages/a/node_modules")]
    assert str(root / "node_modules") in in_the_way(str(root), "package-lock.json", "x", member)
