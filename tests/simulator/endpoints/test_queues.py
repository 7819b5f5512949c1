"""The endpoints of queues: permissions and refusals."""

from typing import Any

import pytest

from builds_async.simulator import (
    BuildsSimulator,
    TokenKind,
)
from tests.simulator.support import Consumer
from tests.support.case import cases


class TestDoor:
    @cases("action", ["pull", "ack", "extend"])
    @cases(
        ("kind", "expected"),
        [
            (TokenKind.FULL, 200),
            (TokenKind.READ_ONLY, 403),
            (TokenKind.NO_PERMISSION, 403),
            (TokenKind.NO_QUEUES, 403),
            (TokenKind.NO_SCRIPTS, 200),
            (TokenKind.ACCOUNT_OWNED, 200),
        ],
    )
    def test_tokens(self, kind: TokenKind, expected: int, action: str, sim: BuildsSimulator) -> None:
        """All three actions require a token with write access."""
        consumer = Consumer(sim)
        consumer.token = sim.add_token(kind)
        body = {"extend": [], "visibility_timeout_ms": 1} if action == "extend" else {}
        assert consumer.ask(action, body)[0] == expected

    def test_unknown(self, sim: BuildsSimulator) -> None:
        """An unknown queue, action or method is a 404."""
        consumer = Consumer(sim)
        assert Consumer(sim, "nowhere").ask("pull")[0] == 404
        assert consumer.ask("push")[0] == 404
        assert consumer.ask("pull", method="GET")[0] == 404

    @cases(
        ("action", "body"),
        [
            ("pull", b"{"),
            ("pull", {"batch_size": 0}),
            ("pull", {"batch_size": 101}),
            ("pull", {"visibility_timeout_ms": 43_200_001}),
            ("ack", {"acks": ["lease"]}),
            ("ack", {"retries": [{"lease_id": "a", "delay_seconds": 86_401}]}),
            ("extend", {"extend": []}),
        ],
        ids=str,
    )
    def test_bad_body(self, action: str, body: Any, sim: BuildsSimulator) -> None:
        """An invalid body is a 400."""
        status, response = Consumer(sim).ask(action, body)
        assert (status, response["errors"][0]["code"]) == (400, 12002)

    def test_names(self, sim: BuildsSimulator) -> None:
        """A queue has the given name or a generated one, and names are unique."""
        sim.add_queue("queue-1")
        sim.add_queue()
        assert [queue.name for queue in sim.queues.values()] == ["queue-1", "queue-2"]
        assert repr(next(iter(sim.queues.values()))) == "<SimulatedQueue queue-1 0 messages>"
        with pytest.raises(ValueError, match="another queue with the name 'queue-2'"):
            sim.add_queue("queue-2")

    def test_misuse(self, sim: BuildsSimulator) -> None:
        """Negative counts are rejected."""
        with pytest.raises(ValueError, match="must not be negative"):
            sim.add_queue(max_retries=-1)
        with pytest.raises(ValueError, match="must not be negative"):
            sim.add_queue(duplicate_every=-1)
