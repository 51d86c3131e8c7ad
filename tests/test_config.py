from pathlib import Path

import pytest

from regrow import config
from regrow.errors import ConfigurationError

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
    with pytest.raises(ConfigurationError, match=r"config\.toml: .*EISDIR"):
        config.read()
