"""The structure of the package: the imports between layers, and the public exports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import builds_async
import builds_async.models
from builds_async import _public
from tests.support.case import Case, cases

ROOT = Path(builds_async.__file__).parent
LOWER = ["_version", "models", "errors", "results", "session", "resources", "live"]
CLIENT = ["diagnose", "repair", "probe", "build_verbs", "live_verbs", "client"]
LAYERS = [*LOWER, *CLIENT, "_public", "__init__", "fleet", "testing", "dashboard", "cli"]
KNOW_THE_SIMULATOR = {"testing", "cli"}
"""The fixtures and the command's demo use it."""
APART = {
    "live": {"resources"},
    "diagnose": {"resources", "live"},
    "repair": {"live"},
    "probe": {"live"},
    "fleet": {"resources", *CLIENT, "_public"},
}
"""Lower layers that a layer must not import: live verbs and the diagnosis use resources through Protocols.

The fleet is above the live verbs, and the client does not import it.
"""
MODULES = sorted(ROOT.rglob("*.py"))
SIMULATOR = [path for path in MODULES if path.is_relative_to(ROOT / "simulator")]
SIMULATOR_KNOWS = ["models", "errors", "session.clock", "session.hosts", "session.transport", "simulator"]
LAYERED = [path for path in MODULES if path not in SIMULATOR]


def name_of(path: Path) -> str:
    """The name by which a module is imported."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The modules that a file imports anywhere, even inside functions or for types only."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    package = name_of(path).split(".") if path.stem == "__init__" else name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            is_module = {alias.name: _exists(f"{module}.{alias.name}") for alias in node.names}
            yield from (f"{module}.{name}" if is_module[name] else module for name in is_module)


@cache
def _exists(module: str) -> bool:
    path = ROOT.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def layer_of(module: str) -> str:
    """The layer of a module in this package."""
    parts = module.split(".")
    if len(parts) == 1:
        return "__init__"
    return "cli" if parts[1] == "__main__" else parts[1]


def ours(path: Path) -> list[str]:
    """The modules of this package that a file imports."""
    return [module for module in imports(path) if module.split(".")[0] == "builds_async"]


def test_upwards_only() -> None:
    """A module imports its own layer and lower ones; only the fixtures and the command add the simulator."""
    for path in LAYERED:
        layer = layer_of(name_of(path))
        allowed = {*LAYERS[: LAYERS.index(layer) + 1]} - APART.get(layer, set())
        if layer in KNOW_THE_SIMULATOR:
            allowed.add("simulator")
        with Case(path):
            assert [module for module in ours(path) if layer_of(module) not in allowed] == []


def test_layers() -> None:
    """Every module has a layer, and the test detects the imports that it checks."""
    assert {layer_of(name_of(path)) for path in LAYERED} <= set(LAYERS)
    assert "builds_async.session.headers" in ours(ROOT / "session" / "budget.py")
    assert "builds_async.errors" in ours(ROOT / "_public.py")


def test_simulator() -> None:
    """The simulator imports only the models, errors, clock and transport of the rest of the package.

    Its one method that creates a client is the exception.
    """
    for path in SIMULATOR:
        allowed = [*(f"builds_async.{name}" for name in SIMULATOR_KNOWS)]
        if path.name == "simulator.py":
            allowed.append("builds_async.client")
        with Case(path):
            assert [module for module in ours(path) if not module.startswith(tuple(allowed))] == []


DOORS = {"builds_async", "builds_async.errors", "builds_async.fleet", "builds_async.simulator"}
"""The modules that users import from. The errors are in the first one too, which loads everything."""
NOT_PUBLIC = {
    # Needed before slow imports: the version, and the outcomes behind exit codes.
    "builds_async._version",
    "builds_async.models.builds",
    # How text is displayed and sanitized. `LogLine.text` is for programs that print plain lines.
    "builds_async.models.text",
    "builds_async.models.render",
    # The step of each line during printing; `log.steps` has those of a whole page.
    "builds_async.models.steps",
    # The kind of a word on the command line: a tag, a pasted token, a URL with a password.
    "builds_async.session.ids",
    "builds_async.session.redact",
    "builds_async.fleet.address",
    # Whether an address to listen on is this machine.
    "builds_async.session.hosts",
    # The exit code for the status of a finding.
    "builds_async.session.refusal",
    # The URL of a page if the name is known; `client.dashboard_url` looks it up.
    "builds_async.resources.dashboard",
    # A build as far as an event describes it.
    "builds_async.models.events",
    # The line with the reason, found page by page while a log is read.
    "builds_async.models.reason",
    # The file of `--resume`, which a `FileStore` can read, and atomic file replacement.
    "builds_async.live.position_file",
    "builds_async.live.files",
}
"""Additional imports of the command. None of them makes a request, and none is a verb for users."""


def test_command_and_page_use_public_names() -> None:
    """The command and the page use public names, so that any program can do the same."""
    used = {
        module
        for path in LAYERED
        if layer_of(name_of(path)) in {"cli", "dashboard"}
        for module in ours(path)
        if layer_of(module) not in {"cli", "dashboard"}
    }
    assert used - DOORS == NOT_PUBLIC


def rings(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or indirectly."""

    def reachable(start: str) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            new = graph.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found

    reached = {module: reachable(module) for module in graph}
    groups = [
        {module, *(other for other in reached[module] if module in reached.get(other, ()))}
        for module in sorted(graph)
        if module in reached[module]
    ]
    return [group for number, group in enumerate(groups) if group not in groups[:number]]


@pytest.mark.slow
def test_no_import_cycles() -> None:
    """No two modules import each other, directly or indirectly, even for types or inside a function."""
    assert rings({name_of(path): set(ours(path)) for path in MODULES}) == []


def test_cycles_are_found() -> None:
    """The cycle check detects cycles of any length, and nothing else."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set[str](), "f": {"f"}}
    assert rings(graph) == [{"a", "b", "c"}, {"f"}]


def test_aiohttp() -> None:
    """Outside of simulator, command and page, only the transport and a type of the client need aiohttp."""
    places = [path.relative_to(ROOT) for path in LAYERED if "aiohttp" in _packages(path)]
    knows = {place.as_posix() for place in places if place.parts[0] not in {"cli", "dashboard"}}
    assert knows <= {"session/aiohttp_transport.py", "client.py"}


def _packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


@cases("path", MODULES, ids=name_of)
def test_redis(path: Path) -> None:
    """A single file imports redis, an extra: the connection to the engine."""
    knows = any(module.split(".")[0] in {"redis", "valkey"} for module in imports(path))
    assert knows == (path.relative_to(ROOT).as_posix() == "fleet/redis.py")


def test_only_for_a_type() -> None:
    """The client refers to aiohttp only for the type of `session=`."""
    tree = ast.parse((ROOT / "client.py").read_text())
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "aiohttp"
    }
    assert named == {"ClientSession"}


@pytest.mark.slow
def test_fresh_interpreter() -> None:
    """The client loads neither the simulator nor a web server nor the command."""
    code = "import sys; from builds_async import BuildsClient; print(*sys.modules)"
    run = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
    )
    loaded = run.stdout.split()
    assert "builds_async.client" in loaded
    unwanted = (
        *("builds_async.simulator", "builds_async.cli", "builds_async.fleet"),
        *("aiohttp.web", "redis", "rich", "cyclopts"),
    )
    assert [
        module for module in loaded if f"{module}.".startswith(tuple(f"{name}." for name in unwanted))
    ] == []


@pytest.mark.slow
def test_lazy_door() -> None:
    """The package loads almost nothing until one of its names is used."""
    code = (
        "import sys, builds_async; print('aiohttp' in sys.modules);"
        "print(builds_async.errors.BuildsError is builds_async.BuildsError, 'aiohttp' in sys.modules);"
        "from builds_async import *; print(BuildsClient is builds_async.BuildsClient);"
        "print(hasattr(builds_async, 'nope'), set(builds_async.__all__) <= set(dir(builds_async)))"
    )
    run = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
    )
    assert run.stdout.split() == ["False", "True", "True", "True", "False", "True"]


class TestFrontDoor:
    def test_sorted(self) -> None:
        """`__all__` is sorted and has no duplicates."""
        assert builds_async.__all__ == sorted(set(builds_async.__all__))

    def test_complete(self) -> None:
        """`__all__` has every public name of the root, and each can be imported."""
        public = {
            name
            for name, value in vars(_public).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        }
        assert set(builds_async.__all__) == public | {"__version__"}

    def test_models(self) -> None:
        """Every API model is exported from the root."""
        assert set(builds_async.models.__all__) <= set(builds_async.__all__)

    @cases(
        "name",
        [
            "BuildsClient",
            "RetryPolicy",
            "RateBudget",
            "SystemClock",
            "Build",
            "LogFollower",
            "LogLine",
            "LogPage",
            "LogPosition",
            "BulkResult",
            "Page",
        ],
    )
    def test_pinned(self, name: str) -> None:
        """The names that the design pins exist."""
        assert name in builds_async.__all__

    def test_errors(self) -> None:
        """Every exported exception descends from BuildsError."""
        exported = [getattr(builds_async, name) for name in builds_async.__all__]
        errors = [it for it in exported if isinstance(it, type) and issubclass(it, BaseException)]
        assert builds_async.BuildsError in errors
        assert [error for error in errors if not issubclass(error, builds_async.BuildsError)] == []

    def test_documented(self) -> None:
        """Every exported class has a docstring."""
        exported = {name: getattr(builds_async, name) for name in builds_async.__all__}
        assert [name for name, it in exported.items() if isinstance(it, type) and not it.__doc__] == []

    def test_typed(self) -> None:
        """The package declares its types to type checkers."""
        assert (ROOT / "py.typed").exists()
