"""Simulated queues: messages, and the requests that pull them, acknowledge them and extend their leases."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, NamedTuple, TypeAlias, TypedDict, TypeVar
from uuid import NAMESPACE_OID, uuid5

import msgspec
from msgspec import Meta

from builds_async.simulator.calendar import Calendar
from builds_async.simulator.leasing import LeasedMessages, Message
from builds_async.simulator.records import Json
from builds_async.simulator.refusals import BadBodyError

T = TypeVar("T")

_Milliseconds: TypeAlias = Annotated[int, Meta(ge=1, le=43_200_000)]


class QueueOptions(TypedDict, total=False):
    """Options of `BuildsSimulator.add_queue`. `QueueDetails` has the meanings and the defaults."""

    subscribed: bool
    """Whether the queue gets build events from the start."""
    worker_name: str | None
    """The Worker whose events the queue gets."""
    words: Literal["documented", "template"]
    """The words that events use."""
    encoding: Literal["base64", "plain", "object"]
    """The encoding of message bodies."""
    content_type: str
    """The `CF-Content-Type` of messages."""
    max_retries: int
    """How many times a message is redelivered."""
    duplicate_every: int
    """Deliver every n-th message twice."""
    extended_leases: Literal["same", "listed", "hidden"]
    """Whether an extended lease gets a new id."""
    warnings: Literal["map", "list"]
    """The shape of `warnings` in responses."""


class QueueDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a queue gets, and switches for unknown or varying behavior of real queues."""

    subscribed: bool = True
    """Whether the queue gets build events from the start. False: only after a subscription was created."""
    worker_name: str | None = None
    """The name of the Worker whose events the queue gets. None: the events of all Workers."""
    words: Literal["documented", "template"] = "documented"
    """The words that events use: the documentation's, or those of Cloudflare's own template, in which a
    canceled build is `failed` with the outcome `cancelled`."""
    encoding: Literal["base64", "plain", "object"] = "base64"
    """The encoding of message bodies: base64 of JSON, JSON as text (`plain`), or an object."""
    content_type: str = "json"
    """The `CF-Content-Type` of messages, which need not match their bodies."""
    max_retries: int = 3
    """How many times a message is redelivered before it goes to the dead letters."""
    duplicate_every: int = 0
    """Deliver every n-th message twice; 0 for none."""
    extended_leases: Literal["same", "listed", "hidden"] = "same"
    """Whether an extended lease gets a new id. `same`: no. `listed`: yes, and `leaseIds` of the response has
    it. `hidden`: yes, but the response lacks it, so the lease can no longer be used."""
    warnings: Literal["map", "list"] = "map"
    """The shape of `warnings` in responses: a map by lease id, or a list of texts as in older versions."""

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.duplicate_every < 0:
            raise ValueError("max_retries and duplicate_every must not be negative")


class NewMessage(NamedTuple):
    """A message to put into a queue. Its id is derived from its name, so it is the same in each run."""

    name: str
    body: object
    moment: float


class _Pull(msgspec.Struct):
    batch_size: Annotated[int, Meta(ge=1, le=100)] = 5
    visibility_timeout_ms: _Milliseconds = 30_000


class _Lease(msgspec.Struct):
    lease_id: str
    delay_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 0


class _Ack(msgspec.Struct):
    acks: tuple[_Lease, ...] = ()
    retries: tuple[_Lease, ...] = ()


class _Extend(msgspec.Struct):
    extend: tuple[_Lease, ...]
    visibility_timeout_ms: _Milliseconds


class SimulatedQueue:
    """A queue with an HTTP pull consumer, which can be subscribed to build events.

    A subscribed queue gets a message when a build starts to run, and another when the API shows its outcome.
    Skipped builds cause no messages. Nothing runs in the background: messages are created, and leases end,
    when the queue is read.
    """

    def __init__(
        self,
        queue_id: str,
        name: str,
        details: QueueDetails,
        calendar: Calendar,
        news: Callable[[], Iterable[NewMessage]],
    ) -> None:
        self.queue_id: str = queue_id
        """The id of the queue."""
        self.name: str = name
        """The name of the queue."""
        self.details: QueueDetails = details
        """The options with which the queue was added."""
        self._calendar = calendar
        self._news = news
        self._messages = LeasedMessages(details.max_retries)
        self._made = 0

    def __repr__(self) -> str:
        return f"<SimulatedQueue {self.name} {self.backlog} messages>"

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged yet, leased ones included."""
        self.catch_up()
        return len(self._messages.waiting)

    @property
    def dead_letters(self) -> tuple[object, ...]:
        """The bodies of the messages that were delivered too often, oldest first."""
        self.catch_up()
        return tuple(message.body for message in self._messages.dead)

    def send(self, body: object) -> None:
        """Add a message of another producer: a str unchanged, anything else in the encoding of events."""
        now = self.catch_up()
        self._add(f"{self._made}", body if isinstance(body, str) else self._encoded(body), now)

    def pull(self, request: bytes) -> Json:
        """Lease the oldest visible messages. Takes the body of a pull, and returns its `result`."""
        asked = _read(request or b"{}", _Pull)
        now = self.catch_up()
        batch = self._messages.pull(asked.batch_size, asked.visibility_timeout_ms / 1000, now)
        waiting = self._messages.waiting
        metrics = {
            "backlog_count": len(waiting),
            "backlog_bytes": 1024 * len(waiting),
            "oldest_message_timestamp_ms": self._calendar.milliseconds(waiting[0].moment) if waiting else 0,
        }
        return {
            "message_backlog_count": len(waiting),
            "messages": [self._delivered(message) for message in batch],
            "metadata": {"metrics": metrics},
        }

    def ack(self, request: bytes) -> Json:
        """Acknowledge messages and return others to the queue. Takes the body, and returns the `result`."""
        asked = _read(request, _Ack)
        now = self.catch_up()
        acked = self._messages.ack(lease.lease_id for lease in asked.acks)
        retried = self._messages.retry({it.lease_id: it.delay_seconds for it in asked.retries}, now)
        return {
            "ackCount": len(acked.present),
            "retryCount": len(retried.present),
            "warnings": self._shown(acked.warnings | retried.warnings),
        }

    def extend(self, request: bytes) -> Json:
        """Extend leases that have not ended. Takes the body, and returns the `result`."""
        asked = _read(request, _Extend)
        now = self.catch_up()
        extended = self._messages.extend(
            (lease.lease_id for lease in asked.extend),
            asked.visibility_timeout_ms / 1000,
            now,
            renew=self.details.extended_leases != "same",
        )
        result = {"extendCount": len(extended.present), "warnings": self._shown(extended.warnings)}
        if self.details.extended_leases == "listed":
            result["leaseIds"] = extended.present
        return result

    def catch_up(self) -> float:
        """Turn the events up to now into messages, and return now."""
        for message in self._news():
            self._add(message.name, self._encoded(message.body), message.moment)
        now = self._calendar.now()
        self._messages.bury(now)
        return now

    def _add(self, name: str, body: object, moment: float) -> None:
        # Counted before the check, so that `duplicate_every=1` also doubles the first message.
        self._made += 1
        every = self.details.duplicate_every
        for _ in range(2 if every and self._made % every == 0 else 1):
            # Derived from the name: the id must not depend on when the queue was read.
            message_id = uuid5(NAMESPACE_OID, f"{self.queue_id} {name}").hex
            self._messages.add(message_id, body, moment)

    def _encoded(self, body: object) -> object:
        match self.details.encoding:
            case "base64":
                return b64encode(msgspec.json.encode(body)).decode()
            case "plain":
                return msgspec.json.encode(body).decode()
            case "object":
                return body

    def _delivered(self, message: Message) -> Json:
        return {
            "id": message.id,
            "body": message.body,
            "lease_id": message.leases[-1],
            "timestamp_ms": self._calendar.milliseconds(message.moment),
            "attempts": message.attempts,
            "metadata": {"CF-Content-Type": self.details.content_type, "CF-sourceMessageSource": "events"},
        }

    def _shown(self, warnings: dict[str, str]) -> dict[str, str] | list[str]:
        return warnings if self.details.warnings == "map" else list(warnings.values())


def _read(request: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(request, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadBodyError from error
