"""``regrow service`` beside recorded doubles of systemctl and launchctl: see ``doubles.py``."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attributes import is_marked
from tests.service.conftest import (
    Service,
    everything_in,
    hurry,
    make_tool,
    upgrade,
    wait_for,
    watching,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the doubles look into /proc")

OF_REGROW = (".local/share/regrow", "code", ".cache", ".local/share/uv")
"""What a watch writes and has marked, and the installation with its bytecode: they stay."""

once = pytest.mark.parametrize(
    "service", ["systemd", pytest.param("launchd", marks=pytest.mark.slow)], indirect=True
)
"""What takes seconds runs for one manager in ``make test``."""


def is_alive(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def test_installed_used_upgraded_and_uninstalled_it_leaves_nothing(service: Service) -> None:
    before = everything_in(service.home, OF_REGROW)
    done = service("install")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"installed  {service.file}\n")

    first = wait_for(lambda: watching(service.home))
    assert first == service.pid()
    environment = service.home / "code/shop/.venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    assert wait_for(lambda: is_marked(environment))
    status = service.status()
    assert status["running"]
    assert status["current"]
    assert status["pid"] == status["watching"] == first
    assert any(str(environment) in line for line in status["log"])
    assert service("status").returncode == 0

    service.file.write_bytes(service.file.read_bytes().replace(b"19", b"10"))
    assert service.status()["current"] is False
    done = service("install")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"upgraded  {service.file}\n")
    assert service.status()["current"] is True
    second = wait_for(lambda: service.pid() if watching(service.home) == service.pid() else None)
    assert second != first
    assert not is_alive(first)

    done = service("uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"uninstalled  {service.file}\n")
    assert not is_alive(second)
    assert everything_in(service.home, OF_REGROW) == before


def environment(path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    return path


@once
def test_the_service_goes_on_as_the_regrow_that_was_installed_under_it(service: Service) -> None:
    hurry(service.python)
    service("install")
    pid = wait_for(lambda: watching(service.home))
    assert service.status()["outdated"] is False

    upgrade(service.python)
    assert wait_for(lambda: is_marked(environment(service.home / "code/shop/.venv")))
    wait_for(lambda: service.status()["outdated"] is False)

    assert watching(service.home) == service.pid() == pid
    later = environment(service.home / "code/thesis/.venv")
    assert wait_for(lambda: any(f"noted  {later}" in line for line in service.status()["log"]))
    assert is_marked(later)
    assert service("uninstall").returncode == 0
    assert not is_alive(pid)


@once
def test_an_upgrade_that_the_watch_has_not_seen_is_told_with_the_command_that_ends_it(
    service: Service, configured: Path
) -> None:
    def finding() -> dict[str, str]:
        return service.finding("service", configured.parent)

    service("install")
    first = wait_for(lambda: watching(service.home))
    assert "outdated" not in service("status").stdout

    upgrade(service.python)

    assert service.status()["outdated"] is True
    assert service.status()["current"] is True
    assert finding()["state"] == "to do"
    assert finding()["text"].endswith("it runs another regrow than this one, as after an upgrade")
    remedy = finding()["remedy"]
    assert remedy in service("status").stdout
    command = {
        "systemd": "`systemctl --user restart regrow-watch.service`",
        "launchd": f"`launchctl kickstart -k gui/{os.getuid()}/regrow.watch`",
    }
    assert remedy == command[service.title]

    subprocess.run(shlex.split(remedy.strip("`")), check=True)

    second = wait_for(lambda: service.pid() if watching(service.home) == service.pid() else None)
    assert second != first
    assert service.status()["outdated"] is False
    assert finding()["state"] == "ok"


@once
def test_an_outdated_watch_that_is_no_service_is_told_as_well(
    service: Service, configured: Path
) -> None:
    mine = subprocess.Popen([service.python, "-P", "-m", "regrow", "watch"])
    try:
        wait_for(lambda: watching(service.home) == mine.pid)
        assert service.finding("service", configured.parent)["state"] == "ok"
        upgrade(service.python)
        found = service.finding("service", configured.parent)
        assert (found["state"], found["remedy"]) == ("to do", "end it, and start it again")
        assert "end it, and start it again" in service("status").stdout
    finally:
        mine.terminate()
        mine.wait()


def test_the_manager_is_told_the_documented_words_in_their_order(service: Service) -> None:
    service("install")
    service("install")
    service("uninstall")
    if service.title == "systemd":
        start = [
            "systemctl --user daemon-reload",
            "systemctl --user enable regrow-watch.service",
            "systemctl --user restart regrow-watch.service",
        ]
        end = [
            "systemctl --user disable regrow-watch.service",
            "systemctl --user stop regrow-watch.service",
            "systemctl --user daemon-reload",
        ]
        assert service.words() == [*start, *start, *end]
    else:
        domain = f"gui/{os.getuid()}"
        start = [f"launchctl bootstrap {domain} {service.file}"]
        stop = [f"launchctl bootout {domain}/regrow.watch"]
        assert service.words() == [*start, *stop, *start, *stop]


def test_installing_the_same_again_starts_the_new_code_and_says_so(service: Service) -> None:
    service("install")
    first = service.pid()
    done = service("install")
    assert done.stdout.startswith(f"restarted  {service.file}\n")
    assert service.pid() != first


def test_without_a_configuration_it_says_which_file_to_write(
    service: Service, configured: Path
) -> None:
    configured.unlink()
    done = service("install")
    assert done.returncode == 2
    assert f"{configured}: there is none" in done.stderr
    assert '    start = ["~/code"]' in done.stderr
    assert not service.file.exists()
    assert service.words() == []


def test_the_example_that_it_shows_is_a_configuration(service: Service, configured: Path) -> None:
    configured.unlink()
    shown = service("install").stderr
    configured.write_text("".join(f"{line}\n" for line in shown.splitlines() if line[:4] == "    "))
    assert service("install").returncode == 0


def test_a_wrong_configuration_is_told_before_anything_is_written(
    service: Service, configured: Path
) -> None:
    configured.write_text('disable = ["no-such-rule"]\n')
    done = service("install")
    assert done.returncode == 2
    assert "there is no rule 'no-such-rule'" in done.stderr
    assert not service.file.exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("tmp/pip-run/env", "a temporary directory, and will be gone one day"),
        (".cache/uv/archive-v0/abc", "a cache, and will be gone one day"),
        (".local/pipx/.cache/abc", "a cache, and will be gone one day"),
        ("uv-cache/environments-v2/abc", "a cache, and will be gone one day"),
        ("code/shop/.venv", "an environment that regrow itself leaves out of backups"),
        ("code/shop/.tox/py", "an environment that regrow itself leaves out of backups"),
        (".virtualenvs/regrow", "an environment that regrow itself leaves out of backups"),
    ],
)
def test_it_is_not_installed_from_where_it_will_not_stay(
    place: str,
    words: str,
    home: Path,
    configured: Path,
    double: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (home / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    monkeypatch.setenv("UV_CACHE_DIR", str(home / "uv-cache"))
    (home / "code/shop/tox.ini").touch()
    prefix = home / place
    prefix.parent.mkdir(parents=True, exist_ok=True)
    configured.write_text('start = ["~"]\n')
    service = Service("systemd", home, make_tool(prefix), double)
    done = service("install")
    assert done.returncode == 2
    assert words in done.stderr
    assert "`uv tool install regrow`, or `pipx install regrow`" in done.stderr
    assert not service.file.exists()
    assert service.words() == []


def test_a_build_directory_is_no_place_either(
    home: Path, configured: Path, double: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import regrow
    import regrow_marks

    built = home / "src/regrow/build/lib/regrow"
    for package in (regrow, regrow_marks):
        shutil.copytree(package.__path__[0], built.with_name(package.__name__))
    monkeypatch.setenv("PYTHONPATH", str(built.parent))
    python = Path(sys.executable)
    done = subprocess.run(
        [python, "-m", "regrow", "service", "install"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{built}: this regrow stands in a build directory" in done.stderr


def test_what_a_keep_pattern_keeps_is_a_good_place(
    home: Path, configured: Path, double: Path
) -> None:
    configured.write_text('start = ["~"]\nkeep = ["env-of-regrow"]\n')
    service = Service("systemd", home, make_tool(home / "code/env-of-regrow"), double)
    assert service("install").returncode == 0


def test_where_no_manager_answers_it_says_what_to_do_instead(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("REGROW_TEST_NO_SCREEN", "1")
    for action in ("install", "status"):
        done = service(action)
        assert done.returncode == 1
        assert "does not answer" in done.stderr
        assert "@reboot regrow watch" in done.stderr
        assert "~/.profile" in done.stderr
        assert not service.file.exists()
    status = service.status()
    assert "does not answer" in status["error"]
    assert not status["running"]


def test_sudo_is_the_wrong_way_and_is_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, as sudo gives it")
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    done = service("install")
    assert done.returncode == 1
    assert "run this as yourself, without sudo" in done.stderr


def test_where_systemd_is_not_installed_it_says_so(
    home: Path, configured: Path, double: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = Service("systemd", home, make_tool(home / ".local/tool"), double)
    monkeypatch.setenv("PATH", str(tmp_path))
    for action in ("install", "status"):
        done = service(action)
        assert done.returncode == 1
        assert "systemctl is not installed here" in done.stderr
        assert "@reboot regrow watch" in done.stderr


def test_a_file_by_somebody_else_is_left_alone(service: Service) -> None:
    service.file.parent.mkdir(parents=True)
    service.file.write_text("mine\n")
    done = service("install")
    assert done.returncode == 1
    assert f"{service.file}: regrow did not write this file" in done.stderr
    assert service("uninstall").stdout.startswith("not installed")
    assert service.file.read_text() == "mine\n"
    assert service.words() == []


def test_if_it_cannot_be_started_nothing_is_left(service: Service) -> None:
    before = everything_in(service.home, OF_REGROW)
    word = {"systemd": "restart", "launchd": "bootstrap"}[service.title]
    service.fail_at(word)
    done = service("install")
    assert done.returncode == 1
    assert "told to fail" in done.stderr
    assert everything_in(service.home, OF_REGROW) == before


def test_if_an_upgrade_cannot_be_started_the_old_file_is_there_again(service: Service) -> None:
    service("install")
    older = service.file.read_bytes().replace(b"19", b"10")
    service.file.write_bytes(older)
    word = {"systemd": "restart", "launchd": "bootstrap"}[service.title]
    service.fail_at(word)
    assert service("install").returncode == 1
    assert service.file.read_bytes() == older


def test_uninstalling_removes_the_files_even_where_no_manager_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_in(service.home, OF_REGROW)
    service("install")
    wait_for(lambda: watching(service.home))
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("REGROW_TEST_NO_SCREEN", "1")
    done = service("uninstall")
    assert done.returncode == 1
    assert "it is removed, and what runs goes on until it is ended" in done.stderr
    assert "does not answer" in done.stderr
    assert everything_in(service.home, OF_REGROW) == before


def test_uninstalling_what_is_not_installed_is_no_error(service: Service) -> None:
    done = service("uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"not installed  {service.file}\n"
    assert service.words() == []


def test_what_others_keep_beside_it_stays(service: Service) -> None:
    other = service.file.parent / "backup.service"
    other.parent.mkdir(parents=True)
    other.write_text("[Unit]\n")
    service("install")
    service("uninstall")
    assert other.read_text() == "[Unit]\n"
    assert os.listdir(other.parent) == ["backup.service"]


def test_status_tells_what_is_not_there_and_what_has_died(service: Service) -> None:
    done = service("status")
    assert done.returncode == 1
    assert "installed  no" in done.stdout
    service("install")
    wait_for(lambda: watching(service.home))
    pid = service.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    done = service("status")
    assert done.returncode == 1
    assert "runs       no: " in done.stdout
    status = service.status()
    assert (status["installed"], status["loaded"], status["running"]) == (True, True, False)
    assert (status["pid"], status["watching"]) == (None, None)


@once
def test_a_watch_that_runs_already_is_named_since_the_service_waits_for_it(
    service: Service,
) -> None:
    mine = subprocess.Popen([service.python, "-P", "-m", "regrow", "watch"])
    try:
        wait_for(lambda: watching(service.home) == mine.pid)
        done = service("install")
        assert done.returncode == 0
        assert f"process {mine.pid} watches already" in done.stderr
        wait_for(lambda: "another regrow watches already" in "".join(service.status()["log"]))
        assert f"process {mine.pid}, which is not the service's" in service("status").stdout
        wait_for(lambda: not service.status()["running"])
        assert f"process {mine.pid} watches in its place" in service.run("doctor").stdout
    finally:
        mine.terminate()
        mine.wait()


def test_the_directories_of_configuration_records_and_caches_hold_for_the_service_too(
    service: Service, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = service.home / "data of mine 100%"
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(service.home / "caches"))
    assert service("install").returncode == 0
    assert wait_for(lambda: (data / "regrow/watch.lock").exists())
    assert wait_for(lambda: (service.home / "caches/regrow").is_dir())
    assert not (service.home / ".cache").exists()


def test_git_is_found_by_the_service_wherever_it_stands(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "opt/git/bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "git").symlink_to(shutil.which("git") or "/usr/bin/git")
    monkeypatch.setenv("PATH", f"{elsewhere}{os.pathsep}{os.environ['PATH']}")
    service("install")
    assert f"{elsewhere}:/usr/local/bin:/usr/bin:/bin" in service.file.read_text()


@once
def test_doctor_tells_whether_the_service_is_there_current_and_alive(
    service: Service, configured: Path
) -> None:
    def finding() -> dict[str, str]:
        return service.finding("service", configured.parent)

    assert finding()["state"] == "not applicable"
    service("install")
    pid = wait_for(lambda: watching(service.home))
    assert finding()["text"].startswith(f"process {pid} watches since ")
    assert finding()["state"] == "ok"

    written = service.file.read_bytes()
    service.file.write_bytes(written.replace(b"19", b"10"))
    assert finding()["state"] == "to do"
    assert finding()["remedy"] == "`regrow service install`, again"
    service.file.write_bytes(written)

    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    assert finding()["state"] == "wrong"
    assert finding()["text"].startswith("it is installed and does not run: ")
    assert service.run("doctor", str(configured.parent)).returncode == 1
