"""Previews and their builds."""

from msgspec import UNSET

from builds_async.simulator import bodies
from builds_async.simulator.endpoints.calls import Call, Reply, known, listed_worker, paged, read
from builds_async.simulator.endpoints.requests import PreviewChange
from builds_async.simulator.endpoints.settings import changed
from builds_async.simulator.endpoints.triggers import start
from builds_async.simulator.records import Preview
from builds_async.simulator.refusals import ConflictError, UnknownError
from builds_async.simulator.shapes import preview_body, preview_summary


def list_previews(call: Call) -> Reply:
    """GET builds/workers/{script_tag}/previews."""
    listed_worker(call)
    return paged(call, call.state.previews_of(call.names["script_tag"]), preview_summary)


def get_preview(call: Call) -> Reply:
    """GET builds/workers/{script_tag}/previews/{preview_id}."""
    return Reply(preview_body(call.state.calendar, _preview(call)))


def update_preview(call: Call) -> Reply:
    """PATCH builds/workers/{script_tag}/previews/{preview_id}."""
    preview, change = _preview(call), read(call, PreviewChange)
    trigger, sent = preview.trigger, change.sent()
    branch = sent.get("branch", preview.branch)
    others = [it for it in call.state.previews_of(call.names["script_tag"]) if it is not preview]
    if any(other.branch == branch for other in others):
        raise ConflictError
    if change.settings is not UNSET:
        trigger.settings = changed(call, trigger.settings, change.settings)
    trigger.branch_includes, trigger.modified = [branch], call.now
    preview.auto_build = sent.get("auto_build", preview.auto_build)
    preview.auto_delete = sent.get("auto_delete", preview.auto_delete)
    return Reply(preview_body(call.state.calendar, preview))


def preview_builds(call: Call) -> Reply:
    """GET builds/workers/{script_tag}/previews/{preview_id}/builds."""
    builds = call.state.builds_of(_preview(call).worker.tag)
    return paged(call, builds, lambda build: bodies.build_body(call.state, build))


def start_preview_build(call: Call) -> Reply:
    """POST builds/workers/{script_tag}/previews/{preview_id}/builds."""
    return start(call, _preview(call).trigger)


def _preview(call: Call) -> Preview:
    preview = known(call.state.registry.previews, call.names["preview_id"])
    if preview.worker.parent != call.names["script_tag"]:
        raise UnknownError
    return preview
