"""The steps of the pipeline import only steps before them: scan, decide, record, mark."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import regrow

SOURCE = Path(regrow.__file__).parent

EVERYBODYS = {"config", "errors", "model"}

MAY_IMPORT = {
    "system": set(),
    "rules": {"system"},
    "recipes": {"system"},
    "scan": {"rules", "system"},
    "records": {"recipes", "rules", "scan", "system"},
    "decide": {"recipes", "records", "rules", "scan", "system"},
    "marking": {"recipes", "records", "rules", "system"},
    "unmarking": {"marking", "records", "system"},
    "pipeline": {"decide", "marking", "records", "scan", "unmarking"},
}


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_step_imports_only_what_comes_before_it(part: str) -> None:
    found = {
        f"{file.relative_to(SOURCE)}: {name}"
        for file in (*(SOURCE / part).rglob("*.py"), *SOURCE.glob(f"{part}.py"))
        for name in imported(ast.parse(file.read_text()))
        if name not in {part, *MAY_IMPORT[part], *EVERYBODYS}
    }
    assert not found


def test_what_decides_writes_no_record() -> None:
    changing = {"write", "remove", "restore", "put", "drop", "follow", "keep_beside", "sign"}
    for file in (SOURCE / "decide").glob("*.py"):
        called = {
            node.func.attr
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("store", "moves", "history")
        }
        assert not called & changing, file.name


def imported(node: ast.AST) -> Iterator[str]:
    """Name the packages and modules of regrow that run when some code does, lazy ones included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module == "regrow":
            yield from (alias.name for alias in child.names if alias.name != "__version__")
        elif isinstance(child, ast.ImportFrom) and (child.module or "").startswith("regrow."):
            yield str(child.module).split(".")[1]
        elif isinstance(child, ast.Import):
            names = [alias.name.split(".") for alias in child.names]
            yield from (name[1] for name in names if name[0] == "regrow" and len(name) > 1)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imported(child)
