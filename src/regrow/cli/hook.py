"""``regrow hook``: the prompt hooks of bash, zsh and fish, and the check that they run."""

import argparse
import os
import signal

from regrow.cli.output import parser, show
from regrow.errors import ConfigurationError

SHELLS = ("bash", "fish", "zsh")

_DIRECTORY = "/regrow/hooks"  # how the path of the stamps' directory ends


def arguments() -> argparse.ArgumentParser:
    """Describe the command's arguments."""
    made = parser(
        "hook",
        "Print a prompt hook, which marks what appeared in the current project since the last"
        " prompt, whoever made it. At an idle prompt it runs nothing.",
        "  regrow hook fish | source        in ~/.config/fish/config.fish\n"
        '  eval "$(regrow hook bash)"       in ~/.bashrc\n'
        '  eval "$(regrow hook zsh)"        in ~/.zshrc',
    )
    todo = made.add_mutually_exclusive_group(required=True)
    todo.add_argument("shell", nargs="?", choices=SHELLS, help="the shell that is to read it")
    todo.add_argument(
        "--check",
        metavar="STAMP",
        help="what the hook runs: mark the project here; STAMP, a file of the hook's, gets the"
        " time of the look",
    )
    return made


def run(words: list[str]) -> int:
    """Run the command; returns its exit code."""
    made = arguments()
    options = made.parse_args(words)
    if options.shell:
        print(_script(options.shell), end="")
        return 0
    if not _is_stamp(options.check):
        made.error(f"--check {options.check}: this is no file of the hook's")
    return _check(options.check)


def _script(shell: str) -> str:
    place = os.path.dirname(os.path.dirname(__file__))
    with open(os.path.join(place, "hooks", f"hook.{shell}"), encoding="utf-8") as file:
        return file.read()


def _is_stamp(path: str) -> bool:
    """Return whether a hook made a path up: from the shell's process and a random number."""
    directory, name = os.path.split(path)
    process, _, number = name.partition("-")
    return directory.endswith(_DIRECTORY) and process.isdecimal() and number.isdecimal()


def _check(stamp: str) -> int:
    """Mark the project of the current directory; return the exit code.

    *stamp* is a file whose time is set to that of the look. Messages go to standard output: the
    hook drops standard error, where an interpreter writes when it is interrupted or half
    uninstalled.
    """
    # Ctrl-Z would leave a stopped job that the person at the prompt never started.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        # What appears from now on is seen, or is newer: one look is enough for what was there.
        _touch(stamp)
        _mark(os.getcwd())
        _forget_shells_that_ended(os.path.dirname(stamp))
    except ConfigurationError as error:
        print(f"regrow: {show(str(error))}")
        return 2
    except Exception:  # noqa: BLE001 - `regrow sweep` reports it; a prompt is not the place
        return 1
    return 0


def _touch(stamp: str) -> None:
    directory = os.path.dirname(stamp)
    from regrow.system import own_files  # not when a script is printed

    own_files.make_directory(directory)
    fd = own_files.create(stamp, os.O_WRONLY)
    try:
        os.utime(fd)
    finally:
        os.close(fd)


def _forget_shells_that_ended(directory: str) -> None:
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if _is_stamp(path) and not _is_running(int(name.partition("-")[0])):
            os.unlink(path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _mark(directory: str) -> None:
    # Imported here: every shell that starts prints a script first.
    from regrow import config, pipeline
    from regrow.model import Scope
    from regrow.records.store import Store
    from regrow.rules import loader
    from regrow.scan import project_root

    configuration = config.read()
    active_rules = loader.active_rules(configuration, config.path())
    root = project_root.root_of(directory, active_rules, configuration.skip)
    if root is None:
        return
    with Store() as store:
        plan = pipeline.plan(Scope([root], configuration, active_rules), store)
        for result in pipeline.apply(plan, store, is_settled=True):
            if result.change:  # `regrow sweep` names what failed
                print(f"regrow: {show(result.change)}")
