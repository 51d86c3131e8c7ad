"""Environments as a creator leaves them, in no time, and what regrow says of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from regrow.model import Record
from regrow.records.store import Store

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

RECIPE: "Recipe" = {"kind": "python", "command": ["make-it"], "made_by": "test"}


def fill(environment: Path) -> Path:
    """Make an environment of a directory."""
    packages = environment / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin/python").write_text("")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.7\n")
    install(environment, "one")
    return environment


def install(environment: Path, name: str) -> None:
    metadata = environment / f"lib/python3.11/site-packages/{name}-1.0.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def record_of(path: Path) -> Record | None:
    with Store() as store:
        return store.read(str(path))


def recorded(path: Path) -> Record:
    record = record_of(path)
    assert record is not None
    return record


def configure(home: Path, text: str) -> None:
    file = home / ".config/regrow/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
