"""From a response to the outcome of a call: its result, or an error."""

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
    """A successful response: its result, and what came with it."""

    envelope: Envelope[T]
    headers: Mapping[str, str]

    @property
    def result(self) -> T:
        """The result of the call."""
        return self.envelope.result

    @property
    def result_info(self) -> ResultInfo | None:
        """Where a page stands in its list."""
        return self.envelope.result_info

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was left out because it can't be read."""
        return self.envelope.losses if isinstance(self.envelope, MendedEnvelope) else ()

    @property
    def date(self) -> datetime | None:
        """When it was sent, to the second, by the server's own clock; None if it does not say."""
        return headers.date(self.headers)

    def lost(self, place: str) -> tuple[Loss, ...]:
        """The elements that were left out of the list or map at `place`."""
        return tuple(loss for loss in self.losses if loss.place == place)


def read(
    response: Response, call: Call[T], request: Request, *, attempts: int = 1, secrets: Iterable[str] = ()
) -> Reply[T]:
    """The reply to `call`, or the error that the response is, complete.

    A status below 300 with `success` not false and a `result` is a success. `secrets` are the client's own;
    they are redacted in whatever text of the body ends up in an error, should a server echo them.
    """
    why, is_garbled = None, False
    if 200 <= response.status < 300:
        try:
            envelope = decode(call.decoder, response.body)
        except UNREADABLE as error:
            if is_receipt(call.decoder.type) and not response.body.strip():
                return Reply(call.decoder.decode(b"{}"), response.headers)
            if not _is_refusal(response.body):
                why, is_garbled = str(error), not isinstance(error, msgspec.ValidationError)
        else:
            if envelope.success is not False:
                why = _complaint(envelope, call)
                if why is None:
                    return Reply(envelope, response.headers)
    # Raised down here, so that no error of a decoder is its context: its frames have the body.
    facts: CallFacts = {"method": call.method, "path": request.shown_path, "attempts": attempts}
    hides = call.hides_response or (call.hides_result and why is not None)
    shown = without_text(response) if hides else response
    if why is not None:
        raise unreadable(shown, why, secrets, transient=is_garbled, **facts)
    raise refusal(shown, secrets, **facts)


def _complaint(envelope: Envelope[T], call: Call[T]) -> str | None:
    """What is wrong with the `result` of a success."""
    result = envelope.result
    if (result is None and not call.nullable) or result is msgspec.UNSET:
        if is_receipt(call.decoder.type):
            return None
        if result is None:
            return "the `result` of the response is null, and this call always has one"
        return "it has no `result`"
    return None


def _is_refusal(body: bytes) -> bool:
    """Whether a body that is not of the expected shape is at least a well-formed refusal."""
    try:
        return decode(DONE, body).success is False
    except UNREADABLE:
        return False
