"""The client against the table of operations, and the table against the published schema."""

import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import msgspec
from aiohttp import ClientResponse
from yarl import URL

import builds_async
from builds_async import BuildsClient, BulkResult, Page, ResultInfo
from tests.support import ACCOUNT, BASE_URL, TAG, MockApi, envelope
from tests.support.case import Case, cases
from tests.support.operations import NO_PERMISSION, OPERATIONS, UUID, Operation
from tests.support.schema import PUBLISHED, Schema, merged, of_builds, validator

Json = dict[str, Any]

WHEN = "2026-08-13T02:33:54Z"
INFO = {"count": 1, "page": 2, "per_page": 7, "total_count": 8, "total_pages": 2}


class AnyApi(MockApi):
    """Answers every request with one result, and records the requests."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self._response = envelope(result, result_info=INFO)
        self.asked: list[tuple[str, URL, object]] = []

    def start(self) -> None:
        super().start()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            self.add(re.compile(".*"), method=method, payload=self._response)

    async def match(self, method: str, url: URL, *args: Any, **kwargs: Any) -> ClientResponse | None:
        self.asked.append((method, url, kwargs.get("data") and json.loads(kwargs["data"])))
        return await super().match(method, url, *args, **kwargs)


each_operation = cases("name", OPERATIONS)


def test_complete() -> None:
    """The table contains exactly the schema's operations."""
    assert OPERATIONS.keys() == PUBLISHED.keys()


@each_operation
async def test_request(name: str, client: BuildsClient) -> None:
    """A method sends one request with exactly the operation's verb, path, query and body."""
    operation, published = OPERATIONS[name], PUBLISHED[name]
    with AnyApi(example(published.result)) as api:
        await operation.call(client)
    [(verb, url, body)] = api.asked
    path = published.path.format(account_id=ACCOUNT, **operation.names)
    assert (verb, str(url.with_query(None))) == (published.method, BASE_URL + path)
    assert url.query == operation.query
    assert set(url.query) == {it["name"] for it in published.named("query")}
    assert body == operation.body
    assert (published.body is None) == (body is None)
    if published.body is not None:
        validator(published.body).validate(body)
        assert list(not_sent(merged(published.body), body)) == []


@each_operation
async def test_result(name: str, client: BuildsClient) -> None:
    """A method returns the operation's result as its type, with every field of the schema."""
    operation, result = OPERATIONS[name], example(PUBLISHED[name].result)
    with AnyApi(result):
        given = await operation.call(client)
    if operation.gives is None:
        assert given is None
        return
    container, kind = operation.gives if isinstance(operation.gives, tuple) else (operation.gives, None)
    assert isinstance(given, container)
    assert kind is None or {type(item) for item in items(given)} == {kind}
    result = result[operation.list_under] if operation.list_under else result
    assert set(lost(result, plain(given))) == operation.left_out
    if isinstance(given, Page):
        assert given.result_info == msgspec.convert(INFO, ResultInfo)


METHODS = {
    f"{resource}.{name}": getattr(kind, name)
    for resource, kind in typing.get_type_hints(BuildsClient).items()
    if kind.__module__.startswith("builds_async.resources.")
    for name in dir(kind)
    if not name.startswith("_")
}


def method_of(operation: Operation) -> str:
    """The method that an operation calls, as `resource.method`."""
    client = Mock()
    operation.call(client)
    [(method, _, _)] = client.mock_calls
    return method  # type: ignore[no-any-return]


def test_documented() -> None:
    """Each method of a resource documents its API page and its permission."""
    for name, method in METHODS.items():
        said = inspect.getdoc(method) or ""
        with Case(name):
            assert "\nhttps://developers.cloudflare.com/api/resources/" in said
            assert re.search(
                r"Needs (no permission|\"(Workers CI|Workers Scripts|Queues) (Read|Write)\")", said
            )


def test_documented_permission() -> None:
    """The permission that a method documents is its operation's."""
    for name, operation in OPERATIONS.items():
        needed = "no permission" if operation.permission == NO_PERMISSION else f'"{operation.permission}"'
        with Case(name):
            assert f"\nNeeds {needed}.\n" in (inspect.getdoc(METHODS[method_of(operation)]) or "")


@cases("name", ["QueueAcks", "QueueExtension", "Pages"])
def test_return_types_are_exported(name: str) -> None:
    """The return types of methods are public, for use in annotations."""
    assert name in builds_async.__all__


def example(schema: Schema) -> Any:
    """A value with every field of a schema without `allOf`."""
    if "oneOf" in schema or "anyOf" in schema:
        return example(of_builds(schema))
    if isinstance(schema.get("type"), list):
        return example({**schema, "type": schema["type"][0]})
    make = _EXAMPLES.get(schema.get("type", "string"))
    return schema["enum"][0] if "enum" in schema else make and make(schema)


def _example_object(schema: Schema) -> Json:
    some = schema.get("additionalProperties")
    named = {name: example(it) for name, it in schema.get("properties", {}).items()}
    return named | ({TAG: example(some), UUID: example(some)} if isinstance(some, dict) else {})


def _example_array(schema: Schema) -> list[Any]:
    forms = schema["items"].get("anyOf")  # of a log line
    return [example(it) for it in forms or (schema["items"],)]


_EXAMPLES: dict[str, Callable[[Schema], Any]] = {
    "object": _example_object,
    "array": _example_array,
    "boolean": lambda _: True,
    "integer": lambda _: 7,
    "number": lambda _: 7,
    "string": lambda schema: {"date-time": WHEN, "uuid": UUID}.get(schema.get("format", ""), "text"),
}


def plain(given: object) -> Any:
    """A method's return value, as the JSON that it came from."""
    if isinstance(given, BulkResult):
        return {"builds": msgspec.to_builtins(given.found)}
    return msgspec.to_builtins(given.result if isinstance(given, Page) else given)


def items(given: Any) -> Iterator[object]:
    """The items of a container."""
    found = given.found if isinstance(given, BulkResult) else given
    yield from found.values() if isinstance(found, dict) else found


def lost(sent: Any, got: Any, place: str = "") -> Iterator[str]:
    """The names of sent values that are missing from the result."""
    if isinstance(sent, dict) and isinstance(got, dict):
        for name, value in sent.items():
            if place == "builds" and name not in got:
                continue  # a Worker that was not requested
            yield from lost(value, got.get(name), name)
    elif isinstance(sent, list) and isinstance(got, list | tuple) and len(sent) == len(got):
        for one, other in zip(sent, got, strict=True):
            yield from lost(one, other, place)
    elif sent != got:
        yield place


def not_sent(schema: Schema, body: Any, place: str = "") -> Iterator[str]:
    """The places in a body's schema that this body lacks."""
    if "oneOf" in schema:
        [schema] = [form for form in schema["oneOf"] if validator(form).is_valid(body)] or [of_builds(schema)]
    if isinstance(body, list):
        for item in body:
            yield from not_sent(schema["items"], item, place)
    elif isinstance(body, dict):
        for name, part in schema.get("properties", {}).items():
            if name in body:
                yield from not_sent(part, body[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"
