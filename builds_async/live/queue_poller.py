"""Pulls from a queue, throttled after failures too. A pull survives the cancellation of its caller."""

import asyncio

from builds_async.errors import BuildsError
from builds_async.live.background import SharedRequest
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience
from builds_async.live.sources import QueueSource
from builds_async.models.queues import QueueBatch
from builds_async.session.clock import Clock


class QueuePoller:
    """Pulls batches of messages, less often while the queue is empty or can't be reached."""

    def __init__(
        self,
        source: QueueSource,
        queue_id: str,
        *,
        clock: Clock,
        batch_size: int,
        visibility_timeout: float,
        poll_interval: float,
        max_poll_interval: float,
        patience: Patience,
    ) -> None:
        self.requested_at: float = clock.now()
        """When the last pull was sent: the leases of its messages count from here."""

        self._source = source
        self._queue_id = queue_id
        self._clock = clock
        self._batch_size = batch_size
        self._visibility_timeout = visibility_timeout
        self._pace = Pace(clock, poll_interval, max_poll_interval)
        self._patience = patience
        self._alarm: asyncio.Future[None] | None = None
        self._request: SharedRequest[QueueBatch] = SharedRequest()
        self._closed = False

    async def pull(self) -> QueueBatch | None:
        """The next batch, when it is due. None after a failure that is sat out, or if the poller was closed.

        Canceling it is safe: the request continues, and the next call takes it over.
        """
        await self._wait()
        if self._closed:
            return None
        try:
            batch = await self._request.result(self._send)
        except BuildsError as error:
            self._pace.failed()
            is_sat_out = self._patience.outlasts(error)
            self._pace.due = max(self._pace.due, self._patience.due)
            if not is_sat_out:
                raise
            return None
        self._patience.succeeded()
        return batch

    def taken(self, batch: QueueBatch, *, useful: bool) -> None:
        """Set the time of the next pull: at once after a full batch, because more may wait; else at the pace.

        A batch that was not `useful` does not count as full. Otherwise a queue full of unreadable messages,
        which come again and again, would be pulled without a pause.
        """
        if batch.messages:
            self._pace.reset()
        if useful and len(batch.messages) >= self._batch_size:
            self._pace.due = self.requested_at
        else:
            self._pace.next_after(self.requested_at)
        if not batch.messages:
            self._pace.slow_down()

    async def aclose(self) -> QueueBatch | None:
        """End the pull in flight and the wait for the next; its batch if the pull completed all the same."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        return await self._request.end()

    async def _wait(self) -> None:
        """Wait until the next pull is due, or the poller is closed."""
        if self._pace.pause > 0 and not self._closed:
            # A future of its own, so that `aclose` can end the wait without canceling the task of the reader.
            alarm = self._alarm = asyncio.ensure_future(self._clock.sleep(self._pace.pause))
            try:
                await asyncio.wait({alarm})
            finally:
                alarm.cancel()

    async def _send(self) -> QueueBatch:
        self.requested_at = self._clock.now()
        return await self._source.pull(
            self._queue_id,
            batch_size=self._batch_size,
            visibility_timeout_ms=round(self._visibility_timeout * 1000),
        )
