"""The permissions of each kind of token."""

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
def test_reads_of_each_kind_of_token(
    kind: TokenKind, expected: list[Any], sim: BuildsSimulator, door: Any
) -> None:
    """Each kind of token may read builds, Workers, subscriptions and itself as specified."""
    shown, subscriptions = headers(sim, kind), "/event_subscriptions/subscriptions"
    paths = ("account/limits", "/workers/scripts", "/workers/scripts-search", subscriptions, VERIFY)
    assert [asked(door(sim), path, headers=shown) for path in paths] == expected


def test_a_read_only_token_changes_nothing(sim: BuildsSimulator, door: Any) -> None:
    """A read-only token gets a 403 on each route that writes, and on no other."""
    for route in ROUTES:
        path = re.sub(r"\{\w+\}", "x", route.path)
        path = f"/client/v4{path}" if route.scope == "root" else path
        status = door(sim)(path, method=route.method, headers=headers(sim, TokenKind.READ_ONLY)).status
        with Case(route.operation):
            assert (status == 403) is route.permission.endswith(":write")


def test_an_account_owned_token_is_refused_on_every_path_of_builds(sim: BuildsSimulator, door: Any) -> None:
    """An account-owned token is a 401 with 12006 on every builds path, even where no route exists."""
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("nowhere", "tokens", f"triggers/{'0' * 32}", "workers/shop/deploy_hooks"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED
    assert door(sim).error("/nowhere", headers=shown) == (404, 12000)


def test_queues_may_refuse_account_owned_tokens(clock: VirtualClock, door: Any) -> None:
    """A switch lets queues refuse account-owned tokens, because the real service is unknown."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(account_owned_queues=False))
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("/event_subscriptions/subscriptions", f"/queues/{sim.add_queue()}/messages/pull"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED
