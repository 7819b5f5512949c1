"""Summarizes the log of a build."""

from collections import deque
from typing import Final

from builds_async.live.follow import LogFollower
from builds_async.models.builds import Build, BuildOutcome
from builds_async.models.logs import LogLine
from builds_async.models.reason import find_reason
from builds_async.models.summary import LogSummary

MAX_PAGES: Final = 20
"""The maximum number of pages that are read. Each takes one or two requests."""

RECENT: Final = 500
"""How many lines at the end of a log are searched for the reason for a failure."""

_BEFORE: Final = 10
_AFTER: Final = 5


async def read_summary(log: LogFollower, build: Build) -> LogSummary:
    """Read a log to its end. A log without its end has no reason: an earlier error may not be the cause."""
    recent: deque[LogLine] = deque(maxlen=RECENT)
    for _ in range(MAX_PAGES):
        if not (lines := await log.read()):
            break
        recent.extend(lines)
    found = None
    if log.complete and build.build_outcome == BuildOutcome.FAIL:
        found = find_reason(line.message for line in recent)
    around = () if found is None else tuple(recent)[max(0, found.at - _BEFORE) : found.at + 1 + _AFTER]
    return LogSummary(
        reason=None if found is None else found.text,
        around=around,
        steps=log.steps,
        versions=log.versions,
        preview_url=log.preview_url,
        complete=log.complete,
    )
