"""Sends the requests of a probe: few, read-only, and independent of each other's failures."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

from builds_async.errors import (
    APIError,
    AuthenticationError,
    BuildsConnectionError,
    BuildsError,
    PermissionDeniedError,
    RateLimitError,
)
from builds_async.session.custom_call import QueryValue, custom_call
from builds_async.session.session import ApiSession

MOST_REQUESTS: Final = 30
"""The maximum number of requests of a probe."""

_MOST_BROKEN = 2
"""How many requests in a row without a response end the probe: each may take a whole timeout."""


class Answer(NamedTuple):
    """A successful response: its `result` as JSON, the headers and the server's date."""

    result: Any
    headers: Mapping[str, str]
    date: datetime | None
    total_pages: int = 0


class Refused(NamedTuple):
    """A refusal of the API: the status and the codes, without the texts."""

    status: int
    codes: tuple[int, ...]

    def __str__(self) -> str:
        codes = ", ".join(map(str, self.codes))
        return f"{self.status} ({codes})" if codes else str(self.status)


class NotAsked(NamedTuple):
    """The reason why there is no answer."""

    why: str


Reply: TypeAlias = Answer | Refused | NotAsked

INTERRUPTED: Final = NotAsked("the probe was cut short")


class Asker:
    """Sends at most `limit` requests over a session without retries."""

    def __init__(self, session: ApiSession, limit: int = MOST_REQUESTS) -> None:
        self._session = session
        self._limit = limit
        self._broken = 0
        self._closed: NotAsked | None = None
        self._closed_builds: NotAsked | None = None
        self.requests: int = 0
        """How many requests were sent."""

    @property
    def was_turned_away(self) -> bool:
        """Whether the API refuses all requests, or all requests for builds."""
        return self._closed is not None or self._closed_builds is not None

    async def ask(self, path: str, **query: QueryValue) -> Reply:
        """The reply to a GET of a path below the account."""
        for_builds = path.startswith("/builds/")
        if closed := self._closed or (self._closed_builds if for_builds else None):
            return closed
        if self.requests >= self._limit:
            return NotAsked(f"the {self._limit} requests of a probe were used up")
        try:
            call = custom_call("GET", path, object, query, None)
        except ValueError:  # the API returned a cursor that looks like a credential
            return NotAsked("the cursor of the API can't be sent back")
        self.requests += 1
        try:
            reply = await self._session.exchange(call)
        except BuildsError as error:
            return self._failed(error, for_builds=for_builds)
        self._broken = 0
        pages = reply.result_info and reply.result_info.total_pages
        return Answer(reply.result, reply.headers, reply.date, pages or 0)

    def _failed(self, error: BuildsError, *, for_builds: bool) -> Reply:
        if isinstance(error, BuildsConnectionError):
            self._broken += 1
            if self._broken >= _MOST_BROKEN:
                self._closed = NotAsked("the API can't be reached")
            return NotAsked("there was no complete response")
        self._broken = 0
        if isinstance(error, RateLimitError):
            self._closed = NotAsked("the rate limit was reached")
            return self._closed
        if not isinstance(error, APIError):
            return NotAsked("the response can't be read")
        refused = Refused(error.status, error.codes)
        is_final = isinstance(error, AuthenticationError) or (
            isinstance(error, PermissionDeniedError) and bool(error.errors)  # else it is from a firewall
        )
        if for_builds and is_final:
            self._closed_builds = NotAsked(f"the API refuses builds to these credentials: {refused}")
        return refused
