"""What is installed in an environment, read from site-packages that are made by hand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regrow.recipes.harmless import address as without_credentials
from regrow.recipes.recipe import RecipeError
from tests.recipes.environment import Environment

SECRET = "hunter2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA = "a1" * 32


def test_names_and_versions_are_pinned_in_order(environment: Environment) -> None:
    environment.install("six", "1.17.0")
    environment.install("Attrs", "25.3.0")
    environment.install("torch", "2.0+cpu")
    assert environment.requirements == ["Attrs==25.3.0", "six==1.17.0", "torch==2.0+cpu"]


def vcs(url: str, **more: str) -> dict[str, Any]:
    return {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}, **more}


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (vcs("https://example.org/p.git"), f"p @ git+https://example.org/p.git@{COMMIT}"),
        (vcs("ssh://git@example.org/p"), f"p @ git+ssh://git@example.org/p@{COMMIT}"),
        (
            vcs("https://example.org/p.git", subdirectory="a/b c"),
            f"p @ git+https://example.org/p.git@{COMMIT}#subdirectory=a/b%20c",
        ),
        (
            {
                "url": "https://example.org/p-1.0.tar.gz",
                "archive_info": {"hashes": {"md5": "ab", "sha256": SHA}, "hash": "md5=ab"},
                "subdirectory": "sub",
            },
            f"p @ https://example.org/p-1.0.tar.gz#sha256={SHA}&subdirectory=sub",
        ),
        (
            {"url": "https://example.org/p.whl", "archive_info": {"hash": f"sha256={SHA}"}},
            f"p @ https://example.org/p.whl#sha256={SHA}",
        ),
        ({"url": "https://example.org/p.whl", "archive_info": {}}, "p @ https://example.org/p.whl"),
    ],
)
def test_origin(environment: Environment, origin: dict[str, Any], requirement: str) -> None:
    environment.install("p", origin=origin)
    assert environment.requirements == [requirement]


@pytest.mark.parametrize("name", ["plain", "with blank", "quo'te", "a#b", "a[b]", "naïve"])
def test_local_origins(environment: Environment, tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.mkdir()
    (source / "a.whl").touch()
    environment.install("dir", origin={"url": source.as_uri(), "dir_info": {}})
    editable = {"url": source.as_uri(), "dir_info": {"editable": True}}
    environment.install("dev", origin=editable)
    archive = f"{source.as_uri()}/a.whl"
    environment.install("arc", origin={"url": archive, "archive_info": {}})
    shown = str(source) if name == "plain" else source.as_uri()
    wanted = [f"arc @ {archive}", f"-e {shown}", f"dir @ {source.as_uri()}"]
    assert environment.requirements == wanted


def test_subdirectory_of_a_local_repository_keeps_its_slashes(
    environment: Environment, tmp_path: Path
) -> None:
    origin = vcs(tmp_path.as_uri(), subdirectory="sub")
    environment.install("p", origin=origin)
    wanted = f"p @ git+{tmp_path.as_uri()}@{COMMIT}#subdirectory=sub"
    assert environment.requirements == [wanted]


@pytest.mark.parametrize("kind", ["dir_info", "archive_info", "editable"])
def test_a_source_that_is_gone_or_inside_keeps_the_environment(
    environment: Environment, tmp_path: Path, kind: str
) -> None:
    detail = {"dir_info": {"editable": True}} if kind == "editable" else {kind: {}}
    gone = environment.install("p", origin={"url": f"{tmp_path.as_uri()}/gone", **detail})
    with pytest.raises(RecipeError, match=r"p was installed from .*/gone, which is gone"):
        environment.take()
    inside = environment.path / "checkout"
    inside.mkdir()
    origin = {"url": inside.as_uri(), **detail}
    (gone / "direct_url.json").write_text(json.dumps(origin))
    with pytest.raises(RecipeError, match="which is inside it"):
        environment.take()


def test_eggs_of_every_kind(environment: Environment, tmp_path: Path) -> None:
    text = "Metadata-Version: 1.0\r\nName: {}\r\nVersion: 2.0\r\n"
    (environment.site / "single-2.0.egg-info").write_text(text.format("single"))
    (environment.site / "folder-2.0-py3.11.egg-info").mkdir()
    (environment.site / "folder-2.0-py3.11.egg-info/PKG-INFO").write_text(text.format("folder"))
    (environment.site / "folder-2.0-py3.11.egg-info/top_level.txt").write_text("inner\n")
    (environment.site / "zipped-2.0-py3.11.egg/EGG-INFO").mkdir(parents=True)
    (environment.site / "zipped-2.0-py3.11.egg/EGG-INFO/PKG-INFO").write_text(text.format("egg"))
    (tmp_path / "developed").mkdir()
    (environment.site / "linked.egg-link").write_text(f"{tmp_path}/developed\n.")
    (environment.site / "easy-install.pth").write_text(f"{tmp_path}/developed\n")
    (environment.site / "single.py").touch()
    (environment.site / "inner").mkdir()
    taken = environment.take()
    assert taken.recipe["requirements"] == [
        "egg==2.0",
        "folder==2.0",
        f"-e {tmp_path}/developed",
        "single==2.0",
    ]
    assert "unowned" not in taken.recipe


def test_distribution_without_record(environment: Environment) -> None:
    environment.install("No-Record", files=None)
    (environment.site / "No_Record").mkdir()
    assert environment.requirements == ["No-Record==1.0"]
    assert "unowned" not in environment.recipe()


def test_what_pip_was_removing_is_no_distribution(environment: Environment) -> None:
    environment.install("pip", "24.0")
    environment.install("~ip", "23.0")
    taken = environment.take()
    assert taken.recipe["requirements"] == ["pip==24.0"]
    assert "unowned" not in taken.recipe


def test_two_versions_of_one_distribution_are_refused(environment: Environment) -> None:
    environment.install("six", "1.16.0")
    environment.install("six", "1.17.0")
    with pytest.raises(RecipeError, match=r"twice: six==1\.16\.0 and six==1\.17\.0"):
        environment.take()


def test_lib64_counts_once(environment: Environment) -> None:
    environment.install("six", "1.17.0")
    (environment.path / "lib64").symlink_to("lib")
    assert environment.requirements == ["six==1.17.0"]


def test_lib_that_is_a_link_is_refused(environment: Environment) -> None:
    environment.install("six")
    (environment.path / "lib").rename(environment.path.parent / "elsewhere")
    (environment.path / "lib").symlink_to("../elsewhere")
    with pytest.raises(RecipeError, match="symbolic link"):
        environment.take()


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"Version: 1.0\n",
        b"Name: six\n",
        b"\x00\xff\xfe\x80" * 5000,
        b"Name: --index-url=https://example.org\nVersion: 1\n",
        b"Name: -r\nVersion: 1\n",
        b"Name: ../../etc\nVersion: 1\n",
        b"Name: /etc/passwd\nVersion: 1\n",
        b"Name: six @ https://example.org/x\nVersion: 1\n",
        b"Name: si\xffx\nVersion: 1\n",
        b"Name: six\nVersion: 1 --pre\n",
        b"Name: six\nVersion: *\n",
        b"Name: six\nVersion: 1\xe2\x80\xa8-r x\n",
        b"Name: six\n\nVersion: 1\n",  # that one stands in the description
        b"Summary: one\n Name: six\n Version: 1\n",
        b"Summary: " + b"x" * 10_000_000 + b"\nName: six\nVersion: 1\n",
        b"Name: six\nA: " + b"x" * (8192 - 26) + b"\nVersion: 1.23456789\n",  # cut off by the limit
    ],
)
def test_unusable_metadata_are_refused_with_a_sentence(
    environment: Environment, metadata: bytes
) -> None:
    directory = environment.install("broken")
    (directory / "METADATA").write_bytes(metadata)
    with pytest.raises(RecipeError, match=r"broken-1\.0\.dist-info in it (has no|says neither)"):
        environment.take()


def test_huge_description_costs_nothing(environment: Environment) -> None:
    directory = environment.install("big")
    with (directory / "METADATA").open("ab") as file:
        file.truncate(1 << 40)  # a terabyte with nothing in it
    assert environment.requirements == ["big==1.0"]


@pytest.mark.parametrize("name", ["METADATA", "direct_url.json", "RECORD", "pyvenv.cfg"])
@pytest.mark.parametrize("kind", ["fifo", "link", "dangling", "directory"])
def test_special_files_are_refused(
    environment: Environment, tmp_path: Path, name: str, kind: str
) -> None:
    directory = environment.install("special")
    place = environment.path / name if name == "pyvenv.cfg" else directory / name
    place.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        (tmp_path / "real").write_text("Name: special\nVersion: 1.0\n")
        place.symlink_to(tmp_path / ("real" if kind == "link" else "none"))
    with pytest.raises(RecipeError, match=f"{name}: it is (a symbolic link|not a regular file)"):
        environment.take()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"9" * 10_000,
        b"[]",
        b"null",
        b'"url"',
        b"{}",
        b'{"url": 1}',
        b'{"url": null, "vcs_info": {}}',
        b'{"url": "https://example.org", "vcs_info": []}',
        b'{"url": "https://example.org", "vcs_info": {"vcs": "git"}}',
        b'{"url": "https://example.org", "vcs_info": {"vcs": 1, "commit_id": 1}}',
        b'{"url": "https://example.org", "vcs_info": {"vcs": "-x", "commit_id": "a"}}',
        b'{"url": "https://example.org", "vcs_info": {"vcs": "git", "commit_id": "a b"}}',
        b'{"url": "https://example.org", "archive_info": {"hashes": {"sha256": 1}}}',
        b'{"url": "https://example.org", "archive_info": {"hashes": 1}}',
        b'{"url": "https://example.org", "archive_info": {"hash": 1}}',
        b'{"url": "https://example.org", "archive_info": {}, "subdirectory": [1]}',
        b'{"url": "https://example.org", "dir_info": {}}',
        b'{"url": "file:///tmp", "dir_info": []}',
        b'{"url": "file://host/tmp", "dir_info": {}}',
        b'{"url": "file:-x", "dir_info": {"editable": true}}',
        b'{"url": "file:///a%00b", "dir_info": {"editable": true}}',
        b'{"url": "--index-url", "archive_info": {}}',
        b'{"url": "https://example.org/a b", "archive_info": {}}',
        b'{"url": "https://example.org/\\n--index-url=x", "archive_info": {}}',
        b'{"url": "https://example.org/\\u2028-r x", "archive_info": {}}',
        b'{"url": "https://example.org/\\u0085-r", "archive_info": {}}',
        b'{"url": "https://example.org/\\ud800", "archive_info": {}}',
        b'{"url": "https://example.org/\\u001b[2J", "archive_info": {}}',
        b" " * 2_000_000 + b"{}",
    ],
)
def test_unusable_origin_is_refused_with_a_sentence(environment: Environment, text: bytes) -> None:
    (environment.install("six") / "direct_url.json").write_bytes(text)
    with pytest.raises(
        RecipeError, match=r"six comes from can't be read: ['\w]|direct_url\.json: it"
    ):
        environment.take()


@pytest.mark.parametrize("text", ["", "relative/path\n", "--option\n", "/a\0b\n"])
def test_egg_link_without_a_project_is_refused(environment: Environment, text: str) -> None:
    (environment.site / "x.egg-link").write_text(text)
    with pytest.raises(RecipeError, match="names no project"):
        environment.take()


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        (f"https://ada:{SECRET}@example.org/p.whl", "https://example.org/p.whl"),
        (f"https://{SECRET}@example.org/p.whl", "https://example.org/p.whl"),
        (f"https://git:{SECRET}@example.org/p.whl", "https://example.org/p.whl"),
        (f"https://ada:p@{SECRET}@example.org/p", "https://example.org/p"),
        (f"HTTPS://ada:{SECRET}@example.org:8443/p", "HTTPS://example.org:8443/p"),
        (f"https://example.org/p?ref=1&token={SECRET}", "https://example.org/p?ref=1"),
        (f"https://example.org/p?to%6ben={SECRET}", "https://example.org/p"),
        (
            f"https://example.org/p?X-Amz-Signature={SECRET}&tag=%2F",
            "https://example.org/p?tag=%2F",
        ),
        (f"https://example.org/p?sig={SECRET};rev=1", "https://example.org/p?rev=1"),
        (f"https://example.org/t/{SECRET}/linux-64/p", "https://example.org/linux-64/p"),
        (f"https://example.org/t/a/t/{SECRET}/t/{SECRET}", "https://example.org"),
        (f"https://example.org/p#access_token={SECRET}&egg=b", "https://example.org/p#egg=b"),
        (f"ssh://ada:{SECRET}@example.org/p", "ssh://example.org/p"),
        (f"git+ssh://git@example.org/p?password={SECRET}", "git+ssh://git@example.org/p"),
    ],
)
def test_credentials_are_cut_out(environment: Environment, url: str, clean: str) -> None:
    assert without_credentials(url) == (clean, True)
    environment.install("p", origin={"url": url, "archive_info": {}})
    taken = environment.take()
    assert taken.recipe["requirements"] == [f"p @ {clean.partition('#')[0]}"]
    assert SECRET not in repr(taken)
    assert taken.remarks == ("credentials were cut out of the address of p",)


@pytest.mark.parametrize(
    "url",
    [
        "https://${USER}:${PASSWORD}@example.org/p",
        "https://${TOKEN}@example.org/p?token=${TOKEN}",
        "https://example.org/t/${TOKEN}/p",
        "git+ssh://git@example.org/p@v1",
        "svn+ssh://svn@example.org/p",
        "git+file:///home/ada/t/p@abc#subdirectory=x",
        "file:///home/t/key/@scope/a:b@c",
        "https://example.org/p@1:2?",
        "https://[::1]:80/p@v1",
        "https://example.org/p.git@v1.0",
    ],
)
def test_what_is_no_secret_stays(url: str) -> None:
    assert without_credentials(url) == (url, False)


@pytest.mark.parametrize(
    "url",
    [
        f"https://ada:{SECRET}/x@example.org/p",
        f"https://ada:x#{SECRET}@example.org/p",
        f"https://ada:x?{SECRET}@example.org/p",
        f"https:///ada:{SECRET}@example.org/p",
        f"https:ada:{SECRET}@example.org/p",
        f"https://ada:{SECRET}\n@example.org/p",
        f"https://ada:{SECRET} @example.org/p",
        f"//ada:{SECRET}@example.org",
    ],
)
def test_refused_addresses_are_not_shown(environment: Environment, url: str) -> None:
    environment.install("p", origin={"url": url, "archive_info": {}})
    with pytest.raises(RecipeError, match="where p comes from can't be read: an address") as caught:
        environment.take()
    assert SECRET not in str(caught.value)


words = st.text(st.characters(codec="utf-8", exclude_characters="/?#@"), min_size=1, max_size=12)
ordinary = st.from_regex(r"[a-z]{1,8}", fullmatch=True)


@given(
    scheme=st.sampled_from(["https", "http", "git+https", "git+ssh", "ssh", "svn+http", "file"]),
    user=words | st.just("git") | st.just(""),
    password=words,
    in_query=st.sampled_from(["token", "access_token", "sig", "X-Amz-Signature", "api-key"]),
    place=ordinary,
    path=st.lists(ordinary | st.just("t"), max_size=5),
)
@example("https", "git", "x", "sig", "host", ["t", "t", "t"])
def test_no_password_comes_out(
    scheme: str, user: str, password: str, in_query: str, place: str, path: list[str]
) -> None:
    password = f"<{password}>"
    tail = "/".join(path)
    url = f"{scheme}://{user}:{password}@{place}/{tail}?a=b&{in_query}=<{place}>#c=d"
    try:
        clean, was_cut = without_credentials(url)
    except ValueError as error:
        clean, was_cut = f"{error} {place}", True  # the message is for people's eyes, too
        is_refused = True
    else:
        is_refused = False
    assert was_cut
    assert password not in clean
    assert f"<{place}>" not in clean
    assert place in clean
    if not is_refused:
        assert without_credentials(clean) == (clean, False)


@given(st.text(max_size=40).map(lambda rest: f"https://{rest}") | st.text(max_size=40))
def test_cutting_twice_is_cutting_once(text: str) -> None:
    try:
        clean, _ = without_credentials(text)
    except ValueError:
        return
    assert without_credentials(clean) == (clean, False)
