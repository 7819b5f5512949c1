"""The types of the live verbs."""

from collections.abc import Mapping
from typing import assert_type

from builds_async import (
    Build,
    BuildChange,
    BuildEvent,
    BuildsClient,
    BuildsError,
    BuildTail,
    BuildWatcher,
    EventStream,
    LiveWorker,
    LogBroadcast,
    LogFollower,
    LogLine,
    LogPosition,
    LogSubscription,
    NotDeployedError,
    NotDeployedReason,
    TailEnd,
    TailLine,
    TailPosition,
    WatchPosition,
)


async def follow(client: BuildsClient) -> None:
    log = client.follow("b", start=LogPosition(), tail=None, poll_interval=1)
    assert_type(log, LogFollower)
    async for line in log:
        assert_type(line, LogLine)
    assert_type(await log.read(), tuple[LogLine, ...])
    assert_type(log.position, LogPosition)
    assert_type(log.build, Build)
    assert_type(log.complete, bool)
    assert_type(log.versions, tuple[str, ...])
    assert_type(log.preview_url, str | None)
    assert_type(await client.follow("b", wait=False).ready(), bool)
    assert_type(log.position.after(3), LogPosition)
    assert_type((await client.summarize(log.build)).around, tuple[LogLine, ...])
    assert_type(await client.preview_url(log.build), str | None)


async def wait(client: BuildsClient) -> None:
    assert_type(await client.wait("b"), Build)
    assert_type(await client.wait_for_commit("t", "abcdef0", branch="main"), Build)
    assert_type(await client.wait_for_commit("t", "abcdef0", finished=False), Build)
    try:
        assert_type(await client.wait_for_commit("t", "abcdef0", deployed=True), Build)
    except NotDeployedError as error:
        assert_type(error.build, Build | None)
        assert_type(error.reason, NotDeployedReason | None)
        assert_type(error.serving, LiveWorker | None)


async def watch(client: BuildsClient) -> None:
    watcher = client.watch(["t"])
    assert_type(watcher, BuildWatcher)
    async for change in watcher:
        assert_type(change, BuildChange)
        assert_type(change.build, Build)
        assert_type(change.previous, Build | None)
        assert_type(change.is_new, bool)
    assert_type(watcher.failures, Mapping[str, BuildsError])
    assert_type(watcher.position, WatchPosition)
    assert_type(watcher.current, Mapping[str, Build | None])
    await watcher.add("t")
    await watcher.remove("t")
    assert_type(client.watch(start=watcher.position), BuildWatcher)


async def tail(client: BuildsClient) -> None:
    async with client.tail(["t"], start=TailPosition()) as stream:
        assert_type(stream, BuildTail)
        async for item in stream:
            assert_type(item, TailLine | TailEnd)
            assert_type(item.build, Build)
            if isinstance(item, TailLine):
                assert_type(item.line, LogLine)
                assert_type(item.number, int)
            else:
                assert_type(item, TailEnd)
                assert_type(item.complete, bool)
        assert_type(await stream.read(), tuple[TailLine | TailEnd, ...])
        assert_type(stream.position, TailPosition)
        await stream.add("t")
        await stream.remove("t")
    assert_type(client.tail(), BuildTail)
    assert_type(client.tail(["t"], events="q"), BuildTail)


async def events(client: BuildsClient) -> None:
    async with client.events("q") as stream:
        assert_type(stream, EventStream)
        async for event in stream:
            assert_type(event, BuildEvent)
            await stream.retry(event, delay=60)


async def broadcast(client: BuildsClient) -> None:
    log = client.broadcast("b", poll_interval=2.0)
    assert_type(log, LogBroadcast)
    reader = assert_type(log.subscribe(after=3), LogSubscription)
    async for line in reader:
        assert_type(line, LogLine)
    assert_type(await reader.read(), tuple[LogLine, ...])
    assert_type(reader.number, int)
    assert_type(log.build, Build)
    assert_type(log.complete, bool)
    assert_type(log.outage, BuildsError | None)
    assert_type(log.versions, tuple[str, ...])
    assert_type(log.preview_url, str | None)
    assert_type(client.follow("b").outage, BuildsError | None)
