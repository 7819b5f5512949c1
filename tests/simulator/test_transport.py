"""A client of the simulator without a socket: the same responses, refusals and errors as over HTTP."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any, get_args

import aiohttp
import pytest

from builds_async import (
    AuthenticationError,
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
    RetryPolicy,
)
from builds_async.session.transport import Request
from builds_async.simulator import BuildsSimulator, Fault, FaultKind, TokenKind, VirtualClock, build_script
from builds_async.simulator.responses import huge_json

ONCE = RetryPolicy(attempts=1)
SHORT = 0.05
BUILD = "8d3b7a4e-3c57-4e0a-9a39-0a3f6c0f3b11"


async def test_log_is_followed_on_the_clock(sim: BuildsSimulator, clock: VirtualClock) -> None:
    """A followed build takes its minutes on the simulator's clock, and every line arrives once."""
    build = sim.add_build(build_script(200, rate=2.0))
    async with sim.client() as client:
        log = client.follow(build.build_uuid)
        assert [line async for line in log] == list(build.lines)
        assert (log.build.build_outcome, log.complete) == (BuildOutcome.SUCCESS, True)
    assert clock.now() > 100
    assert sim.connections == 0


async def test_transport_of_a_plain_client(sim: BuildsSimulator, clock: VirtualClock) -> None:
    """`BuildsClient(transport=sim.transport)` suffices for a client."""
    build = sim.add_finished_build()
    async with BuildsClient(
        transport=sim.transport, account_id=sim.account_id, api_token=sim.api_token, clock=clock
    ) as client:
        assert (await client.builds.get(build.build_uuid)).build_uuid == build.build_uuid


async def test_every_part_of_a_request_arrives(sim: BuildsSimulator) -> None:
    """Method, path, query and body arrive as the client sent them."""
    tag = sim.add_worker("a shop")
    async with sim.client() as client:
        await client.deploy_hooks.create("a shop", deploy_hook_name="näch/tly", branch="main")
        await client.builds.latest([tag])
        (hook,) = await client.deploy_hooks.list("a shop")
    assert hook.deploy_hook_name == "näch/tly"
    assert [(seen.method, seen.query) for seen in sim.requests] == [
        ("POST", {}),
        ("GET", {"external_script_ids": tag}),
        ("GET", {}),
    ]
    assert sim.requests[0].path.endswith("/builds/workers/a%20shop/deploy_hooks")


@pytest.mark.parametrize(
    ("kind", "error"),
    [(None, AuthenticationError), (TokenKind.READ_ONLY, PermissionDeniedError)],
    ids=["wrong token", "read only"],
)
async def test_credentials_are_those_of_the_client(
    kind: TokenKind | None, error: type[BuildsError], sim: BuildsSimulator
) -> None:
    """A client's unknown or read-only token is refused, and nothing is canceled."""
    build = sim.add_build()
    token = "cfut_wrong" if kind is None else sim.add_token(kind)
    async with sim.client(api_token=token, retry=ONCE) as client:
        with pytest.raises(error):
            await client.builds.cancel(build.build_uuid)
    assert build.outcome is None


async def test_a_key_takes_the_place_of_the_token(clock: VirtualClock) -> None:
    """A key with an email address replaces the account's token."""
    sim = BuildsSimulator(clock=clock, api_email="a@example.com", api_key="k")
    build = sim.add_build()
    async with sim.client(api_email="a@example.com", api_key="k") as client:
        assert (await client.builds.get(build.build_uuid)).build_uuid == build.build_uuid
    async with sim.client(api_email="a@example.com", api_key="other") as client:
        with pytest.raises(AuthenticationError):
            await client.builds.get(build.build_uuid)


async def test_call_without_a_token(sim: BuildsSimulator) -> None:
    """A deploy hook is triggered without credentials."""
    hook = sim.add_deploy_hook(sim.add_worker("shop"))
    async with sim.client(api_token="cfut_wrong") as client:
        assert not (await client.deploy_hooks.trigger(hook)).already_exists


FAULTS = {
    "reset": (Fault("reset"), BuildsConnectionError),
    "cut body": (Fault("cut_body"), BuildsConnectionError),
    "stall": (Fault("stall"), BuildsTimeoutError),
    "stall after headers": (Fault("stall", headers_sent=True), BuildsTimeoutError),
    "huge body": (Fault("huge_body"), ResponseDecodeError),
    "not json": (Fault("not_json"), ResponseDecodeError),
    "html": (Fault("server_error"), InternalServerError),
    "huge refusal": (Fault("huge_body"), NotFoundError),
}


@pytest.mark.slow
@pytest.mark.parametrize("call", ["get", "cancel"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
async def test_faults_are_the_errors_of_a_real_connection(
    fault: Fault, kind: type[BuildsError], call: str
) -> None:
    """A fault is the same error with and without a socket, in its class and attributes."""
    seen = []
    both: tuple[dict[str, Any], ...] = ({}, {"transport": None})
    async with BuildsSimulator(clock=VirtualClock()) as sim:
        uuid = BUILD if kind is NotFoundError else sim.add_build().build_uuid
        for options in both:
            sim.fault(fault)
            timeout = SHORT if fault.kind == "stall" else 5.0
            async with sim.client(retry=ONCE, timeout=timeout, **options) as client:
                with pytest.raises(kind) as caught:
                    await getattr(client.builds, call)(uuid)
            facts = ("transient", "sent", "status", "attempts", "method", "path", "body")
            seen.append((caught.type, *(getattr(caught.value, name, None) for name in facts)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", get_args(FaultKind))
async def test_every_kind_of_fault_is_implemented(kind: FaultKind, sim: BuildsSimulator) -> None:
    """Every kind of fault ends in a response or in a client error."""
    build = sim.add_finished_build()
    sim.fault(Fault(kind, size=1000))
    async with sim.client(retry=ONCE) as client:
        with suppress(BuildsError):
            await client.builds.logs(build.build_uuid)
    assert [seen.fault for seen in sim.requests] == [kind]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [64 * 2**20], ids=["64 MiB"])
async def test_largest_body_is_read_whole(limit: int, sim: BuildsSimulator) -> None:
    """A body of the maximum size is read whole, and one byte more is rejected."""
    surplus = len(b"".join(huge_json(0)))
    request = Request("GET", f"/accounts/{sim.account_id}/builds/account/limits", headers=bearer(sim))
    sim.fault(Fault("huge_body", size=limit - surplus), Fault("huge_body", size=limit - surplus + 1))
    assert len((await sim.transport.send(request)).body) == limit
    with pytest.raises(ResponseDecodeError, match="larger than 64 MiB"):
        await sim.transport.send(request)


async def test_only_the_start_of_a_huge_refusal_is_read(sim: BuildsSimulator) -> None:
    """For a response that is not a success, only the first MiB is read."""
    sim.fault("huge_body")
    response = await sim.transport.send(Request("GET", "/nowhere", headers=bearer(sim)))
    assert (response.status, len(response.body)) == (404, 2**20)


def bearer(sim: BuildsSimulator) -> dict[str, str]:
    return {"Authorization": f"Bearer {sim.api_token}"}


@pytest.mark.parametrize("kind", ["reset", "cut_body", "stall"])
async def test_lost_response_of_a_completed_request(kind: Any, sim: BuildsSimulator) -> None:
    """A cancellation whose response is lost has taken effect."""
    build = sim.add_build()
    sim.fault(Fault(kind))
    async with sim.client(retry=ONCE) as client:
        with pytest.raises(BuildsConnectionError) as caught:
            await client.builds.cancel(build.build_uuid)
    assert (caught.value.sent, caught.value.transient) == (True, True)
    assert build.outcome == BuildOutcome.CANCELLED


@pytest.mark.parametrize(("delay", "passes"), [(20.0, 20.0), (30.0, 30.0), (600.0, 30.0)])
async def test_delay_passes_on_the_clock(
    delay: float, passes: float, sim: BuildsSimulator, clock: VirtualClock
) -> None:
    """A response delayed by the timeout or more, 30 s by default, is too late."""
    build = sim.add_build()
    sim.fault(Fault("slow", delay=delay))
    async with sim.client(retry=ONCE) as client:
        if delay < 30:
            await client.builds.get(build.build_uuid)
        else:
            with pytest.raises(BuildsTimeoutError, match="within 30 s"):
                await client.builds.get(build.build_uuid)
    assert clock.now() == passes


async def test_transport_uses_the_timeout_of_the_client(sim: BuildsSimulator, clock: VirtualClock) -> None:
    """`client(timeout=5)` times out after five seconds on the clock."""
    build = sim.add_build()
    sim.fault("stall")
    async with sim.client(retry=ONCE, timeout=5.0) as client:
        with pytest.raises(BuildsTimeoutError, match="within 5 s"):
            await client.builds.get(build.build_uuid)
    assert clock.now() == 5.0


async def test_retry_gets_over_a_fault(sim: BuildsSimulator) -> None:
    """A GET is retried as over HTTP."""
    build = sim.add_build()
    sim.fault("reset", "stall")
    async with sim.client() as client:
        assert (await client.builds.get(build.build_uuid)).build_uuid == build.build_uuid
    assert [seen.fault for seen in sim.requests] == ["reset", "stall", None]


async def test_closed_client_stays_closed_alone(sim: BuildsSimulator) -> None:
    """Closing a client closes its own transport and no other."""
    build = sim.add_build()
    async with sim.client() as other:
        async with sim.client() as client:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            await client.builds.get(build.build_uuid)
        await other.builds.get(build.build_uuid)


def test_client_belongs_to_one_event_loop(clock: VirtualClock) -> None:
    """Using a client in a second event loop is a RuntimeError, as with a socket."""
    sim = BuildsSimulator(clock=clock)
    client = sim.client()
    asyncio.run(client.account.limits())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(client.account.limits())


async def test_session_of_the_caller_goes_over_the_socket(clock: VirtualClock) -> None:
    """`client(session=...)` requires the running server, and says so."""
    sim = BuildsSimulator(clock=clock)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(RuntimeError, match="not started"):
            sim.client(session=session)
        async with sim, sim.client(session=session) as client:
            await client.account.limits()
            assert sim.connections == 1


@pytest.mark.slow
async def test_environ_connects_a_child_process(sim: BuildsSimulator) -> None:
    """`environ` connects a child process to the simulator, and requires the running server."""
    with pytest.raises(RuntimeError, match="not started"):
        _ = sim.environ
    code = (
        "import asyncio, builds_async\n"
        "async def main():\n"
        "    async with builds_async.BuildsClient() as client: print((await client.account.limits())"
        ".has_reached_build_minutes_limit)\n"
        "asyncio.run(main())"
    )
    async with sim:
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code],
            env={**os.environ, **sim.environ},
            capture_output=True,
            text=True,
            check=True,
        )
        assert list(sim.environ) == ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_BASE_URL"]
    assert run.stdout == "False\n"
