"""The requests of live verbs, as Protocols: resources implement them, and so do fakes in tests."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec

from builds_async.models.builds import Build
from builds_async.models.envelope import Page
from builds_async.models.logs import LogPage
from builds_async.models.queues import QueueAcks, QueueBatch, QueueExtension
from builds_async.results import BulkResult


class BuildSource(Protocol):
    """Single builds."""

    async def get(self, build_uuid: str) -> Build:
        """The build as it is now; NotFoundError if there is none."""
        ...


class HistorySource(BuildSource, Protocol):
    """Builds, and the list of a Worker's builds."""

    async def list(self, external_script_id: str, *, page: int = 1, per_page: int = 50) -> Page[Build]:
        """One page of the Worker's builds, newest first."""
        ...


class WatchSource(HistorySource, Protocol):
    """Builds, lists, and the latest builds of many Workers."""

    async def latest(self, external_script_ids: Iterable[str]) -> BulkResult[Build]:
        """The latest build of each of these Workers."""
        ...


class DatedSource(Protocol):
    """Single builds, with the server's date."""

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime | None]:
        """The build as it is now, and the date of the response by the server's clock, None if not known.

        NotFoundError if there is no such build.
        """
        ...


class LogSource(DatedSource, Protocol):
    """A build, and the pages of its log."""

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        """The page of the log after `cursor`; NotFoundError if there is no such log."""
        ...


class TailSource(WatchSource, LogSource, Protocol):
    """The builds of many Workers, and their logs."""


class BoardSource(DatedSource, Protocol):
    """Single builds and the latest builds of many Workers, both with the server's date."""

    async def latest_dated(
        self, external_script_ids: Iterable[str]
    ) -> tuple[BulkResult[Build], datetime | None]:
        """The latest build of each of these Workers, and the date of the response, None if not known."""
        ...


class Seen(msgspec.Struct, frozen=True):
    """The state of a build, and when it was seen."""

    build: Build

    date: datetime | None
    """The date of the response by the server's clock, None if not known."""

    at: float
    """The moment of its request by the client's clock: the next lookup is due one interval later."""


class StateSource(Protocol):
    """The state of one build."""

    async def state(self, *, max_age: float) -> Seen:
        """The build as it is now, or was at most `max_age` seconds ago; NotFoundError if there is none."""
        ...


class QueueSource(Protocol):
    """The messages of queues."""

    async def pull(self, queue_id: str, *, batch_size: int, visibility_timeout_ms: int) -> QueueBatch:
        """Lease up to `batch_size` of the messages that are waiting."""
        ...

    async def ack(
        self, queue_id: str, *, acks: Iterable[str], retries: Iterable[tuple[str, float]]
    ) -> QueueAcks:
        """Acknowledge the leases in `acks`; have those in `retries` delivered again after some seconds."""
        ...

    async def extend(
        self, queue_id: str, lease_ids: Iterable[str], *, visibility_timeout_ms: int
    ) -> QueueExtension:
        """Extend leases: they last for the visibility timeout from now."""
        ...
