"""What the tests of rebuild share: records as a sweep leaves them, and doubles of the tools."""

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from regrow.model import Record
from regrow.records.format import MARKED
from regrow.records.store import Store, host, identity_of
from tests.conftest import Regrow
from tests.hostile.helpers import has_attribute, leftovers

if TYPE_CHECKING:
    from regrow.recipes.recipe import Recipe

CALLS = "REGROW_TEST_CALLS"
"""The variable that names the file in which doubles note their words."""

NOTE = f'echo "${{0##*/}} $*" >> "${CALLS}"\n'

UV = """\
if [ "$1" = venv ]; then
    for place; do :; done
    mkdir -p "$place/bin" "$place/lib/python3.11/site-packages"
    printf 'home = /usr/bin\\nuv = 0.9.0\\nversion_info = 3.11.7\\n' > "$place/pyvenv.cfg"
    ln -s /bin/true "$place/bin/python"
elif [ "$1 $2" = "pip install" ]; then
    for file; do :; done
    while read -r line; do
        about="${4%/bin/python}/lib/python3.11/site-packages/${line%%==*}-${line##*==}.dist-info"
        mkdir "$about"
        printf 'Name: %s\\nVersion: %s\\n\\n' "${line%%==*}" "${line##*==}" > "$about/METADATA"
    done < "$file"
fi
"""
"""What uv does, as lines of sh: an environment, and the metadata of what is installed in it."""

NPM = """\
mkdir -p node_modules/a
echo '// a' > node_modules/a/index.js
echo '{"name": "x", "packages": {"node_modules/a": {"version": "1.0.0"}}}' \\
    > node_modules/.package-lock.json
"""
"""What npm does in a project that asks for ``a``."""

CONDA = """\
for file; do :; done
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/conda-meta"
touch "$2/conda-meta/history"
grep -v @EXPLICIT "$file" | while read -r line; do
    name=$(basename "${line%#*}" .conda)
    printf '{"url": "%s", "md5": "%s"}' "${line%#*}" "${line##*#}" > "$2/conda-meta/$name.json"
done
"""
"""What conda does with a list of addresses: it makes a conda-meta."""


PATIENCE = 30.0  # seconds that something may take that has to happen


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody has buried doesn't."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def pids(place: Path, count: int) -> list[int]:
    """Give the process ids that a tool has written into files; none before all are there."""
    texts = [file.read_text() for file in place.glob("*.pid")]
    return [int(text) for text in texts] if len(texts) == count and all(texts) else []


class Doubles:
    """A directory that is first on PATH, with programs that stand for the real ones."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.place.mkdir()
        self._calls = place / "calls"
        monkeypatch.setenv(CALLS, str(self._calls))
        monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")

    def write(self, name: str, lines: str) -> None:
        """Let a program note its words, and then do these lines of sh."""
        program = self.place / name
        program.write_text(f"#!/bin/sh\n{NOTE}{lines}")
        program.chmod(0o755)

    def calls(self) -> list[str]:
        """Give the words of each call, the program's name first."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []


def install_doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    """Put doubles of uv and npm first on PATH; a test writes others, or other lines."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    made = Doubles(tmp_path / "programs", monkeypatch)
    made.write("uv", UV)
    made.write("npm", NPM)
    return made


def recorded(path: Path | str, recipe: "Recipe", rule: str = "venv") -> Record:
    """Give the record of a directory that was left out of a backup, and is gone."""
    return Record(
        path=str(path),
        host=host(),
        inode=1,
        born=2,
        rule=rule,
        evidence=("inside/pyvenv.cfg",),
        recipe=recipe,
        set=("xdg-robots",),
        found=(),
        previous={},
        state=MARKED,
        time=1_700_000_000,
    )


def write(record: Record, files: Sequence[tuple[str, bytes]] = ()) -> Record:
    """Write a record where regrow keeps them."""
    with Store() as store:
        store.write(record, files).close()
    return record


def python(*requirements: str, **more: str | bool) -> "Recipe":
    """Give the recipe of an environment."""
    return {
        "kind": "python",
        "version": "3.11.7",
        "interpreter": "",
        "creator": "uv 0.9.0",
        "requirements": list(requirements),
        **more,
    }


def identify(path: Path) -> None:
    """Let the record of a directory be about the very one that stands there."""
    with Store() as store:
        record = store.read(str(path))
        assert record
        fd = os.open(path, os.O_RDONLY)
        this = identity_of(fd)
        os.close(fd)
        store.write(record._replace(inode=this.inode, born=this.born)).close()


def environment(project: Path, *requirements: str) -> Record:
    """Record an environment of a project that is there."""
    project.mkdir(parents=True, exist_ok=True)
    return write(recorded(project / ".venv", python(*requirements)))


def node(project: Path) -> "Recipe":
    """Give the recipe of the node_modules of a project with a lock, and make the project."""
    project.mkdir(parents=True, exist_ok=True)
    (project / "package.json").write_text('{"dependencies": {"a": "1.0.0"}}')
    (project / "package-lock.json").write_text("{}")
    return {
        "kind": "node",
        "manager": "npm",
        "manager_version": "",
        "lock": str(project / "package-lock.json"),
        "command": ["npm", "ci"],
        "directory": str(project),
    }


def modules(project: Path) -> Record:
    """Record the node_modules of a project that is there, with its lock."""
    return write(recorded(project / "node_modules", node(project), "node-modules"))


LOCK = b'{"name": "x", "packages": {"": {}, "node_modules/a": {"version": "1.0.0"}}}'


def modules_without_lock(project: Path) -> Record:
    """Record the node_modules of a project whose lock stands beside the record alone."""
    recipe = node(project)
    (project / "package-lock.json").unlink()
    recipe |= {
        "lock": "package-lock.json",
        "lock_is_copied": True,
        "command": ["npm", "install", "--package-lock"],
    }
    record = recorded(project / "node_modules", recipe, "node-modules")
    return write(record, [("package-lock.json", LOCK)])


def cmake(source: Path, path: Path) -> "Recipe":
    """Give the recipe of a CMake build directory."""
    return {
        "kind": "cmake",
        "source": str(source),
        "generator": "Ninja",
        "configure": ["cmake", "-S", str(source), "-B", str(path), "-G", "Ninja", "-DA:BOOL=ON"],
        "build": ["cmake", "--build", str(path)],
    }


def command(directory: Path, *words: str) -> "Recipe":
    """Give the recipe of a directory that a rule's command brings back."""
    return {"kind": "command", "command": list(words), "directory": str(directory)}


# Packages for the real installers.

THIS_PYTHON: "Recipe" = {
    "version": ".".join(map(str, sys.version_info[:3])),
    "interpreter": sys.executable,
}


def use_index(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a directory of wheels the only index, as the user's own settings would."""
    for program in ("UV", "PIP"):
        monkeypatch.setenv(f"{program}_NO_INDEX", "1")
        monkeypatch.setenv(f"{program}_FIND_LINKS", str(directory))


def write_wheel(directory: Path, name: str, version: str) -> Path:
    """Write the wheel of a package that can be imported; gives its file."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    file = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        lines = []
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
            lines.append(f"{path},sha256={digest.rstrip(b'=').decode()},{len(content)}\n")
        archive.writestr(f"{about}/RECORD", "".join([*lines, f"{about}/RECORD,,\n"]))
    return file


# Rebuilds.


def rebuild(regrow: Regrow, *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """Rebuild everything; gives the exit code, and a line a directory."""
    done = regrow("rebuild", "--yes", "--json", *words)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def outcomes(lines: list[dict[str, Any]]) -> list[str]:
    return [line["outcome"] for line in lines]


def assert_rebuilt(regrow: Regrow, *paths: Path) -> None:
    """Check that a second run completes the first, and a third one has nothing to do."""
    code, lines = rebuild(regrow)
    # A kill may come after the last package: then only the record is completed.
    assert code == 0, lines
    assert {"rebuilt", "already there"}.issuperset(outcomes(lines)), lines
    assert {line["path"] for line in lines} == {str(path) for path in paths}
    assert rebuild(regrow) == (0, [])
    for path in paths:
        assert has_attribute(path)
        assert leftovers(path.parent) == []


# Tools that hang.

_LONG = 300  # seconds that a tool sleeps that has to be ended

HANGING = {
    "hangs": f"exec sleep {_LONG}",
    "hangs and is deaf": f"trap '' TERM INT HUP; sleep {_LONG}; sleep {_LONG}; sleep {_LONG}",
    "leaves children": f"sleep {_LONG} & echo $! > $pids/2.pid; exec sleep {_LONG}",
}


class Hanging:
    """A rebuild whose tool never ends."""

    def __init__(self, doubles: Doubles, place: Path, kind: str, lines: str) -> None:
        self.pids = place.parent / "pids"
        self.pids.mkdir()
        self.expected = 1 + lines.count("> $pids/")
        self.name, work, path = {
            "beginner": ("uv", UV, place / "project/.venv"),
            "creator": ("uv", UV, place / "project/.venv"),
            "installer": ("uv", UV, place / "project/.venv"),
            "npm": ("npm", NPM, place / "project/node_modules"),
        }[kind]
        self.path = path
        if self.name == "uv":
            environment(place / "project", "a==1")
        else:
            modules_without_lock(place / "project")
        hang = f"{work}pids={self.pids}; echo $$ > $pids/1.pid; {lines}"
        if kind in ("beginner", "installer"):
            hang = hang.removeprefix(work)
        elif kind == "npm":  # what it writes last is missing
            hang = hang.replace(work, work.partition("echo '{")[0])
        if kind == "installer":
            hang = f'if [ "$1" = venv ]; then\n{work}else\n{hang}\nfi'
        self._doubles, self._work = doubles, work
        doubles.write(self.name, hang)

    def wait(self) -> list[int]:
        """Wait until the tool hangs; gives the ids of its processes."""
        wait_for(lambda: pids(self.pids, self.expected))
        return pids(self.pids, self.expected)

    def mend(self) -> None:
        """Let the tool do its work, and end."""
        self._doubles.write(self.name, self._work)


@contextlib.contextmanager
def running(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run regrow for the length of a block, in which it may end by itself."""
    process = subprocess.Popen(
        [*Regrow.command, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where tests run in the background of a shell, it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def ending(found: list[int]) -> Iterator[None]:
    """End processes that a test has started, however the block ends."""
    try:
        yield
    finally:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
