"""Odd values: which are converted, which are dropped, and what the log says about them."""

import json
import logging
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    Build,
    BuildEvent,
    BuildsClient,
    EnvironmentVariable,
    LogLine,
    LogPage,
    QueueMessage,
    ResponseDecodeError,
    Trigger,
)
from builds_async.diagnose import _date
from builds_async.models import lenient
from builds_async.models.builds import BuildTriggerMetadata
from builds_async.models.events import read_event
from builds_async.models.queues import QueueBatch
from builds_async.session import decode
from tests.support import BUILD_UUID, TAG, MockApi, build, envelope
from tests.support.case import cases

WHEN = datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC)
T = 1784052295481

DATES = {
    "no zone": ("2026-08-13T02:33:54.080", WHEN),
    "a space": ("2026-08-13 02:33:54.080Z", WHEN),
    "an offset": ("2026-08-13T04:33:54.080+02:00", WHEN),
    "only a date": ("2026-08-13", WHEN.replace(hour=0, minute=0, second=0, microsecond=0)),
    "milliseconds": (1786588434080, WHEN),
    "seconds": (1786588434.08, WHEN),
    "milliseconds as text": ("1786588434080", WHEN),
    "empty": ("", None),
    "a word": ("soon", None),
    "zero": (0, None),
    "negative": (-1, None),
    "true": (True, None),
    "a list": ([], None),
    "more digits than a number has": (10**400, None),
}


@cases("kind", DATES)
def test_dates(kind: str) -> None:
    """A date in another format is read with a zone, UTC if it names none; anything else is None."""
    written, read = DATES[kind]
    found = lenient.convert({"build_uuid": "b", "created_on": written}, Build)
    assert found.created_on == read
    assert read is None or (found.created_on is not None and found.created_on.tzinfo is not None)


FIELDS: dict[str, tuple[dict[str, Any], Build]] = {
    "a numeric id": ({"build_uuid": 812345678}, Build(build_uuid="812345678")),
    "a status that is a number": ({"build_uuid": "b", "status": 3}, Build(build_uuid="b")),
    "a word where an object is due": ({"build_uuid": "b", "pull_request": "none"}, Build(build_uuid="b")),
    "texts for truth": (
        {"build_uuid": "b", "trigger": {"build_caching_enabled": "False"}},
        Build(build_uuid="b", trigger=Trigger(build_caching_enabled=False)),
    ),
    "a null in a list": (
        {"build_uuid": "b", "trigger": {"branch_includes": ["main", None, 7]}},
        Build(build_uuid="b", trigger=Trigger(branch_includes=("main", "7"))),
    ),
    "odd variables": (
        {
            "build_uuid": "b",
            "build_trigger_metadata": {
                "environment_variables": {"A": 8080, "B": [], "C": None, "D": {"value": 1, "is_secret": 0}}
            },
        },
        Build(
            build_uuid="b",
            build_trigger_metadata=BuildTriggerMetadata(
                environment_variables={
                    "A": "8080",
                    "C": None,
                    "D": EnvironmentVariable(value="1", is_secret=False),
                }
            ),
        ),
    ),
}


@cases("what", FIELDS)
def test_fields(what: str) -> None:
    """A lossless value is converted; an unusable one is None, or is dropped from its list or map."""
    wire, read = FIELDS[what]
    assert lenient.convert(wire, Build) == read


@cases("uuid", [None, "", [], {}, True])
def test_identity(uuid: object) -> None:
    """An object whose id is missing, empty or invalid is unusable."""
    with pytest.raises(lenient.Unusable):
        lenient.convert({"build_uuid": uuid, "status": "queued"}, Build)


def test_default_other_than_none() -> None:
    """An unusable value in a field that can't be None becomes the field's default."""
    message = lenient.convert(
        {"id": "m", "lease_id": 7, "attempts": "many", "metadata": "json"}, QueueMessage
    )
    assert message == QueueMessage(id="m", lease_id="7", attempts=1)


LINES: dict[str, tuple[Any, LogLine]] = {
    "null": (None, LogLine(T, "")),
    "null text": ([T + 1, None], LogLine(T + 1, "")),
    "null timestamp": ([None, "x"], LogLine(T, "x")),
    "ISO timestamp": (["2026-08-13T02:33:54.080Z", "x"], LogLine(1786588434080, "x")),
    "numeric text": ([str(T + 1), "x"], LogLine(T + 1, "x")),
    "word for a timestamp": (["soon", "x"], LogLine(T, "x")),
    "endless timestamp": ([float("inf"), "x"], LogLine(T, "x")),
    "true for a timestamp": ([True, "x"], LogLine(T, "x")),
    "numeric message": ([T + 1, 5], LogLine(T + 1, "5")),
    "object for a message": ([T + 1, {"a": [1]}], LogLine(T + 1, '{"a":[1]}')),
    "third element": ([T + 1, "x", {"stream": "stderr"}], LogLine(T + 1, "x")),
    "timestamp alone": ([T + 1], LogLine(T + 1, "")),
    "text alone": (["x"], LogLine(T, "x")),
    "bare text": ("x", LogLine(T, "x")),
    "empty list": ([], LogLine(T, "")),
    "object": ({"timestamp": T + 1, "message": "x", "stream": 1}, LogLine(T + 1, "x")),
    "number": (5, LogLine(T, "5")),
}


@cases("what", LINES)
def test_lines(what: str) -> None:
    """An odd line keeps its place, text and time; without a time it takes the previous line's."""
    wire, line = LINES[what]
    page = lenient.convert({"lines": [[T, "one"], wire, [T + 9, "two"]], "cursor": 7}, LogPage)
    assert page == LogPage(lines=(LogLine(T, "one"), line, LogLine(T + 9, "two")), cursor="7")


def test_first_line_without_a_time() -> None:
    """An odd line before any timestamp has the timestamp 0."""
    page = lenient.convert({"lines": [[None, "a"], [T, "b"], [None, "c"]]}, LogPage)
    assert [line.timestamp for line in page.lines] == [0, T, T]


def test_empty_cursor() -> None:
    """An empty cursor is no cursor."""
    assert msgspec.json.decode(b'{"cursor":""}', type=LogPage).cursor is None


@given(
    st.floats() | st.integers(), st.sampled_from(["Pacific/Kiritimati", "America/Adak", "Etc/GMT+12", "UTC"])
)
def test_every_timestamp_can_be_shown(timestamp: float, zone: str) -> None:
    """A line has a time that every time zone can display, whatever its timestamp is."""
    time = LogLine(timestamp, "x").time
    assert time.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")


@cases("number", [float("nan"), float("inf"), float("-inf"), 10**400, -(10**400)])
def test_numbers_that_are_not_times(number: float) -> None:
    """A number that is no time reads as 1970, and conversion terminates."""
    assert LogLine(number, "x").time == datetime(1970, 1, 1, tzinfo=UTC)


@cases(
    ("moment", "text"),
    [
        (datetime(2026, 8, 13, 2, 33, tzinfo=UTC).replace(tzinfo=None), "2026-08-13 02:33 UTC"),
        (datetime.fromisoformat("9999-12-31T23:59:59-14:00"), "9999-12-31 23:59-14:00"),
        (datetime.fromisoformat("0001-01-01T00:00:00+14:00"), "0001-01-01 00:00+14:00"),
    ],
    ids=["no zone", "end", "beginning"],
)
def test_date_of_a_diagnosis(moment: datetime, text: str) -> None:
    """A date without a zone is UTC, and a date that UTC can't display is shown as is."""
    assert _date(moment) == text


def test_odd_event() -> None:
    """An odd metadata field of an event loses that field alone, and non-UTF-8 bytes lose themselves."""
    event = {
        "type": "cf.workersBuilds.worker.build.failed",
        "payload": {
            "buildUuid": "b",
            "createdAt": "2026-08-13T02:33:54.080",
            "buildTriggerMetadata": {"branch": "main", "author": {}, "commitHash": 5, "rootDirectory": None},
        },
    }
    metadata = BuildTriggerMetadata(branch="main", commit_hash="5")
    found = read_event(QueueMessage(id="m", lease_id="l", body=event))
    assert isinstance(found, BuildEvent)
    assert (found.build_trigger_metadata, found.created_on) == (metadata, WHEN)
    text = json.dumps(event).replace("main", "ma\x00in")
    found = read_event(QueueMessage(id="m", lease_id="l", body=text))
    assert found is not None
    assert found.build_trigger_metadata == msgspec.structs.replace(metadata, branch="ma\x00in")


def test_message_without_a_lease() -> None:
    """A message that can't be acknowledged is dropped, and the others are returned."""
    good = {"id": "b", "lease_id": "l", "body": {"deep": [{"a": 1}]}}
    wire = {"messages": [None, {"id": "a"}, {"id": "a", "lease_id": ""}, good], "message_backlog_count": "4"}
    batch = lenient.convert(wire, QueueBatch)
    message = QueueMessage(id="b", lease_id="l", body={"deep": [{"a": 1}]})
    assert batch == QueueBatch(messages=(message,), message_backlog_count=4)


async def test_events_of_an_odd_pull(client: BuildsClient, api: MockApi) -> None:
    """An odd pull yields every event that can be acknowledged, and the rest stays in the queue."""

    def message(name: str, **changes: Any) -> dict[str, Any]:
        event = {"type": "cf.workersBuilds.worker.build.failed", "payload": {"buildUuid": name}}
        return {"id": name, "lease_id": f"lease-{name}", "body": event, **changes}

    odd = [
        None,
        message("a", lease_id=None),
        message("b", attempts=None),
        message("c", metadata=[]),
        message("d"),
    ]
    api.on("POST", "/queues/q/messages/pull", envelope({"messages": odd}))
    api.on("POST", "/queues/q/messages/pull", envelope({"messages": []}), repeat=True)
    api.on("POST", "/queues/q/messages/ack", envelope("done"), repeat=True)
    api.on("POST", "/queues/q/messages/extend", envelope("done"), repeat=True)
    async with client.events("q", batch_size=20) as stream:
        events = []
        for _ in range(3):
            events.append(await anext(stream))
            await stream.ack(events[-1])
    assert [(event.build_uuid, event.attempts) for event in events] == [("b", 1), ("c", 1), ("d", 1)]
    bodies = [str(call.kwargs.get("data")) for calls in api.requests.values() for call in calls]
    assert not any("lease-a" in body for body in bodies)


class TestLog:
    """Dropped values are logged once, by place and without their content."""

    async def test_warning(
        self, client: BuildsClient, api: MockApi, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The warning names the call, the places and their number, and quotes nothing from the response."""
        secret = "Zq8Yx7Wv6Ut5Sr4Qp3"
        odd = {"KEY": [secret], secret: [secret]}
        builds = [
            build(pull_request=secret),
            build(stopped_on=secret),
            build(build_trigger_metadata={"environment_variables": odd}),
            None,
        ]
        api.on("GET", f"/builds/workers/{TAG}/builds?page=1&per_page=50", envelope(builds))
        page = await client.builds.list(TAG)
        assert (len(page), page.skipped) == (3, 1)
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        said = record.getMessage()
        assert f"/builds/workers/{TAG}/builds: unreadable values of the response are left out: " in said
        for part in (
            "2 x result[].build_trigger_metadata.environment_variables{}",
            "1 x result[].pull_request",
            "1 x result[].stopped_on",
            "1 x result[]",
        ):
            assert part in said
        assert secret not in said

    async def test_once(self, client: BuildsClient, api: MockApi, caplog: pytest.LogCaptureFixture) -> None:
        """A repeated poll with the same loss warns once; another call warns separately."""
        api.on("GET", f"/builds/builds/{BUILD_UUID}", envelope(build(pull_request=5)), repeat=True)
        api.on("GET", "/builds/builds/other", envelope(build(pull_request=5)))
        for _ in range(5):
            await client.builds.get(BUILD_UUID)
        await client.builds.get("other")
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]

    async def test_nothing_lost(
        self, client: BuildsClient, api: MockApi, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A lossless conversion is not logged."""
        odd = build(created_on=1786588434080, trigger={"repo_connection": {"repo_id": 5}})
        api.on("GET", f"/builds/builds/{BUILD_UUID}", envelope(odd))
        assert (await client.builds.get(BUILD_UUID)).created_on == WHEN
        assert caplog.records == []

    def test_many_places(self) -> None:
        """A response that is odd in many places names a few of them."""
        losses = [lenient.Loss(f".result.{name}") for name in "aabcdefghh"]
        said = decode.described(losses)
        assert said.startswith("2 x result.a, 2 x result.h, 1 x result.")
        assert said.endswith("and 3 more places")


async def test_size(client: BuildsClient, api: MockApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body too large to read field by field is rejected if a value is odd."""
    monkeypatch.setattr(decode, "LARGEST", 2000)
    path = f"/builds/builds/{BUILD_UUID}"
    api.on("GET", path, envelope(build(pull_request=5, later="x" * 2000)))
    api.on("GET", path, envelope(build(later="x" * 2000)))
    api.on("GET", path, body=json.dumps(envelope(build(preview_url="é" * 2000))).encode("latin-1"))
    api.on(
        "GET", path, body=json.dumps(envelope(build(preview_url="é")), ensure_ascii=False).encode("latin-1")
    )
    with pytest.raises(ResponseDecodeError):
        await client.builds.get(BUILD_UUID)
    for _ in range(3):  # good, or odd only in its bytes
        await client.builds.get(BUILD_UUID)


def test_one_decode_for_a_good_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A good response is decoded once; only an odd one is decoded again."""

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(decode, "_decode_again", never)
    decoder = msgspec.json.Decoder(Build)
    assert decode.decode(decoder, json.dumps(build()).encode()).succeeded


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Any bytes in a string of a response are read, or raise a decoder error."""
    decoder = msgspec.json.Decoder(Build)
    body = b'{"build_uuid":"a","preview_url":"' + data + b'"}'
    try:
        assert decode.decode(decoder, body).build_uuid
    except decode.UNREADABLE:
        assert b'"' in data or b"\\" in data
