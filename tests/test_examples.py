"""The examples do what they say, against a simulated account."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from functools import partialmethod
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web

from builds_async import BuildOutcome, BuildsClient, BuildStatus, LogPosition, Saved
from builds_async.simulator import BuildsSimulator

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    path = EXAMPLES[0].parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def sim(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BuildsSimulator]:
    """A simulated account that the environment names."""
    async with BuildsSimulator(page_size=3) as sim:
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", sim.account_id)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", sim.api_token)
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", sim.url)
        yield sim


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_short(path: Path) -> None:
    """An example fits on a screen, a bot on one and a half, a bot with a table on two."""
    most = {"notify_bot": 60, "wait_in_ci": 60, "postgres_store": 80, "queue_bots": 80}
    assert len(path.read_text("utf-8").splitlines()) <= most.get(path.stem, 40)


@pytest.mark.parametrize(
    ("outcome", "code"), [(BuildOutcome.SUCCESS, 0), (BuildOutcome.FAIL, 1), (BuildOutcome.CANCELLED, 1)]
)
async def test_follow_build(
    sim: BuildsSimulator, outcome: BuildOutcome, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the log and the outcome, and its exit code tells success from everything else."""
    build = sim.add_finished_build(["one", "two"], outcome)
    assert await load("follow_build").main(build.build_uuid) == code
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1)[1] for line in printed] == ["one", "two", outcome]


async def test_latest_builds(sim: BuildsSimulator, capsys: pytest.CaptureFixture[str]) -> None:
    """It tells Workers with a build from those without."""
    build, idle = sim.add_finished_build(), sim.add_worker()
    await load("latest_builds").main([build.external_script_id, idle])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{build.external_script_id} stopped success 20")
    assert second == f"{idle} never built"


async def test_resume_log(
    sim: BuildsSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of a page and started again, it prints every line once."""
    build = sim.add_finished_build(list("abcdefgh"))
    file = tmp_path / "position"
    example = load("resume_log")
    printed = []

    def save_then_die(file: Path, position: LogPosition, save: Callable[..., None] = example.save) -> None:
        save(file, position)
        printed.append(capsys.readouterr().out.strip())
        if printed[-1] == "e":
            raise KeyboardInterrupt

    monkeypatch.setattr(example, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        await example.main(build.build_uuid, file)
    await example.main(build.build_uuid, file)
    assert printed == list("abcdefgh")
    assert [path.name for path in tmp_path.iterdir()] == ["position"]


@pytest.mark.slow
async def test_offline_demo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs nothing: a real command's output is followed live to its outcome."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    await load("offline_demo").main()
    out = capsys.readouterr().out
    assert "loops, best of 5" in out
    assert out.endswith("outcome: success\n")


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A real webhook receiver that refuses the first post: its address, and what it took."""
    taken: asyncio.Queue[str] = asyncio.Queue()
    posts = 0

    async def receive(request: web.Request) -> web.Response:
        nonlocal posts
        posts += 1
        if posts == 1:
            return web.Response(status=503)
        taken.put_nowait((await request.json())["text"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", taken
    await runner.cleanup()


async def test_notify_bot(
    sim: BuildsSimulator,
    webhook: tuple[str, asyncio.Queue[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It posts a failure that it saw happen, with reason and link, until the webhook takes it.

    It does not print the webhook's address, which is all that one needs to post there.
    """
    url, taken = webhook
    bot = load("notify_bot")
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real(0))
    monkeypatch.setattr(BuildsClient, "watch", partialmethod(BuildsClient.watch, interval=0.01))
    tag = sim.add_worker("shop")
    sim.add_finished_build(["Error: old news"], BuildOutcome.FAIL, external_script_id=tag)
    task = asyncio.create_task(bot.main(url, {"shop": tag}))
    while not sim.requests:
        await real(0.001)
    good = sim.add_build(external_script_id=tag)
    good.finish()
    build = sim.add_build(external_script_id=tag)
    build.emit("npm run build", "Error: out of cheese")
    build.finish(BuildOutcome.FAIL)
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    text = await taken.get()
    task.cancel()
    await asyncio.wait([task])
    assert text.startswith("shop: fail: Error: out of cheese https://dash.cloudflare.com/")
    assert text.endswith(f"/workers/services/view/shop/production/builds/{build.build_uuid}")
    assert taken.empty()
    complaint = capsys.readouterr().err
    assert complaint.startswith("webhook: ")
    assert url not in complaint


@pytest.mark.parametrize(
    ("outcome", "code"), [(BuildOutcome.SUCCESS, 0), (BuildOutcome.FAIL, 1), (BuildOutcome.CANCELLED, 3)]
)
async def test_wait_in_ci(
    sim: BuildsSimulator, outcome: BuildOutcome, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exit code is the outcome of the commit's build, and it prints the reason of a failure."""
    tag, commit = sim.add_worker(), "c0ffee" + "0" * 34
    sim.add_finished_build(1, external_script_id=tag)
    build = sim.add_finished_build(["Error: x"], outcome, external_script_id=tag, commit_hash=commit)
    assert await load("wait_in_ci").main(tag, "c0ffee") == code
    out = capsys.readouterr().out
    assert f"build {build.build_uuid}: {outcome}" in out
    assert ("reason: Error: x" in out) == (outcome == BuildOutcome.FAIL)


async def test_wait_in_ci_gives_up(sim: BuildsSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that does not come in time is exit code 124."""
    example = load("wait_in_ci")
    monkeypatch.setattr(example, "MINUTES", 0.0005)
    assert await example.main(sim.add_worker(), "c0ffee") == 124


@pytest.mark.slow
async def test_queue_bots(
    sim: BuildsSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bots follow a build each; the build of one that is stopped goes on at its place with the other."""
    monkeypatch.setattr("builds_async.live.log_reader.SETTLE", 0.0)
    monkeypatch.setattr(BuildsClient, "events", partialmethod(BuildsClient.events, poll_interval=0.05))
    queue_id, path = sim.add_queue(), str(tmp_path / "positions")
    bots = [asyncio.create_task(load("queue_bots").main(queue_id, path)) for _ in range(2)]
    builds = [sim.add_build(external_script_id=sim.add_worker()) for _ in range(2)]
    printed: list[str] = []

    async def until(count: int) -> None:
        async with asyncio.timeout(10):
            while len(printed) < count:
                await asyncio.sleep(0.02)
                printed.extend(capsys.readouterr().out.splitlines())

    for build in builds:
        build.set_status(BuildStatus.RUNNING)
        build.emit("a", "b")
    await until(4)
    bots[0].cancel()
    await asyncio.wait(bots[:1])
    for build in builds:
        build.emit("c")
        build.finish()
    await until(6)
    assert sorted(printed) == sorted(f"{build.build_uuid} {text}" for build in builds for text in "abc")
    bots[1].cancel()
    await asyncio.wait(bots)


async def test_queue_bots_fences(tmp_path: Path) -> None:
    """A bot that lost its event can't save any more."""
    store = load("queue_bots").SqliteStore(str(tmp_path / "positions"))
    assert await store.open("b", 1) == Saved()
    assert await store.save("b", 1, 1, "one")
    assert await store.open("b", 2) == Saved(1, "one")
    assert not await store.save("b", 1, 2, "two")
    assert await store.open("b", 1) is None
    assert await store.save("b", 2, 2, "two")
    assert await store.save("b", 2, 2, "two")
