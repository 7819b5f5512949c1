"""Keeping track of the builds of many Workers, for `watch` and `tail`."""

import logging
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from builds_async.errors import (
    AuthenticationError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
)
from builds_async.live.ending import Ending
from builds_async.models.builds import LONG_AGO, Build, BuildStatus, created, in_order, usable_date
from builds_async.models.envelope import Page
from builds_async.resources.bulk import BulkResult
from builds_async.session.clock import Clock
from builds_async.session.ids import is_id, normalized_id

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

    `external_script_id` is the Worker's tag as the caller wrote it.
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
    """The newest build of a Worker that was seen. `created_on` is None where its date can't be used."""

    build_uuid: str
    created_on: datetime | None = None


class Tracker:
    """Finds out, pass by pass, what has changed. It does not wait.

    A pass asks for the latest builds, 20 Workers in a request. Where a Worker has a new one, or older ones
    that had not finished, its list tells of the others. So neither a build nor its end goes unseen. What
    is found goes into `changes` at once: a pass that is cancelled, or fails in part, loses nothing. A
    build is never reported twice in one state, nor in an earlier state after a later one, also when one
    answer is staler than another.

    The list of a Worker, newest build first, and dates say which builds are new. A build
    without a date, or with an absurd one, is new if it stands before the newest one that was seen. Where
    that one is no longer listed, a build without a date counts as new if it stands before all older ones:
    better to report it once too often than never.

    Workers go by their tags in lower case inside, as in `marks` and `ids`; `failures` and `changes` have
    the tags as the caller wrote them.

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
        self._spelled: dict[str, str] = {}
        for tag in external_script_ids:
            self._spelled.setdefault(normalized_id(tag), tag)
        self.ids = tuple(self._spelled)
        self.changes: deque[BuildChange] = deque()
        self.failures: dict[str, BuildsError] = {}
        self.present: set[str] = set()
        given = {normalized_id(tag): _usable(mark) for tag, mark in (marks or {}).items()}
        self.marks = {tag: mark for tag, mark in given.items() if tag in self._spelled}
        self._source = source
        self._clock = clock
        self._histories: dict[str, _History] = {}
        self._beside: set[str] = set()  # Workers whose other running builds were not looked for yet
        self._pending: list[str] = []  # Workers that this pass has still to look at

    def spelling(self, tag: str) -> str:
        """The tag of a Worker as the caller wrote it."""
        return self._spelled.get(tag, tag)

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
        failed = {**result.failed, **_nameless(result.found)}
        for tag in tags:
            if tag not in self.marks and tag not in failed:
                self._first_look(tag, result.found.get(tag))
        for tag in tags:
            self.failures.pop(self.spelling(tag), None)
            if tag in failed:
                self.failures[self.spelling(tag)] = failed[tag]
            else:
                try:
                    await self._look_at(tag, result.found.get(tag))
                except (AuthenticationError, PermissionDeniedError):
                    raise
                except BuildsError as error:
                    self.failures[self.spelling(tag)] = error
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
            listed = await self._since(tag, history, latest)
        elif tag in self._beside:
            page = await self._source.list(tag, per_page=_PAGE)
            before = _before(page.result, mark)  # they began after `latest` was asked for
            for build in in_order(it for it in page if not it.is_stopped or it.build_uuid in before):
                self._note(history, build, newest=_is_younger(build, mark, before))
            self._beside.discard(tag)
        elif len(superseded) > 1:
            page = await self._source.list(tag, per_page=_PAGE)
            listed = in_order(build for build in page if build.build_uuid in history.open)
        for build in listed:
            self._note(history, build, newest=True)
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
            self.failures[self.spelling(history.tag)] = error

    async def _since(self, tag: str, history: "_History", latest: Build) -> tuple[Build, ...]:
        """The builds of a Worker that came after the one marked, oldest first, and how open ones are."""
        mark = self.marks[tag]
        found: list[Build] = []
        for page in range(1, CATCH_UP // _PAGE + 1):
            answer = await self._source.list(tag, page=page, per_page=_PAGE)
            builds = answer.result
            if answer.skipped:
                self.failures[self.spelling(tag)] = ResponseDecodeError(
                    f"{answer.skipped} of the Worker's builds can't be read and are left out"
                )
            if (place := _place(builds, mark)) is not None:
                found += builds[:place]
                behind = [it for it in builds[place + 1 :] if it.build_uuid in history.open]
                newer = _newer_than_listed(found, mark, latest, behind=builds[place + 1 :])
                return (builds[place], *in_order(newer), *behind)
            found += builds
            is_behind = _is_older(builds[-1:], mark) and not _is_older([latest], mark)
            if is_behind or len(builds) + answer.skipped < _PAGE:
                break
        return in_order(_newer_than_gone(found, mark, history.builds))

    def _note(self, history: "_History", build: Build, *, newest: bool | None = None) -> None:
        """Report the build, if it is new or has moved on. `newest`: whether it is; None: its date tells."""
        if error := _nameless({history.tag: build}):
            self.failures[self.spelling(history.tag)] = error[history.tag]
        elif build.build_uuid in history.builds:
            known = history.builds[build.build_uuid]
            if known is not None:
                if _moved_on(known, build):
                    self._report(history, known, build)
                history.update(build)
        else:
            self._report(history, history.newest, build)
            mark = self.marks.get(history.tag)
            if newest is None:
                newest = mark is None or created(build) >= (mark.created_on or LONG_AGO)
            history.add(build, newest=newest)
            if newest:
                self.marks[history.tag] = WorkerMark(build.build_uuid, usable_date(build.created_on))

    def _report(self, history: "_History", previous: Build | None, build: Build) -> None:
        tag = self.spelling(history.tag)
        self.changes.append(BuildChange(external_script_id=tag, previous=previous, build=build))


def _nameless(builds: Mapping[str, Build]) -> dict[str, BuildsError]:
    """The Workers whose build has a UUID that no call can ask for, each with an error that says so."""
    return {
        tag: ResponseDecodeError(f"{build.build_uuid!r} can't be the UUID of a build, which is left out")
        for tag, build in builds.items()
        if not is_id(build.build_uuid)
    }


def _usable(mark: WorkerMark | None) -> WorkerMark | None:
    """A mark, without its date if that is absurd: it would hide each later build."""
    return mark and WorkerMark(mark.build_uuid, usable_date(mark.created_on))


def _place(newest_first: Sequence[Build], mark: WorkerMark | None) -> int | None:
    """Where in a list the marked build stands."""
    if mark is None:
        return None
    return next((n for n, build in enumerate(newest_first) if build.build_uuid == mark.build_uuid), None)


def _before(newest_first: Sequence[Build], mark: WorkerMark | None) -> set[str]:
    """The builds that a list has before the marked one."""
    return {build.build_uuid for build in newest_first[: _place(newest_first, mark) or 0]}


def _newer_than_listed(
    before: Sequence[Build], mark: WorkerMark | None, latest: Build, *, behind: Sequence[Build]
) -> list[Build]:
    """Those that are newer than the marked build, out of the ones that the list has before it.

    Dates count, unless that of the latest build says that it is older than the marked one, in front of
    which it stands: then one of the two is wrong. A latest build without a date that is not listed at all
    is new as well: the list lags.
    """
    listed = {build.build_uuid for build in (*before, *behind)}
    late = [latest] if latest.build_uuid not in listed and usable_date(latest.created_on) is None else []
    in_front = any(build.build_uuid == latest.build_uuid for build in before)
    if in_front and _is_older([latest], mark):
        return [*late, *before]
    return [*late, *(build for build in before if not _is_older([build], mark))]


def _newer_than_gone(
    newest_first: Sequence[Build], mark: WorkerMark | None, known: Mapping[str, Build | None]
) -> list[Build]:
    """Those that are newer than a marked build that is listed no more, or all that are known."""
    if mark is None:
        return [*newest_first]
    newer, passed = [], False
    for build in newest_first:
        date = usable_date(build.created_on)
        is_newer = not passed if date is None else date > (mark.created_on or LONG_AGO)
        if is_newer or build.build_uuid in known:
            newer.append(build)
        passed = passed or not is_newer
    return newer


class _History:
    """What is known of a Worker's builds: the state of each that may still change, and who was there."""

    def __init__(self, tag: str, clock: Clock) -> None:
        self.tag = tag
        self.newest: Build | None = None
        self.builds: dict[str, Build | None] = {}  # None: nothing of it is of interest any more
        self.open: dict[str, Ending] = {}
        self._clock = clock

    def add(self, build: Build, *, newest: bool) -> None:
        """A build that was not known."""
        if newest:
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


_RANKS = {BuildStatus.QUEUED: 0, BuildStatus.INITIALIZING: 1}


def _rank(build: Build) -> int:
    """How far a build has come; statuses that are not known count as running."""
    if build.is_stopped:
        return 4 if build.is_finished else 3
    return _RANKS.get(build.status or BuildStatus.RUNNING, 2)


def _is_younger(build: Build, mark: WorkerMark | None, before: Collection[str] = ()) -> bool:
    """Whether a build is newer than the marked one, or is that one; `before` are those listed before it."""
    if mark is None or mark.build_uuid == build.build_uuid:
        return True
    date = usable_date(build.created_on)
    if date is None or mark.created_on is None:
        return build.build_uuid in before
    return date > mark.created_on


def _is_older(builds: Sequence[Build], mark: WorkerMark | None) -> bool:
    """Whether by its date the build (the one in the list) is older than the marked one."""
    if mark is None or mark.created_on is None:
        return False
    dates = [usable_date(build.created_on) for build in builds]
    return any(date is not None and date < mark.created_on for date in dates)


def _is_before(build: Build, known: Build) -> bool:
    return _rank(build) < _rank(known)


def _moved_on(known: Build, build: Build) -> bool:
    changed = (known.status, known.build_outcome) != (build.status, build.build_outcome)
    return changed and not _is_before(build, known)
