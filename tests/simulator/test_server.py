"""The simulator over a socket: connection-level behavior, and no leftovers."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator
from typing import Any, get_args

import aiohttp
import pytest

from builds_async.simulator import BuildsSimulator, Fault, FaultKind, VirtualClock

GOOD = {"success": True, "errors": [], "messages": []}


@pytest.fixture
async def sim() -> AsyncIterator[BuildsSimulator]:
    """A started simulator on real time."""
    async with BuildsSimulator() as simulator:
        yield simulator


@pytest.fixture
async def session(sim: BuildsSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain session with the simulator's token."""
    headers = {"Authorization": f"Bearer {sim.api_token}"}
    async with aiohttp.ClientSession(headers=headers) as client:
        yield client


def build_url(sim: BuildsSimulator) -> str:
    """The URL of a finished build."""
    return f"{sim.url}/accounts/{sim.account_id}/builds/builds/{sim.add_finished_build().build_uuid}"


async def get(session: aiohttp.ClientSession, url: str, **options: Any) -> tuple[int, bytes]:
    """Status and whole body."""
    async with session.get(url, **options) as response:
        return response.status, await response.read()


async def test_it_serves_over_a_socket(sim: BuildsSimulator, session: aiohttp.ClientSession) -> None:
    """The simulator serves the same over a socket as in process, with the headers on the wire."""
    assert sim.url.startswith("http://127.0.0.1:")
    assert sim.url.endswith("/client/v4")
    async with session.get(build_url(sim)) as response:
        body = await response.json()
    assert (response.status, body["success"], body["result"]["status"]) == (200, True, "stopped")
    assert (response.headers["server"], response.content_type) == ("cloudflare", "application/json")
    assert {"cf-ray", "Ratelimit", "Ratelimit-Policy", "Date"} <= set(response.headers)


async def test_a_log_is_read_over_a_socket_by_quoted_cursors(
    sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """A quoted cursor with special characters survives the round trip over a socket."""
    build = sim.add_finished_build(250)
    url = f"{sim.url}/accounts/{sim.account_id}/builds/builds/{build.build_uuid}/logs"
    lines, params = [], dict[str, str]()
    while True:
        async with session.get(url, params=params) as response:
            page = (await response.json())["result"]
        lines += page["lines"]
        params = {"cursor": page["cursor"]}
        if not page["truncated"]:
            break
    assert [text for _, text in lines] == [line.message for line in build.lines]


async def test_a_truncated_body_is_detected_by_its_length(
    sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """A truncated body is detected by its announced length."""
    sim.fault("cut_body")
    async with session.get(build_url(sim)) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert (await get(session, build_url(sim)))[0] == 200


async def test_a_reset_comes_before_the_first_byte(sim: BuildsSimulator) -> None:
    """A reset closes the connection before the first byte."""
    sim.fault("reset")
    loop, port = asyncio.get_running_loop(), int(sim.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setblocking(False)
        request = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sim.api_token}\r\n\r\n"
        await loop.sock_sendall(connection, request.encode())
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(connection, 1)


async def test_a_client_sees_a_reset_as_a_lost_connection(
    sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """A client sees each reset as a lost connection, and the next request succeeds."""
    sim.fault(Fault("reset", method="POST", times=3))
    for _ in range(3):  # POST, since aiohttp's client repeats a GET or PUT once by itself
        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            async with session.post(build_url(sim)):
                pass
    assert (await get(session, build_url(sim)))[0] == 200


@pytest.mark.parametrize("headers_sent", [False, True], ids=["at once", "after the headers"])
async def test_a_stall_lasts_until_the_client_leaves(
    headers_sent: bool, sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """A stall sends no byte until the client leaves, and then the server closes the connection."""
    sim.fault(Fault("stall", headers_sent=headers_sent))
    statuses = []

    async def read() -> None:
        async with session.get(build_url(sim)) as response:
            statuses.append(response.status)
            await response.read()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.05)
    assert statuses == [200] * headers_sent
    await until(lambda: sim.connections == 0)


@pytest.mark.parametrize("kind", get_args(FaultKind))
async def test_every_kind_of_fault_is_implemented(
    kind: FaultKind, sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """Every kind of fault is implemented; an unknown one would be an error that aiohttp shows as 500."""
    sim.fault(Fault(kind, size=1000, delay=0.0))
    try:
        async with asyncio.timeout(0.05 if kind == "stall" else 5.0):
            # POST, since aiohttp's client repeats a GET by itself.
            async with session.post(f"{build_url(sim)}/logs", allow_redirects=False) as response:
                await response.read()
                status = response.status
    except (TimeoutError, aiohttp.ClientError):
        status = None
    assert [seen.fault for seen in sim.requests] == [kind]
    assert (status is None) == (kind in {"reset", "stall", "cut_body"})
    assert status != 500


async def test_stopping_disconnects_stalled_clients(session: aiohttp.ClientSession) -> None:
    """Stopping disconnects stalled clients at once, without waiting for them."""
    clock = VirtualClock()
    async with BuildsSimulator(clock=clock) as sim:
        sim.fault(Fault("stall", times=2), Fault("stall", headers_sent=True), Fault("slow", delay=1e9))
        url, headers = build_url(sim), {"Authorization": f"Bearer {sim.api_token}"}
        with clock.hold():
            waiting = [asyncio.create_task(get(session, url, headers=headers)) for _ in range(4)]
            await until(lambda: len(sim.requests) == 4)
            began = time.perf_counter()
            await sim.stop()
        assert time.perf_counter() - began < 0.4
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results), results


async def test_a_slow_response_takes_its_time_on_the_clock() -> None:
    """A slow response is delayed on the clock, and takes no real time if that is virtual."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock, faults=[Fault("slow", delay=600.0)])
    headers = {"Authorization": f"Bearer {sim.api_token}"}
    async with sim, aiohttp.ClientSession(headers=headers) as session:
        assert (await get(session, build_url(sim)))[0] == 200
    assert clock.now() == 600.0


async def test_a_huge_body_is_as_long_as_it_says(
    sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """A huge body has its announced size and is valid JSON, and a client may leave in the middle."""
    sim.fault(Fault("huge_body", size=300_000), Fault("huge_body"))
    _, body = await get(session, build_url(sim))
    assert 300_000 < len(body) < 300_100
    assert body.startswith(b'{"success":true')
    async with session.get(build_url(sim)) as response:
        await response.content.readexactly(100_000)
    await until(lambda: sim.connections <= 1)


async def test_an_html_error_and_an_empty_body_go_over_the_wire(
    sim: BuildsSimulator, session: aiohttp.ClientSession
) -> None:
    """Faults that need no wire work over a socket too."""
    sim.fault("server_error", "empty_body", Fault("redirect", location=f"{sim.url}/elsewhere"))
    status, body = await get(session, build_url(sim))
    assert (status, body[:15]) == (502, b"<!DOCTYPE html>")
    assert await get(session, build_url(sim)) == (200, b"")
    assert (await get(session, build_url(sim), allow_redirects=False))[0] == 302
    assert [seen.path for seen in sim.requests if "elsewhere" in seen.path] == []


async def test_starting_and_stopping_again_has_no_effect(session: aiohttp.ClientSession) -> None:
    """Starting and stopping are idempotent; a stopped simulator keeps its builds and can restart."""
    sim = BuildsSimulator()
    with pytest.raises(RuntimeError, match="not started"):
        _ = sim.url
    await sim.stop()
    await asyncio.gather(sim.start(), sim.start())
    url = sim.url
    await sim.start()
    assert sim.url == url
    build = sim.add_finished_build()
    await asyncio.gather(sim.stop(), sim.stop())
    with pytest.raises(RuntimeError, match="not started"):
        _ = sim.url
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(session, url)
    await sim.start()
    assert (await get(session, sim.url))[0] == 401
    assert list(sim.builds) == [build.build_uuid]
    await sim.stop()


async def test_it_serves_loopback_only() -> None:
    """An address other than loopback is rejected, and a port in use is an OSError."""
    sim = BuildsSimulator()
    for host in ("0.0.0.0", "192.0.2.1", "example.com"):  # noqa: S104  # refused
        with pytest.raises(ValueError, match=r"loopback|does not appear"):
            await sim.start(host)
    async with BuildsSimulator() as other:
        with pytest.raises(OSError, match="in use"):
            await sim.start(port=int(other.url.split(":")[2].split("/")[0]))
    await sim.start("localhost")
    assert sim.url.startswith("http://localhost:")
    await sim.stop()


@pytest.mark.filterwarnings("error")
async def test_stopping_leaves_no_task_and_no_connection() -> None:
    """Stopping leaves no task and no connection, even of idle or silent clients."""
    before = asyncio.all_tasks()
    sim = BuildsSimulator()
    await sim.start()
    silent = socket.create_connection(("127.0.0.1", int(sim.url.split(":")[2].split("/")[0])))
    async with aiohttp.ClientSession() as session:
        await get(session, sim.url)
        await until(lambda: sim.connections == 2)
        await sim.stop()
        assert (sim.connections, asyncio.all_tasks()) == (0, before)
    silent.close()
    gc.collect()


@pytest.mark.slow
async def test_many_clients_are_served_in_simulated_time() -> None:
    """Twenty concurrent followers are served in simulated time, deterministically."""
    clock = VirtualClock()
    async with BuildsSimulator(clock=clock, rate_limit=None) as sim:
        builds = [sim.add_build([(float(second), f"{second}") for second in range(60)]) for _ in range(20)]
        headers = {"Authorization": f"Bearer {sim.api_token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            counts = await asyncio.gather(*(follow(sim, session, b.build_uuid, clock) for b in builds))
    assert counts == [list(range(1, 61))] * 20
    assert {seen.when for seen in sim.requests} == {float(second) for second in range(60)}


async def follow(
    sim: BuildsSimulator, session: aiohttp.ClientSession, build_uuid: str, clock: VirtualClock
) -> list[int]:
    """The line counts that a poller sees in each second of a minute."""
    counts, url = [], f"{sim.url}/accounts/{sim.account_id}/builds/builds/{build_uuid}/logs"
    for second in range(60):
        async with session.get(url) as response:
            counts.append(len((await response.json())["result"]["lines"]))
        assert clock.now() == second
        await clock.sleep(1.0)
    return counts


async def until(condition: Any) -> None:
    """Let the loop turn until a condition holds, for at most five seconds."""
    deadline = time.monotonic() + 5.0
    while not condition():
        await asyncio.sleep(0.001)
        assert time.monotonic() < deadline
