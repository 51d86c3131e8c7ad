"""``regrow doctor``: each finding, in the state it should have, with the way out."""

import errno
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from regrow.config import Configuration
from regrow.doctor import installed, itself, marks, tools, watching
from regrow.doctor.findings import HEADINGS, STATES, Finding
from regrow.doctor.tools import TOOLS, Tool
from tests import attributes
from tests.conftest import Regrow
from tests.mounts import mounted_image
from tests.sweeping import Inside

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at Linux' own attribute")

TOX = next(tool for tool in TOOLS if tool.name == "tox")
ENTRY_POINTS = "[virtualenv.activate]\nregrow = regrow.plugins.virtualenv:RegrowActivator\n"


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


def findings(regrow: Regrow, place: Path) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in regrow.json("doctor", place)}


# The whole


def test_every_finding_is_under_its_heading_with_a_documented_state(
    regrow: Regrow, tmp_path: Path
) -> None:
    lines = regrow.json("doctor", tmp_path)
    assert {line["subject"] for line in lines} == set(HEADINGS)
    assert {line["state"] for line in lines} <= set(STATES)
    shown = regrow("doctor", tmp_path).stdout.splitlines()
    places = [shown.index(heading) for heading in HEADINGS.values()]
    assert places == sorted(places)
    assert all(line["remedy"] for line in lines if line["state"] in ("to do", "wrong"))


def test_only_what_is_wrong_makes_the_exit_code_1(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    states = {line["state"] for line in regrow.json("doctor", tmp_path)}
    assert "wrong" not in states
    assert regrow("doctor", tmp_path).returncode == 0
    (records_directory / "broken.toml").write_text("no record")
    done = regrow("doctor", tmp_path)
    assert done.returncode == 1
    assert "  damaged: take the file out of a backup, or remove it" in done.stdout


@pytest.mark.slow
def test_it_takes_about_a_second_with_thousands_of_records(
    regrow: Regrow, tmp_path: Path, records_directory: Path, home: Path
) -> None:
    directory = home / "code/0"
    directory.mkdir(parents=True)
    regrow("mark", directory)
    (record,) = records_directory.iterdir()
    text = record.read_text()
    from regrow.records.store import file_name

    for number in range(1, 5000):
        path = f"{home}/code/{number}"
        os.mkdir(path)
        copied = text.replace(f"{directory}", path)
        (records_directory / file_name(path)).write_text(copied)
    begun = time.monotonic()
    found = findings(regrow, tmp_path)
    assert time.monotonic() - begun < 3  # the machine may be busy
    assert re.search(r"of 5,000 records were looked at", found["marked"]["text"])


# The records


@linux
def test_marks_that_were_lost_and_what_probably_did_it(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    for name in ("stands", "restored", "remade", "deleted"):
        (home / name).mkdir()
        regrow("mark", home / name)
    attributes.remove(home / "restored", "user.xdg.robots.backup")
    (home / "remade").rename(home / "old")
    (home / "remade").mkdir()
    (home / "deleted").rmdir()
    found = findings(regrow, tmp_path)
    assert found["marked"]["text"] == "1 directories stand with their marks"
    assert found["mark lost"]["state"] == found["replaced"]["state"] == "to do"
    assert found["mark lost"]["text"].startswith(f"1: {home}/restored: a mark is off: most often")
    assert "a restore or a copy" in found["mark lost"]["text"]
    assert found["replaced"]["text"].startswith(f"1: {home}/remade: a tool has made another")
    assert "a plugin beside the tool" in found["replaced"]["remedy"]
    assert found["gone"]["state"] == "ok"


@linux
def test_a_pending_record_is_fine_for_an_hour_and_then_left_over(
    regrow: Regrow, tmp_path: Path, home: Path, records_directory: Path
) -> None:
    (home / "out").mkdir()
    regrow("mark", home / "out")
    (file,) = records_directory.iterdir()
    pending = file.read_text().replace('state = "marked" ', 'state = "pending"')
    half_an_hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1800))
    file.write_text(re.sub(r"time = \S+", f"time = {half_an_hour_ago}", pending))
    found = findings(regrow, tmp_path)
    assert found["pending"]["state"] == "ok"
    assert "interrupted" not in found
    file.write_text(re.sub(r"time = \d{4}", "time = 2020", pending))
    found = findings(regrow, tmp_path)
    assert "pending" not in found
    assert found["interrupted"]["state"] == "to do"
    assert found["interrupted"]["remedy"] == "`regrow sweep` completes them"


@linux
def test_a_rebuild_that_was_not_ended_is_told(
    regrow: Regrow, tmp_path: Path, home: Path, records_directory: Path
) -> None:
    (home / "out").mkdir()
    regrow("mark", home / "out")
    (file,) = records_directory.iterdir()
    file.write_text(file.read_text().replace('state = "marked" ', 'state = "rebuild"'))
    found = findings(regrow, tmp_path)["unfinished"]
    assert (found["state"], found["remedy"]) == ("to do", "`regrow rebuild` does it again")


def test_a_newer_regrows_record_is_no_damage(
    regrow: Regrow, tmp_path: Path, home: Path, records_directory: Path
) -> None:
    (home / "out").mkdir()
    regrow("mark", home / "out")
    (file,) = records_directory.iterdir()
    file.write_text(file.read_text().replace("format = 1", "format = 2"))
    found = findings(regrow, tmp_path)
    assert found["newer"]["state"] == "to do"
    assert "damaged" not in found


def test_when_the_time_is_up_it_says_how_many_records_it_looked_at(
    regrow: Regrow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (home / name).mkdir()
        regrow("mark", home / name)
    monkeypatch.setattr(marks, "_BUDGET", -1.0)
    (found,) = (one for one in marks.check() if one.name == "marked")
    assert "(1 of 3 records were looked at; `regrow list` looks at all)" in found.text


@pytest.mark.needs("mkfs.ext4")
@pytest.mark.needs_root
def test_records_that_can_be_read_and_not_written_are_wrong(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    with mounted_image(tmp_path, "ext4") as root:
        (home / ".local").mkdir()
        (home / ".local/share").symlink_to(root)
        (home / "out").mkdir()
        regrow("mark", home / "out")
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        found = findings(regrow, tmp_path)
    assert found["directory"]["state"] == "wrong"
    assert f"{home}/.local/share/regrow/records: " in found["directory"]["text"]
    assert found["directory"]["remedy"] == "make it writable; nothing is marked without a record"
    assert found["marked"]["text"] == "1 directories stand with their marks"


# This regrow


def other_regrow(directory: Path, says: str) -> Path:
    directory.mkdir()
    script = directory / "regrow"
    script.write_text(f"#!/bin/sh\ntouch '{directory}/was-run'\necho '{says}'\n")
    script.chmod(0o755)
    return script


@pytest.mark.parametrize(
    ("says", "state", "words"),
    [
        ("regrow 0.0.9", "wrong", "another installation, of version 0.0.9, which is older"),
        ("regrow 99.1", "to do", "another installation, of version 99.1; this one is older"),
        ("hello", "wrong", "does not tell its version"),
    ],
)
def test_another_regrow_first_on_path_is_asked_for_its_version(
    says: str, state: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = other_regrow(tmp_path / "bin", says)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    found = itself.check()[1]
    assert (found.name, found.state) == ("path", state)
    assert words in found.text
    assert str(script) in found.remedy


def test_what_is_not_named_regrow_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = other_regrow(tmp_path / "bin", "regrow 0.0.9")
    trap = script.rename(script.with_name("trap"))
    script.symlink_to(trap)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    found = itself.check()[1]
    assert (found.state, f"leads to {trap}" in found.text) == ("wrong", True)
    assert not (script.parent / "was-run").exists()


def test_without_a_regrow_on_path_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = itself.check()[1]
    assert (found.state, "uv tool install regrow" in found.remedy) == ("to do", True)


def test_the_regrow_of_this_very_environment_is_fine() -> None:
    found = itself.check()[1]
    assert found.state == "ok"


# Tools


class Made:
    """A tool that somebody has installed, without the tool."""

    def __init__(self, place: Path, receipt: str = "", metadata: str = "") -> None:
        self.prefix = place / "env"
        self.packages = self.prefix / "lib/python3.12/site-packages"
        self.packages.mkdir(parents=True)
        (self.prefix / "bin").mkdir()
        (self.prefix / "pyvenv.cfg").touch()
        python = place / "python3.12"
        python.touch()
        python.chmod(0o755)
        self.python = self.prefix / "bin/python"
        self.python.symlink_to(python)
        if receipt:
            (self.prefix / "uv-receipt.toml").write_text(receipt)
        if metadata:
            (self.prefix / "pipx_metadata.json").write_text(metadata)
        self.bin = place / "bin"
        self.bin.mkdir()

    def add(self, name: str, begin: str = "") -> Path:
        script = self.prefix / "bin" / name
        script.write_text((begin or f"#!{self.python}\n") + "raise SystemExit('it was run')\n")
        script.chmod(0o755)
        (self.bin / name).symlink_to(script)
        return self.bin / name

    def put_regrow_beside(self) -> None:
        information = self.packages / "regrow-0.1.0.dist-info"
        information.mkdir()
        (information / "entry_points.txt").write_text(ENTRY_POINTS)

    def finding(self, tool: Tool = TOX) -> Finding:
        return tools._finding(tool, str(self.bin / tool.name))


RECEIPT = '[tool]\nrequirements = [{ name = "tox" }]\n'
RECEIPT_WITH_MORE = (
    '[tool]\nrequirements = [{ name = "tox" }, { name = "tox-uv", specifier = ">=1" },'
    ' { name = "mine", directory = "/home/ada/my tool" },'
    ' { name = "httpx", extras = ["http2"] }]\n'
)


@pytest.mark.parametrize(
    ("tool", "receipt", "command"),
    [
        ("tox", RECEIPT, "uv tool install tox --with regrow"),
        (
            "tox",
            RECEIPT_WITH_MORE,
            "uv tool install tox --with 'tox-uv>=1' --with '/home/ada/my tool'"
            " --with 'httpx[http2]' --with regrow",
        ),
        ("poetry", RECEIPT, "poetry self add regrow"),
        ("pdm", RECEIPT, "pdm self add regrow"),
    ],
)
def test_a_tool_of_uvs_is_told_the_one_command(
    tool: str, receipt: str, command: str, tmp_path: Path
) -> None:
    made = Made(tmp_path, receipt=receipt)
    made.add(tool)
    found = made.finding(next(one for one in TOOLS if one.name == tool))
    assert (found.state, found.remedy) == ("to do", command)


@pytest.mark.parametrize("tool", ["tox", "poetry"])
def test_a_tool_of_pipxs_is_told_the_one_command(tool: str, tmp_path: Path) -> None:
    made = Made(tmp_path, metadata="{}")
    made.add(tool)
    found = made.finding(next(one for one in TOOLS if one.name == tool))
    assert (found.state, found.remedy) == ("to do", f"pipx inject {tool} regrow")


def test_a_tool_in_an_environment_is_told_pip_or_uv_where_there_is_no_pip(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.add("tox")
    assert made.finding().remedy == f"uv pip install --python {made.python} regrow"
    (made.packages / "pip").mkdir()
    assert made.finding().remedy == f"{made.python} -m pip install regrow"


def test_regrow_beside_a_tool_is_seen(tmp_path: Path) -> None:
    made = Made(tmp_path, receipt=RECEIPT)
    made.add("tox")
    made.put_regrow_beside()
    assert made.finding().state == "ok"
    # uv puts links into its cache there, if it is asked to: `--link-mode symlink`.
    (made.packages / "regrow-0.1.0.dist-info/entry_points.txt").rename(tmp_path / "cached")
    (made.packages / "regrow-0.1.0.dist-info/entry_points.txt").symlink_to(tmp_path / "cached")
    assert made.finding().state == "ok"
    # A regrow without plugins is none.
    (made.packages / "regrow-0.1.0.dist-info/entry_points.txt").write_text("[console_scripts]\n")
    assert made.finding().state == "to do"


@pytest.mark.parametrize(
    "begin",
    [
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_the_interpreter_is_found_behind_a_shell_too(begin: str, tmp_path: Path) -> None:
    place = tmp_path / ("with blanks" if '{python} "$0' not in begin.replace('"{', "{") else "x")
    place.mkdir()
    made = Made(place, receipt=RECEIPT)
    made.add("tox", begin.format(python=made.python))
    assert made.finding().remedy == "uv tool install tox --with regrow"


@pytest.mark.parametrize("begin", ["#!/usr/bin/env bash\n", "\x7fELF", "#!/usr/bin/perl\n"])
def test_what_is_no_python_script_is_told_so(begin: str, tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.add("tox", begin)
    found = made.finding()
    assert found.state == "not applicable"
    assert "no Python script" in found.text
    assert "`regrow hook`" in found.text


def test_what_the_distribution_or_homebrew_owns_can_have_nothing_beside_it(
    tmp_path: Path,
) -> None:
    assert installed._installer("/usr/bin/tox", "/usr") == installed.DISTRIBUTION
    cellar = "/opt/homebrew/Cellar/tox/4.0/libexec"
    assert installed._installer(f"{cellar}/bin/tox", cellar) == installed.HOMEBREW
    for by in (installed.DISTRIBUTION, installed.HOMEBREW):
        where = installed.Place("/usr/bin/python3", "/usr", by, (3, 12))
        assert tools.what_puts_it_there(TOX, where) is None
    assert installed._installer("/usr/local/bin/tox", "/usr") == installed.PIP


def test_a_tool_on_an_older_python_can_have_nothing_beside_it(tmp_path: Path) -> None:
    made = Made(tmp_path, receipt=RECEIPT)
    (tmp_path / "python3.9").touch()
    made.python.unlink()
    made.python.symlink_to(tmp_path / "python3.9")
    made.add("tox")
    found = made.finding()
    assert found.state == "not applicable"
    assert "Python 3.9, and the plugin needs 3.11" in found.text


def test_every_tool_on_path_is_looked_beside_and_none_is_run(
    regrow: Regrow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(tmp_path, receipt=RECEIPT)
    for tool in TOOLS:
        made.add(tool.name)
    made.put_regrow_beside()
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    lines = [line for line in regrow.json("doctor", tmp_path) if line["subject"] == "tool"]
    assert [line["name"] for line in lines] == [tool.name for tool in TOOLS]
    assert {line["state"] for line in lines} == {"ok"}


def test_the_commands_are_those_of_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
    for tool in TOOLS:
        place = tmp_path / tool.name
        place.mkdir()
        made = Made(place, receipt=f'[tool]\nrequirements = [{{ name = "{tool.name}" }}]\n')
        made.add(tool.name)
        assert f"| `{made.finding(tool).remedy}` |" in page
    assert "`pipx inject tox regrow`" in page


@pytest.mark.slow
@pytest.mark.needs("uv")
def test_the_command_for_a_tool_that_uv_really_installed_really_puts_regrow_beside_it(
    regrow: Regrow, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = ["uv", "tool", "install", "--quiet", "--python", sys.executable]
    done = subprocess.run([*uv, "nox"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"uv can't install nox here: {done.stderr}")
    monkeypatch.setenv("PATH", f"{home}/.local/bin{os.pathsep}{os.environ['PATH']}")
    found = findings(regrow, tmp_path)["nox"]
    assert found["remedy"] == "uv tool install nox --with regrow"
    checkout = Path(__file__).parents[2]
    words = found["remedy"].replace("--with regrow", "--quiet").split()
    subprocess.run([*words, "--with", checkout / "marks", "--with", checkout], check=True)
    assert findings(regrow, tmp_path)["nox"]["state"] == "ok"


# Watching


class Processes:
    """A /proc with one process of this user's."""

    def __init__(self, place: Path, watches: int, instances: int = 1) -> None:
        self.path = place / "proc"
        process = self.path / "4242"
        for name in ("fd", "fdinfo"):
            (process / name).mkdir(parents=True)
        for number in range(instances):
            (process / f"fd/{number}").symlink_to("anon_inode:inotify")
            (process / f"fdinfo/{number}").write_text("inotify wd:1 ino:2\n" * watches)
        (process / "fd/99").symlink_to("socket:[1]")

    def limit(self, name: str, value: int) -> None:
        file = self.path / "sys/fs/inotify" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")


def test_the_watches_of_the_one_that_watches_are_counted(tmp_path: Path) -> None:
    processes = Processes(tmp_path, 7)
    processes.limit("max_user_watches", 100)
    found = watching.check_limit(Configuration(), 4242, str(processes.path))
    assert found.state == "ok"
    assert found.text == "7 directories are watched; the limit is 100"
    processes.limit("max_user_watches", 7)
    found = watching.check_limit(Configuration(), 4242, str(processes.path))
    assert found.state == "wrong"
    assert found.remedy.startswith("sysctl fs.inotify.max_user_watches=1048576")


def test_where_nothing_watches_the_need_is_estimated(tmp_path: Path, home: Path) -> None:
    code = home / "code"
    for name in ("a/b", "node_modules/x"):
        (code / name).mkdir(parents=True)
    (code / "package.json").touch()
    processes = Processes(tmp_path, 0)
    processes.limit("max_user_watches", 100)
    configuration = Configuration(start=(str(code),))
    found = watching.check_limit(configuration, None, str(processes.path))
    assert found.text == "a watch needs 3 directories; the limit is 100"
    assert found.state == "ok"
    processes.limit("max_user_watches", 2)
    found = watching.check_limit(configuration, None, str(processes.path))
    assert (found.state, found.remedy[:6]) == ("to do", "sysctl")


def test_the_estimate_ends_when_its_time_is_up(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "a").mkdir()
    monkeypatch.setattr(watching, "_BUDGET", -1.0)
    processes = Processes(tmp_path, 0)
    processes.limit("max_user_watches", 100)
    found = watching.check_limit(Configuration(), None, str(processes.path))
    assert found.text == "a watch needs more than 1 directories; the limit is 100"


def test_used_up_inotify_instances_are_told(tmp_path: Path) -> None:
    processes = Processes(tmp_path, 0, instances=3)
    processes.limit("max_user_instances", 4)
    assert watching.check_instances(None, str(processes.path)).state == "ok"
    processes.limit("max_user_instances", 3)
    found = watching.check_instances(None, str(processes.path))
    assert found.state == "to do"
    assert found.remedy.startswith("sysctl fs.inotify.max_user_instances=6")
    assert watching.check_instances(4242, str(processes.path)).state == "ok"


def test_what_macos_does_not_show_is_told_with_the_way_to_grant_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in watching.PROTECTED:
        (home / name).mkdir()
    listed = os.listdir
    start = [str(home.resolve())]
    (found,) = watching.check_access(start)
    assert (found.state, "the service needs its own" in found.text) == ("ok", True)

    def listdir(path: str) -> list[str]:
        if path.endswith("/Documents"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    (found,) = watching.check_access(start)
    assert found.state == "wrong"
    assert f"does not show {home.resolve()}/Documents to regrow" in found.text
    assert "Full Disk Access" in found.remedy
    assert os.path.realpath(sys.executable) in found.remedy
    assert watching.check_access([f"{home.resolve()}/code"]) == []


def test_a_start_directory_that_is_private_to_spotlight_is_told(tmp_path: Path) -> None:
    start = [str(tmp_path / "disk/code"), str(tmp_path / "a.noindex"), str(tmp_path / "plain")]
    for path in start:
        os.makedirs(path)
    (tmp_path / "disk/.metadata_never_index").touch()
    found = watching.check_spotlight(start)
    assert [(one.state, one.text.partition(":")[0]) for one in found] == [
        ("to do", start[0]),
        ("to do", start[1]),
    ]
    assert f"{tmp_path}/disk is private to Spotlight" in found[0].text
    (fine,) = watching.check_spotlight([start[2]])
    assert fine.state == "ok"


def test_on_macos_its_own_questions_are_asked_and_not_linuxs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "Desktop").mkdir()
    names = [found.name for found in watching.check(Configuration(), "darwin")]
    assert names == ["service", "Full Disk Access", "Spotlight"]
    names = [found.name for found in watching.check(Configuration(), "linux")]
    assert names == ["service", "inotify", "inotify instances"]


@linux
def test_a_watch_that_is_no_service_is_found_and_counted(
    regrow: Regrow, tmp_path: Path, home: Path
) -> None:
    (home / "code/a").mkdir(parents=True)
    assert findings(regrow, tmp_path)["service"]["state"] == "not applicable"
    watch = subprocess.Popen([*Regrow.command, "watch", home / "code"])
    try:
        end = time.monotonic() + 20
        expected = f"process {watch.pid} watches, and not as a service"
        while (found := findings(regrow, tmp_path))["service"]["text"] != expected:
            assert time.monotonic() < end
        while not found["inotify"]["text"].startswith("2 directories are watched"):
            assert time.monotonic() < end
            found = findings(regrow, tmp_path)
    finally:
        watch.terminate()
        watch.wait()
    assert findings(regrow, tmp_path)["service"]["state"] == "not applicable"


def test_a_lock_file_that_nobody_holds_is_no_watch(home: Path) -> None:
    from regrow.watch import lock

    file = Path(lock.path())
    file.parent.mkdir(parents=True)
    for text in ("", "nonsense", f"{os.getpid()}\n", "0\n", "-1\n", "999999999\n"):
        file.write_text(text)
        assert lock.owner() is None


def test_without_tools_it_says_which_it_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_program", lambda _: None)
    (found,) = tools.check()
    assert found.state == "not applicable"
    assert "pre-commit" in found.text


def test_json_and_text_tell_the_same(regrow: Regrow, tmp_path: Path) -> None:
    done = regrow("doctor", "--json", tmp_path)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(set(line) == {"subject", "name", "state", "text", "remedy"} for line in told)
    shown = " ".join(regrow("doctor", tmp_path).stdout.split())
    for line in told:
        if line["name"] not in ("inotify", "inotify instances"):  # they change meanwhile
            assert " ".join(f"{line['name']} {line['state']}".split()) in shown
