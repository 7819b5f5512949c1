"""`follow(wait=False)`: the log of a build as it is now."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from builds_async import BuildsConnectionError, LogPosition
from builds_async.errors import BuildsError, NotFoundError
from builds_async.live.follow import LogFollower
from builds_async.models.builds import Build, BuildOutcome, BuildStatus
from builds_async.models.logs import LogPage
from builds_async.simulator import Behavior, BuildsSimulator, Fault, VirtualClock
from tests.live.follow_support import FINISHED, NOTHING, RUNNING, UUID, Script, build, page
from tests.support import FakeClock

QUEUED = build("queued")
GONE = NotFoundError("no such log", status=404)


class Now:
    """A follower that does not wait, its script and its clock."""

    def __init__(
        self, built: Build, pages: Sequence[LogPage | BuildsError], *, tail: int | None = None
    ) -> None:
        self.script = Script([built], pages)
        self.clock = FakeClock()
        self.log = LogFollower(self.script, UUID, clock=self.clock, tail=tail, wait=False)

    async def texts(self) -> list[str]:
        return [line.message async for line in self.log]


PAGES = {
    "finished": (FINISHED, [page("a", cursor="1", truncated=True), page("b", cursor="2"), NOTHING], "ab"),
    "running": (RUNNING, [page("a", cursor="1", truncated=True), page("b", cursor="2"), page("late")], "ab"),
    "hollow page": (
        RUNNING,
        [page("a", cursor="1", truncated=True), page(cursor="2", truncated=True), page("b", cursor="3")],
        "ab",
    ),
    "no line yet": (RUNNING, [page(cursor="1")], ""),
    "no log yet": (RUNNING, [GONE], ""),
    "queued": (QUEUED, [page("of another build")], ""),
}


@pytest.mark.parametrize(("built", "pages", "expected"), PAGES.values(), ids=PAGES)
async def test_ends_after_the_last_existing_line(
    built: Build, pages: list[LogPage | BuildsError], expected: str
) -> None:
    """All existing lines are delivered page by page without a pause, whatever the state of the build."""
    it = Now(built, pages)
    assert "".join(await it.texts()) == expected
    assert it.clock.naps == []
    assert (it.log.build, it.log.complete) == (built, True)
    requests = len(it.script.asked)
    assert await it.log.read() == ()
    assert len(it.script.asked) == requests


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param([GONE], "", id="from the beginning"),
        pytest.param([page("a", cursor="1", truncated=True), GONE], "a", id="in the middle"),
    ],
)
async def test_gone(
    pages: list[LogPage | BuildsError], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A finished build whose log no longer exists is incomplete, and a warning gives the reason."""
    it = Now(replace(FINISHED, running_on=FINISHED.stopped_on), pages)
    assert "".join(await it.texts()) == expected
    assert not it.log.complete
    assert f"The log of build {UUID} is gone" in caplog.text


@pytest.mark.parametrize(
    ("tail", "expected"), [(0, ""), (1, "c"), (2, "bc"), (9, "abc")], ids=["none", "one", "two", "all"]
)
async def test_tail(tail: int, expected: str) -> None:
    """`tail` selects the last existing lines."""
    pages = [page("a", "b", cursor="1", truncated=True), page("c", cursor="2")]
    it = Now(RUNNING, [*pages, *(pages if tail > 1 else pages[1:])], tail=tail)
    assert "".join(await it.texts()) == expected
    assert it.log.complete


async def test_error_is_raised_at_once() -> None:
    """An outage is raised without the client's patience, and the next read resumes at the same position."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock, page_size=1)
    async with sim.client() as client:
        log = client.follow(sim.add_finished_build(["a", "b"]).build_uuid, wait=False)
        assert [line.message for line in await log.read()] == ["a"]
        sim.fault(Fault("reset", times=None))
        began = clock.now()
        with pytest.raises(BuildsConnectionError):
            await log.read()
        assert clock.now() - began < 30
        sim.clear_faults()
        assert [line.message async for line in log] == ["b"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "behavior",
    [
        Behavior(),
        Behavior(cursors="new"),
        Behavior(behind_the_end="last_page"),
        Behavior(last_page_cursor="absent"),
        Behavior(last_page_cursor="null", queued_logs="not_found"),
        Behavior(truncated_hollow=3),
        Behavior(null_logs_result=True),
    ],
    ids=str,
)
async def test_again_and_again(behavior: Behavior) -> None:
    """Each look that starts at the last look's position delivers the lines written in between."""
    clock = VirtualClock()
    sim = BuildsSimulator(clock=clock, page_size=4, behavior=behavior)
    lines = [(5 + n * 0.7, f"line {n}") for n in range(40)]
    added = sim.add_build([(5, BuildStatus.RUNNING), *lines, (60, BuildOutcome.SUCCESS)])
    got, position = list[str](), LogPosition()
    async with sim.client() as client:
        for _ in range(16):
            log = client.follow(added.build_uuid, start=position, wait=False)
            so_far = [line.message async for line in log]
            assert log.complete
            got += so_far
            assert got == [line.message for line in added.lines]
            position = log.position
            assert position.number == len(got)
            await clock.sleep(4.7)
        assert log.build.is_finished
    assert len(got) == 40
