"""Build configurations of Workers."""

import msgspec
from msgspec import UNSET

from builds_async.simulator.endpoints.calls import Call, Reply, choice, find_worker, read
from builds_async.simulator.endpoints.repos import check_repository
from builds_async.simulator.endpoints.requests import (
    Migration,
    NewWorkerBuild,
    WorkerBuildChange,
    WorkerSettingsChange,
)
from builds_async.simulator.endpoints.settings import changed, named_token, named_worker, new_settings
from builds_async.simulator.records import Settings, Trigger, Worker
from builds_async.simulator.refusals import BadBodyError, ConflictError, UnknownError
from builds_async.simulator.shapes import configuration_body, proposed_deploy_command


def create_worker_build(call: Call) -> Reply:
    """POST builds/workers."""
    asked = read(call, NewWorkerBuild)
    worker = named_worker(call, asked.script_tag)
    if worker.production is not None:
        raise ConflictError
    production, base = (
        new_settings(call, it) for it in (asked.production_settings, asked.previews_base_config)
    )
    repository = msgspec.structs.asdict(asked.git_repository)
    branch, grant_id = repository.pop("branch"), repository.pop("grant_id") or None
    check_repository(call, repository["provider_account_id"], repository["repo_id"])
    connection = call.state.registry.connect(**repository, grant_id=grant_id)
    call.state.registry.add_trigger(
        worker,
        connection,
        production,
        name="Deploy default branch",
        branch_includes=[branch],
        branch_excludes=[],
    )
    worker.previews_base, worker.previews_enabled = base, asked.previews_enabled
    return Reply(_body(call, worker), status=201)


def get_worker_build(call: Call) -> Reply:
    """GET builds/workers/{script_tag}."""
    return Reply(_body(call, find_worker(call)))


def update_worker_build(call: Call) -> Reply:
    """PATCH builds/workers/{script_tag}."""
    worker = find_worker(call)
    production = _production(worker)
    everywhere = choice(call, "patch_existing_previews", ("false", "true")) == "true"
    change = read(call, WorkerBuildChange)
    new = _changed(call, production.settings, change.production_settings)
    base, previews = _new_base(call, worker, change), call.state.previews_of(worker.tag) if everywhere else []
    new_previews = [_changed(call, it.trigger.settings, change.previews_base_config) for it in previews]
    if change.previews_enabled is True and base is None:
        raise BadBodyError
    # Nothing was changed before all of it was found good.
    production.settings = new
    _set_base(worker, base)
    for preview, settings in zip(previews, new_previews, strict=True):
        preview.trigger.settings = settings
    if change.previews_enabled is not UNSET:
        worker.previews_enabled = change.previews_enabled
    if change.git_repository is not UNSET and change.git_repository.branch is not UNSET:
        _set_branch(worker, production, change.git_repository.branch)
    production.modified = call.now
    return Reply(_body(call, worker))


def delete_worker_build(call: Call) -> Reply:
    """DELETE builds/workers/{script_tag}."""
    worker = find_worker(call)
    _production(worker)
    for trigger in worker.live_triggers:
        call.state.remove_trigger(trigger)
    for preview in call.state.previews_of(worker.tag):
        call.state.cancel_builds(preview.trigger)
        del call.state.registry.previews[preview.worker.tag]
    worker.previews_base, worker.previews_enabled = None, False
    return Reply("ok")


def migrate_to_previews(call: Call) -> Reply:
    """POST builds/workers/{script_tag}/migrate_to_previews."""
    worker, asked = find_worker(call), read(call, Migration)
    _production(worker)
    legacy = worker.legacy
    if legacy is None:
        raise BadBodyError
    command = asked.deploy_command or proposed_deploy_command(legacy.settings.deploy_command)
    if command is None:
        raise BadBodyError
    worker.previews_base, worker.previews_enabled = legacy.settings.copy(), True
    worker.previews_base.deploy_command = command
    call.state.remove_trigger(legacy)
    return Reply(_body(call, worker))


def _body(call: Call, worker: Worker) -> dict[str, object]:
    return configuration_body(call.state.calendar, worker, _production(worker))


def _production(worker: Worker) -> Trigger:
    if worker.production is None:
        raise UnknownError
    return worker.production


def _changed(call: Call, settings: Settings, change: WorkerSettingsChange | msgspec.UnsetType) -> Settings:
    return settings if change is UNSET else changed(call, settings, change)


def _new_base(call: Call, worker: Worker, change: WorkerBuildChange) -> Settings | None:
    """The base of Previews after a change. The first one must be complete."""
    base = worker.legacy.settings if worker.legacy else worker.previews_base
    if change.previews_base_config is UNSET or base is not None:
        return base and _changed(call, base, change.previews_base_config)
    sent = change.previews_base_config.sent()
    if not {"build_command", "deploy_command", "build_token_uuid"} <= sent.keys():
        raise BadBodyError
    token = named_token(call, sent["build_token_uuid"])
    empty = Settings(build_command="", deploy_command="", token=token)
    return changed(call, empty, change.previews_base_config)


def _set_base(worker: Worker, base: Settings | None) -> None:
    if worker.legacy is not None and base is not None:
        worker.legacy.settings = base
    else:
        worker.previews_base = base


def _set_branch(worker: Worker, production: Trigger, branch: str) -> None:
    """Move the production branch; the legacy trigger leaves that one alone from now on."""
    if worker.legacy is not None:
        worker.legacy.branch_excludes = [branch]
    production.branch_includes = [branch]
