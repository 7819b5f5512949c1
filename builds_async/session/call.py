"""`Call`: one call of the API as a value, from its HTTP method to the decoder of its result."""

from typing import Generic, TypeVar

import msgspec

from builds_async.models.envelope import Envelope
from builds_async.session.redact import Secret

T = TypeVar("T")


class Call(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """The request that a method makes, and how to read its response."""

    method: str
    """The HTTP method."""

    path: str
    """The path below the account, percent-encoded."""

    decoder: msgspec.json.Decoder[Envelope[T]]
    """Decodes the body of a successful response."""

    query: str = ""
    """The query, percent-encoded."""

    body: bytes | None = None
    """The body as JSON; None for no body."""

    nullable: bool = False
    """Whether `result` may be null. If not, null is a ResponseDecodeError."""

    secrets: tuple[Secret, ...] = ()
    """Secrets in the path or the body, which no error, log record or observation may show."""

    confidential: bool = False
    """Whether the response may contain secrets. With `secrets` it always may, since it can echo them."""

    anonymous: bool = False
    """Whether it is sent without credentials. Then a 429 does not hold back any other call."""

    hides_result: bool = False
    """Whether the error for an unreadable result shows none of its text, because its content is unknown."""

    def __repr__(self) -> str:
        return f"<Call {self.method}>"  # no path: tracebacks show it, and it may contain a secret

    @property
    def hides_response(self) -> bool:
        """Whether errors show no text of the response, because it may echo a secret in some encoding."""
        return self.confidential or bool(self.secrets)
