"""Failing requests: which errors are raised, and which are in `failures`."""

from itertools import pairwise

import pytest

from builds_async import (
    AuthenticationError,
    BuildsConnectionError,
    BuildsError,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
)
from builds_async.models.builds import Build
from builds_async.models.envelope import Page
from tests.live.watch.support import ENDLESS, QUICK, A, B, C, Over, World, everything, life, short
from tests.support.case import cases


class TestFailures:
    async def test_failed_chunk_stops_no_other(self) -> None:
        """A failing chunk of Workers stops no other, and stays in `failures` until it succeeds."""
        world = World(life("a", 0, ENDLESS), life("b", 0, ENDLESS, tag=B), life("c", 0, ENDLESS, tag=C))
        world.chunk, world.until = 1, 40
        failure = InternalServerError("502")
        world.broken = {B: failure}
        watcher = world.watch(A, B, C)
        assert [short(await anext(watcher)) for _ in range(2)] == ["+a running", "+c running"]
        assert watcher.failures == {B: failure}
        with pytest.raises(Over):
            await anext(watcher)
        assert watcher.failures == {B: failure}
        assert world.asked.count("latest") == 9
        world.broken, world.until = {}, 90
        assert short(await anext(watcher)) == "+b running"
        assert watcher.failures == {}
        assert await everything(watcher) == []

    async def test_failed_list_is_repeated(self) -> None:
        """The next pass catches up on a list that failed."""
        world = World(life("a", -99), life("b", 1, QUICK), life("c", 3, QUICK), until=40)
        world.fails = {3: BuildsConnectionError("reset")}
        watcher = world.watch()
        assert await everything(watcher) == ["+a success", "+b fail", "+c fail"]
        assert world.asked == ["latest", "latest", "list", "latest", "list"]

    async def test_failed_look_at_a_superseded_build(self) -> None:
        """A superseded build that can't be requested does not stop the others."""
        world = World(
            life("a", 0), life("b", 1, [*ENDLESS, (30.0, "stopped"), (30.0, "fail")]), life("c", 2, ENDLESS)
        )
        world.until = 200
        watcher = world.watch()
        assert short(await anext(watcher)) == "+a queued"
        get, list_, broken = world.get, world.list, InternalServerError("500")

        async def get_without_a(build_uuid: str) -> Build:
            if build_uuid == "a":
                world.asked.append("a")
                raise broken
            return await get(build_uuid)

        async def list_without_a(tag: str, **kwargs: int) -> Page[Build]:
            return Page(result=tuple(it for it in await list_(tag, **kwargs) if it.build_uuid != "a"))

        world.get, world.list = get_without_a, list_without_a  # type: ignore[assignment,method-assign]
        assert await everything(watcher) == ["+b running", "+c running", "b fail"]
        assert watcher.failures == {A: broken}

    @cases("number", [3, 4, 5])
    @cases("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials(self, number: int, kind: type[BuildsError]) -> None:
        """Wrong credentials at any request are raised, and a retrying loop is throttled and loses nothing."""
        world = World(life("a", 0, ENDLESS), life("b", 1), life("c", 2), life("d", 17, QUICK), until=200)
        world.fails = dict.fromkeys(range(number, number + 5), kind("no"))
        watcher = world.watch()
        changes: list[str] = []
        raised: list[float] = []
        try:
            while True:
                try:
                    changes.append(short(await anext(watcher)))
                except kind:
                    raised.append(world.now())
        except Over:
            pass
        assert 1 <= len(raised) <= 5
        assert all(later - earlier >= 15 for earlier, later in pairwise(raised))
        assert [it[1] for it in changes if it.startswith("+")] == ["a", "b", "c", "d"]
        assert {it.strip("+") for it in changes} >= {"b success", "c success", "d fail"}
        assert len(changes) == len(set(changes))

    @pytest.mark.parametrize("what", ["list", "status"])
    @pytest.mark.parametrize("kind", [AuthenticationError, PermissionDeniedError])
    async def test_wrong_credentials_for_one_request(self, what: str, kind: type[BuildsError]) -> None:
        """A refusal is raised even if it affects only one list or one build."""
        world = World(life("a", 0, ENDLESS), life("b", 16, ENDLESS), until=99)
        watcher = world.watch()
        changes = [await anext(watcher), await anext(watcher)]
        assert [short(change) for change in changes] == ["+a running", "+b running"]
        if what == "list":
            world.lives.append(life("c", 31, QUICK))
        world.fails = {len(world.asked) + 2: kind("no")}  # after the look
        with pytest.raises(kind):
            await anext(watcher)
        assert world.asked[-1] == ("list" if what == "list" else "a")
        assert await everything(watcher) == (["+c fail"] if what == "list" else [])

    async def test_long_block_is_paced(self) -> None:
        """While every request is refused, passes keep their interval, and the error is visible."""
        world = World(life("a", 0, ENDLESS), until=299)
        blocked = RateLimitError("not sent", retry_after=300)
        world.fails = dict.fromkeys(range(1, 5000), blocked)
        watcher = world.watch()
        assert await everything(watcher) == []
        assert watcher.failures == {A: blocked}
        assert len(world.asked) == 20

    async def test_other_errors_are_raised(self) -> None:
        """An error that is not from the API, such as that of a closed client, is raised."""
        world = World()
        world.fails = {1: RuntimeError("closed")}  # type: ignore[dict-item]  # the point
        with pytest.raises(RuntimeError, match="closed"):
            await anext(world.watch())
