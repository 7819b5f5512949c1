"""The wire nouns: what the API sends, and may one day send, becomes frozen values."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    Build,
    BuildOutcome,
    BuildStatus,
    BuildTriggerSource,
    CanceledBuild,
    EnvironmentVariable,
    ErrorDetail,
    LogLine,
    LogPage,
    LogPosition,
    Page,
    ProviderType,
    ResultInfo,
    Trigger,
)
from builds_async.models.base import OpenStrEnum
from builds_async.models.envelope import Envelope
from tests.support import BUILD_UUID, TAG, build, log_page


def decoded(wire: Any, kind: Any = Build) -> Any:
    """`wire` as it comes out of an answer."""
    return msgspec.json.decode(msgspec.json.encode(wire), type=kind)


class TestBuild:
    def test_of_today(self) -> None:
        """A build as the API sends it today decodes with all that it says, under the API's own names."""
        it: Build = decoded(build(preview_url="https://p.example", deploy_hook={"deploy_hook_name": "cms"}))
        assert it.build_uuid == BUILD_UUID
        assert (it.status, it.build_outcome) == (BuildStatus.STOPPED, BuildOutcome.SUCCESS)
        assert it.created_on == datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC)
        assert it.stopped_on == datetime(2026, 8, 13, 2, 34, 40, 500_000, tzinfo=UTC)
        assert it.preview_url == "https://p.example"
        assert it.deploy_hook
        assert it.deploy_hook.deploy_hook_name == "cms"
        assert it.trigger
        assert it.trigger.external_script_id == TAG
        assert it.trigger.path_includes == ("*",)
        assert it.trigger.build_caching_enabled is True
        assert it.trigger.repo_connection
        assert it.trigger.repo_connection.provider_type == ProviderType.GITHUB
        assert it.build_trigger_metadata
        assert it.build_trigger_metadata.build_trigger_source == BuildTriggerSource.PUSH_EVENT
        assert it.build_trigger_metadata.commit_message == "Fix the cart"

    def test_bare(self) -> None:
        """Nothing but the id is needed."""
        assert decoded({"build_uuid": "b"}) == Build(build_uuid="b")

    @pytest.mark.parametrize("field", [name for name in Build.__struct_fields__ if name != "build_uuid"])
    def test_null(self, field: str) -> None:
        """Every field but the id may be null."""
        assert getattr(decoded(build(**{field: None})), field) is None

    @pytest.mark.parametrize(
        ("field", "kind"), [("trigger", Trigger), ("build_trigger_metadata", None), ("pull_request", None)]
    )
    def test_null_inside(self, field: str, kind: type[msgspec.Struct] | None) -> None:
        """Every field of the objects inside may be null or left out."""
        assert getattr(decoded(build(**{field: {}})), field) is not None
        names = (
            kind.__struct_fields__
            if kind
            else getattr(decoded(build(**{field: {}})), field).__struct_fields__
        )
        inside = getattr(decoded(build(**{field: dict.fromkeys(names)})), field)
        assert [getattr(inside, name) for name in names] == [None] * len(names)

    def test_new_fields(self) -> None:
        """Fields of a later API are skipped, at every depth."""
        new = {"later": {"deep": [1, {"a": None}]}}
        wire = build(**new)
        wire["trigger"] |= new
        wire["trigger"]["repo_connection"] |= new
        wire["build_trigger_metadata"] |= new
        assert decoded(wire) == decoded(build())

    def test_environment_variables(self) -> None:
        """A build variable is an object, a plain string or null, whichever the API's version sends."""
        variables = {
            "OBJECT": {"is_secret": False, "created_on": "2026-08-13T02:33:54.080Z", "value": "1"},
            "SECRET": {"is_secret": True, "value": None},
            "STRING": "plain",
            "NULL": None,
            "EMPTY": {},
        }
        it: Build = decoded(build(build_trigger_metadata={"environment_variables": variables}))
        assert it.build_trigger_metadata
        assert it.build_trigger_metadata.environment_variables == {
            "OBJECT": EnvironmentVariable(
                is_secret=False, created_on=datetime(2026, 8, 13, 2, 33, 54, 80_000, tzinfo=UTC), value="1"
            ),
            "SECRET": EnvironmentVariable(is_secret=True),
            "STRING": "plain",
            "NULL": None,
            "EMPTY": EnvironmentVariable(),
        }

    def test_without_commit(self) -> None:
        """Empty strings of a build without a commit stay empty strings."""
        it: Build = decoded(build(build_trigger_metadata={"commit_hash": "", "author": ""}))
        assert it.build_trigger_metadata
        assert (it.build_trigger_metadata.commit_hash, it.build_trigger_metadata.author) == ("", "")

    @pytest.mark.parametrize(
        ("status", "outcome", "dated", "stopped", "finished", "succeeded"),
        [
            ("queued", None, False, False, False, False),
            ("initializing", None, False, False, False, False),
            ("running", None, False, False, False, False),
            ("running", "success", False, False, False, False),
            ("running", None, True, False, False, False),
            ("running", "", True, False, False, False),
            ("paused", None, False, False, False, False),
            (None, None, False, False, False, False),
            (None, "success", False, False, False, False),
            (None, "success", True, True, True, True),
            ("completed", "success", True, True, True, True),
            ("completed", "fail", True, True, True, False),
            ("running", "cancelled", True, True, True, False),
            ("stopped", None, True, True, False, False),
            ("stopped", "", True, True, False, False),
            ("stopped", "success", True, True, True, True),
            ("stopped", "success", False, True, True, True),
            ("stopped", "fail", True, True, True, False),
            ("stopped", "skipped", True, True, True, False),
            ("stopped", "evaporated", True, True, True, False),
        ],
    )
    def test_end(  # noqa: PLR0917
        self,
        status: str | None,
        outcome: str | None,
        dated: bool,
        stopped: bool,
        finished: bool,
        succeeded: bool,
    ) -> None:
        """A build has stopped when its status says so, or its outcome and `stopped_on` do."""
        when = "2026-08-13T02:34:40.500Z" if dated else None
        it: Build = decoded(build(status=status, build_outcome=outcome, stopped_on=when))
        assert (it.is_stopped, it.is_finished, it.succeeded) == (stopped, finished, succeeded)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("2026-08-13T02:33:54Z", datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)),
            ("2026-01-25T18:00:10.112994Z", datetime(2026, 1, 25, 18, 0, 10, 112994, tzinfo=UTC)),
            (
                "2026-08-13T04:33:54+02:00",
                datetime(2026, 8, 13, 4, 33, 54, tzinfo=timezone(timedelta(hours=2))),
            ),
        ],
        ids=["seconds", "microseconds", "offset"],
    )
    def test_time(self, written: str, read: datetime) -> None:
        """Times become aware datetimes, with or without fractions."""
        it: Build = decoded(build(created_on=written))
        assert it.created_on == read
        assert it.created_on
        assert it.created_on.tzinfo is not None

    def test_cancelled(self) -> None:
        """What cancelling answers is decoded."""
        wire = {"build_uuid": "b", "build_outcome": "cancelled", "stopped_on": "2026-08-13T02:33:54Z"}
        assert decoded(wire, CanceledBuild) == CanceledBuild(
            build_uuid="b",
            build_outcome=BuildOutcome.CANCELLED,
            stopped_on=datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (decoded(build()), "status"),
        (LogLine(1, "a"), "message"),
        (LogPage(), "lines"),
        (LogPosition(), "offset"),
        (Page(), "result"),
        (ErrorDetail(), "code"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_frozen(value: msgspec.Struct, field: str) -> None:
    """Values can't be changed."""
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, field, None)


class TestWords:
    @pytest.mark.parametrize("kind", [BuildStatus, BuildOutcome, BuildTriggerSource, ProviderType])
    def test_unknown(self, kind: type[OpenStrEnum]) -> None:
        """An unknown word is a member for `isinstance`, and itself for `str`, f-strings, `==` and `hash`."""
        word: OpenStrEnum = decoded("brand_new", kind)
        assert isinstance(word, kind)
        assert (str(word), f"{word}", word.value, word.name) == ("brand_new",) * 4
        assert word == "brand_new"
        assert word == kind("brand_new")
        assert word != kind("other")
        assert hash(word) == hash("brand_new")
        assert {"brand_new": 1}[word] == 1

    @pytest.mark.parametrize("word", [*BuildStatus, *BuildOutcome, *BuildTriggerSource, *ProviderType])
    def test_known(self, word: OpenStrEnum) -> None:
        """A known word is the one member of its name, and equal to the plain string."""
        assert decoded(str(word), type(word)) is word
        assert word == word.value == str(word) == f"{word}"
        assert hash(word) == hash(word.value)

    def test_listed(self) -> None:
        """The words of the schema are listed."""
        assert list(BuildStatus) == ["queued", "initializing", "running", "stopped"]
        assert list(BuildOutcome) == ["success", "fail", "skipped", "cancelled", "terminated"]

    def test_nothing_piles_up(self) -> None:
        """Words from outside are not kept in the class."""
        known = len(BuildStatus._value2member_map_)
        for number in range(100):
            assert BuildStatus(f"word-{number}") == f"word-{number}"
        assert len(BuildStatus) == 4
        assert len(BuildStatus._value2member_map_) == known

    @given(st.text())
    def test_any_word(self, word: str) -> None:
        """Whatever the word is, it is kept as it came."""
        assert str(BuildOutcome(word)) == word

    @pytest.mark.parametrize("value", [1, None, True, ["stopped"]])
    def test_not_a_word(self, value: object) -> None:
        """What is no string is no word."""
        with pytest.raises(ValueError, match="is not a valid BuildStatus"):
            BuildStatus(value)  # type: ignore[arg-type]  # the point

    @pytest.mark.parametrize("word", ["stopped", "brand_new"])
    @pytest.mark.parametrize(
        "trip",
        [
            copy.deepcopy,
            lambda word: pickle.loads(pickle.dumps(word)),  # noqa: S301  # our own
            lambda word: msgspec.json.decode(msgspec.json.encode(word), type=BuildStatus),
        ],
        ids=["deepcopy", "pickle", "json"],
    )
    def test_stored(self, word: str, trip: Callable[[BuildStatus], BuildStatus]) -> None:
        """A word survives being stored, known or not."""
        again = trip(BuildStatus(word))
        assert again == word
        assert isinstance(again, BuildStatus)


class TestLogLine:
    @pytest.mark.parametrize(
        ("timestamp", "time"),
        [
            (1784052295481, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (1636472400, datetime(2021, 11, 9, 15, 40, tzinfo=UTC)),
            (1636472400.25, datetime(2021, 11, 9, 15, 40, 0, 250_000, tzinfo=UTC)),
            (1784052295481.5, datetime(2026, 7, 14, 18, 4, 55, 481_500, tzinfo=UTC)),
            (1784052295481000, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (1784052295481000000, datetime(2026, 7, 14, 18, 4, 55, 481_000, tzinfo=UTC)),
            (99_999_999_999, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
            (100_000_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
            (3, datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)),
            (0, datetime(1970, 1, 1, tzinfo=UTC)),
            (-1e200, datetime(1, 1, 2, tzinfo=UTC)),
        ],
        ids=[
            "milliseconds",
            "seconds",
            "fraction of seconds",
            "fraction of milliseconds",
            "microseconds",
            "nanoseconds",
            "last as seconds",
            "first as milliseconds",
            "tiny",
            "zero",
            "before all dates",
        ],
    )
    def test_time(self, timestamp: float, time: datetime) -> None:
        """`time` is the same aware UTC moment whichever unit the number has, and the number stays."""
        line: LogLine = decoded([timestamp, "x"], LogLine)
        assert line.time == time
        assert line.time.utcoffset() == timedelta(0)
        assert line.timestamp == timestamp

    @pytest.mark.parametrize(
        "message", ["", "\t", "✘ [ERROR] é 🎉", "\x1b[31mred\x1b[0m", "two\nlines", "\x00"]
    )
    def test_text(self, message: str) -> None:
        """The text is what the build printed, untouched."""
        assert decoded([1, message], LogLine).message == message

    def test_longer(self) -> None:
        """A third element of a later API is skipped."""
        assert decoded([1, "a", {"stream": "stderr"}], LogLine) == LogLine(1, "a")

    def test_equal(self) -> None:
        """Lines are values."""
        assert LogLine(1, "a") == LogLine(1, "a") != LogLine(2, "a")
        assert len({LogLine(1, "a"), LogLine(1, "a")}) == 1


class TestLogPage:
    def test_of_today(self) -> None:
        """A page as the API sends it today decodes, with its undocumented events."""
        event = {"type": "initializing", "started_on": "2026-08-13T02:33:54Z", "ended_on": None}
        page: LogPage = decoded(
            log_page("a", "b", cursor="WzAsMzRd", truncated=True, events=[event]), LogPage
        )
        assert [line.message for line in page.lines] == ["a", "b"]
        assert (page.cursor, page.truncated) == ("WzAsMzRd", True)
        assert page.events
        assert page.events[0].type == "initializing"
        assert page.events[0].started_on == datetime(2026, 8, 13, 2, 33, 54, tzinfo=UTC)

    @pytest.mark.parametrize("wire", [{}, {"lines": None}, {"lines": []}, {"lines": None, "cursor": None}])
    def test_empty(self, wire: dict[str, Any]) -> None:
        """A page without lines has no lines, whether they are empty, null or left out."""
        assert decoded(wire, LogPage).lines == ()


class TestLogPosition:
    @given(st.builds(LogPosition, st.none() | st.text(), st.integers(0, 2**53)))
    def test_stored(self, position: LogPosition) -> None:
        """A position survives being stored as JSON."""
        assert msgspec.json.decode(msgspec.json.encode(position), type=LogPosition) == position

    def test_start(self) -> None:
        """The beginning of a log is the default."""
        assert LogPosition() == LogPosition(None, 0)


class TestEnvelope:
    def test_page(self) -> None:
        """A page of a list can be iterated, indexed and counted."""
        page = Page(result=("a", "b"))
        assert (list(page), len(page), page[0], page[-1]) == (["a", "b"], 2, "a", "b")
        assert not Page[str]()

    def test_result(self) -> None:
        """An answer tells a null result from none."""
        assert decoded({"result": None}, Envelope[int]).result is None
        assert decoded({}, Envelope[int]).result is msgspec.UNSET

    def test_result_info(self) -> None:
        """The place of a page is decoded as captured live, where `next_page` is a boolean."""
        wire = {"next_page": True, "page": 1, "per_page": 2, "count": 2, "total_count": 87, "total_pages": 44}
        assert decoded(wire, ResultInfo) == ResultInfo(
            next_page=True, page=1, per_page=2, count=2, total_count=87, total_pages=44
        )
        assert decoded({}, ResultInfo) == decoded(dict.fromkeys(wire), ResultInfo) == ResultInfo()

    @pytest.mark.parametrize(
        "messages", [None, [], ["text"], [{"code": 1, "message": "m", "type": None}], "?"]
    )
    def test_messages(self, messages: object) -> None:
        """The `messages` of an answer may be anything."""
        assert decoded({"success": True, "messages": messages, "result": 1}, Envelope[int]).result == 1
