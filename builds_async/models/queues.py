"""Cloudflare Queues over HTTP: https://developers.cloudflare.com/api/resources/queues/subresources/messages/."""

from typing import TYPE_CHECKING, ClassVar

import msgspec

from builds_async.models.base import Id, Model

MAX_BATCH = 100
"""The maximum number of messages that one pull returns."""

MAX_VISIBILITY = 12 * 3600
"""The longest visibility timeout, in seconds."""

MAX_DELAY = 24 * 3600
"""The longest delay of a retry, in seconds."""


class QueueMessage(Model, frozen=True, kw_only=True):
    """A pulled message and its lease: no other pull gets the message until the visibility timeout ends."""

    _shown: ClassVar[tuple[str, ...]] = ("id", "attempts")

    id: Id
    """The id of the message."""
    lease_id: Id
    """The id of this delivery, which acknowledges the message."""
    body: object = None
    """The raw body, mostly base64 or plain text: see `metadata["CF-Content-Type"]`. Untrusted data."""
    timestamp_ms: int | float | None = None
    """A time in epoch milliseconds: probably when the message was sent, but undocumented."""
    attempts: int = 1
    """How many times the message was delivered, including this time."""
    metadata: dict[str, object] | None = None
    """The metadata of the message, such as `CF-Content-Type`: `json`, `bytes`, `text` or `v8`."""


if TYPE_CHECKING:
    _Messages = tuple[QueueMessage, ...]
else:
    _Messages = tuple[QueueMessage, ...] | None  # null decodes too, and becomes an empty list


class QueueBatch(Model, frozen=True, kw_only=True):
    """The response to a pull.

    A message without an id or a lease can't be acknowledged. So it is left out here, and stays in the queue.
    """

    _shown: ClassVar[tuple[str, ...]] = ("messages", "message_backlog_count")

    _essential: ClassVar[frozenset[str]] = frozenset({"messages"})

    messages: _Messages = ()
    """The messages; empty if none were waiting."""
    message_backlog_count: int | float | None = None
    """About how many messages of the queue are not acknowledged."""

    def __post_init__(self) -> None:
        if self.messages is None:
            msgspec.structs.force_setattr(self, "messages", ())


class QueueAcks(Model, frozen=True, kw_only=True, rename="camel"):
    """The response to an acknowledgment."""

    ack_count: int | None = None
    """How many messages were acknowledged."""
    retry_count: int | None = None
    """How many messages were returned to the queue and will be redelivered."""
    warnings: dict[str, str] | tuple[str, ...] | None = None
    """Problems by lease id; older versions of the API return a list of texts."""


class QueueExtension(Model, frozen=True, kw_only=True, rename="camel"):
    """The response to an extension of leases."""

    extend_count: int | None = None
    """How many leases were extended."""
    lease_ids: dict[str, str] | None = None
    """The new lease ids by the old ones. The schema mentions new ids, but has no field for them."""
    warnings: dict[str, str] | tuple[str, ...] | None = None
    """Problems, as in `QueueAcks`."""
