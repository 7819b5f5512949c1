"""Triggers: configuration, variables, and builds started manually."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from builds_async.simulator.account import MAX_TRIGGERS
from builds_async.simulator.endpoints.changes import Patterns
from builds_async.simulator.endpoints.settings import (
    NewVariables,
    SettingsBody,
    SettingsChange,
    changed,
    merged,
    new_settings,
)
from builds_async.simulator.endpoints.workers import listed_worker, named_worker
from builds_async.simulator.records import Connection, Trigger
from builds_async.simulator.refusals import BY_STATUS, THIRD_TRIGGER
from builds_async.simulator.routing import Call, Reply, endpoint, find


class NewTrigger(SettingsBody, kw_only=True):
    """A trigger. The live API has defaults for fields that the schema requires."""

    external_script_id: str
    repo_connection_uuid: str
    trigger_name: str
    branch_includes: Patterns
    branch_excludes: Patterns = msgspec.field(default_factory=list)
    build_caching_enabled: bool = False

    def __post_init__(self) -> None:
        _check_excludes(self.branch_excludes)


class TriggerChange(SettingsChange):
    """A change of a trigger."""

    trigger_name: str | UnsetType = UNSET
    branch_includes: Patterns | UnsetType = UNSET
    branch_excludes: Patterns | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check_excludes(self.branch_excludes or [])


class SeedFile(msgspec.Struct, kw_only=True):
    """A file to put into a repository before its first build."""

    filename: str
    content: str
    isBase64: bool = False  # noqa: N815  # its name on the wire
    replace: str | UnsetType = UNSET


class Seed(msgspec.Struct, kw_only=True):
    """A repository to copy before the first build."""

    provider: Literal["github", "gitlab"]
    owner: str
    repository: str
    branch: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    files: Annotated[tuple[SeedFile, ...], Meta(max_length=2)] = ()


class NewBuild(msgspec.Struct, kw_only=True):
    """What to build: a branch, a commit, or both."""

    branch: str | UnsetType = UNSET
    commit_hash: str | UnsetType = UNSET
    seed_repo: Seed | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.branch and not self.commit_hash:
            raise ValueError("a build needs a branch or a commit")


@endpoint("listTriggersByScript", "GET", "/builds/workers/{script_tag}/triggers", "builds:read")
def list_triggers(call: Call) -> Reply:
    """The triggers of a Worker."""
    worker = listed_worker(call)
    if worker is None:
        return Reply([])
    listed = call.account.behavior.deleted_triggers == "listed"
    triggers = worker.triggers if listed else worker.live_triggers
    return Reply([call.views.trigger(trigger) for trigger in triggers])


@endpoint("createTrigger", "POST", "/builds/triggers", "builds:write")
def create_trigger(call: Call) -> Reply:
    """Add a trigger to a Worker."""
    new = call.read(NewTrigger)
    # As the API does, refuse unknown references before a third trigger.
    worker, connection = named_worker(call, new.external_script_id), _connection(call, new)
    settings = new_settings(call, new)
    if len(worker.live_triggers) >= MAX_TRIGGERS:
        raise THIRD_TRIGGER[call.account.behavior.third_trigger]
    trigger = call.account.add_trigger(
        worker,
        connection,
        settings,
        name=new.trigger_name,
        branch_includes=new.branch_includes,
        branch_excludes=new.branch_excludes,
    )
    return Reply(call.views.trigger(trigger))


@endpoint("updateTrigger", "PATCH", "/builds/triggers/{trigger_uuid}", "builds:write")
def update_trigger(call: Call) -> Reply:
    """Change a trigger; fields that are not sent keep their values."""
    # 404 comes before 400: the trigger is looked up before the body is read.
    trigger, change = _trigger(call), call.read(TriggerChange)
    trigger.settings = changed(call, trigger.settings, change)
    sent = change.sent()
    trigger.trigger_name = sent.get("trigger_name", trigger.trigger_name)
    trigger.branch_includes = sent.get("branch_includes", trigger.branch_includes)
    trigger.branch_excludes = sent.get("branch_excludes", trigger.branch_excludes)
    trigger.modified_on = call.now
    return Reply(call.views.trigger(trigger))


@endpoint("deleteTrigger", "DELETE", "/builds/triggers/{trigger_uuid}", "builds:write")
def delete_trigger(call: Call) -> Reply:
    """Delete a trigger and cancel its unfinished builds."""
    call.account.remove_trigger(_trigger(call))
    return Reply(None)


@endpoint("purgeBuildCache", "POST", "/builds/triggers/{trigger_uuid}/purge_build_cache", "builds:write")
def purge_build_cache(call: Call) -> Reply:
    """Purge the build cache of a trigger. The cache itself is not simulated."""
    _trigger(call)
    return Reply(None)


@endpoint("createManualBuild", "POST", "/builds/triggers/{trigger_uuid}/builds", "builds:write")
def start_build(call: Call) -> Reply:
    """Start a build of a trigger."""
    return start(call, _trigger(call))


def start(call: Call, trigger: Trigger) -> Reply:
    """Start the build that the body describes."""
    new = call.read(NewBuild)
    build = call.account.start_build(
        trigger,
        source=call.account.behavior.started_source,
        branch=new.branch or None,
        commit_hash=new.commit_hash or None,
    )
    return Reply(call.views.build(build))


_VARIABLES = "/builds/triggers/{trigger_uuid}/environment_variables"


@endpoint("listEnvironmentVariables", "GET", _VARIABLES, "builds:read")
def list_variables(call: Call) -> Reply:
    """The variables of a trigger."""
    return Reply(call.views.variables(_trigger(call).settings.variables))


@endpoint("upsertEnvironmentVariables", "PATCH", _VARIABLES, "builds:write")
def set_variables(call: Call) -> Reply:
    """Set some variables of a trigger."""
    trigger, sent = _trigger(call), call.read(NewVariables)
    variables = trigger.settings.variables = merged(call, trigger.settings.variables, sent)
    if call.account.behavior.variables_answer == "changed":
        variables = {name: variables[name] for name in sent}
    return Reply(call.views.variables(variables))


@endpoint("deleteEnvironmentVariable", "DELETE", f"{_VARIABLES}/{{environment_variable_key}}", "builds:write")
def delete_variable(call: Call) -> Reply:
    """Delete a variable of a trigger."""
    variables, name = _trigger(call).settings.variables, call.names["environment_variable_key"]
    find(variables, name)
    del variables[name]
    return Reply(None)


def _trigger(call: Call) -> Trigger:
    return call.find(call.account.triggers, "trigger_uuid")


def _connection(call: Call, new: NewTrigger) -> Connection:
    connection = call.account.connections.get(new.repo_connection_uuid)
    if connection is None:
        raise BY_STATUS[call.account.behavior.unknown_references]
    return connection


def _check_excludes(excludes: list[str]) -> None:
    if "*" in excludes:
        raise ValueError("a trigger must not exclude every branch")
