"""Finds the command, runs it, and turns errors into messages and exit codes."""

import gc
import io
import os
import sys

from regrow import __version__
from regrow.errors import ConfigurationError
from regrow_marks.errors import RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

OK = 0
SOME_FAILED = 1
USAGE = 2
INTERRUPTED = 130

COMMANDS = {
    "venv": "make a virtual environment that backups leave out from its first file on",
    "mark": "leave existing directories out of backups",
    "unmark": "put directories back into the backups",
    "status": "tell which backup programs leave a path out, and why",
    "sweep": "find what can be rebuilt, record how, and leave it out of backups",
    "list": "what regrow marked, why, and what became of it",
    "undo": "take back what regrow did",
    "run": "run a command, then mark what it made",
    "hook": "print a prompt hook that marks what appears in a project",
    "completion": "print a script that completes regrow's words in a shell",
    "watch": "mark what appears, as it appears",
    "service": "have regrow watch always",
    "rebuild": "bring back what was left out, after a restore",
    "leftovers": "what rebuilds left beside what they made; put it back or remove it",
    "export": "write an exclude file for a backup program that reads no marks",
    "explain": "tell why a path would be marked or stays in the backup",
    "doctor": "check that everything is in place, and say what to do",
}

_HELP = """\
usage: regrow [--help] [--version] COMMAND ...

Keeps what can be rebuilt out of your backups, and can rebuild it.

commands:
{commands}

examples:
  regrow venv                    a .venv here, excluded from birth
  regrow sweep                   find what exists already; shows the plan, and asks
  regrow status .venv            who leaves it out, and by what

`regrow COMMAND --help` tells more about each."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after ``regrow``; default: those of this process.

    Returns:
        The exit code: 0 all that was asked for holds; 1 some paths failed, or are not excluded;
        2 wrong usage or configuration, with nothing changed; 130 interrupted.
    """
    # What a start makes is no garbage: to look for it after every 700 objects takes 1 ms.
    gc.set_threshold(10_000)
    words = sys.argv[1:] if arguments is None else arguments
    _stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped, never a reason to stop.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        try:
            code = _dispatch(words)
        except SystemExit as end:  # argparse's, after its help, among others
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
        return code
    except ConfigurationError as error:
        return _complain(error, USAGE)
    except RegrowError as error:
        return _complain(error, SOME_FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # the reader (head, a pager) has seen enough
        return SOME_FAILED
    except OSError as error:
        # Errors on paths are told where they arise; without a path it is the output's.
        from regrow.cli.output import show

        place = show(str(error.filename)) if error.filename else "the output can't be written"
        print(f"regrow: {place}: {in_words(error)}", file=sys.stderr)
        _discard_output()
        return SOME_FAILED
    except Exception as error:  # noqa: BLE001 - people read words, not tracebacks
        from regrow.cli.output import complain
        from regrow.errors import TRACEBACK, as_sentence

        complain(f"{as_sentence(error)}; to report it, set {TRACEBACK}=1 and try again")
        return SOME_FAILED
    finally:
        # Or the interpreter, as it ends, looks twice through all there is for garbage (2 ms).
        gc.freeze()


def script() -> int:
    """Run one command in a process of its own; see ``main``.

    Returns:
        The exit code, where threads have to be waited for. Else the process ends here: to tidy up
        what the kernel throws away takes the interpreter 3 ms, a quarter of what starting it takes.
    """
    _forgive_standard_error()
    code = main()
    if "threading" in sys.modules:
        return code
    import atexit

    try:
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter does first when it ends
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return code  # the interpreter has its own way with a stream that is broken
    os._exit(code)


class _Forgiving(io.FileIO):
    """A file to which writing never fails: what can't be written is lost."""

    def write(self, data: "Buffer") -> int:
        """See ``io.FileIO.write``."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        # None is also what a full pipe answers that somebody has set not to block.
        return len(memoryview(data)) if written is None else written


def _forgive_standard_error() -> None:
    """Let no message that nobody can read change the exit code, or end what we do.

    The reader of standard error may be gone, or its disk full. The interpreter would try again at
    its end, and exit with 120.
    """
    if sys.stderr is None:
        return
    raw = _Forgiving(sys.stderr.fileno(), "w", closefd=False)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw), sys.stderr.encoding, "backslashreplace", line_buffering=True
    )


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS)) + 2
        lines = (f"  {name:{width}}{text}" for name, text in COMMANDS.items())
        print(_HELP.format(commands="\n".join(lines)))
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        print(f"regrow {__version__}")
        return OK
    command = words[0]
    if command not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(command, COMMANDS, 1)
        hint = f"did you mean `regrow {near[0]}`?" if near else "`regrow --help` lists the commands"
        print(f"regrow: there is no command {command!r}; {hint}", file=sys.stderr)
        return USAGE
    _import_argparse()
    module = __import__(f"regrow.cli.{command}", fromlist=["run"])  # importlib costs 0.2 ms
    code: int = module.run(words[1:])
    return code


def _import_argparse() -> None:
    """Import argparse without the translations of its messages, which regrow does not have.

    To import gettext, and to look for a catalogue of each message, takes a fifth of the time that
    ``regrow mark`` may take beside a bare interpreter.
    """
    if "argparse" in sys.modules:
        return
    known = sys.modules.get("gettext")
    stand_in = type(sys)("gettext")
    stand_in.__dict__.update(gettext=str, ngettext=lambda one, more, n: one if n == 1 else more)
    sys.modules["gettext"] = stand_in
    import argparse  # noqa: F401 - it takes the names that it needs from the stand-in

    if known is None:
        del sys.modules["gettext"]
    else:
        sys.modules["gettext"] = known


def _stand_in_for_closed_streams() -> None:
    """Let what we say go nowhere where the caller closed our streams."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _discard_output() -> None:
    """Send what is left in the buffer nowhere, or the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: RegrowError, code: int) -> int:
    from regrow.cli.output import complain

    complain(str(error))
    return code
