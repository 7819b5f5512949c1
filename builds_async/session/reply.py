"""Turns a response into the outcome of a call: its result, or an error."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from builds_async.errors import CallFacts
from builds_async.models.envelope import Envelope, MendedEnvelope, ResultInfo
from builds_async.models.lenient import Loss
from builds_async.session import headers
from builds_async.session.call import Call
from builds_async.session.decode import DONE, UNREADABLE, decode, is_receipt
from builds_async.session.refusal import refusal, unreadable, without_text
from builds_async.session.transport import Request, Response

T = TypeVar("T")


class Reply(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A successful response: the decoded envelope and the headers."""

    envelope: Envelope[T]
    headers: Mapping[str, str]

    @property
    def result(self) -> T:
        """The result of the call."""
        return self.envelope.result

    @property
    def result_info(self) -> ResultInfo | None:
        """The place of a page in its list."""
        return self.envelope.result_info

    @property
    def losses(self) -> tuple[Loss, ...]:
        """The unreadable values that were left out."""
        return self.envelope.losses if isinstance(self.envelope, MendedEnvelope) else ()

    @property
    def date(self) -> datetime | None:
        """When it was sent, by the server's clock in whole seconds; None if it has no date."""
        return headers.date(self.headers)

    def lost(self, place: str) -> tuple[Loss, ...]:
        """The elements that were left out of the list or map at `place`."""
        return tuple(loss for loss in self.losses if loss.place == place)


def read(
    response: Response, call: Call[T], request: Request, *, attempts: int = 1, secrets: Iterable[str] = ()
) -> Envelope[T]:
    """Return the envelope of a successful response to `call`, or raise the complete error.

    A response is a success if its status is below 300, `success` is not false, and there is a `result`.
    `secrets` are the client's own. If the body echoes them, they are redacted in the error.
    """
    why, is_garbled = None, False
    if 200 <= response.status < 300:
        try:
            envelope = decode(call.decoder, response.body)
        except UNREADABLE as error:
            if is_receipt(call.decoder.type) and not response.body.strip():
                return call.decoder.decode(b"{}")
            if not _is_refusal(response.body):
                why, is_garbled = str(error), not isinstance(error, msgspec.ValidationError)
        else:
            if envelope.success is not False:
                result = envelope.result
                if result is msgspec.UNSET or (result is None and not call.nullable):
                    why = _complaint(result, call)
                if why is None:
                    return envelope
    # Raised outside the handler, so that its context is not a decoder's error, whose frames have the body.
    facts: CallFacts = {"method": call.method, "path": request.shown_path, "attempts": attempts}
    hides = call.hides_response or (call.hides_result and why is not None)
    shown = without_text(response) if hides else response
    if why is not None:
        raise unreadable(shown, why, secrets, transient=is_garbled, **facts)
    raise refusal(shown, secrets, **facts)


def _complaint(result: object, call: Call[T]) -> str | None:
    """The problem with a success that has no `result`; None if the call needs none."""
    if is_receipt(call.decoder.type):
        return None
    if result is None:
        return "the `result` of the response is null, and this call always has one"
    return "it has no `result`"


def _is_refusal(body: bytes) -> bool:
    """Whether a body that can't be decoded is a well-formed refusal."""
    try:
        return decode(DONE, body).success is False
    except UNREADABLE:
        return False
