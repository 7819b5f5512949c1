"""The one value that travels: a call of the API, from a resource's method to the decoded result."""

from typing import Generic, TypeVar

import msgspec

from builds_async.models.envelope import Envelope
from builds_async.session.redact import Secret

T = TypeVar("T")


class Call(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """A request of a resource method, and how to read its response."""

    method: str

    path: str
    """Below the account, encoded."""

    decoder: msgspec.json.Decoder[Envelope[T]]

    query: str = ""
    """Encoded."""

    body: bytes | None = None

    nullable: bool = False
    """Whether a `result` of null is one; otherwise it is a ResponseDecodeError."""

    secrets: tuple[Secret, ...] = ()
    """What the path or the body carries that no error, log record or observation may show."""

    confidential: bool = False
    """Whether the response carries secrets as well. That of a call with `secrets` may always echo them."""

    anonymous: bool = False
    """Whether it goes without the credentials. A rate limit that it meets then holds back no other call."""

    hides_result: bool = False
    """Whether the error for a result that can't be read shows nothing of it, as for results of any kind."""

    def __repr__(self) -> str:
        return f"<Call {self.method}>"  # no path: it may stand in a traceback

    @property
    def hides_response(self) -> bool:
        """Whether errors show no text of the response: a secret can be echoed in too many ways."""
        return self.confidential or bool(self.secrets)
