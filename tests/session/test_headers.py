"""Response headers, however they are written."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from builds_async import RateBudget
from builds_async.session.headers import Allowance, AllowanceReader, allowances, retry_after
from tests.support.case import cases


class TestRetryAfter:
    @cases(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("30", 30.0),
            (" 30 ", 30.0),
            ("1.5", 1.5),
            ("300", 300.0),
            ("-5", 0.0),
            ("", None),
            ("soon", None),
            ("inf", None),
            ("nan", None),
            ("1e999", None),
            ("9" * 400, None),
            ("Wed, 99 Foo 2026 07:28:00 GMT", None),
            ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ],
    )
    def test_number(self, value: str, seconds: float | None) -> None:
        """Seconds are read as a non-negative number; an unreadable value is None."""
        assert retry_after(CIMultiDict({"retry-after": value})) == seconds

    def test_absent(self) -> None:
        """Without the header the value is None."""
        assert retry_after(CIMultiDict()) is None

    @cases(
        ("until", "seconds"),
        [
            ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
            ("Wed, 21 Oct 2026 07:28:30 -0000", 30.0),
            ("Wed, 21 Oct 2026 09:29:00 +0200", 60.0),
            ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ],
        ids=["GMT", "no zone", "other zone", "past"],
    )
    def test_date(self, until: str, seconds: float) -> None:
        """A date is measured by the server's own Date header, if there is one."""
        headers = {"Retry-After": until, "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
        assert retry_after(CIMultiDict(headers)) == seconds

    @cases("date", [None, "", "yesterday"])
    def test_date_alone(self, date: str | None) -> None:
        """Without a readable Date header, the machine's clock is used."""
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
        headers = {"Retry-After": until} | ({} if date is None else {"Date": date})
        seconds = retry_after(CIMultiDict(headers))
        assert seconds is not None
        assert 90 < seconds <= 100

    @cases(
        ("ahead", "seconds"), [(-3600, 0.0), (3600, None), (310, None)], ids=["past", "an hour", "a block"]
    )
    def test_wrong_clock(self, ahead: float, seconds: float | None) -> None:
        """By the local clock, which may be wrong, a date beyond the API's block time is ignored."""
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
        assert retry_after(CIMultiDict({"Retry-After": until})) == seconds

    @given(st.text(), st.text())
    @example("Wed, 21 Oct 0000 07:28:00 GMT", "")
    @example("Wed, 21 Oct 2026 07:28:00 +9999", "Wed, 21 Oct 2026 07:28:00 -9999")
    def test_anything(self, value: str, date: str) -> None:
        """Any odd text is a finite wait or None."""
        seconds = retry_after(CIMultiDict({"Retry-After": value, "Date": date}))
        assert seconds is None or 0 <= seconds < float("inf")


class TestAllowances:
    @cases(
        ("left", "policy", "read"),
        [
            ('"default";r=50;t=30', None, {"default": Allowance(50, 30.0)}),
            ('"default";r=50;t=30', '"burst";q=100;w=60', {"default": Allowance(50, 30.0)}),
            ('"user";r=0;t=300', '"user";q=1200;w=300', {"user": Allowance(0, 300.0, 1200, 300.0)}),
            ('"user"; r=7 ;t=3', '"user" ;q=9; w=60', {"user": Allowance(7, 3.0, 9, 60.0)}),
            (
                '"a";r=1;t=2, "b";r=3;t=4',
                '"b";q=5;w=6,"a";q=7',
                {"a": Allowance(1, 2.0, 7, None), "b": Allowance(3, 4.0, 5, 6.0)},
            ),
            ('"a";t=2.5;r=1;z=9', "", {"a": Allowance(1, 2.5)}),
            ('"a";r=1;t=2', '"a";w=60', {"a": Allowance(1, 2.0, None, 60.0)}),
            (r'"with \"quotes\"";r=1;t=2', "", {r"with \"quotes\"": Allowance(1, 2.0)}),
            ('"a, b";r=1;t=2', "", {"a, b": Allowance(1, 2.0)}),
            ('"a";r=1', '"a";q=1;w=1', {}),
            ('"a";t=1', "", {}),
            ("r=1;t=2", "", {}),
            ("", "", {}),
            ("lots", "none", {}),
            (None, '"a";q=1;w=1', {}),
        ],
        ids=[
            "documented",
            "documented, other policy",
            "same policy",
            "spaces",
            "two",
            "order, fraction, more",
            "no quota",
            "quotes",
            "comma in the name",
            "no time",
            "no count",
            "no name",
            "empty",
            "prose",
            "absent",
        ],
    )
    def test_read(self, left: str | None, policy: str | None, read: Mapping[str, Allowance]) -> None:
        """The Ratelimit items are read, with the quota and window of the policy of the same name."""
        headers = CIMultiDict[str]()
        if left is not None:
            headers["ratelimit"] = left
        if policy is not None:
            headers["ratelimit-policy"] = policy
        assert allowances(headers) == read

    def test_lines(self) -> None:
        """A list split over several header lines is read as one."""
        headers = CIMultiDict(
            [
                ("Ratelimit", '"a";r=1;t=2'),
                ("ratelimit", '"b";r=3;t=4'),
                ("Ratelimit-Policy", '"a";q=7'),
                ("Ratelimit-Policy", '"b";q=5;w=6'),
            ]
        )
        assert allowances(headers) == {"a": Allowance(1, 2.0, 7, None), "b": Allowance(3, 4.0, 5, 6.0)}

    @pytest.mark.slow
    @pytest.mark.parametrize("odd", [r"\"", '"a";', '"a" ', '"\\', ";a", '"a";a.'], ids=repr)
    def test_linear(self, odd: str) -> None:
        """Parsing takes time in proportion to the header's length."""
        began = time.process_time()
        allowances(CIMultiDict({"Ratelimit": '"' + odd * 100_000}))
        assert time.process_time() - began < 1.0

    @given(st.text(), st.text())
    @example(f'"a";r={"9" * 400};t=1', "")
    @example('"a";r=1;t=1', f'"a";q={"9" * 400};w=1')
    @example(f'"a";r=1;t={"9" * 400}', "")
    @example('"' * 5000, "")
    @example('"a"' + ";" * 5000, "")
    def test_anything(self, left: str, policy: str) -> None:
        """Any odd text yields allowances that are non-negative and finite, or none."""
        for said in allowances(CIMultiDict({"Ratelimit": left, "Ratelimit-Policy": policy})).values():
            assert said.left >= 0
            assert 0 <= said.reset < float("inf")


LEFT = st.integers(0, 1200) | st.integers(0, 20).map(lambda step: 700 - step)


class TestAllowanceReader:
    """Headers that are skipped in a series of responses."""

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(['"a"', '"b"', "odd"]),
                LEFT,
                st.integers(1, 2),
                st.sampled_from(["", '"a";q=1200;w=300']),
            ),
            max_size=30,
        )
    )
    def test_values_match_the_response(self, said: list[tuple[str, int, int, str]]) -> None:
        """The last values read match the response, except for the exact count while it is large."""
        reader, believed = AllowanceReader(), dict[str, Allowance]()
        for name, left, reset, policy in said:
            headers = CIMultiDict({"Ratelimit": f"{name};r={left};t={reset}", "Ratelimit-Policy": policy})
            believed.update(reader.news(headers))
            for key, true in allowances(headers).items():
                assert msgspec.structs.replace(believed[key], left=left) == true
                assert believed[key].left == left if left < 256 else abs(believed[key].left - left) < 16

    def test_skipped(self) -> None:
        """In a hundred responses within a second, every sixteenth is read."""
        reader = AllowanceReader()
        rows = ({"Ratelimit": f'"default";r={1200 - i};t=60'} for i in range(100))
        assert sum(bool(reader.news(headers)) for headers in rows) == 7

    def test_same_count(self) -> None:
        """A count that stays the same never holds a request back, however many are sent."""
        reader, budget = AllowanceReader(), RateBudget(limit=10**6)
        headers = {"Ratelimit": '"default";r=300;t=60'}
        for _ in range(2000):
            assert budget.try_acquire(poll=False)
            budget.done()
            if said := reader.news(headers):
                budget.observe(said)

    def test_none(self) -> None:
        """Without the header nothing is read, and the next header is compared with the last one."""
        reader, headers = AllowanceReader(), {"Ratelimit": '"default";r=1200;t=60'}
        assert [bool(reader.news(it)) for it in ({}, headers, {}, headers)] == [False, True, False, False]
