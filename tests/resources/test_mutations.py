"""One odd value anywhere in any response costs at most itself, and raises only the library's errors.

The responses are generated from the types that the client reads, with two of everything, so that each odd
value has a good neighbor. The method of its operation decodes each, as if from a connection.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import UNSET, inspect

from builds_async import (
    BuildsClient,
    BuildsError,
    BulkResult,
    LogPage,
    NotFoundError,
    Page,
    QueueBatch,
    QueueMessage,
    RateBudget,
    ResultInfo,
    RetryPolicy,
)
from builds_async.models.events import BuildEvent, read_event
from builds_async.session.transport import Request, Response
from tests.support import ACCOUNT, TAG, TOKEN, FakeClock, drive, envelope
from tests.support.operations import OPERATIONS, OTHER, UUID, Operation

Json = dict[str, Any]
Path = tuple[str | int, ...]

OTHER_TAG = "f" * 32
HUGE = 10**400
REMOVED = object()
MUTATIONS: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a text": "odd",
    "an empty text": "",
    "a list": ["odd"],
    "an object": {"odd": "odd"},
    "true": True,
    "false": False,
    "a huge number": HUGE,
    "removed": REMOVED,
}


class Allowed(NamedTuple):
    """Odd values that may cost the whole response."""

    reason: str
    matches: Callable[[str, Path, str], bool]


RECEIPTS = {name for name, operation in OPERATIONS.items() if operation.is_receipt}
"""Operations whose success alone is the confirmation, whatever the response contains."""

IDENTITIES = {
    "build_uuid",
    "build_token_uuid",
    "deploy_hook_uuid",
    "preview_id",
    "id",
    "lease_id",
    "version_id",
}
ESSENTIAL = {
    "getBuildLogs": "lines",
    "getLatestBuildsByScripts": "builds",
    "getBuildsByVersionIds": "builds",
    "queues-pull-messages": "messages",
    **{name: it.list_under for name, it in OPERATIONS.items() if it.list_under},
}

ALLOWED = (
    Allowed(
        "`success` that is false is a refusal", lambda _, path, how: path == ("success",) and how == "false"
    ),
    Allowed(
        "a read, or the making of something, without a result has nothing to give",
        lambda name, path, _: path == ("result",) and name not in RECEIPTS,
    ),
    Allowed(
        "a thing without its id can't be used, and there is no other one in the response",
        lambda name, path, _: len(path) == 2 and path[1] in IDENTITIES and name not in RECEIPTS,
    ),
    Allowed(
        "a log, a lookup, a pull or a list of another shape is not empty: that would be a silent loss",
        lambda name, path, _: len(path) == 2 and path[1] == ESSENTIAL.get(name),
    ),
)


# Good responses.


def sample(kind: inspect.Type, name: str = "", number: int = 0) -> Any:
    """A fully populated value of that type; different numbers give different values."""
    make = _SAMPLES.get(type(kind))
    return make(kind, name, number) if make else {"some": "thing"}  # an object of any kind


def _sample_struct(kind: Any, _: str, number: int) -> Any:
    fields = {it.encode_name: sample(it.type, it.name, number) for it in kind.fields}
    return list(fields.values()) if kind.array_like else fields


_SAMPLES: dict[type[inspect.Type], Callable[[Any, str, int], Any]] = {
    inspect.Metadata: lambda kind, name, number: sample(kind.type, name, number),
    inspect.UnionType: lambda kind, name, number: sample(kind.types[0], name, number),
    inspect.StructType: _sample_struct,
    inspect.VarTupleType: lambda kind, name, number: [
        sample(kind.item_type, name, at) for at in (number, number + 1)
    ],
    inspect.DictType: lambda kind, name, number: {
        key: sample(kind.value_type, name, at) for at, key in enumerate(("KEY", "MODE"), number)
    },
    inspect.EnumType: lambda kind, _, number: list(kind.cls)[number % 2].value,
    inspect.DateTimeType: lambda _, __, number: f"2026-08-13T02:33:{number:02d}Z",
    inspect.BoolType: lambda *_: True,
    inspect.IntType: lambda _, __, number: 100 + number,
    inspect.FloatType: lambda _, __, number: 100 + number,
    inspect.StrType: lambda _, name, number: f"{name} {number}",
}


def sample_of(kind: Any, number: int = 0) -> Any:
    return sample(inspect.type_info(kind), number=number)


def result_of(name: str, operation: Operation) -> Any:
    """A good result of an operation."""
    gives = operation.gives
    if gives is None:
        return "ok"
    if not isinstance(gives, tuple):
        return sample_of(gives)
    container, kind = gives
    some = [sample_of(kind, number) for number in (0, 2)]
    if container is BulkResult:
        ids = (TAG, OTHER_TAG) if name == "getLatestBuildsByScripts" else (UUID, OTHER)
        return {"builds": dict(zip(ids, some, strict=True))}
    if operation.list_under:
        return {operation.list_under: some}
    return dict(zip(("KEY", "MODE"), some, strict=True)) if container is dict else some


def response_of(name: str, operation: Operation) -> Json:
    """A good response of an operation; a list is a page."""
    more = {"result_info": sample_of(ResultInfo)} if _is_page(operation) else {}
    return envelope(result_of(name, operation), **more)


def _is_page(operation: Operation) -> bool:
    return isinstance(operation.gives, tuple) and operation.gives[0] is Page


# Odd responses.


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Each place inside a value; the first item of a list stands for all."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def mutated(value: Any, path: Path, odd: Any) -> Any:
    """A copy of a value with one odd place."""
    copy = parent = deepcopy(value)
    for key in path[:-1]:
        parent = parent[key]
    if odd is REMOVED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = odd
    return copy


def mutations(value: Any) -> Iterator[tuple[Path, str, Any]]:
    for path in places(value):
        for how, odd in MUTATIONS.items():
            yield path, how, mutated(value, path, odd)


# The result of a call, in the shape of the response that it came from.


class Canned:
    """A transport that always returns the same response."""

    def __init__(self) -> None:
        self.response = Response(200, {}, b"")

    async def send(self, _: Request) -> Response:
        return self.response

    def check_open(self) -> None:
        """Always open."""

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture
async def canned() -> Any:
    """A client and its transport."""
    options: Json = {
        "retry": RetryPolicy(attempts=1),
        "clock": FakeClock(),
        "budget": RateBudget(limit=10**9),
    }
    transport = Canned()
    async with BuildsClient(account_id=ACCOUNT, api_token=TOKEN, transport=transport, **options) as client:
        yield client, transport


CALLS: Mapping[str, Callable[[BuildsClient], Any]] = {
    **{name: operation.call for name, operation in OPERATIONS.items()},
    "getLatestBuildsByScripts": lambda client: client.builds.latest([TAG, OTHER_TAG]),
}


def shown(result: Any, list_under: str | None = None) -> Any:
    if isinstance(result, BulkResult):
        return {"result": {"builds": shown(result.found)["result"]}}
    plain = msgspec.json.decode(msgspec.json.encode(result))
    page = {**plain, "skipped": 0} if isinstance(result, Page) else {"result": plain}
    return {**page, "result": {list_under: page["result"]}} if list_under else page


def given(client: BuildsClient, transport: Canned, name: str, wire: Json) -> Any:
    transport.response = Response(200, {}, json.dumps(wire).encode())
    return drive(CALLS[name](client))


def differences(one: Any, other: Any, odd: Path, path: Path = ()) -> Iterator[Path]:
    """The places where two values differ. A list that lacks just the odd item differs as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            yield from differences(one.get(key, UNSET), other.get(key, UNSET), odd, (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (before, after) in enumerate(zip(one, other, strict=True)):
            yield from differences(before, after, odd, (*path, number))
    elif one != other:
        at = odd[len(path)] if odd[: len(path)] == path and len(odd) > len(path) else None
        is_shorter = isinstance(one, list) and isinstance(at, int) and other == one[:at] + one[at + 1 :]
        yield path if is_shorter or not isinstance(one, list) or at is None else (*path, "others")


def is_its_own(place: Path, odd: Path, name: str) -> bool:
    """Whether a difference is within the allowed cost of an odd value: itself, or its now useless element."""
    if place[: len(odd)] == odd or place == odd[:-1]:
        return True
    if odd[-1] in IDENTITIES:
        return place in {odd[:-1], odd[:-2]} or (name in RECEIPTS and len(odd) == 2)
    return name == "getBuildLogs" and place[:3] == odd[:3]  # either half of a line


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_odd_value_costs_at_most_itself(name: str, canned: tuple[BuildsClient, Canned]) -> None:
    """The rest of a response is returned, whatever value is at one place in it."""
    client, transport = canned
    operation = OPERATIONS[name]
    wire = response_of(name, operation)
    good = shown(given(client, transport, name, wire), operation.list_under)
    for path, how, odd in mutations(wire):
        place = f"{how} at {path}"
        result = given_or_refused(client, transport, name, odd)
        if isinstance(result, BuildsError):
            refused = [it.reason for it in ALLOWED if it.matches(name, path, how)]
            assert refused, f"{place}: {result}"
        elif path != ("result",) and path[0] not in {"success", "errors", "messages"}:
            if isinstance(result, BulkResult) and len(path) > 2:
                check_bulk(result, path, odd, place)
            odd_one = shown(result, operation.list_under)
            lost = [it for it in differences(good, odd_one, path) if not is_its_own(it, path, name)]
            assert lost == [], place


def given_or_refused(client: BuildsClient, transport: Canned, name: str, wire: Json) -> Any:
    try:
        return given(client, transport, name, wire)
    except BuildsError as error:
        return error


def check_bulk(result: BulkResult[Any], path: Path, odd: Json, place: str) -> None:
    """An unreadable build is in `failed`, and an absent one is in `missing`."""
    builds = odd["result"]["builds"]
    [first, second] = [*result.found, *result.missing, *result.failed][:2]
    assert {first, second} == {*result.found, *result.missing, *result.failed}, place
    for tag in (first, second):
        absent = builds.get(tag) is None
        assert (tag in result.missing) == absent, place
    if len(path) > 3:
        assert result.missing == (), place


async def test_odd_refusals(canned: tuple[BuildsClient, Canned]) -> None:
    """A refusal stays a refusal, whatever its body is, and keeps the codes of its good entries."""
    client, transport = canned
    entries = [{"code": 12002, "message": "one"}, {"code": 12000, "message": "two"}]
    wire = {"success": False, "errors": entries, "messages": [], "result": None}
    for path, how, odd in mutations(wire):
        transport.response = Response(404, {}, json.dumps(odd).encode())
        with pytest.raises(NotFoundError) as caught:
            drive(client.builds.get(UUID))
        if path != ("errors",):
            assert 12000 in caught.value.codes, f"{how} at {path}"


@pytest.mark.parametrize(
    ("result", "call"),
    [
        ({"A": None}, lambda c: c.triggers.variables(UUID)),
        ({"scripts": {"build": None}}, lambda c: c.repos.config_autofill("github", "1", "2", branch="b")),
        (
            {"env_worker_names": {"staging": None}},
            lambda c: c.repos.config_autofill("github", "1", "2", branch="b"),
        ),
        (
            {"id": TAG, "destination": {"type": "queues.queue", "queue_id": None}},
            lambda c: c.subscriptions.get(TAG),
        ),
        ({"id": TAG, "source": {"type": None}}, lambda c: c.subscriptions.get(TAG)),
        ([{"id": "shop", "tags": [None]}], lambda c: c.workers.list()),
    ],
)
async def test_null_inside(
    result: Any, call: Callable[[BuildsClient], Any], canned: tuple[BuildsClient, Canned]
) -> None:
    """A null inside a map or list of a result is not an error."""
    client, transport = canned
    transport.response = Response(200, {}, json.dumps(envelope(result)).encode())
    drive(call(client))


# Events.

FIELDS = {
    "type": "type",
    "source": "worker_name",
    "buildUuid": "build_uuid",
    "createdAt": "created_on",
    "initializingAt": "initializing_on",
    "runningAt": "running_on",
    "stoppedAt": "stopped_on",
    "eventTimestamp": "event_timestamp",
    "accountId": "account_id",
    "eventSubscriptionId": "event_subscription_id",
    "buildTriggerMetadata": "build_trigger_metadata",
}
EVENT: Json = {
    "type": "cf.workersBuilds.worker.build.failed",
    "source": {"type": "workersBuilds.worker", "workerName": "shop"},
    "payload": {
        "buildUuid": UUID,
        "status": "stopped",
        "buildOutcome": "failure",
        "createdAt": "2026-08-13T02:33:54.080Z",
        "initializingAt": "2026-08-13T02:33:55.080Z",
        "runningAt": "2026-08-13T02:33:56.080Z",
        "stoppedAt": "2026-08-13T02:33:57.080Z",
        "buildTriggerMetadata": {
            "buildTriggerSource": "push_event",
            "branch": "main",
            "commitHash": "5f0c1d2e",
            "commitMessage": "Fix",
            "author": "ada",
            "buildCommand": "make",
            "deployCommand": "npx wrangler deploy",
            "rootDirectory": "/",
            "repoName": "shop",
            "providerAccountName": "acme",
            "providerType": "github",
            "environmentVariables": {"KEY": "a", "MODE": {"is_secret": True}},
        },
    },
    "metadata": {
        "accountId": ACCOUNT,
        "eventSubscriptionId": TAG,
        "eventSchemaVersion": 1,
        "eventTimestamp": "2026-08-13T02:33:58.080Z",
    },
}
NEEDED = {("type",), ("payload",), ("payload", "buildUuid")}


def event_of(body: Any) -> BuildEvent | None:
    return read_event(QueueMessage(id="m", lease_id="l", body=body))


def test_odd_events() -> None:
    """An odd value costs an event at most itself; only the type and the build are required."""
    whole = event_of(EVENT)
    assert whole is not None
    assert whole.build_trigger_metadata is not None
    assert None not in msgspec.structs.astuple(whole)
    for path, how, odd in mutations(EVENT):
        event = event_of(odd)
        if event is None:
            assert path in NEEDED, f"{how} at {path}"
            continue
        changed = {it for it in event.__struct_fields__ if getattr(event, it) != getattr(whole, it)}
        assert changed <= _may_change(path), f"{how} at {path}"
        if path[:2] == ("payload", "buildTriggerMetadata") and len(path) == 3:
            metadata = msgspec.structs.asdict(event.build_trigger_metadata or whole.build_trigger_metadata)
            before = msgspec.structs.asdict(whole.build_trigger_metadata)
            assert sum(metadata[name] != before[name] for name in before) <= 1, f"{how} at {path}"


def _may_change(path: Path) -> set[str]:
    if path == ("metadata",):
        return {"account_id", "event_subscription_id", "event_timestamp"}
    if path in {("type",), ("payload", "status"), ("payload", "buildOutcome")}:
        return {"type", "status", "build_outcome"}
    names = [FIELDS.get(str(name)) for name in path if name not in {"payload", "metadata"}]
    return {names[0]} if names and names[0] else set()


# The message of a pull.


async def test_an_odd_message_leaves_the_others(canned: tuple[BuildsClient, Canned]) -> None:
    """A pull returns the good message next to an odd one, and the odd one too if it is usable."""
    client, transport = canned
    wire = envelope(sample_of(QueueBatch))
    for path, how, odd in mutations(wire["result"]["messages"][0]):
        both = mutated(wire, ("result", "messages", 0), odd)
        [*first, second] = given(client, transport, "queues-pull-messages", both).messages
        assert second == msgspec.convert(wire["result"]["messages"][1], QueueMessage)
        assert len(first) == 1 or path in {("id",), ("lease_id",)}, f"{how} at {path}"


async def test_an_odd_line_keeps_its_place(canned: tuple[BuildsClient, Canned]) -> None:
    """A page has as many lines as the API sent, odd ones included, because positions count lines."""
    client, transport = canned
    wire = envelope(sample_of(LogPage))
    for how, odd in MUTATIONS.items():
        for path in ((0,), (0, 0), (0, 1)):
            if odd is REMOVED and path == (0,):
                continue
            both = mutated(wire, ("result", "lines", *path), odd)
            page = given(client, transport, "getBuildLogs", both)
            assert len(page.lines) == 2, f"{how} at {path}"
            assert page.lines[1].message == wire["result"]["lines"][1][1]


@pytest.mark.slow
async def test_few_odd_responses_are_refused(canned: tuple[BuildsClient, Canned]) -> None:
    """Few responses with an odd value are rejected: 128 of 13,540. Strict decoding would reject half.

    Only values below the result count, because a result that is odd as a whole leaves nothing to return.
    """
    client, transport = canned
    results = [
        isinstance(given_or_refused(client, transport, name, odd), BuildsError)
        for name, operation in OPERATIONS.items()
        for path, _, odd in mutations(response_of(name, operation))
        if len(path) > 1
    ]
    assert len(results) > 10_000
    assert sum(results) < len(results) * 0.01
