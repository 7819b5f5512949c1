"""The simulated API without a socket: credentials, routes, and recorded requests."""

from typing import Any

import pytest

from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    Request,
    TokenKind,
    VirtualClock,
)
from tests.simulator.support import UUID
from tests.support.case import cases


@cases(
    ("headers", "expected"),
    [
        ({}, (401, 12005)),
        ({"authorization": "Bearer "}, (401, 12005)),
        ({"authorization": "Basic abc"}, (401, 12005)),
        ({"x-auth-email": "a@example.com"}, (401, 12005)),
        ({"authorization": "Bearer wrong"}, (401, 12006)),
        ({"x-auth-email": "a@example.com", "x-auth-key": "wrong"}, (401, 12006)),
    ],
    ids=["nothing", "no token", "another scheme", "half a pair", "unknown token", "unknown key"],
)
def test_unknown_credentials_are_refused(
    headers: dict[str, str], expected: tuple[int, int], sim: BuildsSimulator, door: Any
) -> None:
    """Missing credentials are a 401 with 12005 and unknown ones with 12006, on unknown routes too."""
    assert door(sim).error(f"builds/{UUID}", headers=headers) == expected
    assert door(sim).error("nowhere", headers=headers) == expected


@pytest.mark.parametrize(
    ("kind", "reading", "canceling"),
    [
        (TokenKind.FULL, 200, 200),
        (TokenKind.READ_ONLY, 200, (403, 10000)),
        (TokenKind.NO_PERMISSION, (403, 10000), (403, 10000)),
        (TokenKind.ACCOUNT_OWNED, (401, 12006), (401, 12006)),
    ],
)
def test_permissions_of_each_kind_of_token(
    kind: TokenKind, reading: Any, canceling: Any, sim: BuildsSimulator, door: Any
) -> None:
    """Each kind of token is refused like a real one."""
    headers = {"authorization": f"Bearer {sim.add_token(kind)}"}
    path = f"builds/{sim.add_build().build_uuid}"
    for method, where, expected in (("GET", path, reading), ("PUT", f"{path}/cancel", canceling)):
        if expected == 200:
            assert door(sim)(where, method=method, headers=headers).status == 200
        else:
            assert door(sim).error(where, method=method, headers=headers) == expected


def test_the_email_and_key_pair_is_accepted_unless_switched_off(clock: VirtualClock, door: Any) -> None:
    """A switch decides whether the email and key pair is accepted, because the real endpoints are unknown."""
    pair = {"x-auth-email": "a@example.com", "x-auth-key": "k"}
    for accepted in (True, False):
        sim = BuildsSimulator(
            clock=clock,
            api_email="a@example.com",
            api_key="k",
            behavior=Behavior(email_key_pair=accepted),
        )
        response = door(sim)(f"builds/{sim.add_build().build_uuid}", headers=pair)
        assert response.status == (200 if accepted else 401)
    with pytest.raises(ValueError, match="belong together"):
        BuildsSimulator(api_email="a@example.com")


@cases(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "builds/not-a-uuid"),
        ("GET", f"builds/{UUID}"),
        ("GET", f"builds/{UUID}/logs"),
        ("PUT", f"builds/{UUID}/cancel"),
        ("GET", f"builds/{UUID}/cancel"),
        ("POST", f"builds/{UUID}"),
        ("GET", "builds/"),
        ("GET", "triggers"),
        ("GET", "workers/my-worker/builds"),
    ],
)
def test_unknown_things_are_not_found(method: str, path: str, sim: BuildsSimulator, door: Any) -> None:
    """Unknown builds, unknown routes and names in place of tags are a 404 with 12000."""
    sim.add_worker("my-worker")
    assert door(sim).error(path, method=method) == (404, 12000)


def test_a_method_without_a_route_does_nothing(sim: BuildsSimulator, door: Any) -> None:
    """A method without a route is a 404 with 12000, even for an existing build."""
    path = f"builds/{sim.add_build().build_uuid}"
    for method, where in (
        ("GET", f"{path}/cancel"),
        ("POST", path),
        ("DELETE", path),
        ("PUT", f"{path}/logs"),
    ):
        assert door(sim).error(where, method=method) == (404, 12000)
    assert door(sim).result(path)["status"] == "queued"


@cases("target", ["/", "/client/v4/user", "/client/v4/accounts", "//", "/client/v4/accounts?x"])
def test_nothing_is_served_outside_of_the_account(target: str, sim: BuildsSimulator) -> None:
    """A path outside of the account is a 404 with 12000, even with a valid token."""
    response = sim.answer(Request(target=target, headers={"authorization": f"Bearer {sim.api_token}"}))
    assert (response.status, b"12000" in response.body) == (404, True)


def test_another_account_is_refused(sim: BuildsSimulator, door: Any) -> None:
    """A token for another account is refused: 403 with 10000."""
    assert door(sim).error(f"builds/{UUID}", account="0" * 32) == (403, 10000)


def test_it_remembers_requests(sim: BuildsSimulator, door: Any) -> None:
    """Requests are recorded oldest first, with method, path, decoded query, time and status."""
    door(sim)("builds/latest", external_script_ids="a,b")
    door(sim)(f"builds/{UUID}/cancel", method="PUT")
    first, second = sim.requests
    assert (first.method, first.status, first.when) == ("GET", 200, 0.0)
    assert first.path == f"/client/v4/accounts/{sim.account_id}/builds/builds/latest"
    assert first.query == {"external_script_ids": "a,b"}
    assert (second.method, second.status, second.query, second.fault) == ("PUT", 404, {}, None)
