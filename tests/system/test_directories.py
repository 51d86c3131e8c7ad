"""Where regrow keeps its files, by platform and by the variables of the XDG specification."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regrow.system import directories

ON_LINUX = [
    (directories.configuration, "XDG_CONFIG_HOME", ".config/regrow"),
    (directories.systemd_units, "XDG_CONFIG_HOME", ".config/systemd/user"),
    (directories.records, "XDG_DATA_HOME", ".local/share/regrow/records"),
    (directories.caches, "XDG_CACHE_HOME", ".cache/regrow"),
    (directories.logs, "XDG_STATE_HOME", ".local/state/regrow"),
]

ON_MACOS = [
    (directories.configuration, ".config/regrow"),
    (directories.launch_agents, "Library/LaunchAgents"),
    (directories.records, "Library/Application Support/regrow/records"),
    (directories.caches, "Library/Caches/regrow"),
    (directories.logs, "Library/Logs/regrow"),
]


@pytest.mark.parametrize(("place", "variable", "path"), ON_LINUX)
def test_on_linux_a_variable_counts_that_holds_an_absolute_path(
    place: Callable[[], str],
    variable: str,
    path: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv(variable, raising=False)
    assert place() == str(home / path)
    monkeypatch.setenv(variable, "relative")
    assert place() == str(home / path)
    monkeypatch.setenv(variable, "/elsewhere")
    tail = path.partition("regrow")[1:] if "regrow" in path else ("systemd/user",)
    assert place() == f"/elsewhere/{''.join(tail)}"


@pytest.mark.parametrize(("place", "path"), ON_MACOS)
def test_on_macos_they_stand_in_the_library(
    place: Callable[[], str], path: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for _, variable, _ in ON_LINUX:
        monkeypatch.delenv(variable, raising=False)
    assert place() == str(home / path)
