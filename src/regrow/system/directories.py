"""Where regrow keeps its files: the user's directories, as each platform has them.

On Linux they follow the XDG Base Directory Specification, which asks to ignore a variable that
holds no absolute path.
"""

import os
import sys


def configuration() -> str:
    """Return ``~/.config/regrow`` (``$XDG_CONFIG_HOME/regrow``), on macOS too."""
    return os.path.join(_base("XDG_CONFIG_HOME", "~/.config"), "regrow")


def data() -> str:
    """Return ``~/.local/share/regrow`` (``$XDG_DATA_HOME/regrow``): backups copy it.

    On macOS it is ``~/Library/Application Support/regrow``.
    """
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/regrow")
    return os.path.join(_base("XDG_DATA_HOME", "~/.local/share"), "regrow")


def records() -> str:
    """Return the directory of the records."""
    return os.path.join(data(), "records")


def caches() -> str:
    """Return ``~/.cache/regrow`` (``$XDG_CACHE_HOME/regrow``), ``~/Library/Caches/regrow``."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/regrow")
    return os.path.join(_base("XDG_CACHE_HOME", "~/.cache"), "regrow")


def logs() -> str:
    """Return ``~/.local/state/regrow`` (``$XDG_STATE_HOME/regrow``), ``~/Library/Logs/regrow``."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Logs/regrow")
    return os.path.join(_base("XDG_STATE_HOME", "~/.local/state"), "regrow")


def systemd_units() -> str:
    """Return ``~/.config/systemd/user`` or ``$XDG_CONFIG_HOME/systemd/user``: systemd.unit(5)."""
    return os.path.join(_base("XDG_CONFIG_HOME", "~/.config"), "systemd", "user")


def launch_agents() -> str:
    """Return ``~/Library/LaunchAgents``: see launchd.plist(5)."""
    return os.path.expanduser("~/Library/LaunchAgents")


def _base(variable: str, default: str) -> str:
    given = os.environ.get(variable, "")
    return given if given.startswith("/") else os.path.expanduser(default)
