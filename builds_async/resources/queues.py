"""Messages of a queue over HTTP: https://developers.cloudflare.com/queues/configuration/pull-consumers/."""

import math
from collections.abc import Iterable

import msgspec

from builds_async.models.envelope import Envelope
from builds_async.models.queues import (
    MAX_BATCH,
    MAX_DELAY,
    MAX_VISIBILITY,
    QueueAcks,
    QueueBatch,
    QueueExtension,
)
from builds_async.session.decode import receipts
from builds_async.session.encode import body
from builds_async.session.ids import identifier
from builds_async.session.session import ApiSession

_BATCH = msgspec.json.Decoder(Envelope[QueueBatch])
_ACKS = receipts(QueueAcks)
_EXTENSION = receipts(QueueExtension)


class Queues:
    """The messages of Cloudflare Queues. The queue needs an HTTP pull consumer instead of a Worker consumer.

    Every method needs the permission "Queues Write", in the dashboard "Queues Edit". To read build events,
    use `client.events`, which extends leases and acknowledges messages.

    Every method raises a `BuildsError` if the call fails, and a ValueError, before anything is sent, for an
    argument that the API can't accept. A call is repeated only if it can't have taken effect.
    """

    def __init__(self, session: ApiSession) -> None:
        self._session = session

    async def pull(
        self, queue_id: str, *, batch_size: int = 5, visibility_timeout_ms: int = 30_000
    ) -> QueueBatch:
        """Lease up to `batch_size` messages of the queue. Returns at once, possibly without messages.

        `batch_size` is 1 to 100 (5). The messages are leased for `visibility_timeout_ms` milliseconds
        (30,000), at most 12 hours. A message that is not acknowledged by then is delivered again, up to the
        queue's `max_retries`.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/messages/methods/pull/
        """
        if not 1 <= batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size must be 1 to {MAX_BATCH}, not {batch_size}")
        _check_visibility(visibility_timeout_ms)
        data = body(batch_size=batch_size, visibility_timeout_ms=visibility_timeout_ms)
        path = _path(queue_id, "pull")
        return await self._session.post(path, _BATCH, data, nullable=True) or QueueBatch()

    async def ack(
        self, queue_id: str, *, acks: Iterable[str] = (), retries: Iterable[tuple[str, float]] = ()
    ) -> QueueAcks:
        """Acknowledge messages, and return others to the queue for another delivery, by their lease ids.

        `retries` are pairs of a lease id and a delay before the next delivery. The delay is in seconds,
        rounded up to whole seconds, and at most 24 hours. Expired leases are accepted too. Lease ids that the
        queue no longer knows are in the result's `warnings`. Without any lease id, nothing is sent.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/messages/methods/ack/
        """
        retried = [{"lease_id": lease_id, "delay_seconds": _delay(delay)} for lease_id, delay in retries]
        acked = _leases(acks)
        if not acked and not retried:
            return QueueAcks(ack_count=0, retry_count=0)
        data = body(acks=acked, retries=retried)
        return await self._session.post(_path(queue_id, "ack"), _ACKS, data) or QueueAcks()

    async def extend(
        self, queue_id: str, lease_ids: Iterable[str], *, visibility_timeout_ms: int
    ) -> QueueExtension:
        """Extend leases to `visibility_timeout_ms` milliseconds from now, at most 12 hours.

        The API's documentation is unclear about whether a message gets a new lease id: see
        `QueueExtension.lease_ids`. Without lease ids, nothing is sent.

        Needs "Queues Write".
        https://developers.cloudflare.com/api/resources/queues/subresources/messages/
        """
        _check_visibility(visibility_timeout_ms)
        leases = _leases(lease_ids)
        if not leases:
            return QueueExtension(extend_count=0)
        data = body(extend=leases, visibility_timeout_ms=visibility_timeout_ms)
        return await self._session.post(_path(queue_id, "extend"), _EXTENSION, data) or QueueExtension()


def _path(queue_id: str, action: str) -> str:
    return f"/queues/{identifier(queue_id)}/messages/{action}"


def _leases(lease_ids: Iterable[str]) -> list[dict[str, str]]:
    if isinstance(lease_ids, str):
        raise TypeError("pass a list of lease ids, not one str")
    return [{"lease_id": lease_id} for lease_id in lease_ids]


def _check_visibility(milliseconds: int) -> None:
    if not 0 < milliseconds <= MAX_VISIBILITY * 1000:
        raise ValueError(
            f"visibility_timeout_ms must be above 0 and at most {MAX_VISIBILITY * 1000}, not {milliseconds}"
        )


def _delay(seconds: float) -> int:
    if not 0 <= seconds <= MAX_DELAY:
        raise ValueError(f"the delay of a retry must be 0 to {MAX_DELAY} seconds, not {seconds}")
    return math.ceil(seconds)
