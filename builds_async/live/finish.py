"""When a build is final."""

from builds_async.models.builds import Build
from builds_async.session.clock import Clock

OUTCOME_WAIT = 30.0
"""Seconds that a stopped build has to get its outcome; after that it is final without one."""


class EndDetector:
    """Decides when one build is final: it is `stopped` and has an outcome, which may come a moment later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped_at: float | None = None

    @property
    def has_stopped(self) -> bool:
        """True once the build was seen stopped, with or without an outcome."""
        return self._stopped_at is not None

    def is_final(self, build: Build) -> bool:
        """Whether the build, in the state just received, will not change any more.

        A build without an outcome is final 30 s after it was first seen stopped: some never get an outcome.
        """
        if not build.is_stopped:
            return False
        # By this machine's monotonic clock, not by `stopped_on`: a wrong date must neither end the wait early
        # nor prolong it.
        now = self._clock.now()
        if self._stopped_at is None:
            self._stopped_at = now
        return build.build_outcome is not None or now - self._stopped_at >= OUTCOME_WAIT
