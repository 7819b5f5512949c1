"""A summary of a build's log."""

import msgspec

from builds_async.models.brief import brief
from builds_async.models.logs import LogLine
from builds_async.models.steps import BuildStep


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of a build's log. It is a guess from free text: show it, but do not act on it."""

    reason: str | None = None
    """Why the build failed, in one line that is safe to print: what `Build.failure_reason` finds in the last
    500 lines. None for a build that has not failed, and for a log that was not read whole."""

    around: tuple[LogLine, ...] = ()
    """The line that gives the reason, with up to 10 lines before it and 5 after it."""

    steps: tuple[BuildStep, ...] = ()
    """The steps of the build, as `LogFollower.steps` has them."""

    versions: tuple[str, ...] = ()
    """The ids of the uploaded versions, as `LogFollower.versions` has them."""

    preview_url: str | None = None
    """The preview URL in the log, as `LogFollower.preview_url` has it."""

    complete: bool = False
    """True if the whole log was read. False if it has more than 20 pages, or is gone."""

    def __repr__(self) -> str:
        return brief(self)
