"""How a build ended: the last words, and the exit code."""

from collections import deque
from collections.abc import Iterable, Sequence

from builds_async import Build, BuildOutcome, BuildsClient, LogLine
from builds_async.cli.exits import NO_ANSWER, code_of_outcome
from builds_async.cli.help_work import SECONDS, help_work
from builds_async.cli.out import Screen
from builds_async.cli.rendered import rendered
from builds_async.cli.safe import plain

INCOMPLETE = "the log is possibly incomplete: the service ended it while more was to come, or has lost lines"

RECENT = 500
"""How many of a log's last lines the reason of a failure is looked for in."""

_PAGES = 20
"""How many pages of a log are read for the reason at most, each one request or two."""


def outcome_word(build: Build) -> str:
    """`success`, `cancelled`, ...; the status where there is no outcome."""
    return str(build.build_outcome or build.status or "unknown")


def reason_in(build: Build, lines: Iterable[LogLine]) -> str | None:
    """Why a build failed, in one line, if its log tells more than that it did."""
    reason = build.failure_reason([LogLine(line.timestamp, rendered(line.message)) for line in lines])
    return None if reason == outcome_word(build) else reason


async def reason_of(client: BuildsClient, build: Build, seconds: float = SECONDS) -> str | None:
    """The same, from the end of its log, for which the log is read.

    It is help: it takes 5 s at most (`seconds`) and some 20 requests, and no error comes of it. Of a log that
    could not be read to its end nothing is said: an error in its middle need not be the reason.
    """
    if not build.is_finished or build.build_outcome != BuildOutcome.FAIL:
        return None
    lines = await help_work(_last_lines(client, build.build_uuid), min(seconds, SECONDS))
    return None if lines is None else reason_in(build, lines)


async def _last_lines(client: BuildsClient, build_uuid: str) -> Sequence[LogLine] | None:
    """The last lines of a log, None if it is too long or has no end."""
    log = client.follow(build_uuid)
    recent: deque[LogLine] = deque(maxlen=RECENT)
    for _ in range(_PAGES):
        if not (batch := await log.read()):
            return recent if log.complete else None
        recent.extend(batch)
    return None


def report_end(screen: Screen, build: Build, reason: str | None, *, complete: bool = True) -> int:
    """Say on the last line how the build ended, and why on the one before; the exit code.

    An incomplete log is never a success, however the build ended: lines are missing from the output.
    """
    words = []
    if not complete:
        words.append(INCOMPLETE)
    if reason is not None:
        words.append(f"reason: {plain(reason)}")
    words.append(f"build {plain(build.build_uuid)}: {plain(outcome_word(build))}")
    screen.write("".join(f"{word}\n" for word in words))
    code = code_of_outcome(build.build_outcome)
    return code if complete else code or NO_ANSWER
