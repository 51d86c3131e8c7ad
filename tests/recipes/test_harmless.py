"""No secret of a project's is written down: what is not known to be harmless is cut, and told."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regrow.model import Rule
from regrow.recipes import harmless
from regrow.recipes.recipe import command_recipe
from regrow.rules import loader
from tests.conftest import Regrow
from tests.rebuilding import cmake, recorded, write
from tests.recipes.environment import Environment
from tests.sweeping import Inside

SECRET = "SeCrEt5"
LONG = "x7Kq92LmPz04RtYv18Ws"
"""A token as machines make them."""

NAMES = (
    *("jwt", "pass", "pw", "pat", "code", "session", "bearer", "hmac", "sig", "pwd", "key"),
    *("access_key", "api-key", "token", "to%6ben", "X-Amz-Signature", "auth", "a", "se"),
)

ADDRESSES = [
    f"https://ada:{SECRET}@example.org/p.whl",
    f"https://{SECRET}@example.org/p.whl",
    f"https://git:{SECRET}@example.org/p",
    f"https://git@{SECRET}@example.org/p",
    f"git+ssh://{SECRET}@example.org/p.git",
    f"ssh://{SECRET}@example.org/p.git",
    f"git+https://oauth2:{SECRET}@example.org/p.git",
    f"https://example.org/t/{SECRET}/linux-64/p.conda",
    f"https://example.org/priv/{SECRET}/p/simple",
    f"https://example.org/token/{SECRET}/simple/p",
    f"https://example.org/api_key/{SECRET}",
    f"https://dl.cloudsmith.io/{SECRET}/ada/shop/python/p.whl",
    f"https://pypi.fury.io/{SECRET}/ada/p.whl",
    f"https://packagecloud.io/{SECRET}/ada/p/pypi",
    f"https://example.org/{LONG}/p.whl",
    f"https://example.org/files/{LONG}",
    "https://example.org/1f0e9c3a-77f2-4c3b-9d51-0a1b2c3d4e5f/p.whl",
    "https://example.org/0123456789abcdef0123456789abcdef/p.whl",
    f"https://example.org/p.git@{LONG}",
    f"https://example.org/p#{SECRET}",
    f"https://example.org/p#access_token={SECRET}",
    f"https://example.org/p#egg=p&code={SECRET}",
    f"https://example.org/p?{SECRET}",
    f"https://example.org/p?ref={LONG}",
    *(f"https://example.org/p?{name}={SECRET}" for name in NAMES),
    *(f"https://example.org/p?ref=v1;{name}={SECRET}" for name in NAMES),
]


@pytest.fixture
def regrow() -> Regrow:
    """Many runs: in this process."""
    return Inside()


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_loses_what_is_not_known_to_be_harmless(url: str) -> None:
    clean, was_cut = harmless.address(url)
    assert was_cut
    for secret in (SECRET, LONG, "1f0e9c3a", "0123456789abcdef"):
        assert secret not in clean
    assert harmless.address(clean) == (clean, False)


@pytest.mark.parametrize("sign", list("/?#\"<> '"))
@pytest.mark.parametrize("text", ["{}", "see {}", "-DURL={}", "['{}']", '{{"url": "{}"}}'])
def test_a_password_with_any_sign_is_cut_out_of_a_text(sign: str, text: str) -> None:
    url = f"https://ada:a{sign}{SECRET}@example.org/x"
    assert SECRET not in harmless.text(text.format(url))[0]
    assert (
        SECRET not in harmless.text(text.format(url.replace("ada:", "")))[0] or sign in "/?#\"<> '"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"ada:{SECRET}@example.org:org/p.git",
        f"{SECRET}@example.org:org/p.git",
        f"x ada:{SECRET}@example.org/p",
    ],
)
def test_a_user_without_a_scheme_is_cut(text: str) -> None:
    assert SECRET not in harmless.text(text)[0]


HARMLESS = [
    "https://files.example.org/packages/5c/38/a3f6/six-1.16.0-py2.py3-none-any.whl",
    f"https://files.example.org/packages/5c/38/{'ab12' * 15}/p-1.tar.gz#sha256={'0' * 64}",
    "https://registry.example.org/@scope/name/-/name-1.0.0.tgz",
    "https://registry.example.org/name/-/name-1.0.0-beta.20230101120000.tgz",
    "https://conda.example.org/conda-forge/linux-64/python-3.11.7-hab00c5b_1_cpython.conda",
    f"https://github.com/ada/shop/archive/{'0a' * 20}.zip",
    "https://codeload.github.com/ada/shop/tar.gz/v1.2.3",
    "git+https://github.com/ada/shop.git#main",
    f"git+ssh://git@github.com/ada/shop.git#{'0a' * 20}",
    "git+https://github.com/ada/shop.git#semver:^1.0",
    "https://example.org/p-1.tar.gz#subdirectory=a/b&egg=p",
    "https://gitlab.example.org/api/v4/projects/123/packages/pypi/files/p-1-py3-none-any.whl",
    "https://dl.cloudsmith.io/public/ada/shop/python/p.whl",
    "http://localhost:8080/simple/p/",
    "file:///home/ada/t/Xy12Xy12Xy12Xy12Xy/p.whl",
]


@pytest.mark.parametrize("url", HARMLESS)
def test_an_address_of_a_known_form_stays(url: str) -> None:
    assert harmless.address(url) == (url, False)
    assert harmless.text(url) == (url, False)


@pytest.mark.parametrize(
    "text", ["npm:name@1.2.3", "^1.0.0", "github:ada/shop#main", "a@b", "x: y"]
)
def test_a_text_without_addresses_stays(text: str) -> None:
    assert harmless.text(text) == (text, False)


@given(st.text(max_size=60) | st.text("https://@:#?&=ab", max_size=60))
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    clean, _ = harmless.text(text)
    assert harmless.text(clean)[0] == clean


def test_long_texts_take_no_time() -> None:
    began = time.monotonic()
    for text in ("a" * 2_000_000, "://" * 500_000, "a@" * 500_000, "a:" * 500_000, "/" * 2_000_000):
        harmless.text(text)
        harmless.option("A", text)
    assert time.monotonic() - began < 5


# Options.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name.upper().replace("-", "_"), SECRET) for name in NAMES),
        ("API_TOKEN", "12345"),
        ("DB_PIN", "1234"),
        ("A", SECRET),
        ("A", LONG),
        ("A", f"ON;{SECRET}"),
        ("A", f"https://ada:{SECRET}@example.org"),
        ("A", f"https://u:a/{SECRET}@example.org/x"),
        ("A", f"/x:{SECRET}"),
        ("CMAKE_CXX_FLAGS", f"-O2 -DKEY={SECRET}"),
        ("CMAKE_CXX_FLAGS", f'-O2 -DKEY="{SECRET}"'),
        ("CMAKE_CXX_FLAGS", f"-O2 {SECRET}"),
        ("c_args", f"['-DKEY={SECRET}']"),
        ("CMAKE_BUILD_TYPE", SECRET),
    ],
)
def test_an_option_that_is_not_known_to_be_harmless_is_none(name: str, value: str) -> None:
    assert not harmless.option(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUILD_TESTING", "ON"),
        ("USE_TOKEN", "OFF"),
        ("A", ""),
        ("CMAKE_BUILD_TYPE", "RelWithDebInfo"),
        ("CMAKE_CXX_STANDARD", "17"),
        ("CMAKE_CXX_COMPILER", "/usr/bin/c++"),
        ("CMAKE_INSTALL_PREFIX", "/opt/my prefix"),
        ("CMAKE_INSTALL_LIBDIR", "lib/x86_64-linux-gnu"),
        ("CMAKE_PREFIX_PATH", "/a;/b"),
        ("CMAKE_CXX_FLAGS", "-Wall -Wextra -O2 -g -I/usr/include -DNDEBUG -DX=1"),
        ("CMAKE_EXE_LINKER_FLAGS", "-L/usr/lib -lm -Wl,-z,relro"),
        ("CMAKE_OSX_ARCHITECTURES", "arm64;x86_64"),
        ("LLVM_TARGETS_TO_BUILD", "X86;AArch64"),
        ("VERSION", "1.2.3"),
        ("buildtype", "debugoptimized"),
        ("URL", "https://example.org/x"),
    ],
)
def test_an_option_that_everybody_may_read_stays(name: str, value: str) -> None:
    assert harmless.option(name, value)


# Commands.


def test_arguments_of_a_creator_lose_what_is_not_known(
    regrow: Regrow, tmp_path: Path, records_directory: Path
) -> None:
    extra = ["--no-setuptools", "--extra-search-dir", f"https://ada:{SECRET}@example.org", SECRET]
    assert harmless.words(extra) == ["--no-setuptools", "--extra-search-dir", "…", "…"]
    assert harmless.words([f"--index={SECRET}", "--pip=24.1", "--dir=/x", "3.11"]) == [
        *("--index=…", "--pip=24.1", "--dir=/x", "3.11")
    ]
    words = ("venv", "--creator", "virtualenv", tmp_path / "a", "--", f"--prompt={SECRET}x")
    assert regrow(*words).returncode == 0
    [record] = regrow.json("list")
    assert record["recipe"]["command"][-1] == "--prompt=…"


@pytest.mark.parametrize(
    "words",
    [
        f"make TOKEN={SECRET}",
        f"npm run build --token {SECRET}",
        f"npm run build --api-key={SECRET}",
        f"curl -H 'Authorization: Bearer {SECRET}' x",
        f"fetch https://ada:{SECRET}@example.org/x",
        f"fetch {LONG}",
    ],
)
def test_the_command_of_a_rule_of_ones_own_loses_its_secrets(words: str, tmp_path: Path) -> None:
    rule = Rule("own", "out", command=words)
    taken = command_recipe(rule, str(tmp_path))
    assert SECRET not in repr(taken.recipe)
    assert LONG not in repr(taken.recipe)


def test_the_commands_of_the_rules_that_come_with_regrow_stay_as_they_are() -> None:
    for rule in loader.shipped():
        taken = command_recipe(rule, "/project")
        assert "…" not in " ".join(taken.recipe["command"]), rule  # type: ignore[arg-type]


# What is written.


def planted(tmp_path: Path) -> list[Path]:
    """Make a home with secrets wherever projects have them; returns what a sweep marks of it."""
    code = tmp_path / "code"
    build, source = code / "c/build", code / "c/src"
    build.mkdir(parents=True)
    source.mkdir()
    (build / "CMakeFiles").mkdir()
    (build / "Makefile").touch()
    options = "".join(f"{name.upper().replace('-', '_')}:STRING=SECRET\n" for name in NAMES)
    (build / "CMakeCache.txt").write_text(
        f"CMAKE_HOME_DIRECTORY:INTERNAL={source}\nCMAKE_CACHEFILE_DIR:INTERNAL={build}\n"
        f"CMAKE_GENERATOR:INTERNAL=Unix Makefiles\n{options}"
        "URL:STRING=https://u:a/SECRET@example.org/x\nSAS:STRING=https://example.org/x?sig=SECRET\n"
        "CMAKE_C_FLAGS:STRING=-DKEY=SECRET\nB:BOOL=ON\n"
    )
    (source / "CMakeLists.txt").write_text("project(x)")
    node = code / "n"
    (node / "node_modules").mkdir(parents=True)
    entry = {
        "version": "git+ssh://SECRET@example.org/a.git",
        "resolved": "https://ada:SECRET@example.org/a.tgz?sig=SECRET#access_token=SECRET",
        "funding": {"url": "https://example.org/?jwt=SECRET"},
        "deprecated": "see https://u:p SECRET@example.org",
    }
    (node / "package.json").write_text(
        '{"dependencies": {"a": "https://SECRET@example.org/a.tgz"}}'
    )
    lock = {"lockfileVersion": 3, "packages": {"node_modules/a": entry}}
    (node / "node_modules/.package-lock.json").write_text(json.dumps(lock))
    environment = Environment(code / "p/.venv")
    for number, url in enumerate(ADDRESSES):
        url = url.replace(SECRET, "SECRET").replace(LONG, "SECRET1x7Kq92LmPz04")
        environment.install(f"p{number}", origin={"url": url, "archive_info": {}})
    return [build, node / "node_modules", code / "p/.venv"]


def test_no_secret_reaches_a_record_a_report_or_the_screen(
    regrow: Regrow, tmp_path: Path, home: Path, records_directory: Path
) -> None:
    places = planted(tmp_path)
    said = [regrow("mark", *places), regrow("list", "--json"), regrow("sweep", "--yes", tmp_path)]
    said += [regrow("explain", *places), regrow("sweep", "--dry-run", "--json", tmp_path)]
    said += [regrow("rebuild", "--dry-run", "--verbose"), regrow("export", "paths")]
    for done in said:
        assert "SECRET" not in done.stdout + done.stderr, done.args
    records = list(records_directory.iterdir())
    assert len([record for record in records if record.suffix == ".toml"]) == 3
    for record in records:
        assert "SECRET" not in record.read_text(), record


@pytest.mark.needs("cmake")
def test_what_was_cut_is_named_by_the_plan_of_a_rebuild(regrow: Regrow, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    recipe = cmake(tmp_path / "project", tmp_path / "project/build")
    write(recorded(tmp_path / "project/build", {**recipe, "cut": ["API_TOKEN"]}, "cmake-build"))
    plan = regrow("rebuild", "--dry-run", "--builds")
    assert "API_TOKEN" in plan.stdout
