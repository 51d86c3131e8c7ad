"""Drives real shells through a pseudo-terminal: types, and waits for numbered prompts."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_PATIENCE = 60  # seconds: far longer than anything here takes on a busy machine
_ROWS, _COLUMNS = 50, 1000  # no command line is wrapped

INTERRUPT, SUSPEND, TAB = "\x03", "\x1a", "\t"


class Terminal:
    """A program on a terminal of its own. Use it as a context manager."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        controlling, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._fd = controlling
        self._unread = ""
        self._process = subprocess.Popen(
            words,
            env=dict(environment),
            cwd=cwd,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the terminal, as a person closes its window."""
        if self._process.returncode is not None:
            return
        os.close(self._fd)  # the shell and its jobs get SIGHUP
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> str:
        """Read until a text appears; give what came before it."""
        end = time.monotonic() + _PATIENCE
        while text not in self._unread:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} did not appear: {self._unread!r}"
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                data = b""  # Linux's way to say that nobody has the terminal open any more
            assert data, f"the shell ended before {text!r} appeared: {self._unread!r}"
            self._unread += data.decode(errors="replace")
        before, _, self._unread = self._unread.partition(text)
        return before


class Shell(Terminal):
    """An interactive shell whose prompt ends in ``READY``, a number that grows, and ``>``."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        super().__init__(words, environment, cwd)
        self._prompts = 0
        self.greeting = self.wait_for_prompt()

    def wait_for_prompt(self) -> str:
        """Wait until the next prompt stands there; give what was shown since the last."""
        self._prompts += 1
        return self.wait_for(f"READY{self._prompts}>").replace("\r\n", "\n")

    def run(self, line: str) -> str:
        """Type a line and wait for the next prompt.

        Returns:
            What the terminal showed, the echoed line first.
        """
        self.type(f"{line}\n")
        return self.wait_for_prompt()
