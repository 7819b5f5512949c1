"""The bot that posts failures and saves its position."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Literal

import aiohttp
import pytest

from builds_async import AuthenticationError, BuildOutcome
from builds_async.simulator import BuildsSimulator, Fault, SimulatedBuild, TokenKind
from tests.examples.support import HOOK, Webhook, fail, guide, outage, running, until

Run = Callable[..., Coroutine[object, object, None]]


@pytest.fixture
def bot() -> ModuleType:
    return guide("bot", "notify_bot")


@pytest.fixture
def sim(builds_environ: dict[str, str], builds_simulator: BuildsSimulator) -> BuildsSimulator:
    """A simulated account with a Worker `shop` whose latest build has succeeded."""
    assert builds_environ
    builds_simulator.add_finished_build(external_script_id=builds_simulator.add_worker("shop"))
    return builds_simulator


@pytest.fixture
def run(bot: ModuleType, hook: Webhook, tmp_path: Path) -> Run:
    """A function that starts the bot with the position that the last run saved."""
    assert hook
    return lambda *workers: bot.main(HOOK, tmp_path / "position", list(workers))


def text(build: SimulatedBuild, sim: BuildsSimulator, worker: str = "shop", reason: str = "no cheese") -> str:
    page = f"https://dash.cloudflare.com/{sim.account_id}/workers/services/view/{worker}/production/builds"
    return f"fail: Error: {reason} {page}/{build.build_uuid}"


async def test_posts_failures(sim: BuildsSimulator, hook: Webhook, run: Run, tmp_path: Path) -> None:
    """Only failures are posted, each once with reason and link, and a single file is kept."""
    async with running(run(), sim):
        await until((tmp_path / "position").exists, sim)
        for outcome in (BuildOutcome.SUCCESS, BuildOutcome.SKIPPED, BuildOutcome.CANCELLED):
            sim.add_build(external_script_id=sim.workers["shop"]).finish(outcome)
        builds = [fail(sim), fail(sim, reason="<!channel>")]
        await until(lambda: len(hook.texts) > 1, sim)
        await sim.clock.sleep(600)
    escaped = text(builds[1], sim, reason="&lt;!channel&gt;")
    assert hook.texts == [text(builds[0], sim), escaped]
    assert [path.name for path in tmp_path.iterdir()] == ["position"]


async def test_first_start(sim: BuildsSimulator, hook: Webhook, run: Run) -> None:
    """The first start posts the present failures, and a restart does not repeat them."""
    sim.add_finished_build(3, BuildOutcome.FAIL, external_script_id=sim.workers["shop"], age=9000)
    sim.add_finished_build(external_script_id=sim.workers["shop"], age=90)
    sim.add_worker("blog")
    broken = fail(sim, "blog")
    for _ in range(2):
        async with running(run(), sim):
            await sim.clock.sleep(600)
    assert hook.texts == [text(broken, sim, "blog")]


async def test_failure_while_down(sim: BuildsSimulator, hook: Webhook, run: Run, tmp_path: Path) -> None:
    """Failures while the bot was down are posted at the next start, even if a newer build followed."""
    async with running(run(), sim):
        await until((tmp_path / "position").exists, sim)
    await sim.clock.sleep(3600)
    builds = [fail(sim), fail(sim, reason="still no cheese")]
    sim.add_build(external_script_id=sim.workers["shop"]).finish()
    await sim.clock.sleep(3600)
    async with running(run(), sim):
        await until(lambda: len(hook.texts) > 1, sim)
        await sim.clock.sleep(600)
    assert hook.texts == [text(builds[0], sim), text(builds[1], sim, reason="still no cheese")]


@pytest.mark.parametrize("when", ["known before", "created while it ran", "created while it was down"])
async def test_first_build_fails(
    sim: BuildsSimulator, hook: Webhook, run: Run, tmp_path: Path, when: str
) -> None:
    """An immediate failure of a Worker's first build is posted, whenever the Worker was created."""
    if when == "known before":
        sim.add_worker("new")
    async with running(run(), sim):
        await until((tmp_path / "position").exists, sim)
        sim.add_worker("new")
        if when != "created while it was down":
            build = fail(sim, "new")
            await until(lambda: hook.texts, sim)
    if when == "created while it was down":
        build = fail(sim, "new")
    async with running(run(), sim):
        await until(lambda: hook.texts, sim)
        await sim.clock.sleep(600)
    assert hook.texts == [text(build, sim, "new")]


async def test_never_deployed(sim: BuildsSimulator, hook: Webhook, run: Run) -> None:
    """The failure of a never deployed Worker, which has no page, is posted with its tag."""
    tag = sim.add_worker("new", deployed=False)
    async with running(run("shop", tag), sim):
        await sim.clock.sleep(60)
        fail(sim, "new")
        await until(lambda: hook.texts, sim)
    assert hook.texts == [f"fail: Error: no cheese Worker {tag}"]


@pytest.mark.parametrize("seconds", [60, 900])
@pytest.mark.parametrize("moment", [0, 30], ids=["at the start", "later"])
async def test_outage(sim: BuildsSimulator, hook: Webhook, run: Run, seconds: int, moment: int) -> None:
    """An outage of any length delays a post, but neither ends the bot nor loses a failure."""
    outage(sim, moment, moment + seconds)
    async with running(run(), sim):
        await sim.clock.sleep(40)
        build = fail(sim)
        await until(lambda: hook.texts, sim, seconds=seconds + 60)
        await sim.clock.sleep(600)
    assert sim.clock.now() > moment + seconds
    assert hook.texts == [text(build, sim)]


async def test_outage_during_the_search(sim: BuildsSimulator, hook: Webhook, run: Run) -> None:
    """An outage between a failure and the search for its reason loses neither."""
    sim.fault(Fault("server_error", path="/logs", times=None))
    async with running(run(), sim):
        build = fail(sim)
        await sim.clock.sleep(90)
        assert not hook.texts
        sim.clear_faults()
        await until(lambda: hook.texts, sim)
    assert hook.texts == [text(build, sim)]


async def test_restart_within_a_log(sim: BuildsSimulator, hook: Webhook, run: Run, tmp_path: Path) -> None:
    """A bot that is killed during a log and restarted posts once, with the reason from before the kill."""
    position = tmp_path / "position"
    reported = fail(sim)
    async with running(run(), sim):
        await until(lambda: hook.texts, sim)
        build = sim.add_build(external_script_id=sim.workers["shop"])
        build.emit("npm run build", "Error: no bread")
        await until(lambda: build.build_uuid in position.read_text(), sim)
    await sim.clock.sleep(60)
    build.emit("giving up")
    build.finish(BuildOutcome.FAIL)
    async with running(run(), sim):
        await until(lambda: len(hook.texts) > 1, sim)
        await sim.clock.sleep(600)
    assert hook.texts == [text(reported, sim), text(build, sim, reason="no bread")]


@pytest.mark.parametrize("moment", ["before the post", "after the post"])
async def test_killed(
    sim: BuildsSimulator,
    hook: Webhook,
    run: Run,
    moment: Literal["before the post", "after the post"],
) -> None:
    """A kill at any point loses no text; a kill between the post and the save repeats that text."""
    async with running(run(), sim):
        builds = [fail(sim)]
        await until(lambda: hook.texts, sim)
        await sim.clock.sleep(1)  # the position is saved now
        hook.hangs = moment
        builds.append(fail(sim, reason="no bread"))
        await hook.is_hanging.wait()
    hook.hangs = ""
    async with running(run(), sim):
        await sim.clock.sleep(600)
    first, second = text(builds[0], sim), text(builds[1], sim, reason="no bread")
    assert hook.texts == [first, second, *([second] if moment == "after the post" else [])]


async def test_webhook_refuses(
    sim: BuildsSimulator, hook: Webhook, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bot retries until the webhook accepts the text, and never prints the webhook's address."""
    kinds = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)
    hook.refusals = [kind(HOOK) for kind in kinds]
    build = fail(sim)
    async with running(run(), sim):
        await until(lambda: hook.texts, sim)
    assert hook.texts == [text(build, sim)]
    assert capsys.readouterr().err.splitlines() == [f"webhook: {kind.__name__}" for kind in kinds]


async def test_wrong_credentials(sim: BuildsSimulator, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials end the bot, despite its patience."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.add_token(TokenKind.ACCOUNT_OWNED))
    with pytest.raises(AuthenticationError):
        await run()
