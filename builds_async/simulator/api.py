"""The simulated API as a function: a request in, an answer out. It never waits and knows no socket.

What a request meets, in this order: the rate limit, the plan of faults, the token, the account, the route,
the permission, the endpoint.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from builds_async.simulator import bodies
from builds_async.simulator.answers import INSTEAD, Speaker
from builds_async.simulator.behaviour import RateLimit, TokenKind
from builds_async.simulator.endpoints import Call, find_route
from builds_async.simulator.faults import Fault, FaultKind, FaultPlan
from builds_async.simulator.limits import RateWindow
from builds_async.simulator.messages import Answer, Request, SeenRequest
from builds_async.simulator.refusals import (
    ForbiddenError,
    InvalidTokenError,
    MissingTokenError,
    RefusalError,
    UnknownError,
)
from builds_async.simulator.state import State

PREFIX: Final = "/client/v4"


class Api:
    """Answers requests out of a `State`.

    It remembers the last `keep_requests` requests, and of each build the last page of its log.
    """

    def __init__(
        self,
        state: State,
        *,
        rate_limit: RateLimit | None = None,
        faults: Iterable[Fault | FaultKind] = (),
        keep_requests: int = 10_000,
    ) -> None:
        self.state: Final = state
        self.rate: Final = RateWindow(rate_limit, state.calendar.now())
        self.faults: Final = FaultPlan(faults)
        self.requests: Final[deque[SeenRequest]] = deque(maxlen=keep_requests)
        self._speaker = Speaker(state, self.rate)
        self._pages: dict[str, bytes] = {}

    def answer(self, request: Request) -> Answer:
        """Answer one request at the clock's `now()`."""
        now = self.state.calendar.now()
        wait = self.rate.enter(now)
        fault = None if wait else self.faults.take(request.method, request.path)
        answer = self._speaker.too_many(wait) if wait else self._answer(request, fault)
        self.requests.append(
            SeenRequest(
                method=request.method,
                path=request.path,
                query=request.query,
                when=now,
                status=answer.status,
                fault=None if fault is None else fault.kind,
            )
        )
        return answer

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        if fault is None:
            return self._serve(request)
        if fault.kind == "repeated_page" and request.path in self._pages:
            return self._speaker.say(200, self._pages[request.path])
        if fault.kind in INSTEAD:
            return INSTEAD[fault.kind](self._speaker, fault)
        return msgspec.structs.replace(self._serve(request), fault=fault)

    def _serve(self, request: Request) -> Answer:
        try:
            body = self._body(request)
        except RefusalError as refusal:
            return self._speaker.say(refusal.status, bodies.error_envelope(refusal.code, refusal.message))
        if request.path.endswith("/logs"):
            self._pages[request.path] = body
        return self._speaker.say(200, body)

    def _body(self, request: Request) -> bytes:
        kind = self._authenticate(request)
        segments = request.segments
        prefix, account, place = segments[:3], segments[3:4], segments[4:]
        if prefix != ("client", "v4", "accounts") or not account:
            raise UnknownError
        if account != (self.state.account_id,) or kind == TokenKind.NO_PERMISSION:
            raise ForbiddenError
        route, names = find_route(request.method, place)
        if route.permission == "write" and kind == TokenKind.READ_ONLY:
            raise ForbiddenError
        reply = route.endpoint(Call(self.state, names, request))
        return bodies.envelope(reply.result, reply.result_info)

    def _authenticate(self, request: Request) -> TokenKind:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        email, key = request.headers.get("x-auth-email"), request.headers.get("x-auth-key")
        if scheme.lower() == "bearer" and token:
            kind = self.state.tokens.get(token)
        elif email and key:
            known = self.state.behaviour.email_key_pair and self.state.key_pairs.get(email) == key
            kind = TokenKind.FULL if known else None
        else:
            raise MissingTokenError
        if kind is None or kind == TokenKind.ACCOUNT_OWNED:
            raise InvalidTokenError
        return kind
