"""After a lost response the build is found or the error is raised, and nothing is sent twice."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiohttp import ServerDisconnectedError
from multidict import CIMultiDict

from builds_async import (
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
)
from builds_async.resources.starting import BETWEEN_LOOKUPS, LOOKUPS
from builds_async.session.transport import Response
from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    FaultKind,
    SimulatedBuild,
    VirtualClock,
)
from builds_async.simulator.views import Views
from tests.resources.starting.support import FAR, LOST, STARTS, Shop, Start
from tests.support import BUILD_UUID, TAG, FakeClock, MockApi, envelope, nothing_left, refusal
from tests.support.case import cases

TRIGGER = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("how", LOST)
async def test_build_is_found(how: str, start: Start, shop: Shop) -> None:
    """The call returns the build that it started with one POST, however the response gets lost."""
    await shop.know()
    shop.lose(how)
    build = await start(shop)
    assert build.build_uuid == shop.wire.made[0]
    assert [method for method, _ in shop.wire.sent] == ["POST", "GET"]
    assert len(shop.sim.builds) == 1


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("how", LOST)
async def test_no_build(how: str, start: Start, shop: Shop) -> None:
    """If no lookup finds a build, the original error is raised and says what is unknown."""
    await shop.know()
    shop.lose(how, arrived=False)
    with pytest.raises(LOST[how][1], match="unknown whether the build started: no build of branch") as caught:
        await start(shop)
    assert shop.wire.posts == 1
    assert caught.value.attempts == 1
    assert caught.value.method == "POST"
    assert "check the Worker's latest build" in str(caught.value)
    assert isinstance(shop.clock, FakeClock)
    assert shop.clock.naps == [BETWEEN_LOOKUPS] * (LOOKUPS - 1)


@pytest.mark.parametrize("seconds", [30.0, 300.0])
async def test_response_lost_late(seconds: float, shop: Shop) -> None:
    """A build as old as the timeout is found, and an older one is not."""
    await shop.know()
    shop.add(commit_hash="")
    shop.clock.advance(1)  # type: ignore[union-attr]  # a FakeClock
    shop.wire.after_post = lambda: shop.clock.advance(seconds)  # type: ignore[union-attr]
    shop.lose("timeout")
    assert (await shop.start()).build_uuid == shop.wire.made[0]
    shop.lose("timeout", arrived=False)
    with pytest.raises(BuildsTimeoutError, match="no build of branch main was found"):
        await shop.start()


async def test_unreadable_build_of_another_worker(shop: Shop) -> None:
    """An unreadable build of another Worker does not hide the call's own build."""
    other = shop.sim.add_worker("other")
    shop.lose()
    lookups: list[str] = []

    def answered(_: str, path: str) -> Response | None:
        if not path.endswith("/latest"):
            return None
        lookups.append(path)
        build = shop.sim._account.latest(shop.tag) if len(lookups) == LOOKUPS else None
        builds = {other: {}, shop.tag: build and Views(shop.sim._account).build(build)}
        return Response(
            200, CIMultiDict(), msgspec.json.encode({"success": True, "result": {"builds": builds}})
        )

    shop.wire.failing = answered
    assert (await shop.start()).build_uuid == shop.wire.made[0]


@pytest.mark.parametrize("lookups", range(LOOKUPS))
async def test_build_that_appears_late(lookups: int, shop: Shop) -> None:
    """A build that appears some seconds after the lost response is found too."""
    await shop.know()
    shop.lose(arrived=False)
    seen = 0

    def show(method: str, path: str) -> None:
        nonlocal seen
        if method == "GET" and path.endswith("/latest"):
            if seen == lookups:
                late.append(shop.add(commit_hash=""))
            seen += 1

    late: list[SimulatedBuild] = []
    shop.wire.failing = show
    assert (await shop.start()).build_uuid == late[0].build_uuid
    assert shop.wire.posts == 1


@pytest.mark.parametrize(
    ("kind", "headers_sent"), [("cut_body", False), ("reset", False), ("stall", False), ("stall", True)]
)
async def test_on_a_socket(kind: FaultKind, headers_sent: bool) -> None:
    """A truncated body, reset or stall on a real connection loses a response and leaves nothing behind."""
    async with nothing_left():
        sim = BuildsSimulator(clock=VirtualClock(idle_turns=20), epoch=FAR)
        async with (
            sim,
            BuildsClient(
                account_id=sim.account_id,
                api_token=sim.api_token,
                base_url=sim.url,
                clock=sim.clock,
                timeout=0.1 if kind == "stall" else 30.0,
            ) as client,
        ):
            tag = sim.add_worker()
            (trigger,) = await client.triggers.list(tag)
            assert trigger.trigger_uuid is not None
            sim.fault(Fault(kind, method="POST", headers_sent=headers_sent))
            build = await client.triggers.start_build(trigger.trigger_uuid, branch="main")
            assert [build.build_uuid] == [*sim.builds]
            assert len([it for it in sim.requests if it.method == "POST"]) == 1


@cases("hours", [-1000, -5, -1, 0, 1, 5, 1000])
async def test_clocks_hours_apart(hours: int) -> None:
    """The server's clock counts, however wrong the machine's clock is."""
    shop = Shop(epoch=datetime.now(UTC) + timedelta(hours=hours))
    await shop.know()
    shop.add()
    shop.clock.advance(1)  # type: ignore[union-attr]  # a FakeClock
    shop.lose()
    assert (await shop.start()).build_uuid == shop.wire.made[0]
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 9999 23:59:59 -2359",
        "",
        "soon",
        "\x00",
    ],
    ids=["year", "zone", "end of time", "empty", "word", "NUL"],
)
async def test_odd_date(date: str, shop: Shop) -> None:
    """With an unreadable Date from the server, the original error is still raised."""
    await shop.know()
    shop.wire.headers = {"Date": date}
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


async def test_response_without_a_date(api: MockApi, client: BuildsClient) -> None:
    """Without a Date header, a build with a date truncated to the second is accepted."""
    build = {
        "build_uuid": BUILD_UUID,
        "status": "queued",
        "created_on": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "trigger": {"trigger_uuid": TRIGGER, "external_script_id": TAG},
        "build_trigger_metadata": {"branch": "main", "build_trigger_source": "manual", "commit_hash": ""},
    }
    api.on(
        "GET",
        f"/builds/workers/{TAG}/triggers",
        envelope([{"trigger_uuid": TRIGGER, "external_script_id": TAG}]),
    )
    api.on("POST", f"/builds/triggers/{TRIGGER}/builds", exception=ServerDisconnectedError())
    api.on(
        "GET",
        f"/builds/builds/latest?external_script_ids={TAG}",
        envelope({"builds": {TAG: build}}),
        repeat=True,
    )
    api.on("GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50", envelope([build]), repeat=True)
    await client.triggers.list(TAG)
    assert (await client.triggers.start_build(TRIGGER, branch="main")).build_uuid == BUILD_UUID


async def test_message_is_whole(api: MockApi, client: BuildsClient) -> None:
    """`args` has the whole message, even if the lookup fails."""
    api.on("POST", f"/builds/triggers/{TRIGGER}/builds", status=502, body="x")
    api.on("GET", "/workers/scripts", refusal(10000, "Authentication error"), status=403)
    with pytest.raises(BuildsError) as caught:
        await client.triggers.start_build(TRIGGER, branch="main")
    assert caught.value.args == (caught.value.message,)
