"""What the command does with text and time, without any command."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from builds_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    LogLine,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.cli import view
from builds_async.cli.app import _redacted
from builds_async.cli.colours import source_colour, wants_colour
from builds_async.cli.exits import CommandError, code_of
from builds_async.cli.lines import Filter
from builds_async.cli.safe import coloured, plain
from builds_async.cli.times import parse_since, spoken, stamp
from builds_async.cli.view import compiled, zone_of
from builds_async.cli.workers import checked_build
from builds_async.models.text import json_escaped

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("1h30m", NOW - timedelta(hours=1, minutes=30)),
        ("2d", NOW - timedelta(days=2)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("1w2d3h4m5s", NOW - timedelta(days=9, hours=3, minutes=4, seconds=5)),
        (" 0s ", NOW),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T08:00:00Z", datetime(2026, 1, 30, 8, tzinfo=UTC)),
        ("2026-01-30T08:00+02:00", datetime(2026, 1, 30, 6, tzinfo=UTC)),
    ],
    ids=str,
)
def test_since(text: str, expected: datetime) -> None:
    """A duration counts back from now; a date or time is taken as it is, in UTC unless it says otherwise."""
    assert parse_since(text, NOW) == expected


def test_since_goes_by_the_zone() -> None:
    """A time without an offset is one of the zone that is asked for."""
    assert parse_since("2026-01-31T01:00", NOW, BERLIN) == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "10", "-5m", "yesterday", "5m5m", "m", "1y", "9" * 99 + "d", "٣m", "2026-13-01"], ids=ascii
)
def test_no_since(text: str) -> None:
    """What is no time is an error that shows how to write one."""
    with pytest.raises(ValueError, match="1h30m"):
        parse_since(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 0s"),
        (3599, "59m 59s"),
        (7500, "2h 5m"),
        (10**6, "11d"),
    ],
    ids=str,
)
def test_spoken(seconds: float, text: str) -> None:
    """Durations are told in at most two units."""
    assert spoken(seconds) == text


def test_stamp() -> None:
    """Times have milliseconds and their offset, all of one width."""
    assert stamp(NOW, UTC) == "2026-01-31T12:00:00.000Z"
    assert stamp(NOW, BERLIN) == "2026-01-31T13:00:00.000+01:00"


HOSTILE = [
    ("\x1b]0;title\x07x", "^[]0;title^Gx"),
    ("\x1b[2J\x1b[H", "^[[2J^[[H"),
    ("a\rb\x08\x00\x7f", "a^Mb^H^@^?"),
    ("two\nlines\x0b\x0c", "two^Jlines^K^L"),
    ("\x9b31m\x85", "\\u009b31m\\u0085"),
    ("\u202eabc\u2066\u200f\u061c", "\\u202eabc\\u2066\\u200f\\u061c"),
    ("\u2028\u2029\ufff9", "\\u2028\\u2029\\ufff9"),
    ("\udc80", "\\udc80"),
    ("\x1b[\x1b[31mm", "^[[m"),
    ("\x1b[31", "^[[31"),
    ("\x1b[31;?m", "^[[31;?m"),
    ("tab\t✨ 日本 👩\u200d👧 é", "tab\t✨ 日本 👩\u200d👧 é"),
]


@pytest.mark.parametrize(("text", "shown"), HOSTILE, ids=[ascii(text) for text, _ in HOSTILE])
def test_controls_are_shown(text: str, shown: str) -> None:
    """Whatever a terminal would obey is shown; tabs and letters of all scripts stay."""
    assert plain(text) == shown
    assert re.sub(r"\x1b\[[0-9;:]*m", "", coloured(text)) == shown


def test_colours_are_kept_and_end_with_the_line() -> None:
    """Colour is kept where it is wanted, never beyond the line, and taken out where it is not."""
    text = "\x1b[1;31mred\x1b[38:2::1:2:3m!"
    assert coloured(text) == f"{text}\x1b[0m"
    assert plain(text) == "red!"
    assert coloured("no colour\r") == "no colour^M"


def test_json_for_a_terminal_is_the_same_json() -> None:
    """What a terminal would obey is escaped, in JSON's own way."""
    assert json_escaped('{"a":"\u202e\x9b✨"}') == '{"a":"\\u202e\\u009b✨"}'


@pytest.mark.parametrize(
    ("environ", "on_tty", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
    ids=str,
)
def test_when_there_is_colour(environ: dict[str, str], on_tty: bool, elsewhere: bool) -> None:
    """Colour only on a terminal; NO_COLOR wins over FORCE_COLOR, which wins over that; empty is unset."""
    assert wants_colour(is_tty=True, environ=environ) is on_tty
    assert wants_colour(is_tty=False, environ=environ) is elsewhere


def test_sources_have_stable_colours() -> None:
    """The colour of a Worker is the same in every run, and Workers differ."""
    assert [source_colour(name) for name in ("shop", "blog", "api")] == ["96", "93", "93"]
    assert len({source_colour(f"worker-{number}") for number in range(100)}) == 12


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, True),
        ({"include": ["two"]}, True),
        ({"include": ["one", "t.o"]}, True),
        ({"include": ["one"]}, False),
        ({"exclude": ["one"]}, True),
        ({"exclude": ["one", "two$"]}, False),
        ({"include": ["two"], "exclude": ["two"]}, False),
        ({"include": ["^a two"]}, True),
        ({"include": ["(?i)TWO"]}, True),
    ],
    ids=str,
)
def test_filter(options: dict[str, list[str]], passes: bool) -> None:
    """One of the included, none of the excluded, found anywhere in the text without its colours."""
    include, exclude = (compiled(f"--{it}", options.get(it, ())) for it in ("include", "exclude"))
    made = Filter(include=include, exclude=exclude)
    assert made.passes(LogLine(0, "a \x1b[31mtwo\x1b[0m")) is passes


def test_filter_ignores_a_carriage_return_at_the_end() -> None:
    """A pattern for the end of a line is meant for what people see there."""
    made = Filter(include=compiled("--include", ["two$"]))
    assert made.passes(LogLine(0, "a two\r"))
    assert not made.passes(LogLine(0, "a two\rthree"))


def test_filter_by_time() -> None:
    """The moment itself counts as since."""
    lines = [LogLine(int(NOW.timestamp() * 1000) + ms, "") for ms in (-1, 0, 1)]
    assert [Filter(since=NOW).passes(line) for line in lines] == [False, True, True]


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "Europe", "\0"], ids=ascii)
def test_no_zone(name: str) -> None:
    """What is no time zone is a wrong option, however it is none."""
    with pytest.raises(CommandError, match=r"--timezone: .* is no time zone"):
        zone_of(name)


def test_no_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no database of time zones, as on Windows, that is said, and what to install."""
    monkeypatch.setattr(view, "available_timezones", set)
    monkeypatch.setattr(view, "ZoneInfo", {}.__getitem__)
    with pytest.raises(CommandError, match=r"this machine has no database of time zones; install .* tzdata"):
        zone_of("Europe/Berlin")
    assert zone_of("utc") is UTC


@pytest.mark.parametrize(
    ("token", "text", "shown"),
    [
        ("build", "the build of build-1 failed", "the build of build-1 failed"),
        ("cfut_1x", "--token cfut_1x", "--token ***"),
        ("", "nothing", "nothing"),
    ],
)
def test_redacted(monkeypatch: pytest.MonkeyPatch, token: str, text: str, shown: str) -> None:
    """The token of the environment is redacted, and one that is a word mangles no message."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    assert _redacted(text) == shown


@pytest.mark.parametrize(
    "word", ["", "shop", "0" * 32, "../x", f"{'0' * 8}-0000-0000-0000-{'0' * 13}"], ids=ascii
)
def test_no_build(word: str) -> None:
    """What has not the form of a build's UUID is not sent."""
    with pytest.raises(CommandError, match="no build UUID"):
        checked_build(word)


CODES: list[tuple[type[BuildsError], int]] = [
    (ConfigurationError, 2),
    (NotFoundError, 2),
    (BadRequestError, 2),
    (ConflictError, 2),
    (AuthenticationError, 3),
    (PermissionDeniedError, 3),
    (RateLimitError, 4),
    (InternalServerError, 4),
    (BuildsConnectionError, 4),
    (BuildsTimeoutError, 4),
    (ResponseDecodeError, 4),
    (APIError, 4),
]


@pytest.mark.parametrize(("kind", "code"), CODES, ids=[kind.__name__ for kind, _ in CODES])
def test_codes(kind: type[BuildsError], code: int) -> None:
    """Each kind of error has its exit code."""
    assert code_of(kind("said")) == code
