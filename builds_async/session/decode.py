"""From the bytes of a body to a Struct. If the typed decoder fails, the body is read field by field."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from builds_async.models.envelope import Done, Envelope, Exact, MendedEnvelope, Receipt
from builds_async.models.lenient import Loss, Unusable, convert
from builds_async.models.lenient_json import loads

T = TypeVar("T")

LARGEST: Final = 16 * 1024 * 1024
"""How large a body may be to be read field by field."""

LARGEST_TEXT: Final = 32 * 1024 * 1024
"""How large a body may be to be read with U+FFFD for invalid bytes: as text it takes up to 4 times that."""

MOST_OBJECTS: Final = 1_000_000
"""How many objects a body of more than `LARGEST` bytes may have: each takes some 200 bytes."""

MOST_MARKS: Final = 250_000
"""How many commas and opening brackets such a body may have.

Each stands for at most one value, wherever it is found, and each value takes up to 200 bytes and some
microseconds. A second reading thus costs at most about 50 MB on top of the texts, and less than a second.
"""

MOST_PLACES: Final = 5
"""How many places of one response are named in the log."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decode raises. RecursionError: arrays nested thousands deep."""


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """`body`, decoded. If the decoder fails, as few odd values as possible are left out.

    Raises the error of the decoder if a second reading fails too.
    """
    if len(body) > LARGEST and body.count(b"{") > MOST_OBJECTS:
        raise msgspec.DecodeError(f"it has more than {MOST_OBJECTS} objects")
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        return _decode_again(decoder, body, error)


_MARKS: Final = (b",", b"[", b"{")


def _decode_again(decoder: msgspec.json.Decoder[T], body: bytes, error: Exception) -> T:
    if not isinstance(error, msgspec.ValidationError) and (text := _as_utf8(body)) is not None:
        try:
            return decoder.decode(text)
        except UNREADABLE:
            pass
    is_exact = getattr(decoder.type, "__origin__", None) is Exact
    if is_exact or len(body) > LARGEST or sum(map(body.count, _MARKS)) > MOST_MARKS:
        raise error
    value, losses = _loaded(body, error), list[Loss]()
    try:
        found: Any = convert(_as_object(value, decoder.type), decoder.type, losses)
    except (Unusable, RecursionError):
        raise error from None
    return _with_losses(found, losses) if losses and isinstance(found, Envelope) else found  # type: ignore[return-value]


def _loaded(body: bytes, error: Exception) -> object:
    try:
        return loads(body)
    except ValueError as other:
        # msgspec stops at the first odd value. If the text behind it is no JSON either, the body was cut,
        # which another attempt may cure: that is the error to raise.
        if isinstance(error, msgspec.ValidationError):
            error = msgspec.DecodeError(str(other))
    except RecursionError:
        pass
    raise error from None


def _as_utf8(body: bytes) -> str | None:
    """A body with U+FFFD for each invalid byte; None if it is valid UTF-8, or too large."""
    if len(body) > LARGEST_TEXT:
        return None
    text = body.decode("utf-8", "replace")
    return text if "\ufffd" in text else None


def _as_object(value: object, kind: object) -> object:
    """`value` as an envelope: the success of a change may be a bare word, which is then its result."""
    is_bare = not isinstance(value, dict) and is_receipt(kind)
    return {"result": value} if is_bare else value


def receipts(kind: type[T]) -> msgspec.json.Decoder[Envelope[T]]:
    """A decoder for responses to calls that have changed something: see `Receipt`."""
    return msgspec.json.Decoder(Receipt[kind])  # type: ignore[valid-type]


DONE: Final[msgspec.json.Decoder[Envelope[None]]] = msgspec.json.Decoder(Done)
"""For calls without a result: the body of a success does not matter, and may be empty."""


def is_receipt(kind: object) -> bool:
    """Whether a type is for responses to calls that have changed something."""
    return kind is Done or getattr(kind, "__origin__", kind) is Receipt


def _with_losses(envelope: Envelope[Any], losses: list[Loss]) -> MendedEnvelope[Any]:
    return MendedEnvelope(
        success=envelope.success,
        result=envelope.result,
        result_info=envelope.result_info,
        losses=tuple(losses),
    )


def described(losses: Iterable[Loss]) -> str:
    """The places of the lost values, without any text of the response: `2 x result[].pull_request`."""
    places = Counter(loss.place for loss in losses)
    named = [f"{count} x {place.lstrip('.')}" for place, count in places.most_common(MOST_PLACES)]
    rest = len(places) - len(named)
    return ", ".join([*named, f"and {rest} more places"] if rest else named)
