"""Commands on a double of Apple's libraries: there is no Mac here."""

from pathlib import Path

import pytest
from apple_double import AppleDouble, Builder, pretend_to_be_a_mac

from regrow_marks.timemachine import VALUE
from tests.sweeping import Inside, modules

pytestmark = pytest.mark.needs("gcc")


@pytest.fixture
def mac(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> AppleDouble:
    place = tmp_path_factory.mktemp("apple-double")
    double = AppleDouble(Builder(place).build())
    pretend_to_be_a_mac(double, place / "com.apple.TimeMachine.plist", monkeypatch)
    return double


@pytest.mark.parametrize("previous", [None, b"1"])
def test_sweep_and_undo_leave_time_machines_attribute_as_it_was(
    previous: bytes | None, mac: AppleDouble, tmp_path: Path
) -> None:
    run, path = Inside(), modules(tmp_path)
    if previous is not None:
        mac.put(path, previous)
    done = run("sweep", "--yes", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert mac.attribute(path) == VALUE
    (line,) = run.json("list")
    assert (line["state"], line["set"]) == ("there", ["time-machine"])
    (line,) = run.json("undo", "--yes")
    assert line["markers"] == {"time-machine": {"state": "unmarked"}}
    assert mac.attribute(path) == previous
    assert run("undo", "--yes").stdout == "taken back 0\n"
