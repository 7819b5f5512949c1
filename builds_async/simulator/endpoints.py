"""The endpoints: one short function each, and the table that routes to them."""

import sys
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from builds_async.simulator import bodies
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.logs import BadCursorError, log_page
from builds_async.simulator.messages import Request
from builds_async.simulator.queues import SimulatedQueue
from builds_async.simulator.refusals import (
    BadBodyError,
    BadQueryError,
    ConflictError,
    RefusalError,
    UnknownError,
)
from builds_async.simulator.state import State

MAX_IDS: Final = 20
MAX_PER_PAGE: Final = 200
_TAG_LENGTH: Final = 32
_TOO_LONG: Final = 10


_CANCEL_REFUSALS: Final[dict[int, type[RefusalError]]] = {
    refusal.status: refusal for refusal in (BadBodyError, UnknownError, ConflictError)
}


class Call(NamedTuple):
    """A routed request: what its path names, and what it asks."""

    state: State
    names: dict[str, str]
    request: Request


class Reply(NamedTuple):
    """What an endpoint gives back."""

    result: object
    result_info: dict[str, Any] | None = None


Endpoint: TypeAlias = Callable[[Call], Reply]
Permission: TypeAlias = Literal["read", "write"]


def builds_by_version(call: Call) -> Reply:
    """GET builds/builds."""
    return _bulk(call, "version_ids", call.state.by_version)


def latest_builds(call: Call) -> Reply:
    """GET builds/builds/latest."""
    return _bulk(call, "external_script_ids", call.state.latest)


def get_build(call: Call) -> Reply:
    """GET builds/builds/{build_uuid}."""
    return Reply(bodies.build_body(call.state, _build(call), single=True))


def cancel_build(call: Call) -> Reply:
    """PUT builds/builds/{build_uuid}/cancel."""
    build = _build(call)
    answer = call.state.behaviour.cancel_finished
    if not build.cancel() and answer != "ok":
        raise _CANCEL_REFUSALS[answer]
    return Reply(bodies.canceled_body(call.state, build))


def build_logs(call: Call) -> Reply:
    """GET builds/builds/{build_uuid}/logs."""
    state, build = call.state, _build(call)
    if not build.begun and state.behaviour.queued_logs == "not_found":
        raise UnknownError
    asked = call.request.query.get("cursor")
    try:
        page = log_page(
            build, asked, size=state.page_size, behaviour=state.behaviour, calendar=state.calendar
        )
    except BadCursorError as error:
        raise BadQueryError from error
    return Reply(page)


def worker_builds(call: Call) -> Reply:
    """GET builds/workers/{external_script_id}/builds."""
    state, tag = call.state, call.names["external_script_id"]
    page, per_page = _number(call, "page", 1), _number(call, "per_page", 50, MAX_PER_PAGE)
    if tag not in state.repositories and (
        len(tag) != _TAG_LENGTH or state.behaviour.unknown_worker == "not_found"
    ):
        raise UnknownError
    builds = state.builds_of(tag)
    shown = builds[(page - 1) * per_page : page * per_page]
    info = {
        "next_page": page * per_page < len(builds),
        "page": page,
        "per_page": per_page,
        "count": len(shown),
        "total_count": len(builds),
        "total_pages": -(-len(builds) // per_page),
    }
    return Reply([bodies.build_body(state, build) for build in shown], info)


def pull_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/pull."""
    return Reply(_queue(call).pull(call.request.body))


def ack_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/ack."""
    return Reply(_queue(call).ack(call.request.body))


def extend_messages(call: Call) -> Reply:
    """POST queues/{queue_id}/messages/extend."""
    return Reply(_queue(call).extend(call.request.body))


class Route(NamedTuple):
    """A method and a path under the account; `{name}` stands for any one segment."""

    method: str
    path: str
    permission: Permission
    endpoint: Endpoint


ROUTES: Final = (
    Route("GET", "builds/builds", "read", builds_by_version),
    Route("GET", "builds/builds/latest", "read", latest_builds),
    Route("GET", "builds/builds/{build_uuid}", "read", get_build),
    Route("PUT", "builds/builds/{build_uuid}/cancel", "write", cancel_build),
    Route("GET", "builds/builds/{build_uuid}/logs", "read", build_logs),
    Route("GET", "builds/workers/{external_script_id}/builds", "read", worker_builds),
    Route("POST", "queues/{queue_id}/messages/pull", "write", pull_messages),
    Route("POST", "queues/{queue_id}/messages/ack", "write", ack_messages),
    Route("POST", "queues/{queue_id}/messages/extend", "write", extend_messages),
)


def find_route(method: str, segments: tuple[str, ...]) -> tuple[Route, dict[str, str]]:
    """The first route of the table that fits, and what the names in its path stand for.

    Raises:
        UnknownError: None fits.
    """
    for route in ROUTES:
        names = _match(tuple(route.path.split("/")), segments) if route.method == method else None
        if names is not None:
            return route, names
    raise UnknownError


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    names = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            names[part[1:-1]] = segment
        elif part != segment:
            return None
    return names


def _build(call: Call) -> SimulatedBuild:
    build = call.state.builds.get(call.names["build_uuid"])
    if build is None:
        raise UnknownError
    return build


def _queue(call: Call) -> SimulatedQueue:
    queue = call.state.queues.get(call.names["queue_id"])
    if queue is None:
        raise UnknownError
    return queue


def _bulk(call: Call, parameter: str, find: Callable[[str], SimulatedBuild | None]) -> Reply:
    ids = call.request.query.get(parameter, "").split(",")
    if len(ids) > MAX_IDS or not all(ids):
        raise BadQueryError
    found = {name: find(name) for name in ids}
    builds = {name: bodies.build_body(call.state, build) if build else None for name, build in found.items()}
    if call.state.behaviour.unknown_ids == "absent":
        builds = {name: body for name, body in builds.items() if body is not None}
    return Reply({"builds": builds})


def _number(call: Call, parameter: str, default: int, largest: int = sys.maxsize) -> int:
    text = call.request.query.get(parameter, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < _TOO_LONG else 0
    if not 1 <= number <= largest:
        raise BadQueryError
    return number
