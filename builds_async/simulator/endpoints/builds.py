"""Builds and their logs: lookups, lists and canceling."""

from collections.abc import Callable

from builds_async.models.builds import BuildStatus
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.endpoints.workers import listed_worker
from builds_async.simulator.logs import BadCursorError, log_page
from builds_async.simulator.refusals import BY_STATUS, BadQueryError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint

MAX_IDS = 20


@endpoint("getBuildsByVersionIds", "GET", "/builds/builds", "builds:read")
def builds_by_version(call: Call) -> Reply:
    """The builds that produced the given Worker versions."""
    return _bulk(call, "version_ids", call.account.by_version)


@endpoint("getLatestBuildsByScripts", "GET", "/builds/builds/latest", "builds:read")
def latest_builds(call: Call) -> Reply:
    """The latest builds of the given Workers."""
    return _bulk(call, "external_script_ids", call.account.latest)


@endpoint("getBuildByUuid", "GET", "/builds/builds/{build_uuid}", "builds:read")
def get_build(call: Call) -> Reply:
    """One build."""
    return Reply(call.views.single_build(_build(call)))


@endpoint("cancelBuildByUuid", "PUT", "/builds/builds/{build_uuid}/cancel", "builds:write")
def cancel_build(call: Call) -> Reply:
    """Cancel a build that has not stopped."""
    build = _build(call)
    finished = call.account.behavior.cancel_finished
    if not build.cancel() and finished != "ok":
        raise BY_STATUS[finished]
    return Reply(call.views.canceled_build(build))


@endpoint("getBuildLogs", "GET", "/builds/builds/{build_uuid}/logs", "builds:read")
def build_logs(call: Call) -> Reply:
    """A page of a build's log."""
    account, build = call.account, _build(call)
    if _has_no_log(call, build):
        raise UnknownError
    try:
        page = log_page(
            build,
            call.request.query.get("cursor"),
            size=account.page_size,
            behavior=account.behavior,
            calendar=account.calendar,
        )
    except BadCursorError as error:
        raise BadQueryError from error
    return Reply(page)


def _has_no_log(call: Call, build: SimulatedBuild) -> bool:
    behavior, stopped = call.account.behavior, build.entered(BuildStatus.STOPPED)
    if behavior.logs_kept is not None and stopped is not None:
        return call.now >= stopped + behavior.logs_kept
    # A skipped build never begins, so it has no log either.
    return not build.begun and behavior.queued_logs == "not_found"


@endpoint("listBuildsByScript", "GET", "/builds/workers/{script_tag}/builds", "builds:read")
def worker_builds(call: Call) -> Reply:
    """A page of a Worker's builds, newest first."""
    listed_worker(call)
    return call.page(call.account.builds_of(call.names["script_tag"]), call.views.build)


def _build(call: Call) -> SimulatedBuild:
    build = call.find(call.account.builds, "build_uuid")
    if not call.account.is_kept(build):
        raise UnknownError
    return build


def _bulk(call: Call, parameter: str, find: Callable[[str], SimulatedBuild | None]) -> Reply:
    ids = call.request.query.get(parameter, "").split(",")
    if len(ids) > MAX_IDS or not all(ids):
        raise BadQueryError
    found = {name: find(name) for name in ids}
    # A repeated id becomes a single key.
    builds = {name: call.views.build(build) if build else None for name, build in found.items()}
    if call.account.behavior.unknown_ids == "absent":
        builds = {name: body for name, body in builds.items() if body is not None}
    return Reply({"builds": builds})
