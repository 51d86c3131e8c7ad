"""Marks on copies inside of copies: undo leaves none."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import Regrow
from tests.hostile.helpers import LINUX_ONLY, has_attribute
from tests.sweeping import modules

pytestmark = LINUX_ONLY


def test_copies_inside_of_copies_are_taken_back_with_them(home: Path, regrow: Regrow) -> None:
    original = modules(home / "project")
    assert regrow("sweep", "--yes", home).returncode == 0
    outer = home / "holiday"
    places = [outer, outer / "photos", outer / "photos/more"]
    saved = home / "saved"
    subprocess.run(["cp", "-a", original, saved], check=True)
    for place in places:
        subprocess.run(["cp", "-a", saved, place], check=True)
    shutil.rmtree(saved)
    assert all(map(has_attribute, places))
    done = regrow("undo", "--yes")
    assert done.returncode == 0
    assert not any(map(has_attribute, [original, *places]))
    assert "taken back 4" in done.stdout
