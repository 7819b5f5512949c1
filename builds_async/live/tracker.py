"""Keeping track of the builds of many Workers, for `watch` and `tail`."""

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from builds_async.errors import AuthenticationError, BuildsError, NotFoundError, PermissionDeniedError
from builds_async.live.ending import Ending
from builds_async.models.builds import LONG_AGO, Build, BuildStatus, created
from builds_async.models.envelope import Page
from builds_async.resources.bulk import BulkResult
from builds_async.session.clock import Clock

logger = logging.getLogger("builds_async")

CATCH_UP = 200
"""How many builds of one Worker are looked through for those that were missed."""

_PAGE = 50
_REMEMBERED = 50
_AT_ONCE = 200


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

    A pass asks for the latest builds, 20 Workers in a request. Where a Worker has a new one, or older ones
    that had not finished, its list tells of the others. So neither a build nor its end goes unseen. What
    is found goes into `changes` at once: a pass that is cancelled, or fails in part, loses nothing. A
    build is never reported twice in one state, nor in an earlier state after a later one, also when one
    answer is staler than another.

    `failures` has the error of each Worker that the last pass could not ask for; the next pass makes up for
    it. Wrong credentials end a pass with their error. `present` are the builds that were there already at
    the first look at their Worker. `marks` is what a later tracker goes on from; None is a Worker that was
    looked at and had no build.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        clock: Clock,
        marks: Mapping[str, WorkerMark | None] | None = None,
    ) -> None:
        self.ids = tuple(dict.fromkeys(external_script_ids))
        self.changes: deque[BuildChange] = deque()
        self.failures: dict[str, BuildsError] = {}
        self.present: set[str] = set()
        known = set(self.ids)
        self.marks = {tag: mark for tag, mark in (marks or {}).items() if tag in known}
        self._source = source
        self._clock = clock
        self._histories: dict[str, _History] = {}
        self._beside: set[str] = set()  # Workers whose other running builds were not looked for yet
        self._pending: list[str] = []  # Workers that this pass has still to look at

    def tracks(self, tag: str, build_uuid: str) -> bool:
        """Whether passes tell how this build goes on."""
        history = self._histories.get(tag)
        return history is not None and history.builds.get(build_uuid) is not None

    async def look(self) -> None:
        """Make one pass. One that was cancelled is taken up where it was."""
        self._pending = self._pending or list(self.ids)
        while self._pending:
            await self._look_at_some(self._pending[:_AT_ONCE])
        if self.failures:
            first = next(iter(self.failures.values()))
            logger.warning("%d Workers could not be asked for, the first: %s", len(self.failures), first)

    async def _look_at_some(self, tags: list[str]) -> None:
        result = await self._source.latest(tags)
        for tag in tags:
            if tag not in self.marks and tag not in result.failed:
                self._first_look(tag, result.found.get(tag))
        for tag in tags:
            self.failures.pop(tag, None)
            if tag in result.failed:
                self.failures[tag] = result.failed[tag]
            else:
                try:
                    await self._look_at(tag, result.found.get(tag))
                except (AuthenticationError, PermissionDeniedError):
                    raise
                except BuildsError as error:
                    self.failures[tag] = error
            self._pending.remove(tag)  # the first

    def _first_look(self, tag: str, latest: Build | None) -> None:
        """Note what is there, at once: whoever leaves after this has seen it."""
        if latest is None:
            self.marks[tag] = None
            return
        self.present.add(latest.build_uuid)
        self._note(self._history(tag), latest)
        if not latest.is_stopped:
            self._beside.add(tag)  # others may run beside it

    def _history(self, tag: str) -> "_History":
        return self._histories.setdefault(tag, _History(tag, self._clock))

    async def _look_at(self, tag: str, latest: Build | None) -> None:
        history = self._history(tag)
        listed: tuple[Build, ...] = ()
        superseded = [it for it in history.open if latest is None or it != latest.build_uuid]
        mark = self.marks.get(tag)
        marked = latest is not None and mark is not None and mark.build_uuid == latest.build_uuid
        if latest is not None and latest.build_uuid not in history.builds and not marked:
            listed = await self._since(tag, history)
        elif tag in self._beside:
            page = await self._source.list(tag, per_page=_PAGE)
            for build in _in_order([build for build in page if not build.is_stopped]):
                self._note(history, build, beside=not _is_younger(build, mark))
            self._beside.discard(tag)
        elif len(superseded) > 1:
            page = await self._source.list(tag, per_page=_PAGE)
            listed = _in_order([build for build in page if build.build_uuid in history.open])
        for build in listed:
            self._note(history, build)
        if latest is not None and (latest.build_uuid in history.builds or _is_younger(latest, mark)):
            self._note(history, latest)  # else it comes from a copy that lags, or was deleted since
        told = {build.build_uuid for build in listed}
        for build_uuid in [it for it in superseded if it not in told]:
            await self._look_at_one(history, build_uuid)

    async def _look_at_one(self, history: "_History", build_uuid: str) -> None:
        try:
            self._note(history, await self._source.get(build_uuid))
        except NotFoundError:  # it was deleted
            history.forget(build_uuid)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            self.failures[history.tag] = error

    async def _since(self, tag: str, history: "_History") -> tuple[Build, ...]:
        """The builds of a Worker that came after the one marked, oldest first, and how open ones are."""
        mark = self.marks[tag]
        found: list[Build] = []
        for page in range(1, CATCH_UP // _PAGE + 1):
            builds = (await self._source.list(tag, page=page, per_page=_PAGE)).result
            for place, build in enumerate(builds):
                if mark is not None and build.build_uuid == mark.build_uuid:
                    behind = [it for it in builds[place + 1 :] if it.build_uuid in history.open]
                    return (*_in_order([*found, build]), *behind)
                if mark is None or mark.created_on is None or created(build) >= mark.created_on:
                    found.append(build)
            if len(builds) < _PAGE or (found and found[-1] is not builds[-1]):
                break
        if mark is None:
            return _in_order(found)
        # The one marked is not listed, so only what is younger is surely new.
        after = mark.created_on or LONG_AGO
        return _in_order(
            [build for build in found if created(build) > after or build.build_uuid in history.builds]
        )

    def _note(self, history: "_History", build: Build, *, beside: bool = False) -> None:
        """Report the build, if it is new or has moved on. `beside`: it is surely not the newest."""
        known = history.builds.get(build.build_uuid)
        if known is not None:
            if _moved_on(known, build):
                self._report(history, known, build)
            history.update(build)
        elif build.build_uuid not in history.builds:
            self._report(history, history.newest, build)
            history.add(build, beside=beside)
            mark = self.marks.get(history.tag)
            if not beside and (mark is None or created(build) >= (mark.created_on or LONG_AGO)):
                self.marks[history.tag] = WorkerMark(build.build_uuid, build.created_on and created(build))

    def _report(self, history: "_History", previous: Build | None, build: Build) -> None:
        self.changes.append(BuildChange(external_script_id=history.tag, previous=previous, build=build))


class _History:
    """What is known of a Worker's builds: the state of each that may still change, and who was there."""

    def __init__(self, tag: str, clock: Clock) -> None:
        self.tag = tag
        self.newest: Build | None = None
        self.builds: dict[str, Build | None] = {}  # None: nothing of it is of interest any more
        self.open: dict[str, Ending] = {}
        self._clock = clock

    def add(self, build: Build, *, beside: bool) -> None:
        """A build that was not known; one that runs `beside` is not the newest."""
        if not beside and (self.newest is None or created(build) >= created(self.newest)):
            if self.newest is not None and self.newest.build_uuid not in self.open:
                self.builds[self.newest.build_uuid] = None
            self.newest = build
        self.builds[build.build_uuid] = build
        self.open[build.build_uuid] = Ending(self._clock)
        self.update(build)
        for build_uuid in [it for it in self.builds if it not in self.open][:-_REMEMBERED]:
            del self.builds[build_uuid]

    def update(self, build: Build) -> None:
        """How a known build is now."""
        known = self.builds[build.build_uuid]
        if known is None or not _is_before(build, known):
            self.builds[build.build_uuid] = build
            if self.newest is not None and build.build_uuid == self.newest.build_uuid:
                self.newest = build
        ending = self.open.get(build.build_uuid)
        if ending is not None and ending.reached(build):
            del self.open[build.build_uuid]
            if build is not self.newest:
                self.builds[build.build_uuid] = None

    def forget(self, build_uuid: str) -> None:
        """A build that is no more."""
        self.open.pop(build_uuid, None)
        self.builds[build_uuid] = None


_RANKS = {BuildStatus.QUEUED: 0, BuildStatus.INITIALIZING: 1, BuildStatus.STOPPED: 3}


def _rank(build: Build) -> int:
    """How far a build has come; statuses that are not known count as running."""
    return 4 if build.is_finished else _RANKS.get(build.status or BuildStatus.RUNNING, 2)


def _is_younger(build: Build, mark: WorkerMark | None) -> bool:
    if mark is None or mark.build_uuid == build.build_uuid:
        return True
    return build.created_on is not None and created(build) > (mark.created_on or LONG_AGO)


def _is_before(build: Build, known: Build) -> bool:
    return _rank(build) < _rank(known)


def _moved_on(known: Build, build: Build) -> bool:
    changed = (known.status, known.build_outcome) != (build.status, build.build_outcome)
    return changed and not _is_before(build, known)


def _in_order(newest_first: Sequence[Build]) -> tuple[Build, ...]:
    """The oldest first; among those of one moment the order of the list tells."""
    return tuple(sorted(reversed(newest_first), key=created))  # noqa: C414  # the order of equals
