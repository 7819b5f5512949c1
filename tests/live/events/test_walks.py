"""Random walks of a consumer lose no event."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds_async import (
    BuildEvent,
    BuildsError,
    BuildsTimeoutError,
    EventStream,
)
from builds_async.simulator import (
    BuildsSimulator,
    VirtualClock,
)
from tests.live.events.support import Source, ended, stream_of, within
from tests.support import nothing_left

pytestmark = pytest.mark.slow


class Walker:
    """A consumer that takes the actions of a random walk."""

    def __init__(self, batch_size: int, **options: Any) -> None:
        self.sim = BuildsSimulator(clock=VirtualClock())
        self.source = Source(self.sim, self.sim.add_queue(max_retries=1000, **options))
        self.source.latency = 0.1
        self.batch_size = batch_size
        self.uuids = ended(self.sim, 12)
        self.stream = self.new_stream()
        self.current: BuildEvent | None = None
        self.got: list[str] = []
        self.done: set[str] = set()  # acknowledged by this stream, which never delivers them again

    def new_stream(self) -> EventStream:
        return stream_of(self.source, patience=5, batch_size=self.batch_size)

    async def walk(self, actions: list[str]) -> None:
        """Do `actions`, then read until the queue is empty."""
        for action in actions:
            await getattr(self, action)()
        while await self.take(500):
            pass
        await self.stream.aclose()
        assert set(self.got) == set(self.uuids)
        assert self.source.queue.backlog == 0

    async def take(self, seconds: float = 60.0) -> bool:
        if self.current:
            self.done.add(self.current.build_uuid)
        self.current = None
        try:
            self.current = await within(seconds, self.stream)
        except BuildsTimeoutError:  # longer than the patience
            return True
        if self.current:
            assert self.current.build_uuid not in self.done
            self.got.append(self.current.build_uuid)
        return self.current is not None

    async def hurry(self) -> None:
        await self.take(0.15)

    async def work(self) -> None:
        await self.sim.clock.sleep(45)

    async def ack(self) -> None:
        if self.current:
            self.done.add(self.current.build_uuid)
            with suppress(BuildsError):
                await self.stream.ack(self.current)
            self.current = None

    async def retry(self) -> None:
        if self.current:
            with suppress(BuildsError):
                await self.stream.retry(self.current, delay=3)
            self.current = None

    async def loop(self) -> None:
        aiter(self.stream)
        self.current = None

    async def drop(self) -> None:
        self.current = None
        self.done.clear()  # unsent acknowledgements are lost, so events are redelivered
        self.stream = self.new_stream()

    async def close(self) -> None:
        await self.stream.aclose()
        await self.drop()

    async def fail(self, *, lost: bool = False) -> None:
        for call in ("pull", "ack", "extend"):
            self.source.fail(call, BuildsTimeoutError("slow"), lost=lost)

    async def lose(self) -> None:
        await self.fail(lost=True)


ACTIONS = ["take"] * 3 + ["hurry", "work", "ack", "retry", "loop", "drop", "close", "fail", "lose"]


@settings(max_examples=40, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=25),
    batch_size=st.integers(1, 15),
    duplicate_every=st.integers(0, 3),
    extended_leases=st.sampled_from(["same", "listed", "hidden"]),
)
def test_no_event_is_lost(actions: list[str], batch_size: int, **options: Any) -> None:
    """No sequence of consumer actions and lost requests loses an event or redelivers an acknowledged one."""

    async def run() -> None:
        async with nothing_left():
            await Walker(batch_size, **options).walk(actions)

    asyncio.run(run())
