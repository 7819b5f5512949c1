"""How a build ended: the last words, and the exit code."""

from collections.abc import Iterable

from builds_async import Build, BuildOutcome, BuildsClient, BuildsError, LogLine
from builds_async.cli.exits import NO_ANSWER, code_of_outcome
from builds_async.cli.out import Screen
from builds_async.cli.safe import plain

INCOMPLETE = "the log is possibly incomplete: the service ended it while more was to come, or has lost it"

RECENT = 500
"""How many of a log's last lines the reason of a failure is looked for in."""


def outcome_word(build: Build) -> str:
    """`success`, `cancelled`, ...; the status where there is no outcome."""
    return str(build.build_outcome or build.status or "unknown")


def reason_in(build: Build, lines: Iterable[LogLine]) -> str | None:
    """Why a build failed, in one line, if its log tells more than that it did."""
    reason = build.failure_reason(lines)
    return None if reason == outcome_word(build) else reason


async def reason_of(client: BuildsClient, build: Build) -> str | None:
    """The same, from the end of its log. None where the log can't be had: it is but a help."""
    if not build.is_finished or build.build_outcome != BuildOutcome.FAIL:
        return None
    log = client.follow(build.build_uuid, tail=RECENT)
    lines: list[LogLine] = []
    try:
        while batch := await log.read():
            lines += batch
    except BuildsError:
        return None
    return reason_in(build, lines)


def report_end(screen: Screen, build: Build, reason: str | None, *, complete: bool = True) -> int:
    """Say on the last line how the build ended, and why on the one before; the exit code.

    A log that is not complete is no success, however the build ended: the output is not what was asked for.
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
