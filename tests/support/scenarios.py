"""Loads of an account by name, each with its measured reader and its bounds."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.support.bots import bots
from tests.support.traffic import Reader, Traffic, follow, tail

Load = Callable[[Traffic], None]


@dataclass(frozen=True)
class Scenario:
    """A load, a reader, and the bounds on the mean lag of lines, in seconds.

    `aim` and `gate` are for all lines, `first_aim` and `first_gate` for the first line of a build.
    """

    name: str
    load: Load
    seconds: float
    gate: float
    aim: float
    first_gate: float | None = None
    first_aim: float | None = None
    reader: Reader = tail
    with_events: bool = False

    async def run(self) -> Traffic:
        """Run the scenario."""
        traffic = Traffic()
        self.load(traffic)
        reader = partial(tail, events=traffic.add_queue()) if self.with_events else self.reader
        await traffic.run(reader, self.seconds)
        return traffic


def pushed(workers: int, *, at_once: int) -> Load:
    """A push to a monorepo: each Worker gets a build, and `at_once` of them run concurrently."""

    def load(traffic: Traffic) -> None:
        traffic.add_workers(workers)
        traffic.push(at_once=at_once)

    return load


def busy(workers: int, *, running: int, until: float = 900.0) -> Load:
    """`running` three-minute builds run at any time, each of a different Worker."""

    def load(traffic: Traffic) -> None:
        traffic.add_workers(workers)
        traffic.keep_building(running=running, until=until)

    return load


def endless(traffic: Traffic) -> None:
    """Fifty builds that run for an hour, and an occasional short one."""
    traffic.add_workers(1000)
    for tag in traffic.tags[:50]:
        traffic.add_build(tag, queued=0.0, duration=3600.0, every=5.0)
    traffic.first_from = 1.0
    traffic.spawn(_now_and_then(traffic))


async def _now_and_then(traffic: Traffic) -> None:
    rng = random.Random(1)  # noqa: S311  # the same load every time
    for tag in traffic.tags[100:110]:
        await traffic.clock.sleep(300.0 + rng.random() * 10.0)
        traffic.add_build(tag, queued=0.0, duration=30.0, every=5.0)


SCENARIOS = (
    Scenario("60 Workers pushed, 6 build at a time", pushed(60, at_once=6), 1000.0, 2.0, 1.5),
    Scenario("the same, a follow each", pushed(60, at_once=6), 1000.0, 3.0, 2.0, reader=follow),
    Scenario("free plan: 20 builds, 1 at a time", pushed(20, at_once=1), 1920.0, 0.9, 0.7),
    Scenario("60 builds at once, fresh budget", pushed(60, at_once=60), 300.0, 6.0, 4.0),
    Scenario("the same, with a follow each", pushed(60, at_once=60), 300.0, 6.0, 4.0, reader=follow),
    Scenario("100 Workers, 50 building", busy(100, running=50), 1400.0, 18.0, 15.0, 30.0, 20.0),
    Scenario("1,000 Workers, 20 building", busy(1000, running=20), 1400.0, 9.0, 8.0, 30.0, 20.0),
    Scenario(
        "5,000 Workers, 20 building", busy(5000, running=20, until=1800.0), 2600.0, 50.0, 40.0, 110.0, 60.0
    ),
    # The gate is 1.2 times the 4.65 s of a tail of 100 Workers with the same builds.
    Scenario(
        "5,000 Workers, 20 building, events",
        busy(5000, running=20, until=1800.0),
        2600.0,
        5.58,
        4.65,
        with_events=True,
    ),
    # A build writes its first line 3 s before its "started" event.
    Scenario("the hour: 50 endless builds, events", endless, 3700.0, 9.0, 8.0, 8.0, 6.0, with_events=True),
    # The gate is 1.3 times the 1.53 s of the first scenario.
    Scenario("60 Workers pushed, 3 bots together", pushed(60, at_once=6), 1000.0, 1.99, 1.85, reader=bots(3)),
)
"""The scenarios that `tests/live/test_traffic.py` holds to their gates and the benchmark prints."""
