"""Keeping track of the builds of many Workers, for `watch` and `tail`."""

import logging
from collections import deque
from collections.abc import Iterable, Mapping

from builds_async.errors import (
    AuthenticationError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
)
from builds_async.live import marks
from builds_async.live.history import History, moved_on
from builds_async.live.sources import WatchSource
from builds_async.models.builds import Build, in_order
from builds_async.models.changes import BuildChange, WorkerMark
from builds_async.session.clock import Clock
from builds_async.session.ids import is_id, normalized_id

logger: logging.Logger = logging.getLogger("builds_async")

CATCH_UP = 200
"""How many builds of one Worker are looked through for those that were missed."""

_PAGE = 50
_AT_ONCE = 200


class Tracker:
    """Finds out, pass by pass, what has changed. It does not wait.

    A pass asks for the latest builds, 20 Workers in a request. Where a Worker has a new one, or older ones
    that had not finished, its list shows the others. So neither a build nor its end goes unseen. What
    is found goes into `changes` at once: a pass that is cancelled, or fails in part, loses nothing. A
    build is never reported twice in one state, nor in an earlier state after a later one, even when one
    response is staler than another.

    The list of a Worker, newest build first, and dates decide which builds are new. A build
    without a date, or with an absurd one, is new if it stands before the newest one that was seen. Where
    that one is no longer listed, a build without a date counts as new if it stands before all older ones:
    better to report it once too often than never.

    Inside, Workers go by their tags in lower case, as in `marks` and `ids`; `failures` and `changes` have
    the tags as the caller wrote them.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        clock: Clock,
        known: Mapping[str, WorkerMark | None] | None = None,
    ) -> None:
        self._spelled: dict[str, str] = {}
        for tag in external_script_ids:
            self._spelled.setdefault(normalized_id(tag), tag)

        self.ids: tuple[str, ...] = tuple(self._spelled)
        """The Workers."""

        self.changes: deque[BuildChange] = deque()
        """What was found and not taken yet."""

        self.failures: dict[str, BuildsError] = {}
        """The error of each Worker that the last pass could not ask for; the next pass makes up for it."""

        self.present: set[str] = set()
        """The builds that existed already at the first look at their Worker."""

        usable = {normalized_id(tag): marks.usable(mark) for tag, mark in (known or {}).items()}
        self.marks: dict[str, WorkerMark | None] = {
            tag: mark for tag, mark in usable.items() if tag in self._spelled
        }
        """Where a later tracker goes on; None for a Worker that was looked at and had no build."""

        self._source = source
        self._clock = clock
        self._histories: dict[str, History] = {}
        self._unlisted: set[str] = set()  # Workers whose other running builds were not looked for yet
        self._pending: list[str] = []  # Workers that this pass has still to look at

    def spelling(self, tag: str) -> str:
        """The tag of a Worker as the caller wrote it."""
        return self._spelled.get(tag, tag)

    def tracks(self, tag: str, build_uuid: str) -> bool:
        """Whether passes keep the state of this build up to date."""
        history = self._histories.get(tag)
        return history is not None and history.builds.get(build_uuid) is not None

    async def look(self) -> None:
        """Make one pass, or go on with one that was cancelled. Wrong credentials end it with their error."""
        self._pending = self._pending or list(self.ids)
        while self._pending:
            await self._look_at_some(self._pending[:_AT_ONCE])
        if self.failures:
            first = next(iter(self.failures.values()))
            logger.warning("%d Workers could not be asked for, the first: %s", len(self.failures), first)

    async def _look_at_some(self, tags: list[str]) -> None:
        result = await self._source.latest(tags)
        failed = {**result.failed, **_unusable(result.found)}
        # All first looks come before the first further request: a caller who stops in between has seen them.
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
            self._pending.remove(tag)  # it is the first, so that costs nothing

    def _first_look(self, tag: str, latest: Build | None) -> None:
        """Note what exists now: it is reported, but not looked behind."""
        if latest is None:
            self.marks[tag] = None
            return
        self.present.add(latest.build_uuid)
        self._note(self._history(tag), latest)
        if not latest.is_stopped:
            self._unlisted.add(tag)

    def _history(self, tag: str) -> History:
        return self._histories.setdefault(tag, History(tag, self._clock))

    async def _look_at(self, tag: str, latest: Build | None) -> None:
        """Note the latest build of a Worker, and those that it hides, with as few requests as will do."""
        history, mark = self._history(tag), self.marks.get(tag)
        superseded = [it for it in history.open if latest is None or it != latest.build_uuid]
        listed: tuple[Build, ...] = ()
        if latest is not None and latest.build_uuid not in history.builds and not _is_marked(latest, mark):
            listed = await self._since(history, latest)
        elif tag in self._unlisted:
            await self._list_running(history)
        elif len(superseded) > 1:  # one list is cheaper than several single requests
            page = await self._source.list(tag, per_page=_PAGE)
            listed = in_order(build for build in page if build.build_uuid in history.open)
        for build in listed:
            self._note(history, build, newest=True)
        # A latest build that is neither known nor younger comes from a copy that lags, or of which a newer
        # build was deleted.
        if latest is not None and (latest.build_uuid in history.builds or marks.is_younger(latest, mark)):
            self._note(history, latest)
        seen = {build.build_uuid for build in listed}
        for build_uuid in [it for it in superseded if it not in seen]:
            await self._look_at_one(history, build_uuid)

    async def _list_running(self, history: History) -> None:
        """Note what runs next to a Worker's latest build at the first look, and what began just after it."""
        mark = self.marks.get(history.tag)
        page = await self._source.list(history.tag, per_page=_PAGE)
        before = marks.listed_before(page.result, mark)  # they began after `latest` was asked for
        for build in in_order(it for it in page if not it.is_stopped or it.build_uuid in before):
            self._note(history, build, newest=marks.is_younger(build, mark, before))
        self._unlisted.discard(history.tag)

    async def _look_at_one(self, history: History, build_uuid: str) -> None:
        try:
            self._note(history, await self._source.get(build_uuid))
        except NotFoundError:  # it was deleted
            history.forget(build_uuid)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            self.failures[self.spelling(history.tag)] = error

    async def _since(self, history: History, latest: Build) -> tuple[Build, ...]:
        """The builds of a Worker that came after the marked one, oldest first, and the state of open ones."""
        mark = self.marks[history.tag]
        found: list[Build] = []
        for page in range(1, CATCH_UP // _PAGE + 1):
            response = await self._source.list(history.tag, page=page, per_page=_PAGE)
            builds = response.result
            if response.skipped:
                self.failures[self.spelling(history.tag)] = ResponseDecodeError(
                    f"{response.skipped} of the Worker's builds can't be read and are left out"
                )
            if (place := marks.place_of(builds, mark)) is not None:
                found += builds[:place]
                behind = builds[place + 1 :]
                newer = marks.newer_than_listed(found, mark, latest, behind=behind)
                still_open = (build for build in behind if build.build_uuid in history.open)
                return (builds[place], *in_order(newer), *still_open)
            found += builds
            # Past the date of the mark, the marked build was deleted. Not where `latest` is itself older than
            # the mark: then dates decide nothing.
            is_past = bool(builds) and marks.is_older(builds[-1], mark) and not marks.is_older(latest, mark)
            if is_past or len(builds) + response.skipped < _PAGE:
                break
        return in_order(marks.newer_than_gone(found, mark, history.builds))

    def _note(self, history: History, build: Build, *, newest: bool | None = None) -> None:
        """Report the build, if it is new or has moved on. `newest`: whether it is; None: its date decides."""
        if error := _unusable({history.tag: build}):
            self.failures[self.spelling(history.tag)] = error[history.tag]
        elif build.build_uuid in history.builds:
            known = history.builds[build.build_uuid]
            if known is not None:
                if moved_on(known, build):
                    self._report(history, known, build)
                history.update(build)
        else:
            self._report(history, history.newest, build)
            if newest is None:
                newest = marks.may_be_marked(build, self.marks.get(history.tag))
            history.add(build, newest=newest)
            if newest:
                self.marks[history.tag] = marks.mark_of(build)

    def _report(self, history: History, previous: Build | None, build: Build) -> None:
        tag = self.spelling(history.tag)
        self.changes.append(BuildChange(external_script_id=tag, previous=previous, build=build))


def _is_marked(build: Build, mark: WorkerMark | None) -> bool:
    return mark is not None and mark.build_uuid == build.build_uuid


def _unusable(builds: Mapping[str, Build]) -> dict[str, BuildsError]:
    """The Workers whose build has a UUID that no call can ask for, each with an error that says so."""
    return {
        tag: ResponseDecodeError(f"{build.build_uuid!r} can't be the UUID of a build, which is left out")
        for tag, build in builds.items()
        if not is_id(build.build_uuid)
    }
