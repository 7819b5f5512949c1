"""Everything that can be run on this project: `nox` for what CI runs, `nox -l` for the rest."""

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.error_on_external_run = True
# nox turns this on under CI=true; a machine need not have every Python.
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OLDEST = {"aiohttp": "3.13.3", "anyio": "4.5.0", "msgspec": "0.19.0"}
# The suite runs once on each Python: on the oldest one under coverage.
nox.options.sessions = ["lint", "types", "docs", "coverage", *(f"tests-{version}" for version in PYTHONS[1:])]


def find_pyenv_pythons() -> None:
    """Put the Pythons that pyenv has installed, but not activated, on the PATH, where nox looks."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    bins = [path for version in PYTHONS for path in sorted(root.glob(f"versions/{version}.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*map(str, bins), os.environ["PATH"]])


find_pyenv_pythons()


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Style of the code, and the workflows' syntax and security."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("actionlint", *map(str, Path(".github/workflows").glob("*.yml")))
    session.run("zizmor", "--offline", "--persona=pedantic", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """What mypy and pyright say of the code, and that every public symbol has a declared type."""
    session.install(".[cli]", *group("types"))  # not editable: pyright judges the package that users install
    session.run("mypy")
    # Named, or it takes the packages of whichever Python it finds first.
    pyright = ("basedpyright", "--pythonpath", shutil.which("python", path=session.bin) or "python")
    session.run(*pyright)
    session.run(*pyright, "--verifytypes", "builds_async", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    session.install(".[cli]", *group("tests"))
    session.run("python", "-m", "pytest", *(session.posargs or ("-n", "2")))


@nox.session(python=PYTHONS[0])
def coverage(session: nox.Session) -> None:
    """The tests, and that they reach what pyproject.toml demands of lines and branches."""
    session.install("--editable", ".[cli]", *group("tests"))
    session.run("python", "-m", "coverage", "erase")
    # Measuring makes the longest tests three times as long; the usual timeout is too near to that.
    options = ("--timeout", "120", *(session.posargs or ("-n", "2")))
    session.run("python", "-m", "coverage", "run", "-m", "pytest", *options)
    session.run("python", "-m", "coverage", "combine", "--quiet")
    session.run("python", "-m", "coverage", "report")


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """The tests on the oldest dependencies that pyproject.toml allows."""
    session.install(".[cli]", *group("tests"), *(f"{name}=={version}" for name, version in OLDEST.items()))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """The examples and the code of README and docs, against a simulated account."""
    session.install(".[cli]", *group("tests"))
    files = ("tests/test_examples.py", "tests/test_readme.py", "tests/test_docs.py")
    session.run("python", "-m", "pytest", *files, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation in docs/_build/html, every warning an error; needs no network."""
    session.install(".[cli]", *group("docs"))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "-E", "docs", "docs/_build/html")


@nox.session
def pictures(session: nox.Session) -> None:
    """Make the pictures of README and docs again, from real runs; the page needs Chromium."""
    session.install(".[cli]", *group("tests"))
    session.run("python", "docs/pictures.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session
def bench(session: nox.Session) -> None:
    """CPU and memory beside a hand loop and the official SDK; `-- --quick` for a look."""
    session.install(".", *group("tests"), *group("bench"))
    session.run("python", "tests/benchmarks/run.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session
def build(session: nox.Session) -> None:
    """A wheel and an sdist, checked, and the wheel tried where nothing else is installed."""
    shutil.rmtree("dist", ignore_errors=True)
    session.install(*group("build"))
    session.run("python", "-m", "build", "--outdir", "dist")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    wheel = next(Path("dist").glob("*.whl"))
    session.install("--force-reinstall", str(wheel))
    session.run(
        "python", "-I", "-c", "import builds_async, builds_async.simulator; print(builds_async.__version__)"
    )
