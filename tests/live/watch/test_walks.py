"""Random walks of a watch miss no build and no outcome."""

import asyncio
from collections import defaultdict
from typing import Literal, TypeAlias

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds_async import (
    BuildChange,
    BuildsConnectionError,
    BuildWatcher,
    WatchPosition,
)
from tests.live.watch.support import ORDER, A, B, C, Life, Over, World, word
from tests.support import CancelledStep, stepped

Step: TypeAlias = int | Literal["restart"] | None
"""Cancel a read after some turns, restart at the position, or read a change."""

pytestmark = pytest.mark.slow

durations = st.sampled_from([0.0, 0.0, 0.7, 4.0, 11.0, 16.0, 40.0])


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A build of one of three Workers that starts up to a minute after the first look."""
    states, after = [(0.0, "queued")], 0.0
    for status in ("initializing", "running", "stopped"):
        after += draw(durations)
        states.append((after, status))
    # The wait for an outcome is limited to 30 s from when the stop was seen.
    states.append(
        (after + draw(st.sampled_from([0.0, 0.0, 3.0, 14.0])), draw(st.sampled_from(["success", "fail"])))
    )
    begins = draw(st.integers(-40, 60))
    return Life(tag=draw(st.sampled_from([A, B, C])), uuid="", begins=begins, states=states, created=begins)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    report_multiple_bugs=False,
)
@given(
    made=st.lists(lives(), max_size=9),
    latency=st.sampled_from([0.0, 0.3, 2.1]),
    chunk=st.integers(1, 3),
    fails=st.sets(st.integers(1, 30), max_size=8),
    walk=st.lists(st.none() | st.integers(0, 9) | st.just("restart"), max_size=12),
)
def test_no_build_and_no_outcome_is_missed(
    made: list[Life], latency: float, chunk: int, fails: set[int], walk: list[Step]
) -> None:
    """Whatever fails or is canceled or restarted, each build is new once and reaches its outcome."""
    for number, it in enumerate(made):
        it.uuid = f"b{number}"
    world = World(*made, latency=latency, chunk=chunk, until=400)
    world.fails = dict.fromkeys(fails, BuildsConnectionError("reset"))
    changes = asyncio.run(walked(world, walk))
    seen: dict[str, list[str]] = defaultdict(list)
    for change in changes:
        uuid = change.build.build_uuid
        assert change.is_new == (uuid not in seen), "new once, and first"
        if not change.is_new:
            assert change.previous is not None
            assert word(change.previous) == seen[uuid][-1]
        seen[uuid].append(word(change.build))
    for it in made:
        places = [ORDER.index(what) for what in seen[it.uuid]]
        assert places == sorted(set(places)), "forward, each once"
        present = [
            other for other in made if other.tag == it.tag and other.begins <= world.first_seen[it.tag]
        ]
        is_latest = bool(present) and it is sorted(present, key=lambda other: other.begins)[-1]  # noqa: FURB192
        if it.begins > world.first_seen[it.tag] or is_latest:
            assert seen[it.uuid][-1:] == [it.states[-1][1]]


async def walked(world: World, walk: list[Step]) -> list[BuildChange]:
    """All changes for a reader that is canceled and restarted many times and then reads to the end."""
    watcher = world.watch(A, B, C)
    changes: list[BuildChange] = []
    for cancel_at in [*walk, *([None] * 500)]:
        first_seen = dict(world.first_seen)
        if cancel_at == "restart":
            position = kept(watcher.position)
            world.first_seen = {tag: it for tag, it in first_seen.items() if tag in position.workers}
            watcher = BuildWatcher(world, [A, B, C], interval=15.0, clock=world, start=position)
            continue
        try:
            changes.append(await stepped(watcher.__anext__(), cancel_at))
        except CancelledStep:
            world.first_seen = first_seen  # that look may have failed
            continue
        except Over:
            break
    return changes


def kept(position: WatchPosition) -> WatchPosition:
    """The position after a round trip through JSON."""
    decoded = msgspec.json.decode(msgspec.json.encode(position), type=WatchPosition)
    assert decoded == position
    return decoded
