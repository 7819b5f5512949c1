"""Sets in a client's budget for how long its followers will need polls, so that it can spread them."""

from weakref import WeakKeyDictionary

from builds_async.live.horizon import UPDATE_EVERY, Horizon
from builds_async.models.builds import Build, BuildStatus
from builds_async.session.budget import Budget
from builds_async.session.clock import Clock
from builds_async.session.ids import normalized_id


class Demand:
    """Sets the horizon of a budget from the builds that are followed. A dropped follower leaves by itself.

    There is one horizon for all followers, updated once a second.

    Waiters are not counted. They poll rarely and share requests; a horizon would only slow them down.
    """

    def __init__(self, clock: Clock, budget: Budget) -> None:
        self._clock = clock
        self._budget = budget
        self._horizon = Horizon()
        self._followed: WeakKeyDictionary[object, tuple[str, float | None]] = WeakKeyDictionary()
        self._due = clock.now()

    def see(self, follower: object, build: Build) -> None:
        """Note the present state of the build that a follower polls."""
        now = self._clock.now()
        tag = normalized_id((build.trigger and build.trigger.external_script_id) or "")
        if build.is_stopped:
            self._horizon.learn(tag, build)
            self._followed.pop(follower, None)
        else:
            _, since = self._followed.get(follower, (tag, None))
            if since is None and build.status != BuildStatus.QUEUED:
                since = now
            self._followed[follower] = tag, since
        if now >= self._due or not self._followed:
            self._due = now + UPDATE_EVERY
            self._update(now)

    def _update(self, now: float) -> None:
        running = [(tag, since) for tag, since in self._followed.values() if since is not None]
        queued = len(running) < len(self._followed)
        seconds = self._horizon.seconds(now, running, queued=queued)
        # Queued builds alone need few polls: three requests cover sixty of them. With a horizon, even the
        # first of these would come late.
        self._budget.set_horizon(self, seconds if running else None, builds=len(running))
