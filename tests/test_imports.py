"""The house: who imports whom, and what the front door shows."""

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
CLIENT = ["diagnose", "repair", "probe", "live_verbs", "client"]
LAYERS = [*LOWER, *CLIENT, "_public", "__init__", "fleet", "testing", "dashboard", "cli"]
KNOW_THE_SIMULATOR = {"testing", "cli"}
"""The fixtures are made of it, and so is the command's demo."""
APART = {
    "live": {"resources"},
    "diagnose": {"resources", "live"},
    "repair": {"live"},
    "probe": {"live"},
    "fleet": {"resources", *CLIENT, "_public"},
}
"""Lower layers that a layer does without: live verbs and the diagnosis see resources as Protocols only.

The fleet stands above the live verbs, and the client does not know it."""
MODULES = sorted(ROOT.rglob("*.py"))
SIMULATOR = [path for path in MODULES if path.is_relative_to(ROOT / "simulator")]
SIMULATOR_KNOWS = ["models", "errors", "session.clock", "session.transport", "simulator"]
LAYERED = [path for path in MODULES if path not in SIMULATOR]


def name_of(path: Path) -> str:
    """The name by which a module is imported."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The modules that a file imports anywhere in it, also inside functions or for types only."""
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
    """The layer that a module of ours belongs to."""
    parts = module.split(".")
    if len(parts) == 1:
        return "__init__"
    return "cli" if parts[1] == "__main__" else parts[1]


def ours(path: Path) -> list[str]:
    """What a file imports of this package."""
    return [module for module in imports(path) if module.split(".")[0] == "builds_async"]


def test_upwards_only() -> None:
    """A module imports its own layer and those below it; only the fixtures and the command the simulator."""
    for path in LAYERED:
        layer = layer_of(name_of(path))
        allowed = {*LAYERS[: LAYERS.index(layer) + 1]} - APART.get(layer, set())
        if layer in KNOW_THE_SIMULATOR:
            allowed.add("simulator")
        with Case(path):
            assert [module for module in ours(path) if layer_of(module) not in allowed] == []


def test_layers() -> None:
    """Every module has a layer, and the test sees the imports that it judges."""
    assert {layer_of(name_of(path)) for path in LAYERED} <= set(LAYERS)
    assert "builds_async.session.headers" in ours(ROOT / "session" / "budget.py")
    assert "builds_async.errors" in ours(ROOT / "_public.py")


def test_simulator() -> None:
    """The simulator stands aside: of the rest it knows the nouns, the errors, the clock and the transport.

    One method of it makes a client.
    """
    for path in SIMULATOR:
        allowed = [*(f"builds_async.{name}" for name in SIMULATOR_KNOWS)]
        if path.name == "simulator.py":
            allowed.append("builds_async.client")
        with Case(path):
            assert [module for module in ours(path) if not module.startswith(tuple(allowed))] == []


DOORS = {"builds_async", "builds_async.errors", "builds_async.fleet", "builds_async.simulator"}
"""What users import from. The errors are in the first one too, which loads everything."""
NOT_PUBLIC = {
    # Needed before anything slow is loaded: the version, and the outcomes behind exit codes.
    "builds_async._version",
    "builds_async.models.builds",
    # How text is shown and kept harmless. `LogLine.text` is for those who print plain lines.
    "builds_async.models.text",
    "builds_async.models.render",
    # Which step each line belongs to, while lines are printed; `log.steps` knows those of a whole page.
    "builds_async.models.steps",
    # What a word on the command line is: a tag, a pasted token, a URL with a password.
    "builds_async.session.ids",
    "builds_async.session.redact",
    "builds_async.fleet.address",
    # The exit code for the status of a finding.
    "builds_async.session.refusal",
    # The address of a page where the name is known: `client.dashboard_url` looks it up.
    "builds_async.resources.dashboard",
    # A build as far as an event describes it.
    "builds_async.models.events",
    # The line that gives a reason, found page by page while a log is read.
    "builds_async.models.reason",
    # The file of `--resume`, which a `FileStore` can read, and files that are replaced as a whole.
    "builds_async.live.position_file",
    "builds_async.live.files",
}
"""What the command uses besides. None of it makes a request, and none is a verb that users would miss."""


def test_command_and_page_use_what_users_have() -> None:
    """The command and the page are made of public names: what they need, every program can have."""
    used = {
        module
        for path in LAYERED
        if layer_of(name_of(path)) in {"cli", "dashboard"}
        for module in ours(path)
        if layer_of(module) not in {"cli", "dashboard"}
    }
    assert used - DOORS == NOT_PUBLIC


def rings(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or not."""

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
def test_no_rings() -> None:
    """No two modules import each other, directly or not: not for types or inside of a function either."""
    assert rings({name_of(path): set(ours(path)) for path in MODULES}) == []


def test_rings() -> None:
    """The test above sees rings of any length, and nothing else."""
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set[str](), "f": {"f"}}
    assert rings(graph) == [{"a", "b", "c"}, {"f"}]


def test_aiohttp() -> None:
    """Besides simulator, command and page, only the transport and, for a type, the client know aiohttp."""
    places = [path.relative_to(ROOT) for path in LAYERED if "aiohttp" in _packages(path)]
    knows = {place.as_posix() for place in places if place.parts[0] not in {"cli", "dashboard"}}
    assert knows <= {"session/aiohttp_transport.py", "client.py"}


def _packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


@cases("path", MODULES, ids=name_of)
def test_redis(path: Path) -> None:
    """One file knows redis, an extra: the connection to the engine."""
    knows = any(module.split(".")[0] in {"redis", "valkey"} for module in imports(path))
    assert knows == (path.relative_to(ROOT).as_posix() == "fleet/redis.py")


def test_only_for_a_type() -> None:
    """The client names aiohttp for the type of `session=`, and for nothing else."""
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
    """The package by itself loads next to nothing, until a name of it is asked for."""
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
        """`__all__` is sorted and has no name twice."""
        assert builds_async.__all__ == sorted(set(builds_async.__all__))

    def test_complete(self) -> None:
        """`__all__` has every public name of the root, and all of them can be imported."""
        public = {
            name
            for name, value in vars(_public).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        }
        assert set(builds_async.__all__) == public | {"__version__"}

    def test_models(self) -> None:
        """Every wire noun is exported from the root."""
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
        """The names that the design pins are there."""
        assert name in builds_async.__all__

    def test_errors(self) -> None:
        """Every exported exception descends from BuildsError."""
        exported = [getattr(builds_async, name) for name in builds_async.__all__]
        errors = [it for it in exported if isinstance(it, type) and issubclass(it, BaseException)]
        assert builds_async.BuildsError in errors
        assert [error for error in errors if not issubclass(error, builds_async.BuildsError)] == []

    def test_documented(self) -> None:
        """Whatever is exported says what it is."""
        exported = {name: getattr(builds_async, name) for name in builds_async.__all__}
        assert [name for name, it in exported.items() if isinstance(it, type) and not it.__doc__] == []

    def test_typed(self) -> None:
        """The package tells type checkers that it is typed."""
        assert (ROOT / "py.typed").exists()
