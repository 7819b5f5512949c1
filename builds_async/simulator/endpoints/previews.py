"""Previews and their builds."""

from msgspec import UNSET, UnsetType

from builds_async.simulator.endpoints.changes import Branch, SomeChange
from builds_async.simulator.endpoints.settings import WorkerSettingsChange, changed
from builds_async.simulator.endpoints.triggers import start
from builds_async.simulator.endpoints.workers import listed_worker
from builds_async.simulator.records import Preview
from builds_async.simulator.refusals import ConflictError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint


class PreviewChange(SomeChange):
    """A change of a Preview."""

    branch: Branch | UnsetType = UNSET
    auto_build: bool | UnsetType = UNSET
    auto_delete: bool | UnsetType = UNSET
    settings: WorkerSettingsChange | UnsetType = UNSET


_PREVIEW = "/builds/workers/{script_tag}/previews/{preview_id}"


@endpoint("listWorkerPreviews", "GET", "/builds/workers/{script_tag}/previews", "builds:read")
def list_previews(call: Call) -> Reply:
    """A page of a Worker's Previews."""
    listed_worker(call)
    return call.page(call.account.previews_of(call.names["script_tag"]), call.views.listed_preview)


@endpoint("getWorkerPreview", "GET", _PREVIEW, "builds:read")
def get_preview(call: Call) -> Reply:
    """One Preview."""
    return Reply(call.views.preview(_preview(call)))


@endpoint("updateWorkerPreview", "PATCH", _PREVIEW, "builds:write")
def update_preview(call: Call) -> Reply:
    """Change a Preview; fields that are not sent keep their values."""
    preview, change = _preview(call), call.read(PreviewChange)
    trigger, sent = preview.trigger, change.sent()
    branch = sent.get("branch", preview.branch)
    others = [it for it in call.account.previews_of(call.names["script_tag"]) if it is not preview]
    if any(other.branch == branch for other in others):
        raise ConflictError
    if change.settings is not UNSET:
        trigger.settings = changed(call, trigger.settings, change.settings)
    trigger.branch_includes, trigger.modified_on = [branch], call.now
    preview.auto_build = sent.get("auto_build", preview.auto_build)
    preview.auto_delete = sent.get("auto_delete", preview.auto_delete)
    return Reply(call.views.preview(preview))


@endpoint("listBuildsByPreview", "GET", f"{_PREVIEW}/builds", "builds:read")
def preview_builds(call: Call) -> Reply:
    """A page of a Preview's builds, newest first."""
    return call.page(call.account.builds_of(_preview(call).worker.tag), call.views.build)


@endpoint("createPreviewBuild", "POST", f"{_PREVIEW}/builds", "builds:write")
def start_preview_build(call: Call) -> Reply:
    """Start a build of a Preview."""
    return start(call, _preview(call).trigger)


def _preview(call: Call) -> Preview:
    preview = call.find(call.account.previews, "preview_id")
    if preview.worker.parent != call.names["script_tag"]:
        raise UnknownError
    return preview
