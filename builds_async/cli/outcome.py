"""How a build or a look-up ended, and why: the last lines on standard error, and the exit code."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from math import inf

from builds_async import Build, BuildOutcome, BuildsClient, BuildsError, LogLine
from builds_async.cli.exits import OK, UNAVAILABLE, code_of, code_of_outcome
from builds_async.cli.lookup import best_effort
from builds_async.cli.printer import print_record
from builds_async.cli.render import render
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text

INCOMPLETE = "the log may be incomplete: the service ended it early or has lost lines"

RECENT = 500
"""The number of lines at the end of a log that are searched for the reason for a failure."""

_MAX_PAGES = 20
"""The most pages of a log that are read to find the reason; each takes one or two requests."""


def outcome_word(build: Build) -> str:
    """The outcome of a build, such as `success`; its status while there is no outcome."""
    return str(build.build_outcome or build.status or "unknown")


def reason_in(build: Build, lines: Iterable[LogLine]) -> str | None:
    """The reason for a failure in one line; None if the log contains none."""
    reason = build.failure_reason([LogLine(line.timestamp, render(line.message)) for line in lines])
    return None if reason == outcome_word(build) else reason


async def find_reason(client: BuildsClient, build: Build, seconds: float = inf) -> str | None:
    """The reason for a failure, searched for at the end of the log, which this function reads.

    A best effort: at most 20 pages within `seconds`. None if the log can't be read to its end, because an
    error in the middle need not be the cause.
    """
    if not build.is_finished or build.build_outcome != BuildOutcome.FAIL:
        return None
    lines = await best_effort(_last_lines(client, build.build_uuid), seconds)
    return None if lines is None else reason_in(build, lines)


async def _last_lines(client: BuildsClient, build_uuid: str) -> Sequence[LogLine] | None:
    """The last lines of a log; None if the log is too long or incomplete."""
    log = client.follow(build_uuid)
    recent: deque[LogLine] = deque(maxlen=RECENT)
    for _ in range(_MAX_PAGES):
        if not (batch := await log.read()):
            return recent if log.complete else None
        recent.extend(batch)
    return None


async def report_finished(
    client: BuildsClient, build: Build, output: str, *, deadline: float | None = None
) -> int:
    """Report the end of a build, with `json` also on standard output; return the exit code.

    The search for the reason ends at the deadline, a time of the event loop's clock.
    """
    if output == "json":
        print_record(stdout(), build)
    left = inf if deadline is None else deadline - asyncio.get_running_loop().time()
    return report_end(build, await find_reason(client, build, left))


def report_end(build: Build, reason: str | None, *, complete: bool = True) -> int:
    """Print the reason, if known, and then the outcome on the last line; return the exit code.

    A tail with an incomplete log never succeeds, whatever the outcome: lines are missing from the output.
    """
    words = []
    if not complete:
        words.append(INCOMPLETE)
    if reason is not None:
        words.append(f"reason: {visible_text(reason)}")
    words.append(f"build {visible_text(build.build_uuid)}: {visible_text(outcome_word(build))}")
    stderr().write("".join(f"{word}\n" for word in words))
    code = code_of_outcome(build.build_outcome)
    return code if complete else code or UNAVAILABLE


def report_failures(failed: Mapping[str, BuildsError]) -> int:
    """Print why look-ups of Workers have failed, each reason once; the exit code."""
    for message in dict.fromkeys(str(error) for error in failed.values()):
        stderr().write(f"builds-async: {message}\n")
    # The highest code is the one that asks for attention: access before usage, the network before access.
    return max((code_of(error) for error in failed.values()), default=OK)
