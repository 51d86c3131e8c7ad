"""Writes the parts of docs/ that come from regrow's own data; --check tells if they are stale.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from regrow.decide.guards import GUARDS
from regrow.doctor import findings
from regrow.model import Rule
from regrow.records.status import STATES
from regrow.rules import loader
from regrow_marks import programs

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


def rule_tables() -> str:
    """List the rules that mark, by ecosystem."""
    text = ""
    shipped = [rule for rule in loader.shipped() if not rule.keep and not rule.home]
    for ecosystem in sorted({rule.ecosystem for rule in shipped}):
        rows = [
            (
                f"[`{rule.name}`]({rule.documentation})",
                f"`{rule.directory}`" + (" (generic)" if rule.generic else ""),
                _evidence(rule),
                f"`{rule.command}`",
                rule.note,
            )
            for rule in shipped
            if rule.ecosystem == ecosystem
        ]
        head = ("rule", "directory", "evidence", "comes back by", "note")
        text += f"### {ecosystem}\n\n{table(head, rows)}\n"
    return text.rstrip("\n") + "\n"


def _evidence(rule: Rule) -> str:
    def names(words: Iterable[str], joined: str) -> str:
        return joined.join(f"`{word}`" for word in words)

    parts = [
        f"beside: {names(rule.beside, ' or ')}" if rule.beside else "",
        f"beside: {names(rule.beside_all, ' and ')}" if rule.beside_all else "",
        f"inside: {names(rule.inside, ' or ')}" if rule.inside else "",
        f"inside: {names(rule.inside_all, ' and ')}" if rule.inside_all else "",
        f"not inside: {names(rule.inside_none, ', ')}" if rule.inside_none else "",
        "nothing else inside" if rule.only else "",
        "nothing else inside, unless git ignores it" if rule.makes else "",
        "sources outside" if rule.source_outside else "",
    ]
    return "; ".join(filter(None, parts))


def home_caches() -> str:
    """List the home caches."""
    shipped = [r for r in loader.shipped() if r.home and not r.keep and not r.container]
    rows = [(f"`~/{r.directory}`", f"`{r.name}`", f"`{r.command}`", r.note) for r in shipped]
    return table(("directory", "rule", "comes back by", "note"), rows)


def containers() -> str:
    """List the directories in which tools keep environments."""
    rows = [
        (f"`~/{r.directory}`", f"[`{r.name}`]({r.documentation})", f"`{r.command}`")
        for r in loader.shipped()
        if r.container
    ]
    return table(("directory", "rule", "its environments come back by"), rows)


def kept() -> str:
    """List what is kept, and why."""
    rows = [
        (f"`{'~/' if r.home else ''}{r.directory}`", _evidence(r), f"`{r.name}`", r.keep)
        for r in loader.shipped()
        if r.keep
    ]
    return table(("directory", "evidence", "rule", "why it stays"), rows)


def guard_list() -> str:
    """List the guards."""
    rows = [
        (
            f"`{guard.name}`",
            guard.question,
            (guard.ask.__doc__ or "").partition("\n")[0].rpartition(": ")[2],
        )
        for guard in GUARDS
    ]
    return table(("guard", "asks", "keeps it where"), rows)


def states() -> str:
    """List what `regrow list` says of a directory."""
    return table(("state", "means"), [(f"`{state}`", meaning) for state, meaning in STATES.items()])


def doctor_states() -> str:
    """List what `regrow doctor` says of a finding."""
    rows = [(f"`{state}`", meaning) for state, meaning in findings.STATES.items()]
    return table(("state", "means"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "backup-programs": backup_programs,
    "no-marks": without_marks,
    "rules": rule_tables,
    "home-caches": home_caches,
    "containers": containers,
    "kept": kept,
    "guards": guard_list,
    "states": states,
    "doctor-states": doctor_states,
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
