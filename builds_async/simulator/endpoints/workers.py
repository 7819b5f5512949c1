"""Build configurations of Workers."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from builds_async.simulator.endpoints.changes import Branch, SomeChange
from builds_async.simulator.endpoints.repos import NewConnection, check_repository
from builds_async.simulator.endpoints.settings import (
    NewSettings,
    WorkerSettingsChange,
    changed,
    named_token,
    new_settings,
)
from builds_async.simulator.records import Json, Settings, Trigger, Worker
from builds_async.simulator.refusals import BY_STATUS, BadBodyError, ConflictError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint
from builds_async.simulator.views import proposed_deploy_command

TAG_LENGTH = 32

_WITH_GRANT = ("gitlab_internal", "origin")
_WORKER = "/builds/workers/{script_tag}"


class NewGitRepository(NewConnection):
    """A repository and its production branch."""

    branch: Branch
    grant_id: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.provider_type in _WITH_GRANT and self.grant_id is UNSET:
            raise ValueError("this provider needs a grant")


class NewWorkerBuild(msgspec.Struct, kw_only=True):
    """The build configuration of a Worker."""

    script_tag: str
    git_repository: NewGitRepository
    production_settings: NewSettings
    previews_enabled: bool
    previews_base_config: NewSettings


class GitChange(SomeChange):
    """A change of the production branch."""

    branch: Branch | UnsetType = UNSET


class WorkerBuildChange(SomeChange):
    """A change of a Worker's build configuration."""

    git_repository: GitChange | UnsetType = UNSET
    production_settings: WorkerSettingsChange | UnsetType = UNSET
    previews_enabled: bool | UnsetType = UNSET
    previews_base_config: WorkerSettingsChange | UnsetType = UNSET


class Migration(msgspec.Struct, kw_only=True):
    """The deploy command of Previews after a migration."""

    deploy_command: str | UnsetType = UNSET


@endpoint("createWorkerBuild", "POST", "/builds/workers", "builds:write")
def create_worker_build(call: Call) -> Reply:
    """Connect a Worker to a repository."""
    new = call.read(NewWorkerBuild)
    worker = named_worker(call, new.script_tag)
    if worker.production is not None:
        raise ConflictError
    production, base = (new_settings(call, it) for it in (new.production_settings, new.previews_base_config))
    repository = msgspec.structs.asdict(new.git_repository)
    # The remaining fields are the arguments of `connect`.
    branch, grant_id = repository.pop("branch"), repository.pop("grant_id") or None
    check_repository(call, repository["provider_account_id"], repository["repo_id"])
    connection = call.account.connect(**repository, grant_id=grant_id)
    call.account.add_trigger(
        worker,
        connection,
        production,
        name="Deploy default branch",
        branch_includes=[branch],
        branch_excludes=[],
    )
    worker.previews_base, worker.previews_enabled = base, new.previews_enabled
    return Reply(_body(call, worker), status=201)


@endpoint("getWorkerBuild", "GET", _WORKER, "builds:read")
def get_worker_build(call: Call) -> Reply:
    """The build configuration of a Worker."""
    return Reply(_body(call, _worker(call)))


@endpoint("updateWorkerBuild", "PATCH", _WORKER, "builds:write")
def update_worker_build(call: Call) -> Reply:
    """Change a build configuration; fields that are not sent keep their values."""
    worker = _worker(call)
    production = _production(worker)
    everywhere = call.choice("patch_existing_previews", ("false", "true")) == "true"
    change = call.read(WorkerBuildChange)
    new = _changed(call, production.settings, change.production_settings)
    base = _new_base(call, worker, change)
    previews = call.account.previews_of(worker.tag) if everywhere else []
    new_previews = [_changed(call, it.trigger.settings, change.previews_base_config) for it in previews]
    if change.previews_enabled is True and base is None:
        raise BadBodyError
    # All of the change is validated before any of it is applied.
    production.settings = new
    _set_base(worker, base)
    for preview, settings in zip(previews, new_previews, strict=True):
        preview.trigger.settings = settings
    if change.previews_enabled is not UNSET:
        worker.previews_enabled = change.previews_enabled
    if change.git_repository is not UNSET and change.git_repository.branch is not UNSET:
        _set_branch(worker, production, change.git_repository.branch)
    production.modified_on = call.now
    return Reply(_body(call, worker))


@endpoint("deleteWorkerBuild", "DELETE", _WORKER, "builds:write")
def delete_worker_build(call: Call) -> Reply:
    """Disconnect a Worker: delete its triggers and Previews, and cancel their unfinished builds."""
    worker = _worker(call)
    _production(worker)
    for trigger in worker.live_triggers:
        call.account.remove_trigger(trigger)
    for preview in call.account.previews_of(worker.tag):
        call.account.cancel_builds(preview.trigger)
        del call.account.previews[preview.worker.tag]
    worker.previews_base, worker.previews_enabled = None, False
    return Reply("ok")


@endpoint("migrateWorkerToPreviews", "POST", f"{_WORKER}/migrate_to_previews", "builds:write")
def migrate_to_previews(call: Call) -> Reply:
    """Replace the trigger of non-production branches by Previews."""
    worker, new = _worker(call), call.read(Migration)
    _production(worker)
    legacy = worker.legacy
    if legacy is None:
        raise BadBodyError
    command = new.deploy_command or proposed_deploy_command(legacy.settings.deploy_command)
    if command is None:
        raise BadBodyError
    worker.previews_base, worker.previews_enabled = legacy.settings.copy(), True
    worker.previews_base.deploy_command = command
    call.account.remove_trigger(legacy)
    return Reply(_body(call, worker))


def _body(call: Call, worker: Worker) -> Json:
    return call.views.configuration(worker, _production(worker))


def _worker(call: Call) -> Worker:
    return call.find(call.account.scripts, "script_tag")


def listed_worker(call: Call) -> Worker | None:
    """The Worker in the path of a list; None for an unknown one whose list is empty."""
    tag = call.names["script_tag"]
    if tag not in call.account.scripts and (
        len(tag) != TAG_LENGTH or call.account.behavior.unknown_worker == "not_found"
    ):
        raise UnknownError
    return call.account.scripts.get(tag)


def named_worker(call: Call, tag: str) -> Worker:
    """The Worker with the tag in a body. 404 or 400, as the switch says, if there is none."""
    worker = call.account.scripts.get(tag)
    if worker is None or worker.parent is not None:
        raise BY_STATUS[call.account.behavior.unknown_references]
    return worker


def _production(worker: Worker) -> Trigger:
    if worker.production is None:
        raise UnknownError
    return worker.production


def _changed(call: Call, settings: Settings, change: WorkerSettingsChange | msgspec.UnsetType) -> Settings:
    return settings if change is UNSET else changed(call, settings, change)


def _new_base(call: Call, worker: Worker, change: WorkerBuildChange) -> Settings | None:
    """The base settings of Previews after a change. BadBodyError if it is the first and incomplete."""
    base = worker.legacy.settings if worker.legacy else worker.previews_base
    if change.previews_base_config is UNSET or base is not None:
        return base and _changed(call, base, change.previews_base_config)
    sent = change.previews_base_config.sent()
    if not {"build_command", "deploy_command", "build_token_uuid"} <= sent.keys():
        raise BadBodyError
    token = named_token(call, sent["build_token_uuid"])
    # The change has all three fields, so these placeholders don't last.
    empty = Settings(build_command="", deploy_command="", token=token)
    return changed(call, empty, change.previews_base_config)


def _set_base(worker: Worker, base: Settings | None) -> None:
    # A legacy trigger serves as the base of Previews, so it gets the change.
    if worker.legacy is not None and base is not None:
        worker.legacy.settings = base
    else:
        worker.previews_base = base


def _set_branch(worker: Worker, production: Trigger, branch: str) -> None:
    """Change the production branch, and exclude the new one from the legacy trigger."""
    if worker.legacy is not None:
        worker.legacy.branch_excludes = [branch]
    production.branch_includes = [branch]
