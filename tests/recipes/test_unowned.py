"""The files of an environment that no package brings back."""

import os

from tests.recipes.environment import Environment


def test_unowned_files_are_named(environment: Environment) -> None:
    environment.install(
        "tool",
        files=(
            "tool/__init__.py",
            "tool.pth",
            '"od,d.py"',
            "../../../bin/tool",
            "../../../share/man/man1/thing.1",
        ),
    )
    for owned in ("od,d.py", "__pycache__/x", "_virtualenv.py", "pip-26.3.virtualenv"):
        (environment.site / owned).parent.mkdir(exist_ok=True)
        (environment.site / owned).touch()
    (environment.site / '"od,d.py"').unlink()
    for owned in ("bin/python", "bin/python3.11", "bin/activate.fish", "bin/pip3", "CACHEDIR.TAG"):
        (environment.path / owned).touch()
    (environment.path / "lib64").symlink_to("lib")
    assert "unowned" not in environment.recipe()
    for mine in ("bin/backup.sh", "bin/thing.1", "notes.txt"):
        (environment.path / mine).touch()
    (environment.path / "data").mkdir()
    (environment.site / "mine.py").touch()
    (environment.site / "mine").mkdir()
    taken = environment.take()
    assert taken.recipe["unowned"] == [
        "bin/backup.sh",
        "bin/thing.1",
        "data",
        "lib/python3.11/site-packages/mine",
        "lib/python3.11/site-packages/mine.py",
        "notes.txt",
    ]
    (remark,) = taken.remarks
    assert remark.startswith("no package brings these files in it back: bin/backup.sh, bin/thing.1")
    assert remark.endswith(", …")


def test_what_poetry_records_by_its_full_path_is_owned(environment: Environment) -> None:
    environment.install("demo", files=(f"{environment.site}/demo.pth",))
    (environment.site / "demo.pth").write_text("/home/ada/code/demo\n")
    assert "unowned" not in environment.recipe()


def test_unowned_name_that_is_not_utf8(environment: Environment) -> None:
    (environment.path / "bin" / os.fsdecode(b"\xff")).touch()
    assert environment.recipe()["unowned"] == [os.fsdecode(b"bin/\xff")]
