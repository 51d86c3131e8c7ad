"""What holds for every module that is shipped, and no linter asks for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "marks/src").rglob("*.py")])
OURS = re.compile(r"regrow(_marks)?(\.|$)")
LIMIT = 400  # lines

over_modules = pytest.mark.parametrize(
    "module", MODULES, ids=lambda path: str(path.relative_to(ROOT))
)


@over_modules
def test_a_module_is_short_enough_to_be_read_at_once(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= LIMIT


@over_modules
def test_a_docstring_says_return_and_not_tell(module: Path) -> None:
    texts = docstrings(ast.parse(module.read_text()))
    assert not [text for text in texts if re.match(r"(Tell|Give|Say)s?\b", text)]


@over_modules
def test_modules_of_regrow_keep_their_names(module: Path) -> None:
    assert not list(renamed(ast.parse(module.read_text())))


@pytest.mark.parametrize(
    "module",
    [path for path in MODULES if path.name == "__init__.py" and path.parent.parent.name != "src"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_package_is_empty(module: Path) -> None:
    """A hot command that imports one of its modules imports the package first."""
    body = ast.parse(module.read_text()).body
    assert all(isinstance(node, ast.Expr) for node in body), "more than a docstring"


def docstrings(tree: ast.Module) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            yield ast.get_docstring(node) or ""


def renamed(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of regrow that are imported by another name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.asname and OURS.match(one.name))
        elif isinstance(node, ast.ImportFrom) and OURS.match(node.module or ""):
            for one in node.names:
                is_renamed = one.asname and not one.asname.startswith("_")
                if is_renamed and is_a_module(node.module, one.name):
                    yield f"{node.module}.{one.name}"


def is_a_module(package: str | None, name: str) -> bool:
    path = f"{package}.{name}".replace(".", "/")
    sources = (ROOT / "src", ROOT / "marks/src")
    return any((source / f"{path}.py").exists() or (source / path).is_dir() for source in sources)
