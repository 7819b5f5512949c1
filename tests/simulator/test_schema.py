"""The simulator against the published schema: its routes, permissions, requests and responses."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from builds_async.simulator import BuildsSimulator, Request, Response, VirtualClock, build_script
from builds_async.simulator.endpoints import ROUTES
from tests.simulator.schema_requests import Ids, bad_queries, forbidden, sample, values
from tests.support.case import Case, cases
from tests.support.operations import OPERATIONS
from tests.support.schema import PUBLISHED, PublishedOperation, validator

EVERY = [pytest.param(operation, id=name) for name, operation in sorted(PUBLISHED.items())]
EPOCH = datetime(2026, 11, 21, tzinfo=UTC)
ERROR = {"type": "object", "required": ["success", "errors", "messages", "result"]}
NO_UUID = "00000000-0000-4000-8000-000000000000"


class Difference(NamedTuple):
    """A deliberate difference, where the simulator follows the live API and not the schema."""

    name: str
    finding: str
    """The finding of a comparison, as a regular expression."""
    operations: str
    reason: str


_BUILDS = "getBuildByUuid createManualBuild createPreviewBuild"
_BUILD_LISTS = "listBuildsByScript listBuildsByPreview"
_BUILD_MAPS = "getLatestBuildsByScripts getBuildsByVersionIds"
_LISTS = "listBuildTokens listDeployHooks listTriggersByScript listWorkerPreviews"
_BUILD = r"result(\.builds)?(\.\*)?"

DIFFERENCES = (
    Difference(
        "a list is an array",
        r"result: type",
        f"{_LISTS} {_BUILD_LISTS}",
        "the common envelope of the schema allows an object or null as the result, its own lists are neither",
    ),
    Difference(
        "a deletion says ok",
        r"result: type",
        "deleteWorkerBuild deleteBuildToken",
        "the same envelope; `ok` is documented for deleteWorkerBuild and was seen live for deleteBuildToken",
    ),
    Difference(
        "no outcome yet",
        rf"{_BUILD}\.build_outcome: (enum|type)",
        f"{_BUILDS} {_BUILD_LISTS} {_BUILD_MAPS}",
        "an unfinished build has a null outcome; the schema both allows and forbids it",
    ),
    Difference(
        "pushes are push_event",
        rf"{_BUILD}\.build_trigger_metadata\.build_trigger_source: enum",
        f"getBuildByUuid {_BUILD_LISTS} {_BUILD_MAPS}",
        "seen live in two runs; the schema lists `push`",
    ),
    Difference(
        "variables are objects",
        rf"{_BUILD}\.build_trigger_metadata\.environment_variables\.\w+: type",
        f"getBuildByUuid createManualBuild {_BUILD_LISTS} {_BUILD_MAPS}",
        "the strict types of Cloudflare's own client have objects",
    ),
    Difference(
        "defaults of a trigger",
        r"takes \.(root_directory|branch_excludes|path_includes|path_excludes) is missing",
        "createTrigger",
        "a client that sends none of the four worked live",
    ),
    Difference(
        "a bad body is 400",
        r"status 400",
        "createTrigger updateTrigger createManualBuild upsertEnvironmentVariables createBuildToken"
        " upsertRepoConnection",
        "12002 was seen live, the schema lists 401 and 404 only",
    ),
    Difference(
        "a bad query is 400",
        r"status 400",
        f"{_BUILD_MAPS} {_BUILD_LISTS} listBuildTokens listWorkerPreviews getBuildLogs"
        " getWorkerConfigAutofill",
        "12013 was seen live, the schema lists 401 and 404 only",
    ),
    Difference(
        "what is unknown is 404",
        r"status 404",
        "createTrigger createManualBuild listEnvironmentVariables getWorkerConfigAutofill",
        "12000 is the refusal for anything that does not exist, the schema leaves it out here",
    ),
    Difference(
        "a name is no tag",
        r"status 404",
        "listBuildsByScript listTriggersByScript listWorkerPreviews listDeployHooks",
        "a name in place of a tag is documented and was seen live as 404 with 12000; so is the reverse",
    ),
)
NOT_IN_THE_SCHEMA = {"verifyToken": "`/user/tokens/verify` belongs to another part of the API"}


class World:
    """A simulated account with one of everything."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.sim = sim = BuildsSimulator(clock=self.clock, seed=1, epoch=EPOCH)
        shop, blog = sim.add_worker("shop", tags=["production"]), sim.add_worker("blog")
        sim.add_trigger(shop, environment_variables={"NODE_ENV": "production", "SECRET": None})
        preview = sim.add_preview(shop, "feature/x")
        done = sim.add_finished_build(3, external_script_id=shop, environment_variables={"NODE_ENV": "1"})
        for tag in (shop, preview):
            sim.add_build(
                build_script(2), external_script_id=tag, branch="x", environment_variables={"NODE_ENV": "1"}
            )
        deployment = sim.deploy(shop, {sim.edit(shop): 90, done.version_id: 10})
        queue = sim.add_queue("events")
        self.names: dict[str, Any] = {
            "account_id": sim.account_id,
            "build_uuid": list(sim.builds)[1],
            "external_script_id": shop,
            "script_tag": shop,
            "script_name": "shop",
            "preview_id": preview,
            "deploy_hook_uuid": sim.add_deploy_hook(shop, "nightly", "release"),
            "deployment_id": deployment,
            "version_id": done.version_id,
            "queue_id": queue,
            "environment_variable_key": "NODE_ENV",
            "provider_type": "github",
            "provider_account_id": "4005006",
            "repo_id": "100200300",
        }
        (production, legacy), bare = self.triggers(shop), sim.add_worker("bare", connected=False)
        self.names["trigger_uuid"] = legacy["trigger_uuid"]
        self.names["build_token_uuid"] = production["build_token_uuid"]
        self.names["repo_connection_uuid"] = production["repo_connection"]["repo_connection_uuid"]
        self.names["subscription_id"] = self.result("event_subscriptions/subscriptions")[0]["id"]
        self.queries: dict[str, str] = {
            "version_ids": f"{done.version_id},{list(sim.builds.values())[1].version_id}",
            "external_script_ids": f"{shop},{bare}",
            "tags": "production:yes",
            "cursor": self.result(f"builds/builds/{self.names['build_uuid']}/logs")["cursor"],
        }
        self.ids: Ids = {
            "build_token_uuid": self.names["build_token_uuid"],
            "repo_connection_uuid": self.names["repo_connection_uuid"],
            "external_script_id": blog,
            "script_tag": bare,
            "queue_id": queue,
            "source": {"type": "workersBuilds.worker", "worker_name": "blog"},
        }

    def triggers(self, tag: str) -> Any:
        """The triggers of a Worker."""
        return self.result(f"builds/workers/{tag}/triggers")

    def result(self, path: str) -> Any:
        """The result of a GET below the account."""
        response = self.ask("GET", f"/accounts/{self.sim.account_id}/{path}")
        return msgspec.json.decode(response.body)["result"]

    def ask(self, method: str, path: str, body: bytes = b"") -> Response:
        """Send a request with the account's token."""
        headers = {"authorization": f"Bearer {self.sim.api_token}"}
        return self.sim.answer(Request(method=method, target=f"/client/v4{path}", headers=headers, body=body))

    def send(
        self,
        operation: PublishedOperation,
        body: Any = None,
        query: dict[str, str] | None = None,
        names: dict[str, str] | None = None,
    ) -> Response:
        """Send an operation, by default with ids that exist."""
        path = re.sub(
            r"\{(\w+)\}", lambda it: quote((self.names | (names or {}))[it[1]], safe=""), operation.path
        )
        needed = {it["name"] for it in operation.named("query") if it.get("required")}
        known = {name: self.queries.get(name, "main") for name in needed}
        asked = known if query is None else {**known, **query}
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.ask(
            operation.method,
            f"{path}?{urlencode(asked)}" if asked else path,
            b"" if operation.body is None else data,
        )

    def body(self, operation: PublishedOperation, *, full: bool = True) -> Any:
        """A body that the schema allows."""
        return None if operation.body is None else sample(operation.body, self.ids, full=full)

    def query(self, operation: PublishedOperation) -> dict[str, str]:
        """A query with every parameter."""
        return {
            it["name"]: self.queries.get(it["name"], str(sample(it["schema"], {}, full=True)))
            for it in operation.named("query")
        }


def findings(operation: PublishedOperation, response: Response) -> Iterator[str]:
    """The differences between a response and the schema."""
    assert response.status < 500
    body = msgspec.json.decode(response.body)
    assert body["success"] is (response.status < 400)
    assert body["success"] or (body["result"] is None and body["errors"][0]["code"] >= 1000)
    known = operation.schema_of(response.status)
    if known is None:
        yield f"status {response.status}"
    for error in (known or validator(ERROR)).iter_errors(body):
        parts = ("*" if re.fullmatch(r"\d+|[0-9a-f-]{32,36}", f"{it}") else f"{it}" for it in error.path)
        yield f"{'.'.join(parts)}: {error.validator}"


def named(operation: PublishedOperation, found: Iterable[str]) -> set[str]:
    """The names of known differences, and all unknown findings."""
    known = [it for it in DIFFERENCES if operation.id in it.operations.split()]
    return {next((it.name for it in known if re.fullmatch(it.finding, what)), what) for what in found}


def every_request(operation: PublishedOperation) -> Iterator[Response]:
    """The responses to allowed and forbidden requests, each in its own world."""
    world = World()
    yield world.send(operation, world.body(operation), world.query(operation))
    world = World()
    yield world.send(operation, world.body(operation, full=False))
    for parameter in operation.named("path"):
        if parameter["name"] != "account_id":
            for missing in ("0" * 32, NO_UUID, "no-such-name"):
                world = World()
                yield world.send(operation, world.body(operation), names={parameter["name"]: missing})
    if operation.id == "createTrigger":
        yield world.send(operation, world.body(operation) | {"external_script_id": "0" * 32})
    if operation.id == "getBuildLogs":
        yield world.send(operation, query={"cursor": "another"})


def refused_requests(operation: PublishedOperation) -> Iterator[tuple[str, Response]]:
    """The responses to requests that the schema forbids, by their fault."""
    world = World()
    for label, body in forbidden(operation, world.ids).items():
        yield label, world.send(operation, body)
        if not world.sim.requests[-1].status >= 400:
            world = World()
    if operation.body is not None:
        yield "no JSON", world.send(operation, b"{")
        yield "deep", world.send(operation, b"[" * 100_000)
    for query in bad_queries(operation):
        yield f"{query}", world.send(operation, world.body(operation), query)


def test_every_operation_has_a_route_and_every_route_an_operation() -> None:
    """Routes and operations correspond by id, method and path; path parameter names may differ."""
    routes = {route.operation: route for route in ROUTES}
    assert len(routes) == len(ROUTES)
    assert routes.keys() - NOT_IN_THE_SCHEMA.keys() == PUBLISHED.keys()
    assert routes.keys() - PUBLISHED.keys() == NOT_IN_THE_SCHEMA.keys()
    for name, operation in PUBLISHED.items():
        route = routes[name]
        path = f"/accounts/{{account_id}}{route.path}" if route.scope == "account" else route.path
        assert (route.method, re.sub(r"\{\w+\}", "*", path)) == (
            operation.method,
            re.sub(r"\{\w+\}", "*", operation.path),
        )


def test_a_route_needs_the_permission_of_its_operation() -> None:
    """Each route requires the permission in the table of operations; triggering a hook requires none."""
    families = {"builds": "Workers CI", "scripts": "Workers Scripts", "queues": "Queues"}
    for name, operation in OPERATIONS.items():
        with Case(name):
            (route,) = (route for route in ROUTES if route.operation == name)
            group, _, access = route.permission.partition(":")
            family = families.get(group)
            assert operation.permission == (f"{family} {access.title()}" if family else "")


@cases("operation", EVERY)
def test_a_complete_request_succeeds(operation: PublishedOperation) -> None:
    """A request with real ids and every field and parameter gets the documented success."""
    world = World()
    body = world.body(operation)
    assert operation.body is None or validator(operation.body).is_valid(body)
    response = world.send(operation, body, world.query(operation))
    assert response.status == operation.success, response.body


@cases("operation", EVERY)
def test_forbidden_requests_are_refused(operation: PublishedOperation) -> None:
    """Each forbidden body and query is a 4xx in the envelope, unless it is a known difference."""
    taken = [f"takes {what}" for what, response in refused_requests(operation) if response.status < 400]
    known = [it for it in DIFFERENCES if operation.id in it.operations.split() and "takes" in it.finding]
    assert named(operation, taken) == {it.name for it in known}


@pytest.mark.slow
@pytest.mark.parametrize("operation", EVERY)
def test_responses_differ_only_as_known(operation: PublishedOperation) -> None:
    """The responses differ from the schema exactly in the known differences of the operation."""
    responses = [*every_request(operation), *(response for _, response in refused_requests(operation))]
    found = {what for response in responses for what in findings(operation, response)}
    known = [it for it in DIFFERENCES if operation.id in it.operations.split() and "takes" not in it.finding]
    assert named(operation, found) == {it.name for it in known}


@pytest.mark.slow
@pytest.mark.parametrize("operation", EVERY)
def test_random_requests_are_served(operation: PublishedOperation) -> None:
    """Random bodies and ids never break the simulator, and no response has an unknown difference."""
    pools = {
        it["name"]: st.sampled_from(["0" * 32, "shop", "a/ü?"]) | st.just("")
        for it in operation.named("path")
        if it["name"] != "account_id"
    }
    others = st.fixed_dictionaries({}, optional=pools) if pools else st.just({})
    bodies = st.just(None) if operation.body is None else values(operation.body, World().ids)

    @settings(
        derandomize=True,
        max_examples=25,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies, st.booleans().flatmap(lambda real: st.just({}) if real else others))
    def ask(body: Any, names: dict[str, str]) -> None:
        response = World().send(operation, body, names=names)
        assert named(operation, findings(operation, response)) <= {it.name for it in DIFFERENCES}

    ask()


def test_the_table_of_differences_names_real_operations() -> None:
    """Each difference has a reason and names only operations of the schema."""
    assert {name for it in DIFFERENCES for name in it.operations.split()} <= PUBLISHED.keys()
    assert all(it.reason for it in DIFFERENCES)
