"""Uploads in a log: the version ids and the preview URL."""

import time

import pytest

from builds_async.live.log_facts import MAX_VERSIONS, LogFacts
from builds_async.models.logs import LogLine
from tests.support.case import cases

VERSION = "0f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f"
OTHER = "c1d2e3f4-0000-4000-8000-00000000abcd"
URL = f"https://{VERSION[:8]}-shop.octo.workers.dev"


def facts_of(*texts: str) -> LogFacts:
    facts = LogFacts()
    facts.add(LogLine(0, text) for text in texts)
    return facts


@cases(
    "line",
    [
        pytest.param(f"Current Version ID: {VERSION}", id="deploy"),
        pytest.param(f"Worker Version ID: {VERSION}", id="versions upload"),
        pytest.param(f"  Current Version ID: {VERSION}  ", id="indented"),
        pytest.param(f"Current Version ID: {VERSION.upper()}", id="upper case"),
        pytest.param(f"\x1b[1mCurrent Version ID:\x1b[22m {VERSION}", id="a bold label"),
        pytest.param(f"Current Version ID: \x1b[1m{VERSION}\x1b[0m", id="a bold id"),
        pytest.param(f"\x1b[38;5;45mWorker Version ID: {VERSION}\x1b[39m\r", id="color and a return"),
        pytest.param(f"web:deploy: Current Version ID: {VERSION}", id="below turbo"),
        pytest.param(f"packages/web deploy: Worker Version ID: {VERSION}", id="below pnpm"),
        pytest.param(
            f"\x1b]8;;https://dash.cloudflare.com\x07Current Version ID: {VERSION}\x1b]8;;\x07", id="a link"
        ),
    ],
)
def test_lines_that_name_a_version(line: str) -> None:
    """Wrangler's lines name a version, with colors and with the prefix of a task runner."""
    assert facts_of("Uploaded shop (1.23 sec)", line, "✨ Success! Build completed.").versions == (VERSION,)


@cases(
    "line",
    [
        pytest.param("", id="empty"),
        pytest.param("Current Version ID:", id="no id"),
        pytest.param("Current Version ID: 1.2.3", id="a version of a package"),
        pytest.param(f"Current Version ID: {VERSION}0", id="too long"),
        pytest.param(f"Current Version ID: {VERSION[:-1]}", id="too short"),
        pytest.param(f"Current Version ID: {VERSION} {OTHER}", id="more behind it"),
        pytest.param(f"Current Version ID: {VERSION[:8]}\x1b[", id="an incomplete sequence"),
        pytest.param(f"Previous Version ID: {VERSION}", id="another label"),
        pytest.param(f"NotCurrent Version ID: {VERSION}", id="no label of its own"),
        pytest.param(f"Build ID: {VERSION}", id="another id"),
        pytest.param(f"{'x' * 2000} Current Version ID: {VERSION}", id="far behind"),
        pytest.param("Current Version ID: \u0660f5c2e6a-1b3d-4c7e-9a8b-2d4f6a8c0e1f", id="other digits"),
    ],
)
def test_lines_without_a_version(line: str) -> None:
    """Lines without a valid version id are ignored."""
    assert facts_of(line).versions == ()


@cases(
    ("line", "url"),
    [
        pytest.param(f"Version Preview URL: {URL}", URL, id="plain"),
        pytest.param(f"Version Preview URL: \x1b[4m{URL}\x1b[24m", URL, id="underlined"),
        pytest.param(f"  Version Preview URL: {URL}/  ", URL, id="a slash"),
        pytest.param(f"Version Preview Alias URL: {URL}", None, id="of the alias"),
        pytest.param("Version Preview URL: https://main-shop.octo.workers.dev", None, id="of a branch"),
        pytest.param(f"Version Preview URL: {URL.replace('0f5c', '1f5c')}", None, id="of an unknown version"),
        pytest.param(f"Version Preview URL: {URL.replace('https', 'http')}", None, id="not https"),
        pytest.param(f"Version Preview URL: {URL.replace('workers', 'evil')}", None, id="another host"),
        pytest.param(f"Version Preview URL: {URL}.evil.dev", None, id="a longer host"),
        pytest.param(f"Version Preview URL: {URL}@evil.dev", None, id="a user"),
        pytest.param(f"Version Preview URL: {URL}:8080/x", None, id="a port and a path"),
        pytest.param(f"Version Preview URL: {URL}\x07", None, id="a control character"),
        pytest.param("Version Preview URL: javascript:alert(1)", None, id="a script"),
    ],
)
def test_preview_url(line: str, url: str | None) -> None:
    """Only the URL of a version that the log has named is a preview URL."""
    assert facts_of(f"Worker Version ID: {VERSION}", line).preview_url == url


def test_a_whole_upload() -> None:
    """`wrangler versions upload` yields its versions and its last URL, and never the alias."""
    facts = facts_of(
        "Total Upload: 23.58 KiB / gzip: 5.46 KiB",
        "Worker Startup Time: 12 ms",
        "Uploaded shop (2.34 sec)",
        f"Worker Version ID: {VERSION}",
        f"Version Preview URL: {URL}",
        "Version Preview Alias URL: https://feature-shop.octo.workers.dev",
        f"Worker Version ID: {OTHER}",
        f"Version Preview URL: https://{OTHER[:8]}-api.octo.workers.dev",
        f"Worker Version ID: {VERSION}",
    )
    assert facts.versions == (VERSION, OTHER)
    assert facts.preview_url == f"https://{OTHER[:8]}-api.octo.workers.dev"


def test_memory_is_bounded() -> None:
    """A log that names a new version in each line is remembered only in part."""
    facts = facts_of(*(f"Current Version ID: {number:08x}{VERSION[8:]}" for number in range(1000)))
    assert len(facts.versions) == MAX_VERSIONS
    assert facts.versions[0].startswith("00000000-")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("Version " * 200_000, id="labels"),
        pytest.param(" " * 1_000_000 + "Version ", id="blanks"),
        pytest.param("\x1b[" + "0;" * 500_000 + "Version ", id="a long sequence"),
        pytest.param("Current Version ID: " + "0123abcd-" * 100_000, id="a long id"),
        pytest.param("\x1b]" * 400_000 + "Version ", id="many beginnings"),
    ],
)
def test_a_hostile_line_costs_no_time(line: str) -> None:
    """A line of a megabyte takes less than a tenth of a second."""
    start = time.perf_counter()
    assert facts_of(line).versions == ()
    assert time.perf_counter() - start < 0.1
