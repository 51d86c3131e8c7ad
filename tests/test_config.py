import os
from pathlib import Path

import pytest

from regrow import config
from regrow.errors import ConfigurationError
from tests.sweeping import Inside

EVERY_KEY = b"""
start = ["~"]
skip = ["~/Downloads"]
keep = ["**/thesis/build"]
programs = ["time-machine", "restic"]
caches = ["~/.npm/_cacache"]
disable = ["gradle-build"]
[markers]
nodump = true
[[rule]]
name = "mine"
[[export]]
program = "restic"
output = "~/restic-excludes"
"""


def test_every_key_of_the_design_page_is_read() -> None:
    read = config.parse(EVERY_KEY, "config.toml")
    assert read == config.Configuration(
        start=("~",),
        skip=("~/Downloads",),
        keep=("**/thesis/build",),
        programs=("time-machine", "restic"),
        caches=("~/.npm/_cacache",),
        disable=("gradle-build",),
        nodump=True,
        rules=({"name": "mine"},),
        exports=(config.Export("restic", "~/restic-excludes"),),
    )


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    assert config.read() == config.Configuration()


def test_the_file_is_found_in_the_home_directory_and_by_an_absolute_xdg_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.path() == str(home / ".config/regrow/config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert config.path() == str(home / ".config/regrow/config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/xdg")
    assert config.path() == "/etc/xdg/regrow/config.toml"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('keep = []\nkep = ["x"]\n', 2, "unknown key 'kep'"),
        ("\n\n[colours]\nred = 1\n", 3, "unknown key 'colours'"),
        ('\nstart = "~"\n', 2, "start must be a list of strings"),
        ("skip = [1]\n", 1, "skip must be a list of strings"),
        ("[markers]\nnodumb = true\n", 2, "unknown key 'nodumb' in [markers]"),
        ('[markers]\nnodump = "yes"\n', 2, "nodump must be true or false"),
        ("markers = 3\n", 1, "markers must be a table"),
        ('# first\nprograms = ["tarr"]\n', 2, "unknown program 'tarr'; known are arq,"),
        ("rule = 3\n", 1, "rule must be one or more tables"),
        ('\n"kep.x" = 1\n', 2, "unknown key 'kep.x'"),
        ("export = 3\n", 1, "export must be one or more tables"),
        ('[[export]]\nprogram = "restic"\n', 1, "[[export]]: output is missing"),
        ('[[export]]\noutput = "x"\n', 1, "[[export]]: program is missing"),
        (
            '[[export]]\nprogram = "restic"\noutput = "x"\n'
            '[[export]]\noutput = "y"\nprogram = "resitc"\n',
            6,
            "[[export]]: unknown program 'resitc'; known are borg,",
        ),
        ('[[export]]\nprogram = "tar"\n\noutput = 3\n', 4, "[[export]]: output must be a string"),
        (
            '[[export]]\nprogram = "tar"\noutput = "x"\nsauce = "~"\n',
            4,
            "[[export]]: unknown key 'sauce'; known are program, output, source",
        ),
        ('[[export]]\noutput = "x"\nprogram = "rclone"\n', 3, "[[export]]: rclone needs source"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config.parse(text.encode(), "config.toml")
    assert str(caught.value).startswith(f"config.toml:{line}: {words}")


def test_a_file_that_is_no_toml_is_an_error_with_the_line() -> None:
    with pytest.raises(ConfigurationError, match=r"config\.toml: .*line 2"):
        config.parse(b"keep = []\nkeep =\n", "config.toml")
    with pytest.raises(ConfigurationError, match=r"config\.toml:2: .*UTF-8"):
        config.parse(b"keep = []\n# \xff\n", "config.toml")


def test_an_unreadable_file_is_an_error_that_names_it(home: Path) -> None:
    (home / ".config/regrow/config.toml").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"config\.toml: it is not a regular file"):
        config.read()


@pytest.mark.parametrize(
    "text",
    [
        f"skip = {'1' * 5000}\n", f"skip = [0x{'f' * 5000}]\n", f"skip = {'[' * 10_000}\n",
        f"{'a.' * 20_000}a = 1\n", "skip = [2020-01-01]\n", "skip = [1e999]\n",
        f"[[rule]]\nname = 0x{'f' * 5000}\n", "[[rule]]\nname = 2020-01-01T00:00:00Z\n",
        'skip = ["\\ud800"]\n', "\ufeffskip = []\n", "skip = [\0]\n", f"skip = {'{a=' * 10_000}\n",
        f"[[export]]\nprogram = 0x{'f' * 5000}\n", "[[export]]\nprogram = 10:00:00\n",
        "programs = [1979-05-27]\n", f"disable = [0o{'7' * 9000}]\n", "[markers]\nnodump = nan\n",
        "#" * (2 << 20),
    ],
    ids=range(18),
)  # fmt: skip
def test_whatever_is_wrong_with_the_file_it_is_named_and_nobody_sees_a_traceback(
    text: str, home: Path
) -> None:
    place = home / ".config/regrow/config.toml"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    done = Inside()("sweep", "--dry-run")
    assert done.returncode == 2
    assert str(place) in done.stderr
    assert "Traceback" not in done.stderr
    assert "REGROW_TRACEBACK" not in done.stderr


@pytest.mark.parametrize("kind", ["FIFO", "directory", "device"])
def test_a_file_that_is_no_regular_one_is_named_and_nobody_waits(kind: str, home: Path) -> None:
    place = home / ".config/regrow/config.toml"
    place.parent.mkdir(parents=True)
    if kind == "FIFO":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(ConfigurationError, match=str(place)):
        config.read()


def test_a_link_to_a_file_elsewhere_is_followed(home: Path) -> None:
    place = home / ".config/regrow/config.toml"
    place.parent.mkdir(parents=True)
    (home / "dotfiles").write_text('keep = ["x"]\n')
    place.symlink_to(home / "dotfiles")
    assert config.read().keep == ("x",)
