"""When a followed log ends, for builds with missing or ambiguous dates."""

from typing import Any

import pytest
from aioresponses import CallbackResult

from builds_async import BuildsClient
from tests.support import BUILD_UUID, FakeClock, MockApi, envelope, log_page
from tests.support.bodies import build

PATH = f"/builds/builds/{BUILD_UUID}"


@pytest.mark.parametrize("stopped_on", [None, "2026-08-13T02:34:40.500"], ids=["null", "without a zone"])
async def test_finished_build_with_no_certain_end(
    stopped_on: str | None, api: MockApi, client: BuildsClient, clock: FakeClock
) -> None:
    """A finished build is followed to its end at once, even if its stop time is unknown."""
    api.on("GET", PATH, envelope(build(stopped_on=stopped_on)), repeat=True)
    api.on("GET", f"{PATH}/logs", envelope(log_page("a", "b", cursor="1", truncated=True)))
    api.on("GET", f"{PATH}/logs?cursor=1", envelope(log_page("c", cursor="2")))
    api.on("GET", f"{PATH}/logs?cursor=2", envelope(log_page(cursor="2")), repeat=True)
    log = client.follow(BUILD_UUID)
    assert [line.message async for line in log] == ["a", "b", "c"]
    assert log.complete
    assert clock.now() <= 5


@pytest.mark.parametrize("stopped_on", [None, "2026-08-13T02:34:40.500"], ids=["null", "without a zone"])
async def test_late_line_of_a_build_with_no_certain_end(
    stopped_on: str | None, api: MockApi, client: BuildsClient, clock: FakeClock
) -> None:
    """A line that arrives a second after the stop is delivered, even if the stop time is unknown."""
    stops, late = 3.0, 4.0

    def status(*_: object, **__: Any) -> CallbackResult:
        running = {"status": "running", "build_outcome": None, "stopped_on": None}
        now = {"stopped_on": stopped_on} if clock.now() >= stops else running
        return CallbackResult(payload=envelope(build(**now)))

    def log_so_far(*_: object, **__: Any) -> CallbackResult:
        return CallbackResult(payload=envelope(log_page(*("a", "late")[: 1 + (clock.now() >= late)])))

    api.on("GET", PATH, callback=status, repeat=True)
    api.on("GET", f"{PATH}/logs", callback=log_so_far, repeat=True)
    log = client.follow(BUILD_UUID)
    assert [line.message async for line in log] == ["a", "late"]
    assert log.complete
