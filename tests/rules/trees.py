"""Builds the tree that a rule asks for, from the rule itself, so that no rule is forgotten."""

import json
from pathlib import Path

from regrow.model import Rule

LOCK = "package-lock.json"


def concrete(name: str) -> str:
    """Turn a glob into a name that it matches."""
    return name.replace("*", "sample")


def place(directory: Path, name: str, *, wrong_type: bool = False) -> None:
    """Put a piece of evidence in a directory; a trailing slash asks for a directory."""
    target = directory / concrete(name.rstrip("/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/") is not wrong_type:
        target.mkdir(exist_ok=True)
    else:
        target.touch()


def pieces(rule: Rule) -> list[tuple[str, str]]:
    """Give the evidence that is enough for a rule: the first of any, and all of all."""
    beside = [*rule.beside[:1], *rule.beside_all]
    inside = [*rule.inside[:1], *rule.inside_all]
    return [("beside", name) for name in beside] + [("inside", name) for name in inside]


def build(project: Path, rule: Rule, *, without: tuple[str, str] | None = None) -> Path:
    """Make a project in which a rule recognises a directory.

    Args:
        project: the project directory; it is made.
        rule: the rule.
        without: a piece of evidence that is left out.

    Returns:
        The directory that is to be recognised.
    """
    target = project / concrete(rule.directory)
    target.mkdir(parents=True)
    for piece in pieces(rule):
        if piece != without:
            where, name = piece
            place(project if where == "beside" else target, name)
    if rule.source_outside and without != ("inside", "CMakeCache.txt"):
        sources = project.parent / "sources"
        sources.mkdir(exist_ok=True)
        (target / "CMakeCache.txt").write_text(
            f"{rule.source_outside}:INTERNAL={sources.resolve()}\nCMAKE_GENERATOR:INTERNAL=Ninja\n"
        )
    if without is None:
        describe(project, target, rule)
    return target


def describe(project: Path, target: Path, rule: Rule) -> None:
    """Add what is no evidence, and what guard 6 asks for: how the directory comes back."""
    if rule.recipe == "node":
        (project / LOCK).write_text("{}")
    elif rule.recipe in ("conda", "pixi"):
        package = {"name": "xz", "url": "https://example.org/linux-64/xz-5.4.conda"}
        meta = target / ("conda-meta" if rule.recipe == "conda" else "default/conda-meta")
        meta.mkdir(parents=True, exist_ok=True)
        (meta / "xz-5.4.json").write_text(json.dumps(package))
    elif rule.recipe == "meson":
        information = {"directories": {"source": str(project)}}
        (target / "meson-info/meson-info.json").write_text(json.dumps(information))
        (target / "meson-private/cmd_line.txt").write_text("[options]\n[properties]\n")
