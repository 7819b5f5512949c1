"""Which starts are sent again."""

import socket
from collections.abc import Iterator

import pytest

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from builds_async.simulator import (
    Fault,
)
from tests.resources.starting.support import STARTS, Shop, Start, instead
from tests.support import ACCOUNT, BUILD_UUID, TOKEN, FakeClock, nothing_left


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_after_a_429(start: Start, shop: Shop) -> None:
    """After a 429 nothing was started, so the request is sent again after Retry-After."""
    shop.sim.fault(Fault("rate_limited", method="POST", retry_after=30))
    build = await start(shop)
    assert [None, build.build_uuid] == shop.wire.made
    assert shop.clock.now() >= 1030


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
async def test_after_no_connection(start: Start, shop: Shop) -> None:
    """A request that never got a connection is sent again."""
    calls: Iterator[bool] = iter([True, True])

    def refuse(_: str, __: str) -> None:
        if next(calls, False):
            raise BuildsConnectionError("could not connect", sent=False)

    shop.wire.failing = refuse
    build = await start(shop)
    assert [build.build_uuid] == shop.wire.made
    assert shop.wire.posts == 3


async def test_without_a_connection() -> None:
    """A refused connection triggers no lookup, and its own error is raised."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with (
            nothing_left(),
            BuildsClient(account_id=ACCOUNT, api_token=TOKEN, base_url=url, clock=FakeClock()) as client,
        ):
            with pytest.raises(BuildsConnectionError) as caught:
                await client.triggers.start_build(BUILD_UUID, branch="main")
    assert caught.value.attempts == 4
    assert not caught.value.sent
    assert "unknown" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"success":false,"errors":[{"code":12002,"message":"Invalid"}]}', BadRequestError),
        (401, b"", AuthenticationError),
        (403, b"<html>", PermissionDeniedError),
        (404, b"", NotFoundError),
        (302, b"", APIError),
        (200, b'{"success":false,"errors":[{"code":12002,"message":"Invalid"}]}', BadRequestError),
    ],
    ids=["400", "401", "403", "404", "302", "200 that says no"],
)
async def test_refused(status: int, body: bytes, error: type[BuildsError], shop: Shop) -> None:
    """A refusal is a response: it is raised, and nothing is looked up."""
    shop.wire.losses.append((instead(status, body), False))
    with pytest.raises(error) as caught:
        await shop.start()
    assert len(shop.wire.sent) == 1
    assert "unknown" not in str(caught.value)


async def test_429_that_lasts(shop: Shop) -> None:
    """A lasting 429 is raised as such, because nothing was started."""
    shop.sim.fault(Fault("rate_limited", method="POST", retry_after=1, times=None))
    with pytest.raises(RateLimitError):
        await shop.start()
    assert {method for method, _ in shop.wire.sent} == {"POST"}
