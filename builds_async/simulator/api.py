"""The simulated API as a function from request to response. It never waits and needs no socket.

A request passes these checks in order: the rate limit, the planned faults, the token, the account, the route,
the permission. Then the endpoint serves it. A few routes outside the account need no token.

A request without a valid token, on a route that needs one, belongs to no user. It uses up neither the user's
rate limit nor a planned fault.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from builds_async.simulator.account import Account
from builds_async.simulator.behavior import RateLimit, TokenKind
from builds_async.simulator.endpoints import ROUTES
from builds_async.simulator.faults import Fault, FaultKind, FaultPlan
from builds_async.simulator.limits import RateWindow
from builds_async.simulator.messages import Request, Response, SeenRequest
from builds_async.simulator.refusals import (
    ForbiddenError,
    InvalidApiTokenError,
    InvalidTokenError,
    MissingTokenError,
    RefusalError,
    UnknownError,
)
from builds_async.simulator.responses import FAULT_RESPONSES, ResponseFactory, envelope, error_envelope
from builds_async.simulator.routing import Call, Reply, Route, Router

PREFIX = "/client/v4"

_ROUTER = Router(ROUTES)


class Api:
    """Serves requests from an `Account`.

    It remembers the last `keep_requests` requests, and the last page of each build's log.
    """

    def __init__(
        self,
        account: Account,
        *,
        rate_limit: RateLimit | None = None,
        faults: Iterable[Fault | FaultKind] = (),
        keep_requests: int = 10_000,
    ) -> None:
        self.account = account
        self.rate: RateWindow = RateWindow(rate_limit, account.now())
        self.faults: FaultPlan = FaultPlan(faults)
        self.requests: deque[SeenRequest] = deque(maxlen=keep_requests)
        self._responses = ResponseFactory(account, self.rate)
        self._pages: dict[str, bytes] = {}
        queues = () if account.behavior.account_owned_queues else ("queues", "event_subscriptions")
        # First path segments of the resources that refuse account-owned tokens.
        self._users_only = {("builds",), *((name,) for name in queues)}

    def answer(self, request: Request) -> Response:
        """Serve one request at the clock's `now()`."""
        now = self.account.now()
        counts = self._is_authenticated(request) or _is_public(request)
        # The rate limit comes before the faults: a blocked request must not use up a planned fault.
        wait = self.rate.enter(now) if counts else 0.0
        fault = self.faults.take(request.method, request.path) if counts and not wait else None
        response = self._responses.too_many(wait) if wait else self._respond(request, fault)
        self.requests.append(
            SeenRequest(
                method=request.method,
                path=request.path,
                query=request.query,
                when=now,
                status=response.status,
                fault=None if fault is None else fault.kind,
            )
        )
        return response

    def _respond(self, request: Request, fault: Fault | None) -> Response:
        if fault is None:
            return self._serve(request)
        if fault.kind == "repeated_page":
            page = self._pages.get(request.path)
            return self._serve(request) if page is None else self._responses.make(200, page)
        if fault.kind in FAULT_RESPONSES:
            return FAULT_RESPONSES[fault.kind](self._responses, fault)
        return msgspec.structs.replace(self._serve(request), fault=fault)

    def _serve(self, request: Request) -> Response:
        try:
            reply = self._reply(request)
        except RefusalError as refusal:
            return self._responses.make(refusal.status, error_envelope(refusal.code, refusal.message))
        body = envelope(reply.result, reply.result_info, reply.messages)
        # Kept for the fault `repeated_page`. As bytes, because the log may have grown by then.
        if request.path.endswith("/logs"):
            self._pages[request.path] = body
        return self._responses.make(reply.status, body)

    def _reply(self, request: Request) -> Reply:
        segments = request.segments
        prefix, place = segments[:2], segments[2:]
        if prefix == ("client", "v4") and place[:1] != ("accounts",):
            return self._root_reply(request, place)
        # The real API's order of checks: with a bad token even an unknown route is 401, and an account-owned
        # token is refused (401) before a foreign account is (403).
        kind = self._authenticate(request)
        if prefix != ("client", "v4") or len(place) == 1:
            raise UnknownError
        if kind == TokenKind.ACCOUNT_OWNED and place[2:3] in self._users_only:
            raise InvalidTokenError
        if place[1] != self.account.account_id or kind == TokenKind.NO_PERMISSION:
            raise ForbiddenError
        route, names = _ROUTER.find(request.method, place[2:])
        if not _may(kind, route):
            raise ForbiddenError
        return route.serve(Call(self.account, names, request))

    def _root_reply(self, request: Request, place: tuple[str, ...]) -> Reply:
        try:
            route, names = _ROUTER.find(request.method, place, "root")
        except UnknownError:
            self._authenticate(request)
            raise
        if route.permission == "user" and self._token_kind(request) in {None, TokenKind.ACCOUNT_OWNED}:
            raise InvalidApiTokenError
        return route.serve(Call(self.account, names, request))

    def _authenticate(self, request: Request) -> TokenKind:
        scheme, token = _authorization(request)
        email, key = request.headers.get("x-auth-email"), request.headers.get("x-auth-key")
        if scheme == "bearer" and token:
            kind = self._token_kind(request)
        elif email and key:
            known = self.account.behavior.email_key_pair and self.account.key_pairs.get(email) == key
            kind = TokenKind.FULL if known else None
        else:
            raise MissingTokenError
        if kind is None:
            raise InvalidTokenError
        return kind

    def _is_authenticated(self, request: Request) -> bool:
        try:
            self._authenticate(request)
        except RefusalError:
            return False
        return True

    def _token_kind(self, request: Request) -> TokenKind | None:
        scheme, token = _authorization(request)
        return self.account.api_tokens.get(token) if scheme == "bearer" else None


def _is_public(request: Request) -> bool:
    try:
        route, _ = _ROUTER.find(request.method, request.segments[2:], "root")
    except UnknownError:
        return False
    return request.segments[:2] == ("client", "v4") and route.permission == "anybody"


def _may(kind: TokenKind, route: Route) -> bool:
    """Whether a token of this kind has the permission for a route."""
    group, _, access = route.permission.partition(":")
    if (kind, group) in {(TokenKind.NO_SCRIPTS, "scripts"), (TokenKind.NO_QUEUES, "queues")}:
        return False
    # `user` and `anybody` have no access part, but only routes outside the account have them.
    return kind != TokenKind.READ_ONLY or access == "read"


def _authorization(request: Request) -> tuple[str, str]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower(), token
