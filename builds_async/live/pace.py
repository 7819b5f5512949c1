"""When a poller makes its next request."""

from math import inf

from builds_async.session.clock import Clock

GROWTH = 1.5


class Pace:
    """The next moment at which a poller is due, and the interval that leads to it.

    The interval starts at `minimum` seconds, grows by the factor `growth` up to `maximum` while nothing
    comes, and is `minimum` again as soon as something does. A `minimum` above `maximum` wins, so that a
    caller that sets a long interval need not raise the default maximum too.

    Intervals are measured from request to request, so the time that a response and its consumer take is part
    of the interval. Lost time is not made up for.
    """

    def __init__(
        self, clock: Clock, minimum: float, maximum: float | None = None, *, growth: float = GROWTH
    ) -> None:
        self.due: float = clock.now()
        """The moment before which the next request is not made. Owners may set it."""

        self._clock = clock
        self._minimum = self._interval = minimum
        self._maximum = minimum if maximum is None else max(minimum, maximum)
        self._growth = growth

    @property
    def pause(self) -> float:
        """Seconds until the next request is due; 0 or less if it is."""
        return self.due - self._clock.now()

    async def turn(self, *, not_before: float = -inf) -> float:
        """Sleep until the next request is due, and at least until `not_before`; return the present moment.

        It may be canceled and called again: `due` does not move, so no wait starts over.
        """
        if (pause := max(self.due, not_before) - self._clock.now()) > 0:
            await self._clock.sleep(pause)
        return self._clock.now()

    def next_after(self, requested_at: float, *, factor: float = 1) -> None:
        """Be due one interval, or `factor` intervals, after the request that was made at `requested_at`."""
        self.due = requested_at + self._interval * factor

    def failed(self) -> None:
        """Be due one interval from now, so that a caller that retries in a loop is throttled too.

        Not from the request, because its own retries may have taken longer than the interval.
        """
        self.next_after(self._clock.now())

    def slow_down(self) -> None:
        """Lengthen the interval from the next request on, because nothing came."""
        self._interval = min(self._interval * self._growth, self._maximum)

    def reset(self) -> None:
        """Set the interval to its minimum, because something came."""
        self._interval = self._minimum
