"""Finds code that nothing uses, by vulture: ``make check`` runs it.

Vulture does not read annotations that are strings, as most here are; their names count as used.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from vulture import Vulture

SOURCES = ("marks/src", "src", "benchmarks", "scripts")

CALLED_BY_OTHERS = {
    "__getattr__",  # by the interpreter
    "RegrowActivator", "generate",  # by virtualenv
    "tox_before_run_commands", "tox_on_install",  # by tox
    "_decolor", "_set_color", "_theme",  # by argparse of Python 3.14
    "msg",  # logging shows it
    "optionxform",  # configparser calls it
}  # fmt: skip

CONFIDENCE = 60  # percent: names that occur nowhere else


def names_in_annotations(tree: ast.AST) -> Iterator[str]:
    """Yield the names in annotations, and in strings that are types, of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value, mode="eval")
            except (SyntaxError, ValueError):
                continue
            yield from (name.id for name in ast.walk(inner) if isinstance(name, ast.Name))


def main() -> int:
    """Print what is unused; return 1 if there is anything."""
    used = set(CALLED_BY_OTHERS)
    for source in SOURCES:
        for path in Path(source).rglob("*.py"):
            used.update(names_in_annotations(ast.parse(path.read_bytes())))
    finder = Vulture()
    finder.scavenge(list(SOURCES))
    unused = [item for item in finder.get_unused_code(CONFIDENCE) if item.name not in used]
    for item in unused:
        print(f"{item.filename}:{item.first_lineno}: unused {item.typ} '{item.name}'")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
