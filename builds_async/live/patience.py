"""Sitting out an outage: how long a live verb goes on while every request of it fails."""

import logging
from collections.abc import Iterable
from math import inf

from builds_async.errors import BuildsConnectionError, BuildsError, InternalServerError, with_call
from builds_async.session.budget import LONGEST_CLOSURE
from builds_async.session.clock import Clock
from builds_async.session.observe import Observer, OutageBegan, OutageEnded

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two attempts during an outage: the pause doubles from the first to the longest."""

logger: logging.Logger = logging.getLogger("builds_async")


class Patience:
    """How long one live verb sits out unbroken failure: `seconds` from the first failure, 0 for not at all.

    Only `transient` errors are sat out, any other ends the verb at once. The verb calls `outlasts` with each
    error, raises the error if that is False, makes no request before `due`, and calls `succeeded` after each
    success. The beginning of an outage is a WARNING in the log, its end an INFO, and both go to the observer.
    """

    def __init__(
        self, clock: Clock, seconds: float = 0.0, *, verb: str = "", observer: Observer | None = None
    ) -> None:
        self.due: float = -inf
        """The moment before which the next attempt is not made."""

        self.outage: BuildsError | None = None
        """The last error of the outage that is being sat out."""

        self._clock = clock
        self._seconds = seconds
        self._verb = verb
        self._observer = observer
        self._began: float | None = None  # when the first request of the present outage failed
        self._announced = False
        self._pause = FIRST_PAUSE

    def outlasts(self, error: BuildsError) -> bool:
        """Count a failure, and say whether it is sat out; if not, the caller raises the error.

        After `seconds` without a success each further failure is raised, at the same pace.
        """
        now = self._clock.now()
        if not error.transient or not self._seconds:
            self._end(now, error)
            return False
        if self._began is None:
            self._began = now
        left = self._began + self._seconds - now
        self._set_due(error, now, left)
        self.outage = error if left > 0 else None
        if left <= 0:
            self._announce_end(now, error)
            return False
        if not self._announced:
            self._announced = True
            until = "until it works" if self._seconds == inf else f"for up to {self._seconds:.0f} s"
            logger.warning("%s: %s; trying again %s", self._verb, str(error), until)
            if self._observer is not None:
                self._observer(OutageBegan(verb=self._verb, patience=self._seconds, error=error))
        return True

    def weigh(self, errors: Iterable[BuildsError], *, parts: int) -> None:
        """Count a pass over `parts` Workers, of which some had `errors`, and raise one that is not sat out.

        It has failed if all of them had an error that does not concern their Worker alone.
        """
        serious = [error for error in errors if concerns_all(error)]
        if len(serious) < max(parts, 1):
            self.succeeded()
        elif not self.outlasts(serious[0]):
            raise with_call(serious[0])  # the original stays among the failures

    def succeeded(self) -> None:
        """A request brought what it was for: an outage is over."""
        if self._began is not None:
            self._end(self._clock.now(), None)

    def _set_due(self, error: BuildsError, now: float, left: float) -> None:
        if now < self.due:
            return  # another request of the same attempt: that lengthens no pause
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        if 0 < left < pause:
            pause = left  # the last attempt comes when the patience ends, not up to a pause later
        # A 503 may ask for longer; after a 429 the budget's gate holds all requests back anyway.
        asked = error.retry_after if isinstance(error, InternalServerError) else None
        self.due = now + max(pause, min(asked or 0.0, LONGEST_CLOSURE))

    def _end(self, now: float, error: BuildsError | None) -> None:
        self._announce_end(now, error)
        self._began, self._pause, self.outage = None, FIRST_PAUSE, None
        self.due = -inf

    def _announce_end(self, now: float, error: BuildsError | None) -> None:
        """Report the end of an outage that was announced. `error` is the one that the verb raises, if any."""
        if not self._announced or self._began is None:
            return
        self._announced = False
        lasted = now - self._began
        if error is None:
            logger.info("%s: works again after %.0f s", self._verb, lasted)
        if self._observer is not None:
            self._observer(OutageEnded(verb=self._verb, seconds=lasted, error=error))


def concerns_all(error: BuildsError) -> bool:
    """Whether an error concerns the API or the way to it, not one Worker or one build alone."""
    return error.transient or isinstance(error, BuildsConnectionError)
