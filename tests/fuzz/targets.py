"""What reads files that others wrote, each by one function of the file's bytes.

A target may raise a RegrowError, and nothing else. ``FILES`` has pieces that its files are made of.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from regrow import config
from regrow.create import uv_project
from regrow.decide import guards
from regrow.model import Record
from regrow.recipes.recipe import build_recipe
from regrow.records.format import decode, encode
from regrow.rules import loader
from regrow.system import safe_toml
from regrow_marks.errors import RegrowError

Target = Callable[[bytes, Path], None]

_INFO = ".venv/lib/python3.11/site-packages/one-1.dist-info"


def _fresh(place: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for name, data in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _of_recipe(kind: str, directory: str, name: str, others: dict[str, bytes]) -> Target:
    """Take a recipe with one file as it is given; what is taken has to stand in a record."""

    def target(data: bytes, place: Path) -> None:
        _fresh(place, {**others, name: data})
        taken = build_recipe(kind, str(place / directory), str(place))
        if kind == "python":
            assert isinstance(taken.recipe["requirements"], list)
        record = Record(
            str(place / directory), "host", 1, 2, "rule", (), taken.recipe, (), (), {}, "marked", 3
        )
        assert decode(encode(record), "record").recipe == taken.recipe

    return target


def _record(data: bytes, place: Path) -> None:
    record = decode(data, "record")
    assert decode(encode(record), "record") == record


def _configuration(data: bytes, place: Path) -> None:
    loader.active_rules(config.parse(data, "config.toml"), "config.toml")


def _project_file(data: bytes, place: Path) -> None:
    _fresh(place, {guards.PROJECT_FILE: data})
    guards._read_project_file(str(place))


def _pyproject(data: bytes, place: Path) -> None:
    _fresh(place, {"pyproject.toml": data})
    uv_project.environment_to_come(["uv", "sync"], str(place))


def _toml(data: bytes, place: Path) -> None:
    try:
        safe_toml.loads(data)
    except ValueError:
        return  # its only one


_ENVIRONMENT = {
    ".venv/pyvenv.cfg": b"home = /usr/bin\nversion = 3.11.2\n",
    f"{_INFO}/METADATA": b"Name: one\nVersion: 1\n",
    f"{_INFO}/RECORD": b"one/x.py,,\n",
}
_MESON = {
    "build/meson-info/meson-info.json": b'{"directories": {"source": "/usr"}}',
    "build/meson-private/cmd_line.txt": b"[options]\n",
}
_CMAKE = b"CMAKE_HOME_DIRECTORY:INTERNAL=/usr\nCMAKE_GENERATOR:INTERNAL=Ninja\n"
_NODE = {"package.json": b'{"name": "x", "dependencies": {"a": "1"}}'}
_HIDDEN = "node_modules/.package-lock.json"
_PNPM = {**_NODE, "../pnpm-workspace.yaml": b"packages: ['*']\n", _HIDDEN: b'{"packages": {}}'}


def _python(name: str) -> Target:
    return _of_recipe("python", ".venv", name, _ENVIRONMENT)


TARGETS: dict[str, Target] = {
    "record": _record,
    "configuration": _configuration,
    "project file": _project_file,
    "pyproject": _pyproject,
    "toml": _toml,
    "RECORD": _python(f"{_INFO}/RECORD"),
    "METADATA": _python(f"{_INFO}/METADATA"),
    "direct_url": _python(f"{_INFO}/direct_url.json"),
    "pyvenv.cfg": _python(".venv/pyvenv.cfg"),
    "uv.lock": _python("uv.lock"),
    "poetry.lock": _python("poetry.lock"),
    "pdm.lock": _python("pdm.lock"),
    "Pipfile.lock": _python("Pipfile.lock"),
    "requirements": _python("requirements.txt"),
    "npm lock": _of_recipe("node", "node_modules", _HIDDEN, _NODE),
    "package.json": _of_recipe(
        "node", "node_modules", "package.json", {_HIDDEN: b'{"packages": {}}'}
    ),
    "pnpm lock": _of_recipe("node", "node_modules", "../pnpm-lock.yaml", _PNPM),
    "yarn lock": _of_recipe("node", "node_modules", "yarn.lock", {**_NODE, "node_modules/a": b""}),
    "CMakeCache": _of_recipe("cmake", "build", "build/CMakeCache.txt", {}),
    "meson-info": _of_recipe("meson", "build", "build/meson-info/meson-info.json", _MESON),
    "meson options": _of_recipe("meson", "build", "build/meson-private/cmd_line.txt", _MESON),
    "conda-meta": _of_recipe(
        "conda", "env", "env/conda-meta/a-1-0.json", {"env/conda-meta/history": b""}
    ),
}


def run(name: str, data: bytes, place: Path) -> None:
    """Give a target a file. Raises whatever is no RegrowError.

    Args:
        name: the target's.
        data: the bytes of the file.
        place: a directory for it, which is emptied.
    """
    try:
        TARGETS[name](data, place)
    except RegrowError:
        return


_ORIGIN = (
    b'{"url": "',
    b"https://x.org/a.zip",
    b"file:///usr",
    b'", "archive_info": {',
    b'"hash": "',
    b'"hashes": {"sha256": "',
    b"sha256=ab",
    b'"dir_info": {"editable": true',
    b'", "vcs_info": {',
    b'"vcs": "git", "commit_id": "',
    b'"subdirectory": "',
    b'"',
    b"}",
    b"}}",
)
_TABLES = (
    b"[[package]]\n",
    b"[package.x]\n",
    b'name = "',
    b'version = "',
    b"one",
    b"1",
    b'"\n',
    b"\n",
    b"source = { registry = ",
    b"}",
    b"[[packages]]\n",
)
_RULE = (
    b"[[rule]]\n",
    b'name = "',
    b"mine",
    b"venv",
    b'"\n',
    b'directory = "*"\n',
    b"inside = [",
    b'"a"',
    b"]\n",
    b"generic = true\n",
    b"start = [",
    b"[markers]\n",
    b"nodump = ",
    b"[[export]]\n",
    b'program = "restic"\n',
    b'output = "x"\n',
    b"keep = [",
    b'"**/a"',
    b"disable = [",
)
_CONDA = (
    b'{"url": "',
    b"https://x.org/linux-64/a-1-0.conda",
    b'", "md5": "',
    b"ab" * 16,
    b'"files": [',
    b'"lib/python3.11/site-packages/a/b"',
    b"]",
    b'"',
    b"}",
    b",",
)
_HEADERS = (b"Name: ", b"Version: ", b"one", b"1.0", b"\n", b"\r\n", b"Metadata-Version: 2.1\n")
_NPM = (
    b'{"packages": {"": {}',
    b',"node_modules/a": {',
    b'"version": "1"',
    b'"resolved": "',
    b'"link": true',
    b"https://u:p@x.org/a.tgz",
    b'"',
    b",",
    b"}",
    b"}}",
    b'"dependencies": {"a": "1"}',
)
PIECES: dict[str, tuple[bytes, ...]] = {
    "record": (
        encode(Record("/a", "h", 1, 2, "r", ("e",), {"kind": "none"}, ("s",), (), {}, "marked", 3)),
        b"inode = ",
        b"born = ",
        b"path_b64 = ",
        b'"L2E="\n',
        b"[recipe]\n",
        b'kind = "python"\n',
        b"requirements = [",
        b"]\n",
        b"time = 2024-01-01T00:00:00Z\n",
        b"[previous]\n",
        b'x = "YQ=="\n',
    ),
    "configuration": _RULE,
    "project file": _RULE,
    "toml": _RULE,
    "pyproject": (
        b"[project]\n",
        b'name = "x"\n',
        b"[tool.uv]\n",
        b"managed = ",
        b"workspace = {",
        b"members = [",
        b'"*"',
        b"]",
        b"}",
        b"\n",
        b"exclude = [",
    ),
    "RECORD": (
        b"one/x.py,,\n",
        b"../../bin/x,",
        b"sha256=a,1\n",
        b'"a b",,\n',
        b"\r\n",
        b"/abs,,\n",
    ),
    "METADATA": _HEADERS,
    "direct_url": _ORIGIN,
    "pyvenv.cfg": (
        b"home = /usr/bin\n",
        b"version = ",
        b"3.11.2\n",
        b"uv = 1\n",
        b"executable = ",
        b"prompt = '",
        b"implementation = ",
        b"version_info = ",
        b"=",
        b"\n",
        b"'",
        b"include-system-site-packages = true\n",
    ),
    "uv.lock": _TABLES,
    "poetry.lock": _TABLES,
    "pdm.lock": _TABLES,
    "Pipfile.lock": (
        b'{"default": {',
        b'"one": {"version": "==1"}',
        b"}",
        b'"develop": {',
        b",",
        b"[]",
    ),
    "requirements": (b"one==1\n", b"one", b"==", b"[x]", b" ; ", b"-e .\n", b"--hash=sha256:a\\\n"),
    "npm lock": _NPM,
    "package.json": (*_NPM, b'"packageManager": "pnpm@8"', b'"workspaces": ["*"', b"]"),
    "pnpm lock": (
        b"\nimporters:\n",
        b"  place:\n",
        b"  'a':\n",
        b"\npackages:\n",
        b"lockfileVersion: 6\n",
    ),
    "yarn lock": (b"\n__metadata:\n", b"# yarn lockfile v1\n", b'"a@1":\n', b"  version 1\n"),
    "CMakeCache": (
        _CMAKE,
        b"A:STRING=",
        b"B:BOOL=ON\n",
        b'"C:D":PATH=/x\n',
        b"https://u:p@x.org",
        b"\n",
        b"'",
        b"# WARNING: Value of A contained a newline; truncating\n",
        b"CMAKE_GENERATOR_PLATFORM:INTERNAL=",
    ),
    "meson-info": (
        b'{"directories": {"source": "',
        b"/usr",
        b'"',
        b"}",
        b"}}",
        b",",
        b'"build": "/x"',
    ),
    "meson options": (
        b"[options]\n",
        b"a = b\n",
        b"[properties]\n",
        b"cross_file = ['/x'",
        b"]\n",
        b"native_file = ",
        b"%(a)s",
        b"\n ",
        b"[",
        b"]",
    ),
    "conda-meta": _CONDA,
}
"""By target: pieces that its files are made of."""

HARD = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b"\\udfff",
    b"1e999",
    b"NaN",
    b"9" * 5000,
    b"[" * 3000,
    b"{" * 3000,
    b'{"a":' * 2000,
    b"a." * 40,
    b"-",
    b"..",
    b"\\",
    b"'",
    b'"',
    b"\xef\xbb\xbf",
    b"\x1b[31m",
    b"1979-05-27",
    b"07:32:00",
    b"0x" + b"f" * 4000,
    b"true",
    b"null",
    b"[]",
    b"{}",
    b"\r",
    b"\x85",
    b"%",
    b"#",
    b"=",
    b":",
    b"\t",
    b"${A}",
    b"/../",
    b"a" * 5000,
    "\N{RIGHT-TO-LEFT OVERRIDE}".encode(),
)
"""Pieces that are hard on anything that reads."""


def json_of(value: object) -> bytes:
    """Write a value as JSON, half characters and numbers that are none included."""
    return json.dumps(value).encode()


if __name__ == "__main__":
    os.write(1, "\n".join(TARGETS).encode() + b"\n")
