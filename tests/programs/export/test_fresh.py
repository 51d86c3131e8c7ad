"""Exclude files that a watch keeps fresh."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regrow.config import Configuration, Export
from regrow.programs.export.fresh import Fresh
from regrow.watch.source import Changes
from tests.conftest import Regrow
from tests.sweeping import Inside

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")

_PATIENCE = 20.0  # seconds


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


class Keeping:
    """A project with two marked directories, and what keeps a file of paths for them."""

    def __init__(self, home: Path, records: Path, regrow: Regrow) -> None:
        self.regrow = regrow
        self.output = home / "excludes"
        self.out, self.cache = home / "shop/out", home / "shop/cache"
        for path in (self.out, self.cache):
            path.mkdir(parents=True)
            regrow("mark", path)
        self.told: list[str] = []
        self.records = records
        self.start(Export("paths", "~/excludes"))

    def start(self, *exports: Export) -> None:
        configuration = Configuration(exports=exports)
        self.fresh = Fresh(configuration, str(self.records), self.told.append)

    def look(self) -> None:
        """Let a look be due, and take it."""
        self.fresh.due = 0.0
        self.fresh.look()

    def settle(self) -> None:
        """Let the last change of the records be long ago, and be seen."""
        hour_ago = time.time() - 3600
        os.utime(self.records, (hour_ago, hour_ago))
        self.look()


@pytest.fixture
def keeping(home: Path, records_directory: Path, regrow: Regrow) -> Keeping:
    return Keeping(home, records_directory, regrow)


def test_the_first_look_writes_what_is_marked(keeping: Keeping) -> None:
    keeping.fresh.look()
    assert keeping.output.read_text() == f"{keeping.cache}\n{keeping.out}\n"
    assert keeping.told == []


def test_whoever_changes_marks_the_next_look_writes_it(keeping: Keeping) -> None:
    keeping.settle()
    keeping.regrow("unmark", keeping.out)
    keeping.look()
    assert keeping.output.read_text() == f"{keeping.cache}\n"
    keeping.regrow("mark", keeping.out)
    keeping.look()
    assert keeping.output.read_text() == f"{keeping.cache}\n{keeping.out}\n"


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(keeping: Keeping) -> None:
    keeping.look()
    stamp = keeping.records.stat().st_mtime_ns
    keeping.regrow("unmark", keeping.out)
    os.utime(keeping.records, ns=(stamp, stamp))
    keeping.look()
    assert keeping.output.read_text() == f"{keeping.cache}\n"


def test_where_nothing_changed_nothing_is_written_nor_gathered(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.settle()
    monkeypatch.setattr(
        "regrow.programs.export.fresh.gather", lambda *_, **__: pytest.fail("it gathers")
    )
    written = keeping.output.stat()
    keeping.look()
    assert keeping.output.stat() == written


@pytest.mark.parametrize("which", ["itself", "the project"])
def test_what_appears_where_the_file_names_a_directory_leaves_the_file_at_once(
    which: str, keeping: Keeping
) -> None:
    keeping.settle()
    project = keeping.out.parent
    moved = keeping.out if which == "itself" else project
    moved.rename(moved.with_name("away"))
    keeping.out.mkdir(parents=True)
    (keeping.out / "thesis.tex").touch()
    keeping.fresh.note(Changes(frozenset({str(moved.parent)}), frozenset({str(moved)})))
    keeping.look()
    assert str(keeping.out) not in keeping.output.read_text().splitlines()


def test_what_appears_elsewhere_is_no_reason_to_write(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.settle()
    monkeypatch.setattr(
        "regrow.programs.export.fresh.gather", lambda *_, **__: pytest.fail("it gathers")
    )
    keeping.fresh.note(Changes(frozenset({"/x"}), frozenset({f"{keeping.out.parent}/other"})))
    keeping.look()


def test_after_a_sweep_everything_is_looked_at(keeping: Keeping) -> None:
    keeping.settle()
    keeping.output.write_text("stale\n")
    keeping.look()
    assert keeping.output.read_text() == "stale\n"
    keeping.fresh.expire()
    keeping.look()
    assert keeping.output.read_text() == f"{keeping.cache}\n{keeping.out}\n"


def test_a_look_is_due_within_seconds_and_never_without_a_file_to_keep(keeping: Keeping) -> None:
    keeping.fresh.look()
    assert 0 < keeping.fresh.due - time.monotonic() < 5
    keeping.start()
    assert keeping.fresh.due == float("inf")


def test_one_file_that_fails_is_told_once_and_stops_no_other(keeping: Keeping, home: Path) -> None:
    foreign = home / "foreign"
    foreign.write_text("by hand\n")
    keeping.start(
        Export("restic", str(foreign)),
        Export("rclone", "~/rclone", "~/no-such-directory"),
        Export("borg", "~/borg", "~"),
    )
    for _ in range(2):
        keeping.fresh.expire()
        keeping.look()
    assert foreign.read_text() == "by hand\n"
    assert "/shop/out" in (home / "borg").read_text()
    assert sorted(keeping.told) == [
        f"{foreign}: regrow did not write this file, and leaves it alone: name another, or remove"
        " it",
        f"{home}/no-such-directory: it does not exist (ENOENT)",
    ]


def test_what_the_syntax_cannot_express_is_told(
    keeping: Keeping, home: Path, regrow: Regrow
) -> None:
    odd = home / "two\nlines"
    odd.mkdir()
    regrow("mark", odd)
    keeping.look()
    assert "stays in the backup: Paths can't leave it out" in keeping.told[0]


def test_where_the_records_are_gone_the_file_names_nothing(keeping: Keeping) -> None:
    keeping.look()
    keeping.records.rename(keeping.records.with_name("moved"))
    keeping.look()
    assert keeping.output.read_text() == ""


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_regrow_watch_keeps_the_file_of_the_configuration_fresh(home: Path) -> None:
    (home / "code/shop").mkdir(parents=True)
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        'start = ["~/code"]\n[[export]]\nprogram = "restic"\noutput = "~/excludes"\nsource = "~"\n'
    )
    output, environment = home / "excludes", home / "code/shop/.venv"

    def wait_until(names_it: bool) -> None:
        end = time.monotonic() + _PATIENCE
        line = f"{environment}/"
        while (line in _lines(output)) is not names_it:
            assert time.monotonic() < end
            time.sleep(0.05)

    watch = subprocess.Popen([*Regrow.command, "watch"], stderr=subprocess.PIPE, text=True)
    assert watch.stderr is not None
    try:
        wait_until(names_it=False)
        subprocess.run(["uv", "venv", "-q", environment], check=True)
        wait_until(names_it=True)
        time.sleep(4)  # the records have settled, and no longer give a reason to write
        environment.rename(home / "away")
        environment.mkdir()
        wait_until(names_it=False)
    finally:
        watch.terminate()
        said = watch.stderr.read()
        watch.stderr.close()
        watch.wait()
    assert said == ""


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
