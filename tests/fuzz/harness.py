"""``make fuzz``: each target in turn by atheris, which looks for inputs that reach new code.

Where atheris can't be installed (it has wheels for some Pythons on Linux), hypothesis' fuzzing runs
instead: the slow test of ``test_fuzz``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))  # for each target


def fuzz(name: str, place: Path, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it.

    Args:
        name: the target's.
        place: a directory for its files; what makes it fail is left in it.
        seconds: how long.
    """
    import atheris

    with atheris.instrument_imports(include=["regrow"]):
        from tests.fuzz import targets

    corpus = place / "corpus"
    corpus.mkdir()
    for number, piece in enumerate((*targets.PIECES[name], b"".join(targets.PIECES[name]))):
        (corpus / str(number)).write_bytes(piece)

    def one(data: bytes) -> None:
        targets.run(name, data, place / "a/b")

    words = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=8192", "-verbosity=0"]
    atheris.Setup([*words, f"-artifact_prefix={place}/", str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    """Fuzz all targets, or those that are named; returns the exit code."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed here: hypothesis' fuzzing runs instead")
        words = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "tests/fuzz"]
        return subprocess.run(words, check=False).returncode
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in sys.argv[1:] or TARGETS:
        print(f"{name}: {SECONDS} seconds", flush=True)
        place = tempfile.mkdtemp(prefix="regrow-fuzz-")
        words = [sys.executable, "-m", "tests.fuzz.harness", "--one", name, place]
        if subprocess.run(words, check=False).returncode:
            failed.append(f"{name} (see {place})")
        else:
            shutil.rmtree(place)
    print(f"failed: {', '.join(failed)}" if failed else "nothing but RegrowError was raised")
    return int(bool(failed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], Path(sys.argv[3]), SECONDS)
    else:
        sys.exit(main())
