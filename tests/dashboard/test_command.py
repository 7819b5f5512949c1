"""The dashboard as a command."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from builds_async.cli.app import run
from builds_async.simulator import BuildsSimulator
from tests.dashboard.support import events, states


@asynccontextmanager
async def process(
    sim: BuildsSimulator, *arguments: str, token: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "builds_async", "dashboard"),
        *(arguments if "--port" in arguments else ("--port", "0", *arguments)),
        env={
            "CLOUDFLARE_BASE_URL": sim.url,
            "CLOUDFLARE_ACCOUNT_ID": sim.account_id,
            "CLOUDFLARE_API_TOKEN": token,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@pytest.mark.slow
async def test_command_until_ctrl_c(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """The command prints its address, and Ctrl-C ends it silently, even with open connections."""
    async with process(sim, token=sim.api_token) as command:
        assert command.stdout is not None
        said = (await command.stdout.readline()).decode()
        assert said.startswith("2 Workers at http://127.0.0.1:")
        async with http.get(said.split()[3] + "workers") as response:
            assert states(await anext(events(response))).keys() == {"blog", "shop"}
            command.send_signal(signal.SIGINT)
            assert await command.communicate() == (b"", b"")
        assert command.returncode == 130


@pytest.mark.slow
async def test_command_without_workers(http: aiohttp.ClientSession) -> None:
    """An account without Workers has a page that later Workers join."""
    async with BuildsSimulator() as sim, process(sim, token=sim.api_token) as command:
        assert command.stdout is not None
        said = (await command.stdout.readline()).decode()
        assert said.startswith("0 Workers at http://127.0.0.1:")
        async with http.get(said.split()[3] + "workers") as response:
            assert states(await anext(events(response))) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--host", "0.0.0.0"], "add --token", id="every address"),  # noqa: S104
        pytest.param(["--host", "example.com"], "add --token", id="a name"),
        pytest.param(["--host", "::"], "add --token", id="every IPv6 address"),
        pytest.param(["--port", "65536"], "--port", id="no port"),
        pytest.param(["--token=secret"], "--token", id="a token of one's own"),
    ],
)
def test_usage_errors(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An address that others can reach needs a token, which is checked before any request."""
    assert run(["dashboard", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
async def test_port_in_use(sim: BuildsSimulator) -> None:
    """A port in use is a usage error that names the address."""
    async with process(sim, "--port", sim.url.split(":")[2].split("/")[0], token=sim.api_token) as command:
        out, errors = await command.communicate()
        assert (out, command.returncode) == (b"", 2)
        assert b"can't serve at 127.0.0.1, port " in errors
        assert errors.count(b"\n") == 1


@pytest.mark.slow
async def test_command_with_a_token(sim: BuildsSimulator, http: aiohttp.ClientSession) -> None:
    """With --token, only the printed address lets a browser in."""
    async with process(sim, "--token", token=sim.api_token) as command:
        assert command.stdout is not None
        address = (await command.stdout.readline()).decode().split()[3]
        async with http.get(address.partition("?")[0]) as response:
            assert response.status == 401
        async with http.get(address, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/")


@pytest.mark.slow
@pytest.mark.parametrize("by_name", [True, False])
async def test_command_with_a_wrong_token(sim: BuildsSimulator, by_name: bool) -> None:
    """Wrong credentials are one line, at the start or later."""
    worker = "shop" if by_name else sim.workers["shop"]
    async with process(sim, worker, token="wrong") as command:
        _, errors = await command.communicate()
        assert command.returncode == 3
        assert errors.count(b"\n") == 1
        assert b"GET /" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "may_write"),
    [
        pytest.param([], True, id="loopback"),
        pytest.param(["--no-writes"], False, id="loopback without writes"),
        pytest.param(["--host", "0.0.0.0", "--token"], False, id="every address"),  # noqa: S104
        pytest.param(["--host", "0.0.0.0", "--token", "--writes"], True, id="every address with writes"),  # noqa: S104
    ],
)
async def test_permission_to_change_builds(sim: BuildsSimulator, words: list[str], may_write: bool) -> None:
    """The page may change builds on loopback, and on other addresses only with --writes."""
    build = sim.add_build()
    jar = aiohttp.CookieJar(unsafe=True)  # addresses have cookies, too
    async with (
        process(sim, *words, token=sim.api_token) as command,
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):
        assert command.stdout is not None
        address = (await command.stdout.readline()).decode().split()[3].replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        async with http.get(address):
            pass
        async with http.get(f"{address.partition('?')[0]}logs/{build.build_uuid}") as response:
            assert ((await anext(events(response))).data["csrf"] is not None) == may_write
