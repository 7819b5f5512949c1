"""Every operation of the published schema has one method: its verb, path, query, body and result."""

import inspect
import json
import re
import typing
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from jsonschema import Draft202012Validator
from yarl import URL

from builds_async import (
    AccountLimits,
    Build,
    BuildsClient,
    BuildSettingsUpdate,
    BuildToken,
    BulkResult,
    CanceledBuild,
    ConfigAutofill,
    DeployHook,
    DeployHookBuild,
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
    ResultInfo,
    SeedFile,
    SeedRepo,
    Subscription,
    Trigger,
    WorkerConfig,
    WorkerScript,
)
from builds_async.models.queues import QueueAcks, QueueExtension
from tests.support import ACCOUNT, BASE_URL, TAG, MockApi, envelope

SCHEMA = Path(__file__).parents[1] / "data" / "workers-builds.schema.json"

UUID = "9c7f2e52-0e58-4a0c-8a0e-0a5a1b0f6d11"
OTHER = "6ad1b9c0-24d8-4c1a-9a86-2d1d9b1c0e33"
PREVIEW = "f" * 32
COMMIT = "5f0c1d2e3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d"
WHEN = "2026-08-13T02:33:54Z"

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
INFO = {"count": 1, "page": 2, "per_page": 7, "total_count": 8, "total_pages": 2}


@dataclass(frozen=True)
class Operation:
    """How an operation of the schema is called, and what that has to send and give."""

    call: Callable[[BuildsClient], Awaitable[object]]
    gives: object
    """A type, or (a container, the type in it), or None."""
    path: Json
    """What the names in the path stand for."""
    query: Json | None = None
    body: object = None


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
        git_repository=NewGitRepository(
            **{**REPO, "provider_type": "origin"}, branch="main", grant_id="grant"
        ),
        production_settings=NEW_SETTINGS,
        previews_enabled=True,
        previews_base_config=NEW_SETTINGS,
    )


TRIGGER_PATH = {"trigger_uuid": UUID}
HOOK_PATH = {"script_name": "shop", "deploy_hook_uuid": UUID}
PREVIEW_PATH = {"script_tag": TAG, "preview_id": PREVIEW}
QUEUE_PATH = {"queue_id": TAG}

OPERATIONS = {
    "getBuildsByVersionIds": Operation(
        lambda c: c.builds.by_version([UUID, OTHER]),
        (BulkResult, Build),
        {},
        {"version_ids": f"{UUID},{OTHER}"},
    ),
    "getLatestBuildsByScripts": Operation(
        lambda c: c.builds.latest([TAG]), (BulkResult, Build), {}, {"external_script_ids": TAG}
    ),
    "getBuildByUuid": Operation(lambda c: c.builds.get(UUID), Build, {"build_uuid": UUID}),
    "cancelBuildByUuid": Operation(lambda c: c.builds.cancel(UUID), CanceledBuild, {"build_uuid": UUID}),
    "getBuildLogs": Operation(
        lambda c: c.builds.logs(UUID, cursor="a/b="), LogPage, {"build_uuid": UUID}, {"cursor": "a/b="}
    ),
    "listBuildsByScript": Operation(
        lambda c: c.builds.list(TAG, page=2, per_page=7), (Page, Build), {"external_script_id": TAG}, PAGED
    ),
    "listTriggersByScript": Operation(
        lambda c: c.triggers.list(TAG), (tuple, Trigger), {"external_script_id": TAG}
    ),
    "createTrigger": Operation(lambda c: c.triggers.create(**NEW_TRIGGER), Trigger, {}, body=NEW_TRIGGER),
    "updateTrigger": Operation(
        lambda c: c.triggers.update(UUID, **TRIGGER), Trigger, TRIGGER_PATH, body=TRIGGER
    ),
    "deleteTrigger": Operation(lambda c: c.triggers.delete(UUID), None, TRIGGER_PATH),
    "createManualBuild": Operation(_start, Build, TRIGGER_PATH, body=START_JSON),
    "purgeBuildCache": Operation(lambda c: c.triggers.purge_cache(UUID), None, TRIGGER_PATH),
    "listEnvironmentVariables": Operation(
        lambda c: c.triggers.variables(UUID), (dict, EnvironmentVariable), TRIGGER_PATH
    ),
    "upsertEnvironmentVariables": Operation(
        lambda c: c.triggers.set_variables(UUID, {**VARIABLES, "MODE": "production"}),
        (dict, EnvironmentVariable),
        TRIGGER_PATH,
        body={"KEY": {"value": "v", "is_secret": True}, "MODE": {"value": "production", "is_secret": False}},
    ),
    "deleteEnvironmentVariable": Operation(
        lambda c: c.triggers.delete_variable(UUID, "_KEY"),
        None,
        {**TRIGGER_PATH, "environment_variable_key": "_KEY"},
    ),
    "listBuildTokens": Operation(lambda c: c.tokens.list(page=2, per_page=7), (Page, BuildToken), {}, PAGED),
    "createBuildToken": Operation(
        lambda c: c.tokens.create(
            build_token_name="Builds", build_token_secret="cfut_secret", cloudflare_token_id="id"
        ),
        BuildToken,
        {},
        body={
            "build_token_name": "Builds",
            "build_token_secret": "cfut_secret",
            "cloudflare_token_id": "id",
        },
    ),
    "deleteBuildToken": Operation(lambda c: c.tokens.delete(UUID), None, {"build_token_uuid": UUID}),
    "upsertRepoConnection": Operation(
        lambda c: c.repos.upsert_connection(**REPO), RepoConnection, {}, body=REPO
    ),
    "deleteRepoConnection": Operation(
        lambda c: c.repos.delete_connection(UUID), None, {"repo_connection_uuid": UUID}
    ),
    "getWorkerConfigAutofill": Operation(
        lambda c: c.repos.config_autofill("github", "4242", "81", branch="a/b", root_directory="/app"),
        ConfigAutofill,
        {"provider_type": "github", "provider_account_id": "4242", "repo_id": "81"},
        {"branch": "a/b", "root_directory": "/app"},
    ),
    "getAccountLimits": Operation(lambda c: c.account.limits(), AccountLimits, {}),
    "createWorkerBuild": Operation(
        _create_worker,
        WorkerConfig,
        {},
        body={
            "script_tag": TAG,
            "git_repository": {**ORIGIN, "branch": "main", "grant_id": "grant"},
            "production_settings": SETTINGS,
            "previews_enabled": True,
            "previews_base_config": SETTINGS,
        },
    ),
    "getWorkerBuild": Operation(lambda c: c.workers.get(TAG), WorkerConfig, {"script_tag": TAG}),
    "updateWorkerBuild": Operation(
        _update_worker,
        WorkerConfig,
        {"script_tag": TAG},
        {"patch_existing_previews": "true"},
        {
            "git_repository": {"branch": "main"},
            "production_settings": CHANGED_JSON,
            "previews_enabled": True,
            "previews_base_config": CHANGED_JSON,
        },
    ),
    "deleteWorkerBuild": Operation(lambda c: c.workers.delete(TAG), None, {"script_tag": TAG}),
    "migrateWorkerToPreviews": Operation(
        lambda c: c.workers.migrate_to_previews(TAG, deploy_command="npx wrangler preview"),
        WorkerConfig,
        {"script_tag": TAG},
        body={"deploy_command": "npx wrangler preview"},
    ),
    "listWorkerPreviews": Operation(
        lambda c: c.previews.list(TAG, page=2, per_page=7), (Page, Preview), {"script_tag": TAG}, PAGED
    ),
    "getWorkerPreview": Operation(lambda c: c.previews.get(TAG, PREVIEW), Preview, PREVIEW_PATH),
    "updateWorkerPreview": Operation(
        lambda c: c.previews.update(
            TAG, PREVIEW, branch="b", auto_build=True, auto_delete=False, settings=CHANGED_SETTINGS
        ),
        Preview,
        PREVIEW_PATH,
        body={"branch": "b", "auto_build": True, "auto_delete": False, "settings": CHANGED_JSON},
    ),
    "listBuildsByPreview": Operation(
        lambda c: c.previews.builds(TAG, PREVIEW, page=2, per_page=7), (Page, Build), PREVIEW_PATH, PAGED
    ),
    "createPreviewBuild": Operation(_start_preview, Build, PREVIEW_PATH, body=START_JSON),
    "listDeployHooks": Operation(
        lambda c: c.deploy_hooks.list("shop"), (tuple, DeployHook), {"script_name": "shop"}
    ),
    "createDeployHook": Operation(
        lambda c: c.deploy_hooks.create("shop", **HOOK), DeployHook, {"script_name": "shop"}, body=HOOK
    ),
    "getDeployHook": Operation(lambda c: c.deploy_hooks.get("shop", UUID), DeployHook, HOOK_PATH),
    "updateDeployHook": Operation(
        lambda c: c.deploy_hooks.update("shop", UUID, **HOOK), DeployHook, HOOK_PATH, body=HOOK
    ),
    "deleteDeployHook": Operation(lambda c: c.deploy_hooks.delete("shop", UUID), DeployHook, HOOK_PATH),
    "triggerDeployHook": Operation(
        lambda c: c.deploy_hooks.trigger(UUID), DeployHookBuild, {"deploy_hook_uuid": UUID}
    ),
    "worker-script-list-workers": Operation(
        lambda c: c.workers.list(tags={"production": True, "staging": False}),
        (tuple, WorkerScript),
        {},
        {"tags": "production:yes,staging:no"},
    ),
    "worker-script-search-workers": Operation(
        lambda c: c.workers.search(name="sh", id=TAG, order_by="created_on", page=2, per_page=7),
        (Page, FoundWorker),
        {},
        {"name": "sh", "id": TAG, "order_by": "created_on", **PAGED},
    ),
    "queues-pull-messages": Operation(
        lambda c: c.queues.pull(TAG, batch_size=50, visibility_timeout_ms=6000),
        QueueBatch,
        QUEUE_PATH,
        body={"batch_size": 50, "visibility_timeout_ms": 6000},
    ),
    "queues-ack-messages": Operation(
        lambda c: c.queues.ack(TAG, acks=["a"], retries=[("b", 10)]),
        QueueAcks,
        QUEUE_PATH,
        body={"acks": [{"lease_id": "a"}], "retries": [{"lease_id": "b", "delay_seconds": 10}]},
    ),
    "queues-extend-messages": Operation(
        lambda c: c.queues.extend(TAG, ["a"], visibility_timeout_ms=6000),
        QueueExtension,
        QUEUE_PATH,
        body={"extend": [{"lease_id": "a"}], "visibility_timeout_ms": 6000},
    ),
    "subscriptions-list": Operation(
        lambda c: c.subscriptions.list(page=2, per_page=7, order="created_at", direction="desc"),
        (Page, Subscription),
        {},
        {**PAGED, "order": "created_at", "direction": "desc"},
    ),
    "subscriptions-create": Operation(
        lambda c: c.subscriptions.create(**{**SUBSCRIPTION, "source": SOURCE, "destination": DESTINATION}),
        Subscription,
        {},
        body=SUBSCRIPTION,
    ),
    "subscriptions-get": Operation(
        lambda c: c.subscriptions.get(TAG), Subscription, {"subscription_id": TAG}
    ),
    "subscriptions-patch": Operation(
        lambda c: c.subscriptions.update(
            TAG, name="builds", destination=DESTINATION, events=["build.failed"], enabled=True
        ),
        Subscription,
        {"subscription_id": TAG},
        body={name: it for name, it in SUBSCRIPTION.items() if name != "source"},
    ),
    "subscriptions-delete": Operation(
        lambda c: c.subscriptions.delete(TAG), Subscription, {"subscription_id": TAG}
    ),
}


LEFT_OUT = {
    # Of a Worker what builds have to do with, no more.
    "worker-script-list-workers": {
        "logpush",
        "migration_tag",
        "named_handlers",
        "observability",
        "placement",
        "placement_mode",
        "placement_status",
        "routes",
        "tail_consumers",
    },
    # How full the queue is, said twice.
    "queues-pull-messages": {"metadata"},
}
"""Fields of the schema that no Struct has."""


class AnyApi(MockApi):
    """Answers whatever is asked with one result, and keeps what was asked."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self._answer = envelope(result, result_info=INFO)
        self.asked: list[tuple[str, URL, object]] = []

    def start(self) -> None:
        super().start()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            self.add(re.compile(".*"), method=method, payload=self._answer)

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        self.asked.append((method, url, kwargs.get("data") and json.loads(kwargs["data"])))
        return await super().match(method, url, *args, **kwargs)


class Contract:
    """The published schema, with its references followed."""

    def __init__(self) -> None:
        self._document = json.loads(SCHEMA.read_text("utf-8"))
        self.operations: dict[str, tuple[str, str, Json]] = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, item in self._document["paths"].items()
            for method, operation in item.items()
        }

    def whole(self, node: Any) -> Any:
        """A node with everything that it refers to in its place, and `allOf` merged."""
        if isinstance(node, list):
            return [self.whole(it) for it in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = self._document
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            return self.whole(target)
        merged: Json = {name: self.whole(it) for name, it in node.items() if name != "allOf"}
        for part in map(self.whole, node.get("allOf", ())):
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            merged = {**part, **merged} | ({"properties": properties} if properties else {})
        return merged

    def query(self, operation_id: str) -> set[str]:
        """The names of its query."""
        parameters = self.whole(self.operations[operation_id][2].get("parameters", []))
        return {it["name"] for it in parameters if it["in"] == "query"}

    def body(self, operation_id: str) -> Json | None:
        """The schema of its body."""
        body = self.whole(self.operations[operation_id][2].get("requestBody"))
        return body and body["content"]["application/json"]["schema"]  # type: ignore[no-any-return]

    def result(self, operation_id: str) -> Json:
        """The schema of its `result`."""
        responses = self.operations[operation_id][2]["responses"]
        answer = self.whole(next(responses[status] for status in ("200", "201") if status in responses))
        return answer["content"]["application/json"]["schema"]["properties"]["result"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


each_operation = pytest.mark.parametrize("operation_id", OPERATIONS)


def test_complete(contract: Contract) -> None:
    """Each operation of the schema stands in the table, and nothing else does."""
    assert set(OPERATIONS) == set(contract.operations)


@each_operation
async def test_request(operation_id: str, contract: Contract, client: BuildsClient) -> None:
    """A method sends one request: the operation's verb, path, query and body, all of it and no more."""
    operation = OPERATIONS[operation_id]
    method, path, _ = contract.operations[operation_id]
    with AnyApi(example(contract.result(operation_id))) as api:
        await operation.call(client)
    [(verb, url, body)] = api.asked
    places = {"account_id": ACCOUNT, **operation.path}
    assert (verb, str(url.with_query(None))) == (method, BASE_URL + path.format(**places))
    assert url.query == (operation.query or {})
    assert set(url.query) == contract.query(operation_id)
    assert body == operation.body
    schema = contract.body(operation_id)
    assert (schema is None) == (body is None)
    if schema is not None:
        Draft202012Validator(schema).validate(body)
        assert list(not_sent(schema, body)) == []


@each_operation
async def test_result(operation_id: str, contract: Contract, client: BuildsClient) -> None:
    """A method gives the operation's result as its type, with every field that the schema has."""
    operation, result = OPERATIONS[operation_id], example(contract.result(operation_id))
    with AnyApi(result):
        answer = await operation.call(client)
    if operation.gives is None:
        assert answer is None
        return
    container, kind = operation.gives if isinstance(operation.gives, tuple) else (operation.gives, None)
    assert isinstance(answer, container)
    assert kind is None or {type(item) for item in items(answer)} == {kind}
    assert set(not_told(result, plain(answer))) == LEFT_OUT.get(operation_id, set())
    if isinstance(answer, Page):
        assert answer.result_info == msgspec.convert(INFO, ResultInfo)


METHODS = {
    f"{resource}.{name}": getattr(kind, name)
    for resource, kind in typing.get_type_hints(BuildsClient).items()
    if kind.__module__.startswith("builds_async.resources.")
    for name in vars(kind)
    if not name.startswith("_")
}


@pytest.mark.parametrize("method", METHODS)
def test_documented(method: str) -> None:
    """Each method of a resource names the API's page, and the permission that it needs."""
    said = inspect.getdoc(METHODS[method]) or ""
    assert "\nhttps://developers.cloudflare.com/api/resources/" in said
    assert re.search(r"Needs (no permission|\"(Workers CI|Workers Scripts|Queues) (Read|Write)\")", said)


def example(schema: Json) -> Any:
    """A value that has everything that the schema knows of."""
    if "oneOf" in schema or "anyOf" in schema:
        return example(_of_builds(schema))
    if isinstance(schema.get("type"), list):
        return example({**schema, "type": schema["type"][0]})
    make = _EXAMPLES.get(schema.get("type", "string"))
    return schema["enum"][0] if "enum" in schema else make and make(schema)


def _example_object(schema: Json) -> Json:
    some = schema.get("additionalProperties")
    named = {name: example(it) for name, it in schema.get("properties", {}).items()}
    return named | ({TAG: example(some), UUID: example(some)} if isinstance(some, dict) else {})


def _example_array(schema: Json) -> list[Any]:
    forms = schema["items"].get("anyOf")  # of a log line
    return [example(it) for it in forms or (schema["items"],)]


_EXAMPLES: dict[str, Callable[[Json], Any]] = {
    "object": _example_object,
    "array": _example_array,
    "boolean": lambda _: True,
    "integer": lambda _: 7,
    "number": lambda _: 7,
    "string": lambda schema: {"date-time": WHEN, "uuid": UUID}.get(schema.get("format", ""), "text"),
}


def _of_builds(schema: Json) -> Json:
    """Of several forms the one for builds, or the last."""
    forms: list[Json] = schema.get("oneOf") or schema["anyOf"]
    kinds = {form.get("properties", {}).get("type", {}).get("enum", [""])[0]: form for form in forms}
    return kinds.get("workersBuilds.worker", forms[-1])


def plain(answer: object) -> Any:
    """An answer as the JSON that it came from."""
    if isinstance(answer, BulkResult):
        return {"builds": msgspec.to_builtins(answer.found)}
    return msgspec.to_builtins(answer.result if isinstance(answer, Page) else answer)


def items(answer: Any) -> Iterator[object]:
    """What a container has in it."""
    found = answer.found if isinstance(answer, BulkResult) else answer
    yield from found.values() if isinstance(found, dict) else found


def not_told(sent: Any, got: Any, place: str = "") -> Iterator[str]:
    """The places of what was answered and is not in the result."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, value in sent.items():
            if place == "builds" and name not in got:
                continue  # it was not asked for
            yield from not_told(value, got.get(name), name)
    elif isinstance(sent, list) and isinstance(got, list | tuple) and len(sent) == len(got):
        for one, other in zip(sent, got, strict=True):
            yield from not_told(one, other, place)
    elif sent != got:
        yield place


def not_sent(schema: Json, body: Any, place: str = "") -> Iterator[str]:
    """The places that the schema of a body has and that this body has not."""
    if "oneOf" in schema:
        [schema] = [form for form in schema["oneOf"] if Draft202012Validator(form).is_valid(body)] or [
            _of_builds(schema)
        ]
    if isinstance(body, list):
        for item in body:
            yield from not_sent(schema["items"], item, place)
    elif isinstance(body, dict):
        for name, part in schema.get("properties", {}).items():
            if name in body:
                yield from not_sent(part, body[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"
