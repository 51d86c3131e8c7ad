"""What every command prints: paths that are safe on a terminal, tables, JSON Lines, help."""

import argparse
import os
import sys

from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn, TypeVar

    from regrow_marks.model import Outcome

    T = TypeVar("T")


def show(text: str) -> str:
    r"""Return a path that is safe to print: control characters and stray bytes are escaped.

    >>> print(show("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # surrogateescape: a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def complain(message: str) -> None:
    """Print an error for people, on standard error."""
    print(f"regrow: {show(message)}", file=sys.stderr)


def print_json(line: "dict[str, Any]") -> None:
    """Print one line of JSON Lines. A ``path`` that is not UTF-8 has ``path_b64`` besides.

    Characters that a terminal or a line reader may act on (C1, DEL, bidi controls, U+2028) are
    written as JSON escapes.
    """
    import json

    path = line.get("path")
    if path is not None and not _is_utf_8(path):
        from base64 import b64encode

        exact = b64encode(os.fsencode(path)).decode()
        line = {**line, "path": show(path), "path_b64": exact}
    text = json.dumps(line, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    print(text)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def outcomes_as_json(outcomes: "dict[str, Outcome]") -> "dict[str, dict[str, str]]":
    """Return what ``--json`` prints of outcomes."""
    return {
        name: {"state": outcome.state} | ({"error": outcome.error} if outcome.error else {})
        for name, outcome in outcomes.items()
    }


def print_null_ended(paths: "Iterable[str]") -> None:
    """Print paths byte for byte, each ended by a null, as ``xargs -0`` reads them."""
    for path in paths:
        sys.stdout.buffer.write(os.fsencode(path) + b"\0")


def report_failure(path: str, error: Exception, as_json: bool) -> None:
    """Print that nothing was done to a path, and why: for people or as a line of JSON."""
    if as_json:
        print_json({"path": path, "outcome": "failed", "error": str(error)})
    else:
        complain(str(error))


def report_outcomes(path: str, summary: str, outcomes: "dict[str, Outcome]", as_json: bool) -> None:
    """Print what became of a directory's markers: a line of JSON, or for people the errors alone.

    For *summary* see ``regrow.model.summed_up``.
    """
    if as_json:
        print_json({"path": path, "outcome": summary, "markers": outcomes_as_json(outcomes)})
        return
    for outcome in outcomes.values():
        if outcome.error:
            complain(f"{path}: {outcome.error}")


def print_table(rows: "Sequence[Sequence[str]]", styles: "Sequence[str]" = ()) -> None:
    """Print rows of cells in columns: aligned text, on a terminal through rich in its *styles*."""
    cells = [[show(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for style in styles or [""] * len(rows[0]):
            table.add_column(style=style, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


def human_size(size: int) -> str:
    """Return a number of bytes for people, in the units of 1,000 that disks are sold in.

    >>> human_size(999), human_size(12_345_678)
    ('999 B', '12.3 MB')
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def track(items: "Iterable[T]", doing: str, count: int | None = None) -> "Iterable[T]":
    """Return *items*, and show on a terminal how far the loop over them is.

    *doing* is as in ``marking``; *count* is how many items there are (default: their length).
    """
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    return rich_track(items, doing, count, console=Console(stderr=True), transient=True)


class Counter:
    """Shows on a terminal how many entries were looked at, in one line that goes away again."""

    def __init__(self, doing: str) -> None:
        """Show nothing yet; *doing* is as in ``looking for version control``."""
        self._doing = doing
        self._is_shown = False

    def __call__(self, count: int) -> None:
        """Show a number."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self._doing}: {count:,} entries …")
            sys.stderr.flush()
            self._is_shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            self._is_shown = False


def require_terminal(
    made: argparse.ArgumentParser, options: argparse.Namespace, doing: str
) -> None:
    """Exit with a usage error where a question is due and nobody can answer it.

    Output for programs leaves no room for a question either. *doing* is what ``--yes`` does without
    asking, as in ``mark``.
    """
    for_programs = options.json or getattr(options, "print0", False)
    if for_programs or not (sys.stdin.isatty() and sys.stdout.isatty()):
        made.error(f"not a terminal: pass --yes to {doing}, or --dry-run to see the plan")


def confirm(question: str) -> bool:
    """Return whether a person says yes; any other answer, and the end of input, is a no."""
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        print()
        return False
    return answer.strip().lower() in ("y", "yes")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples' line breaks, and spares argparse the import of shutil (2 ms)."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_columns())

    # Python 3.14 colours help, and imports for it what takes longer than all the rest, whether or
    # not help is shown. Here the one import waits until help is shown; it has no colours.
    def _set_color(self, color: bool, **_: object) -> None:
        pass

    _decolor = staticmethod(str)

    @property
    def _theme(self) -> "Any":
        from importlib import import_module

        return import_module("_colorize").get_theme(force_no_color=True).argparse


def _columns() -> int:
    try:
        return max(
            40, min(100, int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size().columns)
        )
    except (OSError, ValueError):
        return 80


class Parser(argparse.ArgumentParser):
    """Reports wrong usage with control characters escaped."""

    def error(self, message: str) -> "NoReturn":
        """See ``argparse.ArgumentParser.error``."""
        super().error(show(message))


def parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Return the parser of one command.

    Args:
        command: its name.
        description: what it does, for the help text.
        examples: command lines with what they do, one per line.
    """
    return Parser(
        prog=f"regrow {command}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )


def time_of(seconds: int) -> str:
    """Return a time, given in seconds since 1970 (UTC), as people and programs read it.

    >>> time_of(0)
    '1970-01-01T00:00:00Z'
    """
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
