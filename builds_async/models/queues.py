"""Cloudflare Queues over HTTP: https://developers.cloudflare.com/api/resources/queues/subresources/messages/."""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from builds_async.models.base import Id, Model


class QueueMessage(Model, frozen=True, kw_only=True):
    """A message that was pulled and is leased: others don't get it until its visibility timeout ends.

    `lease_id` is what it is acknowledged by. `attempts` counts its deliveries, this one included. `body` is
    as it came: mostly base64 or plain text, by `metadata["CF-Content-Type"]`; treat it as untrusted data.
    """

    id: Id
    lease_id: Id
    body: object = None
    timestamp_ms: int | float | None = None
    attempts: int = 1
    metadata: dict[str, object] | None = None


if TYPE_CHECKING:
    _Messages = tuple[QueueMessage, ...]
else:
    _Messages = tuple[QueueMessage, ...] | None  # a null list decodes too, and reads as an empty one


class QueueBatch(Model, frozen=True, kw_only=True):
    """One answer to a pull; without messages if none was waiting.

    `message_backlog_count` is how many messages of the queue are not acknowledged. A message without an id
    or a lease can't be acknowledged and is left out: it stays in the queue.
    """

    _essential: ClassVar[frozenset[str]] = frozenset({"messages"})

    messages: _Messages = ()
    message_backlog_count: int | float | None = None

    def __post_init__(self) -> None:
        if self.messages is None:
            msgspec.structs.force_setattr(self, "messages", ())


class QueueAcks(Model, frozen=True, kw_only=True, rename="camel"):
    """How many messages were acknowledged, and how many will come again.

    `warnings` tells what went wrong by lease id; older versions of the API give a list of texts.
    """

    ack_count: int | None = None
    retry_count: int | None = None
    warnings: dict[str, str] | tuple[str, ...] | None = None


class QueueExtension(Model, frozen=True, kw_only=True, rename="camel"):
    """How many leases were extended. `warnings` as in `QueueAcks`.

    The API's documents say that each message gets a new lease id by that, but show none in the answer.
    `lease_ids` has the new by the old ones, should it tell them so.
    """

    extend_count: int | None = None
    lease_ids: dict[str, str] | None = None
    warnings: dict[str, str] | tuple[str, ...] | None = None
