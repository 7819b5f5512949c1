"""The operations of the API: the client's call for each, with its expected request and result.

This is their only table. `tests/resources` compares the client with it, `tests/simulator` the simulator, and
both compare it with the published schema, which has the method, path and types of each operation.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from builds_async import (
    AccountLimits,
    AccountSubdomain,
    Build,
    BuildsClient,
    BuildSettingsUpdate,
    BuildToken,
    BulkResult,
    CanceledBuild,
    ConfigAutofill,
    DeployHook,
    DeployHookBuild,
    Deployment,
    EnvironmentVariable,
    EventDestination,
    EventSource,
    FoundWorker,
    LogPage,
    NewBuildSettings,
    NewGitRepository,
    NewVariable,
    Page,
    Preview,
    QueueBatch,
    RepoConnection,
    SeedFile,
    SeedRepo,
    Subscription,
    Trigger,
    Version,
    WorkerConfig,
    WorkerScript,
    WorkerSubdomain,
)
from builds_async.models.queues import QueueAcks, QueueExtension
from tests.support.bodies import TAG

CI_READ, CI_WRITE = "Workers CI Read", "Workers CI Write"
SCRIPTS_READ = "Workers Scripts Read"
QUEUES_READ, QUEUES_WRITE = "Queues Read", "Queues Write"
NO_PERMISSION = ""

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
OTHER = "6ad1b9c0-24d8-4c1a-9a86-2d1d9b1c0e33"
PREVIEW = "f" * 32
COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"

Json = dict[str, Any]

SEED = SeedRepo(
    provider="github",
    owner="acme",
    repository="seed",
    branch="main",
    path="/",
    files=(SeedFile(filename="a", content="b", is_base64=False, replace="c"),),
)
SEED_JSON = {
    "provider": "github",
    "owner": "acme",
    "repository": "seed",
    "branch": "main",
    "path": "/",
    "files": [{"filename": "a", "content": "b", "isBase64": False, "replace": "c"}],
}
START_JSON = {"branch": "main", "commit_hash": COMMIT, "seed_repo": SEED_JSON}
REPO = {
    "provider_type": "github",
    "provider_account_id": "4242",
    "provider_account_name": "acme",
    "repo_id": "812345678",
    "repo_name": "shop",
}
ORIGIN = {**REPO, "provider_type": "origin"}
PATTERNS: Json = {
    "branch_includes": ["main"],
    "branch_excludes": ["wip/*"],
    "path_includes": ["*"],
    "path_excludes": ["*.md"],
}
TRIGGER: Json = {
    "trigger_name": "Production",
    "build_command": "npm run build",
    "deploy_command": "npx wrangler deploy",
    "root_directory": "/",
    "build_caching_enabled": True,
    "build_token_uuid": OTHER,
    **PATTERNS,
}
NEW_TRIGGER: Json = {"external_script_id": TAG, "repo_connection_uuid": UUID, **TRIGGER}
SETTINGS: Json = {
    "build_command": "npm run build",
    "deploy_command": "npx wrangler deploy",
    "build_token_uuid": OTHER,
    "root_directory": "/",
    "build_caching_enabled": True,
    "environment_variables": {"KEY": {"value": "v", "is_secret": True}},
    "path_includes": ["*"],
    "path_excludes": ["*.md"],
}
PATHS = {"path_includes": ("*",), "path_excludes": ("*.md",)}
VARIABLES = {"KEY": NewVariable(value="v", is_secret=True)}
NEW_SETTINGS = NewBuildSettings(**{**SETTINGS, **PATHS, "environment_variables": VARIABLES})
CHANGED_SETTINGS = BuildSettingsUpdate(
    **{**SETTINGS, **PATHS, "environment_variables": {**VARIABLES, "OLD": None}}
)
CHANGED_JSON = {**SETTINGS, "environment_variables": {**SETTINGS["environment_variables"], "OLD": None}}
HOOK = {"deploy_hook_name": "Content", "branch": "main"}
SOURCE = EventSource(worker_name="shop")
DESTINATION = EventDestination(queue_id=TAG)
SUBSCRIPTION: Json = {
    "name": "builds",
    "source": {"type": "workersBuilds.worker", "worker_name": "shop"},
    "destination": {"type": "queues.queue", "queue_id": TAG},
    "events": ["build.failed"],
    "enabled": True,
}
PAGED = {"page": "2", "per_page": "7"}


@dataclass(frozen=True)
class Operation:
    """The call of a schema operation, with its expected request and result."""

    permission: str
    """The least permission in Cloudflare's documentation. The schema in `tests/data` has none."""

    call: Callable[[BuildsClient], Awaitable[object]]
    """The call with every argument that the method takes."""

    gives: object
    """A type, or (a container, its item type), or None."""

    names: Json = field(default_factory=dict)
    """The values of the placeholders in the path, except the account."""

    query: Json = field(default_factory=dict)
    body: object = None

    is_receipt: bool = False
    """Whether a success confirms the operation, whatever the body of the response is."""

    list_under: str | None = None
    """The only field of the result, which holds the list, if the result is not the list itself."""

    left_out: frozenset[str] = frozenset()
    """Fields of the schema's result that no Struct has."""


def _start(client: BuildsClient) -> Awaitable[object]:
    return client.triggers.start_build(UUID, branch="main", commit_hash=COMMIT, seed_repo=SEED)


def _start_preview(client: BuildsClient) -> Awaitable[object]:
    return client.previews.start_build(TAG, PREVIEW, branch="main", commit_hash=COMMIT, seed_repo=SEED)


def _update_worker(client: BuildsClient) -> Awaitable[object]:
    return client.workers.update(
        TAG,
        branch="main",
        production_settings=CHANGED_SETTINGS,
        previews_enabled=True,
        previews_base_config=CHANGED_SETTINGS,
        patch_existing_previews=True,
    )


def _create_worker(client: BuildsClient) -> Awaitable[object]:
    return client.workers.create(
        script_tag=TAG,
        git_repository=NewGitRepository(**ORIGIN, branch="main", grant_id="grant"),
        production_settings=NEW_SETTINGS,
        previews_enabled=True,
        previews_base_config=NEW_SETTINGS,
    )


TRIGGER_NAMES = {"trigger_uuid": UUID}
HOOK_NAMES = {"script_name": "shop", "deploy_hook_uuid": UUID}
PREVIEW_NAMES = {"script_tag": TAG, "preview_id": PREVIEW}
QUEUE_NAMES = {"queue_id": TAG}

OPERATIONS: dict[str, Operation] = {
    "getBuildsByVersionIds": Operation(
        CI_READ,
        lambda c: c.builds.by_version([UUID, OTHER]),
        (BulkResult, Build),
        query={"version_ids": f"{UUID},{OTHER}"},
    ),
    "getLatestBuildsByScripts": Operation(
        CI_READ, lambda c: c.builds.latest([TAG]), (BulkResult, Build), query={"external_script_ids": TAG}
    ),
    "getBuildByUuid": Operation(CI_READ, lambda c: c.builds.get(UUID), Build, names={"build_uuid": UUID}),
    "cancelBuildByUuid": Operation(
        CI_WRITE, lambda c: c.builds.cancel(UUID), CanceledBuild, names={"build_uuid": UUID}, is_receipt=True
    ),
    "getBuildLogs": Operation(
        CI_READ,
        lambda c: c.builds.logs(UUID, cursor="a/b="),
        LogPage,
        names={"build_uuid": UUID},
        query={"cursor": "a/b="},
    ),
    "listBuildsByScript": Operation(
        CI_READ,
        lambda c: c.builds.list(TAG, page=2, per_page=7),
        (Page, Build),
        names={"external_script_id": TAG},
        query=PAGED,
    ),
    "listTriggersByScript": Operation(
        CI_READ, lambda c: c.triggers.list(TAG), (tuple, Trigger), names={"external_script_id": TAG}
    ),
    "createTrigger": Operation(
        CI_WRITE, lambda c: c.triggers.create(**NEW_TRIGGER), Trigger, body=NEW_TRIGGER
    ),
    "updateTrigger": Operation(
        CI_WRITE,
        lambda c: c.triggers.update(UUID, **TRIGGER),
        Trigger,
        names=TRIGGER_NAMES,
        body=TRIGGER,
        is_receipt=True,
    ),
    "deleteTrigger": Operation(
        CI_WRITE, lambda c: c.triggers.delete(UUID), None, names=TRIGGER_NAMES, is_receipt=True
    ),
    "createManualBuild": Operation(CI_WRITE, _start, Build, names=TRIGGER_NAMES, body=START_JSON),
    "purgeBuildCache": Operation(
        CI_WRITE, lambda c: c.triggers.purge_cache(UUID), None, names=TRIGGER_NAMES, is_receipt=True
    ),
    "listEnvironmentVariables": Operation(
        CI_READ, lambda c: c.triggers.variables(UUID), (dict, EnvironmentVariable), names=TRIGGER_NAMES
    ),
    "upsertEnvironmentVariables": Operation(
        CI_WRITE,
        lambda c: c.triggers.set_variables(UUID, {**VARIABLES, "MODE": "production"}),
        (dict, EnvironmentVariable),
        names=TRIGGER_NAMES,
        body={"KEY": {"value": "v", "is_secret": True}, "MODE": {"value": "production", "is_secret": False}},
        is_receipt=True,
    ),
    "deleteEnvironmentVariable": Operation(
        CI_WRITE,
        lambda c: c.triggers.delete_variable(UUID, "_KEY"),
        None,
        names={**TRIGGER_NAMES, "environment_variable_key": "_KEY"},
        is_receipt=True,
    ),
    "listBuildTokens": Operation(
        CI_READ, lambda c: c.tokens.list(page=2, per_page=7), (Page, BuildToken), query=PAGED
    ),
    "createBuildToken": Operation(
        CI_WRITE,
        lambda c: c.tokens.create(
            build_token_name="Builds", build_token_secret="cfut_secret", cloudflare_token_id="id"
        ),
        BuildToken,
        body={"build_token_name": "Builds", "build_token_secret": "cfut_secret", "cloudflare_token_id": "id"},
    ),
    "deleteBuildToken": Operation(
        CI_WRITE, lambda c: c.tokens.delete(UUID), None, names={"build_token_uuid": UUID}, is_receipt=True
    ),
    "upsertRepoConnection": Operation(
        CI_WRITE, lambda c: c.repos.upsert_connection(**REPO), RepoConnection, body=REPO
    ),
    "deleteRepoConnection": Operation(
        CI_WRITE,
        lambda c: c.repos.delete_connection(UUID),
        None,
        names={"repo_connection_uuid": UUID},
        is_receipt=True,
    ),
    "getWorkerConfigAutofill": Operation(
        CI_READ,
        lambda c: c.repos.config_autofill("github", "4242", "81", branch="a/b", root_directory="/app"),
        ConfigAutofill,
        names={"provider_type": "github", "provider_account_id": "4242", "repo_id": "81"},
        query={"branch": "a/b", "root_directory": "/app"},
    ),
    "getAccountLimits": Operation(CI_READ, lambda c: c.account.limits(), AccountLimits),
    "createWorkerBuild": Operation(
        CI_WRITE,
        _create_worker,
        WorkerConfig,
        body={
            "script_tag": TAG,
            "git_repository": {**ORIGIN, "branch": "main", "grant_id": "grant"},
            "production_settings": SETTINGS,
            "previews_enabled": True,
            "previews_base_config": SETTINGS,
        },
        is_receipt=True,
    ),
    "getWorkerBuild": Operation(
        CI_READ, lambda c: c.workers.get(TAG), WorkerConfig, names={"script_tag": TAG}
    ),
    "updateWorkerBuild": Operation(
        CI_WRITE,
        _update_worker,
        WorkerConfig,
        names={"script_tag": TAG},
        query={"patch_existing_previews": "true"},
        body={
            "git_repository": {"branch": "main"},
            "production_settings": CHANGED_JSON,
            "previews_enabled": True,
            "previews_base_config": CHANGED_JSON,
        },
        is_receipt=True,
    ),
    "deleteWorkerBuild": Operation(
        CI_WRITE, lambda c: c.workers.delete(TAG), None, names={"script_tag": TAG}, is_receipt=True
    ),
    "migrateWorkerToPreviews": Operation(
        CI_WRITE,
        lambda c: c.workers.migrate_to_previews(TAG, deploy_command="npx wrangler preview"),
        WorkerConfig,
        names={"script_tag": TAG},
        body={"deploy_command": "npx wrangler preview"},
        is_receipt=True,
    ),
    "listWorkerPreviews": Operation(
        CI_READ,
        lambda c: c.previews.list(TAG, page=2, per_page=7),
        (Page, Preview),
        names={"script_tag": TAG},
        query=PAGED,
    ),
    "getWorkerPreview": Operation(
        CI_READ, lambda c: c.previews.get(TAG, PREVIEW), Preview, names=PREVIEW_NAMES
    ),
    "updateWorkerPreview": Operation(
        CI_WRITE,
        lambda c: c.previews.update(
            TAG, PREVIEW, branch="b", auto_build=True, auto_delete=False, settings=CHANGED_SETTINGS
        ),
        Preview,
        names=PREVIEW_NAMES,
        body={"branch": "b", "auto_build": True, "auto_delete": False, "settings": CHANGED_JSON},
        is_receipt=True,
    ),
    "listBuildsByPreview": Operation(
        CI_READ,
        lambda c: c.previews.builds(TAG, PREVIEW, page=2, per_page=7),
        (Page, Build),
        names=PREVIEW_NAMES,
        query=PAGED,
    ),
    "createPreviewBuild": Operation(CI_WRITE, _start_preview, Build, names=PREVIEW_NAMES, body=START_JSON),
    "listDeployHooks": Operation(
        CI_READ, lambda c: c.deploy_hooks.list("shop"), (tuple, DeployHook), names={"script_name": "shop"}
    ),
    "createDeployHook": Operation(
        CI_WRITE,
        lambda c: c.deploy_hooks.create("shop", **HOOK),
        DeployHook,
        names={"script_name": "shop"},
        body=HOOK,
    ),
    "getDeployHook": Operation(
        CI_READ, lambda c: c.deploy_hooks.get("shop", UUID), DeployHook, names=HOOK_NAMES
    ),
    "updateDeployHook": Operation(
        CI_WRITE,
        lambda c: c.deploy_hooks.update("shop", UUID, **HOOK),
        DeployHook,
        names=HOOK_NAMES,
        body=HOOK,
        is_receipt=True,
    ),
    "deleteDeployHook": Operation(
        CI_WRITE, lambda c: c.deploy_hooks.delete("shop", UUID), DeployHook, names=HOOK_NAMES, is_receipt=True
    ),
    "triggerDeployHook": Operation(
        NO_PERMISSION,
        lambda c: c.deploy_hooks.trigger(UUID),
        DeployHookBuild,
        names={"deploy_hook_uuid": UUID},
    ),
    "worker-script-list-workers": Operation(
        SCRIPTS_READ,
        lambda c: c.workers.list(tags={"production": True, "staging": False}),
        (tuple, WorkerScript),
        query={"tags": "production:yes,staging:no"},
        # The rest does not concern builds.
        left_out=frozenset(
            {
                "logpush",
                "migration_tag",
                "named_handlers",
                "observability",
                "placement",
                "placement_mode",
                "placement_status",
                "routes",
                "tail_consumers",
            }
        ),
    ),
    "worker-script-search-workers": Operation(
        SCRIPTS_READ,
        lambda c: c.workers.search(name="sh", id=TAG, order_by="created_on", page=2, per_page=7),
        (Page, FoundWorker),
        query={"name": "sh", "id": TAG, "order_by": "created_on", **PAGED},
    ),
    "worker-deployments-list-deployments": Operation(
        SCRIPTS_READ,
        lambda c: c.deployments.list("shop"),
        (tuple, Deployment),
        names={"script_name": "shop"},
        list_under="deployments",
    ),
    "worker-deployments-get-deployment": Operation(
        SCRIPTS_READ,
        lambda c: c.deployments.get("shop", UUID),
        Deployment,
        names={"script_name": "shop", "deployment_id": UUID},
    ),
    "worker-versions-list-versions": Operation(
        SCRIPTS_READ,
        lambda c: c.versions.list("shop", page=2, per_page=7, deployable=True),
        (Page, Version),
        names={"script_name": "shop"},
        query={**PAGED, "deployable": "true"},
        list_under="items",
    ),
    "worker-versions-get-version-detail": Operation(
        SCRIPTS_READ,
        lambda c: c.versions.get("shop", UUID),
        Version,
        names={"script_name": "shop", "version_id": UUID},
    ),
    "worker-script-get-subdomain": Operation(
        SCRIPTS_READ,
        lambda c: c.workers.subdomain("shop"),
        WorkerSubdomain,
        names={"script_name": "shop"},
    ),
    "worker-subdomain-get-subdomain": Operation(
        SCRIPTS_READ, lambda c: c.account.subdomain(), AccountSubdomain
    ),
    "queues-pull-messages": Operation(
        QUEUES_WRITE,
        lambda c: c.queues.pull(TAG, batch_size=50, visibility_timeout_ms=6000),
        QueueBatch,
        names=QUEUE_NAMES,
        body={"batch_size": 50, "visibility_timeout_ms": 6000},
        # It reports the backlog, as `message_backlog_count` does.
        left_out=frozenset({"metadata"}),
    ),
    "queues-ack-messages": Operation(
        QUEUES_WRITE,
        lambda c: c.queues.ack(TAG, acks=["a"], retries=[("b", 10)]),
        QueueAcks,
        names=QUEUE_NAMES,
        body={"acks": [{"lease_id": "a"}], "retries": [{"lease_id": "b", "delay_seconds": 10}]},
        is_receipt=True,
    ),
    "queues-extend-messages": Operation(
        QUEUES_WRITE,
        lambda c: c.queues.extend(TAG, ["a"], visibility_timeout_ms=6000),
        QueueExtension,
        names=QUEUE_NAMES,
        body={"extend": [{"lease_id": "a"}], "visibility_timeout_ms": 6000},
        is_receipt=True,
    ),
    "subscriptions-list": Operation(
        QUEUES_READ,
        lambda c: c.subscriptions.list(page=2, per_page=7, order="created_at", direction="desc"),
        (Page, Subscription),
        query={**PAGED, "order": "created_at", "direction": "desc"},
    ),
    "subscriptions-create": Operation(
        QUEUES_WRITE,
        lambda c: c.subscriptions.create(**{**SUBSCRIPTION, "source": SOURCE, "destination": DESTINATION}),
        Subscription,
        body=SUBSCRIPTION,
    ),
    "subscriptions-get": Operation(
        QUEUES_WRITE, lambda c: c.subscriptions.get(TAG), Subscription, names={"subscription_id": TAG}
    ),
    "subscriptions-patch": Operation(
        QUEUES_WRITE,
        lambda c: c.subscriptions.update(
            TAG, name="builds", destination=DESTINATION, events=["build.failed"], enabled=True
        ),
        Subscription,
        names={"subscription_id": TAG},
        body={name: it for name, it in SUBSCRIPTION.items() if name != "source"},
        is_receipt=True,
    ),
    "subscriptions-delete": Operation(
        QUEUES_WRITE,
        lambda c: c.subscriptions.delete(TAG),
        Subscription,
        names={"subscription_id": TAG},
        is_receipt=True,
    ),
}
"""The operations by their ids in the schema."""
