"""Which backup programs are found, and which count as in use."""

import sys
from pathlib import Path

import pytest

from regrow.programs import installed
from regrow_marks.markers import CACHEDIR_TAG, XDG_ROBOTS
from regrow_marks.programs import program


def test_programs_in_use_are_the_configured_or_those_that_honour_a_mark_set_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed, "installed", lambda: (program("bsdtar"), program("tar")))
    monkeypatch.setattr(sys, "platform", "linux")
    names = [program.name for program in installed.in_use(None, [XDG_ROBOTS, CACHEDIR_TAG])]
    assert names == ["tar"]
    assert [p.name for p in installed.in_use(["bsdtar"], [XDG_ROBOTS])] == ["bsdtar"]
    monkeypatch.setattr(sys, "platform", "darwin")
    assert [p.name for p in installed.in_use(None, ["time-machine"])] == ["time-machine"]


def test_one_command_that_serves_two_programs_is_asked_for_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    borg = tmp_path / "borg"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for version, name in (("borg 1.4.5", "borg"), ("borg 2.0.0b23", "borg2")):
        borg.write_text(f"#!/bin/sh\necho {version}\n")
        borg.chmod(0o755)
        found = [program.name for program in installed.installed() if "borg" in program.name]
        assert found == [name]
