"""``regrow rebuild`` with real tools, in the situations that people find themselves in."""

import base64
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from regrow.cli.rebuild_plan import WARNING
from regrow_marks.xdg import ATTRIBUTE, VALUE
from tests import terminal
from tests.attributes import is_marked
from tests.conftest import Regrow
from tests.e2e.projects import SETTINGS
from tests.e2e.test_python_round_trip import (
    listed,
    make_project,
    make_repository,
    make_wheel,
    run,
    with_pip,
    with_uv,
)
from tests.e2e.traces import birth, trace
from tests.sweeping import Inside, rewrite, stamps

pytestmark = [
    pytest.mark.needs("uv"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own marks"),
]

PACKAGE = {"name": "site", "version": "1.0.0", "private": True}
BOTH = ("bolt==1.0", "nut==2.0")


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_PYTHON_DOWNLOADS", "npm_config_cache", "LC_ALL"):
        monkeypatch.setenv(name, SETTINGS[name])
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_INDEX"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # the machine's is none of the user's
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages in a directory: nothing is fetched."""
    place = tmp_path / "wheels"
    make_wheel(place, "bolt")
    make_wheel(place, "nut", "2.0")
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(place))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    return place


@pytest.fixture
def code(home: Path) -> Path:
    place = home.resolve() / "code"
    place.mkdir()
    return place


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts these programs, and no other, on PATH."""

    def put(*names: str) -> Path:
        place = tmp_path / "commands"
        place.mkdir()
        for name in names:
            found = sys.executable if name == "python3.11" else shutil.which(name)
            assert found
            (place / name).symlink_to(os.path.realpath(found))
        monkeypatch.setenv("PATH", str(place))
        return place

    return put


def by_uv(project: Path, *packages: str | Path) -> Path:
    """Make a project's environment, with packages in it."""
    path = project / ".venv"
    run("uv", "venv", "-q", "--python", sys.executable, path)
    with_uv(path, *packages)
    return path


def by_venv(project: Path, *packages: str | Path) -> Path:
    path = project / "env"
    run(sys.executable, "-m", "venv", path)
    with_pip(path, *packages)
    return path


def modules(project: Path, **more: Any) -> Path:
    """Make node_modules that need no registry: a package of the project's own."""
    (project / "lib/left").mkdir(parents=True)
    (project / "lib/left/package.json").write_text('{"name": "left", "version": "1.2.3"}')
    package = {**PACKAGE, "dependencies": {"left": "file:lib/left"}, **more}
    (project / "package.json").write_text(json.dumps(package))
    run("npm", "install", "--install-links", "--no-audit", "--no-fund", "--offline", cwd=project)
    (project / ".npmrc").write_text("install-links=true\n")
    assert (project / "node_modules/left/package.json").is_file()
    return project / "node_modules"


def sweep(regrow: Regrow, home: Path) -> None:
    done = regrow("sweep", "--yes", home)
    assert done.returncode == 0, done.stderr


def lose(*paths: Path) -> None:
    for path in paths:
        shutil.rmtree(path)


def outcomes(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {line["path"]: line["outcome"] for line in lines}


def installed(path: Path) -> set[str]:
    """Name what is installed in an environment, without what its creator put in."""
    found = set()
    for information in path.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = information.name.removesuffix(".dist-info").partition("-")
        found.add(f"{name}=={version}")
    return {line for line in found if not line.startswith(("pip==", "setuptools=="))}


class TestBirth:
    def check(self, path: Path, regrow: Regrow, tmp_path: Path) -> None:
        lose(path)
        command: list[str | Path] = [*regrow.command, "rebuild", "--yes", path]
        made = birth(
            str(path), ATTRIBUTE, VALUE.decode(), trace(command, tmp_path / "trace", tmp_path)
        )
        assert len(made.made) > 2
        assert made.before_the_mark == ()
        assert is_marked(path)

    @pytest.mark.needs("strace")
    def test_an_environment_is_marked_before_its_first_file(
        self, regrow: Regrow, code: Path, tmp_path: Path
    ) -> None:
        path = by_uv(code / "shop", *BOTH)
        sweep(regrow, code)
        self.check(path, regrow, tmp_path)
        assert installed(path) == set(BOTH)

    @pytest.mark.slow
    @pytest.mark.needs("strace", "npm", "node")
    def test_node_modules_are_marked_before_their_first_file(
        self, regrow: Regrow, code: Path, tmp_path: Path
    ) -> None:
        path = modules(code / "site")
        sweep(regrow, code)
        self.check(path, regrow, tmp_path)
        assert (path / "left/package.json").is_file()


class TestChoice:
    """What is rebuilt, of all that is missing."""

    @pytest.fixture
    def two(self, regrow: Regrow, code: Path) -> tuple[Path, Path]:
        found = by_uv(code / "shop", *BOTH), by_uv(code / "thesis", "nut==2.0")
        sweep(regrow, code)
        lose(*found)
        return found

    def test_a_dry_run_tells_the_plan_and_changes_nothing(
        self, two: tuple[Path, Path], regrow: Regrow, home: Path
    ) -> None:
        before = stamps(home)
        done = regrow("rebuild", "--dry-run")
        assert (done.returncode, done.stderr) == (0, "")
        shown = []
        for path, count in ((two[0], "2 requirements"), (two[1], "1 requirement")):
            pythons = (os.path.realpath(sys.executable), version(), version().rpartition(".")[0])
            create, *others = (f"(cd / && uv venv --python {one} {path})" for one in pythons)
            install = f"uv pip install --python {path}/bin/python --no-deps"
            shown += [
                str(path.parent),
                "  .venv  missing",
                f"    {create}",
                *(f"    or, if that fails: {other}" for other in others),
                f"    {install} -r '({count} of the record)'",
            ]
        assert done.stdout.splitlines() == [*shown, WARNING, ""]
        lines = regrow.json("rebuild", "--dry-run")
        assert outcomes(lines) == dict.fromkeys(map(str, two), "planned")
        assert stamps(home) == before

    def test_a_directory_names_what_is_rebuilt(
        self, two: tuple[Path, Path], regrow: Regrow, code: Path
    ) -> None:
        done = regrow("rebuild", "--yes", "thesis", cwd=code)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-2:] == [f"rebuilt  {two[1]}", "rebuilt 1"]
        assert not two[0].exists()
        assert installed(two[1]) == {"nut==2.0"}

    def test_a_rule_names_what_is_rebuilt(
        self, two: tuple[Path, Path], regrow: Regrow, code: Path
    ) -> None:
        path = code / "site/node_modules"
        path.mkdir(parents=True)
        (path / "one").mkdir()
        (code / "site/package.json").write_text("{}")
        (code / "site/package-lock.json").write_text("{}")
        sweep(regrow, code)
        lose(path)
        lines = regrow.json("rebuild", "--yes", "--only", "venv")
        assert outcomes(lines) == dict.fromkeys(map(str, two), "rebuilt")
        assert not path.exists()
        done = regrow("rebuild", "--yes", "--only", "no-such-rule")
        assert (done.returncode, done.stdout) == (2, "")
        assert "--only no-such-rule: no record names this rule" in done.stderr

    def test_several_are_rebuilt_at_a_time(self, two: tuple[Path, Path], regrow: Regrow) -> None:
        lines = regrow.json("rebuild", "--yes", "--jobs", "2")
        assert outcomes(lines) == dict.fromkeys(map(str, two), "rebuilt")
        assert [installed(path) for path in two] == [set(BOTH), {"nut==2.0"}]
        assert all(map(is_marked, two))

    @pytest.mark.parametrize(("answer", "is_rebuilt"), [("y", True), ("n", False), ("", False)])
    def test_on_a_terminal_the_plan_is_shown_and_a_question_asked(
        self, answer: str, is_rebuilt: bool, two: tuple[Path, Path]
    ) -> None:
        session = terminal.run("rebuild", answer=answer)
        assert session.asked
        plan, _, rest = session.text.partition("Rebuild 2 directories? [y/N]")
        assert [str(path) in plan for path in two] == [True, True]
        assert WARNING in plan
        assert ("nothing was changed" in rest) is not is_rebuilt
        assert ("rebuilt 2" in rest) is is_rebuilt
        assert (session.code, two[0].exists()) == (0, is_rebuilt)

    def test_what_the_user_marked_stays_the_users_word(self, regrow: Regrow, code: Path) -> None:
        path = by_uv(code / "shop", *BOTH)
        assert regrow("mark", path).returncode == 0
        lose(path)
        assert outcomes(regrow.json("rebuild", "--yes")) == {str(path): "rebuilt"}
        (line,) = regrow.json("list")
        assert (line["rule"], line["state"]) == ("explicit", "there")

    @pytest.mark.usefixtures("two")
    def test_without_a_terminal_one_of_two_options_is_needed(self, regrow: Regrow) -> None:
        done = regrow("rebuild")
        assert (done.returncode, done.stdout) == (2, "")
        assert "pass --yes to rebuild, or --dry-run to see the plan" in done.stderr

    def test_what_is_there_and_sound_is_not_touched(
        self, two: tuple[Path, Path], regrow: Regrow
    ) -> None:
        assert regrow("rebuild", "--yes", two[0]).returncode == 0
        (two[0] / "lib/mine.txt").write_text("mine")
        before = without_ctime(two[0])
        assert outcomes(regrow.json("rebuild", "--yes")) == {str(two[1]): "rebuilt"}
        assert without_ctime(two[0]) == before


def without_ctime(place: Path) -> dict[str, tuple[int, int]]:
    """Give inodes and times; uv links the files of its cache, whose ctime is every link's."""
    return {path: (inode, modified) for path, (inode, modified, _) in stamps(place).items()}


def version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


class TestBuilds:
    @pytest.mark.needs("cmake", "make", "gcc")
    def test_a_build_is_named_and_made_only_when_it_is_asked_for(
        self, regrow: Regrow, code: Path
    ) -> None:
        project, build = code / "native", code / "native/build"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.10)\nproject(demo C)\nadd_executable(demo demo.c)\n"
        )
        (project / "demo.c").write_text("int main(void) { return VALUE; }\n")
        run("cmake", "-S", project, "-B", build, "-DCMAKE_C_FLAGS=-DVALUE=7")
        run("cmake", "--build", build)
        sweep(regrow, code)
        lose(build)
        done = regrow("rebuild", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert "builds, which --builds runs:" in done.stdout
        assert f"cmake -S {project} -B {build}" in done.stdout
        assert not build.exists()
        assert outcomes(regrow.json("rebuild", "--yes", "--builds")) == {str(build): "rebuilt"}
        assert subprocess.run([build / "demo"], check=False).returncode == 7
        assert is_marked(build)


class TestAnotherPlace:
    @pytest.mark.needs("git", "npm", "node", "cmake", "make", "gcc")
    def test_a_home_that_stood_elsewhere_comes_back_with_its_own_paths(
        self, regrow: Regrow, home: Path, code: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sources = code / "with blank"
        editable, plain = make_project(sources / "editable"), make_project(code / "plain")
        url, commit = make_repository(code / "repository", "versioned")
        environment = by_uv(
            code / "shop", "bolt==1.0", "-e", editable, "-e", plain,
            f"versioned @ git+{url}@{commit}#subdirectory=versioned",
        )  # fmt: skip
        node, unlocked = modules(code / "site"), modules(code / "unlocked")
        (unlocked.parent / "package-lock.json").unlink()
        build = code / "native/build"
        build.parent.mkdir()
        (code / "native/demo.c").write_text('#include "demo.h"\nint main(void) { return VALUE; }')
        (code / "native/include").mkdir()
        (code / "native/include/demo.h").write_text("#define VALUE 9\n")
        (code / "native/CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.10)\nproject(demo C)\nadd_executable(demo demo.c)\n"
        )
        flags = f"-DCMAKE_C_FLAGS=-I{code}/native/include"
        run("cmake", "-S", build.parent, "-B", build, flags)
        sweep(regrow, code)
        before = listed(environment)
        lose(environment, node, unlocked, build)
        new = home.with_name("bob").resolve()
        home.resolve().rename(new)
        monkeypatch.setenv("HOME", str(new))

        lost = regrow.json("rebuild", "--yes", "--builds")
        assert set(outcomes(lost).values()) == {"not possible"}
        assert all("its project is not there" in line["problem"] for line in lost)
        mapped = ("--map", f"{home.resolve()}={new}")
        lines = regrow.json("rebuild", "--yes", "--builds", *mapped)
        paths = (environment, node, unlocked, build)
        there = {path: new / path.relative_to(home.resolve()) for path in paths}
        assert outcomes(lines) == {str(path): "rebuilt" for path in there.values()}
        assert listed(there[environment]) == before
        assert (there[node] / "left/package.json").is_file()
        assert (there[unlocked] / "left/package.json").is_file()
        assert not (there[unlocked].parent / "package-lock.json").exists()
        run("cmake", "--build", there[build])
        assert subprocess.run([there[build] / "demo"], check=False).returncode == 9
        origins = "".join(
            path.read_text()
            for path in there[environment].glob("lib/*/site-packages/**/*")
            if path.suffix in (".json", ".pth")
        )
        assert str(new) in origins
        assert str(home) not in origins
        listing = regrow.json("list")
        assert {line["path"]: line["state"] for line in listing} == {
            str(path): "there" for path in there.values()
        }
        assert str(home) not in json.dumps([line["recipe"] for line in listing])
        assert "nothing to rebuild" in regrow("rebuild", "--yes", *mapped).stdout


class TestInterpreter:
    @pytest.fixture
    def gone(self, tmp_path: Path) -> Path:
        return tmp_path / "pythons/bin/python3.11"

    @pytest.fixture
    def path(
        self,
        gone: Path,
        code: Path,
        regrow: Regrow,
        record: Callable[[str, str], None],
        commands: Callable[..., Path],
    ) -> Path:
        """An environment whose interpreter is gone."""
        commands("uv", "python3.11")
        path = by_uv(code / "shop", *BOTH)
        sweep(regrow, code)
        record("interpreter", str(gone))
        (path / "bin/python").unlink()
        (path / "bin/python").symlink_to(gone)
        return path

    @pytest.fixture
    def record(self, records_directory: Path) -> Callable[[str, str], None]:
        """Changes what the record says."""

        def change(key: str, value: str) -> None:
            (record,) = records_directory.glob("shop-*.toml")
            (line,) = re.findall(rf'^{key} = ".*"$', record.read_text(), re.MULTILINE)
            rewrite(record, line, f'{key} = "{value}"')

        return change

    def test_a_broken_environment_is_made_anew_with_the_same_version(
        self, path: Path, gone: Path, regrow: Regrow
    ) -> None:
        (line,) = regrow.json("rebuild", "--yes")
        assert (line["outcome"], line["detail"]) == ("rebuilt", [])
        assert line["why"] == f"broken: its interpreter {gone} is gone"
        assert installed(path) == set(BOTH)
        assert run(path / "bin/python", "-c", "import bolt; print(bolt.VERSION)") == "1.0\n"
        assert is_marked(path)
        assert [one.name for one in path.parent.iterdir()] == [".venv"]

    def test_another_patch_version_is_taken_and_named(
        self, path: Path, regrow: Regrow, record: Callable[[str, str], None]
    ) -> None:
        record("version", "3.11.99")
        (line,) = regrow.json("rebuild", "--yes")
        assert (line["outcome"], line["detail"]) == (
            "differs",
            [f"it has Python {version()}, where Python 3.11.99 was"],
        )
        assert installed(path) == set(BOTH)

    def test_where_no_python_of_that_series_is_the_old_one_stays_and_the_rest_goes_on(
        self, path: Path, regrow: Regrow, record: Callable[[str, str], None], code: Path
    ) -> None:
        record("version", "3.7.3")
        other = by_uv(code / "thesis", "nut==2.0")
        sweep(regrow, code / "thesis")
        lose(other)
        before = without_ctime(path)
        done = regrow("rebuild", "--yes", "--json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert outcomes(lines) == {str(path): "failed", str(other): "rebuilt"}
        assert done.returncode == 1
        (failed,) = (line for line in lines if line["outcome"] == "failed")
        assert "No interpreter found for Python 3.7" in " ".join(failed["detail"])
        assert "No interpreter found for Python 3.7.3" in Path(failed["log"]).read_text()
        assert without_ctime(path) == before

    def test_another_python_in_its_place_is_the_last_choice(
        self, path: Path, gone: Path, regrow: Regrow
    ) -> None:
        lose(path)
        gone.parent.mkdir(parents=True)
        gone.write_text("#!/bin/sh\necho 2.7\n")
        gone.chmod(0o755)
        (line,) = regrow.json("rebuild", "--yes")
        assert (line["outcome"], line["detail"]) == ("rebuilt", [])


class TestMissingPrograms:
    @pytest.mark.slow
    def test_without_uv_pip_does_it(
        self, code: Path, regrow: Regrow, commands: Callable[..., Path]
    ) -> None:
        path = by_uv(code / "shop", *BOTH)
        # A project's own modules by these names are not pip's.
        for name in ("pip", "logging"):
            (code / f"shop/{name}.py").write_text("raise SystemExit('the project ran')\n")
        sweep(regrow, code)
        lose(path)
        commands("python3.11")
        (line,) = regrow.json("rebuild", "--yes")
        assert (line["outcome"], line["detail"]) == ("rebuilt", [])
        assert line["commands"][0][:3] == ["python3", "-m", "venv"]
        assert installed(path) == set(BOTH)
        assert not list(path.glob("lib/*/site-packages/pip"))

    @pytest.mark.needs("npm", "node")
    def test_a_missing_program_is_named_and_the_rest_goes_on(
        self, code: Path, regrow: Regrow, commands: Callable[..., Path]
    ) -> None:
        environment, node = by_uv(code / "shop", *BOTH), modules(code / "site")
        sweep(regrow, code)
        lose(environment, node)
        commands("python3.11", "uv")
        done = regrow("rebuild", "--yes")
        assert done.returncode == 1
        assert "can't be rebuilt now:" in done.stdout
        assert f"  {node}  npm is not on PATH: it comes with Node.js" in done.stdout
        assert f"rebuilt  {environment}" in done.stdout
        assert (environment.exists(), node.exists()) == (True, False)


class Index(SimpleHTTPRequestHandler):
    """A package index that asks for a name and a password."""

    secret = "ada:hunter2-and-a-half"

    def do_GET(self) -> None:
        wanted = base64.b64encode(self.secret.encode()).decode()
        if self.headers["Authorization"] == f"Basic {wanted}":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class TestPrivateIndex:
    @pytest.fixture
    def index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """The address of an index with our packages, with name and password."""
        for tool in ("UV", "PIP"):
            monkeypatch.delenv(f"{tool}_FIND_LINKS")
            monkeypatch.delenv(f"{tool}_NO_INDEX")
        place = tmp_path / "served"
        for name, number in (("bolt", "1.0"), ("nut", "2.0")):
            wheel = make_wheel(place / "simple" / name, name, number)
            (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
        handler = functools.partial(Index, directory=str(place))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://{Index.secret}@127.0.0.1:{server.server_port}/simple/"
            server.shutdown()
            thread.join()

    def check(self, path: Path, regrow: Regrow, home: Path) -> None:
        sweep(regrow, home / "code")
        lose(path)
        planned = regrow("rebuild", "--dry-run").stdout
        assert str(path.parent) in planned
        done = regrow("rebuild", "--yes", "--json").stdout
        (line,) = map(json.loads, done.splitlines())
        assert (line["outcome"], line["detail"]) == ("rebuilt", [])
        assert installed(path) == set(BOTH)
        log = Path(line["log"]).read_text()
        assert "bolt" in log
        # A package that the index has not: what failed is told without the password.
        (record,) = (home / ".local/share/regrow/records").glob("*.toml")
        assert "bolt==1.0" in record.read_text()
        rewrite(record, "bolt==1.0", "bolt==7.0")
        lose(path)
        failed = regrow("rebuild", "--yes")
        assert failed.returncode == 1
        assert f"failed  {path}" in failed.stdout
        assert "bolt==7.0" in failed.stdout
        for text in (planned, done, log, failed.stdout, record.read_text()):
            assert "hunter2" not in text
        assert "hunter2" not in Path(line["log"]).read_text()

    def test_uvs_settings_are_used_and_its_password_is_nowhere(
        self, index: str, code: Path, home: Path, regrow: Regrow
    ) -> None:
        settings = home / ".config/uv/uv.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[[index]]\nurl = "{index}"\ndefault = true\n')
        self.check(by_uv(code / "shop", *BOTH), regrow, home)

    def test_so_are_those_of_the_project(
        self, index: str, code: Path, home: Path, regrow: Regrow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address, _, rest = index.partition(f"{Index.secret}@")
        (code / "shop").mkdir()
        (code / "shop/uv.toml").write_text(
            f'[[index]]\nname = "ours"\nurl = "{address}{rest}"\ndefault = true\n'
        )
        name, _, password = Index.secret.partition(":")
        monkeypatch.setenv("UV_INDEX_OURS_USERNAME", name)
        monkeypatch.setenv("UV_INDEX_OURS_PASSWORD", password)
        monkeypatch.chdir(code / "shop")
        self.check(by_uv(code / "shop", *BOTH), regrow, home)

    @pytest.mark.slow
    def test_what_pip_installed_from_pips_index_is_left_to_pip_though_uv_is_here(
        self, index: str, code: Path, home: Path, regrow: Regrow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PIP_CONFIG_FILE")
        settings = home / ".config/pip/pip.conf"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"[global]\nindex-url = {index}\n")
        self.check(by_venv(code / "shop", *BOTH), regrow, home)
