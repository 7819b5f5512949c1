"""The pytest plugin: in plain tests, with the plugins for coroutines, and unused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.snippets import snippets

GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "testing.md"

PROGRAM = '''
import aiohttp
from builds_async import BuildsClient


async def program(**options):
    """A program that makes its own client, and waits for a build of a minute."""
    async with BuildsClient(**options) as client:
        tags = await client.workers.tags(["shop"])
        started = await client.builds.start(tags["shop"], branch="main")
        return await client.wait(started.build_uuid)


async def with_a_session():
    """It has a session of its own, and another address in mind."""
    async with aiohttp.ClientSession() as session:
        return await program(session=session, base_url="https://api.cloudflare.com/client/v4", timeout=5)
'''

PLAIN = """
import asyncio, os, time
import pytest
from builds_async import BuildsClient, ConfigurationError, SystemClock
from builds_async.simulator import BuildsSimulator, VirtualClock
from program import program, with_a_session

@pytest.mark.parametrize("run", [program, with_a_session])
def test_program(run, builds_environ, builds_simulator, builds_clock):
    builds_simulator.add_worker("shop")
    began = time.monotonic()
    assert asyncio.run(run()).succeeded
    assert builds_clock.now() > 5 > time.monotonic() - began
    assert os.environ["CLOUDFLARE_ACCOUNT_ID"] == builds_environ["CLOUDFLARE_ACCOUNT_ID"]
    assert builds_simulator.requests

def test_nothing_is_left():
    assert not any(name.startswith("CLOUDFLARE_") for name in os.environ)
    with pytest.raises(ConfigurationError):
        BuildsClient()
    client = BuildsClient(account_id="0" * 32, api_token="t")
    assert isinstance(client._clock, SystemClock)
    assert type(client._session._transport).__name__ == "AiohttpTransport"

def test_client(builds_client, builds_simulator, builds_clock):
    assert isinstance(builds_simulator, BuildsSimulator) and isinstance(builds_clock, VirtualClock)
    build = builds_simulator.add_finished_build(3)
    async def read():
        async with builds_client as client:
            return [line async for line in client.follow(build.build_uuid)]
    assert len(asyncio.run(read())) == 3

def test_own_clock_and_transport(builds_environ, builds_simulator):
    other = BuildsSimulator()
    client = BuildsClient(clock=other.clock, transport=(wire := other.transport))
    assert (client._clock, client._session._transport) == (other.clock, wire)
"""

COROUTINES = """
import pytest
from pytest import fixture
from program import program

MARK

async def test_program(builds_environ, builds_simulator, builds_clock):
    builds_simulator.add_worker("shop")
    assert (await program()).succeeded
    assert builds_clock.now() > 5

async def test_client(builds_client, builds_simulator):
    build = builds_simulator.add_finished_build(3)
    assert len([line async for line in builds_client.follow(build.build_uuid)]) == 3

@fixture
async def shop(builds_simulator, builds_client):
    tag = builds_simulator.add_worker("shop")
    return (await builds_client.workers.names())[tag]

async def test_fixture(shop, builds_client):
    assert shop in await builds_client.workers.tags([shop])
"""

UNUSED = """
import sys

def test_nothing():
    loaded = {name for name in sys.modules if name.startswith(("builds_async", "aiohttp"))}
    assert loaded == {"builds_async", "builds_async.testing"}
"""

ANYIO = """
pytestmark = pytest.mark.anyio

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
STRICT = """
from pytest_asyncio import fixture
pytestmark = pytest.mark.asyncio
"""


def pytest_run(folder: Path, *options: str, **files: str) -> str:
    """The output of pytest for these files, in its own process; AssertionError unless all tests pass."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    words = ["-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error", *options]
    if "no:asyncio" not in options:  # its warning is not about this plugin
        words += ["-o", "asyncio_default_fixture_loop_scope=function"]
    run = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env={**env, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("options", "passed"),
    [
        pytest.param(("-p", "no:asyncio", "-p", "no:anyio"), 5, id="plain pytest"),
        pytest.param(("-o", "asyncio_mode=auto"), 5, id="pytest-asyncio, auto"),
        pytest.param(("-p", "no:asyncio"), 5, id="anyio"),
    ],
)
def test_plain_tests(options: tuple[str, ...], passed: int, tmp_path: Path) -> None:
    """Tests without a loop can use the fixtures with any set of plugins, and leave nothing behind."""
    assert f"{passed} passed" in pytest_run(tmp_path, *options, program=PROGRAM, test_plain=PLAIN)


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("options", "mark"),
    [
        pytest.param(("-o", "asyncio_mode=auto", "-p", "no:anyio"), "", id="pytest-asyncio, auto"),
        pytest.param(("-o", "asyncio_mode=strict", "-p", "no:anyio"), STRICT, id="pytest-asyncio, strict"),
        pytest.param(("-p", "no:asyncio"), ANYIO, id="anyio"),
        pytest.param(("-o", "asyncio_mode=strict"), ANYIO, id="anyio beside pytest-asyncio"),
    ],
)
def test_coroutines(options: tuple[str, ...], mark: str, tmp_path: Path) -> None:
    """Coroutine tests and their own coroutine fixtures can use the fixtures with each plugin."""
    text = COROUTINES.replace("MARK", mark)
    assert "3 passed" in pytest_run(tmp_path, *options, program=PROGRAM, test_coroutines=text)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_costs_nothing(tmp_path: Path) -> None:
    """A run that uses none of the fixtures imports neither the client nor aiohttp."""
    assert "1 passed" in pytest_run(tmp_path, test_unused=UNUSED)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_fixtures_are_listed(tmp_path: Path) -> None:
    """`pytest --fixtures` lists the four with a description."""
    listed = pytest_run(tmp_path, "--fixtures", test_unused=UNUSED)
    for name in ("builds_clock", "builds_simulator", "builds_client", "builds_environ"):
        assert f"{name} -- " in listed


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_guide(tmp_path: Path) -> None:
    """The program and the tests of the guide run as they stand, including the coroutine test."""
    program, coroutine = (snippet.code for snippet in snippets(GUIDE, "py"))
    [tests] = (snippet.code for snippet in snippets(GUIDE, "pytest"))
    imports = "import pytest\nfrom bot import build_shop\n\n"
    ran = pytest_run(tmp_path, bot=program, test_bot=tests, test_coroutine=imports + coroutine)
    assert "3 passed" in ran
