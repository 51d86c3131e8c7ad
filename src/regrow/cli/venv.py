"""``regrow venv``: make a virtual environment that backups leave out from its first file on."""

import argparse
import os
import shlex
import signal
import sys

from regrow import config
from regrow.cli.mark import LOOKING
from regrow.cli.output import Counter, complain, outcomes_as_json, parser, print_json, show
from regrow.create import creators, environment
from regrow.create.claim import Caller
from regrow.decide.refusals import Refusals
from regrow.errors import CreatorError, CreatorFailedError
from regrow.model import summed_up
from regrow.records.store import Store
from regrow_marks.directory import open_child, open_parent, split_for_creation
from regrow_marks.model import MARKED
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import FrameType
    from typing import NoReturn, Self

    from rich.status import Status

    from regrow.recipes.recipe import Recipe

_USAGE = 2
_WAY_OUT = "`regrow venv --force` takes it all the same"


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "venv",
        "Make a virtual environment. The marks are on the directory before its first file is"
        " written, so that no backup copies any of it.",
        "  regrow venv\n"
        "  regrow venv --python 3.12 --seed tools/env\n"
        "  regrow venv --clear                          replace the .venv that is there\n"
        "  regrow venv --creator virtualenv -- --no-setuptools",
    )
    made.add_argument("path", nargs="?", default=".venv", metavar="PATH", help="default: .venv")
    made.add_argument(
        "-p", "--python", metavar="PYTHON", help="a version, a command or an interpreter's path"
    )
    made.add_argument(
        "--creator",
        choices=creators.NAMES,
        help="who fills it (default: uv if it is on PATH, else virtualenv, else venv)",
    )
    made.add_argument(
        "--seed",
        action="store_true",
        help="put pip in (uv leaves it out unless asked; the others always put it in)",
    )
    made.add_argument(
        "--system-site-packages",
        action="store_true",
        help="let it see the packages of the Python that it is made from",
    )
    made.add_argument("--prompt", metavar="TEXT", help="what the shell shows while it is active")
    made.add_argument(
        "--clear",
        action="store_true",
        help="replace the environment at PATH; it is put back if that fails",
    )
    made.add_argument(
        "--force",
        action="store_true",
        help="take a directory that `regrow mark` would refuse: a mount point, for one",
    )
    made.add_argument("--json", action="store_true", help="print the result as a line of JSON")
    made.add_argument(
        "extra", nargs="*", metavar="ARGS", help="after --: further arguments for the creator"
    )
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code, or the creator's if that failed."""
    words, extra = _split_at_dashes(words)
    made_parser = arguments()
    options = made_parser.parse_args(words)
    if options.extra:
        made_parser.error(f"one PATH at a time; {options.extra[0]!r} is left over")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _terminate)
    try:
        return _make(options, extra)
    except CreatorFailedError as error:
        sys.stderr.flush()
        sys.stderr.buffer.write(error.output)
        complain(str(error))
        return error.code
    except (environment.EnvironmentExistsError, CreatorError) as error:
        complain(str(error))
        return _USAGE


def _make(options: argparse.Namespace, extra: list[str]) -> int:
    configuration = config.read()
    request = creators.Request(
        options.python, options.seed, options.system_site_packages, options.prompt, tuple(extra)
    )
    creator = creators.find(options.creator)
    if creator == creators.UV and options.python is None:
        creators.refuse_named_by_project(os.getcwd())
    parent, name = split_for_creation(options.path)
    with Store() as store:
        if not options.force:
            _refuse(parent, name, store)
        made = environment.make(
            parent,
            name,
            creator,
            request,
            _recipe(options, extra),
            Caller(store, configuration, complain),
            clear=options.clear,
            progress=_progress(),
        )
    _report(made, creator, options)
    return int(not all(outcome.holds for outcome in made.outcomes.values()))


def _report(made: environment.Made, creator: str, options: argparse.Namespace) -> None:
    for outcome in made.outcomes.values():
        if outcome.error:
            complain(f"{made.path}: {outcome.error}")
    activate = _activation(options.path)
    if options.json:
        print_json(
            {
                "path": made.path,
                "creator": creator,
                "python": made.python,
                "activate": activate,
                "outcome": summed_up(made.outcomes, MARKED),
                "markers": outcomes_as_json(made.outcomes),
            }
        )
        return
    holding = [name for name, outcome in made.outcomes.items() if outcome.holds]
    excluded = f"left out of backups ({', '.join(holding)})" if holding else "not excluded"
    print(
        f"{show(options.path)}: Python {made.python} by {creator}, {excluded};"
        f" activate it: {show(activate)}"
    )


def _refuse(parent_path: str, name: str, store: Store) -> None:
    """Raise RefusedError for an existing directory that `regrow mark` would refuse."""
    if not os.path.isdir(os.path.join(parent_path, name)):
        return
    progress = Counter(LOOKING)
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        try:
            Refusals(store, progress=progress).refuse(directory, _WAY_OUT)
        finally:
            progress.clear()


def _split_at_dashes(words: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in words:
        return words, []
    position = words.index("--")
    return words[:position], words[position + 1 :]


def _recipe(options: argparse.Namespace, extra: list[str]) -> "Recipe":
    """Return a recipe with the command that makes such an environment again, from anywhere."""
    command = ["regrow", "venv"]
    for name in ("python", "creator", "prompt"):
        value = getattr(options, name)
        if value is not None:
            command += [f"--{name}", value]
    if options.seed:
        command.append("--seed")
    if options.system_site_packages:
        command.append("--system-site-packages")
    command.append(os.path.abspath(options.path))
    if extra:
        from regrow.recipes import harmless

        command += ["--", *harmless.words(extra)]
    return {"kind": "python", "command": command}


def _activation(path: str) -> str:
    """Return the line that activates an environment in the user's shell."""
    shell = os.path.basename(os.environ.get("SHELL", ""))
    ending = {"fish": ".fish", "csh": ".csh", "tcsh": ".csh"}.get(shell, "")
    return f"source {shlex.quote(os.path.join(path, 'bin', f'activate{ending}'))}"


def _progress() -> "AbstractContextManager[object]":
    """Return a context manager that shows on a terminal that the creator is still at work."""
    from contextlib import nullcontext

    return _Spinner() if sys.stderr.isatty() else nullcontext()


class _Spinner:
    """Shows a spinner when the creator takes longer than a second; most don't."""

    _PATIENCE = 1.0  # seconds

    def __init__(self) -> None:
        from threading import Timer

        self._status: Status | None = None
        self._timer = Timer(self._PATIENCE, self._start)

    def _start(self) -> None:
        from rich.console import Console

        self._status = Console(stderr=True).status("making the environment …")
        self._status.start()

    def __enter__(self) -> "Self":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._status is not None:
            self._status.stop()


def _terminate(number: int, _frame: "FrameType | None") -> "NoReturn":
    raise SystemExit(128 + number)
