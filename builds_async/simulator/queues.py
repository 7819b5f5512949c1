"""Simulated queues: what a queue gets, and the bodies with which it is pulled and acknowledged."""

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
    """Whether it gets build events from the start."""
    worker_name: str | None
    """The Worker whose events it gets."""
    words: Literal["documented", "template"]
    """Which words the events use."""
    encoding: Literal["base64", "plain", "object"]
    """What the body of a message is."""
    content_type: str
    """What `CF-Content-Type` says about it."""
    max_retries: int
    """How often a message is delivered again."""
    duplicate_every: int
    """Which messages come twice."""
    extended_leases: Literal["same", "told", "secret"]
    """What extending does to a lease id."""
    warnings: Literal["map", "list"]
    """The shape of `warnings`."""


class QueueDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue gets, and how it behaves where the real one is unknown or may vary."""

    subscribed: bool = True
    """Subscribed to build events from the start. False: only what the API subscribes it to."""
    worker_name: str | None = None
    """Events of this Worker only. None: of all."""
    words: Literal["documented", "template"] = "documented"
    """Which words do the events use? Those of the documentation, or those of Cloudflare's own template, in
    which a canceled build comes as failed with the outcome `cancelled`."""
    encoding: Literal["base64", "plain", "object"] = "base64"
    """What is the body of a message? Base64 of JSON, JSON as text, or an object."""
    content_type: str = "json"
    """What does `CF-Content-Type` say about it?"""
    max_retries: int = 3
    """How many deliveries after the first one before a message goes to the dead letters."""
    duplicate_every: int = 0
    """Deliver every Nth message twice; 0 for none."""
    extended_leases: Literal["same", "told", "secret"] = "same"
    """Does extending give new lease ids? `same`: no. `told`: yes, `leaseIds` of the response has them.
    `secret`: yes, but the response does not have them, so the lease can't be used any more."""
    warnings: Literal["map", "list"] = "map"
    """What are the `warnings` of a response? A map by lease id, or a list of texts as in older versions."""

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.duplicate_every < 0:
            raise ValueError("max_retries and duplicate_every must not be negative")


class NewMessage(NamedTuple):
    """Something that goes into a queue. The name makes the id, the same in each run."""

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
    """A queue with an HTTP pull consumer that can be subscribed to build events.

    Transitions of builds that happen after it was subscribed become messages: when a build starts to run, and
    when its outcome can be seen. Skipped builds have none. Nothing runs in the background: messages are made,
    and leases end, when the queue is looked at.
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
        """Its id."""
        self.name: str = name
        """Its name."""
        self.details: QueueDetails = details
        """The options that it was added with."""
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
        """The bodies of the messages that were delivered too often."""
        self.catch_up()
        return tuple(message.body for message in self._messages.dead)

    def send(self, body: object) -> None:
        """Put in a message of another producer: a text as it is, anything else encoded as events are."""
        now = self.catch_up()
        self._add(f"{self._made}", body if isinstance(body, str) else self._encoded(body), now)

    def pull(self, request: bytes) -> Json:
        """The `result` of a pull with this body. It leases the oldest visible messages."""
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
        """The `result` of acknowledging messages and giving others back, as this body says."""
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
        """The `result` of extending leases that have not ended, as this body says."""
        asked = _read(request, _Extend)
        now = self.catch_up()
        extended = self._messages.extend(
            (lease.lease_id for lease in asked.extend),
            asked.visibility_timeout_ms / 1000,
            now,
            renew=self.details.extended_leases != "same",
        )
        result = {"extendCount": len(extended.present), "warnings": self._shown(extended.warnings)}
        if self.details.extended_leases == "told":
            result["leaseIds"] = extended.present
        return result

    def catch_up(self) -> float:
        """Make messages of what has happened until now, and return now."""
        for message in self._news():
            self._add(message.name, self._encoded(message.body), message.moment)
        now = self._calendar.now()
        self._messages.bury(now)
        return now

    def _add(self, name: str, body: object, moment: float) -> None:
        # Before the message is added: `duplicate_every=1` doubles the first one too.
        self._made += 1
        every = self.details.duplicate_every
        for _ in range(2 if every and self._made % every == 0 else 1):
            # An id by name: it must not depend on the moment at which the queue was looked at.
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
