"""``python -m regrow``."""

import os
import sys


def _current_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # it is gone


# `python -m` puts the current directory first, and with it every module of a project's.
if not sys.flags.safe_path and sys.path[:1] in ([""], [_current_directory()]):
    _here = os.path.dirname(os.path.dirname(__file__))
    if not sys.path[0] or os.path.realpath(sys.path[0]) != os.path.realpath(_here):
        del sys.path[0]

from regrow.cli.main import script  # noqa: E402 - after what decides where it comes from

raise SystemExit(script())
