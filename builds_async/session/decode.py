"""Decodes a body to a Struct. If the typed decoder fails, the lenient pass reads the body field by field."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from builds_async.models.envelope import Done, Envelope, Exact, MendedEnvelope, Receipt
from builds_async.models.lenient import Loss, Unusable, convert
from builds_async.models.lenient_json import loads

T = TypeVar("T")

LARGEST: Final = 16 * 1024 * 1024
"""The largest body, in bytes, that is read field by field."""

LARGEST_TEXT: Final = 32 * 1024 * 1024
"""The largest body, in bytes, that is read with U+FFFD for invalid bytes: as text it takes 4 times that."""

MOST_OBJECTS: Final = 1_000_000
"""The maximum number of objects in a body above `LARGEST`: each takes about 200 bytes of memory."""

MOST_MARKS: Final = 250_000
"""The maximum number of commas and opening brackets in a body that is read field by field.

Each value has one of these marks, and takes up to 200 bytes and some microseconds. So a second reading costs
at most about 50 MB, in addition to the texts, and less than a second.
"""

MOST_PLACES: Final = 5
"""The maximum number of places of one response that the log names."""

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of a decode. RecursionError comes from arrays that are nested thousands of levels deep."""


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode `body`. If the decoder fails, a second reading leaves out as few values as possible.

    Raises the error of the decoder if the second reading fails too.
    """
    if len(body) > LARGEST and body.count(b"{") > MOST_OBJECTS:
        raise msgspec.DecodeError(f"it has more than {MOST_OBJECTS} objects")
    try:
        return decoder.decode(body)
    except UNREADABLE as error:
        return _decode_again(decoder, body, error)


_MARKS: Final = (b",", b"[", b"{")


def _decode_again(decoder: msgspec.json.Decoder[T], body: bytes, error: Exception) -> T:
    if not isinstance(error, msgspec.ValidationError) and (text := _repaired_text(body)) is not None:
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
        # msgspec stops at the first value of a wrong type. If the text after it is not JSON, the body was cut
        # off. The error says that instead, because another attempt may succeed.
        if isinstance(error, msgspec.ValidationError):
            error = msgspec.DecodeError(str(other))
    except RecursionError:
        pass
    raise error from None


def _repaired_text(body: bytes) -> str | None:
    """A body as text with U+FFFD for its invalid bytes; None if it is valid UTF-8, or too large."""
    if len(body) > LARGEST_TEXT:
        return None
    text = body.decode("utf-8", "replace")
    return text if "\ufffd" in text else None


def _as_object(value: object, kind: object) -> object:
    """`value` as an envelope. The response to a change may be a bare word, which is then the result."""
    is_bare = not isinstance(value, dict) and is_receipt(kind)
    return {"result": value} if is_bare else value


def receipts(kind: type[T]) -> msgspec.json.Decoder[Envelope[T]]:
    """A decoder for responses to calls that change something: see `Receipt`."""
    return msgspec.json.Decoder(Receipt[kind])  # type: ignore[valid-type]


DONE: Final[msgspec.json.Decoder[Envelope[None]]] = msgspec.json.Decoder(Done)
"""The decoder for calls without a result. The body of a success does not matter, and may be empty."""


def is_receipt(kind: object) -> bool:
    """Whether a type is for responses to calls that change something."""
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
