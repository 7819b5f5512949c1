"""The build events that a queue receives."""

import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import (
    Behavior,
    BuildsSimulator,
    VirtualClock,
)
from tests.simulator.support import Consumer

SCRIPT = ((1, BuildStatus.INITIALIZING), (2, BuildStatus.RUNNING), (10, BuildOutcome.SUCCESS))


PREFIX = "cf.workersBuilds.worker.build."


class TestEvents:
    async def test_at_their_moments(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event can be pulled from its own moment on."""
        consumer = Consumer(sim)
        sim.add_build(SCRIPT)
        seen = []
        for _ in range(12):
            seen.append([event["type"].removeprefix(PREFIX) for event in consumer.events()])
            await clock.sleep(1.0)
        assert seen == [[], [], ["started"], *[[]] * 7, ["succeeded"], []]

    async def test_body(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event has the documented shape and its own moment's state, whenever it is pulled."""
        consumer = Consumer(sim)
        tag = sim.add_worker("shop")
        build = sim.add_build(
            SCRIPT, external_script_id=tag, commit_hash="abc", environment_variables={"A": "b"}
        )
        await clock.sleep(100.0)
        started, succeeded = consumer.events()
        assert started["type"] == PREFIX + "started"
        assert started["source"] == {"type": "workersBuilds.worker", "workerName": "shop"}
        assert set(started) == {"type", "source", "payload", "metadata"}
        payload = started["payload"]
        assert payload["buildUuid"] == build.build_uuid
        assert (payload["status"], payload["buildOutcome"], payload["stoppedAt"]) == ("running", None, None)
        assert payload["runningAt"] == started["metadata"]["eventTimestamp"] > payload["createdAt"]
        assert payload["buildTriggerMetadata"]["commitHash"] == "abc"
        assert payload["buildTriggerMetadata"]["providerType"] == "github"
        assert "environmentVariables" not in payload["buildTriggerMetadata"]
        assert "buildTokenUuid" not in payload["buildTriggerMetadata"]
        assert started["metadata"]["accountId"] == sim.account_id
        assert succeeded["payload"]["stoppedAt"] == succeeded["metadata"]["eventTimestamp"]
        assert succeeded["payload"]["runningAt"] == payload["runningAt"]

    @pytest.mark.parametrize(
        ("words", "outcome", "expected"),
        [
            ("documented", BuildOutcome.SUCCESS, ("succeeded", "success", "success")),
            ("documented", BuildOutcome.FAIL, ("failed", "failed", "failure")),
            ("documented", BuildOutcome.CANCELLED, ("canceled", "canceled", "canceled")),
            ("template", BuildOutcome.SUCCESS, ("succeeded", "stopped", "success")),
            ("template", BuildOutcome.FAIL, ("failed", "stopped", "failure")),
            ("template", BuildOutcome.CANCELLED, ("failed", "stopped", "cancelled")),
            ("documented", BuildOutcome.TERMINATED, ("failed", "stopped", "terminated")),
        ],
    )
    async def test_words(
        self, words: str, outcome: BuildOutcome, expected: tuple[str, str, str], sim: BuildsSimulator
    ) -> None:
        """The event of an end uses the words of the option."""
        consumer = Consumer(sim, words=words)
        sim.add_build().finish(outcome)
        (event,) = consumer.events()
        payload = event["payload"]
        assert (event["type"], payload["status"], payload["buildOutcome"]) == (
            PREFIX + expected[0],
            *expected[1:],
        )

    async def test_skipped(self, sim: BuildsSimulator) -> None:
        """A skipped build has no event."""
        consumer = Consumer(sim)
        sim.add_build().finish(BuildOutcome.SKIPPED)
        assert consumer.pull() == []

    async def test_from_now_on(self, sim: BuildsSimulator) -> None:
        """Only changes after the queue was added are events."""
        running, stopped = sim.add_build(), sim.add_build()
        running.emit("line")
        stopped.finish()
        consumer = Consumer(sim)
        sim.add_finished_build(age=10)
        running.finish()
        assert [event["payload"]["buildUuid"] for event in consumer.events()] == [running.build_uuid]

    async def test_worker(self, sim: BuildsSimulator) -> None:
        """A queue may be limited to the events of one Worker."""
        consumer, everything = Consumer(sim, worker_name="shop"), Consumer(sim)
        shop, blog = (sim.add_build(external_script_id=sim.add_worker(name)) for name in ("shop", "blog"))
        blog.finish()
        shop.finish()
        assert [event["payload"]["buildUuid"] for event in consumer.events()] == [shop.build_uuid]
        assert len(everything.events()) == 2

    async def test_in_order(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Events of several builds arrive in the order of their moments."""
        consumer = Consumer(sim)
        for second in (3, 1, 2):
            sim.add_build([(second, BuildOutcome.FAIL)], commit_message=f"{second}")
        await clock.sleep(5.0)
        said = [event["payload"]["buildTriggerMetadata"]["commitMessage"] for event in consumer.events()]
        assert said == ["1", "2", "3"]

    async def test_late_outcome(self, clock: VirtualClock) -> None:
        """The event of the end arrives with the outcome, not when the build stops."""
        sim = BuildsSimulator(clock=clock, behavior=Behavior(late_outcome=5.0))
        consumer = Consumer(sim)
        sim.add_build().finish()
        assert consumer.pull() == []
        await clock.sleep(5.0)
        assert len(consumer.pull()) == 1

    @pytest.mark.parametrize(
        ("encoding", "kind", "start"),
        [("base64", str, "eyJ0eXBlIjo"), ("plain", str, '{"type":'), ("object", dict, "{'type':")],
    )
    async def test_encoding(self, encoding: str, kind: type, start: str, sim: BuildsSimulator) -> None:
        """A body has the requested encoding, and its content type may say otherwise."""
        consumer = Consumer(sim, encoding=encoding, content_type="text")
        sim.add_build().finish()
        (message,) = consumer.pull()
        assert isinstance(message["body"], kind)
        assert str(message["body"]).startswith(start)
        assert message["metadata"]["CF-Content-Type"] == "text"

    async def test_ids(self, clock: VirtualClock) -> None:
        """With a seed, ids are the same in each run, however often the queue is pulled."""
        ids = []
        for looks in (1, 5):
            sim = BuildsSimulator(clock=clock, seed=7)
            consumer = Consumer(sim)
            for _ in range(looks):
                consumer.pull()
            sim.add_build().finish()
            ids.append((consumer.queue_id, consumer.pull()[0]["id"]))
        assert ids[0] == ids[1]
