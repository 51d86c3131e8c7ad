"""``regrow run``: run a command, then mark what it made."""

import argparse
import os
import sys

from regrow import birth, child, config, markers, pipeline, project, rules, uv
from regrow.cli.output import complain, parser, show
from regrow.directory import Directory, join, open_parent
from regrow.errors import ConfigurationError, RegrowError
from regrow.model import FAILED, MARKED, UNMARKED, Result
from regrow.plain import TYPE_CHECKING
from regrow.records import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from regrow.config import Configuration


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
    report = _reporter(options.quiet)
    configuration, directory = _surroundings()
    prepared = _prepare(command, directory, configuration) if configuration else None
    try:
        status = child.run(command)
    except child.NotStartedError as error:
        complain(str(error))
        return error.code
    finally:
        if prepared is not None:
            _remove_if_empty(*prepared)
    if configuration and directory:
        _mark(directory, configuration, report)
    return child.exit_as(status)


def _surroundings() -> "tuple[Configuration | None, str]":
    """Read the configuration and the current directory; the command runs whatever is wrong."""
    try:
        return config.read(), os.getcwd()
    except FileNotFoundError:
        return None, ""  # the current directory is gone
    except ConfigurationError as error:
        complain(f"{error}; nothing will be marked")
        return None, ""


def _prepare(
    command: "Sequence[str]", directory: str, configuration: "Configuration"
) -> tuple[str, str] | None:
    """Make the environment that uv is about to fill; give it if it was made."""
    place = uv.environment_to_come(command, directory)
    if place is None:
        return None
    parent_path, name = place
    path = join(parent_path, name)
    attributes = markers.selected(nodump=configuration.nodump)
    reason = pipeline.Reason("venv", ("inside/pyvenv.cfg",))
    try:
        with Store() as store, open_parent(parent_path) as parent:

            def prepare(made: Directory) -> None:
                pipeline.mark_before_birth(made, attributes, store, reason, path)

            with store.locked():
                before = store.data(path)
                try:
                    birth.create(parent, name, prepare).close()
                except BaseException:
                    store.restore(path, before)
                    raise
    except (RegrowError, OSError):
        return None  # it is marked afterwards, or that says what is wrong
    return place


def _remove_if_empty(parent_path: str, name: str) -> None:
    """Take away what the command did not fill, and its record."""
    path = join(parent_path, name)
    try:
        with Store() as store, store.locked():
            os.rmdir(path)
            store.remove(path)
    except (OSError, RegrowError):
        return  # it is filled


def _mark(
    directory: str, configuration: "Configuration", report: "Callable[[Result], None]"
) -> None:
    """Put the project through the pipeline; no failure here changes how the command ended."""
    try:
        in_force = rules.in_force(configuration, config.path())
        root = project.root_of(os.path.realpath(directory), in_force)
        if root is None:
            return
        with Store() as store:
            for result in project.mark_all(root, in_force, configuration, store):
                report(result)
    except RegrowError as error:
        complain(str(error))
    except KeyboardInterrupt:
        return


def _reporter(quiet: bool) -> "Callable[[Result], None]":
    """Give a function that tells of one directory what people want to know."""
    # The streams are the command's own: what goes into a file is its output alone.
    is_quiet = quiet or not sys.stderr.isatty()

    def report(result: Result) -> None:
        candidate = result.decision.candidate
        if result.outcome == FAILED:
            complain(result.problem)
        elif is_quiet:
            return
        elif result.outcome == MARKED:
            note = f"{candidate.path} is left out of backups ({candidate.rule.command})"
            print(f"regrow: {show(note)}", file=sys.stderr)
        elif result.outcome == UNMARKED:
            note = f"{candidate.path} is backed up again: {result.decision.reason}"
            print(f"regrow: {show(note)}", file=sys.stderr)

    return report
