"""The plan of faults, without a socket."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from builds_async.simulator import BuildsSimulator, Fault, FaultKind, RateLimit, VirtualClock
from tests.support.case import cases


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    """A simulator on the virtual clock."""
    return BuildsSimulator(clock=clock, page_size=2)


def statuses(sim: BuildsSimulator, door: Any, requests: int, path: str = "nowhere") -> list[int]:
    """The statuses of consecutive requests."""
    return [door(sim)(path).status for _ in range(requests)]


def test_faults_come_in_order_and_are_used_up(sim: BuildsSimulator, door: Any) -> None:
    """Each request meets the first fault that is ready; after the last fault, requests succeed."""
    sim.fault(Fault("server_error", status=503, times=2), "rate_limited")
    assert statuses(sim, door, 5) == [503, 503, 429, 404, 404]
    assert [seen.fault for seen in sim.requests][:3] == ["server_error", "server_error", "rate_limited"]


def test_a_fault_can_wait_for_its_request(sim: BuildsSimulator, door: Any) -> None:
    """`after` lets matching requests pass; other requests neither meet the fault nor count."""
    sim.fault(Fault("server_error", path="/logs", method="GET", after=1))
    ask = door(sim)
    seen = [
        ask("builds/x").status,
        ask("builds/x/logs", method="PUT").status,
        ask("builds/x/logs").status,
        ask("builds/x").status,
        ask("builds/x/logs").status,
        ask("builds/x/logs").status,
    ]
    assert seen == [404, 404, 404, 404, 502, 404]


def test_a_fault_can_wait_and_then_repeat(sim: BuildsSimulator, door: Any) -> None:
    """`times` counts from the first request that meets the fault."""
    sim.fault(Fault("server_error", after=2, times=2))
    assert statuses(sim, door, 5) == [404, 404, 502, 502, 404]


def test_a_fault_can_last_until_it_is_cleared(sim: BuildsSimulator, door: Any) -> None:
    """A fault with `times=None` lasts until it is cleared."""
    sim.fault(Fault("server_error", times=None))
    assert statuses(sim, door, 50) == [502] * 50
    sim.clear_faults()
    assert statuses(sim, door, 1) == [404]


def test_a_first_plan_can_be_given_at_once(clock: VirtualClock, door: Any) -> None:
    """The first plan of faults can be an argument, in the same form."""
    sim = BuildsSimulator(clock=clock, faults=["rate_limited", Fault("redirect", location="/x")])
    responses = [door(sim)("nowhere") for _ in range(2)]
    assert [response.status for response in responses] == [429, 302]
    assert responses[1].headers["Location"] == "/x"


@cases(
    ("fault", "kind", "size"),
    [
        (Fault("server_error"), "text/html; charset=UTF-8", range(6000, 7000)),
        (Fault("server_error", body="nginx"), "text/html", range(150, 160)),
        (Fault("server_error", status=503, body="text"), "text/plain", range(60, 120)),
        (Fault("server_error", status=504, body="text"), "text/plain", range(24, 25)),
        (Fault("blocked"), "text/html; charset=UTF-8", range(6000, 7000)),
        (Fault("empty_body"), "application/json", range(1)),
        (Fault("not_json"), "application/json", range(1, 200)),
    ],
    ids=["html", "nginx", "text", "timeout", "blocked", "empty", "not json"],
)
def test_non_json_bodies_look_like_the_real_ones(
    fault: Fault, kind: str, size: range, sim: BuildsSimulator, door: Any
) -> None:
    """A body that is not JSON has a realistic type and size, and its response keeps the ray id."""
    sim.fault(fault)
    response = door(sim)("nowhere")
    assert response.headers["Content-Type"] == kind
    assert len(response.body) in size
    assert response.headers["cf-ray"]


@pytest.mark.parametrize("after", [None, 7], ids=["without", "seconds"])
def test_a_429_may_have_the_seconds_to_wait(after: int | None, sim: BuildsSimulator, door: Any) -> None:
    """A 429 has the fault's Retry-After, if any, and the global limiter's code."""
    sim.fault(Fault("rate_limited", retry_after=after, times=2))
    assert door(sim)("nowhere").headers.get("Retry-After") == (None if after is None else "7")
    assert door(sim).error("nowhere") == (429, 971)


def test_a_429_can_have_a_date(sim: BuildsSimulator, door: Any) -> None:
    """A 429's Retry-After can be a date, `retry_after` seconds after the response's date."""
    sim.fault(Fault("rate_limited", retry_after=90, as_date=True))
    headers = door(sim)("nowhere").headers
    wait = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert wait == timedelta(seconds=90)


def test_a_page_can_be_repeated(sim: BuildsSimulator, door: Any) -> None:
    """The next log request gets the previous page again; other requests do not use up the fault."""
    build, ask = sim.add_finished_build(6), door(sim)
    path = f"builds/{build.build_uuid}"
    first = ask.result(f"{path}/logs")
    sim.fault("repeated_page")
    assert ask.result(path)["status"] == "stopped"
    again = ask.result(f"{path}/logs", cursor=first["cursor"])
    second = ask.result(f"{path}/logs", cursor=first["cursor"])
    assert again == first
    assert [text for _, text in second["lines"]] == ["line 3 of 6", "line 4 of 6"]


def test_the_first_page_cannot_be_repeated(sim: BuildsSimulator, door: Any) -> None:
    """The first page can't be repeated, so its request gets its own response."""
    sim.fault("repeated_page")
    page = door(sim).result(f"builds/{sim.add_finished_build(6).build_uuid}/logs")
    assert len(page["lines"]) == 2


def test_a_fault_instead_of_a_response_prevents_the_action(sim: BuildsSimulator, door: Any) -> None:
    """A fault that replaces the response prevents the cancellation; a lost response does not."""
    refused, lost = sim.add_build(), sim.add_build()
    sim.fault("server_error", "reset")
    for build in (refused, lost):
        door(sim)(f"builds/{build.build_uuid}/cancel", method="PUT")
    assert (refused.outcome, lost.outcome) == (None, "cancelled")


async def test_a_request_past_the_rate_limit_meets_no_fault(clock: VirtualClock, door: Any) -> None:
    """A request past the rate limit meets no fault, and the plan waits until the block is over."""
    sim = BuildsSimulator(clock=clock, rate_limit=RateLimit(1, 10.0), faults=[Fault("server_error", after=1)])
    assert statuses(sim, door, 3) == [404, 429, 429]
    await clock.sleep(10.0)
    assert statuses(sim, door, 1) == [502]


@pytest.mark.parametrize("kind", ["cut_body", "reset", "stall", "slow", "huge_body"])
def test_a_fault_of_the_connection_is_named_in_the_response(
    kind: FaultKind, sim: BuildsSimulator, door: Any
) -> None:
    """A connection fault keeps the true response and is named in it."""
    fault = Fault(kind)
    sim.fault(fault)
    response = door(sim)(f"builds/{sim.add_build().build_uuid}")
    assert (response.status, response.fault) == (200, fault)


@cases("bad", [{"kind": "unheard_of"}, {"kind": "reset", "times": 0}, {"kind": "reset", "after": -1}])
def test_an_invalid_fault_is_refused(bad: dict[str, Any]) -> None:
    """An invalid fault is rejected when it is constructed."""
    with pytest.raises(ValueError, match=r"unknown kind|must not be negative"):
        Fault(**bad)
