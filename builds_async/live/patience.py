"""Sitting out an outage: how long a live verb continues while all of its requests fail."""

from collections.abc import Iterable
from math import inf

from builds_async.errors import BuildsConnectionError, BuildsError, InternalServerError, with_call
from builds_async.live.outages import Outage, Outages
from builds_async.session.budget import LONGEST_CLOSURE
from builds_async.session.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two attempts during an outage: the pause doubles from the first to the longest."""


class Patience:
    """Lets one live verb sit out an outage for `seconds` from the first failure. With 0, it doesn't.

    Only `transient` errors are sat out; any other ends the verb at once. The verb calls `outlasts` with each
    error, raises the error if that returns False, makes no request before `due`, and calls `succeeded` after
    each success. A verb with many independent requests calls `outlasts_part` for each of them.
    """

    def __init__(
        self, clock: Clock, seconds: float = 0.0, *, verb: str = "", outages: Outages | None = None
    ) -> None:
        self.due: float = -inf
        """The moment before which the next attempt is not made."""

        self.outage: BuildsError | None = None
        """The last error of the outage that is being sat out; None if there is none."""

        self._clock = clock
        self._seconds = seconds
        self._verb = verb
        self._outages = Outages(clock) if outages is None else outages
        self._began: float | None = None  # when the first request of the present outage failed
        self._reported: Outage | None = None
        self._pause = FIRST_PAUSE

    @property
    def is_tried(self) -> bool:
        """Whether a request has failed, and none has succeeded since."""
        return self._began is not None

    def outlasts(self, error: BuildsError) -> bool:
        """Count a failure. True if it is sat out; if not, the caller raises the error.

        After `seconds` without a success, each further failure is raised, at the same pace.
        """
        now = self._clock.now()
        if not error.transient or not self._seconds:
            self._end(error)
            return False
        if self._began is None:
            self._began = now
        left = self._began + self._seconds - now
        self._set_due(error, now, left)
        self.outage = error if left > 0 else None
        if left <= 0:
            self._report_end(error)
            return False
        self._reported = self._outages.failed(self, self._verb, self._seconds, error)
        return True

    def outlasts_part(self, error: BuildsError, *, repeated: bool = False) -> bool:
        """Count a failure of one part of a verb, such as one log of many; False if it must be raised.

        An error that concerns only the part is never raised. `repeated`: the last request for the part failed
        as well, which is no sign of an outage while requests for other parts succeed.
        """
        if not concerns_all(error) or (repeated and error.transient and self._seconds and not self.is_tried):
            return True
        return self.outlasts(error)

    def weigh(self, errors: Iterable[BuildsError], *, parts: int, repeated: bool = False) -> None:
        """Count a request for several parts, with the `errors` of some; raise an error that is not sat out.

        The request counts as a failure if every part had an error that concerns more than that part.
        """
        serious = [error for error in errors if concerns_all(error)]
        if len(serious) < max(parts, 1):
            self.succeeded()
        elif not self.outlasts_part(serious[0], repeated=repeated):
            raise with_call(serious[0])  # the original stays among the failures

    def succeeded(self) -> None:
        """Note that a request succeeded: an outage is over."""
        self._outages.succeeded()
        if self._began is not None:
            self._end(None)

    def _set_due(self, error: BuildsError, now: float, left: float) -> None:
        if now < self.due:
            return  # this request was in flight together with the one that set `due`: one pause is enough
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        if 0 < left < pause:
            pause = left  # so that the last attempt is made when the patience ends, and not later
        # Retry-After of a 503 may be longer. That of a 429 is not needed here: the budget obeys it for all
        # requests.
        retry_after = error.retry_after if isinstance(error, InternalServerError) else None
        self.due = now + max(pause, min(retry_after or 0.0, LONGEST_CLOSURE))

    def _end(self, error: BuildsError | None) -> None:
        self._report_end(error)
        self._began, self._pause, self.outage = None, FIRST_PAUSE, None
        self.due = -inf

    def _report_end(self, error: BuildsError | None) -> None:
        """Report the end of an outage once. `error` is the error that the verb raises, if it gives up."""
        if self._reported is not None:
            self._outages.ended(self._reported, self, error)
            self._reported = None


def concerns_all(error: BuildsError) -> bool:
    """Whether an error concerns the API or the network, not just one Worker or one build."""
    return error.transient or isinstance(error, BuildsConnectionError)
