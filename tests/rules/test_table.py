"""The rules as data: which there are, and that each says all that it has to say."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import regrow.rules.loader

FILES = {
    path.name: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(regrow.rules.loader.__file__).parent.glob("*.toml"))
}
RULES: list[dict[str, Any]] = [rule for file in FILES.values() for rule in file["rule"]]

# Directory (~/ where it counts from the home directory), first evidence, rule.
EXPECTED = [
    ("*", "pyvenv.cfg", "venv"),
    ("*", "conda-meta/history", "conda"),
    (".pixi/envs", "pixi.toml", "pixi-envs"),
    (".tox", "tox.ini", "tox"),
    (".nox", "noxfile.py", "nox"),
    ("__pypackages__", "pyproject.toml", "pdm-pypackages"),
    (".eggs", "setup.py", "setuptools-eggs"),
    (".mypy_cache", "CACHEDIR.TAG", "mypy-cache"),
    (".pytest_cache", "CACHEDIR.TAG", "pytest-cache"),
    (".ruff_cache", "CACHEDIR.TAG", "ruff-cache"),
    ("build", "setup.py", "setuptools-build"),
    ("node_modules", "package.json", "node-modules"),
    ("bower_components", "bower.json", "bower-components"),
    ("jspm_packages", "package.json", "jspm-packages"),
    (".next", "next.config.*", "next"),
    (".nuxt", "nuxt.config.*", "nuxt"),
    (".output", "nuxt.config.*", "nuxt-output"),
    (".output", "nitro.config.*", "nitro-output"),
    (".svelte-kit", "svelte.config.*", "sveltekit"),
    (".astro", "astro.config.*", "astro"),
    (".angular/cache", "angular.json", "angular-cache"),
    (".parcel-cache", "package.json", "parcel-cache"),
    (".turbo/cache", "turbo.json", "turbo-cache"),
    (".nx/cache", "nx.json", "nx-cache"),
    (".docusaurus", "docusaurus.config.*", "docusaurus"),
    (".netlify/cache", "netlify.toml", "netlify-cache"),
    (".yarn/cache", ".yarnrc.yml", "yarn-cache"),
    (".yarn/unplugged", ".yarnrc.yml", "yarn-unplugged"),
    (".moon/cache", ".moon/workspace.yml", "moon-cache"),
    ("elm-stuff", "elm.json", "elm-stuff"),
    ("target", "Cargo.toml", "cargo-target"),
    ("target", "pom.xml", "maven-target"),
    ("target", "build.sbt", "sbt-target"),
    ("target", "deps.edn", "clojure-target"),
    ("target", "project.clj", "leiningen-target"),
    (".bloop", "build.sbt", "bloop"),
    (".cpcache", "deps.edn", "clojure-cpcache"),
    (".shadow-cljs", "shadow-cljs.edn", "shadow-cljs"),
    (".gradle", "build.gradle", "gradle-cache"),
    ("build", "build.gradle", "gradle-build"),
    (".cxx", "build.gradle", "gradle-cxx"),
    ("vendor", "go.mod", "go-vendor"),
    ("vendor", "composer.lock", "composer-vendor"),
    ("vendor/bundle", "Gemfile.lock", "bundler-vendor"),
    ("_build", "mix.exs", "mix-build"),
    ("_build", "rebar.config", "rebar3-build"),
    ("_build", "dune-project", "dune-build"),
    ("deps", "mix.lock", "mix-deps"),
    (".elixir_ls", "mix.exs", "elixir-ls"),
    (".stack-work", "stack.yaml", "stack-work"),
    ("dist-newstyle", "cabal.project", "cabal-dist"),
    (".zig-cache", "build.zig", "zig-cache"),
    ("zig-cache", "build.zig", "zig-cache-old"),
    ("zig-out", "build.zig", "zig-out"),
    (".dart_tool", "pubspec.yaml", "dart-tool"),
    ("build", "pubspec.yaml", "flutter-build"),
    ("build", "gleam.toml", "gleam-build"),
    (".build", "Package.swift", "swift-build"),
    ("Pods", "Podfile.lock", "cocoapods-pods"),
    ("Carthage/Build", "Cartfile.resolved", "carthage-build"),
    ("Carthage/Checkouts", "Cartfile.resolved", "carthage-checkouts"),
    ("DerivedData", "*.xcodeproj/", "xcode-deriveddata"),
    ("bin", "*.csproj", "dotnet-bin"),
    ("obj", "*.csproj", "dotnet-obj"),
    ("renv/library", "renv.lock", "renv-library"),
    ("renv/staging", "renv.lock", "renv-staging"),
    (".terraform/providers", ".terraform.lock.hcl", "terraform-providers"),
    (".terraform/modules", ".terraform.lock.hcl", "terraform-modules"),
    ("cdk.out", "cdk.json", "cdk-out"),
    (".aws-sam/build", "template.yaml", "sam-build"),
    (".godot/imported", "project.godot", "godot-imported"),
    ("Library", "Assets/", "unity-library"),
    ("Intermediate", "*.uproject", "unreal-intermediate"),
    ("DerivedDataCache", "*.uproject", "unreal-deriveddatacache"),
    ("cmake-build-*", "CMakeLists.txt", "clion-build"),
    ("*", "CMakeCache.txt", "cmake-build"),
    ("*", "meson-info/", "meson-build"),
    ("_site", "_config.yml", "jekyll-site"),
    (".jekyll-cache", "_config.yml", "jekyll-cache"),
    ("public", "hugo.toml", "hugo-public"),
    ("resources/_gen", "hugo.toml", "hugo-resources"),
    ("_build", "conf.py", "sphinx-build"),
    ("site", "mkdocs.yml", "mkdocs-site"),
    (".cache", "gatsby-config.*", "gatsby-cache"),
    (".lake", "lakefile.lean", "lake"),
    ("out", "foundry.toml", "foundry-out"),
    ("artifacts", "hardhat.config.*", "hardhat-artifacts"),
    ("cache", "hardhat.config.*", "hardhat-cache"),
    ("nimcache", "*.nim.c", "nim-cache"),
    ("~/.cargo/registry", "", "cargo-registry"),
    ("~/.cargo/git", "", "cargo-git"),
    ("~/.rustup/toolchains", "", "rustup-toolchains"),
    ("~/.gradle/caches", "", "gradle-caches"),
    ("~/.gradle/wrapper", "", "gradle-wrapper"),
    ("~/.npm/_cacache", "", "npm-cacache"),
    ("~/.bun/install/cache", "", "bun-cache"),
    ("~/.pnpm-store", "", "pnpm-store"),
    ("~/.yarn/berry/cache", "", "yarn-berry-cache"),
    ("~/.nuget/packages", "", "nuget-packages"),
    ("~/.kube/cache", "", "kubectl-cache"),
    ("~/go/pkg/mod", "", "go-mod"),
    ("~/.pub-cache", "", "pub-cache"),
    ("~/.cocoapods/repos", "", "cocoapods-repos"),
    ("~/.local/share/uv/python", "", "uv-python"),
    ("~/.cache/uv", "", "uv-cache"),
    ("~/.cache/pip", "", "pip-cache"),
    ("~/.cache/huggingface/hub", "", "huggingface-hub"),
    ("~/.local/share/hatch/env", "", "hatch-environments"),
    ("~/Library/Application Support/hatch/env", "", "hatch-environments-macos"),
    ("~/.local/share/pdm/venvs", "", "pdm-environments"),
    ("~/Library/Application Support/pdm/venvs", "", "pdm-environments-macos"),
    ("~/.local/share/virtualenvs", "", "pipenv-environments"),
    ("~/.cache/pypoetry/virtualenvs", "", "poetry-environments"),
    ("~/Library/Caches/pypoetry/virtualenvs", "", "poetry-environments-macos"),
    (".hypothesis", "", "hypothesis-examples"),
    ("__pycache__", "", "python-pycache"),
    ("dist", "", "python-dist"),
    (".yarn", "", "yarn-directory"),
    ("vendor", "Gemfile", "rails-vendor"),
    (".bundle", "", "bundler-config"),
    ("renv", "", "renv-directory"),
    (".terraform", "", "terraform-directory"),
    (".terraform.d", "", "terraform-home"),
    (".terragrunt-cache", "", "terragrunt-cache"),
    (".vagrant", "", "vagrant-directory"),
    (".direnv", "", "direnv-directory"),
    (".devenv", "", "devenv-directory"),
    (".swiftpm", "", "swiftpm-directory"),
    ("Saved", "", "unreal-saved"),
    ("_opam", "", "opam-switch"),
    ("cache", "foundry.toml", "foundry-cache"),
    (".packages", "", "dart-packages"),
    ("packages", "*.sln", "nuget-solution-packages"),
    ("lib", "shard.yml", "shards-lib"),
    (".ipynb_checkpoints", "", "jupyter-checkpoints"),
    ("bazel-*", "", "bazel-links"),
    ("result", "", "nix-result"),
    ("~/.cache", "", "home-cache"),
    ("~/.m2/repository", "", "maven-repository"),
    ("~/.ollama", "", "ollama-models"),
    ("~/.lmstudio", "", "lmstudio-models"),
    ("~/.local/share/pipx", "", "pipx-home"),
    ("~/.pyenv/versions", "", "pyenv-versions"),
    ("~/.nvm/versions", "", "nvm-versions"),
]

GENERIC = {
    "cmake-build", "cocoapods-pods", "composer-vendor", "dotnet-bin", "dotnet-obj",
    "flutter-build", "foundry-out", "gleam-build", "go-vendor", "gradle-build",
    "hardhat-artifacts", "hardhat-cache", "hugo-public", "meson-build", "mix-deps", "mkdocs-site",
    "setuptools-build", "unity-library", "unreal-intermediate",
}  # fmt: skip
OUTPUT = {
    "flutter-build", "hugo-public", "jekyll-site", "mkdocs-site", "next", "nitro-output",
    "nuxt-output", "sphinx-build", "zig-out",
}  # fmt: skip
RECIPES = {
    "clion-build": "cmake",
    "cmake-build": "cmake",
    "conda": "conda",
    "pixi-envs": "pixi",
    "meson-build": "meson",
    "node-modules": "node",
    "venv": "python",
}

LISTS = {"beside", "beside_all", "inside", "inside_all", "inside_none", "makes", "only"}
FLAGS = {"container", "generic", "home", "manual", "output"}
TEXTS = {
    "command", "directory", "documentation", "ecosystem", "keep", "name", "note", "recipe",
    "source_outside", "targets",
}  # fmt: skip
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["name"])
each_file = pytest.mark.parametrize("file", FILES)


def named(name: str) -> dict[str, Any]:
    return next(rule for rule in RULES if rule["name"] == name)


def first_evidence(rule: dict[str, Any]) -> str:
    fields = ("beside", "beside_all", "inside_all", "inside")
    return next((rule[field][0] for field in fields if rule.get(field)), "")


def test_every_kind_of_directory_has_its_rule_and_no_rule_is_unexpected() -> None:
    found = [
        (("~/" if rule.get("home") else "") + rule["directory"], first_evidence(rule), rule["name"])
        for rule in RULES
    ]
    assert sorted(found) == sorted(EXPECTED)


def test_names_are_unique() -> None:
    assert [name for name, count in Counter(r["name"] for r in RULES).items() if count > 1] == []


@each_file
def test_a_file_is_sorted_by_name(file: str) -> None:
    assert FILES[file].keys() == {"rule"}
    names = [rule["name"] for rule in FILES[file]["rule"]]
    assert names == sorted(names)


@each_file
def test_home_caches_and_kept_directories_have_files_of_their_own(file: str) -> None:
    for rule in FILES[file]["rule"]:
        assert ("keep" in rule) == (file == "kept.toml")
        assert ("container" in rule) == (file == "containers.toml")
        is_cache = "home" in rule and not rule.keys() & {"keep", "container"}
        assert is_cache == (file == "home.toml")


@each_rule
def test_a_rule_has_known_fields_of_the_right_type(rule: dict[str, Any]) -> None:
    assert rule.keys() <= LISTS | FLAGS | TEXTS
    for field, value in rule.items():
        if field in LISTS:
            assert value
            assert all(isinstance(item, str) and item for item in value)
        elif field in FLAGS:
            assert value is True
        else:
            assert isinstance(value, str)
            assert value.strip() == value != ""


@each_rule
def test_a_name_is_kebab_case(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule["name"])


@each_rule
def test_a_directory_stays_below_its_project(rule: dict[str, Any]) -> None:
    head, _, last = rule["directory"].rpartition("/")
    assert not rule["directory"].startswith(("/", "~"))
    assert ".." not in rule["directory"].split("/")
    assert last
    assert "*" not in head


@each_rule
def test_a_rule_names_its_ecosystem(rule: dict[str, Any]) -> None:
    assert rule["ecosystem"]


@each_rule
def test_a_rule_rebuilds_or_keeps(rule: dict[str, Any]) -> None:
    if "keep" in rule:
        # It is the end of a sentence: "stays in the backup: …".
        assert re.fullmatch(r"[.`a-z].*[^.]", rule["keep"])
        assert not rule.keys() & {"command", "recipe", "documentation", "generic", "output"}
    else:
        assert rule["command"]
        usual = "contents" if "container" in rule else "command"
        assert rule["recipe"] == RECIPES.get(rule["name"], usual)


@each_rule
def test_what_can_be_rebuilt_is_documented(rule: dict[str, Any]) -> None:
    if "keep" in rule:
        return
    page = urlsplit(rule["documentation"])
    assert page.scheme == "https"
    assert page.hostname


@each_rule
def test_what_is_marked_has_evidence(rule: dict[str, Any]) -> None:
    if "keep" in rule or "home" in rule:
        return
    assert first_evidence(rule)
    if rule["directory"] == "*":
        assert rule.get("inside") or rule.get("inside_all")


def test_the_generic_names_are_these() -> None:
    assert {rule["name"] for rule in RULES if "generic" in rule} == GENERIC


def test_what_people_publish_is_this() -> None:
    assert {rule["name"] for rule in RULES if "output" in rule} == OUTPUT


def test_an_environment_holds_nothing_that_no_creator_makes() -> None:
    venv = named("venv")
    assert venv["inside_all"] == ["pyvenv.cfg"]
    assert {"bin", "lib", "lib64", "pyvenv.cfg", ".gitignore", "CACHEDIR.TAG"} <= {*venv["only"]}
    assert not {"pyproject.toml", "setup.py", ".git", "main.py", "data"} & {*venv["only"]}


def test_a_base_installation_of_conda_is_no_match() -> None:
    assert named("conda")["inside_none"] == ["condabin/", "envs/"]


@pytest.mark.parametrize("name", ["clion-build", "cmake-build"])
def test_a_cmake_build_among_its_sources_is_no_match(name: str) -> None:
    assert named(name)["inside"] == ["CMakeCache.txt"]
    assert named(name)["source_outside"] == "CMAKE_HOME_DIRECTORY"


def test_decisive_evidence_is_what_a_tool_writes_into_a_directory_of_a_common_name() -> None:
    assert named("go-vendor")["inside"] == ["modules.txt"]
    assert named("composer-vendor")["inside_all"] == ["autoload.php", "composer/"]
    assert named("dotnet-obj")["inside"] == ["project.assets.json"]
    assert named("unity-library")["inside"] == ["ArtifactDB"]
