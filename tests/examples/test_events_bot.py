"""The bot that posts failures from the events of a queue, and saves nothing."""

from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Literal

import aiohttp
import pytest

from builds_async import AuthenticationError, BuildOutcome
from builds_async.simulator import BuildsSimulator, SimulatedBuild, SimulatedQueue
from tests.examples.support import HOOK, Webhook, fail, guide, outage, running, until

Run = Callable[[], Coroutine[object, object, None]]


@pytest.fixture
def bot() -> ModuleType:
    return guide("bot", "events_bot")


@pytest.fixture
def sim(builds_environ: dict[str, str], builds_simulator: BuildsSimulator) -> BuildsSimulator:
    """A simulated account with a Worker `shop` and a queue."""
    assert builds_environ
    builds_simulator.add_worker("shop")
    builds_simulator.add_queue()
    return builds_simulator


@pytest.fixture
def queue(sim: BuildsSimulator) -> SimulatedQueue:
    return next(iter(sim.queues.values()))


@pytest.fixture
def run(bot: ModuleType, hook: Webhook, queue: SimulatedQueue) -> Run:
    assert hook
    return lambda: bot.main(HOOK, queue.queue_id)


def text(build: SimulatedBuild, sim: BuildsSimulator, worker: str = "shop", reason: str = "no cheese") -> str:
    page = f"https://dash.cloudflare.com/{sim.account_id}/workers/services/view/{worker}/production/builds"
    return f"{worker}: fail: Error: {reason} {page}/{build.build_uuid}"


async def test_posts_failures(sim: BuildsSimulator, hook: Webhook, run: Run, queue: SimulatedQueue) -> None:
    """Only failures are posted, each once with reason and link, and the queue is empty afterwards."""
    async with running(run(), sim):
        for outcome in (BuildOutcome.SUCCESS, BuildOutcome.SKIPPED, BuildOutcome.CANCELLED):
            sim.add_build(external_script_id=sim.workers["shop"]).finish(outcome)
        builds = [fail(sim), fail(sim, reason="<!channel>")]
        await until(lambda: len(hook.texts) > 1, sim)
        await sim.clock.sleep(600)
    assert hook.texts == [text(builds[0], sim), text(builds[1], sim, reason="&lt;!channel&gt;")]
    assert (queue.backlog, queue.dead_letters) == (0, ())


async def test_failure_while_down(sim: BuildsSimulator, hook: Webhook, run: Run) -> None:
    """Failures while the bot was down are posted at the next start, even if newer builds followed."""
    async with running(run(), sim):
        await sim.clock.sleep(60)
    builds = [fail(sim), fail(sim)]
    sim.add_build(external_script_id=sim.workers["shop"]).finish()
    await sim.clock.sleep(86_400)
    async with running(run(), sim):
        await sim.clock.sleep(600)
    assert hook.texts == [text(build, sim) for build in builds]


@pytest.mark.parametrize("deployed", [True, False], ids=["deployed", "never deployed"])
async def test_first_build_fails(sim: BuildsSimulator, hook: Webhook, run: Run, deployed: bool) -> None:
    """An immediate failure of a new Worker's first build is posted; a Worker without a page has no link."""
    async with running(run(), sim):
        await sim.clock.sleep(60)
        sim.add_worker("new", deployed=deployed)
        build = fail(sim, "new")
        await sim.clock.sleep(60)
    bare = f"new: fail: Error: no cheese build {build.build_uuid}"
    assert hook.texts == [text(build, sim, "new") if deployed else bare]


@pytest.mark.parametrize("seconds", [60, 900])
@pytest.mark.parametrize("moment", [0, 30], ids=["at the start", "later"])
async def test_outage(sim: BuildsSimulator, hook: Webhook, run: Run, seconds: int, moment: int) -> None:
    """An outage of any length delays posts, but neither ends the bot nor loses or repeats a failure."""
    outage(sim, moment, moment + seconds)
    async with running(run(), sim):
        await sim.clock.sleep(20)
        builds = [fail(sim)]
        await sim.clock.sleep(20)
        builds.append(fail(sim, reason="no bread"))
        await until(lambda: len(hook.texts) > 1, sim, seconds=seconds + 60)
        await sim.clock.sleep(600)
    assert sim.clock.now() > moment + seconds
    assert hook.texts == [text(builds[0], sim), text(builds[1], sim, reason="no bread")]


@pytest.mark.parametrize("seconds", [0, 600], ids=["at once", "after a while"])
@pytest.mark.parametrize("moment", ["before the post", "after the post"])
async def test_killed(
    sim: BuildsSimulator,
    hook: Webhook,
    run: Run,
    moment: Literal["before the post", "after the post"],
    seconds: float,
) -> None:
    """A kill at any point loses no text, and repeats only the event in hand."""
    builds = [fail(sim), fail(sim, reason="no bread")]
    hook.hangs, hook.hangs_from = moment, 2
    async with running(run(), sim):
        await hook.is_hanging.wait()
        await sim.clock.sleep(seconds)  # its lease is extended all the time
    hook.hangs = ""
    async with running(run(), sim):
        await sim.clock.sleep(600)
    first, second = text(builds[0], sim), text(builds[1], sim, reason="no bread")
    assert hook.texts == [first, second, *([second] if moment == "after the post" else [])]


async def test_restart_within_a_log(sim: BuildsSimulator, hook: Webhook, run: Run) -> None:
    """A bot that is killed during a log and restarted posts once, with the reason from before the kill."""
    build = sim.add_build(external_script_id=sim.workers["shop"])
    async with running(run(), sim):
        build.emit("npm run build", "Error: no cheese")
        await sim.clock.sleep(60)
    build.emit("giving up")
    build.finish(BuildOutcome.FAIL)
    async with running(run(), sim):
        await sim.clock.sleep(600)
    assert hook.texts == [text(build, sim)]


async def test_webhook_refuses(
    sim: BuildsSimulator, hook: Webhook, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bot retries until the webhook accepts the text, and never prints the webhook's address."""
    hook.refusals = [aiohttp.ClientConnectionError(HOOK), TimeoutError(HOOK)]
    build = fail(sim)
    async with running(run(), sim):
        await until(lambda: hook.texts, sim)
    assert hook.texts == [text(build, sim)]
    assert capsys.readouterr().err == "webhook: ClientConnectionError\nwebhook: TimeoutError\n"


async def test_wrong_credentials(sim: BuildsSimulator, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials end the bot, despite its patience."""
    assert sim
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong")
    with pytest.raises(AuthenticationError):
        await run()
