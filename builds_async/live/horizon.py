"""How long the builds that run now may still need polls. No I/O and no clock."""

from collections.abc import Iterable
from math import inf

from builds_async.models.builds import Build

_USUAL = 120.0
"""Seconds that a build is expected to run where no earlier one of its Worker is known."""

_SHORTEST = 30.0
_PATIENCE = 60.0


class Horizon:
    """Expects builds to run as long as the last one of their Worker did.

    A budget spreads its requests over that time: builds last a minute or three, and what is left unused when
    they are over was of no use. While a build is queued, nobody knows how long the load will go on.
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

        `running` says of each build which Worker it belongs to, and since when it has run.
        """
        builds = tuple(running)
        if not builds and not queued:
            self._loaded_since = None
            return None
        if self._loaded_since is None:
            self._loaded_since = now
        if queued:
            return inf
        # Load that has gone on for long goes on: expect it to last once more as long as it has lasted.
        longest = max(_SHORTEST, now - self._loaded_since - _PATIENCE)
        return max(longest, *(self._usual.get(tag, _USUAL) - (now - since) for tag, since in builds))
