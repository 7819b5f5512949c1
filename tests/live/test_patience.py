"""Patience with outages: its duration, its pace, and its reports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from math import inf

import pytest

from builds_async import (
    AuthenticationError,
    BuildOutcome,
    BuildsClient,
    BuildsConnectionError,
    BuildsError,
    BuildsTimeoutError,
    Counters,
    InternalServerError,
    NotFoundError,
    Observation,
    OutageBegan,
    OutageEnded,
    RateLimitError,
    ResponseDecodeError,
)
from builds_async.live.outages import GRACE, Outages
from builds_async.live.patience import Patience
from builds_async.simulator import BuildsSimulator, Fault, VirtualClock
from tests.support import FakeClock

RESET = BuildsConnectionError("reset")


class Told:
    """An observer that records outages."""

    def __init__(self) -> None:
        self.outages: list[OutageBegan | OutageEnded] = []

    def __call__(self, observation: Observation) -> None:
        if isinstance(observation, OutageBegan | OutageEnded):
            self.outages.append(observation)


def attempts(patience: Patience, clock: FakeClock, error: BuildsError, most: int = 100) -> list[float]:
    """The times of attempts that all fail with `error`, until it is raised."""
    moments: list[float] = []
    while len(moments) < most:
        moments.append(clock.now())
        if not patience.outlasts(error):
            break
        clock.advance(patience.due - clock.now())
    return moments


class TestPatience:
    @pytest.mark.parametrize(
        "error",
        [
            RESET,
            BuildsTimeoutError("slow"),
            InternalServerError("oh", status=502),
            ResponseDecodeError("garbled", transient=True),
            RateLimitError("blocked", retry_after=3600),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_transient_errors(self, clock: FakeClock, error: BuildsError) -> None:
        """Transient errors are retried with growing pauses, and for the last time when the patience ends."""
        assert attempts(Patience(clock, 60), clock, error) == [0, 1, 3, 7, 15, 30, 45, 60]

    @pytest.mark.parametrize(
        "error",
        [
            AuthenticationError("no", status=401),
            NotFoundError("no", status=404),
            ResponseDecodeError("unknown shape"),
            BuildsConnectionError("not trusted", transient=False),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_other_errors(self, clock: FakeClock, error: BuildsError) -> None:
        """Other errors are raised at once, even during an outage, which they end."""
        told = Told()
        patience = Patience(clock, 60, verb="follow", outages=Outages(clock, told))
        assert attempts(patience, clock, error) == [0]
        assert told.outages == []
        patience.outlasts(RESET)
        clock.advance(1)
        assert not patience.outlasts(error)
        assert told.outages == [
            OutageBegan(verb="follow", patience=60.0, error=RESET),
            OutageEnded(verb="follow", seconds=1.0, error=error),
        ]

    def test_none(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """Without patience, every error is raised without a report or a pause."""
        patience = Patience(clock)
        assert not patience.outlasts(RESET)
        assert patience.due == -inf
        assert caplog.records == []

    def test_infinite(self, clock: FakeClock) -> None:
        """Infinite patience never ends and keeps the longest pause."""
        moments = attempts(Patience(clock, inf), clock, RESET, most=1000)
        assert {later - earlier for earlier, later in pairwise(moments[5:])} == {15.0}

    def test_success_resets(self, clock: FakeClock) -> None:
        """A success resets both the patience and the pauses."""
        patience = Patience(clock, 60)
        for _ in range(10):
            start = clock.now()
            assert [it - start for it in attempts(patience, clock, RESET, most=6)] == [0, 1, 3, 7, 15, 30]
            patience.succeeded()
            assert patience.due == -inf

    def test_after_the_end(self, clock: FakeClock) -> None:
        """After the patience has ended, each failure is raised, and a loop around it is paced."""
        patience = Patience(clock, 10)
        attempts(patience, clock, RESET)
        for _ in range(3):
            assert patience.due - clock.now() >= 8
            clock.advance(patience.due - clock.now())
            assert not patience.outlasts(RESET)
        patience.succeeded()
        assert patience.outlasts(RESET)

    def test_simultaneous_failures(self, clock: FakeClock) -> None:
        """Several requests that fail together lengthen the pause once."""
        patience = Patience(clock, 60)
        for _ in range(10):
            assert patience.outlasts(RESET)
        assert patience.due == 1

    @pytest.mark.parametrize(("asked", "pause"), [(0.5, 1), (40.0, 40), (3600.0, 300)])
    def test_retry_after_of_a_503(self, clock: FakeClock, asked: float, pause: float) -> None:
        """A Retry-After lengthens a pause to at most five minutes, and never shortens it."""
        patience = Patience(clock, 60)
        assert patience.outlasts(InternalServerError("busy", status=503, retry_after=asked))
        assert patience.due == pause

    def test_reports(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """An outage is reported once when it begins and once when it ends."""
        caplog.set_level(logging.INFO, "builds_async")
        counters = Counters()
        patience = Patience(clock, 60, verb="wait", outages=Outages(clock, counters))
        attempts(patience, clock, RESET, most=6)
        assert patience.outage is RESET
        patience.succeeded()
        patience.succeeded()
        assert patience.outage is None
        assert [(it.levelname, it.getMessage()) for it in caplog.records] == [
            ("WARNING", "wait: reset; trying again for up to 60 s"),
            ("INFO", "wait: works again after 45 s"),
        ]
        assert counters.outages == 1

    def test_report_of_the_raised_error(self, clock: FakeClock) -> None:
        """An outage that ends the verb is reported once, with the raised error."""
        told = Told()
        patience = Patience(clock, 60, verb="wait", outages=Outages(clock, told))
        attempts(patience, clock, RESET)
        assert not patience.outlasts(RESET)
        patience.succeeded()
        assert told.outages[1:] == [OutageEnded(verb="wait", seconds=60.0, error=RESET)]
        assert patience.outage is None

    def test_weighing(self, clock: FakeClock) -> None:
        """A pass has failed if all parts failed for reasons that are not their own."""
        own, patience = NotFoundError("no", status=404), Patience(clock, 10)
        for errors in ([RESET, RESET], [RESET], [own, RESET], [own, own], []):
            patience.weigh(errors, parts=2)
            assert (patience.outage is RESET) == (errors == [RESET, RESET])
        patience.weigh([RESET, RESET], parts=2)
        clock.advance(10)
        with pytest.raises(BuildsConnectionError, match="reset") as caught:
            patience.weigh([RESET, RESET], parts=2)
        assert caught.value is not RESET


class Verbs:
    """Live verbs of one client, each with its own patience."""

    def __init__(self, clock: FakeClock, count: int) -> None:
        self.clock, self.told = clock, Told()
        outages = Outages(clock, self.told)
        self.each = [Patience(clock, 60, verb=f"verb {n}", outages=outages) for n in range(count)]

    def fail(self, *numbers: int, error: BuildsError = RESET) -> None:
        for number in numbers:
            self.each[number].outlasts(error)

    def succeed(self, *numbers: int) -> None:
        for number in numbers:
            self.each[number].succeeded()

    @property
    def reports(self) -> list[tuple[str, str]]:
        return [(type(it).__name__.removeprefix("Outage"), it.verb) for it in self.told.outages]


class TestOutagesOfOneClient:
    """An outage is reported once per client, however many of its verbs it affects."""

    def test_many_verbs(self, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
        """Only the first failure and the first success of an outage are reported."""
        caplog.set_level(logging.INFO, "builds_async")
        verbs = Verbs(clock, 60)
        for _ in range(4):
            verbs.fail(*range(60))
            clock.advance(10)
        verbs.succeed(*range(7, 60), *range(7))
        assert verbs.reports == [("Began", "verb 0"), ("Ended", "verb 0")]
        assert [it.levelname for it in caplog.records] == ["WARNING", "INFO"]
        clock.advance(1)
        verbs.fail(5)
        assert verbs.reports == [("Began", "verb 0"), ("Ended", "verb 0")], "its request was sent before"
        clock.advance(GRACE)
        verbs.fail(5)
        assert verbs.reports[2:] == [("Began", "verb 5")]

    def test_mixed_beginning(self, clock: FakeClock) -> None:
        """Requests that succeed while an outage starts do not split it in two."""
        verbs = Verbs(clock, 3)
        verbs.fail(0)
        verbs.succeed(1)
        verbs.fail(1, 2)
        assert verbs.reports == [("Began", "verb 0")]

    def test_one_alone(self, clock: FakeClock) -> None:
        """A verb that fails alone, while others succeed, does not hide an outage of all."""
        verbs = Verbs(clock, 3)
        verbs.fail(0)
        clock.advance(GRACE + 1)
        verbs.fail(0)
        verbs.succeed(1, 2)
        verbs.fail(1, 2)
        assert verbs.reports == [("Began", "verb 0"), ("Began", "verb 1")]
        verbs.succeed(2)
        verbs.succeed(0)
        assert verbs.reports[2:] == [("Ended", "verb 1"), ("Ended", "verb 0")]

    def test_giving_up(self, clock: FakeClock) -> None:
        """An outage that no verb survives ends when the last one gives up."""
        verbs = Verbs(clock, 3)
        verbs.fail(0, 1, 2)
        error = AuthenticationError("no", status=401)
        verbs.fail(0, 1, error=error)
        assert verbs.reports == [("Began", "verb 0")]
        verbs.fail(2, error=error)
        assert verbs.told.outages[1:] == [OutageEnded(verb="verb 0", seconds=0.0, error=error)]

    def test_dropped(self, clock: FakeClock) -> None:
        """A verb that was canceled during an outage does not hide the next outage."""
        verbs = Verbs(clock, 2)
        verbs.fail(0)
        del verbs.each[0]
        verbs.fail(0)
        assert verbs.reports == [("Began", "verb 0"), ("Began", "verb 1")]


async def _follow(client: BuildsClient, sim: BuildsSimulator) -> object:
    return await client.follow(_build(sim)).read()


async def _wait(client: BuildsClient, sim: BuildsSimulator) -> object:
    return await client.wait(_build(sim))


async def _wait_for_commit(client: BuildsClient, sim: BuildsSimulator) -> object:
    build = sim.add_finished_build(["one"])
    return await client.wait_for_commit(build.external_script_id, str(build.details.commit_hash))


async def _watch(client: BuildsClient, sim: BuildsSimulator) -> object:
    return await anext(client.watch([sim.add_finished_build(["one"]).external_script_id]))


async def _tail(client: BuildsClient, sim: BuildsSimulator) -> object:
    build = sim.add_build()
    build.emit("one")
    return await anext(client.tail([build.external_script_id]))


async def _events(client: BuildsClient, sim: BuildsSimulator) -> object:
    queue_id = sim.add_queue()
    sim.add_build().finish()
    return await anext(client.events(queue_id))


async def _broadcast(client: BuildsClient, sim: BuildsSimulator) -> object:
    return await anext(client.broadcast(_build(sim)).subscribe())


def _build(sim: BuildsSimulator) -> str:
    return sim.add_finished_build(["one"]).build_uuid


VERBS = [_follow, _wait, _wait_for_commit, _watch, _tail, _events, _broadcast]
Verb = Callable[[BuildsClient, BuildsSimulator], Awaitable[object]]


def outage(kind: str) -> list[Fault]:
    """Faults that affect every request."""
    limit = Fault("rate_limited", times=None, retry_after=90)
    return [limit if kind == "limit" else Fault("reset", times=None)]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
class TestVerbs:
    @pytest.mark.parametrize("kind", ["reset", "limit"])
    async def test_outage_is_survived(self, verb: Verb, kind: str) -> None:
        """Every live verb continues after an outage of four minutes and reports it."""
        clock, told = VirtualClock(), Told()
        sim = BuildsSimulator(clock=clock)
        async with sim.client(observer=told) as client:
            sim.fault(*outage(kind))
            reading = asyncio.ensure_future(verb(client, sim))
            await clock.sleep(240)
            assert not reading.done()
            sim.clear_faults()
            assert await reading
            assert clock.now() < 400
        verb_name = verb.__name__.strip("_")
        began, ended = told.outages
        assert isinstance(began, OutageBegan)
        assert isinstance(ended, OutageEnded)
        assert (began.verb, ended.verb, ended.error) == (verb_name, verb_name, None)

    async def test_longer_outage_is_raised(self, verb: Verb) -> None:
        """After five minutes of unbroken failure, every live verb raises the error without having spun."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            sim.fault(*outage("reset"))
            with pytest.raises(BuildsConnectionError):
                await verb(client, sim)
            assert 300 <= clock.now() < 330
            assert len(sim.requests) < 120

    async def test_without_patience(self, verb: Verb) -> None:
        """Without patience, the error is raised after the retries of one call."""
        clock = VirtualClock()
        sim = BuildsSimulator(clock=clock)
        async with sim.client() as client:
            sim.fault(*outage("reset"))
            with pytest.raises(BuildsConnectionError):
                await verb(client.with_options(patience=0), sim)
            assert len(sim.requests) == (1 if verb is _events else 4)  # a pull may have leased messages


async def test_outage_in_the_middle_of_a_log() -> None:
    """A follower resumes after its last line when an outage ends, and loses nothing."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock)
    async with sim.client() as client:
        script = [(float(at), f"line {at}") for at in range(200)]
        build = sim.add_build([*script, (200.0, BuildOutcome.SUCCESS)])
        log = client.follow(build.build_uuid)
        await log.read()
        sim.fault(Fault("reset", times=None))
        reading = asyncio.ensure_future(log.read())
        await clock.sleep(100)
        assert isinstance(log.outage, BuildsConnectionError)
        sim.clear_faults()
        rest = [*await reading]
        assert log.outage is None
        rest += [line async for line in log]
        assert [line.message for line in rest][-1] == "line 199"
        assert log.complete


async def test_watch_of_some() -> None:
    """A watch has no outage while at least one request of each pass succeeds."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock)
    async with sim.client() as client:
        running, quiet = sim.add_build(), sim.add_worker()
        watcher = client.with_options(patience=10).watch([running.external_script_id, quiet])
        sim.fault(Fault("server_error", path=f"/workers/{running.external_script_id}/", times=None))
        assert (await anext(watcher)).build.build_uuid == running.build_uuid
        reading = asyncio.ensure_future(anext(watcher))
        await clock.sleep(600)
        assert list(watcher.failures) == [running.external_script_id]
        assert not reading.done()
        sim.add_build(external_script_id=quiet)
        assert (await reading).external_script_id == quiet


@pytest.mark.slow
async def test_sixty_followers(caplog: pytest.LogCaptureFixture) -> None:
    """An outage that affects sixty followers is one warning in the log and one report to the observer."""
    caplog.set_level(logging.INFO, "builds_async.live")
    clock, told = VirtualClock(idle_turns=20), Told()
    sim = BuildsSimulator(clock=clock)
    async with sim.client(clock=clock, observer=told) as client:
        builds = [sim.add_build([(n * 5.0, "line") for n in range(60)]) for _ in range(60)]
        reading = [asyncio.ensure_future(anext(client.follow(it.build_uuid).__aiter__())) for it in builds]
        sim.fault(Fault("reset", times=None))
        await clock.sleep(90)
        sim.clear_faults()
        await asyncio.wait(reading)
    assert [type(it).__name__ for it in told.outages] == ["OutageBegan", "OutageEnded"]
    assert [it.levelname for it in caplog.records if it.levelname == "WARNING"] == ["WARNING"]
