"""``regrow run``: run a command, then mark what it made."""

import argparse
import os
import sys

from regrow import config, marking, pipeline
from regrow.cli.output import complain, parser
from regrow.create import uv_project
from regrow.errors import ConfigurationError
from regrow.model import Scope
from regrow.records.format import PENDING
from regrow.records.store import Store
from regrow.rules import loader
from regrow.scan import project_root
from regrow.system import foreground
from regrow_marks.directory import join, open_directory
from regrow_marks.errors import RegrowError
from regrow_marks.model import FAILED
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from typing import ParamSpec, TypeVar

    from regrow.config import Configuration
    from regrow.model import Rule

    P = ParamSpec("P")
    T = TypeVar("T")


class _Surroundings(NamedTuple):
    """Where the command is run, and what is to be marked there."""

    directory: str
    configuration: "Configuration"
    active_rules: "Sequence[Rule]"


class _Prepared(NamedTuple):
    """An environment that was made and marked before uv fills it."""

    path: str
    held: "ExitStack"
    """Closing it removes the environment, and its record, if uv did not fill it."""


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "run",
        "Run a command, then find, record and mark what can be rebuilt in the project that it was"
        " run in. Where uv is about to make a project's .venv, that is marked before its first"
        " file. Terminal, signals, streams and exit code are the command's own.",
        "  regrow run -- uv sync\n  regrow run -- npm ci\n  alias make='regrow run -- make'",
    )
    made.add_argument("-q", "--quiet", action="store_true", help="say nothing of what is marked")
    made.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        made.error("give the command after --, as in: regrow run -- uv sync")
    # The streams are the command's: a file that they lead to holds its output alone.
    is_quiet = options.quiet or not sys.stderr.isatty()
    surroundings = _whatever_happens(_surroundings)
    prepared = _whatever_happens(_prepare, command, surroundings) if surroundings else None
    try:
        status = foreground.run(command)
    except foreground.NotStartedError as error:
        complain(str(error))
        return error.code
    finally:
        if prepared:
            _whatever_happens(prepared.held.close)
    if surroundings:
        _whatever_happens(_mark, surroundings, prepared, is_quiet)
    return foreground.exit_as(status)


def _whatever_happens(step: "Callable[P, T]", *values: "P.args", **named: "P.kwargs") -> "T | None":
    """Call a function of regrow's own; its failure must not change how the command runs or ends."""
    try:
        return step(*values, **named)
    except Exception as error:  # noqa: BLE001 - whatever it is, the command is not to blame
        complain(f"nothing more is marked here: {type(error).__name__}: {error}")
        return None


def _surroundings() -> _Surroundings | None:
    """Return where the command runs and what applies there; None where nothing is to be marked."""
    try:
        directory = os.getcwd()
    except OSError:
        return None  # it is gone
    try:
        configuration = config.read()
        active_rules = loader.active_rules(configuration, config.path())
    except ConfigurationError as error:
        complain(f"{error}; nothing will be marked")
        return None
    return _Surroundings(directory, configuration, active_rules)


def _project(directory: str, surroundings: _Surroundings) -> str | None:
    skip = surroundings.configuration.skip
    return project_root.root_of(directory, surroundings.active_rules, skip)


def _prepare(command: "Sequence[str]", surroundings: _Surroundings) -> _Prepared | None:
    """Make and mark the environment that uv is about to fill; None where that can't be foreseen."""
    place = uv_project.environment_to_come(command, surroundings.directory)
    if place is None or _project(place[0], surroundings) is None:
        return None
    from contextlib import ExitStack  # most runs prepare nothing

    from regrow.create.claim import prepared

    path = join(*place)
    reason = marking.Reason("venv", ("inside/pyvenv.cfg",))
    held = ExitStack()
    try:
        claimed = held.enter_context(prepared(path, reason, surroundings.configuration))
    except (RegrowError, OSError):
        return None  # it is marked afterwards, or that reports what is wrong
    return _Prepared(path, held) if claimed else None


def _mark(surroundings: _Surroundings, prepared: _Prepared | None, is_quiet: bool) -> None:
    """Mark what the command made in its project, and report it."""
    try:
        root = _project(surroundings.directory, surroundings)
        if root is None:
            return
        with Store() as store:
            scope = Scope([root], surroundings.configuration, surroundings.active_rules)
            plan = pipeline.plan(scope, store)
            for result in pipeline.apply(plan, store, is_settled=True):
                if result.outcome == FAILED:
                    complain(result.problem)
                elif result.change and not is_quiet:
                    complain(result.change)
            if prepared:
                _take_back_unless_marked(prepared.path, store)
    except (RegrowError, OSError) as error:
        complain(str(error))
    except KeyboardInterrupt:
        return


def _take_back_unless_marked(path: str, store: Store) -> None:
    """Take the mark off an environment that was prepared, if the pipeline did not mark it."""
    with store.locked():
        record = store.read(path)
        if record is not None and record.state == PENDING:
            from regrow import unmarking  # most runs have nothing to take back

            with open_directory(path) as directory:
                unmarking.undo(directory, store)
