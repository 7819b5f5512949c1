"""Calls whose success confirms the change, whatever the response contains."""

import re
from typing import Any

import pytest

from builds_async import BuildsClient, BuildsError
from tests.support import MockApi
from tests.support.case import Case
from tests.support.operations import OPERATIONS, UUID
from tests.support.schema import PUBLISHED

RECEIPTS = [name for name, operation in OPERATIONS.items() if operation.is_receipt]
EMPTY = {"success": True, "errors": [], "messages": []}
RESPONSES: dict[str, dict[str, Any]] = {
    "204": {"status": 204, "body": b""},
    "no result": {"payload": EMPTY},
    "a null result": {"payload": {**EMPTY, "result": None}},
    "ok": {"payload": {**EMPTY, "result": "ok"}},  # seen live where the schema has null
    **{
        f"{body!r}": {"body": body}
        for body in (b"", b" \n", b"null", b'"ok"', b"[]", b"{}", b'{"result": "ok"}', b"7")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECEIPTS)
async def test_success_of_any_shape(name: str, client: BuildsClient) -> None:
    """A success with a sparse or odd body is still a success."""
    for shape, response in RESPONSES.items():
        with Case(shape), MockApi() as api:
            api.add(re.compile(".*"), method=PUBLISHED[name].method, **response)
            await OPERATIONS[name].call(client)


@pytest.mark.parametrize("name", ["deleteDeployHook", "subscriptions-delete"])
async def test_deletion_without_a_result(name: str, client: BuildsClient) -> None:
    """A deletion that may return the deleted object returns None if the response has nothing readable."""
    for shape, response in RESPONSES.items():
        with Case(shape), MockApi() as api:
            api.add(re.compile(".*"), method="DELETE", **response)
            assert await OPERATIONS[name].call(client) is None


@pytest.mark.parametrize("body", [b"<html>", b'{"result": {', b"\xff"], ids=["HTML", "cut", "binary"])
async def test_non_json_is_no_success(body: bytes, api: MockApi, client: BuildsClient) -> None:
    """A success that is not the API's JSON proves nothing."""
    api.add(re.compile(".*"), method="DELETE", body=body, repeat=True)
    with pytest.raises(BuildsError) as caught:
        await client.triggers.delete(UUID)
    assert caught.value.transient
