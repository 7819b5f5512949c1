"""The build event in a queue message, in every encoding and vocabulary."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from builds_async import (
    BuildEvent,
    BuildEventType,
    BuildOutcome,
    BuildStatus,
    BuildTriggerMetadata,
    BuildTriggerSource,
    ProviderType,
    QueueMessage,
)
from builds_async.models.events import read_event
from tests.support.case import cases
from tests.support.events import PREFIX, wire


def text(event: Any) -> str:
    return msgspec.json.encode(event).decode()


def base64(event: Any) -> str:
    return b64encode(msgspec.json.encode(event)).decode()


def read(body: Any, **message: Any) -> BuildEvent | None:
    return read_event(QueueMessage(id="m-1", lease_id="l-1", body=body, **message))


class TestReading:
    @cases(
        "encoded",
        [
            lambda event: event,
            text,
            base64,
            lambda event: text(text(event)),
            lambda event: base64(text(event)),
            lambda event: text(base64(event)),
            lambda event: base64(event).rstrip("="),
            lambda event: f"  {text(event)}\n",
            lambda event: "\n".join(base64(event)[at : at + 76] for at in range(0, 9999, 76)),
        ],
        ids=[
            "object",
            "JSON",
            "base64",
            "JSON in JSON",
            "JSON in base64",
            "base64 in JSON",
            "unpadded",
            "spaces",
            "lines",
        ],
    )
    @cases("content_type", ["json", "text", "bytes", None])
    def test_encodings(self, encoded: Callable[[Any], Any], content_type: str | None) -> None:
        """Every encoding yields the same event, whatever content type the message has."""
        metadata = {"CF-Content-Type": content_type} if content_type else None
        assert read(encoded(wire()), metadata=metadata, attempts=3) == BuildEvent(
            type=BuildEventType.FAILED,
            build_uuid="b-1",
            status=BuildStatus.STOPPED,
            build_outcome=BuildOutcome.FAIL,
            worker_name="shop",
            created_on=datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC),
            initializing_on=datetime(2026, 8, 13, 2, 33, 55, tzinfo=UTC),
            running_on=datetime(2026, 8, 13, 2, 33, 58, tzinfo=UTC),
            stopped_on=datetime(2026, 8, 13, 2, 34, 40, 500_000, tzinfo=UTC),
            event_timestamp=datetime(2026, 8, 13, 2, 34, 41, tzinfo=UTC),
            account_id="0123456789abcdef0123456789abcdef",
            event_subscription_id="fedcba9876543210fedcba9876543210",
            build_trigger_metadata=BuildTriggerMetadata(
                build_trigger_source=BuildTriggerSource.PUSH_EVENT,
                branch="main",
                commit_hash="",
                commit_message="Fix",
                author="ada",
                build_command="npm run build",
                deploy_command="npx wrangler deploy",
                root_directory="/",
                repo_name="shop",
                provider_account_name="acme",
                provider_type=ProviderType.GITHUB,
            ),
            message_id="m-1",
            attempts=3,
        )

    @cases(
        ("kind", "status", "outcome", "expected"),
        [
            # The words of the queue documentation.
            ("started", "running", None, ("running", None)),
            ("succeeded", "success", "success", ("stopped", "success")),
            ("failed", "failed", "failure", ("stopped", "fail")),
            ("canceled", "canceled", "canceled", ("stopped", "cancelled")),
            # The words of Cloudflare's notifications template.
            ("queued", "queued", None, ("queued", None)),
            ("succeeded", "stopped", "success", ("stopped", "success")),
            ("failed", "stopped", "failure", ("stopped", "fail")),
            ("failed", "stopped", "cancelled", ("stopped", "cancelled")),
            ("failed", "stopped", "canceled", ("stopped", "cancelled")),
            ("cancelled", "cancelled", "cancelled", ("stopped", "cancelled")),
            # The words of the REST API.
            ("failed", "stopped", "fail", ("stopped", "fail")),
            ("failed", "stopped", "terminated", ("stopped", "terminated")),
            ("failed", "stopped", "skipped", ("stopped", "skipped")),
            # The outcome overrides the type, and the type overrides the status.
            ("succeeded", "success", "failed", ("stopped", "fail")),
            ("failed", "failed", None, ("stopped", "fail")),
            ("canceled", "failed", None, ("stopped", "cancelled")),
            ("cancelled", None, "", ("stopped", "cancelled")),
            ("succeeded", None, None, ("stopped", "success")),
            ("finished", "cancelled", None, ("stopped", "cancelled")),
            ("finished", "success", None, ("stopped", "success")),
            # An outcome implies the end.
            ("failed", "running", "failure", ("stopped", "fail")),
            ("paused", None, "exploded", ("stopped", "exploded")),
            # Missing or unknown words.
            ("started", None, None, ("running", None)),
            ("queued", None, None, ("queued", None)),
            ("started", "initializing", None, ("initializing", None)),
            ("paused", "resting", None, ("resting", None)),
            ("paused", None, None, (None, None)),
            ("paused", 7, {}, (None, None)),
        ],
        ids=str,
    )
    def test_words(self, kind: str, status: Any, outcome: Any, expected: tuple[Any, Any]) -> None:
        """Both dialects are read as the words of the REST API; unknown words are kept."""
        event = read(wire(kind, status, outcome))
        assert event
        assert (event.status, event.build_outcome) == expected
        assert event.type == PREFIX + kind
        assert event.status is None or isinstance(event.status, BuildStatus)
        assert event.build_outcome is None or isinstance(event.build_outcome, BuildOutcome)

    def test_types(self) -> None:
        """The members of the type are the API's own words."""
        assert [str(kind) for kind in BuildEventType] == [
            PREFIX + word for word in ("queued", "started", "succeeded", "failed", "canceled")
        ]

    @cases(
        "body",
        [
            None,
            "",
            "hello world",
            "{",
            "eyJ0",
            "\x00\ud800",
            "éé",
            7,
            [],
            [wire()],
            text(text(text(text(text(wire()))))),
            {},
            "null",
            '"' * 9,
            "[" * 100_000,
            '{"a":' * 100_000,
            b64encode(b"\xff\xfe").decode(),
            {"type": PREFIX + "failed"},
            {"type": PREFIX + "failed", "payload": {"buildUuid": ""}},
            {"type": PREFIX + "failed", "payload": {"buildUuid": 7}},
            {"type": PREFIX + "failed", "payload": "text"},
            {"type": 7, "payload": {"buildUuid": "b"}},
            {"payload": {"buildUuid": "b"}},
            {"type": "cf.r2.object.created", "payload": {"key": "k"}},
        ],
        ids=lambda body: str(body)[:40],
    )
    def test_none(self, body: Any) -> None:
        """A message that is unreadable or not a build event reads as None, not as an error."""
        assert read(body) is None

    def test_bare(self) -> None:
        """A type and a build UUID suffice."""
        event = read({"type": PREFIX + "started", "payload": {"buildUuid": "b"}})
        assert event == BuildEvent(
            type=BuildEventType.STARTED, build_uuid="b", status=BuildStatus.RUNNING, message_id="m-1"
        )

    @cases("junk", [None, 7, "x", [], {}, {"branch": 7}], ids=str)
    @cases("field", ["createdAt", "stoppedAt", "buildTriggerMetadata", "status", "initializingAt"])
    def test_odd_parts(self, field: str, junk: Any) -> None:
        """An unreadable part is omitted, and the rest of the event is read."""
        event = read(wire(**{field: junk}))
        assert event
        assert (event.build_uuid, event.build_outcome) == ("b-1", BuildOutcome.FAIL)

    def test_time(self) -> None:
        """A time may also be a number of seconds; anything else is None."""
        event = read(wire(createdAt=1786588434, runningAt="yesterday"))
        assert event
        assert event.created_on == datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)
        assert event.running_on is None

    @pytest.mark.parametrize("part", ["source", "metadata"])
    def test_odd_objects(self, part: str) -> None:
        """A missing or odd object costs only its own fields."""
        odd: tuple[object, ...] = (None, 7, "x", [], {})
        for junk in odd:
            event = read({**wire(), part: junk})
            assert event
            assert (event.worker_name if part == "source" else event.account_id) is None
