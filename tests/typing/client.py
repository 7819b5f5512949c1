"""The types of the client, its options and its resources."""

from typing import assert_type

import aiohttp

from builds_async import (
    AccountLimits,
    AccountSubdomain,
    BudgetSnapshot,
    Build,
    BuildsClient,
    BuildsError,
    BuildToken,
    BulkResult,
    CanceledBuild,
    ConfigAutofill,
    Counters,
    DeployHook,
    DeployHookBuild,
    Deployment,
    Diagnosis,
    EnvironmentVariable,
    FoundWorker,
    GateClosed,
    LeaseLost,
    LeaseTaken,
    LiveWorker,
    LogPage,
    NewVariable,
    NoBuildReason,
    Observation,
    OutageBegan,
    OutageEnded,
    Page,
    Pages,
    Preview,
    QueueAcks,
    QueueBatch,
    QueueExtension,
    RateBudget,
    Rationed,
    RepoConnection,
    RequestDone,
    RetryPlanned,
    RetryPolicy,
    Subscription,
    SystemClock,
    TokenStatus,
    Trigger,
    Version,
    Waited,
    WorkerConfig,
    WorkerScript,
    WorkerSubdomain,
)


async def options(session: aiohttp.ClientSession) -> None:
    budget = RateBudget(limit=600)
    client = BuildsClient(
        account_id="a",
        api_token="t",
        session=session,
        timeout=10,
        retry=RetryPolicy(attempts=1),
        budget=budget,
        max_in_flight=5,
        clock=SystemClock(),
        observer=Counters(),
        patience=60.0,
    )
    assert_type(client.with_options(timeout=5.0, retry=RetryPolicy(), patience=0), BuildsClient)
    async with client as entered:
        assert_type(entered, BuildsClient)
    assert_type(await client.diagnose(), Diagnosis)
    assert_type(client.account_id, str)
    assert_type(budget.snapshot(), BudgetSnapshot)
    BuildsClient("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def observer(observation: Observation) -> float:
    match observation:
        case RequestDone():
            assert_type(observation.ray_id, str | None)
            return assert_type(observation.seconds, float)
        case RetryPlanned():
            return assert_type(observation.delay, float)
        case OutageBegan():
            return assert_type(observation.patience, float)
        case Waited() | OutageEnded() | Rationed() | GateClosed():
            return assert_type(observation.seconds, float)
        case LeaseTaken() | LeaseLost():
            return assert_type(observation.fence, int)


async def builds(client: BuildsClient) -> None:
    assert_type(await client.builds.get("b"), Build)
    assert_type(await client.builds.cancel("b"), CanceledBuild)
    assert_type(await client.builds.start("t", branch="main", commit_hash=None), Build)
    assert_type(await client.builds.retry("b"), Build)
    assert_type(await client.builds.logs("b", cursor=None), LogPage)
    assert_type(await client.builds.latest(["t"]), BulkResult[Build])
    assert_type(await client.builds.by_version(["v"]), BulkResult[Build])
    assert_type(await client.builds.list("t"), Page[Build])
    assert_type(client.builds.iter("t"), Pages[Build])


async def anything(client: BuildsClient, build: Build) -> None:
    assert_type(await client.request("GET", "/zones", query={"page": 1, "name": None}), object)
    assert_type(await client.request("POST", "/zones", body={"name": "a"}, type=Build), Build)
    assert_type(await client.request("GET", "/zones", type=dict[str, int]), dict[str, int])
    assert_type(await client.dashboard_url(build), str)
    await client.request("GET", "/zones", query={"a": ["b"]})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


async def bulk(result: BulkResult[Build]) -> None:
    assert_type(result.found, dict[str, Build])
    assert_type(result.missing, tuple[str, ...])
    assert_type(result.failed, dict[str, BuildsError])
    result.raise_for_failures()


async def pages(found: Pages[Build]) -> None:
    async for build in found:
        assert_type(build, Build)
    assert_type(await anext(found), Build)


async def triggers(client: BuildsClient) -> None:
    assert_type(await client.triggers.list("t"), tuple[Trigger, ...])
    assert_type(await client.triggers.start_build("u", branch="main"), Build)
    assert_type(await client.triggers.variables("u"), dict[str, EnvironmentVariable])
    variables = {"A": NewVariable(value="1")}
    assert_type(await client.triggers.set_variables("u", variables), dict[str, EnvironmentVariable])


async def workers(client: BuildsClient) -> None:
    assert_type(await client.workers.list(), tuple[WorkerScript, ...])
    assert_type(await client.workers.search(name="shop"), Page[FoundWorker])
    assert_type(client.workers.iter_search(), Pages[FoundWorker])
    assert_type(await client.workers.tags(["shop"]), dict[str, str])
    assert_type(await client.workers.names(), dict[str, str])
    assert_type(await client.workers.get("t"), WorkerConfig)
    assert_type(await client.workers.migrate_to_previews("t"), WorkerConfig)


async def deployments(client: BuildsClient) -> None:
    assert_type(await client.deployments.list("shop"), tuple[Deployment, ...])
    assert_type(await client.deployments.get("shop", "d"), Deployment)
    assert_type(await client.deployments.current("shop"), Deployment | None)
    assert_type(await client.versions.list("shop", deployable=True), Page[Version])
    assert_type(client.versions.iter("shop"), Pages[Version])
    assert_type(await client.versions.get("shop", "v"), Version)
    assert_type(await client.workers.subdomain("shop"), WorkerSubdomain)
    assert_type(await client.account.subdomain(), AccountSubdomain)
    result = assert_type(await client.live(["shop"]), BulkResult[LiveWorker])
    for version in result.found["shop"].versions:
        assert_type(version.build, Build | None)
        assert_type(version.reason, NoBuildReason | None)


async def previews(client: BuildsClient) -> None:
    assert_type(await client.previews.list("t"), Page[Preview])
    assert_type(client.previews.iter("t"), Pages[Preview])
    assert_type(await client.previews.get("t", "p"), Preview)
    assert_type(await client.previews.builds("t", "p"), Page[Build])
    assert_type(client.previews.iter_builds("t", "p"), Pages[Build])


async def deploy_hooks(client: BuildsClient) -> None:
    assert_type(await client.deploy_hooks.list("shop"), tuple[DeployHook, ...])
    assert_type(await client.deploy_hooks.create("shop", deploy_hook_name="h", branch="main"), DeployHook)
    assert_type(await client.deploy_hooks.delete("shop", "h"), DeployHook | None)
    assert_type(await client.deploy_hooks.trigger("h"), DeployHookBuild)


async def others(client: BuildsClient) -> None:
    assert_type(await client.account.limits(), AccountLimits)
    assert_type(await client.tokens.list(), Page[BuildToken])
    assert_type(client.tokens.iter(), Pages[BuildToken])
    assert_type(await client.tokens.verify(), TokenStatus)
    assert_type(await client.subscriptions.get("s"), Subscription)
    assert_type(client.subscriptions.iter(), Pages[Subscription])


async def repos(client: BuildsClient) -> None:
    connection = await client.repos.upsert_connection(
        provider_type="github",
        provider_account_id="1",
        provider_account_name="o",
        repo_id="2",
        repo_name="r",
    )
    assert_type(connection, RepoConnection)
    autofill = await client.repos.config_autofill("github", "1", "2", branch="main")
    assert_type(autofill, ConfigAutofill)


async def queues(client: BuildsClient) -> None:
    assert_type(await client.queues.pull("q"), QueueBatch)
    assert_type(await client.queues.ack("q", acks=["l"]), QueueAcks)
    assert_type(await client.queues.extend("q", ["l"], visibility_timeout_ms=60_000), QueueExtension)
