"""Reading a response as the session does, without a session."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from builds_async.models.envelope import Envelope
from builds_async.session import reply
from builds_async.session.call import Call
from builds_async.session.reply import Reply
from builds_async.session.transport import Request, Response

T = TypeVar("T")


def read(
    response: Response,
    decoder: msgspec.json.Decoder[Envelope[T]],
    *,
    method: str = "GET",
    path: str = "",
    nullable: bool = True,
    secrets: Iterable[str] = (),
) -> Reply[T]:
    """The reply that a response is, or its error."""
    call = Call(method, path, decoder, nullable=nullable)
    return reply.read(response, call, Request(method, path), secrets=secrets)
