"""Reads a response as the session does, without a session."""

import json
from collections.abc import Iterable
from typing import TypeVar

import msgspec
import pytest
from multidict import CIMultiDict

from builds_async import BuildsError
from builds_async.models.envelope import Envelope
from builds_async.session import reply
from builds_async.session.call import Call
from builds_async.session.transport import Request, Response

T = TypeVar("T")

NUMBER = msgspec.json.Decoder(Envelope[int])
RAY = "8f2c1d0e9b7a6543-FRA"


def read(
    response: Response,
    decoder: msgspec.json.Decoder[Envelope[T]],
    *,
    method: str = "GET",
    path: str = "",
    nullable: bool = True,
    secrets: Iterable[str] = (),
) -> Envelope[T]:
    """The envelope of a response; raises its error otherwise."""
    call = Call(method, path, decoder, nullable=nullable)
    return reply.read(response, call, Request(method, path), secrets=secrets)


def a_response(body: object, status: int = 200, **headers: str) -> Response:
    """A response as it arrives over the wire."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), data
    )


def refused(
    response: Response, *, method: str = "GET", path: str = "", secrets: Iterable[str] = ()
) -> BuildsError:
    """The error in a response."""
    with pytest.raises(BuildsError) as caught:
        read(response, NUMBER, method=method, path=path, secrets=secrets)
    return caught.value
