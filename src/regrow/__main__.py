"""``python -m regrow``."""

import os
import sys

# `python -m` puts the current directory first, and with it every module of a project's.
if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.realpath(sys.path[0] or ".") != os.path.realpath(here):
        del sys.path[0]

from regrow.cli.main import script

raise SystemExit(script())
