"""Keeping track of the builds of many Workers, for `watch` and `tail`."""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.ending import Ending
from builds_async.models.builds import Build
from builds_async.models.envelope import Page
from builds_async.resources.bulk import BulkResult
from builds_async.session.clock import Clock

logger = logging.getLogger("builds_async")

CATCH_UP = 200
"""How many builds of one Worker are looked through for those that were missed."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class WatchSource(Protocol):
    """What is asked about Workers and their builds."""

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        """The latest build of each of these Workers."""
        ...

    async def get(self, build_uuid: str) -> Build:
        """One build as it is now."""
        ...

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        """One page of a Worker's builds, newest first."""
        ...


class BuildChange(msgspec.Struct, frozen=True, kw_only=True):
    """A build of a Worker that is new, or not as it was.

    `previous` is the same build as it was reported last; for a new one, the newest build of that Worker
    until then; None if there was none.
    """

    external_script_id: str
    previous: Build | None
    build: Build

    @property
    def is_new(self) -> bool:
        """True when this build was not reported before."""
        return self.previous is None or self.previous.build_uuid != self.build.build_uuid


class WorkerMark(msgspec.Struct, frozen=True):
    """The newest build of a Worker that was seen."""

    build_uuid: str
    created_on: datetime | None = None


class Tracker:
    """Finds out, pass by pass, what has changed. It does not wait.

    A pass asks for the latest builds, 20 Workers in a request. Where a Worker has a new one, its list
    tells which came in between; a build that is not the latest any more is asked for until it has finished.
    So neither a build nor its end goes unseen. What is found goes into `changes` at once: a pass that is
    cancelled, or fails in part, loses nothing.

    `failures` has the error of each Worker that the last pass could not ask for; the next pass makes up for
    it. Wrong credentials end a pass with their error.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        clock: Clock,
        marks: Mapping[str, WorkerMark] | None = None,
    ) -> None:
        self.ids = tuple(dict.fromkeys(external_script_ids))
        self.changes: deque[BuildChange] = deque()
        self.failures: dict[str, BuildsError] = {}
        self.marks = {tag: mark for tag, mark in (marks or {}).items() if tag in set(self.ids)}
        self._source = source
        self._clock = clock
        self._newest: dict[str, Build] = {}
        self._older: dict[str, dict[str, _Open]] = {}  # superseded, but not finished as last seen

    def tracks(self, tag: str, build_uuid: str) -> bool:
        """Whether passes tell how this build goes on."""
        newest = self._newest.get(tag)
        return build_uuid in self._older.get(tag, ()) or (
            newest is not None and newest.build_uuid == build_uuid
        )

    async def look(self) -> None:
        """Make one pass."""
        result = await self._source.latest(self.ids)
        failures = dict(result.failed)
        for tag, build in result.found.items():
            try:
                await self._look_at(tag, build)
            except (AuthenticationError, PermissionDeniedError):
                raise
            except BuildsError as error:
                failures[tag] = error
        self.failures = failures
        if failures:
            logger.warning(
                "%d Workers could not be asked, first: %s", len(failures), next(iter(failures.values()))
            )

    async def _look_at(self, tag: str, latest: Build) -> None:
        mark = self.marks.get(tag)
        if mark is not None and mark.build_uuid != latest.build_uuid:
            for build in await self._since(tag, mark):
                self._note(tag, build)
        self._note(tag, latest)
        for build_uuid in [*self._older.get(tag, ())]:
            try:
                self._note(tag, await self._source.get(build_uuid))
            except NotFoundError:  # its trigger was deleted, and the build with it
                del self._older[tag][build_uuid]

    async def _since(self, tag: str, mark: WorkerMark) -> list[Build]:
        """The builds that came after the one marked, oldest first."""
        since: list[Build] = []
        after = mark.created_on or _LONG_AGO
        for page in range(1, CATCH_UP // 50 + 1):
            builds = await self._source.list(tag, page=page, per_page=50)
            new = [
                build for build in builds if _created(build) >= after and build.build_uuid != mark.build_uuid
            ]
            since += new
            if len(new) < 50:
                break
        return sorted(since, key=_created)

    def _note(self, tag: str, build: Build) -> None:
        newest, older = self._newest.get(tag), self._older.setdefault(tag, {})
        if newest is not None and build.build_uuid == newest.build_uuid:
            self._report(tag, newest, build)
            self._newest[tag] = build
        elif build.build_uuid in older:
            known = older[build.build_uuid]
            self._report(tag, known.build, build)
            known.build = build
            if known.ending.reached(build):
                del older[build.build_uuid]
        else:
            self.changes.append(BuildChange(external_script_id=tag, previous=newest, build=build))
            self._newest[tag] = build
            self.marks[tag] = WorkerMark(build.build_uuid, build.created_on)
            if newest is not None and not newest.is_finished:
                older[newest.build_uuid] = _Open(newest, Ending(self._clock))

    def _report(self, tag: str, known: Build, build: Build) -> None:
        if (known.status, known.build_outcome) != (build.status, build.build_outcome):
            self.changes.append(BuildChange(external_script_id=tag, previous=known, build=build))


class _Open:
    __slots__ = ("build", "ending")

    def __init__(self, build: Build, ending: Ending) -> None:
        self.build = build
        self.ending = ending


def _created(build: Build) -> datetime:
    return build.created_on or _LONG_AGO
