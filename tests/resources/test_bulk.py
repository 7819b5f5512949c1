"""Bulk lookups: few requests, each id sent once, and each id in exactly one part of the result."""

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builds_async import (
    AuthenticationError,
    Build,
    BuildsClient,
    BuildsError,
    BulkResult,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from builds_async.resources.bulk import fan_out
from tests.support import MockApi, build, envelope, refusal, settle, tags
from tests.support.case import cases

LATEST = "/builds/builds/latest?external_script_ids="


class Source:
    """Fetches a chunk: each id maps to its upper case, except for those in `special`."""

    def __init__(self, special: Mapping[str, str | BaseException | None] | None = None) -> None:
        self.special = special or {}
        self.chunks: list[list[str]] = []
        self.running = 0
        self.most = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, ids: Sequence[str]) -> Mapping[str, str | None]:
        self.chunks.append(list(ids))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            await settle(1 + 7 * len(self.chunks) % 5)  # they end in another order than they began
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        results = {key: self.special.get(key, key.upper()) for key in ids}
        for value in results.values():
            if isinstance(value, BaseException):
                raise value
        return {key: value for key, value in results.items() if isinstance(value, str | None)}


def names(count: int) -> list[str]:
    """`count` distinct ids."""
    return [f"w{number}" for number in range(count)]


@cases(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (19, [19]),
        (20, [20]),
        (21, [20, 1]),
        (40, [20, 20]),
        (41, [20, 20, 1]),
        (100, [20, 20, 20, 20, 20]),
    ],
)
async def test_chunks(count: int, sizes: list[int]) -> None:
    """Twenty ids go into one request; an empty lookup sends none."""
    source = Source()
    result = await fan_out(names(count), source, workers=10)
    assert [len(chunk) for chunk in source.chunks] == sizes
    assert list(result.found.items()) == [(name, name.upper()) for name in names(count)]


@pytest.mark.slow
@given(
    st.integers(0, 120).flatmap(lambda count: st.permutations([f"w{number}" for number in range(count)])),
    st.sets(st.sampled_from([f"w{number}" for number in range(120)]), max_size=20),
    st.sets(st.sampled_from([f"w{number}" for number in range(120)]), max_size=3),
    st.integers(1, 12),
)
async def test_partition(unique: list[str], unknown: set[str], bad: set[str], workers: int) -> None:
    """Each id is sent once and lands in exactly one of found, missing and failed, in request order."""
    special: dict[str, str | BaseException | None] = dict.fromkeys(unknown)
    special.update({name: InternalServerError(name) for name in bad})
    source = Source(special)
    result = await fan_out(iter(unique + unique[::3]), source, workers=workers)

    order = list(unique)
    assert sorted(name for chunk in source.chunks for name in chunk) == sorted(order)
    assert all(0 < len(chunk) <= 20 for chunk in source.chunks)
    assert len(source.chunks) == -(-len(order) // 20)
    assert source.most <= workers

    failed = {name for chunk in source.chunks for name in chunk if not bad.isdisjoint(chunk)}
    assert list(result.failed) == [name for name in order if name in failed]
    assert list(result.missing) == [name for name in order if name in unknown - failed]
    assert list(result.found) == [name for name in order if name not in unknown | failed]
    for chunk in source.chunks:
        first = next((name for name in chunk if name in bad), None)
        assert all(str(result.failed[name]) == first for name in chunk if first is not None)


@cases(("workers", "chunks", "most"), [(1, 5, 1), (2, 5, 2), (3, 5, 3), (10, 5, 5), (10, 2, 2), (10, 1, 1)])
async def test_concurrency(workers: int, chunks: int, most: int) -> None:
    """At most one request per worker is in flight, and never more than there are chunks."""
    source = Source()
    source.gate.clear()
    task = asyncio.create_task(fan_out(names(20 * chunks), source, workers=workers))
    await settle()
    assert source.running == most
    source.gate.set()
    assert len((await task).found) == 20 * chunks
    assert (source.most, len(source.chunks)) == (most, chunks)


async def test_unrequested() -> None:
    """Ids in a response that were not requested are dropped."""

    async def fetch(_: Sequence[str]) -> Mapping[str, str | None]:
        return {"other": "?", "b": "B", "a": "A"}

    result = await fan_out(["a", "b"], fetch, workers=1)
    assert list(result.found.items()) == [("a", "A"), ("b", "B")]
    assert (result.missing, result.failed) == ((), {})


@cases("bad", ["", "..", "a/b", "a,b"])
async def test_refused(bad: str) -> None:
    """An invalid id is rejected before the first request."""
    source = Source()
    with pytest.raises(ValueError, match="can't be an id"):
        await fan_out([*names(50), bad], source, workers=10)
    assert source.chunks == []


class TestFailure:
    async def test_chunk(self) -> None:
        """A failed chunk puts its error on each of its ids and stops no other chunk."""
        error = RateLimitError("slow down", retry_after=300)
        result = await fan_out(names(60), Source({"w25": error}), workers=1)
        assert list(result.failed) == names(60)[20:40]
        assert {id(value) for value in result.failed.values()} == {id(error)}
        assert list(result.found) == names(60)[:20] + names(60)[40:]
        with pytest.raises(RateLimitError) as caught:
            result.raise_for_failures()
        assert caught.value is error

    def test_none(self) -> None:
        """Without failures, `raise_for_failures` does nothing."""
        BulkResult(found={"a": 1}, missing=("b",)).raise_for_failures()

    def test_first(self) -> None:
        """`raise_for_failures` raises the first failure in request order."""
        failed: dict[str, BuildsError] = {"a": NotFoundError("first"), "b": InternalServerError("second")}
        with pytest.raises(NotFoundError, match="first"):
            BulkResult[int](found={}, failed=failed).raise_for_failures()

    def test_frozen(self) -> None:
        """A result is immutable."""
        result = BulkResult[int](found={})
        with pytest.raises(AttributeError):
            result.found = {"a": 1}  # type: ignore[misc]  # the point

    @cases("workers", [1, 3, 10])
    @cases(
        "error",
        [
            AuthenticationError("no", status=401),
            PermissionDeniedError("no", status=403),
            ZeroDivisionError("bug"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_ends_all(self, error: Exception, workers: int) -> None:
        """An error that every chunk would have ends the lookup and is raised on its own, not in a group."""
        source = Source({"w5": error})
        before = asyncio.all_tasks()
        with pytest.raises(type(error)) as caught:
            await fan_out(names(400), source, workers=workers)
        assert caught.value is error
        assert "ExceptionGroup" not in "".join(traceback.format_exception(caught.value))
        assert source.running == 0
        assert len(source.chunks) <= 2 * workers
        assert asyncio.all_tasks() == before

    async def test_cause(self) -> None:
        """A raised error keeps its cause."""
        error = AuthenticationError("no")
        error.__cause__ = cause = OSError("why")
        with pytest.raises(AuthenticationError) as caught:
            await fan_out(names(400), Source({"w5": error}), workers=5)
        assert caught.value.__cause__ is cause

    async def test_several(self) -> None:
        """If several errors end the lookup at the same moment, one of them is raised."""
        errors = {f"w{20 * chunk}": AuthenticationError(f"no {chunk}") for chunk in range(5)}
        with pytest.raises(AuthenticationError, match=r"^no \d$"):
            await fan_out(names(100), Source(errors), workers=5)


@pytest.mark.parametrize("workers", [1, 4])
class TestCancel:
    async def test_cancel(self, workers: int) -> None:
        """Canceling a lookup cancels its requests and leaves no task behind."""
        source = Source()
        source.gate.clear()
        before = asyncio.all_tasks()
        task = asyncio.create_task(fan_out(names(200), source, workers=workers))
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (source.cancelled, source.running, len(source.chunks)) == (workers, 0, workers)
        assert asyncio.all_tasks() == before

    async def test_timeout(self, workers: int) -> None:
        """A timeout around a lookup is a plain TimeoutError."""
        source = Source()
        source.gate.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await fan_out(names(200), source, workers=workers)
        assert source.running == 0


class TestClient:
    @pytest.mark.parametrize(
        ("verb", "path"),
        [
            (lambda client: client.builds.latest, LATEST),
            (lambda client: client.builds.by_version, "/builds/builds?version_ids="),
        ],
        ids=["latest", "by_version"],
    )
    async def test_requests(
        self,
        api: MockApi,
        client: BuildsClient,
        verb: Callable[[BuildsClient], Callable[..., object]],
        path: str,
    ) -> None:
        """Ids are sent once each, in comma-separated lists of twenty; builds return by id, in order."""
        ids = tags(45)
        for chunk in (ids[:20], ids[20:40], ids[40:]):
            found = {tag: build(f"build-of-{tag}") for tag in reversed(chunk) if tag != ids[30]}
            api.on("GET", path + ",".join(chunk), json=envelope({"builds": found}))
        result = await verb(client)(ids + ids[:30])  # type: ignore[misc]  # both are look-ups
        assert isinstance(result, BulkResult)
        assert [(tag, it.build_uuid) for tag, it in result.found.items()] == [
            (tag, f"build-of-{tag}") for tag in ids if tag != ids[30]
        ]
        assert all(isinstance(it, Build) for it in result.found.values())
        assert (result.missing, result.failed) == ((ids[30],), {})
        assert len(api.sent) == 3

    async def test_empty(self, api: MockApi, client: BuildsClient) -> None:
        """An empty lookup sends nothing."""
        assert await client.builds.latest([]) == BulkResult(found={})
        assert await client.builds.by_version(iter(())) == BulkResult(found={})
        assert api.sent == []

    async def test_failures(self, api: MockApi, client: BuildsClient) -> None:
        """A request that fails after its retries is in `failed`, with its call and attempts."""
        ids = tags(25)
        api.on("GET", LATEST + ",".join(ids[:20]), status=502, body="<html>", repeat=True)
        api.on(
            "GET", LATEST + ",".join(ids[20:]), json=envelope({"builds": {tag: build() for tag in ids[20:]}})
        )
        result = await client.builds.latest(ids)
        assert list(result.found) == ids[20:]
        assert list(result.failed) == ids[:20]
        error = result.failed[ids[0]]
        assert isinstance(error, InternalServerError)
        assert (error.status, error.method, error.attempts) == (502, "GET", 4)
        assert error.path.endswith("/builds/builds/latest")

    async def test_credentials(self, api: MockApi, client: BuildsClient) -> None:
        """A wrong token raises, and is not put into `failed` for each id."""
        api.on("GET", LATEST + ",".join(tags(3)), status=401, json=refusal(12006, "Invalid token"))
        with pytest.raises(AuthenticationError, match="user-owned tokens only") as caught:
            await client.builds.latest(tags(3))
        assert (caught.value.attempts, caught.value.codes) == (1, (12006,))
