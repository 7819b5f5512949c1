"""Finds the changes of the builds of many Workers by requests, for `watch` and `tail`."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from builds_async.errors import (
    AuthenticationError,
    BuildsError,
    NotFoundError,
    PermissionDeniedError,
    ResponseDecodeError,
)
from builds_async.live import marks
from builds_async.live.history import History
from builds_async.live.known_builds import KnownBuilds, hides, unusable
from builds_async.live.missed import PAGE, find_missed
from builds_async.live.patience import concerns_all
from builds_async.live.sources import WatchSource
from builds_async.models.builds import Build, in_order
from builds_async.models.changes import WorkerMark
from builds_async.session.clock import Clock

logger: logging.Logger = logging.getLogger("builds_async")

AT_ONCE = 20
"""How many Workers one request looks up: the API accepts no more ids."""


class Tracker(KnownBuilds):
    """Finds the changes, request by request. It does not wait, and does not choose the next request.

    `look_up` requests the latest builds of some Workers. If a Worker has a new build, or had open ones before
    it, its list has to be requested too. The Worker is then in `unfinished` until `follow_up` has done that,
    so no build and no end of one is missed.

    Requests may overlap, but not two follow-ups of one Worker.
    """

    def __init__(
        self,
        source: WatchSource,
        external_script_ids: Iterable[str],
        clock: Clock,
        known: Mapping[str, WorkerMark | None] | None = None,
    ) -> None:
        super().__init__(external_script_ids, clock, known)
        self._source = source

    async def look_up(self, tags: Sequence[str]) -> None:
        """Request the latest builds of Workers, 20 in a request. Raises only wrong credentials."""
        result = await self._source.latest(tags)
        failed = {**result.failed, **unusable(result.found)}
        tags = [tag for tag in tags if tag in self._spelled]  # some may have been removed meanwhile
        self._log_failures({tag: failed[tag] for tag in tags if tag in failed})
        for tag in tags:
            if tag in failed:
                self._fail(tag, failed[tag])
            else:
                self._take(tag, result.found.get(tag))

    def _log_failures(self, failed: Mapping[str, BuildsError]) -> None:
        """Log new failures. An outage makes every request fail: one record is enough for it."""
        in_outage = any(concerns_all(error) for error in self.failures.values())
        news = [
            error
            for tag, error in failed.items()
            if self.spelling(tag) not in self.failures and not (in_outage and concerns_all(error))
        ]
        if news:
            logger.warning("%d Workers could not be looked up, the first: %s", len(news), str(news[0]))

    def _fail(self, tag: str, error: BuildsError) -> None:
        self.failures[self.spelling(tag)] = error

    def _take(self, tag: str, latest: Build | None) -> None:
        """Take a Worker's latest build from a lookup, and decide whether it needs a follow-up."""
        self.failures.pop(self.spelling(tag), None)
        self._looked_up.add(tag)
        if tag not in self.marks:
            self._first_lookup(tag, latest)
        history = self._history(tag)
        if (
            hides(history, latest)
            or self._marks.is_unlisted(tag)
            or (latest is not None and self._needs_list(tag, latest))
        ):
            self.unfinished[tag] = latest
        else:
            self.unfinished.pop(tag, None)
        if latest is not None and not self._is_new(tag, latest):
            self._note(history, latest)

    def _needs_list(self, tag: str, latest: Build) -> bool:
        """Whether there may be builds between the mark and the latest build."""
        unconfirmed = tag in self._unconfirmed and not marks.is_marked(latest, self.marks.get(tag))
        return unconfirmed or self._is_new(tag, latest)

    async def follow_up(self, tag: str) -> None:
        """Request the builds that the latest build of a Worker hides. Raises only wrong credentials."""
        if tag not in self.unfinished:
            return
        latest = self.unfinished[tag]
        self.failures.pop(self.spelling(tag), None)
        try:
            await self._find_hidden(tag, latest)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            if tag in self._spelled:
                self._fail(tag, error)
        else:
            # Another lookup may have shown a newer build meanwhile: that one still needs its follow-up.
            if self.unfinished.get(tag) is latest:
                self.unfinished.pop(tag, None)

    async def _find_hidden(self, tag: str, latest: Build | None) -> None:
        """Note a Worker's latest build and the builds that it hides, with as few requests as possible."""
        history, mark = self._history(tag), self.marks.get(tag)
        superseded = [it for it in history.open if latest is None or it != latest.build_uuid]
        listed: tuple[Build, ...] = ()
        older: tuple[Build, ...] = ()
        is_confirmed = latest is not None and self._needs_list(tag, latest)
        if latest is not None and is_confirmed:
            listed, older = await self._list_missed(history, latest)
            self._note_older(history, older)
        elif self._marks.is_unlisted(tag):
            await self._list_running(history)
        elif len(superseded) > 1:  # one list costs less than several single requests
            page = await self._source.list(tag, per_page=PAGE)
            listed = in_order(build for build in page if build.build_uuid in history.open)
        for build in listed:
            self._note(history, build, newest=True)
        # A latest build that is neither known nor newer than the mark is old: it comes from a copy that lags,
        # or a newer build was deleted.
        if latest is not None and (latest.build_uuid in history.builds or marks.is_at_or_after(latest, mark)):
            self._note(history, latest)
        if latest is not None and is_confirmed and tag in self._unconfirmed:
            if marks.is_at_or_after(latest, self.marks.get(tag)):
                self._marks.found[tag] = marks.mark_of(latest)
            self._confirm(tag)
        seen = {build.build_uuid for build in listed}
        for build_uuid in [it for it in superseded if it not in seen]:
            await self._get(history, build_uuid)

    async def _list_running(self, history: History) -> None:
        """Note a Worker's other running builds at the beginning, and those that began just after it."""
        mark = self.marks.get(history.tag)
        page = await self._source.list(history.tag, per_page=PAGE)
        if self._histories.get(history.tag) is not history:
            return  # the Worker was removed meanwhile, and may have been added again
        before = marks.listed_before(page.result, mark)  # they began after `latest` was requested
        self._note_older(history, in_order(it for it in page if it.build_uuid not in before))
        for build in in_order(it for it in page if it.build_uuid in before):
            self._note(history, build, newest=marks.is_at_or_after(build, mark, before))

    async def _get(self, history: History, build_uuid: str) -> None:
        try:
            self._note(history, await self._source.get(build_uuid))
        except NotFoundError:  # it was deleted
            history.forget(build_uuid)
        except (AuthenticationError, PermissionDeniedError):
            raise
        except BuildsError as error:
            self.failures[self.spelling(history.tag)] = error

    async def _list_missed(
        self, history: History, latest: Build
    ) -> tuple[tuple[Build, ...], tuple[Build, ...]]:
        """The `builds` and the `older` ones of a Worker; see `Missed`."""
        missed = await find_missed(self._source, history, self.marks[history.tag], latest)
        if missed.unreadable:
            self.failures[self.spelling(history.tag)] = ResponseDecodeError(
                f"{missed.unreadable} of the Worker's builds can't be read and are left out"
            )
        return missed.builds, missed.older
