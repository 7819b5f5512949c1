"""`ready` and `position.after`: a partly processed batch, and a tail that resumes after it."""

from collections import defaultdict

import pytest

from builds_async import TailEnd, TailLine
from builds_async.live.tail import BuildTail
from tests.live.tail.support import Got, kept, script, texts, wire
from tests.support.clock import canceled_after


async def test_without_workers() -> None:
    """Without Workers, `ready` returns False."""
    assert not await wire().tail([]).ready()


async def test_ready_consumes_nothing() -> None:
    """Repeated calls of `ready`, canceled or not, consume nothing and keep the position."""
    it = wire()
    build = it.sim.add_build(script(3))
    tail = it.tail([build.external_script_id])
    for _ in range(20):
        await canceled_after(it.sim.clock, tail.ready(), 0.1)
    assert await tail.ready()
    before = tail.position
    assert await tail.ready()
    assert tail.position == before
    first = await tail.read(most=1)
    assert tail.position == before.after(first)
    await tail.aclose()


@pytest.mark.parametrize("tail_lines", [None, 4], ids=["from the first line", "the last lines"])
@pytest.mark.parametrize("part", [1, 2, 5])
async def test_batches_processed_in_part(part: int, tail_lines: int | None) -> None:
    """A tail that starts after part of a batch delivers the rest, across builds and ends."""
    it = wire(page_size=7)
    builds = [it.sim.add_build(script(9, every=0.5)) for _ in range(3)]
    await it.sim.clock.sleep(3.2)
    ids = [build.external_script_id for build in builds]
    got: Got = defaultdict(list)
    ends: list[str] = []
    start = None
    while len(ends) < 3:
        tail = BuildTail(
            it.source(),
            ids,
            clock=it.sim.clock,
            start=start,
            tail=tail_lines if start is None else None,
            interval=10.0,
            poll_interval=1.0,
            max_poll_interval=5.0,
        )
        assert await tail.ready()
        before = tail.position
        done = (await tail.read())[:part]
        start = kept(before.after(done))
        await tail.aclose()
        got_lines = [item for item in done if isinstance(item, TailLine)]
        for item in got_lines:
            got[item.build.build_uuid].append(item.line.message)
        ends += [item.build.build_uuid for item in done if isinstance(item, TailEnd)]
    skipped = 0 if tail_lines is None else 3  # there are seven lines at first
    assert got == {uuid: lines[skipped:] for uuid, lines in texts(*builds).items()}
    assert len(set(ends)) == 3
