"""The parts of an endpoint: the decorator that declares it, its call and its reply, and the router."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from builds_async.simulator.account import Account
from builds_async.simulator.messages import Request
from builds_async.simulator.records import Json
from builds_async.simulator.refusals import BadBodyError, BadQueryError, UnknownError
from builds_async.simulator.views import Views

T = TypeVar("T")

Permission: TypeAlias = Literal[
    "builds:read", "builds:write", "scripts:read", "queues:read", "queues:write", "user", "anybody"
]
"""The permission that an endpoint needs: for Workers Builds ("Workers CI"), for Workers ("Workers Scripts")
or for queues. `user` accepts any user-owned token; `anybody` needs no token."""

Scope: TypeAlias = Literal["account", "root"]
"""Whether a path starts below the account or at the root of the API."""

_TOO_LONG = 10


class Reply(NamedTuple):
    """The result of an endpoint: the parts of the envelope, and the status."""

    result: object
    result_info: Json | None = None
    messages: Sequence[object] = ()
    status: int = 200


class Call(NamedTuple):
    """A request to an endpoint. `names` has the values of the placeholders in the path."""

    account: Account
    names: dict[str, str]
    request: Request

    @property
    def now(self) -> float:
        """The clock's seconds."""
        return self.account.now()

    @property
    def views(self) -> Views:
        """The account's records as the API shows them."""
        return Views(self.account)

    def read(self, kind: type[T]) -> T:
        """The decoded body of the request. BadBodyError if it is not JSON, or does not fit the type."""
        try:
            return msgspec.json.decode(self.request.body, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadBodyError from error

    def number(self, parameter: str, default: int, largest: int = sys.maxsize) -> int:
        """A positive integer from the query. BadQueryError for anything else."""
        text = self.request.query.get(parameter, str(default))
        # No real page number is long, and int() raises for a very long one.
        value = int(text) if text.isascii() and text.isdigit() and len(text) < _TOO_LONG else 0
        if not 1 <= value <= largest:
            raise BadQueryError
        return value

    def choice(self, parameter: str, words: Sequence[str]) -> str:
        """A query parameter with fixed values. The first value is the default; BadQueryError for others."""
        word = self.request.query.get(parameter, words[0])
        if word not in words:
            raise BadQueryError
        return word

    def page(
        self, items: Sequence[T], view: Callable[[T], Json], *, default: int = 50, largest: int = 200
    ) -> Reply:
        """The page of a list that the query selects with `page` and `per_page`."""
        page, per_page = self.number("page", 1), self.number("per_page", default, largest)
        shown = items[(page - 1) * per_page : page * per_page]
        info = {
            "next_page": page * per_page < len(items),
            "page": page,
            "per_page": per_page,
            "count": len(shown),
            "total_count": len(items),
            "total_pages": -(-len(items) // per_page),  # rounded up
        }
        return Reply([view(item) for item in shown], info)

    def find(self, things: Mapping[str, T], name: str) -> T:
        """The record whose id is in the placeholder `name` of the path. UnknownError if there is none."""
        return find(things, self.names[name])


def find(things: Mapping[str, T], key: str) -> T:
    """The record with this id. UnknownError if there is none."""
    thing = things.get(key)
    if thing is None:
        raise UnknownError
    return thing


class Route(NamedTuple):
    """An endpoint: the operation in the published schema, method and path, permission and function."""

    operation: str
    method: str
    path: str
    permission: Permission
    scope: Scope
    serve: Callable[[Call], Reply]

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments of the path, placeholders in braces."""
        return tuple(self.path.split("/")[1:])


def endpoint(
    operation: str, method: str, path: str, permission: Permission, scope: Scope = "account"
) -> Callable[[Callable[[Call], Reply]], Route]:
    """Declare a function as an endpoint. `{name}` in the path is a placeholder for one segment."""

    def declare(serve: Callable[[Call], Reply]) -> Route:
        return Route(operation, method, path, permission, scope, serve)

    return declare


class Router:
    """Finds the route for a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, Scope, int], list[Route]] = {}
        # If two routes match, such as .../latest and .../{build_uuid}, the one with fewer placeholders wins.
        for route in sorted(routes, key=lambda it: it.path.count("{")):
            key = route.method, route.scope, len(route.segments)
            self._routes.setdefault(key, []).append(route)

    def find(
        self, method: str, segments: Sequence[str], scope: Scope = "account"
    ) -> tuple[Route, dict[str, str]]:
        """The matching route, and the values of its placeholders. UnknownError if there is none."""
        for route in self._routes.get((method, scope, len(segments)), ()):
            pairs = list(zip(route.segments, segments, strict=True))
            if all(part == segment or part.startswith("{") for part, segment in pairs):
                return route, {part[1:-1]: segment for part, segment in pairs if part.startswith("{")}
        raise UnknownError
