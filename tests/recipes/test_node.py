"""The recipe of node_modules: which lock, which manager, and what hostile files can't do."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from regrow.recipes.recipe import RecipeError, RecipeResult, build_recipe

PACKAGE = {"name": "demo", "version": "1.0.0"}
LOCK = "regrow's tests look at the name alone\n"
DEEP = "[" * 200_000


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a repository of its own, so that nothing above it counts."""
    place = tmp_path / "demo"
    (place / "node_modules").mkdir(parents=True)
    (place / ".git").mkdir()
    write(place / "package.json", PACKAGE)
    return place


def take(project: Path) -> RecipeResult:
    return build_recipe("node", str(project / "node_modules"), str(project))


def member(root: Path, place: str) -> Path:
    (root / place / "node_modules").mkdir(parents=True)
    write(root / place / "package.json", {"name": "member"})
    return root / place


def hidden(project: Path, packages: object, **more: object) -> None:
    content = {"lockfileVersion": 3, "requires": True, "packages": packages, **more}
    write(project / "node_modules/.package-lock.json", content)


def copied(taken: RecipeResult) -> dict[str, Any]:
    ((name, data),) = taken.files
    assert name == "package-lock.json"
    lock = json.loads(data)
    assert isinstance(lock, dict)
    return lock


@pytest.mark.parametrize(
    ("name", "text", "manager", "command"),
    [
        ("package-lock.json", LOCK, "npm", ["npm", "ci"]),
        ("npm-shrinkwrap.json", LOCK, "npm", ["npm", "ci"]),
        ("pnpm-lock.yaml", LOCK, "pnpm", ["pnpm", "install", "--frozen-lockfile"]),
        ("yarn.lock", "# yarn lockfile v1\n", "yarn", ["yarn", "install", "--frozen-lockfile"]),
        ("yarn.lock", "#\n\n__metadata:\n  v: 8\n", "yarn", ["yarn", "install", "--immutable"]),
        ("bun.lock", LOCK, "bun", ["bun", "install", "--frozen-lockfile"]),
        ("bun.lockb", LOCK, "bun", ["bun", "install", "--frozen-lockfile"]),
    ],
)  # fmt: skip
def test_the_lock_beside_is_the_recipe(
    project: Path, name: str, text: str, manager: str, command: list[str]
) -> None:
    write(project / name, text)
    taken = take(project)
    assert taken.recipe["manager"] == manager
    assert taken.recipe["command"] == command
    assert taken.recipe["lock"] == str(project / name)
    assert taken.recipe["directory"] == str(project)
    assert taken.files == ()


def test_npm_reads_its_shrinkwrap_first(project: Path) -> None:
    write(project / "package-lock.json", LOCK)
    write(project / "npm-shrinkwrap.json", LOCK)
    assert take(project).recipe["lock"] == str(project / "npm-shrinkwrap.json")


@pytest.mark.parametrize(
    ("trace", "manager"),
    [(".modules.yaml", "pnpm"), (".yarn-integrity", "yarn"), (".yarn-state.yml", "yarn")],
)
def test_of_two_locks_that_of_the_manager_at_work_counts(
    project: Path, trace: str, manager: str
) -> None:
    for name in ("package-lock.json", "pnpm-lock.yaml", "yarn.lock"):
        write(project / name, LOCK)
    write(project / "package.json", {**PACKAGE, "packageManager": "bun@1.0.0"})
    assert take(project).recipe["manager"] == "npm"
    write(project / "node_modules" / trace, "")
    assert take(project).recipe["manager"] == manager


def test_of_two_locks_that_of_the_manager_asked_for_counts(project: Path) -> None:
    write(project / "package.json", {**PACKAGE, "packageManager": "pnpm@10.1.0"})
    for name in ("package-lock.json", "pnpm-lock.yaml"):
        write(project / name, LOCK)
    recipe = take(project).recipe
    assert (recipe["manager"], recipe["manager_version"]) == ("pnpm", "10.1.0")


@pytest.mark.parametrize(
    ("stated", "version"),
    [
        ("npm@11.0.0", "11.0.0"),
        ("npm@11.0.0+sha512.abc", "11.0.0+sha512.abc"),
        ("yarn@4.0.0", ""),
        ("npm@--global", ""),
        ("npm@https://example.org/npm.tgz", ""),
        ("npm", ""),
        (["npm@11.0.0"], ""),
        (None, ""),
        ({"npm": 11}, ""),
        ("npm@1" + "1" * 5000, "1" * 201),
    ],
)
def test_the_version_is_the_one_asked_for(project: Path, stated: object, version: str) -> None:
    write(project / "package-lock.json", LOCK)
    write(project / "package.json", {**PACKAGE, "packageManager": stated})
    assert take(project).recipe["manager_version"] == version


def test_the_version_can_stand_at_the_root_of_the_workspace(project: Path) -> None:
    package = {**PACKAGE, "workspaces": ["packages/*"], "packageManager": "yarn@4.2.0"}
    write(project / "package.json", package)
    write(project / "yarn.lock", "x\n__metadata:\n")
    assert take(member(project, "packages/one")).recipe["manager_version"] == "4.2.0"


@pytest.mark.parametrize(
    ("workspaces", "place", "is_member"),
    [
        (["packages/*"], "packages/one", True),
        (["./packages/*/"], "packages/one", True),
        (["packages/one"], "packages/one", True),
        ({"packages": ["packages/*"]}, "packages/one", True),
        (["packages/**"], "packages/a/b", True),
        (["**"], "one", True),
        (["packages/*"], "packages/a/b", False),
        (["packages/*"], "examples/one", False),
        (["packages/*", "!packages/one"], "packages/one", False),
        ([], "packages/one", False),
        ("packages/*", "packages/one", False),
        ([["packages/*"], None, 1], "packages/one", False),
        (["**/a/" * 40], "/".join("a" * 60), False),
        ({"packages": "packages/*"}, "packages/one", False),
    ],
)
def test_a_lock_above_counts_for_the_members_of_its_workspace(
    project: Path, workspaces: object, place: str, is_member: bool
) -> None:
    write(project / "package.json", {**PACKAGE, "workspaces": workspaces})
    lock = write(project / "package-lock.json", LOCK)
    inner = member(project, place)
    if is_member:
        recipe = take(inner).recipe
        assert (recipe["lock"], recipe["directory"]) == (str(lock), str(project))
    else:
        with pytest.raises(RecipeError, match="nothing pins"):
            take(inner)


PNPM_LOCK = """lockfileVersion: '9.0'

importers:

  .: {}

  packages/one:
    dependencies:
      is-number:
        specifier: 7.0.0
        version: 7.0.0

  'packages/@me':
    dependencies: {}

  packages/bare: {}

packages:

  elsewhere:
    resolution: {integrity: sha512-x}
"""


@pytest.mark.parametrize(
    ("place", "is_member"),
    [
        ("packages/one", True),
        ("packages/@me", True),
        ("packages/bare", True),
        ("packages/two", False),
        ("elsewhere", False),
        ("dependencies", False),
    ],
)
def test_a_lock_of_pnpm_counts_for_the_projects_that_it_names(
    project: Path, place: str, is_member: bool
) -> None:
    write(project / "pnpm-lock.yaml", PNPM_LOCK)
    inner = member(project, place)
    with pytest.raises(RecipeError, match="nothing pins"):
        take(inner)  # no workspace: somebody else's lock
    write(project / "pnpm-workspace.yaml", "packages:\n  - packages/*\n")
    if is_member:
        assert take(inner).recipe["lock"] == str(project / "pnpm-lock.yaml")
    else:
        with pytest.raises(RecipeError, match="nothing pins"):
            take(inner)


def test_a_lock_above_the_repository_is_somebody_elses(project: Path) -> None:
    write(project / "package.json", {**PACKAGE, "workspaces": ["packages/*"]})
    write(project / "package-lock.json", LOCK)
    inner = member(project, "packages/one")
    (inner / ".git").write_text("gitdir: elsewhere\n")
    with pytest.raises(RecipeError, match="nothing pins"):
        take(inner)


def test_a_lock_in_an_unrelated_directory_above_does_not_count(project: Path) -> None:
    write(project / "package-lock.json", LOCK)
    write(project / "yarn.lock", LOCK)
    with pytest.raises(RecipeError, match="nothing pins"):
        take(member(project, "examples/one"))


def test_a_lock_that_is_a_link_a_directory_or_empty_pins_nothing(project: Path) -> None:
    elsewhere = write(project.parent / "elsewhere", LOCK)
    (project / "package-lock.json").symlink_to(elsewhere)
    (project / "pnpm-lock.yaml").mkdir()
    (project / "yarn.lock").touch()
    os.mkfifo(project / "bun.lock")
    with pytest.raises(RecipeError, match="nothing pins what is in it: no lock file beside it"):
        take(project)


def test_the_hidden_lock_becomes_a_lock(project: Path) -> None:
    write(project / "package.json", {**PACKAGE, "dependencies": {"one": "^1.0.0"}})
    entry = {"version": "1.0.0", "resolved": "https://example.org/one.tgz", "integrity": "sha512-x"}
    hidden(project, {"node_modules/one": entry})
    taken = take(project)
    assert taken.recipe["lock_is_copied"] is True
    assert taken.recipe["command"] == ["npm", "install", "--package-lock"]
    assert copied(taken) == {
        **PACKAGE,
        "lockfileVersion": 3,
        "requires": True,
        "packages": {
            "": {**PACKAGE, "dependencies": {"one": "^1.0.0"}},
            "node_modules/one": entry,
        },
    }
    assert [remark for remark in taken.remarks if "credentials" in remark] == []


def test_no_credentials_are_copied(project: Path) -> None:
    private = "git+https://ada:hunter2@example.org/two.git#v1"
    package = {**PACKAGE, "dependencies": {"one": "1.0.0", "two": private, "three": "1.0.0"}}
    write(project / "package.json", package)
    hidden(
        project,
        {
            "node_modules/one": {"resolved": "https://ada:hunter2@example.org/one.tgz"},
            "node_modules/two": {
                "resolved": "git+ssh://git@example.org/two.git#abc",
                "dependencies": {"four": "https://hunter2@example.org/four.tgz"},
                "funding": [{"url": "see https://ada:hunter2@example.org/ for more"}],
            },
            "node_modules/three": {"resolved": "https://example.org/3.tgz?a=1&token=hunter2#b"},
        },
    )
    taken = take(project)
    lock = copied(taken)
    assert b"hunter2" not in taken.files[0][1]
    packages = lock["packages"]
    assert packages[""]["dependencies"]["two"] == "git+https://example.org/two.git#v1"
    assert packages["node_modules/one"]["resolved"] == "https://example.org/one.tgz"
    assert packages["node_modules/two"]["resolved"] == "git+ssh://git@example.org/two.git#abc"
    assert packages["node_modules/three"]["resolved"] == "https://example.org/3.tgz"
    assert "credentials were cut out of addresses in it" in taken.remarks


@pytest.mark.parametrize(
    "packages",
    [
        {"node_modules/one": {"version": "1.0.0"}},
        {"node_modules/@me/one": {"version": "1.0.0"}},
        {"node_modules/one": {"resolved": "../elsewhere", "link": True}, "../elsewhere": {}},
        {"node_modules/one": {"resolved": "packages/one", "link": True}, "packages/one": {}},
    ],
)
def test_what_no_package_asks_for_would_not_come_back(project: Path, packages: object) -> None:
    hidden(project, packages)
    with pytest.raises(RecipeError, match=r"one stands in no package.json"):
        take(project)


def test_members_of_the_workspace_and_bundled_packages_come_back(project: Path) -> None:
    write(project / "package.json", {**PACKAGE, "workspaces": ["packages/*"]})
    hidden(
        project,
        {
            "node_modules/one": {"resolved": "packages/one", "link": True},
            "packages/one": {"devDependencies": {"two": "1.0.0"}},
            "packages/one/node_modules/two": {"peerDependencies": {"three": "1"}},
            "node_modules/three": {"optionalDependencies": {"@me/four": "1"}},
            "node_modules/@me/four": {},
            "node_modules/@me/four/node_modules/five": {"inBundle": True},
        },
    )
    assert take(project).recipe["lock_is_copied"] is True


def fill(path: Path, how: str) -> None:
    if path.exists():
        path.unlink()
    if how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to(write(path.with_suffix(".real"), {"packages": {}}))
    elif how == "dangling":
        path.symlink_to("nowhere")
    elif how == "directory":
        path.mkdir()
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(1024**3)
    else:
        path.write_bytes(HOSTILE[how])


HOSTILE = {
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "null": b"null",
    "number": b"1",
    "long number": b"1" * 100_000,
    "empty": b"",
    "nulls": b"\0" * 1000,
    "deep": DEEP.encode(),
    "deep object": b'{"packages":' * 200_000,
    "list": b'["packages"]',
    "packages is a list": b'{"packages": []}',
    "packages is null": b'{"packages": null}',
    "entry is null": b'{"packages": {"node_modules/one": null}}',
    "entry is text": b'{"packages": {"node_modules/one": "one"}}',
    "dependencies are a number": b'{"packages": {"node_modules/one": {"dependencies": 1}}}',
    "link without target": b'{"packages": {"node_modules/one": {"link": true}}}',
    "link to a number": b'{"packages": {"node_modules/one": {"link": true, "resolved": 1}}}',
    "resolved is a list": b'{"packages": {"node_modules/one": {"resolved": []}}, "workspaces": []}',
    "no number": b'{"lockfileVersion": NaN, "packages": {}}',
}
KINDS = ("fifo", "link", "dangling", "directory", "huge", *HOSTILE)


@pytest.mark.parametrize("how", KINDS)
def test_a_hostile_hidden_lock_is_no_recipe(project: Path, how: str) -> None:
    fill(project / "node_modules/.package-lock.json", how)
    with pytest.raises(RecipeError) as caught:
        take(project)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "how", ["fifo", "link", "dangling", "directory", "huge", *list(HOSTILE)[:9]]
)
def test_a_hostile_package_json_says_nothing(project: Path, how: str) -> None:
    inner = member(project, "packages/one")
    fill(project / "package.json", how)
    write(project / "package-lock.json", LOCK)
    assert take(project).recipe["manager_version"] == ""
    with pytest.raises(RecipeError, match="nothing pins"):
        take(inner)
    (project / "package-lock.json").unlink()
    hidden(project, {})
    with pytest.raises(RecipeError):
        take(project)


@pytest.mark.parametrize(
    "package",
    [
        {"dependencies": 1},
        {"dependencies": None},
        {"dependencies": [["one"]]},
        {"name": ["x"], "version": {}},
        {"workspaces": 1},
    ],
)
def test_wrong_types_in_package_json_raise_nothing_else(project: Path, package: object) -> None:
    write(project / "package.json", package)
    hidden(project, {})
    try:
        take(project)
    except RecipeError:
        pass
