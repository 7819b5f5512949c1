"""Watching many Workers: every change of status or outcome, once."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Self

from builds_async.errors import BuildsError
from builds_async.live.pace import Pace
from builds_async.live.patience import Patience
from builds_async.live.sources import WatchSource
from builds_async.live.tracker import Tracker
from builds_async.models.changes import BuildChange
from builds_async.session.clock import Clock
from builds_async.session.numbers import seconds


class BuildWatcher:
    """The changes of the builds of many Workers, as an endless async iterator of `BuildChange`.

    The first pass gives the present state: the latest build of each Worker that has one. From then on each
    change that is seen comes once, in the order of a build's life: a new build, another status, the
    outcome. Passes are `interval` seconds apart and ask for 20 Workers in one request. A status that a
    build leaves again within one interval may not show, but no build and no outcome is missed, even
    when another build of that Worker began meanwhile, up to 200 builds of one Worker in one interval.

    It is not a generator: after a `break`, a timeout, a cancellation or an error the next loop goes on
    and has missed nothing; a pass that was cancelled continues where it was. Between two changes it
    holds nothing open. A second task that reads at the same time gets a RuntimeError.

    Wrong credentials are raised, and so is an error that hit all Workers in every pass for the client's
    `patience` (300 s), or one that will not pass by itself (a certificate). Any other error leaves the
    Workers it hit in `failures` until the next pass, which asks for them again; the other Workers go on.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        *,
        interval: float,
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        self._patience = Patience(clock, inf) if patience is None else patience
        self._pace = Pace(clock, seconds("interval", interval, above_zero=True))
        self._tracker = Tracker(source, external_script_ids, clock)
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
        began = await self._pace.turn(not_before=self._patience.due)
        try:
            await self._tracker.look()
        except BuildsError:
            self._pace.next_after(began)  # a caller that retries in a loop is throttled too
            raise
        # Not after a cancellation: a pass that was cut short goes on at once.
        self._pace.next_after(began)
        self._patience.weigh(self._tracker.failures.values(), parts=len(self._tracker.ids))
