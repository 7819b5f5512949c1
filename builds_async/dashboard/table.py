"""The state of many Workers, kept once for all browsers."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from typing import Final, Literal, TypeAlias

import msgspec

from builds_async import (
    AuthenticationError,
    Build,
    BuildsClient,
    BuildsError,
    BuildWatcher,
    PermissionDeniedError,
    RetryPolicy,
)
from builds_async.dashboard.facts import summary

TIMEOUT: Final = 15.0
"""Seconds for one request. Until it fails, the page shows old states; the next pass repeats it."""

REFUSED_INTERVAL = 60.0
"""Seconds between two attempts while the API refuses the token."""

FADE: Final = 10.0
"""Seconds for which failures of some Workers are shown after the last one, longer than a pass takes."""

_LOADING: Final = object()


def impatient(client: BuildsClient) -> BuildsClient:
    """A client for the page: it reports failures soon, and no outage ends its watch."""
    return client.with_options(timeout=TIMEOUT, retry=RetryPolicy(attempts=2, base=0.2), patience=inf)


TroubleKind: TypeAlias = Literal["down", "partial", "refused", "limited"]
"""`down`: no Worker could be checked; `partial`: some could not; `refused`: the API refuses the token;
`limited`: the rate limit is used up."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why states may be out of date."""

    kind: TroubleKind
    """Its kind."""

    since: datetime
    """When it began."""

    count: int = 0
    """How many Workers it affects."""

    until: datetime | None = None
    """When it ends; None if unknown."""

    error: str = ""
    """The first error."""


class WorkerTable:
    """One row for each Worker, and the version at which it last changed. `names` are by tag.

    With `joining`, all Workers of the account are watched: those in `names`, and those to come.
    """

    def __init__(
        self,
        client: BuildsClient,
        names: Mapping[str, str],
        *,
        interval: float,
        beat: float,
        joining: bool = False,
    ) -> None:
        self.names: dict[str, str] = dict(names)
        self.version: int = 1
        """Counts changes of rows, names and trouble."""
        self.rows: dict[str, dict[str, object]] = {}
        self.versions: dict[str, int] = {}
        self.trouble: Trouble | None = None
        self.news: asyncio.Event = asyncio.Event()
        """Set at the next change."""
        self._client = impatient(client)
        self.watcher: BuildWatcher = self._client.watch(None if joining else names, interval=interval)
        self._beat = beat
        self._last_down = self._last_failure = -inf
        self._seen: dict[str, tuple[object, BuildsError | None]] = {}
        self._refused: BuildsError | None = None
        self._dirty = asyncio.Event()
        self.refresh()

    async def watch(self) -> None:
        """Keep the rows current. Raises a permanent error only if no Worker was ever looked up.

        A token that is refused later is tried again once a minute, so that the page can say so.
        """
        refreshing = asyncio.create_task(self._refresh_often())
        try:
            while True:
                try:
                    async for _ in self.watcher:
                        self._dirty.set()
                    return  # nothing to watch
                except BuildsError as error:
                    if not self.watcher.current:
                        raise
                    self._refused = error
                    self._dirty.set()
                    await self._until_accepted()
        finally:
            refreshing.cancel()
            await asyncio.wait({refreshing})

    async def _until_accepted(self) -> None:
        tag = next(iter(self.watcher.current))
        while self._refused is not None:
            await asyncio.sleep(REFUSED_INTERVAL)
            with suppress(BuildsError):
                (await self._client.builds.latest([tag])).raise_for_failures()
                self._refused = None

    async def _refresh_often(self) -> None:
        """Refresh after each change, and regularly: a Worker without a build and a failure are no changes."""
        while True:
            self._dirty.clear()
            self.refresh()
            if self.watcher.current.keys() - self.names.keys():
                await self._name_new_ones()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat):
                    await self._dirty.wait()

    async def _name_new_ones(self) -> None:
        with suppress(BuildsError):  # then the next beat tries again
            names = await self._client.workers.names()
            new = [tag for tag in self.watcher.current if tag not in self.names]
            # A Worker that is gone already is named by its tag.
            self.names |= {tag: names.get(tag, tag) for tag in new}
            self._dirty.set()

    def refresh(self) -> None:
        """Compare the watch with the rows, and tell the browsers what has changed."""
        failures = self.watcher.failures
        changed = self._changed(self.watcher.current, failures)
        trouble = self._trouble(failures)
        if not changed and trouble == self.trouble:
            return
        self.version += 1
        self.trouble = trouble
        self.rows |= changed
        self.versions |= dict.fromkeys(changed, self.version)
        self.news.set()  # wakes all current waiters; later ones wait for the new event
        self.news = asyncio.Event()

    def _changed(
        self, current: Mapping[str, Build | None], failures: Mapping[str, BuildsError]
    ) -> dict[str, dict[str, object]]:
        """The rows that have changed."""
        changed = {}
        for tag, name in self.names.items():
            build, error = seen = (current.get(tag, _LOADING), failures.get(tag))
            before = self._seen.get(tag)
            if before is not None and before[0] is build and before[1] is error:
                continue  # unchanged, as nearly all rows are
            self._seen[tag] = seen
            row = {"tag": tag, "worker": name, **_state_of(build, error)}
            if row != self.rows.get(tag):
                changed[tag] = row
        return changed

    def _trouble(self, failures: Mapping[str, BuildsError]) -> Trouble | None:
        all_of_them, error, until = len(self.names), next(iter(failures.values()), None), None
        now = datetime.now(UTC).replace(microsecond=0)
        kind: TroubleKind
        if self._refused is not None:
            kind, count, error = _kind_of(self._refused), all_of_them, self._refused
        elif (closed := self._client.budget.snapshot().closed_for) > 0:
            kind, count, until = "limited", all_of_them, now + timedelta(seconds=closed)
        elif failing := self._failing(len(failures)):
            kind, count = failing
        else:
            return None
        since = now
        if self.trouble is not None and self.trouble.kind == kind:
            since, until = self.trouble.since, self.trouble.until  # new ones would vary by a second
        return Trouble(kind=kind, since=since, count=count, until=until, error=str(error or ""))

    def _failing(self, count: int) -> tuple[TroubleKind, int] | None:
        """The trouble for `count` failing Workers, as its kind and the number of Workers.

        A pass clears failures one by one and may find them again, so trouble ends only after `FADE` seconds.
        """
        now, before = monotonic(), self.trouble
        if count >= len(self.names) > 0:
            self._last_down = self._last_failure = now
        elif count:
            self._last_failure = now
        if count and now - self._last_down < FADE:
            return "down", len(self.names)
        if count:
            return "partial", count
        if before is not None and before.kind == "partial" and now - self._last_failure < FADE:
            return "partial", before.count
        return None


def _kind_of(error: BuildsError) -> TroubleKind:
    # A firewall or proxy on the way gives no errors of the API: it says nothing about the token.
    is_refusal = isinstance(error, AuthenticationError | PermissionDeniedError) and bool(error.errors)
    return "refused" if is_refusal else "down"


def _state_of(build: object, error: BuildsError | None) -> dict[str, object]:
    problem = {} if error is None else {"problem": str(error)}
    if build is _LOADING:
        return {"state": "loading" if error is None else "unknown", **problem}
    return {**(summary(build) if isinstance(build, Build) else {}), **problem}


async def workers(client: BuildsClient, wanted: list[str] | tuple[str, ...]) -> dict[str, str]:
    """The names of these Workers, or of all Workers of the account, by tag."""
    if not wanted:
        names = await client.workers.names()
        return dict(sorted(names.items(), key=lambda it: it[1]))
    tags = await client.workers.tags(wanted)
    return {tags[name]: name for name in sorted(tags)}
