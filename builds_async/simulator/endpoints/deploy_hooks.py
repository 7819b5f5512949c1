"""Deploy hooks, and the builds that they start."""

from typing import Annotated

import msgspec
from msgspec import Meta

from builds_async.models.builds import BuildStatus
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.endpoints.workers import TAG_LENGTH
from builds_async.simulator.records import DeployHook
from builds_async.simulator.refusals import ConflictError, TooManyBuildsError, UnknownError
from builds_async.simulator.routing import Call, Reply, endpoint

_MINUTE = 60.0
_MAX_PER_WORKER = 10
_MAX_PER_ACCOUNT = 100

_HOOKS = "/builds/workers/{script_name}/deploy_hooks"
_HOOK = f"{_HOOKS}/{{deploy_hook_uuid}}"


class NewHook(msgspec.Struct, kw_only=True):
    """A deploy hook."""

    deploy_hook_name: Annotated[str, Meta(min_length=1, max_length=58)]
    branch: str


@endpoint("listDeployHooks", "GET", _HOOKS, "builds:read")
def list_hooks(call: Call) -> Reply:
    """The deploy hooks of a Worker."""
    name = call.names["script_name"]
    # A tag in place of a name is always 404, whatever the switch `unknown_worker` says.
    if name not in call.account.workers and (
        len(name) == TAG_LENGTH or call.account.behavior.unknown_worker == "not_found"
    ):
        raise UnknownError
    hooks = _hooks(call, call.account.workers.get(name, ""))
    return Reply([call.views.listed_hook(hook) for hook in hooks])


@endpoint("createDeployHook", "POST", _HOOKS, "builds:write")
def create_hook(call: Call) -> Reply:
    """Add a deploy hook to a Worker."""
    tag, new = call.find(call.account.workers, "script_name"), call.read(NewHook)
    _check_name(call, tag, new.deploy_hook_name)
    return Reply(call.views.hook(call.account.add_hook(tag, new.deploy_hook_name, new.branch)))


@endpoint("getDeployHook", "GET", _HOOK, "builds:read")
def get_hook(call: Call) -> Reply:
    """One deploy hook."""
    return Reply(call.views.hook(_hook(call)))


@endpoint("updateDeployHook", "PUT", _HOOK, "builds:write")
def update_hook(call: Call) -> Reply:
    """Replace the name and the branch of a deploy hook."""
    hook, new = _hook(call), call.read(NewHook)
    if new.deploy_hook_name != hook.deploy_hook_name:
        _check_name(call, hook.external_script_id, new.deploy_hook_name)
    hook.deploy_hook_name, hook.branch, hook.modified_on = new.deploy_hook_name, new.branch, call.now
    return Reply(call.views.hook(hook))


@endpoint("deleteDeployHook", "DELETE", _HOOK, "builds:write")
def delete_hook(call: Call) -> Reply:
    """Delete a deploy hook."""
    hook = _hook(call)
    del call.account.hooks[hook.deploy_hook_uuid]
    return Reply(call.views.hook(hook))


@endpoint(
    "triggerDeployHook", "POST", "/workers/builds/deploy_hooks/{deploy_hook_uuid}", "anybody", scope="root"
)
def trigger_hook(call: Call) -> Reply:
    """Start a build of the hook's branch, unless one is queued already."""
    hook = call.find(call.account.hooks, "deploy_hook_uuid")
    build = _pending(call, hook)
    if build is not None:
        return Reply(call.views.hook_build(build, already_exists=True))
    return Reply(call.views.hook_build(_start(call, hook), already_exists=False))


def _start(call: Call, hook: DeployHook) -> SimulatedBuild:
    trigger = call.account.scripts[hook.external_script_id].trigger_for(hook.branch)
    if trigger is None:
        raise UnknownError
    # Counted only when a build is certain to start: a refused request does not count.
    _count(call, hook.external_script_id)
    hook.last_build_on = call.now
    return call.account.start_build(
        trigger,
        source=call.account.behavior.hook_source,
        branch=hook.branch,
        deploy_hook_name=hook.deploy_hook_name,
    )


def _count(call: Call, tag: str) -> None:
    """Count a build. TooManyBuildsError above the limits per minute, of each Worker and of the account."""
    builds = call.account.hook_builds
    last = [worker for moment, worker in builds if moment > call.now - _MINUTE]
    if last.count(tag) >= _MAX_PER_WORKER or len(last) >= _MAX_PER_ACCOUNT:
        raise TooManyBuildsError
    builds.append((call.now, tag))


def _pending(call: Call, hook: DeployHook) -> SimulatedBuild | None:
    builds = call.account.builds_of(hook.external_script_id)
    return next(
        (it for it in builds if it.status == BuildStatus.QUEUED and it.details.branch == hook.branch), None
    )


def _hooks(call: Call, tag: str) -> list[DeployHook]:
    return [hook for hook in call.account.hooks.values() if hook.external_script_id == tag]


def _hook(call: Call) -> DeployHook:
    hook = call.find(call.account.hooks, "deploy_hook_uuid")
    if call.account.workers.get(call.names["script_name"]) != hook.external_script_id:
        raise UnknownError
    return hook


def _check_name(call: Call, tag: str, name: str) -> None:
    if any(hook.deploy_hook_name == name for hook in _hooks(call, tag)):
        raise ConflictError
