"""Simulated queues: which messages there are, and who gets them when."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from builds_async.models import BuildOutcome, BuildStatus
from builds_async.simulator import (
    Behaviour,
    BuildsSimulator,
    Request,
    SimulatedQueue,
    TokenKind,
    VirtualClock,
)

SCRIPT = ((1, BuildStatus.INITIALIZING), (2, BuildStatus.RUNNING), (10, BuildOutcome.SUCCESS))
PREFIX = "cf.workersBuilds.worker.build."


class Consumer:
    """Pulls from a queue without a socket."""

    def __init__(self, sim: BuildsSimulator, queue_id: str | None = None, **options: Any) -> None:
        self.sim = sim
        self.queue_id = sim.add_queue(**options) if queue_id is None else queue_id
        self.token = sim.api_token

    @property
    def queue(self) -> SimulatedQueue:
        return self.sim.queues[self.queue_id]

    def ask(self, action: str, body: Any = None, *, method: str = "POST") -> tuple[int, Any]:
        """Status and body of an answer."""
        path = f"/client/v4/accounts/{self.sim.account_id}/queues/{self.queue_id}/messages/{action}"
        data = body if isinstance(body, bytes) else msgspec.json.encode(body or {})
        headers = {"authorization": f"Bearer {self.token}"}
        answer = self.sim.answer(Request(method=method, target=path, headers=headers, body=data))
        return answer.status, msgspec.json.decode(answer.body)

    def result(self, action: str, **body: Any) -> Any:
        """The `result` of an answer that must be a success."""
        status, answer = self.ask(action, body)
        assert status == 200, answer
        return answer["result"]

    def pull(self, **body: Any) -> list[Any]:
        """The messages of one pull."""
        messages: list[Any] = self.result("pull", **body)["messages"]
        return messages

    def events(self, **body: Any) -> list[Any]:
        """The events of one pull of a queue with the default encoding."""
        return [msgspec.json.decode(b64decode(message["body"])) for message in self.pull(**body)]


@pytest.fixture
def sim(clock: VirtualClock) -> BuildsSimulator:
    """A simulator on the virtual clock."""
    return BuildsSimulator(clock=clock)


class TestEvents:
    async def test_at_their_moments(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event can be pulled from the moment on in which it happens."""
        consumer = Consumer(sim)
        sim.add_build(SCRIPT)
        seen = []
        for _ in range(12):
            seen.append([event["type"].removeprefix(PREFIX) for event in consumer.events()])
            await clock.sleep(1.0)
        assert seen == [[], [], ["started"], *[[]] * 7, ["succeeded"], []]

    async def test_body(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An event says what the documents say, as of its own moment, whenever it is looked at."""
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
        """An end is told in the words that were asked for."""
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
        """What happened before the queue was added is no event, what goes on then is."""
        running, stopped = sim.add_build(), sim.add_build()
        running.emit("line")
        stopped.finish()
        consumer = Consumer(sim)
        sim.add_finished_build(age=10)
        running.finish()
        assert [event["payload"]["buildUuid"] for event in consumer.events()] == [running.build_uuid]

    async def test_worker(self, sim: BuildsSimulator) -> None:
        """A queue may have the events of one Worker only."""
        consumer, everything = Consumer(sim, worker_name="shop"), Consumer(sim)
        shop, blog = (sim.add_build(external_script_id=sim.add_worker(name)) for name in ("shop", "blog"))
        blog.finish()
        shop.finish()
        assert [event["payload"]["buildUuid"] for event in consumer.events()] == [shop.build_uuid]
        assert len(everything.events()) == 2

    async def test_in_order(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Events of several builds come in the order of their moments."""
        consumer = Consumer(sim)
        for second in (3, 1, 2):
            sim.add_build([(second, BuildOutcome.FAIL)], commit_message=f"{second}")
        await clock.sleep(5.0)
        said = [event["payload"]["buildTriggerMetadata"]["commitMessage"] for event in consumer.events()]
        assert said == ["1", "2", "3"]

    async def test_late_outcome(self, clock: VirtualClock) -> None:
        """The end is told when the outcome is, not when the build stops."""
        sim = BuildsSimulator(clock=clock, behaviour=Behaviour(late_outcome=5.0))
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
        """A body is written as was asked for, and says so or something else."""
        consumer = Consumer(sim, encoding=encoding, content_type="text")
        sim.add_build().finish()
        (message,) = consumer.pull()
        assert isinstance(message["body"], kind)
        assert str(message["body"]).startswith(start)
        assert message["metadata"]["CF-Content-Type"] == "text"

    async def test_ids(self, clock: VirtualClock) -> None:
        """With a seed ids are the same in each run, whenever somebody looks."""
        ids = []
        for looks in (1, 5):
            sim = BuildsSimulator(clock=clock, seed=7)
            consumer = Consumer(sim)
            for _ in range(looks):
                consumer.pull()
            sim.add_build().finish()
            ids.append((consumer.queue_id, consumer.pull()[0]["id"]))
        assert ids[0] == ids[1]


class TestDelivery:
    async def test_lease(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A message is nobody else's until its visibility timeout ends; then it comes with another lease."""
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
        """Without a body a pull gives five messages for 30 seconds, and counts the backlog."""
        consumer = Consumer(sim)
        for number in range(7):
            consumer.queue.send(f"{number}")
        status, answer = consumer.ask("pull", b"")
        assert status == 200
        assert [message["body"] for message in answer["result"]["messages"]] == ["0", "1", "2", "3", "4"]
        assert answer["result"]["message_backlog_count"] == 7
        assert answer["result"]["metadata"]["metrics"]["backlog_count"] == 7
        await clock.sleep(29.9)
        assert len(consumer.pull()) == 2
        await clock.sleep(0.1)
        assert len(consumer.pull()) == 5

    async def test_ack(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """An acknowledged message is gone, also when it was acknowledged late or with an older lease."""
        consumer = Consumer(sim)
        for number in range(3):
            consumer.queue.send(f"{number}")
        old = consumer.pull(visibility_timeout_ms=1000)
        answer = consumer.result("ack", acks=[{"lease_id": old[0]["lease_id"]}])
        assert answer == {"ackCount": 1, "retryCount": 0, "warnings": {}}
        await clock.sleep(2.0)
        consumer.result("ack", acks=[{"lease_id": old[1]["lease_id"]}])
        assert [message["body"] for message in consumer.pull()] == ["2"]
        consumer.result("ack", acks=[{"lease_id": old[2]["lease_id"]}])
        assert consumer.queue.backlog == 0

    async def test_retry(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A message comes again after the delay that was asked for, at once without one."""
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
        """Who lost a lease can't take the message from who has it now."""
        consumer = Consumer(sim)
        consumer.queue.send("hello")
        (old,) = consumer.pull(visibility_timeout_ms=1000)
        await clock.sleep(1.0)
        consumer.pull()
        answer = consumer.result("ack", retries=[{"lease_id": old["lease_id"]}])
        assert answer["retryCount"] == 0
        assert answer["warnings"] == {old["lease_id"]: "the lease has ended"}
        assert consumer.pull() == []

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [("map", {"unknown": "there is no such lease"}), ("list", ["there is no such lease"])],
        ids=["map", "list"],
    )
    async def test_unknown_lease(self, shape: str, expected: Any, sim: BuildsSimulator) -> None:
        """An unknown lease is a warning, and does no harm to the others."""
        consumer = Consumer(sim, warnings=shape)
        consumer.queue.send("hello")
        (message,) = consumer.pull()
        acks = [{"lease_id": "unknown"}, {"lease_id": message["lease_id"]}]
        answer = consumer.result("ack", acks=acks)
        assert answer["ackCount"] == 1
        assert answer["warnings"] == expected

    @pytest.mark.parametrize("mode", ["same", "told", "secret"])
    async def test_extend(self, mode: str, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """Extending leases anew from now on, without another attempt; the lease id may change by it."""
        consumer = Consumer(sim, extended_leases=mode)
        consumer.queue.send("hello")
        (message,) = consumer.pull(visibility_timeout_ms=5000)
        lease = message["lease_id"]
        await clock.sleep(4.0)
        answer = consumer.result("extend", extend=[{"lease_id": lease}], visibility_timeout_ms=5000)
        assert answer["extendCount"] == 1
        assert ("leaseIds" in answer) is (mode == "told")
        await clock.sleep(4.9)
        assert consumer.pull() == []
        acked = consumer.result("ack", acks=[{"lease_id": lease}])["ackCount"]
        assert acked == (mode == "same")
        if mode == "told":
            assert consumer.result("ack", acks=[{"lease_id": answer["leaseIds"][lease]}])["ackCount"] == 1

    async def test_extend_too_late(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """A lease that has ended can't be extended."""
        consumer = Consumer(sim)
        consumer.queue.send("hello")
        (message,) = consumer.pull(visibility_timeout_ms=5000)
        await clock.sleep(5.0)
        asked = [{"lease_id": message["lease_id"]}]
        answer = consumer.result("extend", extend=asked, visibility_timeout_ms=5000)
        assert (answer["extendCount"], list(answer["warnings"])) == (0, [message["lease_id"]])

    async def test_dead_letters(self, sim: BuildsSimulator, clock: VirtualClock) -> None:
        """After `max_retries` deliveries more than the first a message comes no more."""
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
        """On demand each so-manieth message is delivered twice under its id, with leases of their own."""
        consumer = Consumer(sim, duplicate_every=2)
        for number in range(4):
            consumer.queue.send(f"{number}")
        messages = consumer.pull(batch_size=100)
        assert [message["body"] for message in messages] == ["0", "1", "1", "2", "3", "3"]
        assert len({message["id"] for message in messages}) == 4
        assert len({message["lease_id"] for message in messages}) == 6

    async def test_two_queues(self, sim: BuildsSimulator) -> None:
        """Each queue gets each event, and its own leases."""
        one, other = Consumer(sim), Consumer(sim)
        sim.add_build().finish()
        (message,) = one.pull()
        assert other.result("ack", acks=[{"lease_id": message["lease_id"]}])["ackCount"] == 0
        assert len(other.pull()) == 1


class TestDoor:
    @pytest.mark.parametrize("action", ["pull", "ack", "extend"])
    @pytest.mark.parametrize(
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
        """All three need a token that may write."""
        consumer = Consumer(sim)
        consumer.token = sim.add_token(kind)
        body = {"extend": [], "visibility_timeout_ms": 1} if action == "extend" else {}
        assert consumer.ask(action, body)[0] == expected

    def test_unknown(self, sim: BuildsSimulator) -> None:
        """An unknown queue, action or method is 404."""
        consumer = Consumer(sim)
        assert Consumer(sim, "nowhere").ask("pull")[0] == 404
        assert consumer.ask("push")[0] == 404
        assert consumer.ask("pull", method="GET")[0] == 404

    @pytest.mark.parametrize(
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
        """What makes no sense is 400."""
        status, answer = Consumer(sim).ask(action, body)
        assert (status, answer["errors"][0]["code"]) == (400, 12002)

    def test_names(self, sim: BuildsSimulator) -> None:
        """A queue has the name that it was given, or a new one; no two have the same."""
        sim.add_queue("queue-1")
        sim.add_queue()
        assert [queue.name for queue in sim.queues.values()] == ["queue-1", "queue-2"]
        assert repr(next(iter(sim.queues.values()))) == "<SimulatedQueue queue-1 0 messages>"
        with pytest.raises(ValueError, match="another queue with the name 'queue-2'"):
            sim.add_queue("queue-2")

    def test_misuse(self, sim: BuildsSimulator) -> None:
        """Counts that make no sense are refused."""
        with pytest.raises(ValueError, match="must not be negative"):
            sim.add_queue(max_retries=-1)
        with pytest.raises(ValueError, match="must not be negative"):
            sim.add_queue(duplicate_every=-1)
