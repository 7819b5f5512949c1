"""Reads invalid JSON: bytes that are not UTF-8, control characters, lone surrogates."""

import json
import math
import re
from typing import Any, Final, TypeAlias

from builds_async.models.scalars import MAX_DIGITS

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = "[\ud800-\udfff]"
# Possessive quantifiers, so that megabytes of white space do not cause backtracking.
_SEPARATOR: Final = re.compile(r"[ \t\r\n]*+([\[,])[ \t\r\n]*+")
_Value: TypeAlias = Any
"""JSON."""


def loads(body: bytes | str) -> object:
    """Decode `body` as JSON, even if its strings are invalid. Takes linear time.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD, raw control characters are kept, and an
    integer of more than 64 digits becomes infinity. ValueError for anything else that is not JSON, or
    RecursionError if it is nested too deeply.
    """
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    value = json.loads(text.removeprefix("\ufeff"), strict=False, parse_int=_integer)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def first_items(start: bytes, most: int) -> list[object]:
    """The first items of the JSON array that begins with `start`, at most `most` of them.

    Stops at the first item that is invalid or cut off. Empty if `start` does not begin an array.
    """
    text = start.decode("utf-8", "replace")
    found: list[object] = []
    at, separator = 0, "["
    while len(found) < most:
        match = _SEPARATOR.match(text, at)
        if match is None or match[1] != separator:
            break
        try:
            item, at = _ITEMS.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            break
        found.append(_without_surrogates(item))
        separator = ","
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


_ITEMS: Final = json.JSONDecoder(strict=False, parse_int=_integer)


def _without_surrogates(value: _Value) -> _Value:
    """The value with U+FFFD for each lone surrogate, which could be neither encoded nor printed."""
    if isinstance(value, str):
        return value if value.isascii() else re.sub(_SURROGATE, "\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
