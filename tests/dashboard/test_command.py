"""The dashboard as a command."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from builds_async.simulator import BuildsSimulator
from examples.dashboard import app as dashboard
from tests.dashboard.support import APP, events, states


@asynccontextmanager
async def process(
    sim: BuildsSimulator, *arguments: str, token: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, str(APP), "--port", "0", *arguments),
        env={
            "CLOUDFLARE_BASE_URL": sim.url,
            "CLOUDFLARE_ACCOUNT_ID": sim.account_id,
            "CLOUDFLARE_API_TOKEN": token,
            "PYTHONPATH": str(APP.parents[2]),
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
    """As a command it says where it is, and ends on Ctrl-C without a word, whoever is connected."""
    async with process(sim, token=sim.api_token) as command:
        assert command.stdout is not None
        said = (await command.stdout.readline()).decode()
        assert said.startswith("2 Workers at http://127.0.0.1:")
        async with http.get(said.split()[3] + "workers") as response:
            assert states(await anext(events(response))).keys() == {"blog", "shop"}
            command.send_signal(signal.SIGINT)
            assert await command.communicate() == (b"", b"")
        assert command.returncode == 0


async def test_command_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without Workers is said to be one."""
    async with BuildsSimulator() as sim:
        for name, value in {
            "ACCOUNT_ID": sim.account_id,
            "API_TOKEN": sim.api_token,
            "BASE_URL": sim.url,
        }.items():
            monkeypatch.setenv(f"CLOUDFLARE_{name}", value)
        with pytest.raises(SystemExit, match="the account has no Workers"):
            await dashboard.serve([], "127.0.0.1", 0)


@pytest.mark.slow
@pytest.mark.parametrize("by_name", [True, False])
async def test_command_with_a_wrong_token(sim: BuildsSimulator, by_name: bool) -> None:
    """Wrong credentials are one line, whether they show at first or when it runs."""
    worker = "shop" if by_name else sim.workers["shop"]
    async with process(sim, worker, token="wrong") as command:
        _, errors = await command.communicate()
        assert command.returncode == 1
        assert errors.count(b"\n") == 1
        assert errors.startswith(b"dashboard: GET /")
