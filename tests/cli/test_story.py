"""Tests the story of a tail: one line at the start of a build, and one at its end."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from builds_async import (
    Build,
    BuildOutcome,
    BuildStatus,
    BuildTriggerMetadata,
    LogLine,
    TailEnd,
    TailItem,
    TailLine,
)
from builds_async.cli.outcome import INCOMPLETE
from builds_async.cli.story import Story, commit_line
from builds_async.cli.terminal import Screen
from tests.cli.support import UUID
from tests.support.case import cases

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
TAG = "a" * 32
COMMIT = BuildTriggerMetadata(
    branch="main", commit_hash="0123456789abcdef", commit_message="Fix the header\n\nIt was too wide."
)


def build(outcome: str = "success", metadata: BuildTriggerMetadata | None = COMMIT) -> Build:
    return Build(
        build_uuid=UUID,
        status=BuildStatus.STOPPED,
        build_outcome=BuildOutcome(outcome),
        created_on=BEGAN,
        initializing_on=BEGAN,
        running_on=BEGAN,
        stopped_on=BEGAN + timedelta(seconds=72),
        build_trigger_metadata=metadata,
    )


def line(message: str) -> TailLine:
    return TailLine(TAG, build(), LogLine(0, message))


def told(*items: TailItem, **options: object) -> list[str]:
    """The lines that the story writes for the items."""
    data = io.BytesIO()
    story = Story(Screen(io.TextIOWrapper(data, "utf-8")), lambda _item: "shop ", **options)  # type: ignore[arg-type]
    for item in items:
        before = len(data.getvalue())
        announced = story.has(item)
        story.add(item)
        assert announced or len(data.getvalue()) == before, "the lines before it have to be printed first"
    return data.getvalue().decode().splitlines()


STARTED = "shop -- started: main 01234567 Fix the header"
FAILED = TailEnd(TAG, build("fail"), True)


@pytest.mark.parametrize(
    ("items", "lines"),
    [
        ([line("a"), line("b")], [STARTED]),
        ([line("a"), TailEnd(TAG, build(), True)], [STARTED, "shop -- success after 1m 12s"]),
        ([line("Error: x"), FAILED], [STARTED, "shop -- fail after 1m 12s: Error: x"]),
        ([TailEnd(TAG, build("skipped"), True)], ["shop -- skipped after 1m 12s"]),
        ([FAILED], ["shop -- fail after 1m 12s"]),
        (
            [TailEnd(TAG, Build(build_uuid=UUID), False)],
            [f"shop -- unknown ({INCOMPLETE})"],
        ),
        ([TailLine(TAG, Build(build_uuid=UUID), LogLine(0, "a"))], ["shop -- started"]),
        ([line("Error: \x1b[2Jx"), FAILED], [STARTED, "shop -- fail after 1m 12s: Error: x"]),
    ],
    ids=["begins", "succeeds", "fails", "no-lines", "fails-silently", "gone", "no-commit", "hostile"],
)
def test_story(items: list[TailItem], lines: list[str]) -> None:
    """The start of a build is reported with its commit, and its end with outcome, duration and reason."""
    assert told(*items) == lines


def test_a_resumed_build_does_not_start_again() -> None:
    """A resumed build is reported only at its end, because its start was reported before."""
    assert told(line("a"), TailEnd(TAG, build(), True), known={UUID}) == ["shop -- success after 1m 12s"]


def test_not_shown() -> None:
    """Nothing is written if the output is for programs."""
    assert told(line("a"), FAILED, shown=False) == []


@cases(
    ("message", "shown"),
    [
        (None, "main 01234567"),
        ("", "main 01234567"),
        ("\n\nlate", "main 01234567 late"),
        ("\x1b[2J\x07x", "main 01234567 ^[[2J^Gx"),
        ("x" * 100, f"main 01234567 {'x' * 69}..."),
    ],
    ids=["none", "empty", "blank-lines", "hostile", "long"],
)
def test_commit_line(message: str | None, shown: str) -> None:
    """The subject is the first line of the message, safe and of limited length."""
    metadata = BuildTriggerMetadata(branch="main", commit_hash="0123456789", commit_message=message)
    assert commit_line(build(metadata=metadata)) == shown


@pytest.mark.parametrize("links", [False, True], ids=["no links", "links"])
def test_the_page_of_a_build(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line ends with the address of the build's page, unless the terminal shows it as a link."""
    monkeypatch.setenv("FORCE_HYPERLINK", "1" if links else "0")
    page = "" if links else " https://x"
    assert told(line("a"), TailEnd(TAG, build(), True), page=lambda _item: "https://x") == [
        f"{STARTED}{page}",
        f"shop -- success after 1m 12s{page}",
    ]
