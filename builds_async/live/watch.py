"""Watching many Workers: every change of status or outcome, once."""

from collections.abc import Iterable, Mapping
from typing import Self

from builds_async.errors import BuildsError
from builds_async.live.tracker import BuildChange, Tracker, WatchSource
from builds_async.session.clock import Clock


class BuildWatcher:
    """The changes of the builds of many Workers, as an endless async iterator of `BuildChange`.

    The first pass gives the present state: the latest build of each Worker that has one. From then on each
    change that is seen comes once, in the order of a build's life: a new build, another status, the
    outcome. Passes are `interval` seconds apart and ask for 20 Workers in one request; a status that a
    build leaves again within one interval may not show, but no build and no outcome is missed, also
    when another build of that Worker began meanwhile, up to 200 of one Worker in one interval.

    A class, not a generator: after a `break`, a time-out, a cancel or an error the next loop goes on
    and has missed nothing; a pass that was cancelled is taken up where it was. Between two changes it
    holds nothing open. A second task that reads at the same time gets a RuntimeError.

    `failures` has, by tag, what kept the last pass from asking for a Worker. Such Workers are asked for
    again with the next pass, the others go on. Wrong credentials are raised.
    """

    def __init__(
        self, source: WatchSource, external_script_ids: Iterable[str], *, interval: float, clock: Clock
    ) -> None:
        if not interval > 0:
            raise ValueError(f"interval is seconds above 0, not {interval}")
        self._tracker = Tracker(source, external_script_ids, clock)
        self._interval = interval
        self._clock = clock
        self._due = clock.now()
        self._reading = False

    @property
    def failures(self) -> Mapping[str, BuildsError]:
        """The error of each Worker that the last pass could not ask for, by tag."""
        return self._tracker.failures

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BuildChange:
        if not self._tracker.ids:
            raise StopAsyncIteration
        if self._reading:
            raise RuntimeError("another task is already reading this watch; give each its own")
        self._reading = True
        try:
            while not self._tracker.changes:
                await self._look()
        finally:
            self._reading = False
        return self._tracker.changes.popleft()

    async def _look(self) -> None:
        if (pause := self._due - self._clock.now()) > 0:
            await self._clock.sleep(pause)
        began = self._clock.now()
        try:
            await self._tracker.look()
        except BuildsError:
            self._due = began + self._interval  # who tries again in a loop is paced as well
            raise
        self._due = began + self._interval
