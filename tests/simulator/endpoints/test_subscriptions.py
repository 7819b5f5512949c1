"""Event subscriptions, and the events that they deliver to queues."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from builds_async.models import BuildOutcome
from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock

PATH = "/event_subscriptions/subscriptions"
EVENTS = ["build.started", "build.succeeded", "build.failed", "build.canceled"]


def wanted(queue_id: str, worker: str | None = "shop", **fields: Any) -> dict[str, Any]:
    """The body of a new subscription."""
    return {
        "name": "builds",
        "enabled": True,
        "source": {"type": "workersBuilds.worker"} | ({"worker_name": worker} if worker else {}),
        "destination": {"type": "queues.queue", "queue_id": queue_id},
        "events": EVENTS,
        **fields,
    }


def pulled(sim: BuildsSimulator, queue_id: str, door: Any) -> list[Any]:
    """The events of one pull."""
    messages = door(sim).result(f"/queues/{queue_id}/messages/pull", method="POST", body={"batch_size": 100})
    return [msgspec.json.decode(b64decode(message["body"])) for message in messages["messages"]]


def words(events: list[Any]) -> list[tuple[str, str]]:
    """Worker and last word of the type."""
    return [(event["source"]["workerName"], event["type"].rpartition(".")[2]) for event in events]


async def test_created_read_updated_deleted(sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """Each response is the subscription, and an update keeps omitted fields."""
    sim.add_worker("shop")
    ask, queue = door(sim), sim.add_queue(subscribed=False)
    body = wanted(queue)
    made = ask.result(PATH, method="POST", body=body)
    where = f"{PATH}/{made['id']}"
    assert made == body | {name: made[name] for name in ("id", "created_at", "modified_at")}
    assert ask.result(where) == made
    await clock.sleep(1.0)
    change = {"enabled": False, "events": ["build.failed"]}
    after = ask.result(where, method="PATCH", body=change)
    assert after == made | change | {"modified_at": after["modified_at"]}
    assert after["modified_at"] > made["modified_at"]
    assert ask.result(PATH) == [after]
    assert ask.result(where, method="DELETE") == after
    for method in ("GET", "PATCH", "DELETE"):
        assert ask.error(where, method=method, body={}) == (404, 12000)


def test_references_must_exist(sim: BuildsSimulator, door: Any) -> None:
    """An unknown queue or Worker is a 404, a bad body a 400, and a resource's second subscription a 405."""
    sim.add_worker("shop")
    queue = sim.add_queue(subscribed=False)

    def refused(body: Any) -> Any:
        return door(sim).error(PATH, method="POST", body=body)

    assert refused(wanted("0" * 32)) == (404, 12000)
    assert refused(wanted(queue, "nobody")) == (404, 12000)
    assert refused(wanted(queue, source={"type": "workers.script", "script_tag": "0" * 32})) == (404, 12000)
    assert refused(wanted(queue, events=[])) == (400, 12002)
    assert refused(wanted(queue, source={"type": "mail"})) == (400, 12002)
    made = door(sim).result(PATH, method="POST", body=wanted(queue))
    assert refused(wanted(sim.add_queue(subscribed=False), name="another"))[0] == 405
    move = {"destination": {"type": "queues.queue", "queue_id": "0" * 32}}
    assert door(sim).error(f"{PATH}/{made['id']}", method="PATCH", body=move) == (404, 12000)
    assert door(sim).result(f"{PATH}/{made['id']}") == made


def test_a_queue_is_subscribed_when_it_is_added(sim: BuildsSimulator, door: Any) -> None:
    """A queue is subscribed when it is added, unless disabled, and its events name the subscription."""
    shop = sim.add_worker("shop")
    queue, bare = sim.add_queue("events", worker_name="shop"), sim.add_queue(subscribed=False)
    (subscription,) = door(sim).result(PATH)
    assert subscription["source"] == {"type": "workersBuilds.worker", "worker_name": "shop"}
    assert subscription["destination"]["queue_id"] == queue
    sim.add_build(external_script_id=shop).finish()
    (event,) = pulled(sim, queue, door)
    assert event["metadata"]["eventSubscriptionId"] == subscription["id"]
    assert pulled(sim, bare, door) == []


async def test_events_come_while_it_is_there_and_enabled(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """An enabled subscription delivers its named events from its creation on; earlier ones stay queued."""
    tag, other = sim.add_worker("shop"), sim.add_worker("blog")
    queue = sim.add_queue(subscribed=False)

    def build(outcome: BuildOutcome = BuildOutcome.FAIL, where: str = tag) -> None:
        sim.add_build(external_script_id=where).finish(outcome)

    build()
    made = door(sim).result(PATH, method="POST", body=wanted(queue, events=["build.failed"]))
    where = f"{PATH}/{made['id']}"
    build()
    build(BuildOutcome.SUCCESS)
    build(where=other)
    await clock.sleep(1.0)
    door(sim).result(where, method="PATCH", body={"enabled": False})
    build()
    await clock.sleep(1.0)
    door(sim).result(where, method="PATCH", body={"enabled": True})
    sim.add_finished_build(0, BuildOutcome.FAIL, age=0.5, duration=0.1, external_script_id=tag)
    build()
    door(sim).result(where, method="DELETE")
    build()
    assert words(pulled(sim, queue, door)) == [("shop", "failed")] * 2


@pytest.mark.parametrize(("scope", "expected"), [("worker", ["shop"]), ("account", ["shop", "blog"])])
def test_a_subscription_may_be_wider_than_stated(
    scope: Any, expected: list[str], clock: VirtualClock, door: Any
) -> None:
    """A switch decides whether the Worker's name narrows a subscription, because the real API is unknown."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(subscription_scope=scope))
    queue = sim.add_queue(worker_name="shop")
    for name in ("shop", "blog"):
        sim.add_build(external_script_id=sim.add_worker(name)).finish()
    assert [name for name, _ in words(pulled(sim, queue, door))] == expected


async def test_the_list_is_sorted_and_paged(sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """The list is sorted by name by default and has 20 per page."""
    for number in range(22):
        sim.add_queue(f"queue-{(number * 5) % 22:02}")
        await clock.sleep(1.0)

    def names(**query: Any) -> list[str]:
        return [it["name"] for it in door(sim).result(PATH, **query)]

    assert names() == [f"queue-{number:02}" for number in range(20)]
    assert names(page=2) == ["queue-20", "queue-21"]
    assert names(direction="desc", per_page=1) == ["queue-21"]
    assert names(order="created_at", per_page=3) == ["queue-00", "queue-05", "queue-10"]
    assert len(names(order="enabled", per_page=100)) == len(names(order="source", per_page=100)) == 22
    for query in ({"order": "id"}, {"direction": "up"}, {"per_page": 101}, {"page": 0}):
        assert door(sim).error(PATH, **query) == (400, 12013)


async def test_events_of_a_preview_name_its_worker(
    sim: BuildsSimulator, clock: VirtualClock, door: Any
) -> None:
    """A Preview's events have its Worker's name."""
    tag = sim.add_worker("shop")
    queue, preview = sim.add_queue(worker_name="shop"), sim.add_preview(tag, "feature")
    sim.add_build([(1, "line"), (2, BuildOutcome.SUCCESS)], external_script_id=preview)
    await clock.sleep(2.0)
    assert words(pulled(sim, queue, door)) == [("shop", "started"), ("shop", "succeeded")]
