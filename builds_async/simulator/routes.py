"""The table of all routes: which function answers what, and which permission it needs."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from builds_async.simulator.endpoints import (
    account,
    builds,
    hooks,
    previews,
    queues,
    repos,
    scripts,
    subscriptions,
    tokens,
    triggers,
    variables,
    workers,
)
from builds_async.simulator.endpoints.calls import Call, Reply
from builds_async.simulator.refusals import UnknownError

Endpoint: TypeAlias = Callable[[Call], Reply]
Permission: TypeAlias = Literal[
    "builds:read", "builds:write", "scripts:read", "queues:read", "queues:write", "user", "anybody"
]

_BUILD: Final = "builds/builds/{build_uuid}"
_CONNECTIONS: Final = "builds/repos/connections"
_HOOK: Final = "builds/workers/{script_name}/deploy_hooks/{deploy_hook_uuid}"
_HOOKS: Final = "builds/workers/{script_name}/deploy_hooks"
_MESSAGES: Final = "queues/{queue_id}/messages"
_PREVIEW: Final = "builds/workers/{script_tag}/previews/{preview_id}"
_PREVIEWS: Final = "builds/workers/{script_tag}/previews"
_REPOSITORY: Final = "builds/repos/{provider_type}/{provider_account_id}/{repo_id}"
_SUBSCRIPTION: Final = "event_subscriptions/subscriptions/{subscription_id}"
_SUBSCRIPTIONS: Final = "event_subscriptions/subscriptions"
_TRIGGER: Final = "builds/triggers/{trigger_uuid}"
_VARIABLES: Final = "builds/triggers/{trigger_uuid}/environment_variables"
_WORKER: Final = "builds/workers/{script_tag}"


class Route(NamedTuple):
    """A method and a path below the account, or below the root with a slash in front.

    `{name}` in it stands for any one segment. The permission is one for Workers Builds (`Workers CI`), for
    the Workers themselves (`Workers Scripts`) or for queues; `user` is any token of a user, `anybody` none.
    """

    operation: str
    method: str
    path: str
    permission: Permission
    endpoint: Endpoint


ROUTES: Final = (
    Route("getBuildsByVersionIds", "GET", "builds/builds", "builds:read", builds.builds_by_version),
    Route("getLatestBuildsByScripts", "GET", "builds/builds/latest", "builds:read", builds.latest_builds),
    Route("getBuildByUuid", "GET", _BUILD, "builds:read", builds.get_build),
    Route("cancelBuildByUuid", "PUT", f"{_BUILD}/cancel", "builds:write", builds.cancel_build),
    Route("getBuildLogs", "GET", f"{_BUILD}/logs", "builds:read", builds.build_logs),
    Route("listBuildsByScript", "GET", f"{_WORKER}/builds", "builds:read", builds.worker_builds),
    Route("listTriggersByScript", "GET", f"{_WORKER}/triggers", "builds:read", triggers.list_triggers),
    Route("createManualBuild", "POST", f"{_TRIGGER}/builds", "builds:write", triggers.start_build),
    Route("createTrigger", "POST", "builds/triggers", "builds:write", triggers.create_trigger),
    Route("updateTrigger", "PATCH", _TRIGGER, "builds:write", triggers.update_trigger),
    Route("deleteTrigger", "DELETE", _TRIGGER, "builds:write", triggers.delete_trigger),
    Route(
        "purgeBuildCache", "POST", f"{_TRIGGER}/purge_build_cache", "builds:write", triggers.purge_build_cache
    ),
    Route("listEnvironmentVariables", "GET", _VARIABLES, "builds:read", variables.list_variables),
    Route("upsertEnvironmentVariables", "PATCH", _VARIABLES, "builds:write", variables.set_variables),
    Route(
        "deleteEnvironmentVariable",
        "DELETE",
        f"{_VARIABLES}/{{environment_variable_key}}",
        "builds:write",
        variables.delete_variable,
    ),
    Route("listBuildTokens", "GET", "builds/tokens", "builds:read", tokens.list_tokens),
    Route("createBuildToken", "POST", "builds/tokens", "builds:write", tokens.create_token),
    Route(
        "deleteBuildToken", "DELETE", "builds/tokens/{build_token_uuid}", "builds:write", tokens.delete_token
    ),
    Route("upsertRepoConnection", "PUT", _CONNECTIONS, "builds:write", repos.upsert_connection),
    Route(
        "deleteRepoConnection",
        "DELETE",
        f"{_CONNECTIONS}/{{repo_connection_uuid}}",
        "builds:write",
        repos.delete_connection,
    ),
    Route(
        "getWorkerConfigAutofill",
        "GET",
        f"{_REPOSITORY}/config_autofill",
        "builds:read",
        repos.config_autofill,
    ),
    Route("getAccountLimits", "GET", "builds/account/limits", "builds:read", account.account_limits),
    Route("createWorkerBuild", "POST", "builds/workers", "builds:write", workers.create_worker_build),
    Route("getWorkerBuild", "GET", _WORKER, "builds:read", workers.get_worker_build),
    Route("updateWorkerBuild", "PATCH", _WORKER, "builds:write", workers.update_worker_build),
    Route("deleteWorkerBuild", "DELETE", _WORKER, "builds:write", workers.delete_worker_build),
    Route(
        "migrateWorkerToPreviews",
        "POST",
        f"{_WORKER}/migrate_to_previews",
        "builds:write",
        workers.migrate_to_previews,
    ),
    Route("listWorkerPreviews", "GET", _PREVIEWS, "builds:read", previews.list_previews),
    Route("getWorkerPreview", "GET", _PREVIEW, "builds:read", previews.get_preview),
    Route("updateWorkerPreview", "PATCH", _PREVIEW, "builds:write", previews.update_preview),
    Route("listBuildsByPreview", "GET", f"{_PREVIEW}/builds", "builds:read", previews.preview_builds),
    Route("createPreviewBuild", "POST", f"{_PREVIEW}/builds", "builds:write", previews.start_preview_build),
    Route("listDeployHooks", "GET", _HOOKS, "builds:read", hooks.list_hooks),
    Route("createDeployHook", "POST", _HOOKS, "builds:write", hooks.create_hook),
    Route("getDeployHook", "GET", _HOOK, "builds:read", hooks.get_hook),
    Route("updateDeployHook", "PUT", _HOOK, "builds:write", hooks.update_hook),
    Route("deleteDeployHook", "DELETE", _HOOK, "builds:write", hooks.delete_hook),
    Route(
        "triggerDeployHook",
        "POST",
        "/workers/builds/deploy_hooks/{deploy_hook_uuid}",
        "anybody",
        hooks.trigger_hook,
    ),
    Route("worker-script-list-workers", "GET", "workers/scripts", "scripts:read", scripts.list_scripts),
    Route(
        "worker-script-search-workers",
        "GET",
        "workers/scripts-search",
        "scripts:read",
        scripts.search_scripts,
    ),
    Route("verifyToken", "GET", "/user/tokens/verify", "user", scripts.verify_token),
    Route("queues-pull-messages", "POST", f"{_MESSAGES}/pull", "queues:write", queues.pull_messages),
    Route("queues-ack-messages", "POST", f"{_MESSAGES}/ack", "queues:write", queues.ack_messages),
    Route("queues-extend-messages", "POST", f"{_MESSAGES}/extend", "queues:write", queues.extend_messages),
    Route("subscriptions-list", "GET", _SUBSCRIPTIONS, "queues:read", subscriptions.list_subscriptions),
    Route("subscriptions-create", "POST", _SUBSCRIPTIONS, "queues:write", subscriptions.create_subscription),
    Route("subscriptions-get", "GET", _SUBSCRIPTION, "queues:write", subscriptions.get_subscription),
    Route("subscriptions-patch", "PATCH", _SUBSCRIPTION, "queues:write", subscriptions.update_subscription),
    Route("subscriptions-delete", "DELETE", _SUBSCRIPTION, "queues:write", subscriptions.delete_subscription),
)


_Kind: TypeAlias = tuple[str, int, bool]


def _table() -> dict[_Kind, list[tuple[Route, list[str]]]]:
    """The rows by method, length and whether they are below the root, each with the parts of its path."""
    table: dict[_Kind, list[tuple[Route, list[str]]]] = {}
    for route in ROUTES:
        parts = route.path.removeprefix("/").split("/")
        table.setdefault((route.method, len(parts), route.path.startswith("/")), []).append((route, parts))
    return table


_TABLE: Final = _table()


def find_route(method: str, segments: tuple[str, ...], *, root: bool = False) -> tuple[Route, dict[str, str]]:
    """The first route of the table that fits, and what the names in its path stand for.

    Raises:
        UnknownError: None fits.
    """
    for route, parts in _TABLE.get((method, len(segments), root), ()):
        pairs = list(zip(parts, segments, strict=True))
        if all(part == segment or part.startswith("{") for part, segment in pairs):
            return route, {part[1:-1]: segment for part, segment in pairs if part.startswith("{")}
    raise UnknownError
