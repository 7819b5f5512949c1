"""One open log of a tail."""

from datetime import datetime

from builds_async.live.log_reader import LogReader
from builds_async.live.sources import LogSource
from builds_async.live.tracker import Tracker
from builds_async.models.builds import Build, BuildStatus
from builds_async.models.logs import LogPage


class BuildLog:
    """The log of one build, and the source of its reader, with the build as the tracker last saw it."""

    reader: LogReader
    """The reader of the log; set by the tail."""

    def __init__(self, tag: str, uuid: str, build: Build | None, source: LogSource, tracker: Tracker) -> None:
        self.tag = tag
        """The Worker, in lower case."""

        self.uuid = uuid
        """The build."""

        self.build = build
        """The build as last seen; None if only an earlier tail saw it."""

        self.running_since: float | None = None
        """When the build was first seen to have left the queue."""

        self.was_requested = False
        """Whether the log was requested."""

        self.failure_logged = False
        """Whether the present failure of its requests has been logged."""

        self.is_busy = False
        """Whether a request for the log is in flight."""

        self.is_gone = False
        """Whether the build was deleted."""

        self.end_delivered = False
        """Whether the end of the build was delivered."""

        self._source = source
        self._tracker = tracker

    @property
    def is_over(self) -> bool:
        """Whether no request will follow; lines may still be buffered."""
        return self.reader.ended or self.is_gone

    @property
    def is_queued(self) -> bool:
        """Whether the build has no log yet, because it is known to be queued.

        True only for the newest build of a Worker: lookups keep its state fresh. An older one may have begun
        since its state was requested.
        """
        if self.build is None or self.build.status != BuildStatus.QUEUED or self.build.is_stopped:
            return False
        newest = self._tracker.latest(self.tag)
        return newest is not None and newest.build_uuid == self.uuid

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        """The build as the tracker last saw it, without a date; a request only if the tracker has lost it."""
        seen_on = None
        if self.build is None or not self._tracker.tracks(self.tag, build_uuid):
            self.build, seen_on = await self._source.get_dated(build_uuid)
        return self.build, seen_on

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """The page of the log after `cursor`."""
        return await self._source.logs(build_uuid, cursor=cursor)
