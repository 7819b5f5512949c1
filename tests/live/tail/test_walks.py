"""Random walks of a tail deliver every line once and in order, and then the end of its build."""

import asyncio
from collections import Counter, defaultdict
from typing import Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from builds_async import TailLine
from builds_async.models.builds import BuildOutcome, BuildStatus
from builds_async.simulator import (
    Behavior,
    BuildDetails,
    Fault,
    Moment,
)
from tests.live.tail.support import Got, Wire, item_within, kept, wire
from tests.support import settle

pytestmark = pytest.mark.slow


class Planned(NamedTuple):
    worker: int
    begins: float
    queued: float
    lines: int
    every: float
    rest: float  # seconds from the last line to the end
    ran: bool  # otherwise it is canceled while queued


class Step(NamedTuple):
    what: Literal["take", "sleep", "restart"]
    seconds: float
    lines: int = 1


planned = st.builds(
    Planned,
    worker=st.integers(0, 2),
    begins=st.integers(-20, 60) | st.sampled_from([0.2, 0.5, 0.6, 1.0, 10.5]),
    queued=st.sampled_from([0.0, 0.0, 2.0, 25.0]),
    lines=st.integers(0, 6),
    every=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    rest=st.sampled_from([0.0, 0.0, 5.0, 30.0]),
    ran=st.sampled_from([True, True, True, False]),
)
steps = st.one_of(
    st.builds(Step, st.just("take"), st.sampled_from([0.0, 0.05, 0.3, 2.0, 11.0]), st.integers(1, 9)),
    st.builds(Step, st.just("take"), st.just(15.0), st.integers(1, 9)),
    st.builds(Step, st.just("sleep"), st.sampled_from([0.0, 1.0, 13.0])),
    st.builds(Step, st.just("restart"), st.sampled_from([0.0, 4.0, 33.0])),
)
faults = st.builds(
    Fault,
    kind=st.sampled_from(["reset", "cut_body", "server_error", "not_json", "empty_body", "rate_limited"]),
    after=st.integers(0, 25),
    times=st.integers(1, 3),
)
behaviors = st.builds(
    Behavior,
    cursors=st.sampled_from(["array", "quoted", "raw", "new"]),
    last_page_cursor=st.sampled_from(["tail", "same", "null", "absent"]),
    queued_logs=st.sampled_from(["empty", "not_found"]),
    late_outcome=st.sampled_from([0.0, 0.0, 12.0]),
    null_logs_result=st.booleans(),
    truncated_hollow=st.sampled_from([0, 0, 2]),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    report_multiple_bugs=False,
)
@given(
    builds=st.lists(planned, min_size=1, max_size=7),
    walk=st.lists(steps, max_size=10),
    plan=st.lists(faults, max_size=3),
    behavior=behaviors,
    served=st.tuples(st.integers(1, 5), st.sampled_from([0.0, 0.4])),  # lines per page, and seconds
)
def test_every_line_once_and_in_order(
    builds: list[Planned],
    walk: list[Step],
    plan: list[Fault],
    behavior: Behavior,
    served: tuple[int, float],
) -> None:
    """No build, fault, timeout, sleep or restart makes a tail lose, repeat or reorder a line or an end."""
    it = wire(served[1], behavior=behavior, page_size=served[0], faults=plan)
    ids = [it.sim.add_worker() for _ in range(3)]
    for number, build in enumerate(sorted(builds, key=lambda build: build.begins)):
        end = build.queued + build.lines * build.every + build.rest
        moments: list[Moment] = [
            (build.queued, BuildStatus.RUNNING),
            *((build.queued + n * build.every, f"{number}.{n}") for n in range(build.lines)),
            (end, BuildOutcome.SUCCESS),
        ]
        if not build.ran:
            moments = [(build.queued, BuildOutcome.CANCELLED)]
        it.planned.append((build.begins, BuildDetails(external_script_id=ids[build.worker]), moments))
    got, ends = asyncio.run(walked(it, ids, walk))
    assert it.first_look is not None
    for uuid, made in it.sim.builds.items():
        expected, lines = [line.message for line in made.lines], got[uuid]
        stopped = made.entered(BuildStatus.STOPPED)
        before = [
            other
            for other in it.sim.builds.values()
            if other.external_script_id == made.external_script_id and other.created <= it.first_look
        ]
        if made.created > it.first_look or (before[-1] is made and stopped and stopped > it.first_look):
            assert lines == expected
            assert ends[uuid] == 1
        elif stopped and stopped <= it.first_look:
            assert lines == []
            assert ends[uuid] == 0
        else:
            assert lines in ([], expected)  # see test_all_builds_that_run_at_first
            assert ends[uuid] <= 1


async def walked(it: Wire, ids: list[str], walk: list[Step]) -> tuple[Got, Counter[str]]:
    """All texts and ends by build, for a reader that takes a walk and then reads all builds to the end."""
    before = asyncio.all_tasks()
    tail = it.tail(ids)
    got: Got = defaultdict(list)
    ends: Counter[str] = Counter()
    for step in [*walk, Step("take", 30.0, 10**6)]:
        if step.what == "sleep":
            await it.sim.clock.sleep(step.seconds)
        elif step.what == "restart":
            start = kept(tail.position)
            await tail.aclose()
            await it.sim.clock.sleep(step.seconds)
            tail = it.tail(ids, start)
        else:
            for _ in range(step.lines):
                item = await item_within(tail, step.seconds)
                if isinstance(item, TailLine):
                    uuid = item.build.build_uuid
                    assert not ends[uuid], "the end comes last"
                    got[uuid].append(item.line.message)
                    assert item.number == len(got[uuid])
                elif item is not None:
                    assert item.build.is_finished
                    assert item.complete
                    ends[item.build.build_uuid] += 1
                elif step.lines < 100 or it.sim.clock.now() > 250:
                    break
    assert tail.position.logs == {}
    await tail.aclose()
    await settle()
    assert asyncio.all_tasks() == before
    return got, ends
