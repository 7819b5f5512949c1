"""The headers that every response has."""

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    VirtualClock,
)


async def test_each_response_has_the_headers_of_the_service(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """Each response has a unique ray id, the simulator's date, and the state of the rate limit."""
    build = sim.add_build()
    first = door(sim)(f"builds/{build.build_uuid}").headers
    await clock.sleep(60.0)
    second = door(sim)("nowhere").headers
    assert first["cf-ray"] != second["cf-ray"]
    assert re.fullmatch(r"[0-9a-f]{16}-\w{3}", first["cf-ray"])
    assert first["Content-Type"] == "application/json"
    assert first["Ratelimit-Policy"] == '"default";q=1200;w=300'
    assert (first["Ratelimit"], second["Ratelimit"]) == ('"default";r=1199;t=300', '"default";r=1198;t=240')
    dates = [parsedate_to_datetime(headers["Date"]) for headers in (first, second)]
    assert dates[1] - dates[0] == timedelta(seconds=60)


@pytest.mark.parametrize(
    "options",
    [{"behavior": Behavior(rate_limit_headers=False)}, {"rate_limit": None}],
    ids=["switched off", "no limit"],
)
def test_rate_limit_headers_can_be_missing(options: dict[str, Any], clock: VirtualClock, door: Any) -> None:
    """A switch omits the rate-limit headers, because the real endpoints may not send them."""
    headers = door(BuildsSimulator(clock=clock, **options))("nowhere").headers
    assert not [name for name in headers if "ratelimit" in name.lower()]
