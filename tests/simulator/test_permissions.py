"""What each kind of token may do."""

import re
from typing import Any

import msgspec
import pytest

from builds_async.simulator import Behavior, BuildsSimulator, TokenKind, VirtualClock
from builds_async.simulator.endpoints import ROUTES
from tests.simulator.support import VERIFY, headers
from tests.support.case import Case

REFUSED = (403, 10000)


BUILDS_REFUSED = (401, 12006)


def asked(ask: Any, path: str, **options: Any) -> Any:
    """200, or status and code of a refusal."""
    response = ask(path, **options)
    return (
        200
        if response.status == 200
        else (response.status, msgspec.json.decode(response.body)["errors"][0]["code"])
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (TokenKind.FULL, [200, 200, 200, 200, 200]),
        (TokenKind.READ_ONLY, [200, 200, 200, 200, 200]),
        (TokenKind.NO_PERMISSION, [REFUSED, REFUSED, REFUSED, REFUSED, 200]),
        (TokenKind.NO_SCRIPTS, [200, REFUSED, REFUSED, 200, 200]),
        (TokenKind.NO_QUEUES, [200, 200, 200, REFUSED, 200]),
        (TokenKind.ACCOUNT_OWNED, [BUILDS_REFUSED, 200, 200, 200, (401, 1000)]),
    ],
)
def test_a_token_may_read_what_its_kind_says(
    kind: TokenKind, expected: list[Any], sim: BuildsSimulator, door: Any
) -> None:
    """Builds, Workers, event subscriptions, and whether it is a user's token at all."""
    shown, subscriptions = headers(sim, kind), "/event_subscriptions/subscriptions"
    paths = ("account/limits", "/workers/scripts", "/workers/scripts-search", subscriptions, VERIFY)
    assert [asked(door(sim), path, headers=shown) for path in paths] == expected


def test_a_token_that_may_only_read_changes_nothing(sim: BuildsSimulator, door: Any) -> None:
    """403 for each route that needs more, and for no other."""
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "x", route.path)
        path = f"/client/v4{path}" if route.scope == "root" else path
        status = door(sim)(path, method=route.method, headers=headers(sim, TokenKind.READ_ONLY)).status
        with Case(route.operation):
            assert (status == 403) is route.permission.endswith(":write")


def test_an_account_owned_token_is_refused_on_every_path_of_builds(sim: BuildsSimulator, door: Any) -> None:
    """It is 401 with 12006, also where there is no route, and where another token gets 404."""
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("nowhere", "tokens", f"triggers/{'0' * 32}", "workers/shop/deploy_hooks"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED
    assert door(sim).error("/nowhere", headers=shown) == (404, 12000)


def test_queues_may_refuse_account_owned_tokens(clock: VirtualClock, door: Any) -> None:
    """The real service is unknown, so it is a switch."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(account_owned_queues=False))
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("/event_subscriptions/subscriptions", f"/queues/{sim.add_queue()}/messages/pull"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED
