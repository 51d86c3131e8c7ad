"""Real tools as data: how each makes a project, and which of the directories it makes match."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from regrow.model import KEEP, MARK

Told = tuple[str, str, str | None]
"""What sweep says of a directory: the rule, the decision, the guard that keeps it."""


def mark(rule: str) -> Told:
    return (rule, MARK, None)


def kept(rule: str, guard: str) -> Told:
    return (rule, KEEP, guard)


class Tool(NamedTuple):
    """One project of one tool. The three scripts are for ``sh``, in the project directory."""

    name: str
    run: str
    """Makes what the tool generates."""
    expected: dict[str, Told]
    """By relative path: all that sweep may say of the project."""
    make: str = ""
    """Makes the sources, besides ``files``; the tool's own command for a new project."""
    fetch: str = ""
    """Like ``run`` and before it, from a package registry: the test is skipped where it fails."""
    files: Mapping[str, str] = MappingProxyType({})
    stays: tuple[str, ...] = ()
    """Globs (``*`` matches ``/`` too) for all the rest that the tool makes, each of which must
    match: what stays in the backup."""
    ignore: tuple[str, ...] = ()
    """The ``.gitignore`` that the tool documents, where it writes none itself."""
    not_ignored: dict[str, Told] | None = None
    """What sweep says without that ``.gitignore``; None: the same."""
    no_repository: dict[str, Told] | None = None
    """What sweep says without a repository; None: the same as without ``.gitignore``."""
    pip: tuple[str, ...] = ()
    """Where the tool comes from: packages on PyPI,"""
    npm: tuple[str, ...] = ()
    """or in the npm registry,"""
    needs: tuple[str, ...] = ()
    """or commands of the system."""
    slow: bool = True


PYPROJECT = '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
PACKAGE = '{"name": "demo", "version": "1.0.0", "private": true}\n'
ONE_PACKAGE = (
    '{"name": "demo", "version": "1.0.0", "private": true,'
    ' "dependencies": {"is-number": "7.0.0"}}\n'
)
HELLO_C = "int main(void) { return 0; }\n"
CMAKE = {
    "CMakeLists.txt": (
        "cmake_minimum_required(VERSION 3.10)\nproject(demo C)\nadd_executable(demo src/main.c)\n"
    ),
    "src/main.c": HELLO_C,
}
PAGE = '<!doctype html><title>demo</title><script type="module" src="/main.js"></script>\n'

ENVIRONMENT = mark("venv")
MODULES = mark("node-modules")

PYTHON = (
    Tool(
        "uv-venv",
        needs=("uv",),
        files={"main.py": "", "requirements.txt": ""},
        run="uv venv",
        expected={".venv": ENVIRONMENT},
        slow=False,
    ),
    Tool(
        "uv-project",
        needs=("uv",),
        make="uv init --quiet",
        run="uv sync",
        expected={".venv": ENVIRONMENT},
        stays=("uv.lock",),
        slow=False,
    ),
    Tool(
        "venv",
        files={"main.py": ""},
        run="python -m venv --without-pip env-of-mine",
        expected={"env-of-mine": ENVIRONMENT},
        slow=False,
    ),
    Tool(
        "venv-in-the-project-itself",
        files={"main.py": "", "data/results.csv": "1\n"},
        run="python -m venv --without-pip .",
        expected={},
        stays=("bin/*", "pyvenv.cfg", "lib64"),
        slow=False,
    ),
    Tool(
        "venv-in-a-project-that-is-src-alone",
        files={"src/main.py": ""},
        run="python -m venv --without-pip .",
        expected={},
        stays=("bin/*", "pyvenv.cfg", "lib64"),
        # Creators and pip make a src/ too, and no .git says any more whose it is.
        no_repository={".": kept("venv", "repository")},
        slow=False,
    ),
    Tool(
        "virtualenv",
        files={"main.py": ""},
        run="virtualenv --quiet venv",
        expected={"venv": ENVIRONMENT},
        slow=False,
    ),
    Tool(
        "pytest-and-ruff",
        files={"demo.py": "", "test_demo.py": "def test_it():\n    pass\n"},
        run="ruff check --quiet\npython -m pytest -q",
        expected={".pytest_cache": mark("pytest-cache"), ".ruff_cache": mark("ruff-cache")},
        stays=("__pycache__/*",),
        slow=False,
    ),
    Tool(
        "mypy",
        files={"demo.py": "x: int = 1\n"},
        run="mypy demo.py",
        expected={".mypy_cache": mark("mypy-cache")},
    ),
    Tool(
        "tox",
        pip=("tox==4.67.15",),
        files={
            "tox.ini": "[tox]\nenv_list = py\n[testenv]\npackage = skip\ncommands = python -V\n",
            "demo.py": "",
        },
        run="tox run",
        expected={".tox": mark("tox")},
    ),
    Tool(
        "nox",
        pip=("nox==2026.10.20",),
        files={
            "noxfile.py": (
                "import nox\n\n\n@nox.session\ndef demo(session):\n"
                '    session.run("python", "-V")\n'
            )
        },
        run="nox",
        expected={".nox": mark("nox")},
        stays=("__pycache__/*",),
    ),
    Tool(
        "poetry-in-project",
        pip=("poetry==2.5.1",),
        files={"pyproject.toml": PYPROJECT, "demo.py": ""},
        make="poetry config --local virtualenvs.in-project true",
        run="poetry install --no-root",
        expected={".venv": ENVIRONMENT},
        stays=("poetry.lock",),
    ),
    Tool(
        "pdm",
        pip=("pdm[locked]==2.29.3",),
        files={"pyproject.toml": PYPROJECT, "demo.py": ""},
        run="pdm install --no-self",
        expected={".venv": ENVIRONMENT},
        stays=("pdm.lock", ".pdm-python"),
        ignore=(".pdm-python",),
    ),
    Tool(
        "pdm-pep582",
        pip=("pdm[locked]==2.29.3",),
        files={
            "pyproject.toml": f'{PYPROJECT}dependencies = ["iniconfig"]\n',
            "pdm.toml": "[python]\nuse_venv = false\n",
            "demo.py": "",
        },
        fetch="pdm lock",
        run="pdm install --no-self",
        expected={"__pypackages__": mark("pdm-pypackages")},
        stays=("pdm.lock", ".pdm-python"),
        ignore=(".pdm-python", "__pypackages__/"),
    ),
    Tool(
        "hatch",
        pip=("hatch==1.18.2",),
        files={
            "pyproject.toml": (
                f'{PYPROJECT}[tool.hatch.envs.default]\nskip-install = true\npath = ".venv"\n'
                '[tool.hatch.envs.docs]\nskip-install = true\npath = "envs/docs"\n'
            ),
            "demo.py": "",
        },
        run="hatch env create\nhatch env create docs",
        expected={".venv": ENVIRONMENT, "envs/docs": ENVIRONMENT},
    ),
    Tool(
        "setuptools",
        pip=("build==1.3.0", "setuptools==80.9.0"),
        files={
            "pyproject.toml": (
                f"{PYPROJECT}[build-system]\n"
                'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
            ),
            "demo.py": "",
        },
        run="python -m build --wheel --no-isolation",
        expected={"build": mark("setuptools-build")},
        stays=("dist/*.whl", "demo.egg-info/*"),
        ignore=("build/", "dist/", "*.egg-info/"),
        not_ignored={"build": kept("setuptools-build", "generic-name")},
    ),
    Tool(
        "sphinx",
        pip=("sphinx==9.0.4",),
        make="sphinx-quickstart --quiet --no-sep --project demo --author me -v 1",
        run="make html",
        needs=("make",),
        expected={"_build": mark("sphinx-build")},
        ignore=("_build/",),
    ),
    Tool(
        "sphinx-with-separate-sources",
        pip=("sphinx==9.0.4",),
        make="sphinx-quickstart --quiet --sep --project demo --author me -v 1",
        run="make html",
        needs=("make",),
        expected={},
        stays=("build/*",),
        ignore=("build/",),
    ),
    Tool(
        "mkdocs",
        pip=("mkdocs==1.6.1",),
        make="mkdocs new .",
        run="mkdocs build --quiet",
        expected={"site": mark("mkdocs-site")},
        ignore=("site/",),
        not_ignored={"site": kept("mkdocs-site", "generic-name")},
    ),
)

JAVASCRIPT = (
    Tool(
        "npm",
        needs=("npm", "node"),
        files={"package.json": PACKAGE, "index.js": ""},
        fetch="npm install is-number@7.0.0",
        run="npm ls",
        expected={"node_modules": MODULES},
        stays=("package-lock.json",),
        ignore=("node_modules/",),
        slow=False,
    ),
    Tool(
        "npm-without-a-lock-file",
        needs=("npm", "node"),
        files={"package.json": PACKAGE, "index.js": ""},
        fetch="npm install --no-package-lock is-number@7.0.0",
        run="test -f node_modules/.package-lock.json",
        expected={"node_modules": MODULES},
        ignore=("node_modules/",),
        slow=False,
    ),
    Tool(
        "npm-workspaces",
        needs=("npm", "node"),
        files={
            "package.json": '{"name": "demo", "private": true, "workspaces": ["packages/*"]}\n',
            "packages/one/package.json": ONE_PACKAGE.replace("demo", "one"),
            "packages/two/package.json": (
                ONE_PACKAGE.replace("demo", "two").replace("7.0.0", "6.0.0")
            ),
        },
        fetch="npm install",
        run="npm ls",
        expected={"node_modules": MODULES, "packages/two/node_modules": MODULES},
        stays=("package-lock.json",),
        ignore=("node_modules/",),
    ),
    Tool(
        "pnpm-workspace",
        needs=("npm", "node"),
        npm=("pnpm@10.34.9",),
        files={
            "package.json": PACKAGE,
            "pnpm-workspace.yaml": "packages:\n  - packages/*\n",
            "packages/one/package.json": ONE_PACKAGE.replace("demo", "one"),
        },
        fetch="pnpm install",
        run="pnpm ls --recursive",
        expected={"node_modules": MODULES, "packages/one/node_modules": MODULES},
        stays=("pnpm-lock.yaml",),
        ignore=("node_modules/",),
    ),
    Tool(
        "yarn-classic",
        needs=("npm", "node"),
        npm=("yarn@1.22.22",),
        files={"package.json": ONE_PACKAGE},
        fetch="yarn install",
        run="yarn check --integrity",
        expected={"node_modules": MODULES},
        stays=("yarn.lock",),
        ignore=("node_modules/",),
    ),
    Tool(
        "yarn-berry-node-modules",
        needs=("npm", "node"),
        npm=("@yarnpkg/cli-dist@4.18.1",),
        files={"package.json": ONE_PACKAGE, ".yarnrc.yml": "nodeLinker: node-modules\n"},
        fetch="yarn install",
        run="yarn info",
        expected={"node_modules": MODULES},
        stays=("yarn.lock", ".yarn/install-state.gz"),
        ignore=(".yarn/*", "node_modules/"),
    ),
    Tool(
        "yarn-berry-pnp",
        needs=("npm", "node"),
        npm=("@yarnpkg/cli-dist@4.18.1",),
        files={
            "package.json": (
                '{"name": "demo", "dependencies": {"is-number": "7.0.0"},'
                ' "dependenciesMeta": {"is-number": {"unplugged": true}}}\n'
            ),
            ".yarnrc.yml": "enableGlobalCache: false\n",
            ".yarn/patches/mine.patch": "",
        },
        fetch="yarn install",
        run="yarn info",
        expected={".yarn/cache": mark("yarn-cache"), ".yarn/unplugged": mark("yarn-unplugged")},
        stays=("yarn.lock", ".pnp.cjs", ".yarn/install-state.gz"),
        ignore=(".pnp.*", ".yarn/*", "!.yarn/patches"),
    ),
    Tool(
        "yarn-berry-zero-install",
        needs=("npm", "node"),
        npm=("@yarnpkg/cli-dist@4.18.1",),
        files={"package.json": ONE_PACKAGE, ".yarnrc.yml": "enableGlobalCache: false\n"},
        fetch="yarn install",
        run="git add -A\ngit commit -q -m zero",
        expected={".yarn/cache": kept("yarn-cache", "tracked")},
        stays=("yarn.lock", ".pnp.cjs", ".yarn/*"),
        ignore=(".yarn/*", "!.yarn/cache"),
        no_repository={".yarn/cache": mark("yarn-cache")},
    ),
    Tool(
        "bun",
        needs=("npm", "node"),
        npm=("bun@1.4.5",),
        files={"package.json": ONE_PACKAGE},
        fetch="bun install",
        run="bun pm ls",
        expected={"node_modules": MODULES},
        stays=("bun.lock",),
        ignore=("node_modules/",),
    ),
    Tool(
        "bun-without-a-lock-file",
        needs=("npm", "node"),
        npm=("bun@1.4.5",),
        files={"package.json": ONE_PACKAGE},
        fetch="bun install --no-save",
        run="test -d node_modules/is-number",
        expected={"node_modules": kept("node-modules", "no-recipe")},
        stays=("node_modules/*",),
        ignore=("node_modules/",),
    ),
    Tool(
        "next",
        needs=("npm", "node"),
        files={
            "package.json": PACKAGE,
            "app/layout.js": (
                "export default function Layout({ children }) {\n"
                "  return <html><body>{children}</body></html>\n}\n"
            ),
            "app/page.js": "export default function Page() {\n  return <p>demo</p>\n}\n",
        },
        fetch="npm install next@16.4.6 react@19.3.1 react-dom@19.3.1",
        run="npx --no-install next build",
        expected={"node_modules": MODULES, ".next": mark("next")},
        stays=("package-lock.json",),
        ignore=("/node_modules", "/.next/"),
    ),
    Tool(
        "vite",
        needs=("npm", "node"),
        files={"package.json": PACKAGE, "index.html": PAGE, "main.js": "console.log(1)\n"},
        fetch="npm install vite@8.3.8",
        run="npx --no-install vite build",
        expected={"node_modules": MODULES},
        stays=("package-lock.json", "dist/*"),
        ignore=("node_modules", "dist"),
    ),
    Tool(
        "parcel",
        needs=("npm", "node"),
        files={
            "package.json": PACKAGE,
            "src/index.html": PAGE.replace("/main.js", "main.js"),
            "src/main.js": "console.log(1)\n",
        },
        fetch="npm install parcel@2.16.4",
        run="npx --no-install parcel build src/index.html",
        expected={"node_modules": MODULES, ".parcel-cache": mark("parcel-cache")},
        stays=("package-lock.json", "dist/*"),
        ignore=("node_modules", "dist", ".parcel-cache"),
    ),
    Tool(
        "turbo",
        needs=("npm", "node"),
        files={
            "package.json": (
                '{"name": "demo", "private": true, "workspaces": ["packages/*"],'
                ' "packageManager": "npm@11.0.0"}\n'
            ),
            "packages/one/package.json": (
                '{"name": "one", "version": "1.0.0",'
                ' "scripts": {"build": "mkdir -p out && cp in.txt out/"}}\n'
            ),
            "packages/one/in.txt": "1\n",
            "turbo.json": '{"tasks": {"build": {"outputs": ["out/**"]}}}\n',
            ".turbo/config.json": "{}\n",
        },
        fetch="npm install turbo@2.11.11",
        run="npx --no-install turbo run build",
        expected={"node_modules": MODULES, ".turbo/cache": mark("turbo-cache")},
        stays=(
            "package-lock.json",
            "packages/one/.turbo/turbo-build.log",
            "packages/one/out/in.txt",
        ),
        ignore=("node_modules", ".turbo", "out"),
    ),
)

NATIVE = (
    Tool(
        "cargo",
        needs=("cargo",),
        make="cargo init --quiet --vcs none --name demo",
        run="cargo build",
        expected={"target": mark("cargo-target")},
        stays=("Cargo.lock",),
        ignore=("/target",),
    ),
    Tool(
        "cargo-workspace",
        needs=("cargo",),
        files={"Cargo.toml": '[workspace]\nmembers = ["one"]\nresolver = "2"\n'},
        make="cargo init --quiet --vcs none one",
        run="cd one\ncargo build\ncargo build --target-dir target",
        expected={"target": mark("cargo-target"), "one/target": mark("cargo-target")},
        stays=("Cargo.lock",),
        ignore=("target",),
    ),
    Tool(
        "cmake",
        needs=("cmake", "make", "gcc"),
        files=CMAKE,
        run="cmake -S . -B build\ncmake --build build\ncmake -S . -B out/release\n",
        # CMakeCache.txt decides, whatever the name and whatever git says.
        expected={"build": mark("cmake-build"), "out/release": mark("cmake-build")},
        ignore=("build/", "out/"),
    ),
    Tool(
        "cmake-in-the-sources",
        needs=("cmake", "make", "gcc"),
        files=CMAKE,
        run="cmake .\ncmake --build .",
        expected={},
        stays=("CMakeCache.txt", "CMakeFiles/*", "Makefile", "cmake_install.cmake", "demo"),
        ignore=("/CMakeCache.txt", "/CMakeFiles/", "/Makefile", "/cmake_install.cmake", "/demo"),
    ),
    Tool(
        "cmake-above-the-sources",
        needs=("cmake", "make", "gcc"),
        files={f"build/{name}": text for name, text in CMAKE.items()},
        run="cmake -S build -B build/inner\ncmake -S build -B .",
        expected={"build/inner": mark("cmake-build")},
        stays=("CMakeCache.txt", "CMakeFiles/*", "Makefile", "cmake_install.cmake"),
        ignore=("/CMakeCache.txt", "/CMakeFiles/", "/build/inner/"),
    ),
    Tool(
        "clion",
        needs=("cmake", "make", "gcc"),
        files=CMAKE,
        run="cmake -S . -B cmake-build-debug\ncmake --build cmake-build-debug",
        expected={"cmake-build-debug": mark("clion-build")},
        ignore=("cmake-build-*/",),
    ),
    Tool(
        "meson",
        needs=("gcc",),
        pip=("meson==1.12.1", "ninja==1.13.0"),
        files={
            "meson.build": "project('demo', 'c')\nexecutable('demo', 'main.c')\n",
            "main.c": HELLO_C,
        },
        run="meson setup builddir\nmeson compile -C builddir",
        expected={"builddir": mark("meson-build")},
    ),
    Tool(
        "zig",
        # Newer ones compile their build runner for more than a minute, and make the same names.
        pip=("ziglang==0.15.2",),
        make="python -m ziglang init",
        run="python -m ziglang build",
        expected={".zig-cache": mark("zig-cache"), "zig-out": mark("zig-out")},
        ignore=(".zig-cache/", "zig-out/"),
    ),
    Tool(
        "zig-before-0.13",
        pip=("ziglang==0.12.1",),
        make="python -m ziglang init",
        run="python -m ziglang build",
        expected={"zig-cache": mark("zig-cache-old"), "zig-out": mark("zig-out")},
        ignore=("zig-cache/", "zig-out/"),
    ),
)

OTHERS = (
    Tool(
        "composer",
        needs=("composer", "php"),
        files={
            "composer.json": (
                '{"name": "me/demo", "repositories": [{"packagist.org": false},'
                ' {"type": "path", "url": "packages/one", "options": {"symlink": false}}],'
                ' "require": {"me/one": "*"}}\n'
            ),
            "packages/one/composer.json": '{"name": "me/one", "version": "1.0.0"}\n',
        },
        run="composer install",
        # autoload.php and composer/ inside decide, whatever git says.
        expected={"vendor": mark("composer-vendor")},
        stays=("composer.lock",),
        ignore=("/vendor/",),
    ),
    Tool(
        "bundler",
        needs=("bundle", "gem"),
        files={
            "Gemfile": 'source "file:///nowhere"\ngem "one"\n',
            "one.gemspec": (
                "Gem::Specification.new do |s|\n"
                '  s.name = "one"\n  s.version = "1.0.0"\n  s.summary = "one"\n'
                '  s.authors = ["me"]\n  s.files = ["one.rb"]\nend\n'
            ),
            "one.rb": "",
            "vendor/assets/mine.js": "",
        },
        make=(
            "mkdir vendor/cache\ngem build one.gemspec -o vendor/cache/one-1.0.0.gem\n"
            "bundle config --local path vendor/bundle"
        ),
        run="bundle install --local",
        expected={"vendor/bundle": mark("bundler-vendor")},
        stays=("Gemfile.lock",),
        ignore=("/.bundle", "/vendor/bundle"),
    ),
    Tool(
        "mix",
        needs=("mix",),
        make=(
            "mix new --app demo .\n"
            'sed -i "s|^ *# {:dep_from_git.*|{:one, git: \\"$HOME/one\\"}|;'
            's|^ *# {:dep_from_hexpm.*||" mix.exs\n'
            'mix new --app one "$HOME/one"\n'
            'git -C "$HOME/one" init -q\ngit -C "$HOME/one" add -A\n'
            'git -C "$HOME/one" commit -q -m one'
        ),
        run="mix deps.get\nmix compile",
        expected={"_build": mark("mix-build"), "deps": mark("mix-deps")},
        stays=("mix.lock",),
        not_ignored={"_build": mark("mix-build"), "deps": kept("mix-deps", "generic-name")},
    ),
    Tool(
        "dune",
        needs=("dune", "ocamlc"),
        files={
            "dune-project": "(lang dune 2.9)\n",
            "dune": "(executable (name main))\n",
            "main.ml": 'let () = print_endline "demo"\n',
        },
        run="dune build ./main.exe",
        expected={"_build": mark("dune-build")},
        ignore=("_build/",),
    ),
)

TOOLS = (*PYTHON, *JAVASCRIPT, *NATIVE, *OTHERS)
