"""Environments that real installers made: the recipe alone is enough to make an equal one."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regrow.recipes.recipe import build_recipe

pytestmark = pytest.mark.needs("uv")

PINNED = ("six==1.17.0", "attrs==25.3.0", "idna==3.10")
MANY = 200
# The tests' own: pip before 24.1 refuses the git+file: addresses that it writes itself.
PIP = (sys.executable, "-m", "pip")
LIST = """\
import importlib.metadata as m
print(sorted({(d.metadata["Name"], d.version) for d in m.distributions() if d.metadata["Name"]}))
"""

Make = Callable[[Path], None]
Install = Callable[..., object]


def run(*words: str | Path, cwd: Path | None = None) -> str:
    # What the developer's own settings say of installers is no part of a test; indexes are.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CI", "PYTHONPATH", "UV_PYTHON", "VIRTUAL_ENV")
    }
    environment |= {
        "GIT_AUTHOR_EMAIL": "me@example.org",
        "GIT_AUTHOR_NAME": "me",
        "GIT_COMMITTER_EMAIL": "me@example.org",
        "GIT_COMMITTER_NAME": "me",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def by_venv(path: Path) -> None:
    run(sys.executable, "-m", "venv", path)


def by_uv(path: Path) -> None:
    run("uv", "venv", "--python", sys.executable, path)


def by_virtualenv(path: Path) -> None:
    run(sys.executable, "-m", "virtualenv", "--no-periodic-update", path)


def with_pip(path: Path, *words: str | Path) -> None:
    run(*PIP, "--python", path / "bin/python", "install", "-q", *words)


def with_uv(path: Path, *words: str | Path) -> None:
    run("uv", "pip", "install", "--python", path / "bin/python", *words)


def from_registry(install: Install, path: Path, *words: str | Path) -> None:
    """Install; a machine without a registry skips the test."""
    try:
        install(path, *words)
    except AssertionError as error:
        offline = ("Could not find a version", "No matching", "Failed to fetch", "connection")
        if any(text in str(error) for text in offline):
            pytest.skip("no package registry is in reach")
        raise


def take(path: Path) -> dict[str, Any]:
    return dict(build_recipe("python", str(path), str(path.parent)).recipe)


def listed(path: Path) -> str:
    """What the environment itself says is installed."""
    return run(path / "bin/python", "-I", "-c", LIST)


def make_wheel(place: Path, name: str, version: str = "1.0", more: str = "") -> Path:
    """Write a pure wheel with one module; no build tool is needed."""
    place.mkdir(parents=True, exist_ok=True)
    wheel = place / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{information}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
        ),
        f"{information}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = "".join(f"{file},,\n" for file in files) + f"{information}/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in {**files, f"{information}/RECORD": record}.items():
            archive.writestr(file, text)
    return wheel


BACKEND = '''\
"""A build backend of one module, so that nothing has to be fetched to build a project."""
import os, zipfile

NAME = "@NAME@"
INFORMATION = f"{NAME}-1.0.dist-info"


def _wheel(directory, files):
    files = {
        **files,
        f"{INFORMATION}/METADATA": f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: 1.0\\n",
        f"{INFORMATION}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{INFORMATION}/RECORD"] = "".join(f"{n},,\\n" for n in files)
    wheel = f"{NAME}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def build_wheel(directory, settings=None, metadata=None):
    return _wheel(directory, {f"{NAME}.py": "MINE = 1\\n"})


def build_editable(directory, settings=None, metadata=None):
    return _wheel(directory, {f"__editable__{NAME}.pth": os.getcwd() + "\\n"})


def build_sdist(directory, settings=None):
    import tarfile
    base = f"{NAME}-1.0"
    with tarfile.open(os.path.join(directory, f"{base}.tar.gz"), "w:gz") as archive:
        for name in ("pyproject.toml", "backend.py"):
            archive.add(name, f"{base}/{name}")
    return f"{base}.tar.gz"
'''


def make_project(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "backend.py").write_text(BACKEND.replace("@NAME@", place.name))
    (place / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return place


def make_repository(place: Path, name: str) -> tuple[str, str]:
    """Make a git repository with a project in a subdirectory; gives its URL and commit."""
    make_project(place / name)
    run("git", "init", "-q", place)
    run("git", "add", ".", cwd=place)
    run("git", "commit", "-q", "-m", "first", cwd=place)
    first = run("git", "rev-parse", "HEAD", cwd=place).strip()
    (place / "later.txt").write_text("later\n")
    run("git", "add", ".", cwd=place)
    run("git", "commit", "-q", "-m", "second", cwd=place)
    return place.as_uri(), first


def rebuild_by_uv(path: Path, recipe: dict[str, Any], requirements: Path) -> None:
    run("uv", "venv", "--python", recipe["interpreter"] or recipe["version"], path)
    run("uv", "pip", "install", "--python", path / "bin/python", "--no-deps", "-r", requirements)


def rebuild_by_pip(path: Path, recipe: dict[str, Any], requirements: Path) -> None:
    run(recipe["interpreter"], "-m", "venv", "--without-pip", path)
    words = ("install", "-q", "--no-deps", "-r", requirements)
    run(*PIP, "--python", path / "bin/python", *words)


def check_round_trip(path: Path, rebuild: Callable[..., None] = rebuild_by_uv) -> dict[str, Any]:
    """Delete an environment, make it from its recipe alone, and compare."""
    # The recipe goes through text, as it does in a record.
    recipe: dict[str, Any] = json.loads(json.dumps(take(path)))
    before = listed(path)
    shutil.rmtree(path)
    requirements = path.parent / "from-recipe.in"
    requirements.write_text("".join(f"{line}\n" for line in recipe["requirements"]))
    rebuild(path, recipe, requirements)
    again = take(path)
    wanted = recipe["requirements"]
    if rebuild is rebuild_by_uv:  # it checks the hash of an archive, and doesn't note it
        wanted = [line.partition("#sha256=")[0] for line in wanted]
    assert again["requirements"] == wanted
    assert listed(path) == before
    for key in ("implementation", "version", "interpreter", "interpreter_from"):
        assert again[key] == recipe[key]
    assert again.get("unowned") is None
    return recipe


rebuilders = pytest.mark.parametrize("rebuild", [rebuild_by_uv, rebuild_by_pip])


def make_local_kinds(path: Path, place: Path, install: Install) -> list[str]:
    """Install one distribution of every kind that needs no registry; gives what the recipe says."""
    wheel = make_wheel(place / "wheels", "hand_made")
    directory = make_project(place / "with blank and 'quote" / "directory")
    editable = make_project(place / "with blank" / "editable")
    plain = make_project(place / "plain")
    url, commit = make_repository(place / "repository", "versioned")
    sdist_source = make_project(place / "packed")
    run(sys.executable, "-c", "import backend; backend.build_sdist('.')", cwd=sdist_source)
    sdist = sdist_source / "packed-1.0.tar.gz"
    install(
        path,
        wheel.as_uri(),
        directory,
        f"versioned @ git+{url}@{commit}#subdirectory=versioned",
        f"packed @ {sdist.as_uri()}",
        "-e",
        editable,
        "-e",
        plain,
    )
    return [
        f"directory @ {directory.as_uri()}",
        f"-e {editable.as_uri()}",
        f"hand_made @ {wheel.as_uri()}",
        f"packed @ {sdist.as_uri()}",
        f"-e {plain}",
        f"versioned @ git+{url}@{commit}#subdirectory=versioned",
    ]


@pytest.mark.needs("git")
def test_every_local_kind(tmp_path: Path) -> None:
    path = tmp_path / "project/.venv"
    by_uv(path)
    wanted = make_local_kinds(path, tmp_path, with_uv)
    recipe = check_round_trip(path)
    assert recipe["requirements"] == wanted
    assert recipe["creator"].startswith("uv ")


def test_pinned_from_the_registry(tmp_path: Path) -> None:
    path = tmp_path / ".venv"
    by_uv(path)
    from_registry(with_uv, path, *PINNED)
    recipe = check_round_trip(path)
    assert recipe["requirements"] == sorted(PINNED)


@pytest.mark.slow
@pytest.mark.needs("git")
@rebuilders
def test_every_local_kind_by_pip(tmp_path: Path, rebuild: Callable[..., None]) -> None:
    path = tmp_path / "project/.venv"
    by_venv(path)
    wanted = make_local_kinds(path, tmp_path, with_pip)
    recipe = take(path)
    without_seeds = [
        line for line in recipe["requirements"] if not line.startswith(("pip==", "setuptools=="))
    ]
    # pip notes an archive's hash besides.
    assert [line.partition("#sha256=")[0] for line in without_seeds] == wanted
    assert sum("#sha256=" in line for line in without_seeds) == 2
    assert recipe["creator"] == "venv"
    check_round_trip(path, rebuild)


@pytest.mark.slow
@rebuilders
@pytest.mark.parametrize("make", [by_venv, by_uv, by_virtualenv])
def test_creators(tmp_path: Path, make: Make, rebuild: Callable[..., None]) -> None:
    path = tmp_path / ".venv"
    make(path)
    from_registry(with_uv, path, *PINNED, "requests[socks]==2.32.3")
    recipe = check_round_trip(path, rebuild)
    assert {*PINNED, "requests==2.32.3", "PySocks==1.7.1"} <= set(recipe["requirements"])


@pytest.mark.slow
def test_distribution_without_record(tmp_path: Path) -> None:
    path = tmp_path / ".venv"
    by_uv(path)
    from_registry(with_uv, path, *PINNED)
    (record,) = path.glob("lib/python*/site-packages/six-*.dist-info/RECORD")
    record.unlink()
    check_round_trip(path)


@pytest.mark.slow
@rebuilders
def test_many_distributions(
    tmp_path: Path, rebuild: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    for number in range(MANY):
        make_wheel(wheels, f"tiny_{number:03}", f"1.{number}", "Provides-Extra: x\n")
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, str(wheels))
    for name in ("UV_NO_INDEX", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    path = tmp_path / ".venv"
    by_uv(path)
    with_uv(path, *(f"tiny-{number:03}[x]" for number in range(MANY)))
    recipe = check_round_trip(path, rebuild)
    assert recipe["requirements"] == [f"tiny_{number:03}==1.{number}" for number in range(MANY)]


@pytest.mark.slow
def test_lock_that_uv_wrote_agrees(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "0.1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["six==1.17.0", "idna==3.10"]\n'
    )
    from_registry(lambda *_: run("uv", "sync", "-p", sys.executable, cwd=tmp_path), tmp_path)
    recipe = take(tmp_path / ".venv")
    assert (recipe["locks"], recipe["agrees_with"]) == (["uv.lock"], ["uv.lock"])
    run("uv", "export", "-o", "pylock.toml", cwd=tmp_path)
    run("uv", "export", "-o", "requirements.txt", cwd=tmp_path)
    recipe = take(tmp_path / ".venv")
    assert recipe["agrees_with"] == ["pylock.toml", "requirements.txt", "uv.lock"]
    with_uv(tmp_path / ".venv", "six==1.16.0")
    assert take(tmp_path / ".venv")["agrees_with"] == []
