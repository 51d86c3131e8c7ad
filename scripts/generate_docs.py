"""Writes the parts of docs/ that come from regrow's own data; --check tells if they are stale.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from regrow import programs

DOCS = Path(__file__).resolve().parent.parent / "docs"
PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell for cell in line)} |\n" for line in lines)


def backup_programs() -> str:
    """List every program, what it honours, and how that is known."""
    rows = []
    for program in programs.PROGRAMS:
        for marker, option in program.honours.items():
            rows.append(
                (
                    program.title,
                    f"`{program.name}`",
                    marker,
                    f"`{option}`" if option else "none: by default",
                    "regrow's tests run it" if program.proven else "its documentation",
                )
            )
    head = ("program", "name in the configuration", "honours", "option it needs", "known from")
    notes = [f"- **{p.title}**: {p.note}\n" for p in programs.PROGRAMS if p.note]
    return table(head, rows) + "\n" + "".join(notes)


def without_marks() -> str:
    """List the programs that read no mark."""
    return ", ".join(programs.NO_MARKS) + ".\n"


PARTS: dict[str, Callable[[], str]] = {
    "backup-programs": backup_programs,
    "no-marks": without_marks,
}


def generated(text: str) -> str:
    """Put every generated part of a page in."""
    return PART.sub(lambda found: f"{found[1]}{PARTS[found['name']]()}{found[3]}", text)


def main() -> int:
    """Write the pages, or check them; returns 1 if one is stale."""
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = generated(text)
        if fresh != text:
            stale.append(page.name)
            if "--check" not in sys.argv:
                page.write_text(fresh, encoding="utf-8")
    if "--check" not in sys.argv:
        print(f"written: {', '.join(stale) or 'nothing, all is fresh'}")
        return 0
    if stale:
        print(f"stale: docs/{', docs/'.join(stale)}; run `make docs`", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    raise SystemExit(main())
