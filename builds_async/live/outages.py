"""The outages of one client. Each is reported once, however many live verbs it affects."""

import logging
from weakref import WeakSet

from builds_async.errors import BuildsError
from builds_async.session.clock import Clock
from builds_async.session.observe import Observer, OutageBegan, OutageEnded

GRACE = 30.0
"""Seconds after the beginning and the end of an outage in which both successes and failures are expected.

It is the default timeout of a request: a request that was sent during the outage may fail that late.
"""

logger: logging.Logger = logging.getLogger("builds_async")


class Outages:
    """Reports outages to the log and to the observer, for all live verbs of one client.

    A verb that fails during an outage joins it without another report. The outage is over when one of its
    verbs succeeds, or when all of them have given up.
    """

    def __init__(self, clock: Clock, observer: Observer | None = None) -> None:
        self._clock = clock
        self._observer = observer
        self._last: Outage | None = None

    def failed(self, verb: object, name: str, patience: float, error: BuildsError) -> "Outage":
        """Note that a verb sits out a failure. Returns its outage, after reporting it if it is new."""
        last, now = self._last, self._clock.now()
        if last is not None and last.includes(verb, now):
            last.verbs.add(verb)
            return last
        outage = self._last = Outage(name, now)
        outage.verbs.add(verb)
        until = "until it works" if patience == float("inf") else f"for up to {patience:.0f} s"
        logger.warning("%s: %s; trying again %s", name, str(error), until)
        if self._observer is not None:
            self._observer(OutageBegan(verb=name, patience=patience, error=error))
        return outage

    def succeeded(self) -> None:
        """Note that a request of any verb succeeded."""
        if self._last is not None:
            self._last.is_partial = True

    def ended(self, outage: "Outage", verb: object, error: BuildsError | None) -> None:
        """Note that an outage has ended for a verb: it has succeeded, or gives up and raises `error`."""
        if error is not None:
            outage.verbs.discard(verb)
        if outage.ended_at is not None or (error is not None and outage.verbs):
            return
        outage.ended_at = self._clock.now()
        lasted = outage.ended_at - outage.began_at
        if error is None:
            logger.info("%s: works again after %.0f s", outage.name, lasted)
        if self._observer is not None:
            self._observer(OutageEnded(verb=outage.name, seconds=lasted, error=error))


class Outage:
    """One outage, and the verbs that it affects."""

    def __init__(self, name: str, began_at: float) -> None:
        self.name = name
        """The verb that failed first."""

        self.began_at = began_at
        """When that verb failed."""

        self.ended_at: float | None = None
        """When the outage ended; None before that."""

        self.verbs: WeakSet[object] = WeakSet()
        """The verbs that sit it out. A canceled verb leaves by itself when it is dropped."""

        self.is_partial = False
        """Whether a request has succeeded since it began."""

    def includes(self, verb: object, now: float) -> bool:
        """Whether a failure of this verb belongs to this outage."""
        if self.ended_at is not None:  # a request that was sent before the end may fail late
            return verb in self.verbs and now - self.ended_at < GRACE
        # If other requests succeed, only a part of the API fails, such as one log. An outage of that kind
        # must not hide a later one of the whole API.
        return verb in self.verbs or (
            bool(self.verbs) and not (self.is_partial and now - self.began_at > GRACE)
        )
