"""How a build or a lookup ended, and why: the last lines on standard error, and the exit code."""

import asyncio
from collections.abc import Iterable, Mapping
from math import inf

import msgspec

from builds_async import (
    Build,
    BuildOutcome,
    BuildsClient,
    BuildsError,
    BuildStatus,
    BuildStep,
    LogLine,
    LogSummary,
)
from builds_async.cli import github
from builds_async.cli.exits import OK, UNAVAILABLE, code_of, code_of_outcome
from builds_async.cli.facts import build_facts
from builds_async.cli.links import page_of
from builds_async.cli.lookup import best_effort, name_of
from builds_async.cli.printer import print_record
from builds_async.cli.template import Template
from builds_async.cli.terminal import stderr, stdout
from builds_async.cli.text import visible_text
from builds_async.cli.times import format_duration
from builds_async.models.render import render

INCOMPLETE = "the log may be incomplete: the service ended it early or has lost lines"

RECENT = 500
"""How many printed lines are kept and searched for the reason for a failure: as many as the library reads."""


def step_words(step: BuildStep) -> str:
    """How a step ended and how long it took, as far as that is known."""
    words = [] if step.duration is None else [format_duration(step.duration)]
    if step.outcome != BuildOutcome.SUCCESS:
        words.append(str(step.outcome or "running"))
    return " ".join(words)


def reason_in(build: Build, lines: Iterable[LogLine]) -> str | None:
    """The reason for a failure in one line; None if the log contains none."""
    reason = build.failure_reason(lines)
    return None if reason == build.state else reason


async def find_reason(client: BuildsClient, build: Build, seconds: float = inf) -> str | None:
    """The reason for a failure, read from the log: a best effort, within `seconds`."""
    if build.build_outcome != BuildOutcome.FAIL:
        return None
    return (await summarize(client, build, seconds)).reason


async def summarize(client: BuildsClient, build: Build, seconds: float = inf) -> LogSummary:
    """Summarize the log of a build, or the log so far: a best effort, within `seconds`."""
    if build.status == BuildStatus.QUEUED:  # it has no log yet
        return LogSummary()
    return await best_effort(client.summarize(build), seconds) or LogSummary()


async def report_finished(
    client: BuildsClient,
    build: Build,
    output: str,
    *,
    deadline: float | None = None,
    log_failed: bool = False,
    template: Template | None = None,
) -> int:
    """Report the end of a build, for `json` or a template on standard output too; return the exit code.

    The search for the reason ends at the deadline, a time of the event loop's clock.
    """
    left = inf if deadline is None else deadline - asyncio.get_running_loop().time()
    summary = LogSummary()
    if output == "json" or template is not None:
        summary = await print_build(client, build, left, log_failed=log_failed, template=template)
    elif build.build_outcome == BuildOutcome.FAIL or github.in_actions():
        summary = await summarize(client, build, left)
        if log_failed:
            print_around(summary)
    code = report_end(build, summary.reason)
    await report_to_github(client, build, summary, output)
    return code


async def report_to_github(client: BuildsClient, build: Build, log: LogSummary, output: str) -> None:
    """In a job of GitHub Actions: annotate a failure, and write the summary and the outputs of the step."""
    if not github.in_actions():
        return
    if output == "text" and not build.succeeded:
        github.command(stderr(), "error", f"build {build.state}: {log.reason or 'no reason in the log'}")
    github.report(
        build,
        build.state,
        log.reason,
        preview_url=log.preview_url,
        versions=log.versions,
        dashboard_url=await best_effort(client.dashboard_url(build)),
    )


async def print_build(
    client: BuildsClient,
    build: Build,
    seconds: float = inf,
    *,
    log_failed: bool = False,
    template: Template | None = None,
) -> LogSummary:
    """Print a build with its Worker's name and the summary of its log; return the summary.

    The output is JSON, or a line by the template if there is one.
    """
    worker, summary = await asyncio.gather(
        best_effort(name_of(client, build), seconds), summarize(client, build, seconds)
    )
    page = page_of(client, build.build_uuid, worker)
    if template is not None:
        facts = build_facts(
            build, worker=worker, page=page, reason=summary.reason, preview_url=summary.preview_url
        )
        template.print(stdout(), facts)
        if log_failed:
            print_around(summary)
        return summary
    record = msgspec.to_builtins(build)
    record |= {
        "worker": worker,
        "reason": summary.reason,
        "steps": list(map(_step_record, summary.steps)),
        "dashboard_url": page,
    }
    if log_failed:
        record["log_failed"] = [visible_text(render(line.message)) for line in summary.around]
    print_record(stdout(), record)
    return summary


def print_around(summary: LogSummary) -> None:
    """Print the lines around the reason."""
    stdout().write("".join(f"{visible_text(render(line.message))}\n" for line in summary.around))


def _step_record(step: BuildStep) -> dict[str, object]:
    return {**msgspec.to_builtins(step), "seconds": step.duration}


def report_end(build: Build, reason: str | None, *, complete: bool = True) -> int:
    """Print the reason, if known, and then the outcome on the last line; return the exit code.

    A tail with an incomplete log never succeeds, whatever the outcome: lines are missing from the output.
    """
    words = []
    if not complete:
        words.append(INCOMPLETE)
    if reason is not None:
        words.append(f"reason: {visible_text(reason)}")
    words.append(f"build {visible_text(build.build_uuid)}: {visible_text(build.state)}")
    stderr().write("".join(f"{word}\n" for word in words))
    code = code_of_outcome(build.build_outcome)
    return code if complete else code or UNAVAILABLE


def report_failures(failed: Mapping[str, BuildsError]) -> int:
    """Print why lookups of Workers have failed, each reason once; return the exit code."""
    for message in dict.fromkeys(str(error) for error in failed.values()):
        stderr().write(f"builds-async: {message}\n")
    # The highest code is the most urgent: network (4), then access (3), then usage (2).
    return max((code_of(error) for error in failed.values()), default=OK)
