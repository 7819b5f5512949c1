"""Each change of a build is reported once, whatever happens in between."""

import pytest

from builds_async.live.finish import OUTCOME_WAIT
from builds_async.models.builds import Build
from tests.live.watch.support import ENDLESS, QUICK, A, B, C, Over, World, everything, life, short, word
from tests.support.case import cases


class TestChanges:
    async def test_present_state_first(self) -> None:
        """The first pass reports the latest build of each Worker that has one, in Worker order."""
        world = World(life("a0", -200), life("a", -99), life("c", -1, tag=C), until=5)
        watcher = world.watch(C, B, A, C)
        changes = [await anext(watcher), await anext(watcher)]
        assert [short(change) for change in changes] == ["+c queued", "+a success"]
        assert [change.external_script_id for change in changes] == [C, A]
        assert [change.previous for change in changes] == [None, None]
        assert world.asked.count("latest") == 1
        assert len(world.asked) <= 2
        assert world.naps == []

    async def test_life_of_a_build(self) -> None:
        """Each status that a pass sees is reported once, then the outcome, and then nothing more."""
        world = World(life("a", 0), until=3600)
        assert await everything(world.watch()) == [
            "+a queued",
            "a running",
            "a success",
        ]
        assert world.asked.count("latest") == 241
        assert len(world.asked) <= 241 + 1
        assert world.naps == [15.0] * 241

    async def test_previous_is_the_last_reported_build(self) -> None:
        """`previous` is the build's last reported state, or for a new build the previously newest build."""
        world = World(life("a", 0, [(0.0, "queued"), (20.0, "running")]), life("b", 40, ENDLESS), until=100)
        changes = []
        watcher = world.watch()
        for _ in range(3):
            change = await anext(watcher)
            changes.append((change.previous and short_build(change.previous), short(change)))
        assert changes == [(None, "+a queued"), ("a queued", "a running"), ("a running", "+b running")]

    async def test_outcome_after_the_stop(self) -> None:
        """`stopped` and a later outcome are two changes."""
        world = World(life("a", 0, [(0.0, "running"), (20.0, "stopped"), (50.0, "fail")]), until=99)
        assert await everything(world.watch()) == ["+a running", "a stopped", "a fail"]

    async def test_other_fields_are_no_change(self) -> None:
        """Only another status or outcome is a change."""
        world = World(life("a", 0, ENDLESS), until=99)
        watcher = world.watch()
        assert short(await anext(watcher)) == "+a running"
        world.lives[0].created = 7.0
        with pytest.raises(Over):
            await anext(watcher)

    async def test_superseded_build_continues(self) -> None:
        """A superseded build that keeps running is requested separately until its outcome is known."""
        world = World(life("a", 0), life("b", 20, ENDLESS), life("c", 31, ENDLESS), until=99)
        assert await everything(world.watch()) == [
            "+a queued",
            "a running",
            "+b running",
            "+c running",
            "a success",
        ]
        assert world.asked.count("a") <= 2

    async def test_builds_between_two_passes(self) -> None:
        """Builds that started and ended within one interval are reported in the order of their start."""
        quick = [life(f"b{n}", 16 + n, QUICK) for n in range(9)]
        world = World(life("a", -99), *quick, life("c", 26, ENDLESS), until=99)
        assert await everything(world.watch()) == [
            "+a success",
            *(f"+b{n} fail" for n in range(9)),
            "+c running",
        ]
        assert world.asked.count("list") == 1

    @cases("count", [49, 50, 51, 120, 199])
    async def test_many_builds_between_two_passes(self, count: int) -> None:
        """Up to 200 builds of one Worker within one interval are found, each once."""
        many = [life(f"b{n}", 16 + n / 100, QUICK) for n in range(count)]
        world = World(life("old", -999), life("a", -99), *many, until=99)
        assert await everything(world.watch()) == ["+a success", *(f"+b{n} fail" for n in range(count))]

    async def test_stop_of_a_superseded_build_without_outcome(self) -> None:
        """A superseded build that never gets an outcome is requested until about 30 s after its stop."""
        world = World(life("a", 0, [(0.0, "running"), (20.0, "stopped")]), life("b", 1, ENDLESS), until=900)
        assert await everything(world.watch()) == ["+a running", "+b running", "a stopped"]
        assert world.asked.count("a") <= 3 + OUTCOME_WAIT / 15

    async def test_superseded_build_that_is_deleted(self) -> None:
        """A superseded build that was deleted is not requested again and is not a failure."""
        world = World(life("a", 0, ENDLESS), life("b", 1, ENDLESS), until=200)
        world.lives[0].gone = 50
        watcher = world.watch()
        assert await everything(watcher) == ["+a running", "+b running"]
        assert world.asked.count("a") == 3  # the list that showed b showed it, too
        assert watcher.failures == {}

    async def test_first_build_of_a_worker(self) -> None:
        """A Worker without a build at first is watched nevertheless."""
        world = World(life("a", 20), until=200)
        assert await everything(world.watch()) == ["+a running", "a success"]

    async def test_first_builds_within_one_interval(self) -> None:
        """No build is missed when a Worker's first builds start within one interval."""
        world = World(life("a", 16, QUICK), life("b", 18), until=99)
        assert await everything(world.watch()) == ["+a fail", "+b running", "b success"]

    async def test_builds_with_equal_dates(self) -> None:
        """Builds with the same `created_on` are each reported once, in list order."""
        together = [life(f"b{n}", 16 + n / 100, QUICK) for n in range(3)]
        for it in together:
            it.created = 16.0
        world = World(life("a", -99), *together, life("c", 50, QUICK), life("d", 80, QUICK), until=150)
        assert await everything(world.watch()) == [
            *("+a success", "+b0 fail", "+b1 fail", "+b2 fail", "+c fail", "+d fail")
        ]

    async def test_builds_with_equal_dates_in_two_passes(self) -> None:
        """A build is not reported again when the next one has the same `created_on`."""
        world = World(life("a", 0, QUICK), life("b", 16, QUICK), life("c", 40, QUICK), until=99)
        world.lives[1].created = 0.0
        assert await everything(world.watch()) == ["+a queued", "a fail", "+b fail", "+c fail"]

    @pytest.mark.slow
    async def test_memory_is_bounded(self) -> None:
        """The memory for a Worker does not grow with the number of its builds."""
        world = World(*(life(f"b{n}", n * 5.0, QUICK) for n in range(2000)), until=10_000)
        watcher = world.watch()
        assert len(await everything(watcher)) >= 2000
        assert sum(len(it.builds) for it in watcher._tracker._histories.values()) < 100

    async def test_no_dates(self) -> None:
        """If the API does not date builds, the list order decides which are new."""
        lives = [life(f"b{n}", n * 10 - 51.0, QUICK) for n in range(10)]
        for it in lives:
            it.created = None
        world = World(*lives, until=99)
        assert await everything(world.watch()) == [f"+b{n} fail" for n in range(5, 10)]


def short_build(build: Build) -> str:
    return f"{build.build_uuid} {word(build)}"


class TestRaces:
    """Responses may be seconds apart: the latest builds come first, then lists and single builds."""

    async def test_state_changes_between_two_responses(self) -> None:
        """A build that ends between `latest` and the list does not become unfinished again."""
        world = World(life("a", -99), life("b", 10, [(0.0, "running"), (7.0, "stopped"), (7.0, "success")]))
        world.until, world.latency = 99, 1.5  # the second `latest` responds at 16.5, the list at 18
        assert await everything(world.watch()) == ["+a success", "+b success"]

    async def test_build_starts_between_two_responses(self) -> None:
        """A build that starts between `latest` and the list repeats no other build."""
        world = World(life("a", -99), life("b", 10, QUICK), life("c", 17, ENDLESS), until=99, latency=1.5)
        assert await everything(world.watch()) == ["+a success", "+b fail", "+c running"]

    async def test_quick_build_starts_between_two_responses(self) -> None:
        """A quick build that starts between `latest` and the list repeats no other build."""
        world = World(life("a", -99), life("b", 10, QUICK), life("c", 17), until=150, latency=1.5)
        assert await everything(world.watch()) == [
            "+a success",
            "+b fail",
            *("+c queued", "c running", "c success"),
        ]

    async def test_stale_response(self) -> None:
        """A stale response with the previous build repeats nothing."""
        world = World(life("a", -99), life("b", 10), until=200)
        world.stale = lambda _, lives: lives[1] if 35 < world.time < 50 else lives[0]
        assert await everything(world.watch()) == ["+a success", "+b initializing", "b running", "b success"]

    async def test_stale_response_after_the_first(self) -> None:
        """A stale response with a build that was never reported reports nothing."""
        world = World(life("a", -99), life("b", -50), life("c", 70, QUICK), until=200)
        world.stale = lambda _, lives: lives[-1] if 20 < world.time < 50 else lives[0]
        assert await everything(world.watch()) == ["+b success", "+c fail"]

    async def test_latest_build_is_deleted(self) -> None:
        """When the latest build is deleted, the one before it is not reported as new."""
        world = World(life("a", -99), life("b", 10, ENDLESS), until=200)
        world.lives[1].gone = 35
        assert await everything(world.watch()) == ["+a success", "+b running"]

    async def test_build_starts_and_ends_within_the_first_pass(self) -> None:
        """A build that started and ended between the first two requests, before a newer one, is reported."""
        quick = [(0.0, "stopped"), (0.0, "fail")]
        world = World(
            life("a", 0, ENDLESS), life("b", 3, quick), life("c", 4, ENDLESS), latency=2.1, until=60
        )
        assert await everything(world.watch()) == ["+a running", "+b fail", "+c running"]
