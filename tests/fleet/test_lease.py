"""The script `lease` agrees with the model in Python on every engine."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds_async.fleet.engine import Claim, Grant
from builds_async.fleet.keys import key
from builds_async.fleet.lease import PARTS, RedisBudget
from builds_async.fleet.memory import LeaseModel
from builds_async.fleet.redis import RedisEngine
from builds_async.fleet.scripts import script
from tests.support.engines import EngineServer

WINDOW, SESSION, TIMEOUT = 10_000, 6_000, 3_000
START = 1_764_000_000_000


def claim(member: str = "a", **more: object) -> Claim:
    """A claim with the defaults of these tests."""
    usual = {
        "member": member,
        "total": 0,
        "in_flight": 0,
        "unused": 0,
        "capacity": 40,
        "window": WINDOW,
        "session": SESSION,
        "timeout": TIMEOUT,
    }
    return Claim(**(usual | more))  # type: ignore[arg-type]  # by name


HISTORY = st.none() | st.lists(
    st.tuples(st.integers(0, 12_000), st.integers(0, 9)), max_size=3, unique_by=lambda pair: pair[0]
).map(tuple)

CLAIMS = st.builds(
    claim,
    st.sampled_from("abcd"),
    want=st.integers(0, 50),
    want_polls=st.sampled_from([0, 0, 1, 20]),
    polling=st.sampled_from([0, 0, 1, 7]),
    total=st.integers(0, 60),
    in_flight=st.integers(0, 5),
    unused=st.integers(0, 9),
    capacity=st.sampled_from([40, 40, 40, 10, 1]),
    close=st.sampled_from([0] * 9 + [700, 5_000]),
    api_left=st.sampled_from([-1] * 5 + [0, 5, 30, 1_000]),
    api_left_for=st.integers(0, 9_000),
    history=HISTORY,
    leaving=st.sampled_from([False] * 9 + [True]),
)
STEPS = st.lists(st.tuples(st.sampled_from([0, 1, 30, 400, 2_000, 7_000, 30_000]), CLAIMS), max_size=40)


@pytest.fixture
async def budget(each_engine: EngineServer) -> AsyncIterator[RedisBudget]:
    """The budget on each engine."""
    it = RedisBudget(RedisEngine(each_engine.unix_url), owned=True)
    yield it
    await it.aclose()


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_model(budget: RedisBudget, each_engine: EngineServer, steps: list[tuple[int, Claim]]) -> None:
    """Under random traffic, the script and its model agree in every grant and in their stored state."""
    each_engine.flush()
    model, now = LeaseModel(), START
    for passed, it in steps:
        now += passed
        expected, _ = model.lease(it, now)
        assert await budget.lease("u", it, now=now) == expected
    if model.born is not None:
        assert await kept(budget, "spent") == model.spent
        assert await kept(budget, "held") == sum(model.held.values())
        assert await kept(budget, "polling") == sum(model.polling.values())
    assert -1 not in (await lifetimes(budget)).values()


async def lifetimes(budget: RedisBudget) -> dict[str, int]:
    """The lifetime of each key in ms, except the permanent one: -1 without expiry, -2 without a key."""
    times = {part: await budget.engine._command("PTTL", key("budget", "u", part)) for part in PARTS}
    assert times.pop("born") in {-1, -2}
    return times


async def test_lesson_6_zero_is_a_number(budget: RedisBudget) -> None:
    """The stored numbers are never a negative zero, which the oldest engine does not accept as a number."""
    claims = [
        claim(history=(), unused=2),
        claim(),
        claim(total=2, in_flight=1),
        claim(total=3),
        claim(total=3, leaving=True),
    ]
    for number, it in enumerate(claims):
        await budget.lease("u", it, now=START + number)
        state = await budget.engine._command("HVALS", key("budget", "u", "state"))
        assert all(not bytes(value).startswith(b"-0") for value in state)


async def kept(budget: RedisBudget, field: str) -> int:
    """A number of the state that an engine stores."""
    value = await budget.engine._command("HGET", key("budget", "u", "state"), field)
    return int(value)


class Sequence:
    """A model whose time is set by hand."""

    def __init__(self) -> None:
        self.model = LeaseModel()
        self.now = START

    def __call__(self, member: str = "a", *, after: int = 0, **more: object) -> Grant:
        self.now += after
        if member not in self.model.totals:
            more = {"history": (), **more}
        return self.model.lease(claim(member, **more), self.now)[0]


@pytest.fixture
def lease() -> Sequence:
    """An engine past its first window, with the members a and b."""
    it = Sequence()
    for _ in range(3):
        it.now += SESSION - 1
        it()
        it("b")
    it.now += 1
    return it


class TestGrants:
    def test_block(self, lease: Sequence) -> None:
        """A member gets half of its share of the free tokens, and no more than it wants."""
        assert lease(want=50).tokens == 10
        assert lease("b", want=50).tokens == 7
        assert lease("b", want=3, unused=7).tokens == 3

    def test_near_the_limit(self, lease: Sequence) -> None:
        """Tokens are granted one at a time near the limit, and not at all at the limit."""
        lease(total=37)
        granted = [lease("b", want=50, unused=held).tokens for held in (0, 1, 2, 3)]
        assert granted == [1, 1, 1, 0]

    def test_wait(self, lease: Sequence) -> None:
        """When nothing is left, the member gets the time at which the oldest request leaves the window."""
        lease(total=40)
        at = lease.now
        wait = lease("b", want=1, after=1_000).wait
        assert at + WINDOW <= lease.now + wait <= at + WINDOW + WINDOW / 60
        assert lease("b", want=1, after=wait - 1).tokens == 0
        assert lease("b", want=1, after=1).tokens == 1

    def test_polls_leave_a_tenth(self, lease: Sequence) -> None:
        """Polls get none of the last tenth; single calls do."""
        lease(total=36)
        assert lease("b", want_polls=5).polls == 0
        assert lease("b", want=5).tokens == 1

    def test_weights(self, lease: Sequence) -> None:
        """Members get the sum of all weights, without those of late and leaving members."""
        assert lease(polling=3).polling == 3
        assert lease("b", polling=5).polling == 8
        assert lease("b", polling=1).polling == 4
        assert lease("b", leaving=True).polling == 3
        assert lease("b", polling=1, after=SESSION).polling == 1

    def test_reported_twice(self, lease: Sequence) -> None:
        """A report that is repeated after a lost response counts once."""
        for _ in range(3):
            grant = lease(total=10, in_flight=2, unused=5)
        assert grant.free == 40 - 17
        assert lease.model.held == {"a": 7, "b": 0}

    def test_lost_grant(self, lease: Sequence) -> None:
        """The tokens of a lost grant are free again with the next claim."""
        assert lease(want=50).free == 30
        assert lease().free == 40

    def test_leave(self, lease: Sequence) -> None:
        """A leaving member gives everything back except its requests in flight."""
        lease(want=50)
        grant = lease(in_flight=2, leaving=True)
        assert (grant.members, grant.free) == (1, 38)
        assert lease("b", after=TIMEOUT + WINDOW + 200).free == 40

    def test_headers(self, lease: Sequence) -> None:
        """The API's remaining requests, less the tokens held, bound all members until its reset."""
        assert lease(api_left=10, api_left_for=5_000, in_flight=4, want=50).tokens == 1
        assert lease("b", want=50, after=100).free == 10 - 5 - 1
        assert lease("b", after=5_000).free == 40 - 5 - 0

    def test_headers_heal(self, lease: Sequence) -> None:
        """Tokens that were held at the API's response and then given back are free before its reset."""
        lease(unused=20)
        assert lease("b", api_left=10, api_left_for=300_000).free == -10
        assert lease().free == 10


class TestLate:
    def test_charged(self, lease: Sequence) -> None:
        """A silent member's tokens count until a window after the latest possible response."""
        tokens = lease(want=50).tokens
        assert lease("b", after=SESSION - 1).free == 30
        assert lease("b", after=1).members == 1
        assert lease("b", after=TIMEOUT + WINDOW - 1).free == 40 - tokens
        assert lease("b", after=WINDOW // 60 + 1).free == 40

    def test_return(self, lease: Sequence) -> None:
        """A member that returns within a window is known, and its total counts once."""
        lease(total=5)
        lease("b", after=SESSION)
        assert lease(total=7).free == 40 - 7
        assert lease.model.held["a"] == 0

    def test_forgotten(self, lease: Sequence) -> None:
        """After a window, a member is unknown, and then reports only the requests of the last window."""
        lease(total=1_000)
        lease("b", after=WINDOW + 2 * SESSION + TIMEOUT + 200)
        assert lease.model.totals == {"b": 0}
        it = claim(total=1_003, history=((100, 3),))
        assert lease.model.lease(it, lease.now)[0].free == 37


class TestClosing:
    def test_all(self, lease: Sequence) -> None:
        """A 429 closes the gate for all members until it expires."""
        assert lease(close=2_000, want=5).tokens == 0
        assert lease("b", want=5, after=500).closed == 1_500

    def test_published_once(self, lease: Sequence) -> None:
        """A 429 is published only when it closes the gate for longer."""
        claims = (("a", 9), ("b", 9), ("b", 20))
        published = [lease.model.lease(claim(name, close=close), lease.now)[1] for name, close in claims]
        assert published == [9, 0, 20]

    def test_probe(self, lease: Sequence) -> None:
        """After a 429, one member sends one request first, and its response opens the gate for the others."""
        lease(close=1_000)
        first = lease("b", want=5, after=1_000)
        assert (first.tokens, first.probing) == (1, True)
        assert lease(want=5).tokens == 0
        assert lease("b", in_flight=1, want=5).tokens == 0
        assert lease("b", total=1, want=5).tokens == 5
        assert lease(want=5).tokens == 5

    def test_refused_again(self, lease: Sequence) -> None:
        """If that request is refused as well, the gate closes again, and the next request probes."""
        lease(close=1_000)
        lease("b", want=5, after=1_000)
        lease("b", total=1, close=1_000)
        assert lease(want=5, after=999).tokens == 0
        assert lease(want=5, after=1).tokens == 1

    def test_probe_lost(self, lease: Sequence) -> None:
        """If the probing member returns its token or disappears, another member probes."""
        lease(close=1_000)
        lease("b", want=5, after=1_000)
        lease("b")
        assert lease(want=5).tokens == 1
        assert lease("b", want=5, after=SESSION + TIMEOUT - 1).tokens == 0
        assert lease("b", want=5, after=1).tokens == 1


class TestGrace:
    def test_newcomers(self) -> None:
        """For one session, an empty engine gives one token to the first newcomer and none to others."""
        lease = Sequence()
        assert lease(want=50).tokens == 1
        assert lease("b", want=50, total=900, history=((50, 9),)).tokens == 0
        assert lease(want=50, total=1, after=100).wait == SESSION - 100
        assert lease("b", want=50, total=900, after=SESSION - 101).tokens == 0
        assert lease("b", want=5, total=900, after=1).tokens == 5

    def test_headers(self) -> None:
        """The API's headers end the grace at once."""
        lease = Sequence()
        assert lease(want=50).tokens == 1
        assert lease(want=50, total=1, api_left=40, api_left_for=1_000).tokens == 18

    def test_history(self) -> None:
        """Requests that members sent before the grace are counted, and leave the window in time."""
        lease = Sequence()
        lease(total=1_000, history=((2_000, 10), (9_000, 20)))
        assert lease.model.spent == 30
        lease(total=1_000, after=1_200)
        assert lease.model.spent == 10

    def test_not_after_a_quiet_time(self) -> None:
        """An engine that was idle for long still has its memory and needs no grace."""
        lease = Sequence()
        lease(leaving=True)
        assert lease("b", want=5, after=10_000_000).tokens == 5


async def test_expires(engine: EngineServer) -> None:
    """All stored data of a user expires, except one number that marks the engine as not empty."""
    over = RedisBudget(RedisEngine(engine.url), owned=True)
    await over.lease("u", claim(history=((10, 3),), want=5, want_polls=5, api_left=9, close=3))
    present = [it for it in (await lifetimes(over)).values() if it != -2]
    assert present
    assert all(0 < it <= 4 * (WINDOW + 2 * SESSION) for it in present)
    await over.aclose()


def test_packaged() -> None:
    """The script is part of the package."""
    assert "redis.call" in script("lease").source
