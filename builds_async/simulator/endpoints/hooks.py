"""Deploy hooks, and the builds that they start."""

from typing import Final

from builds_async.models.builds import BuildStatus
from builds_async.simulator.builds import SimulatedBuild
from builds_async.simulator.endpoints.calls import TAG_LENGTH, Call, Reply, known, read
from builds_async.simulator.endpoints.requests import NewHook
from builds_async.simulator.records import DeployHook, Json
from builds_async.simulator.refusals import ConflictError, TooManyBuildsError, UnknownError
from builds_async.simulator.shapes import hook_body

_A_MINUTE: Final = 60.0
_PER_WORKER: Final = 10
_PER_ACCOUNT: Final = 100


def list_hooks(call: Call) -> Reply:
    """GET builds/workers/{script_name}/deploy_hooks."""
    name = call.names["script_name"]
    if name not in call.state.workers and (
        len(name) == TAG_LENGTH or call.state.behaviour.unknown_worker == "not_found"
    ):
        raise UnknownError
    hooks = _hooks(call, call.state.workers.get(name, ""))
    return Reply([_body(call, hook) | {"latest_build": _latest(call, hook)} for hook in hooks])


def create_hook(call: Call) -> Reply:
    """POST builds/workers/{script_name}/deploy_hooks."""
    tag = known(dict(call.state.workers), call.names["script_name"])
    asked = read(call, NewHook)
    _check_name(call, tag, asked.deploy_hook_name)
    return Reply(_body(call, call.state.registry.add_hook(tag, asked.deploy_hook_name, asked.branch)))


def get_hook(call: Call) -> Reply:
    """GET builds/workers/{script_name}/deploy_hooks/{deploy_hook_uuid}."""
    return Reply(_body(call, _hook(call)))


def update_hook(call: Call) -> Reply:
    """PUT builds/workers/{script_name}/deploy_hooks/{deploy_hook_uuid}."""
    hook, asked = _hook(call), read(call, NewHook)
    if asked.deploy_hook_name != hook.deploy_hook_name:
        _check_name(call, hook.external_script_id, asked.deploy_hook_name)
    hook.deploy_hook_name, hook.branch, hook.modified = asked.deploy_hook_name, asked.branch, call.now
    return Reply(_body(call, hook))


def delete_hook(call: Call) -> Reply:
    """DELETE builds/workers/{script_name}/deploy_hooks/{deploy_hook_uuid}."""
    hook = _hook(call)
    del call.state.registry.hooks[hook.deploy_hook_uuid]
    return Reply(_body(call, hook))


def trigger_hook(call: Call) -> Reply:
    """POST /workers/builds/deploy_hooks/{deploy_hook_uuid}."""
    hook = known(call.state.registry.hooks, call.names["deploy_hook_uuid"])
    build = _pending(call, hook)
    if build is not None:
        return Reply(_started(call, build, already_exists=True))
    return Reply(_started(call, _start(call, hook), already_exists=False))


def _start(call: Call, hook: DeployHook) -> SimulatedBuild:
    trigger = call.state.scripts[hook.external_script_id].trigger_for(hook.branch)
    if trigger is None:
        raise UnknownError
    _count(call, hook.external_script_id)
    hook.last_build = call.now
    return call.state.start_build(
        trigger,
        source=call.state.behaviour.hook_source,
        branch=hook.branch,
        deploy_hook_name=hook.deploy_hook_name,
    )


def _count(call: Call, tag: str) -> None:
    builds = call.state.registry.hook_builds
    last = [worker for moment, worker in builds if moment > call.now - _A_MINUTE]
    if last.count(tag) >= _PER_WORKER or len(last) >= _PER_ACCOUNT:
        raise TooManyBuildsError
    builds.append((call.now, tag))


def _pending(call: Call, hook: DeployHook) -> SimulatedBuild | None:
    builds = call.state.builds_of(hook.external_script_id)
    return next(
        (it for it in builds if it.status == BuildStatus.QUEUED and it.details.branch == hook.branch), None
    )


def _started(call: Call, build: SimulatedBuild, *, already_exists: bool) -> Json:
    if call.state.behaviour.hook_answer == "documents":
        name = call.state.scripts[build.external_script_id].name
        return {"build_uuid": build.build_uuid, "branch": build.details.branch, "worker": name}
    return {
        "build_uuid": build.build_uuid,
        "created_on": call.state.calendar.stamp(build.created),
        "status": call.state.behaviour.status_words.get(build.status, str(build.status)),
        "already_exists": already_exists,
    }


def _latest(call: Call, hook: DeployHook) -> Json | None:
    moment = hook.last_build
    return None if moment is None else {"created_on": call.state.calendar.stamp(moment)}


def _hooks(call: Call, tag: str) -> list[DeployHook]:
    return [hook for hook in call.state.registry.hooks.values() if hook.external_script_id == tag]


def _hook(call: Call) -> DeployHook:
    hook = known(call.state.registry.hooks, call.names["deploy_hook_uuid"])
    if call.state.workers.get(call.names["script_name"]) != hook.external_script_id:
        raise UnknownError
    return hook


def _check_name(call: Call, tag: str, name: str) -> None:
    if any(hook.deploy_hook_name == name for hook in _hooks(call, tag)):
        raise ConflictError


def _body(call: Call, hook: DeployHook) -> Json:
    return hook_body(call.state.calendar, hook)
