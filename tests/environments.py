"""Environments with chosen packages, and what is recorded of them."""

import base64
import hashlib
import shutil
from pathlib import Path

from regrow.records.store import Store
from tests.conftest import Regrow


def environment(path: Path, *requirements: str) -> None:
    """Make an environment as a tool leaves it, with these packages and no others."""
    site = path / "lib/python3.11/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (path / "bin").mkdir(exist_ok=True)
    if not (path / "bin/python").is_symlink():
        (path / "bin/python").symlink_to("/bin/true")
    text = "home = /usr/bin\nuv = 0.9.0\nversion_info = 3.11.7\n"
    (path / "pyvenv.cfg").write_text(text)
    for old in site.glob("*.dist-info"):
        shutil.rmtree(old)
    for line in requirements:
        name, _, version = line.partition("==")
        about = site / f"{name}-{version}.dist-info"
        about.mkdir()
        metadata = f"Name: {name}\nVersion: {version}\n\n"
        (about / "METADATA").write_text(metadata)
        digest = base64.urlsafe_b64encode(hashlib.sha256(metadata.encode()).digest())
        row = f"sha256={digest.rstrip(b'=').decode()},{len(metadata)}"
        (about / "RECORD").write_text(f"{about.name}/METADATA,{row}\n{about.name}/RECORD,,\n")


def sweep(regrow: Regrow, place: Path) -> str:
    done = regrow("sweep", "--yes", place)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def requirements(path: Path) -> list[str]:
    with Store() as store:
        record = store.read(str(path))
    assert record is not None
    found = record.recipe["requirements"]
    assert isinstance(found, list)
    return found
