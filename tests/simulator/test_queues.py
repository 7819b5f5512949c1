"""Simulated queues: the visibility of messages, and the validity of leases."""

from typing import Any

import pytest

from builds_async.simulator import (
    BuildsSimulator,
    VirtualClock,
)
from tests.simulator.support import Consumer


class TestDelivery:
    async def test_lease(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A leased message is hidden until its visibility timeout ends, and then returns with a new lease."""
        consumer = Consumer(sim)
        consumer.queue.send("hello")
        (first,) = consumer.pull(visibility_timeout_ms=5000)
        await clock.sleep(4.9)
        assert consumer.pull() == []
        await clock.sleep(0.1)
        (second,) = consumer.pull()
        assert (first["attempts"], second["attempts"]) == (1, 2)
        assert first["id"] == second["id"]
        assert first["lease_id"] != second["lease_id"]

    async def test_defaults(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A pull without a body leases five messages for 30 seconds, and counts the backlog."""
        consumer = Consumer(sim)
        for number in range(7):
            consumer.queue.send(f"{number}")
        status, response = consumer.ask("pull", b"")
        assert status == 200
        assert [message["body"] for message in response["result"]["messages"]] == ["0", "1", "2", "3", "4"]
        assert response["result"]["message_backlog_count"] == 7
        assert response["result"]["metadata"]["metrics"]["backlog_count"] == 7
        await clock.sleep(29.9)
        assert len(consumer.pull()) == 2
        await clock.sleep(0.1)
        assert len(consumer.pull()) == 5

    async def test_ack(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An acknowledged message is gone, even if the lease had expired or was not the last one."""
        consumer = Consumer(sim)
        for number in range(3):
            consumer.queue.send(f"{number}")
        old = consumer.pull(visibility_timeout_ms=1000)
        response = consumer.result("ack", acks=[{"lease_id": old[0]["lease_id"]}])
        assert response == {"ackCount": 1, "retryCount": 0, "warnings": {}}
        await clock.sleep(2.0)
        consumer.result("ack", acks=[{"lease_id": old[1]["lease_id"]}])
        assert [message["body"] for message in consumer.pull()] == ["2"]
        consumer.result("ack", acks=[{"lease_id": old[2]["lease_id"]}])
        assert consumer.queue.backlog == 0

    async def test_retry(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A retried message returns after the delay, or at once without one."""
        consumer = Consumer(sim)
        consumer.queue.send("now")
        consumer.queue.send("later")
        now, later = (message["lease_id"] for message in consumer.pull())
        retries = [{"lease_id": now}, {"lease_id": later, "delay_seconds": 60}]
        assert consumer.result("ack", retries=retries)["retryCount"] == 2
        assert [message["body"] for message in consumer.pull(visibility_timeout_ms=600_000)] == ["now"]
        await clock.sleep(59.9)
        assert consumer.pull() == []
        await clock.sleep(0.1)
        assert [message["body"] for message in consumer.pull()] == ["later"]

    async def test_retry_of_another(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An expired lease can't retry a message that is leased again."""
        consumer = Consumer(sim)
        consumer.queue.send("hello")
        (old,) = consumer.pull(visibility_timeout_ms=1000)
        await clock.sleep(1.0)
        consumer.pull()
        response = consumer.result("ack", retries=[{"lease_id": old["lease_id"]}])
        assert response["retryCount"] == 0
        assert response["warnings"] == {old["lease_id"]: "the lease has ended"}
        assert consumer.pull() == []

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [("map", {"unknown": "there is no such lease"}), ("list", ["there is no such lease"])],
        ids=["map", "list"],
    )
    async def test_unknown_lease(self, shape: str, expected: Any, sim: BuildsSimulator) -> None:
        """An unknown lease is a warning and does not affect the others."""
        consumer = Consumer(sim, warnings=shape)
        consumer.queue.send("hello")
        (message,) = consumer.pull()
        acks = [{"lease_id": "unknown"}, {"lease_id": message["lease_id"]}]
        response = consumer.result("ack", acks=acks)
        assert response["ackCount"] == 1
        assert response["warnings"] == expected

    @pytest.mark.parametrize("mode", ["same", "listed", "hidden"])
    async def test_extend(self, mode: str, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An extension counts from now and is not a delivery; the lease id may change."""
        consumer = Consumer(sim, extended_leases=mode)
        consumer.queue.send("hello")
        (message,) = consumer.pull(visibility_timeout_ms=5000)
        lease = message["lease_id"]
        await clock.sleep(4.0)
        response = consumer.result("extend", extend=[{"lease_id": lease}], visibility_timeout_ms=5000)
        assert response["extendCount"] == 1
        assert ("leaseIds" in response) is (mode == "listed")
        await clock.sleep(4.9)
        assert consumer.pull() == []
        acked = consumer.result("ack", acks=[{"lease_id": lease}])["ackCount"]
        assert acked == (mode == "same")
        if mode == "listed":
            assert consumer.result("ack", acks=[{"lease_id": response["leaseIds"][lease]}])["ackCount"] == 1

    async def test_extend_too_late(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An expired lease can't be extended."""
        consumer = Consumer(sim)
        consumer.queue.send("hello")
        (message,) = consumer.pull(visibility_timeout_ms=5000)
        await clock.sleep(5.0)
        asked = [{"lease_id": message["lease_id"]}]
        response = consumer.result("extend", extend=asked, visibility_timeout_ms=5000)
        assert (response["extendCount"], list(response["warnings"])) == (0, [message["lease_id"]])

    async def test_dead_letters(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A message is delivered once, plus at most `max_retries` times."""
        consumer = Consumer(sim, max_retries=2)
        consumer.queue.send("poison")
        attempts = []
        for _ in range(5):
            attempts += [message["attempts"] for message in consumer.pull(visibility_timeout_ms=1000)]
            await clock.sleep(1.0)
        assert attempts == [1, 2, 3]
        assert consumer.queue.dead_letters == ("poison",)
        assert consumer.queue.backlog == 0

    async def test_duplicates(self, sim: BuildsSimulator) -> None:
        """Every Nth message is delivered twice with the same id and different leases."""
        consumer = Consumer(sim, duplicate_every=2)
        for number in range(4):
            consumer.queue.send(f"{number}")
        messages = consumer.pull(batch_size=100)
        assert [message["body"] for message in messages] == ["0", "1", "1", "2", "3", "3"]
        assert len({message["id"] for message in messages}) == 4
        assert len({message["lease_id"] for message in messages}) == 6

    async def test_two_queues(self, sim: BuildsSimulator) -> None:
        """Each queue gets each event, with its own leases."""
        one, other = Consumer(sim), Consumer(sim)
        sim.add_build().finish()
        (message,) = one.pull()
        assert other.result("ack", acks=[{"lease_id": message["lease_id"]}])["ackCount"] == 0
        assert len(other.pull()) == 1
