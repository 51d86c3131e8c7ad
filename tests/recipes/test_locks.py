"""The lock files of a project, and which of them agree with its environment."""

import os

import pytest

from tests.recipes.environment import Environment

LOCKED = {
    "uv.lock": '[[package]]\nname = "Six"\nversion = "{}"\nwheels = [\n    {{ url = "u" }},\n]\n',
    "poetry.lock": '[[package]]\nname = "six"\nversion = "{}"\n\n[package.dependencies]\na = "1"\n',
    "pdm.lock": '[metadata]\nversion = "9"\n\n[[package]]\nname = "six"\nversion = "{}"\n',
    "pylock.toml": 'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "{}"\n',
    "Pipfile.lock": '{{"default": {{"six": {{"version": "=={}"}}}}}}',
    "requirements.txt": "# all\nsix=={} \\\n    --hash=sha256:00\n",
    "requirements-dev.txt": 'six[x] == {} ; python_version > "3"\n',
}


@pytest.mark.parametrize("name", LOCKED)
def test_lock_agrees_or_does_not(environment: Environment, name: str) -> None:
    environment.install("six", "1.17.0")
    environment.install("pip", "24.0")  # a seed, which no lock names
    lock = environment.path.parent / name
    for version, agreeing in (("1.17.0", [name]), ("1.16.0", [])):
        lock.write_text(LOCKED[name].format(version))
        recipe = environment.recipe()
        assert recipe["locks"] == [name]
        assert recipe["agrees_with"] == agreeing
    environment.install("idna", "3.10")
    lock.write_text(LOCKED[name].format("1.17.0"))
    assert environment.recipe()["agrees_with"] == []


def test_empty_environment_agrees_with_no_lock_of_packages(environment: Environment) -> None:
    (environment.path.parent / "uv.lock").write_text(LOCKED["uv.lock"].format("1"))
    assert environment.recipe()["agrees_with"] == []


def test_no_lock(environment: Environment) -> None:
    assert "locks" not in environment.recipe()


@pytest.mark.parametrize("name", LOCKED)
@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\x00",
        b"[" * 300_000,
        b'{"default": 1}',
        b'{"default": {"six": 1}}',
        b"a[\n" * 90_000,
        b'[[package]]\nname = "' * 50_000,
        b"x=[" * 100_000,
    ],
)
def test_broken_lock_agrees_with_nothing(environment: Environment, name: str, text: bytes) -> None:
    environment.install("six", "1.17.0")
    (environment.path.parent / name).write_bytes(text)
    recipe = environment.recipe()
    assert (recipe["locks"], recipe["agrees_with"]) == ([name], [])


def test_lock_that_is_a_pipe_agrees_with_nothing(environment: Environment) -> None:
    environment.install("six", "1.17.0")
    os.mkfifo(environment.path.parent / "uv.lock")
    assert environment.recipe()["agrees_with"] == []
