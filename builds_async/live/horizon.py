"""Estimates for how long the running builds will need polls. No I/O and no clock."""

from collections.abc import Iterable
from math import inf

from builds_async.models.builds import Build

UPDATE_EVERY = 1.0
"""Seconds between two updates of a budget's horizon: a budget reads all its horizons with each poll."""

_USUAL = 120.0
"""Seconds that a build is expected to run if no earlier build of its Worker is known."""

_SHORTEST = 30.0
"""The shortest horizon in seconds: a build may be nearly over, and still take longer than expected."""

_SETTLING = 60.0
"""After this many seconds, load is expected to last as long again."""


class Horizon:
    """Expects each build to run as long as the last one of its Worker did.

    A budget spreads its requests over that time. Builds last one to three minutes, and requests that are
    left when they are over would be wasted. While a build is queued, the end of the load is unknown.
    """

    def __init__(self) -> None:
        self._usual: dict[str, float] = {}  # seconds, by Worker
        self._loaded_since: float | None = None

    def learn(self, tag: str, build: Build) -> None:
        """Note how long a finished build of a Worker ran."""
        began = build.initializing_on or build.running_on
        if build.is_stopped and began is not None and build.stopped_on is not None:
            try:
                self._usual[tag] = (build.stopped_on - began).total_seconds()
            except TypeError:  # one date has a time zone, the other has none
                return

    def seconds(self, now: float, running: Iterable[tuple[str, float]], *, queued: bool) -> float | None:
        """For how many seconds polls will be needed; None if no build runs.

        `running` has the Worker of each running build, and the moment since which it has run.
        """
        builds = tuple(running)
        if not builds and not queued:
            self._loaded_since = None
            return None
        if self._loaded_since is None:
            self._loaded_since = now
        if queued:
            return inf
        # Load that has lasted for long is expected to last as long again. Otherwise, with a steady stream of
        # short builds, the present builds would use up the whole budget again and again.
        longest = max(_SHORTEST, now - self._loaded_since - _SETTLING)
        return max(longest, *(self._usual.get(tag, _USUAL) - (now - since) for tag, since in builds))
