"""The user's own token."""

import re
from typing import Any

import pytest

from builds_async.simulator import BuildsSimulator, TokenKind, VirtualClock
from tests.simulator.support import VERIFY, headers


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic x"},
        {"x-auth-email": "a", "x-auth-key": "k"},
    ],
    ids=["nothing", "unknown", "basic", "key"],
)
def test_only_a_token_can_be_verified(shown: dict[str, str], clock: VirtualClock, door: Any) -> None:
    """Only a token can be verified; anything else, the global key included, is a 401 with 1000."""
    sim = BuildsSimulator(clock=clock, api_email="a", api_key="k")
    assert door(sim).error(VERIFY, headers=shown) == (401, 1000)


def test_a_token_has_an_id(sim: BuildsSimulator, door: Any) -> None:
    """Each token has its own constant id, and this endpoint's messages are objects."""
    first, second = door(sim).body(VERIFY), door(sim).body(VERIFY)
    other = door(sim).result(VERIFY, headers=headers(sim, TokenKind.READ_ONLY))
    assert first == second
    assert first["result"] == {"id": first["result"]["id"], "status": "active"}
    assert re.fullmatch("[0-9a-f]{32}", first["result"]["id"])
    assert other["id"] != first["result"]["id"]
    assert set(first["messages"][0]) == {"code", "message", "type"}
