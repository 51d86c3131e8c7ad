"""Every test module can be imported where the calls and packages of Linux are missing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

LIKE_MACOS = """
import fcntl, os, select, sys, sysconfig

sysconfig.get_config_vars()  # reads a file that is named for the platform
for name in dir(os):
    if name.endswith("xattr") or name.startswith(("sched_", "setres", "memfd_", "pidfd_")):
        delattr(os, name)
for module, name in ((select, "epoll"), (fcntl, "F_SETPIPE_SZ"), (os, "O_TMPFILE")):
    delattr(module, name)
sys.modules["inotify_simple"] = None
sys.platform = "darwin"
"""
"""A ``sitecustomize`` that takes from an interpreter on Linux what macOS does not have."""

COUNT = """
from _pytest.skipping import evaluate_skip_marks

def pytest_collection_finish(session):
    run = [item for item in session.items if evaluate_skip_marks(item) is None]
    print(f"count: {len(run)} of {len(session.items)}")
"""
"""A plugin that counts the tests that would run."""


def test_macos_collects_every_module_and_runs_most_tests(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LIKE_MACOS)
    (tmp_path / "count_tests.py").write_text(COUNT)
    command = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "count_tests")
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--assert=plain"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    (counts,) = (line for line in done.stdout.splitlines() if line.startswith("count: "))
    _, run, _, collected = counts.split()
    assert int(run) > int(collected) / 2
