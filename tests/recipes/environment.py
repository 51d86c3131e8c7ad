"""Virtual environments that are made by hand, for the tests of recipes."""

import json
from pathlib import Path
from typing import Any

from regrow.recipes.recipe import RecipeResult, build_recipe


class Environment:
    """A virtual environment without an interpreter."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.site = path / "lib/python3.11/site-packages"
        self.site.mkdir(parents=True)
        (path / "bin").mkdir()
        self.configure("home = /usr/bin\nversion = 3.11.7\n")

    def configure(self, text: str) -> None:
        (self.path / "pyvenv.cfg").write_text(text)

    def install(
        self,
        name: str,
        version: str = "1.0",
        origin: Any = None,
        files: tuple[str, ...] | None = (),
    ) -> Path:
        """Write a .dist-info as installers do. ``files`` None: no RECORD."""
        directory = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        directory.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: one\n\nLong.\n"
        (directory / "METADATA").write_text(text)
        (directory / "INSTALLER").write_text("pip\n")
        if origin is not None:
            (directory / "direct_url.json").write_text(json.dumps(origin))
        if files is not None:
            for file in files:
                place = self.site / file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            own = f"{directory.name}/METADATA"
            (directory / "RECORD").write_text("".join(f"{f},,\n" for f in (*files, own)))
        return directory

    def take(self, project: Path | None = None) -> RecipeResult:
        return build_recipe("python", str(self.path), str(project or self.path.parent))

    def recipe(self, project: Path | None = None) -> dict[str, Any]:
        return dict(self.take(project).recipe)

    @property
    def requirements(self) -> list[str]:
        found: list[str] = self.recipe()["requirements"]
        return found
