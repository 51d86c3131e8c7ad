"""Writes a package that needs no index and no building."""

import zipfile
from pathlib import Path

WHEEL = "tiny-1.0-py3-none-any.whl"


def write_wheel(directory: Path) -> Path:
    """Write the package ``tiny``, which is one empty module; gives the file."""
    path = directory / WHEEL
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        names = ["tiny.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))
    return path
