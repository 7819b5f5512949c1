"""When a build has finished."""

from builds_async.models.builds import Build
from builds_async.session.clock import Clock

OUTCOME_WAIT = 30.0
"""How many seconds a stopped build may stay without an outcome before it is taken as it is."""


class Ending:
    """Tells when one build has finished: it is `stopped` and has its outcome, which may be written later."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped_at: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the build was seen stopped, with or without an outcome."""
        return self._stopped_at is not None

    def reached(self, build: Build) -> bool:
        """Whether the build, as seen now, is final: nothing of it will change, or that was waited for."""
        if not build.is_stopped:
            return False
        now = self._clock.now()
        if self._stopped_at is None:
            self._stopped_at = now
        return build.build_outcome is not None or now - self._stopped_at >= OUTCOME_WAIT
