"""The recipe of node_modules: the package manager, and the lock that pins what is inside."""

import json
import os
import re

from regrow.directory import ancestors
from regrow.plain import TYPE_CHECKING
from regrow.recipes import RecipeError, Taken
from regrow.recipes.files import LOCK_LIMIT, read, read_text
from regrow.recipes.urls import without_credentials

if TYPE_CHECKING:
    from typing import Any

LOCKS = {
    "package-lock.json": ("npm", "npm ci"),
    "npm-shrinkwrap.json": ("npm", "npm ci"),
    "pnpm-lock.yaml": ("pnpm", "pnpm install --frozen-lockfile"),
    "yarn.lock": ("yarn", "yarn install"),
    "bun.lock": ("bun", "bun install --frozen-lockfile"),
    "bun.lockb": ("bun", "bun install --frozen-lockfile"),
}
"""By lock file: who wrote it, and what installs from it."""

HIDDEN_LOCK = ".package-lock.json"
"""npm writes it into node_modules: what it installed, whether or not a lock stands beside."""

_MANAGER = re.compile(r"(npm|pnpm|yarn|bun)@([\w.+-]+)")


def take(path: str, project: str) -> Taken:
    """Take the recipe of node_modules.

    Args:
        path: the directory.
        project: where package.json stands.

    Returns:
        The recipe; with npm's hidden lock as a file, where no lock stands beside.

    Raises:
        RecipeError: nothing pins what is inside.
    """
    lock = _find_lock(project)
    if lock is not None:
        manager, command = LOCKS[os.path.basename(lock)]
        return Taken(
            {
                "kind": "node",
                "manager": manager,
                "manager_version": _manager_version(project, os.path.dirname(lock), manager),
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
    content, was_cut = _as_lock(json.loads(hidden), project)
    remarks = ["no lock file stands beside it: npm's own, from inside, is copied"]
    if was_cut:
        remarks.append("credentials were cut out of addresses in it")
    return Taken(
        {
            "kind": "node",
            "manager": "npm",
            "manager_version": _manager_version(project, project, "npm"),
            "lock": "package-lock.json",
            "lock_is_copied": True,
            "command": "npm ci",
            "directory": project,
        },
        (("package-lock.json", json.dumps(content, indent=2).encode()),),
        tuple(remarks),
    )


def _find_lock(project: str) -> str | None:
    """Find the lock beside, or at the root of the workspace that the project belongs to."""
    for directory in (project, *ancestors(project)):
        for name in LOCKS:
            candidate = os.path.join(directory, name)
            is_file = os.path.isfile(candidate) and not os.path.islink(candidate)
            if is_file and (directory == project or _is_workspace(directory)):
                return candidate
        if os.path.lexists(os.path.join(directory, ".git")):
            return None
    return None


def _is_workspace(directory: str) -> bool:
    if os.path.isfile(os.path.join(directory, "pnpm-workspace.yaml")):
        return True
    return "workspaces" in _package(directory)


def _package(directory: str) -> "dict[str, Any]":
    try:
        text = read_text(os.path.join(directory, "package.json"))
        package = json.loads(text) if text else {}
    except (OSError, ValueError):
        return {}
    return package if isinstance(package, dict) else {}


def _manager_version(project: str, root: str, manager: str) -> str:
    """Read the version that package.json asks for (``packageManager``); empty: none."""
    for directory in (project, root):
        stated = _MANAGER.match(str(_package(directory).get("packageManager", "")))
        if stated and stated[1] == manager:
            return stated[2]
    return ""


def _as_lock(hidden: "dict[str, Any]", project: str) -> "tuple[dict[str, Any], bool]":
    """Turn npm's hidden lock into the lock that ``npm ci`` reads.

    The two differ in the entry of the project itself, which the hidden one lacks.
    """
    package = _package(project)
    root = {
        key: package[key]
        for key in (
            "name", "version", "license", "dependencies", "devDependencies",
            "optionalDependencies", "peerDependencies", "engines", "bin", "workspaces",
        )
        if key in package
    }  # fmt: skip
    was_cut = False
    packages: dict[str, Any] = {"": root}
    for place, entry in hidden["packages"].items():
        clean = dict(entry)
        if isinstance(clean.get("resolved"), str) and "://" in clean["resolved"]:
            clean["resolved"], cut = without_credentials(clean["resolved"])
            was_cut |= cut
        packages[place] = clean
    return {
        "name": package.get("name", os.path.basename(project)),
        "version": package.get("version", ""),
        "lockfileVersion": hidden.get("lockfileVersion", 3),
        "requires": True,
        "packages": packages,
    }, was_cut
