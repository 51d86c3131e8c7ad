"""Runs regrow on a terminal of its own, and answers what it asks."""

import errno
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# The session's leader takes the terminal, so that Ctrl-C reaches what runs on it. Where tests run
# in the background of a shell, it is ignored.
_ON_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "regrow", *sys.argv[1:]])
"""
_QUESTION = b"[y/N]"
_PATIENCE = 30.0  # seconds
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

CTRL_C, CTRL_D = "\x03", "\x04"


class Session(NamedTuple):
    """What was seen on the terminal."""

    code: int
    text: str
    asked: bool


def run(*words: str | Path, answer: str = "", cwd: Path | None = None) -> Session:
    """Run regrow on a terminal; a question is answered, and the answer ends with Return.

    Args:
        words: the command's words.
        answer: what is typed once a question stands; control characters go without Return.
        cwd: the current directory.
    """
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, *words],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
        cwd=cwd,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "500"},
    )
    os.close(its_end)
    is_control = answer in (CTRL_C, CTRL_D)
    typed = (answer if is_control else f"{answer}\n").encode()
    seen = b""
    asked = False
    deadline = time.monotonic() + _PATIENCE
    try:
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 2.0)[0]:
                # A signal between Python's last look and its read is lost, until the next one.
                if asked and is_control:
                    os.write(terminal, typed)
                continue
            part = _read(terminal)
            if not part:
                break
            seen += part
            if not asked and _QUESTION in seen:
                asked = True
                os.write(terminal, typed)
        code = process.wait(timeout=_PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    return Session(code, _CONTROL.sub("", seen.decode(errors="replace")), asked)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # Linux' way to say that the other end is closed
            return b""
        raise
