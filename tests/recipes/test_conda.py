"""The recipe of a conda environment, from conda-meta as conda and pixi write it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from regrow.recipes.recipe import RecipeError, RecipeResult, build_recipe

SITE = "lib/python3.11/site-packages"
SECRET = "hunter2"


def package(name: str, version: str, build: str, **more: Any) -> dict[str, Any]:
    """Give what conda writes about a package that it has linked."""
    file = f"{name}-{version}-{build}.conda"
    channel = "https://example.org/conda-forge/linux-64"
    return {
        "arch": "x86_64",
        "build": build,
        "build_number": 0,
        "channel": channel,
        "constrains": [],
        "depends": ["__glibc >=2.17,<3.0.a0", "libgcc >=13"],
        "extracted_package_dir": f"/opt/conda/pkgs/{name}-{version}-{build}",
        "files": [],
        "fn": file,
        "license": "0BSD",
        "link": {"source": f"/opt/conda/pkgs/{name}-{version}-{build}", "type": 1},
        "md5": "4d8d0f34b7c7a5b5a3a0a4a6d9a2b1c3",
        "name": name,
        "package_tarball_full_path": f"/opt/conda/pkgs/{file}",
        "paths_data": {"paths": [], "paths_version": 1},
        "platform": "linux",
        "requested_spec": name,
        "sha256": "c1" * 32,
        "size": 418368,
        "subdir": "linux-64",
        "timestamp": 1705000000000,
        "url": f"{channel}/{file}",
        "version": version,
        **more,
    }


class Environment:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "conda-meta").mkdir(parents=True)
        (path / SITE).mkdir(parents=True)
        (path / "conda-meta/history").write_text("==> 2024-01-01 00:00:00 <==\n# cmd: conda\n")

    def link(self, described: dict[str, Any]) -> Path:
        name = "{name}-{version}-{build}.json".format(**described)
        place = self.path / "conda-meta" / name
        place.write_text(json.dumps(described, indent=2))
        return place

    def install(self, name: str, version: str, installer: str) -> str:
        directory = self.path / SITE / f"{name}-{version}.dist-info"
        directory.mkdir()
        (directory / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        (directory / "INSTALLER").write_text(installer)
        return f"{SITE}/{directory.name}/METADATA"

    def take(self) -> RecipeResult:
        return build_recipe("conda", str(self.path), str(self.path.parent))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "envs/shop")


def test_explicit_list_is_what_conda_prints(environment: Environment) -> None:
    environment.link(package("xz", "5.4.6", "h5eee18b_1"))
    environment.link(package("python", "3.11.8", "hab00c5b_0_cpython"))
    tarball = "https://example.org/pkgs/main/noarch/tzdata-2024a-h04d1e81_0.tar.bz2"
    environment.link(package("tzdata", "2024a", "h04d1e81_0", url=tarball))
    taken = environment.take()
    # conda sorts by dependence; it asks for no order when it reads the list.
    place, md5 = "https://example.org/conda-forge/linux-64", "4d8d0f34b7c7a5b5a3a0a4a6d9a2b1c3"
    assert taken.recipe["explicit"] == [
        f"{place}/python-3.11.8-hab00c5b_0_cpython.conda#{md5}",
        f"{tarball}#{md5}",
        f"{place}/xz-5.4.6-h5eee18b_1.conda#{md5}",
    ]
    assert taken.recipe["kind"] == "conda"
    assert taken.recipe["requirements"] == []
    assert taken.remarks == ()


@pytest.mark.parametrize(
    ("checksums", "wanted"),
    [
        ({"md5": None}, "#" + "c1" * 32),
        ({"md5": "x", "sha256": "--option"}, ""),
        ({"md5": ["a"], "sha256": 5}, ""),
    ],
)
def test_checksum(environment: Environment, checksums: dict[str, Any], wanted: str) -> None:
    described = package("xz", "5.4.6", "0", **checksums)
    environment.link(described)
    assert environment.take().recipe["explicit"] == [described["url"] + wanted]


def test_what_pip_installed_is_what_no_package_has(environment: Environment) -> None:
    # Packages built by pip say that pip has installed them, and pixi is no installer one knows.
    file = environment.install("six", "1.16.0", "pip")
    egg = f"{SITE}/old-1.0-py3.11.egg-info"
    (environment.path / egg).write_text("Name: old\nVersion: 1.0\n")
    environment.link(package("six", "1.16.0", "pyh", files=[file, f"{SITE}/six.py"]))
    environment.link(package("old", "1.0", "0", files=[egg, 5, "bin/old"]))
    environment.install("idna", "3.10", "uv-pixi")
    environment.install("attrs", "25.3.0", "pip")
    project = environment.path.parent / "project"
    project.mkdir()
    (environment.path / SITE / "demo.egg-link").write_text(f"{project}\n.")
    requirements = environment.take().recipe["requirements"]
    assert requirements == ["attrs==25.3.0", f"-e {project}", "idna==3.10"]


def test_broken_pip_distribution_is_refused(environment: Environment) -> None:
    environment.link(package("xz", "5.4.6", "0"))
    file = environment.install("six", "1.0", "pip")
    (environment.path / file).unlink()
    with pytest.raises(RecipeError, match="neither name nor version"):
        environment.take()


@pytest.mark.parametrize(
    "url",
    [
        f"https://example.org/t/{SECRET}/conda-forge/linux-64/xz-5.4.6-0.conda",
        f"https://ada:{SECRET}@example.org/conda-forge/linux-64/xz-5.4.6-0.conda",
    ],
)
def test_tokens_are_cut_out(environment: Environment, url: str) -> None:
    environment.link(package("xz", "5.4.6", "0", url=url, channel=url))
    taken = environment.take()
    wanted = package("xz", "5.4.6", "0")
    assert taken.recipe["explicit"] == [f"{wanted['url']}#{wanted['md5']}"]
    assert taken.remarks == ("credentials were cut out of the address of xz-5.4.6-0.json",)
    assert SECRET not in repr(taken)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"[" * 200_000,
        b'{"url": 5}',
        b'{"url": ""}',
        b'{"url": "xz-5.4.6.conda"}',
        b'{"url": "https://example.org/\\n@EXPLICIT"}',
        b'{"url": "https://example.org/a b"}',
        b'{"url": "--file=://x"}',
    ],
)
def test_broken_package_is_refused(environment: Environment, text: bytes) -> None:
    environment.link(package("python", "3.11.8", "0"))
    (environment.path / "conda-meta/xz-5.4.6-0.json").write_bytes(text)
    with pytest.raises(RecipeError, match=r"^conda-meta/xz-5\.4\.6-0\.json"):
        environment.take()


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_special_file_is_refused(environment: Environment, tmp_path: Path, kind: str) -> None:
    place = environment.link(package("xz", "5.4.6", "0"))
    if kind == "link":
        place.rename(tmp_path / "real")
        place.symlink_to(tmp_path / "real")
    else:
        place.unlink()
        if kind == "fifo":
            os.mkfifo(place)
        else:
            place.mkdir()
    with pytest.raises(RecipeError, match=r"it is (a symbolic link|not a regular file)"):
        environment.take()


def test_empty_conda_meta_is_refused(environment: Environment) -> None:
    with pytest.raises(RecipeError, match="names no package"):
        environment.take()


def test_the_environments_of_a_pixi_project_are_listed_by_name(tmp_path: Path) -> None:
    envs = tmp_path / ".pixi/envs"
    for name in ("default", "docs"):
        meta = envs / name / "conda-meta"
        meta.mkdir(parents=True)
        url = f"https://example.org/linux-64/{name}-1.conda"
        (meta / f"{name}.json").write_text(json.dumps({"name": name, "url": url}))
    taken = build_recipe("pixi", str(envs), str(tmp_path))
    assert taken.recipe["explicit"] == [
        "[default]",
        "https://example.org/linux-64/default-1.conda",
        "[docs]",
        "https://example.org/linux-64/docs-1.conda",
    ]
    assert taken.recipe["command"] == ["pixi", "install", "--all"]
    (tmp_path / "pixi.lock").touch()
    again = build_recipe("pixi", str(envs), str(tmp_path))
    assert again.recipe["command"] == ["pixi", "install", "--all", "--frozen"]
    (envs / "docs/conda-meta/docs.json").write_text("{}")
    with pytest.raises(RecipeError, match=r"the environment docs in it: conda-meta/docs\.json"):
        build_recipe("pixi", str(envs), str(tmp_path))


def test_pixi_envs_without_an_environment_have_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no environment"):
        build_recipe("pixi", str(tmp_path), str(tmp_path))
