"""Parses the headers of a response: Retry-After, `Ratelimit`, the date and the ray id."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

import msgspec
from multidict import istr

LONGEST_BLOCK = 300.0
"""The longest time, in seconds, for which the API blocks a user after a 429."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, from a number or a date; None if it is unreadable.

    A date counts from the server's `Date` header. Without that header it counts from the clock of this
    machine, which may be wrong, so a date more than 5 minutes ahead (the API's longest block) is ignored.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = parsed_date(value)
        if until is None:
            return None
        sent = date(headers)
        seconds = (until - (sent or datetime.now(UTC))).total_seconds()
        if sent is None and seconds > LONGEST_BLOCK:
            return None
    return max(seconds, 0.0) if seconds < float("inf") else None


def date(headers: Mapping[str, str]) -> datetime | None:
    """When a response was sent, by the server's clock in whole seconds; None without a valid header."""
    return parsed_date(headers.get("Date", ""))


def parsed_date(value: str) -> datetime | None:
    """The date in a header; None for any other text."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def ray_id(headers: Mapping[str, str]) -> str | None:
    """The `cf-ray` header, by which Cloudflare's support finds a request; None for an invalid value."""
    value = headers.get("cf-ray", "")
    return value if _RAY(value) else None


_RAY = re.compile(r"[0-9A-Za-z]{1,20}(?:-[0-9A-Za-z]{1,8})?").fullmatch


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """One item of the `Ratelimit` header: `left` requests until `reset` seconds from now.

    `quota` and `window` come from the item of the same name in `Ratelimit-Policy`, if there is one.
    """

    left: int
    reset: float
    quota: int | None = None
    window: float | None = None


def allowances(headers: Mapping[str, str]) -> Mapping[str, Allowance]:
    """The items of the `Ratelimit` and `Ratelimit-Policy` headers, by the name of the policy."""
    if _RATELIMIT not in headers:
        return _NOTHING
    said, policy = _whole(headers, _RATELIMIT), _whole(headers, _POLICY)
    # Every response passes here, so there is a fast path. Nearly all have one item in the usual spelling,
    # `"default";r=1199;t=60`, in which only the two numbers change. Everything else is cached.
    name, _, numbers = said.partition(";r=")
    left, _, reset = numbers.partition(";t=")
    if left.isdecimal() and reset.isdecimal() and len(numbers) < _LONG and (item := _usual(name, policy)):
        name, quota, window = item
        return {name: Allowance(int(left), int(reset), quota, window)}
    policies = _policies(policy)
    return {
        name: Allowance(int(item["r"]), item["t"], *policies.get(name, _NO_POLICY))
        for name, item in _items(said).items()
        if "r" in item and "t" in item
    }


class AllowanceReader:
    """Reads the rate limit headers of a series of responses, and skips those that say nothing new.

    Parsing the headers of every response would add 3% to the time of a call. A client counts its own requests
    anyway: a header only says something new when other tools use the same allowance. A header is skipped if
    it has the usual form, says that at least 256 requests are left, has the name, policy and reset of the
    last one that was read, and differs from its count by less than 16. At most 15 in a row are skipped. So
    the budget's count is off by fewer than 16 requests, and exact when few are left.
    """

    def __init__(self) -> None:
        self._start: str | None = None
        self._end: str = ""
        self._policy: str = ""
        self._left: int = 0
        self._skipped: int = 0

    def news(self, headers: Mapping[str, str]) -> Mapping[str, Allowance]:
        """The items of the headers; empty if they need not be read."""
        if _RATELIMIT not in headers:
            return _NOTHING
        said, policy = _whole(headers, _RATELIMIT), _whole(headers, _POLICY)
        start, _, numbers = said.partition(";r=")
        number, _, end = numbers.partition(";t=")
        left = int(number) if number.isdecimal() and len(number) < _LONG else 0
        if (
            left >= _FEW
            and abs(left - self._left) < _STEP
            and start == self._start
            and end == self._end
            and policy == self._policy
            and self._skipped < _STEP - 1
        ):
            self._skipped += 1
            return _NOTHING
        self._skipped = 0
        self._start, self._left, self._end, self._policy = start, left, end, policy
        return allowances(headers)


def _whole(headers: Mapping[str, str], name: str) -> str:
    """The value of a header that may have several lines. A plain dict has only one line."""
    getall = getattr(headers, "getall", None)
    if getall is None:
        return headers.get(name, "")
    lines = getall(name, _NO_LINES)
    return lines[0] if len(lines) == 1 else ", ".join(lines)


# An istr has its lower case computed in advance, which halves the time of a lookup.
_RATELIMIT, _POLICY = istr("Ratelimit"), istr("Ratelimit-Policy")
_NOTHING: dict[str, Allowance] = {}
_NO_LINES = ("",)
_NO_POLICY = (None, None)
_LONG = 32
_FEW = 256  # with fewer left, each response is read; a client has far fewer requests in flight
_STEP = 16
_QUOTED = re.compile(r'"([^"\\]*)"').fullmatch
# A string without a closing quote matches to the end of the header, and quantifiers are possessive. So no
# character is read twice, and a hostile header can't cost quadratic time.
_ITEM = r'"((?:[^"\\]|\\.)*+)(?:"((?:\s*+;\s*+[a-z*][a-z0-9_.*-]*+=[0-9.]++)*+)|)'
_PARAMETER = r";\s*([a-z*][a-z0-9_.*-]*)=(\d{1,15}(?:\.\d{1,15})?)(?![\d.])"


@lru_cache(maxsize=16)
def _usual(quoted: str, policy: str) -> tuple[str, int | None, float | None] | None:
    """The name, quota and window of an item that begins with a plain quoted name."""
    found = _QUOTED(quoted)
    return found and (found[1], *_policies(policy).get(found[1], _NO_POLICY))


def _policies(header: str) -> dict[str, tuple[int | None, float | None]]:
    """Quota and window by name."""
    return {
        name: (int(item["q"]) if "q" in item else None, item.get("w"))
        for name, item in _items(header).items()
    }


def _items(header: str) -> dict[str, dict[str, float]]:
    return {
        name: {key: float(number) for key, number in re.findall(_PARAMETER, parameters)}
        for name, parameters in re.findall(_ITEM, header)
    }
