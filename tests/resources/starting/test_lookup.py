"""The lookup after a lost response: the Workers it asks for, and the meaning of its failures."""

import msgspec
import pytest
from multidict import CIMultiDict

from builds_async import (
    BuildsConnectionError,
    BuildsTimeoutError,
)
from builds_async.session.transport import Response
from tests.resources.starting.support import STARTS, Shop, Start


async def test_known_trigger(shop: Shop) -> None:
    """For a trigger with a known Worker, one request finds the build."""
    shop.sim.add_worker("another")
    await shop.know()
    shop.lose()
    await shop.start()
    assert shop.wire.sent[1:] == [("GET", "/builds/builds/latest")]


async def test_unknown_trigger(shop: Shop) -> None:
    """For an unknown trigger all Workers are searched; afterwards its Worker is known."""
    for number in range(45):
        shop.add(external_script_id=shop.sim.add_worker(f"w{number}"))
    shop.lose()
    shop.lose()
    first = await shop.start()
    assert [path for _, path in shop.wire.sent[1:]] == [
        "/workers/scripts",
        *["/builds/builds/latest"] * 3,
    ]
    shop.wire.sent.clear()
    second = await shop.start()
    assert [first.build_uuid, second.build_uuid] == shop.wire.made
    assert [path for _, path in shop.wire.sent[1:]] == ["/builds/builds/latest"]


async def test_unknown_trigger_among_other_builds(shop: Shop) -> None:
    """The search does not accept a build of another Worker, trigger or time."""
    for number in range(3):
        shop.add(external_script_id=shop.sim.add_worker(f"w{number}"))
    shop.meanwhile(branch="main", trigger_uuid=shop.others)
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


@pytest.mark.parametrize("tag", ["", "shop", "x" * 32, "é", "a/b"])
async def test_unknown_trigger_among_odd_tags(tag: str, shop: Shop) -> None:
    """A Worker with an invalid tag does not break the search."""
    scripts = {"success": True, "result": [{"id": "odd", "tag": tag}, {"id": "shop", "tag": shop.tag}]}
    headers: CIMultiDict[str] = CIMultiDict()

    def listing(_: str, path: str) -> Response | None:
        return Response(200, headers, msgspec.json.encode(scripts)) if "/workers/scripts" in path else None

    shop.wire.failing = listing
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


@pytest.mark.parametrize("tag", ["shop", "é", "a/b"])
async def test_known_trigger_of_an_odd_tag(tag: str, shop: Shop) -> None:
    """A trigger listed with an invalid tag does not break the search either."""
    listed = {"success": True, "result": [{"trigger_uuid": shop.main, "external_script_id": tag}]}
    headers: CIMultiDict[str] = CIMultiDict()
    shop.wire.failing = lambda _, path: (
        Response(200, headers, msgspec.json.encode(listed)) if path.endswith("/triggers") else None
    )
    await shop.know()
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    ("status", "said"), [(500, "500"), (403, "403"), (404, "404"), (200, "can't be read")], ids=str
)
async def test_failure(status: int, said: str, start: Start, shop: Shop) -> None:
    """If the lookup fails too, the original error is raised and says so, and nothing is sent again."""
    await shop.know()
    headers: CIMultiDict[str] = CIMultiDict()
    shop.wire.failing = lambda method, _: Response(status, headers, b"<html>") if method == "GET" else None
    shop.lose("timeout")
    with pytest.raises(
        BuildsTimeoutError, match="unknown whether the build started: the lookup failed"
    ) as it:
        await start(shop)
    assert said in str(it.value)
    assert shop.wire.posts == 1


async def test_partial_failure(shop: Shop) -> None:
    """A build that is found counts, even if part of the search fails."""
    for number in range(25):
        shop.sim.add_worker(f"w{number}")
    chunks = 0

    def fail(_: str, path: str) -> Response | None:
        nonlocal chunks
        if not path.endswith("/latest"):
            return None
        chunks += 1
        headers: CIMultiDict[str] = CIMultiDict()
        return Response(404, headers, b"") if chunks == 2 else None

    shop.wire.failing = fail
    shop.lose()
    assert (await shop.start()).build_uuid == shop.wire.made[0]
