"""Builds: looked up, listed, cancelled, and their logs."""

from collections.abc import Callable
from typing import Final

from builds_async.models.builds import BuildStatus
from builds_async.simulator import bodies
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.endpoints.calls import Call, Reply, known, listed_worker, paged
from builds_async.simulator.logs import BadCursorError, log_page
from builds_async.simulator.refusals import (
    BadBodyError,
    BadQueryError,
    ConflictError,
    RefusalError,
    UnknownError,
)

MAX_IDS: Final = 20

_CANCEL_REFUSALS: Final[dict[int, type[RefusalError]]] = {
    refusal.status: refusal for refusal in (BadBodyError, UnknownError, ConflictError)
}


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
    if _has_no_log(call, build):
        raise UnknownError
    asked = call.request.query.get("cursor")
    try:
        page = log_page(
            build, asked, size=state.page_size, behaviour=state.behaviour, calendar=state.calendar
        )
    except BadCursorError as error:
        raise BadQueryError from error
    return Reply(page)


def _has_no_log(call: Call, build: SimulatedBuild) -> bool:
    behaviour, stopped = call.state.behaviour, build.entered(BuildStatus.STOPPED)
    if behaviour.logs_kept is not None and stopped is not None:
        return call.now >= stopped + behaviour.logs_kept
    return not build.begun and behaviour.queued_logs == "not_found"


def worker_builds(call: Call) -> Reply:
    """GET builds/workers/{script_tag}/builds."""
    listed_worker(call)
    builds = call.state.builds_of(call.names["script_tag"])
    return paged(call, builds, lambda build: bodies.build_body(call.state, build))


def _build(call: Call) -> SimulatedBuild:
    return known(call.state.builds, call.names["build_uuid"])


def _bulk(call: Call, parameter: str, find: Callable[[str], SimulatedBuild | None]) -> Reply:
    ids = call.request.query.get(parameter, "").split(",")
    if len(ids) > MAX_IDS or not all(ids):
        raise BadQueryError
    found = {name: find(name) for name in ids}
    builds = {name: bodies.build_body(call.state, build) if build else None for name, build in found.items()}
    if call.state.behaviour.unknown_ids == "absent":
        builds = {name: body for name, body in builds.items() if body is not None}
    return Reply({"builds": builds})
