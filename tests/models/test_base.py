"""Properties of all models: values are frozen, and enums are open."""

import copy
import inspect
import pickle
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    BuildOutcome,
    BuildStatus,
    BuildTriggerSource,
    ErrorDetail,
    LogLine,
    LogPage,
    LogPosition,
    Page,
    ProviderType,
)
from builds_async.models.base import OpenStrEnum
from tests.support import build
from tests.support.case import cases
from tests.support.decoding import decoded


@cases(
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
    """A model is immutable."""
    with pytest.raises(AttributeError, match="immutable"):
        setattr(value, field, None)


class TestOpenEnum:
    @cases("kind", [BuildStatus, BuildOutcome, BuildTriggerSource, ProviderType])
    def test_unknown(self, kind: type[OpenStrEnum]) -> None:
        """An unknown word passes `isinstance`, and `str`, f-strings, `==` and `hash` use the word itself."""
        word: OpenStrEnum = decoded("brand_new", kind)
        assert isinstance(word, kind)
        assert (str(word), f"{word}", word.value, word.name) == ("brand_new",) * 4
        assert word == "brand_new"
        assert word == kind("brand_new")
        assert word != kind("other")
        assert hash(word) == hash("brand_new")
        assert {"brand_new": 1}[word] == 1

    @cases("word", [*BuildStatus, *BuildOutcome, *BuildTriggerSource, *ProviderType])
    def test_known(self, word: OpenStrEnum) -> None:
        """A known word is always the same member and equals the plain string."""
        assert decoded(str(word), type(word)) is word
        assert word == word.value == str(word) == f"{word}"
        assert hash(word) == hash(word.value)

    def test_listed(self) -> None:
        """The members are the words of the schema."""
        assert list(BuildStatus) == ["queued", "initializing", "running", "stopped"]
        assert list(BuildOutcome) == ["success", "fail", "skipped", "cancelled", "terminated"]

    @cases("kind", OpenStrEnum.__subclasses__(), ids=lambda kind: kind.__name__)
    def test_member_for_type_checkers(self, kind: type[OpenStrEnum]) -> None:
        """The member that keeps a `match` open for type checkers is in each enum and absent at run time."""
        assert "        _UNLISTED = " in inspect.getsource(kind)
        assert "_UNLISTED" not in kind.__members__

    def test_unknown_words_do_not_accumulate(self) -> None:
        """Unknown words do not accumulate in the class."""
        known = len(BuildStatus._value2member_map_)
        for number in range(100):
            assert BuildStatus(f"word-{number}") == f"word-{number}"
        assert len(BuildStatus) == 4
        assert len(BuildStatus._value2member_map_) == known

    @given(st.text())
    def test_any_word(self, word: str) -> None:
        """Any string is kept unchanged."""
        assert str(BuildOutcome(word)) == word

    @cases("value", [1, None, True, ["stopped"]])
    def test_not_a_string(self, value: object) -> None:
        """A value that is not a string is rejected."""
        with pytest.raises(ValueError, match="is not a valid BuildStatus"):
            BuildStatus(value)  # type: ignore[arg-type]  # the point

    @cases("word", ["stopped", "brand_new"])
    @cases(
        "trip",
        [
            copy.deepcopy,
            lambda word: pickle.loads(pickle.dumps(word)),  # noqa: S301  # our own
            lambda word: msgspec.json.decode(msgspec.json.encode(word), type=BuildStatus),
        ],
        ids=["deepcopy", "pickle", "json"],
    )
    def test_stored(self, word: str, trip: Callable[[BuildStatus], BuildStatus]) -> None:
        """Every word, known or unknown, survives a round trip."""
        again = trip(BuildStatus(word))
        assert again == word
        assert isinstance(again, BuildStatus)
