"""Defines every check and task of the project.

`nox` runs what CI runs, except `oldest` and `build`; `nox -l` lists all sessions.
"""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.error_on_external_run = True
# nox turns this on when CI=true is set, but a machine need not have every Python.
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST = {"aiohttp": "3.13.3", "anyio": "4.5.0", "msgspec": "0.19.0", "redis": "5.1.0"}
# The suite runs once on each Python; on the oldest, `coverage` runs it.
nox.options.sessions = ["lint", "types", "docs", "coverage", *(f"tests-{version}" for version in PYTHONS[1:])]


def find_pyenv_pythons() -> None:
    """Add all Pythons that pyenv has installed to the PATH, where nox looks for them."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    bins = [path for version in PYTHONS for path in sorted(root.glob(f"versions/{version}.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*map(str, bins), os.environ["PATH"]])


find_pyenv_pythons()


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of the code, and the syntax and security of the workflows."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("actionlint", *map(str, Path(".github/workflows").glob("*.yml")))
    session.run("zizmor", "--offline", "--persona=pedantic", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy and pyright, and check that every public symbol has a declared type."""
    session.install(
        ".[cli,fleet]", *group("types")
    )  # not editable: pyright judges the package that users install
    session.run("mypy")
    # Without --pythonpath, it would resolve packages in the first Python on the PATH.
    pyright = ("basedpyright", "--pythonpath", shutil.which("python", path=session.bin) or "python")
    session.run(*pyright)
    session.run(*pyright, "--verifytypes", "builds_async", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    session.install(".[cli,fleet]", *group("tests"))
    session.run("python", "-m", "pytest", *(session.posargs or ("-n", "2")))


@nox.session(python=PYTHONS[0])
def coverage(session: nox.Session) -> None:
    """Run the tests and check the coverage that pyproject.toml requires."""
    session.install("--editable", ".[cli,fleet]", *group("tests"))
    session.run("python", "-m", "coverage", "erase")
    # Measuring triples the time of the longest tests, which comes close to the usual timeout.
    options = ("--timeout", "120", *(session.posargs or ("-n", "2")))
    session.run("python", "-m", "coverage", "run", "-m", "pytest", *options)
    session.run("python", "-m", "coverage", "combine", "--quiet")
    session.run("python", "-m", "coverage", "report")


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest dependencies that pyproject.toml allows."""
    session.install(
        ".[cli,fleet]", *group("tests"), *(f"{name}=={version}" for name, version in OLDEST.items())
    )
    session.run("python", "-m", "pytest", *(session.posargs or ("-n", "2")))


@nox.session
def chaos(session: nox.Session) -> None:
    """Run bots of a fleet for ten minutes while they are killed, stopped and cut off, and the engine dies."""
    session.install(".[cli,fleet]", *group("tests"))
    env = {"CHAOS_SECONDS": "300"}  # each of two runs
    options = ("-s", "-o", "faulthandler_timeout=900")  # the usual watchdog ends the process after 150 s
    session.run("python", "-m", "pytest", *options, "tests/fleet/test_chaos.py", *session.posargs, env=env)


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples and the code in README and docs against a simulated account."""
    session.install(".[cli,fleet]", *group("tests"))
    files = ("tests/test_examples.py", "tests/examples", "tests/test_readme.py", "tests/test_docs.py")
    session.run("python", "-m", "pytest", *files, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation in docs/_build/html, with warnings as errors; needs no network."""
    session.install(".[cli,fleet]", *group("docs"))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-E", "docs", "docs/_build/html")


@nox.session
def pictures(session: nox.Session) -> None:
    """Regenerate the pictures of README and docs from real runs; needs Chromium."""
    session.install(".[cli,fleet]", *group("tests"))
    session.run("python", "docs/pictures.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session
def bench(session: nox.Session) -> None:
    """Compare CPU with a hand-written loop and the official SDK, and check memory; `-- --quick`: rough."""
    session.install(".[fleet]", *group("tests"), *group("bench"))
    session.run("python", "tests/benchmarks/run.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session
def build(session: nox.Session) -> None:
    """Build and check a wheel and an sdist, and import the wheel in an environment of its own."""
    shutil.rmtree("dist", ignore_errors=True)
    session.install(*group("build"))
    session.run("python", "-m", "build", "--outdir", "dist")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    wheel = next(Path("dist").glob("*.whl"))
    session.install("--force-reinstall", str(wheel))
    session.run(
        "python", "-I", "-c", "import builds_async, builds_async.simulator; print(builds_async.__version__)"
    )
