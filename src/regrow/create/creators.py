"""The programs that make virtual environments: uv, virtualenv, the standard library's venv."""

import os
import subprocess
import sys
import tempfile

from regrow.errors import CreatorError, CreatorFailedError
from regrow.system.program import find_program, program_environment
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

UV = "uv"
VIRTUALENV = "virtualenv"
VENV = "venv"

NAMES = (UV, VIRTUALENV, VENV)
"""In the order in which they are looked for."""

_HOW_TO_GET = {
    UV: "`pip install uv` or your package manager has it",
    VIRTUALENV: "it comes with regrow: reinstall regrow, or `pip install virtualenv` beside it",
}

_PATIENCE = 5.0  # seconds that a creator has to end after SIGTERM


class Request(NamedTuple):
    """What the environment is to be like."""

    python: str | None = None
    """A version, a command or a path; None: the creator's own choice."""
    seed: bool = False
    system_site_packages: bool = False
    prompt: str | None = None
    extra: tuple[str, ...] = ()
    """Further arguments for the creator, as they are."""


def find(wanted: str | None = None) -> str:
    """Return the creator that is wanted; by default uv if it is here, else virtualenv, else venv.

    Raises CreatorError: the one wanted is not here; the message says how to get it.
    """
    if wanted is None:
        return next(name for name in NAMES if is_here(name))
    if not is_here(wanted):
        raise CreatorError(f"{wanted}: it is not installed; {_HOW_TO_GET[wanted]}")
    return wanted


def is_here(name: str) -> bool:
    """Return whether a creator can be run."""
    if name == UV:
        return find_program(UV) is not None
    if name == VIRTUALENV:
        from importlib.util import find_spec

        return find_spec(VIRTUALENV) is not None
    return True


def command(name: str, path: str, request: Request) -> list[str]:
    """Return the command line that makes an environment at an absolute path.

    uv leaves pip out unless ``seed`` is asked for. The other two always put it in, since without
    uv nothing else could install into the environment.

    Raises:
        CreatorError: the Python asked for can't be found (venv only; the others look themselves).
    """
    if name == UV:
        words = [UV, "venv"]
    elif name == VIRTUALENV:
        words = [sys.executable, _isolation_of_virtualenv(), "-m", "virtualenv"]
    else:
        words = [_python_for_venv(request.python), "-I", "-m", "venv"]
    if request.python is not None and name != VENV:
        words += ["--python", request.python]
    if request.seed and name == UV:
        words.append("--seed")
    if request.system_site_packages:
        words.append("--system-site-packages")
    if request.prompt is not None:
        words += ["--prompt", request.prompt]
    return [*words, *request.extra, path]


def _isolation_of_virtualenv() -> str:
    """Return the option that keeps modules of the current directory out of virtualenv's process.

    It is ``-I``, or ``-P`` where virtualenv is installed in the user's own site-packages, which
    ``-I`` would leave out, too.
    """
    import site
    from importlib.util import find_spec

    spec = find_spec(VIRTUALENV)
    users = site.getusersitepackages()
    is_users = spec is not None and (spec.origin or "").startswith(users.rstrip("/") + "/")
    return "-P" if is_users else "-I"


def refuse_named_by_project(directory: str) -> None:
    """Refuse to let uv run an interpreter that a project names by path.

    uv runs the program that ``.python-version`` names, in the directory or above it. A version
    number there is fine. Raises CreatorError for a program.
    """
    from regrow_marks.directory import ancestors
    from regrow_marks.safe_read import read

    for place in (directory, *ancestors(directory)):
        for name in (".python-versions", ".python-version"):
            path = os.path.join(place, name)
            try:
                text = os.fsdecode(read(path) or b"")
            except (OSError, ValueError):
                continue  # it is no file that uv could read
            requests = (line.partition("#")[0].strip() for line in text.splitlines())
            for request in filter(None, requests):
                if "/" in request or os.path.lexists(os.path.join(directory, request)):
                    raise CreatorError(
                        f"{path}: it names a program, {request}; regrow runs none that a project"
                        " names: --python says which is to be used"
                    )


def _python_for_venv(wanted: str | None) -> str:
    """Return the path of the interpreter whose ``venv`` module is run; by default, regrow's own."""
    if wanted is None:
        return sys.executable
    for candidate in (wanted, f"python{wanted}"):
        found = find_program(os.path.expanduser(candidate))
        if found is not None:
            return found
    raise CreatorError(
        f"{wanted}: there is no such Python on PATH; name its path, or let uv find it"
        " (--creator uv)"
    )


def run(name: str, words: list[str], progress: "AbstractContextManager[object]") -> bytes:
    """Run a creator's command line; return all that it printed.

    *progress* is entered while it runs.

    Raises:
        CreatorError: it can't be run.
        CreatorFailedError: it failed.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=program_environment(),
            )
        except OSError as error:
            raise CreatorError(f"{words[0]}: it can't be run: {in_words(error)}") from error
        try:
            with progress:
                code = process.wait()
        except BaseException:
            _stop(process)
            raise
        output.seek(0)
        printed = output.read()
        if code != 0:
            code = code if code > 0 else 128 - code
            raise CreatorFailedError(
                f"{name} made no environment (exit code {code})", code, printed
            )
        return printed


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
