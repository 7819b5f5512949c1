"""The rate limit: a sliding window, and a block after it is exceeded."""

from typing import Any

import pytest

from builds_async.simulator import (
    BuildsSimulator,
    Fault,
    RateLimit,
    VirtualClock,
)


async def test_past_the_limit_everything_is_refused_for_a_whole_window(
    clock: VirtualClock, door: Any
) -> None:
    """Past the limit, every request is a 429 with 971 for a whole window, which is then empty."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(3, 10.0))
    ask, path = door(sim), f"builds/{sim.add_build().build_uuid}"
    assert [ask(path).status for _ in range(3)] == [200, 200, 200]
    await clock.sleep(9.5)
    refused = ask(path)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "10")
    assert refused.headers["Ratelimit"] == '"default";r=0;t=10'
    await clock.sleep(9.75)
    refused = ask(path)
    assert (refused.headers["Retry-After"], refused.headers["Ratelimit"]) == ("1", '"default";r=0;t=1')
    await clock.sleep(0.25)
    assert ask(path).headers["Ratelimit"] == '"default";r=2;t=10'


def test_request_without_a_valid_token_uses_up_nothing(clock: VirtualClock, door: Any) -> None:
    """A request without a valid token uses up neither the user's rate limit nor a planned fault."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(1, 10.0), faults=[Fault("not_json")])
    ask, path = door(sim), f"builds/{sim.add_build().build_uuid}"
    strangers: tuple[dict[str, str], ...] = (
        {},
        {"authorization": "Bearer wrong"},
        {"x-auth-email": "a@b.c", "x-auth-key": "wrong"},
    )
    assert [ask(path, headers=headers).status for headers in strangers] == [401] * 3
    assert not ask(path).body.startswith(b"{")  # the fault
    assert ask(path).status == 429
    assert ask(path, headers={}).status == 401


async def test_the_window_slides(clock: VirtualClock, door: Any) -> None:
    """No window has more than `limit` requests, and the oldest one makes room first."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(3, 10.0))
    statuses = []
    for wait in (0.0, 4.0, 4.0, 2.0, 4.0, 3.9):
        await clock.sleep(wait)
        statuses.append(door(sim)("nowhere").status)
    assert statuses == [404, 404, 404, 404, 404, 429]


def test_other_clients_use_up_the_same_limit(clock: VirtualClock, door: Any) -> None:
    """`spend` counts requests of other clients towards the same limit."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(10, 10.0))
    sim.spend(0)
    sim.spend(9)
    assert [door(sim)("nowhere").status for _ in range(2)] == [404, 429]
    with pytest.raises(ValueError, match="positive"):
        RateLimit(0)
