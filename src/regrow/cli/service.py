"""``regrow service``: have ``regrow watch`` run always."""

import argparse
import os
import sys

from regrow import config
from regrow.cli.output import complain, parser, print_json, print_table, show
from regrow.errors import ConfigurationError
from regrow.rules import loader
from regrow.service import place
from regrow.service.manager import (
    BY_HAND,
    OUTDATED,
    PAUSE,
    NoManagerError,
    State,
    current,
    expected,
    install,
    service_manager,
    uninstall,
)
from regrow.watch import lock
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.service.manager import Manager
    from regrow.watch.lock import Owner

_EXAMPLE = """\
For example:

    start = ["~/code"]          # where to watch; "~" for all of your home
    skip = ["~/Downloads"]      # never entered
    keep = ["**/thesis/build"]  # never marked
"""
_INSTEAD = """\
Without a service, one of these does it:

    @reboot regrow watch        a line for `crontab -e`: from each start of the machine on
    @daily regrow sweep --yes   a line for `crontab -e`: once a day
    (regrow watch >/dev/null 2>&1 &)   a line for ~/.profile: from each login on, once
"""
_LOG_LINES = 10


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "service",
        "Have `regrow watch` run always: by launchd on macOS, by systemd on Linux, for you alone,"
        " with low priority. It sweeps at its start and once a day by itself. install: write the"
        " service's file and start it; again: write it anew and start it anew. After an upgrade"
        " the running watch goes on as the new regrow by itself."
        " uninstall: end it, and remove all that install made. status: is it installed, is it"
        " current, does it run? Exit code of status: 0 it runs, 1 it doesn't.",
        "  regrow service install\n  regrow service status\n  regrow service uninstall",
    )
    made.add_argument("action", choices=("install", "uninstall", "status"), help="what to do")
    made.add_argument("--json", action="store_true", help="print a line of JSON")
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    options = arguments().parse_args(words)
    manager = service_manager()
    todo = {"install": _install, "uninstall": _uninstall, "status": _status}[options.action]
    try:
        return todo(manager, options.json)
    except NoManagerError as error:
        complain(str(error))
        print(f"\n{_INSTEAD}", end="", file=sys.stderr)
        return 1


def _install(manager: "Manager", as_json: bool) -> int:
    file = config.path()
    if not os.path.lexists(file):
        complain(f"{file}: there is none; write one that says what is to be watched")
        print(f"\n{_EXAMPLE}", end="", file=sys.stderr)
        return 2
    configuration = config.read()
    loader.active_rules(configuration, file)
    objection = place.objection(configuration)
    if objection is not None:
        raise ConfigurationError(f"{objection}; {place.REMEDY}")
    another = lock.owner()
    if another is not None and another.pid == manager.state().pid:
        another = None
    outcome = install(manager)
    if as_json:
        print_json({"action": "install", "outcome": outcome, "path": manager.file})
    else:
        print(f"{outcome}  {show(manager.file)}")
        print("it watches now and from each login on; `regrow service status` shows how it is")
        if manager.advice():
            print(show(manager.advice()))
    if another is not None:
        complain(
            f"process {another.pid} watches already, and the service waits until it ends: end it,"
            f" and the service takes over within {PAUSE} seconds"
        )
    return 0


def _uninstall(manager: "Manager", as_json: bool) -> int:
    is_gone = uninstall(manager)
    outcome = "uninstalled" if is_gone else "not installed"
    if as_json:
        print_json({"action": "uninstall", "outcome": outcome, "path": manager.file})
    else:
        print(f"{outcome}  {show(manager.file)}")
        if is_gone:
            print("marks and records stay; `regrow undo` takes the marks back")
    return 0


def _status(manager: "Manager", as_json: bool) -> int:
    file = current(manager)
    owner = lock.owner()
    problem: NoManagerError | None = None
    try:
        manager.reach()
        state = manager.state()
    except NoManagerError as error:
        problem = error
        state = State(is_loaded=False, detail="unknown")
    log = manager.log(_LOG_LINES) if file is not None else []
    is_current = file is not None and file == expected(manager)
    if as_json:
        print_json(
            {
                "path": manager.file,
                "manager": manager.title,
                "installed": file is not None,
                "current": is_current,
                "loaded": state.is_loaded,
                "running": state.pid is not None,
                "pid": state.pid,
                "since": state.since or None,
                "detail": state.detail,
                "watching": owner.pid if owner else None,
                "outdated": owner.is_outdated() if owner else None,
                "log": log,
                "error": str(problem) if problem else None,
            }
        )
    else:
        _print(manager, state, owner, file is not None, is_current, log)
        if problem is not None:
            raise problem
    return int(state.pid is None)


def _print(
    manager: "Manager",
    state: State,
    owner: "Owner | None",
    is_installed: bool,
    is_current: bool,
    log: list[str],
) -> None:
    rows = [("installed", "no; `regrow service install` does it")]
    if is_installed:
        rows = [
            ("installed", manager.file),
            ("current", "yes" if is_current else "no; `regrow service install` writes it anew"),
        ]
    runs = f"yes, process {state.pid} since {state.since}" if state.pid else f"no: {state.detail}"
    rows.append(("runs", runs))
    if owner is not None and owner.pid != state.pid:
        rows.append(("watching", f"process {owner.pid}, which is not the service's"))
    elif owner is None and state.pid is not None:
        rows.append(("watching", "not yet"))
    if owner is not None and owner.is_outdated():
        what = f"`{manager.again}`" if owner.pid == state.pid else BY_HAND
        rows.append(("outdated", f"{OUTDATED}: {what}"))
    if is_installed:
        rows.append(("log", manager.log_place))
    print_table(rows, ("bold", ""))
    for line in log:
        print(f"  {show(line)}")
