"""The programs as real processes, which are killed during a build and restarted."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from builds_async import BuildOutcome
from builds_async.simulator import BuildsSimulator
from tests.examples.support import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes can't be killed like that"),
]
COMMIT = "c0ffee" + "0" * 34


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A real receiver: its address, and the received texts."""
    taken: asyncio.Queue[str] = asyncio.Queue()

    async def receive(request: web.Request) -> web.Response:
        taken.put_nowait((await request.json())["text"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", taken
    await runner.cleanup()


async def start(name: str, sim: BuildsSimulator, *words: str) -> asyncio.subprocess.Process:
    program = str(ROOT / "examples" / f"{name}.py")
    env = {**os.environ, **sim.environ, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(sys.executable, program, *words, env=env)


async def kill(process: asyncio.subprocess.Process) -> None:
    assert process.returncode is None
    process.kill()
    await process.wait()


async def served(sim: BuildsSimulator, path: str) -> None:
    """Wait until a request for this path has been served."""
    while not any(it.path.endswith(path) for it in sim.requests):
        await asyncio.sleep(0.01)


async def test_notify_bot(tmp_path: Path) -> None:
    """A bot that is killed during a log and restarted posts the failure once, with its reason."""
    position = tmp_path / "position"
    async with BuildsSimulator() as sim, webhook() as (url, taken):
        build = sim.add_build(external_script_id=sim.add_worker("shop"))
        build.emit("Error: no cheese")
        bot = await start("notify_bot", sim, url, str(position))
        while not position.exists():
            await asyncio.sleep(0.01)
        await kill(bot)
        build.finish(BuildOutcome.FAIL)
        bot = await start("notify_bot", sim, url, str(position))
        assert (await taken.get()).startswith("fail: Error: no cheese https://dash.cloudflare.com/")
        await kill(bot)
        assert taken.empty()


async def test_events_bot() -> None:
    """A bot that is killed after an acknowledgement does not repeat that failure, and posts the next one."""
    async with BuildsSimulator() as sim, webhook() as (url, taken):
        tag, queue = sim.add_worker("shop"), sim.add_queue()
        for reason in ("no cheese", "no bread"):
            sim.requests.clear()
            bot = await start("events_bot", sim, url, queue)
            build = sim.add_build(external_script_id=tag)
            build.emit(f"Error: {reason}")
            build.finish(BuildOutcome.FAIL)
            text = await taken.get()
            assert text.startswith(f"shop: fail: Error: {reason} https://dash.cloudflare.com/")
            while sim.queues[queue].backlog:
                await asyncio.sleep(0.01)
            await kill(bot)
        assert taken.empty()


async def test_wait_in_ci() -> None:
    """A script that is killed during a log and restarted exits with the outcome of the build."""
    async with BuildsSimulator() as sim:
        build = sim.add_build(external_script_id=sim.add_worker("shop"), commit_hash=COMMIT)
        build.emit("Error: no cheese")
        script = await start("wait_in_ci", sim, "shop", COMMIT)
        await served(sim, build.build_uuid)
        await kill(script)
        build.finish(BuildOutcome.FAIL)
        script = await start("wait_in_ci", sim, "shop", COMMIT)
        assert await script.wait() == 1
