"""The recipe of an environment with 200 distributions, beside what lists them."""

import statistics
import subprocess
import zipfile
from pathlib import Path

from benchmarks.measure import WARM_UPS, Bench, seconds
from benchmarks.report import Result

DISTRIBUTIONS = 200
_BOUND = 60.0  # milliseconds

# A fresh process: what the recipe's modules cost to load is a part of what it takes.
_TAKE = """\
import sys, time
before = time.perf_counter()
from regrow.recipes import python
taken = python.build(sys.argv[1], sys.argv[2])
print((time.perf_counter() - before) * 1000)
assert len(taken.recipe["requirements"]) == int(sys.argv[3]), taken.recipe["requirements"]
assert taken.recipe["agrees_with"] == ["requirements.txt"], taken.recipe
"""


def python_environment(bench: Bench) -> list[Result]:
    """Taking the recipe of an environment with 200 distributions, beside pip freeze."""
    environment = bench.environment
    project = bench.place / "recipes"
    target = project / ".venv"
    wheels = [_make_wheel(project / "wheels", f"tiny_{n:03}") for n in range(DISTRIBUTIONS)]
    lines = "".join(f"tiny-{n:03}==1.0\n" for n in range(DISTRIBUTIONS))
    (project / "requirements.txt").write_text(lines)
    uv = [bench.tool("uv")]
    offline = ["--offline", "--no-index", "--find-links", str(wheels[0].parent)]
    install = ["pip", "install", "-q", "--python", str(target / "bin/python"), *offline]
    for words in (
        ["venv", "-q", str(target)],
        [*install, "-r", str(project / "requirements.txt")],
    ):
        subprocess.run([*uv, *words], env=environment, check=True)

    take = [bench.tool("python"), "-I", "-c", _TAKE, str(target), str(project)]
    pip = [bench.tool("python"), "-m", "pip", "--python", str(target / "bin/python"), "freeze"]
    uv_freeze = [*uv, "pip", "freeze", "-q", "--python", str(target / "bin/python")]
    ours: list[float] = []
    whole: list[float] = []
    theirs: list[float] = []
    uvs: list[float] = []
    for number in range(WARM_UPS + bench.runs):
        words = [*take, str(DISTRIBUTIONS)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        figures = (
            float(done.stdout),
            seconds(words, environment) * 1000,
            seconds(pip, environment) * 1000,
            seconds(uv_freeze, environment) * 1000,
        )
        if number >= WARM_UPS:
            for times, figure in zip((ours, whole, theirs, uvs), figures, strict=True):
                times.append(figure)
    median = statistics.median
    detail = (
        f"whole process {median(whole):.0f} ms; pip freeze {median(theirs):.0f} ms,"
        f" uv pip freeze {median(uvs):.0f} ms"
    )
    what = f"recipe of {DISTRIBUTIONS} distributions"
    return [Result(what, median(ours), "ms", _BOUND, detail)]


def _make_wheel(place: Path, name: str) -> Path:
    """Write a pure wheel with a package and a description of ordinary length."""
    place.mkdir(parents=True, exist_ok=True)
    information = f"{name}-1.0.dist-info"
    modules = {f"{name}/module_{number}.py": "" for number in range(40)}
    files = {
        **modules,
        f"{information}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n" + "A line about it.\n" * 500
        ),
        f"{information}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    files[f"{information}/RECORD"] = "".join(f"{file},,\n" for file in files)
    wheel = place / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return wheel
