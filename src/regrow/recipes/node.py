"""The recipe of node_modules: the package manager, and the lock that pins what is inside."""

import json
import os
import re
from fnmatch import fnmatchcase

from regrow.recipes import harmless
from regrow.recipes.files import parse_json, read_text
from regrow.recipes.recipe import CUT, RecipeError, RecipeResult
from regrow.system.ownership import is_strangers
from regrow_marks.directory import ancestors
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import LOCK_LIMIT, read, read_head

if TYPE_CHECKING:
    from typing import Any

LOCKS = {
    "npm-shrinkwrap.json": ("npm", ["npm", "ci"]),
    "package-lock.json": ("npm", ["npm", "ci"]),
    "pnpm-lock.yaml": ("pnpm", ["pnpm", "install", "--frozen-lockfile"]),
    "yarn.lock": ("yarn", ["yarn", "install", "--frozen-lockfile"]),
    "bun.lock": ("bun", ["bun", "install", "--frozen-lockfile"]),
    "bun.lockb": ("bun", ["bun", "install", "--frozen-lockfile"]),
}
"""By lock file: who wrote it, and what installs from it. npm reads the first of its two."""

HIDDEN_LOCK = ".package-lock.json"
"""npm writes it into node_modules: what it installed, whether or not a lock stands beside."""

TRACES = {
    ".modules.yaml": "pnpm",
    ".yarn-state.yml": "yarn",
    ".yarn-integrity": "yarn",
    HIDDEN_LOCK: "npm",
}
"""By file in node_modules: the manager that writes it there when it has finished."""

_YARN_2_COMMAND = ["yarn", "install", "--immutable"]
_FROM_HIDDEN_LOCK = ["npm", "install", "--package-lock"]
"""``npm ci`` asks for more than the hidden lock has: dependencies that this system can't use."""

COMMANDS = frozenset(
    tuple(command)
    for command in (*(command for _, command in LOCKS.values()), _YARN_2_COMMAND, _FROM_HIDDEN_LOCK)
)
"""Every command that a recipe may hold."""

_MANAGER = re.compile(r"(npm|pnpm|yarn|bun)@(\d[\w.+-]{0,200})", re.ASCII)
_PNPM_STATE = re.compile(rb"packageManager[\"']?:\s*[\"']?pnpm@(\d[\w.+-]{0,200})")
_YARN_2 = b"\n__metadata:"
_HEAD_SIZE = 4096  # bytes
_WRITTEN_LIMIT = 16 * 1024 * 1024  # bytes: as much as a record may have
_PATTERNS_LIMIT = 1000  # of a workspace's patterns, and characters of each
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_ROOT_KEYS = ("name", "version", "license", *_DEPENDENCIES, "engines", "bin", "workspaces")


def build(path: str, project: str) -> RecipeResult:
    """Return the recipe of node_modules.

    Args:
        path: the directory.
        project: where package.json stands.

    Returns:
        The recipe; where no lock stands beside, with npm's hidden lock as a file.

    Raises:
        RecipeError: nothing pins what is inside.
    """
    lock = _find_lock(path, project)
    if lock is not None:
        manager, command = LOCKS[os.path.basename(lock)]
        if manager == "yarn" and _YARN_2 in (read_head(lock, _HEAD_SIZE) or b""):
            command = _YARN_2_COMMAND
        return RecipeResult(
            {
                "kind": "node",
                "manager": manager,
                "manager_version": _manager_version(path, project, os.path.dirname(lock), manager),
                "lock": lock,
                "command": command,
                "directory": os.path.dirname(lock),
            }
        )
    hidden = read(os.path.join(path, HIDDEN_LOCK), LOCK_LIMIT)
    if hidden is None:
        raise RecipeError(
            "nothing pins what is in it: no lock file beside it, and no npm lock inside"
        )
    content, was_cut = _without_credentials(_as_lock(parse_json(hidden), project))
    remarks = ["no lock file stands beside it: npm's own, from inside, is copied"]
    if was_cut:
        remarks.append(f"{CUT}addresses in it")
    return RecipeResult(
        {
            "kind": "node",
            "manager": "npm",
            "manager_version": _manager_version(path, project, project, "npm"),
            "lock": "package-lock.json",
            "lock_is_copied": True,
            "command": _FROM_HIDDEN_LOCK,
            "directory": project,
        },
        (("package-lock.json", _written(content)),),
        tuple(remarks),
    )


def inputs(lock: str, path: str, project: str) -> list[str]:
    """Return the paths that a recipe depends on; see ``recipe.inputs_of``.

    Args:
        lock: the lock that was found; empty: none.
        path: the directory.
        project: where package.json stands.
    """
    found = [os.path.join(path, name) for name in TRACES]
    for directory in (project, *ancestors(project)):
        locks = [os.path.join(directory, name) for name in LOCKS]
        found += locks
        if any(map(os.path.lexists, locks)):
            found += (f"{directory}/package.json", f"{directory}/pnpm-workspace.yaml")
        if lock in locks:
            break
    return found


def _find_lock(path: str, project: str) -> str | None:
    """Return the lock beside, else that at the root of the project's workspace; None: none."""
    for directory in (project, *ancestors(project)):
        manager = _manager(path, directory)
        # Projects that moved from one manager to another often have both locks.
        for name in sorted(LOCKS, key=lambda name: LOCKS[name][0] != manager):
            lock = os.path.join(directory, name)
            if _is_written(lock) and (directory == project or is_member(project, lock)):
                return lock
        place = os.path.join(directory, ".git")
        if os.path.lexists(place) and not is_strangers(place):
            return None
    return None


def _is_written(lock: str) -> bool:
    """Return whether a lock is a file that is not empty, and no stranger's."""
    is_file = os.path.isfile(lock) and not os.path.islink(lock) and os.path.getsize(lock) > 0
    return is_file and not is_strangers(lock)


def _manager(path: str, root: str) -> str:
    """Return the manager that filled a directory, else the one that package.json asks for."""
    for name, manager in TRACES.items():
        if os.path.lexists(os.path.join(path, name)):
            return manager
    return _stated(root)[0]


def _stated(directory: str) -> tuple[str, str]:
    """Return the name and version that package.json asks for (``packageManager``), or empty."""
    found = _MANAGER.match(str(_package(directory).get("packageManager", "")))
    return (found[1], found[2]) if found else ("", "")


def _manager_version(path: str, project: str, root: str, manager: str) -> str:
    """Return the version that package.json asks for, the project's own before the workspace's.

    Where none asks for one: the version of pnpm, which alone leaves it in node_modules.
    """
    for directory in (project, root):
        name, version = _stated(directory)
        if name == manager:
            return version
    state = read_head(os.path.join(path, ".modules.yaml"), _HEAD_SIZE * 4) or b""
    found = _PNPM_STATE.search(state) if manager == "pnpm" else None
    return found[1].decode() if found else ""


def is_workspace(directory: str) -> bool:
    """Return whether a directory is the root of a workspace of npm, yarn, pnpm or bun."""
    return "workspaces" in _package(directory) or os.path.lexists(
        os.path.join(directory, "pnpm-workspace.yaml")
    )


def is_member(project: str, lock: str) -> bool:
    """Return whether a project belongs to the workspace at whose root a lock stands."""
    root = os.path.dirname(lock)
    place = os.path.relpath(project, root)
    if os.path.basename(lock) == "pnpm-lock.yaml":
        workspace = os.path.join(root, "pnpm-workspace.yaml")
        return os.path.isfile(workspace) and not is_strangers(workspace) and _imports(lock, place)
    patterns = _package(root).get("workspaces")
    if isinstance(patterns, dict):
        patterns = patterns.get("packages")
    if not isinstance(patterns, list):
        return False
    parts = place.split("/")
    is_member = False
    for pattern in patterns[:_PATTERNS_LIMIT]:
        if not isinstance(pattern, str) or len(pattern) > _PATTERNS_LIMIT:
            continue
        glob = pattern.removeprefix("!").removeprefix("./").rstrip("/").split("/")
        if glob.count("**") <= 2 and _matches(parts, glob):  # each multiplies the steps
            is_member = not pattern.startswith("!")
    return is_member


def _matches(parts: list[str], glob: list[str]) -> bool:
    if not glob:
        return not parts
    if glob[0] == "**":
        return any(_matches(parts[skipped:], glob[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and _matches(parts[1:], glob[1:])


def _imports(lock: str, place: str) -> bool:
    """Return whether pnpm's lock has an entry for a project of its workspace."""
    try:
        data = read(lock, LOCK_LIMIT) or b""
    except (OSError, ValueError):
        return False
    begin = data.find(b"\nimporters:")
    if begin < 0:
        return False
    begin += len(b"\nimporters:")
    after = re.compile(rb"\n(?=\w)").search(data, begin)
    name = re.escape(os.fsencode(place))
    entry = re.compile(rb"^  (['\"]?)" + name + rb"\1:(?: \{\})?\r?$", re.MULTILINE)
    return entry.search(data, begin, after.start() if after else len(data)) is not None


def _written(content: "dict[str, Any]") -> bytes:
    """Return a lock as npm writes it; deep nesting would fill a small one with blanks."""
    parts = []
    size = 0
    for part in json.JSONEncoder(indent=2, allow_nan=False).iterencode(content):
        parts.append(part)
        size += len(part)
        if size > _WRITTEN_LIMIT:
            raise RecipeError("npm's lock inside it is too large to be copied")
    return "".join(parts).encode()


def _read_package(directory: str) -> "dict[str, Any]":
    """Return package.json. Raises OSError, ValueError and RecipeError."""
    path = os.path.join(directory, "package.json")
    if is_strangers(path):
        raise RecipeError(f"{path} is another user's, in a directory that others may write to")
    text = read_text(path)
    package = {} if text is None else parse_json(text.removeprefix("\ufeff"))
    if not isinstance(package, dict):
        raise RecipeError("its package.json holds no JSON object")
    return package


def _package(directory: str) -> "dict[str, Any]":
    """Return package.json; empty where it can't be read."""
    try:
        return _read_package(directory)
    except (OSError, ValueError, RecipeError):
        return {}


def _as_lock(hidden: "Any", project: str) -> "dict[str, Any]":
    """Return the lock that npm reads, made from its hidden one.

    The two differ in the entry of the project itself, which the hidden one lacks.
    """
    if not isinstance(hidden, dict) or not isinstance(hidden.get("packages"), dict):
        raise RecipeError("npm's lock inside it names no packages")
    package = _read_package(project)
    root = {key: package[key] for key in _ROOT_KEYS if key in package}
    packages: dict[str, Any] = {"": root, **hidden["packages"]}
    unasked = _unasked(packages)
    if unasked:
        raise RecipeError(
            f"nothing asks for what is in it: {', '.join(unasked[:3])}"
            f"{', …' if len(unasked) > 3 else ''} stands in no package.json"
        )
    return {
        "name": package.get("name", os.path.basename(project)),
        "version": package.get("version", ""),
        "lockfileVersion": hidden.get("lockfileVersion", 3),
        "requires": True,
        "packages": packages,
    }


def _unasked(packages: "dict[str, dict[str, Any]]") -> list[str]:
    """Return what was installed with ``--no-save`` or ``npm link``: npm would remove it."""
    asked = {
        name for entry in packages.values() for key in _DEPENDENCIES for name in entry.get(key, {})
    }
    members = {
        entry["resolved"]
        for entry in packages.values()
        if entry.get("link") and not entry["resolved"].startswith("../")
    }
    has_members = "workspaces" in packages[""]
    return [
        name
        for place, entry in packages.items()
        if (name := place.rpartition("node_modules/")[2]) not in asked
        and "node_modules/" in place
        and not entry.get("inBundle")
        and not (has_members and entry.get("resolved") in members)
    ]


def _without_credentials(value: "Any") -> "tuple[Any, bool]":
    """Return a JSON value without credentials in any text, and whether something was cut."""
    if isinstance(value, str):
        return harmless.text(value)
    if isinstance(value, list):
        items = [_without_credentials(item) for item in value]
        return [item for item, _ in items], any(cut for _, cut in items)
    if isinstance(value, dict):
        pairs = {key: _without_credentials(item) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, any(c for _, c in pairs.values())
    return value, False
