"""Simulated queues: build events become messages, which are pulled, leased and acknowledged."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from itertools import count, islice
from typing import Annotated, Final, Literal, NamedTuple, TypedDict, TypeVar
from uuid import NAMESPACE_OID, uuid5

import msgspec

from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator import bodies
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.records import Json, Subscription
from builds_async.simulator.refusals import BadBodyError
from builds_async.simulator.state import State

T = TypeVar("T")

_PREFIX: Final = "cf.workersBuilds.worker.build."
_METADATA: Final = {
    "build_trigger_source": "buildTriggerSource",
    "branch": "branch",
    "commit_hash": "commitHash",
    "commit_message": "commitMessage",
    "author": "author",
    "build_command": "buildCommand",
    "deploy_command": "deployCommand",
    "root_directory": "rootDirectory",
    "repo_name": "repoName",
    "provider_account_name": "providerAccountName",
    "provider_type": "providerType",
}


class _Words(NamedTuple):
    """Last word of the type, status, outcome."""

    type: str
    status: str
    outcome: str | None


_STARTED: Final = _Words("started", "running", None)
_ENDED: Final[dict[str, dict[str, _Words]]] = {
    "documented": {
        BuildOutcome.SUCCESS: _Words("succeeded", "success", "success"),
        BuildOutcome.FAIL: _Words("failed", "failed", "failure"),
        BuildOutcome.CANCELLED: _Words("canceled", "canceled", "canceled"),
    },
    "template": {
        BuildOutcome.SUCCESS: _Words("succeeded", "stopped", "success"),
        BuildOutcome.FAIL: _Words("failed", "stopped", "failure"),
        BuildOutcome.CANCELLED: _Words("failed", "stopped", "cancelled"),
    },
}


class QueueOptions(TypedDict, total=False):
    """What may be said about a queue when it is added. `QueueDetails` has the meanings and the defaults."""

    subscribed: bool
    worker_name: str | None
    words: Literal["documented", "template"]
    encoding: Literal["base64", "plain", "object"]
    content_type: str
    max_retries: int
    duplicate_every: int
    extended_leases: Literal["same", "told", "secret"]
    warnings: Literal["map", "list"]


class QueueDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue gets, and how it behaves where the real one is unknown or may vary."""

    subscribed: bool = True
    """Subscribed to build events from the beginning. False: only what the API subscribes it to."""
    worker_name: str | None = None
    """Events of this Worker only. None: of all."""
    words: Literal["documented", "template"] = "documented"
    """Whose words do the events use? Those of the documents, or those of Cloudflare's own template, where a
    cancelled build comes as failed with the outcome `cancelled`."""
    encoding: Literal["base64", "plain", "object"] = "base64"
    """What is the body of a message? Base64 of JSON, JSON as text, or an object."""
    content_type: str = "json"
    """What does `CF-Content-Type` say of it?"""
    max_retries: int = 3
    """How many deliveries after the first before a message goes to the dead letters."""
    duplicate_every: int = 0
    """Each so-manieth message is delivered as if there were two of it; 0 for none."""
    extended_leases: Literal["same", "told", "secret"] = "same"
    """Does extending give new lease ids? No; yes, and the answer's `leaseIds` tells them; yes, untold, so
    that the lease can't be used any more."""
    warnings: Literal["map", "list"] = "map"
    """What are the `warnings` of an answer? A map by lease id, or a list of texts as in older versions."""

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.duplicate_every < 0:
            raise ValueError("max_retries and duplicate_every must not be negative")


class _Pull(msgspec.Struct):
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    visibility_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=43_200_000)] = 30_000


class _Named(msgspec.Struct):
    lease_id: str
    delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0


class _Ack(msgspec.Struct):
    acks: tuple[_Named, ...] = ()
    retries: tuple[_Named, ...] = ()


class _Extend(msgspec.Struct):
    extend: tuple[_Named, ...]
    visibility_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=43_200_000)]


class _Message:
    def __init__(self, number: int, message_id: str, body: object, moment: float) -> None:
        self.number = number
        self.id = message_id
        self.body = body
        self.moment = self.visible_at = moment
        self.attempts = 0
        self.leases: list[str] = []

    def lease(self, until: float) -> None:
        """Give it a new lease; the older ones stay good for acknowledging it."""
        self.visible_at = until
        # As long, and with as many dots, as real ones.
        self.leases.append(f"eyJhbGciOiJkaXIifQ..{self.id}.{self.number}.{len(self.leases)}")

    def is_leased_by(self, lease_id: str, now: float) -> bool:
        """Whether this lease is its last one and still runs."""
        return self.leases[-1:] == [lease_id] and now < self.visible_at


class SimulatedQueue:
    """A queue with an HTTP pull consumer that can be subscribed to build events.

    Transitions of builds that happen after it was subscribed become messages: when a build begins to run, and
    when its outcome can be seen. Skipped builds have none. Nothing runs in the background: messages are made,
    and leases end, when somebody looks.
    """

    def __init__(self, queue_id: str, name: str, details: QueueDetails, state: State) -> None:
        self.queue_id: Final = queue_id
        self.name: Final = name
        self.details: Final = details
        self._state = state
        self._messages: list[_Message] = []
        self._dead: list[_Message] = []
        self._made = 0
        self._numbers = count()
        self._known = 0
        self._watched: dict[str, tuple[SimulatedBuild, bool]] = {}
        for _ in self._transitions():  # those that have happened before
            pass

    def __repr__(self) -> str:
        return f"<SimulatedQueue {self.name} {self.backlog} messages>"

    def settle(self) -> None:
        """Make messages of what has happened so far, before its subscriptions change."""
        self._catch_up()

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged yet, leased ones too."""
        self._catch_up()
        return len(self._messages)

    @property
    def dead_letters(self) -> tuple[object, ...]:
        """The bodies of the messages that were delivered too often."""
        self._catch_up()
        return tuple(message.body for message in self._dead)

    def send(self, body: object) -> None:
        """Put a message of somebody else in: a text as it is, anything else as events are."""
        self._catch_up()
        encoded = body if isinstance(body, str) else self._encoded(body)
        self._add(f"{self._made}", encoded, self._state.calendar.now())

    def pull(self, request: bytes) -> Json:
        """The `result` of a pull. BadBodyError if the request makes no sense."""
        asked = _read(request or b"{}", _Pull)
        now = self._catch_up()
        visible = (message for message in self._messages if message.visible_at <= now)
        batch = list(islice(visible, asked.batch_size))
        for message in batch:
            message.attempts += 1
            message.lease(now + asked.visibility_timeout_ms / 1000)
        backlog = len(self._messages)
        metrics = {
            "backlog_count": backlog,
            "backlog_bytes": 1024 * backlog,
            "oldest_message_timestamp_ms": self._milliseconds(self._messages[0].moment) if backlog else 0,
        }
        return {
            "message_backlog_count": backlog,
            "messages": [self._delivered(message) for message in batch],
            "metadata": {"metrics": metrics},
        }

    def ack(self, request: bytes) -> Json:
        """The `result` of acknowledging and retrying. Late ones are accepted, also with a former lease."""
        asked = _read(request, _Ack)
        now = self._catch_up()
        warnings: dict[str, str] = {}
        acked = self._each(asked.acks, lambda _message, _lease: True, warnings)
        for message, _ in acked:
            self._messages.remove(message)
        again = self._each(
            asked.retries,
            lambda message, lease: message.visible_at <= now or message.is_leased_by(lease, now),
            warnings,
        )
        for message, named in again:
            message.visible_at = now + named.delay_seconds
        return {"ackCount": len(acked), "retryCount": len(again), "warnings": self._said(warnings)}

    def extend(self, request: bytes) -> Json:
        """The `result` of extending leases that have not ended."""
        asked = _read(request, _Extend)
        now = self._catch_up()
        warnings: dict[str, str] = {}
        extended = self._each(asked.extend, lambda message, lease: message.is_leased_by(lease, now), warnings)
        new = {}
        for message, named in extended:
            message.visible_at = now + asked.visibility_timeout_ms / 1000
            if self.details.extended_leases != "same":
                message.lease(message.visible_at)
                message.leases.remove(named.lease_id)
                new[named.lease_id] = message.leases[-1]
        told = {"leaseIds": new} if self.details.extended_leases == "told" else {}
        return {"extendCount": len(extended), "warnings": self._said(warnings), **told}

    def _each(
        self, asked: Iterable[_Named], fits: Callable[[_Message, str], bool], warnings: dict[str, str]
    ) -> list[tuple[_Message, _Named]]:
        """The messages that are meant and fit; the others get a warning."""
        by_lease = {lease: message for message in self._messages for lease in message.leases}
        found: dict[int, tuple[_Message, _Named]] = {}
        for named in asked:
            message = by_lease.get(named.lease_id)
            if message is None:
                warnings[named.lease_id] = "there is no such lease"
            elif not fits(message, named.lease_id):
                warnings[named.lease_id] = "the lease has ended"
            else:
                found[message.number] = message, named
        return list(found.values())

    def _said(self, warnings: Mapping[str, str]) -> dict[str, str] | list[str]:
        return dict(warnings) if self.details.warnings == "map" else list(warnings.values())

    def _delivered(self, message: _Message) -> Json:
        return {
            "id": message.id,
            "body": message.body,
            "lease_id": message.leases[-1],
            "timestamp_ms": self._milliseconds(message.moment),
            "attempts": message.attempts,
            "metadata": {"CF-Content-Type": self.details.content_type, "CF-sourceMessageSource": "events"},
        }

    def _milliseconds(self, moment: float) -> int:
        return self._state.calendar.milliseconds(moment)

    def _catch_up(self) -> float:
        """Make messages of what has happened, and put away those that were delivered too often."""
        for moment, build, words in sorted(self._transitions(), key=lambda transition: transition[0]):
            subscription = self._subscription(moment, build, words)
            if subscription is None:
                continue
            body = self._encoded(self._event(moment, build, words, subscription))
            self._add(f"{build.build_uuid} {words.type}", body, moment)
        now = self._state.calendar.now()
        for message in tuple(self._messages):
            if message.attempts > self.details.max_retries and message.visible_at <= now:
                self._messages.remove(message)
                self._dead.append(message)
        return now

    def _add(self, name: str, body: object, moment: float) -> None:
        self._made += 1
        every = self.details.duplicate_every
        for _ in range(2 if every and self._made % every == 0 else 1):
            # An id by name: it must not depend on when somebody looked.
            message_id = uuid5(NAMESPACE_OID, f"{self.queue_id} {name}").hex
            self._messages.append(_Message(next(self._numbers), message_id, body, moment))

    def _transitions(self) -> Iterable[tuple[float, SimulatedBuild, _Words]]:
        """What has happened to builds since this was asked last."""
        for build in islice(self._state.builds.values(), self._known, None):
            self._watched[build.build_uuid] = build, False
        self._known = len(self._state.builds)
        for build, started in tuple(self._watched.values()):
            for moment, words in self._news(build, started=started):
                yield moment, build, words

    def _news(self, build: SimulatedBuild, *, started: bool) -> Iterable[tuple[float, _Words]]:
        running = build.entered(BuildStatus.RUNNING)
        if running is not None and not started:
            self._watched[build.build_uuid] = build, True
            yield running, _STARTED
        outcome = build.visible_outcome
        if outcome is not None:
            del self._watched[build.build_uuid]
            if outcome != BuildOutcome.SKIPPED:
                other = _Words("failed", "stopped", str(outcome))
                yield build.changed, _ENDED[self.details.words].get(outcome, other)

    def _subscription(self, moment: float, build: SimulatedBuild, words: _Words) -> Subscription | None:
        """The subscription that brings an event here."""
        name, event = self._worker_name(build), f"build.{words.type}"
        subscriptions = self._state.registry.subscriptions.values()
        wide = self._state.behaviour.subscription_scope == "account"
        return next(
            (it for it in subscriptions if it.wants(self.queue_id, event, None if wide else name, moment)),
            None,
        )

    def _worker_name(self, build: SimulatedBuild) -> str:
        return self._state.scripts[build.external_script_id].name

    def _event(self, moment: float, build: SimulatedBuild, words: _Words, subscription: Subscription) -> Json:
        stamp = self._state.calendar.stamp
        metadata = bodies.build_body(self._state, build)["build_trigger_metadata"]
        return {
            "type": _PREFIX + words.type,
            "source": {"type": "workersBuilds.worker", "workerName": self._worker_name(build)},
            "payload": {
                "buildUuid": build.build_uuid,
                "status": words.status,
                "buildOutcome": words.outcome,
                "createdAt": stamp(build.created),
                "initializingAt": stamp(build.entered(BuildStatus.INITIALIZING)),
                "runningAt": stamp(build.entered(BuildStatus.RUNNING)),
                "stoppedAt": stamp(build.entered(BuildStatus.STOPPED)) if words.outcome else None,
                "buildTriggerMetadata": {camel: metadata[name] for name, camel in _METADATA.items()},
            },
            "metadata": {
                "accountId": self._state.account_id,
                "eventSubscriptionId": subscription.id,
                "eventSchemaVersion": 1,
                "eventTimestamp": stamp(moment),
            },
        }

    def _encoded(self, body: object) -> object:
        match self.details.encoding:
            case "base64":
                return b64encode(msgspec.json.encode(body)).decode()
            case "plain":
                return msgspec.json.encode(body).decode()
            case "object":
                return body


def _read(request: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(request, type=kind)
    except msgspec.DecodeError as error:
        raise BadBodyError from error
