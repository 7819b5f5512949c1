"""A follower of a scripted source, for the tests of `LogFollower`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from builds_async.errors import BuildsConnectionError, BuildsError
from builds_async.live.follow import LogFollower
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.logs import LogLine, LogPage, LogPosition
from tests.support import FakeClock

T = TypeVar("T")
UUID = "5f2b9d64-8f3e-4e0c-9a55-0f6f1f0d7a11"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def build(status: str = "running", outcome: str | None = None, stopped_on: datetime | None = None) -> Build:
    return Build(
        build_uuid=UUID,
        status=BuildStatus(status),
        build_outcome=BuildOutcome(outcome) if outcome else None,
        stopped_on=stopped_on,
    )


RUNNING = build()
STOPPED = build("stopped")
FINISHED = build("stopped", "success", NOW - timedelta(hours=1))


def lines(*texts: str) -> tuple[LogLine, ...]:
    return tuple(LogLine(1784052295481, text) for text in texts)


def page(*texts: str, cursor: str | None = None, truncated: bool = False) -> LogPage:
    return LogPage(lines=lines(*texts), cursor=cursor, truncated=truncated)


NOTHING = page()


class Script:
    """A source that responds from two lists and repeats the last entry; `asked` records the requests."""

    def __init__(self, builds: Sequence[Build | BuildsError], pages: Sequence[LogPage | BuildsError]) -> None:
        self.builds = list(builds)
        self.pages = list(pages)
        self.asked: list[str | None] = []

    async def get_dated(self, build_uuid: str) -> tuple[Build, datetime]:
        assert build_uuid == UUID
        self.asked.append("build")
        return take(self.builds), NOW

    async def logs(self, build_uuid: str, *, cursor: str | None = None) -> LogPage:
        assert build_uuid == UUID
        self.asked.append(cursor)
        return take(self.pages)


def take(responses: list[T | BuildsError]) -> T:
    response = responses.pop(0) if len(responses) > 1 else responses[0]
    if isinstance(response, BuildsError):
        raise response
    return response


class Followed:
    """A follower, its script and its clock."""

    def __init__(
        self,
        builds: Sequence[Build | BuildsError],
        pages: Sequence[LogPage | BuildsError],
        *,
        start: LogPosition | None = None,
        poll_interval: float = 1.0,
    ) -> None:
        self.script = Script(builds, pages)
        self.clock = FakeClock()
        self.log = LogFollower(self.script, UUID, clock=self.clock, start=start, poll_interval=poll_interval)

    async def texts(self) -> list[str]:
        return [line.message async for line in self.log]


def error(message: str = "the connection failed") -> BuildsError:
    return BuildsConnectionError(message, method="GET", path="/logs", attempts=4)
