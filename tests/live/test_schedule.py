"""The next request of a tail, without sending one."""

import time
from collections import Counter
from itertools import pairwise

import pytest

from builds_async.live.log_reader import QUEUED_INTERVAL
from builds_async.live.schedule import FollowUp, Log, Lookup, Schedule, Single

INTERVAL = 10.0


def tags(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


def schedule(workers: int, due: float = 0.0) -> Schedule:
    made = Schedule(INTERVAL)
    for tag in tags(workers):
        made.add_worker(tag, due)
    return made


class TestOrder:
    def test_started_builds_come_first(self) -> None:
        """The order is: a build from an event, a log never requested, then a follow-up that a log needs."""
        made = schedule(5)
        made.set_log("old", -9.0)
        made.add_follow_up("w1")
        made.add_follow_up("w2", urgent=True)
        made.open_log("new")
        made.add_single("build")
        first = [made.choose(0.0) for _ in range(3)]
        assert first == [Single("build"), Log("new"), FollowUp("w2")]

    def test_the_longest_due_log(self) -> None:
        """The log that has been due the longest is chosen, and each log once."""
        made = schedule(0)
        for uuid, due in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 9.0)):
            made.set_log(uuid, due)
        assert [made.choose(5.0) for _ in range(4)] == [Log("b"), Log("c"), Log("a"), None]
        assert made.next_due(5.0) == 9.0

    def test_nothing_is_chosen_twice(self) -> None:
        """A chosen item is in flight until it is scheduled again."""
        made = schedule(1)
        made.open_log("a")
        made.add_follow_up("w0")
        chosen = [made.choose(0.0) for _ in range(4)]
        assert sorted(map(str, chosen[:3])) == sorted(map(str, [Log("a"), Lookup(("w0",)), FollowUp("w0")]))
        assert chosen[3] is None
        made.add_follow_up("w0")
        assert made.choose(0.0) is None
        made.followed_up("w0")
        assert made.choose(0.0) == FollowUp("w0")

    def test_held_or_removed(self) -> None:
        """A held log and a removed Worker are not chosen."""
        made = schedule(2)
        made.set_log("a", 0.0)
        made.open_log("b")
        made.add_follow_up("w1")
        made.hold_log("a")
        made.hold_log("b")
        made.remove_worker("w1")
        assert [made.choose(0.0), made.choose(0.0)] == [Lookup(("w0",)), None]
        made.looked_up("w1", 0.0, queued=False)
        assert made.next_due(0.0) == float("inf")


class TestLooks:
    def test_twenty_at_once(self) -> None:
        """A look covers twenty Workers that are due, or will be soon."""
        made = schedule(45)
        looks = [made.choose(0.0) for _ in range(3)]
        assert [len(look.tags) for look in looks if isinstance(look, Lookup)] == [20, 20, 5]
        for tag in tags(45):
            made.looked_up(tag, 0.0 if tag == "w0" else 3.0, queued=False)
        look = made.choose(10.0)
        assert isinstance(look, Lookup)
        assert look.tags[0] == "w0"
        assert len(look.tags) == 20

    def test_queued_workers_come_more_often(self) -> None:
        """A Worker with a queued build is due again after 2.5 s; others that are due soon share its look."""
        made = schedule(3)
        made.choose(0.0)
        for tag in tags(3):
            made.looked_up(tag, 0.0, queued=tag == "w1")
        assert made.next_due(0.0) == QUEUED_INTERVAL
        assert made.choose(QUEUED_INTERVAL) == Lookup(("w1",))
        made.looked_up("w1", 6.0, queued=True)
        look = made.choose(8.5)
        assert isinstance(look, Lookup)
        assert sorted(look.tags) == tags(3)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("workers", "logs", "least", "most"),
        [(100, 50, 0.05, 0.15), (1000, 20, 0.3, 0.45), (5000, 20, 0.5, 0.7), (20, 200, 0.0, 0.05)],
    )
    def test_share(self, workers: int, logs: int, least: float, most: float) -> None:
        """Under overload, looks get the share that keeps both waits short, and nothing starves."""
        made = schedule(workers)
        uuids = [f"b{number}" for number in range(logs)]
        for uuid in uuids:
            made.set_log(uuid, 0.0)
        kinds: list[type] = []
        for turn in range(2000):
            now = 100.0 + turn * 0.3
            choice = made.choose(now)
            kinds.append(type(choice))
            if isinstance(choice, Lookup):
                for tag in choice.tags:
                    made.looked_up(tag, now, queued=False)
            elif isinstance(choice, Log):
                made.set_log(choice.build_uuid, now + 1.0)
        counts = Counter(kinds[200:])
        assert least <= counts[Lookup] / 1800 <= most
        places = [place for place, kind in enumerate(kinds) if kind is Lookup]
        assert max(after - before for before, after in pairwise(places)) < 100

    def test_queued_looks_are_bounded(self) -> None:
        """Looks at queued builds take about a third of the requests while logs are waiting."""
        made = schedule(1000)
        for tag in tags(1000):
            made.looked_up(tag, -10.0, queued=True)
        for number in range(50):
            made.set_log(f"b{number}", 0.0)
        looks = 0
        for turn in range(600):
            now = turn * 0.3
            choice = made.choose(now)
            if isinstance(choice, Lookup):
                looks += 1
                for tag in choice.tags:
                    made.looked_up(tag, now, queued=True)
            elif isinstance(choice, Log):
                made.set_log(choice.build_uuid, now)
        assert 150 <= looks <= 250


class TestFollowUps:
    @pytest.mark.slow
    def test_share(self) -> None:
        """A follow-up for missed builds yields to other requests, but not forever."""
        made = schedule(100)
        for tag in tags(100):
            made.add_follow_up(tag)
        for number in range(50):
            made.set_log(f"b{number}", 0.0)
        follow_ups = 0
        for turn in range(600):
            choice = made.choose(turn * 0.3)
            follow_ups += isinstance(choice, FollowUp)
            if isinstance(choice, Log):
                made.set_log(choice.build_uuid, turn * 0.3)
            elif isinstance(choice, Lookup):
                for tag in choice.tags:
                    made.looked_up(tag, turn * 0.3, queued=False)
        assert 5 <= follow_ups <= 20

    def test_follow_ups_take_free_turns(self) -> None:
        """While no log and no look is due, follow-ups take every turn."""
        made = schedule(30, due=99.0)
        for tag in tags(30):
            made.add_follow_up(tag)
        assert all(isinstance(made.choose(0.0), FollowUp) for _ in range(30))


def test_events_find_builds() -> None:
    """When events find new builds, looks are rare, and a queued build does not make them more frequent."""
    made = Schedule(600.0, lookups_find=False)
    made.add_worker("w0", 0.0)
    made.choose(0.0)
    made.looked_up("w0", 0.0, queued=True)
    assert made.next_due(0.0) == 600.0


@pytest.mark.slow
def test_thousands_of_workers() -> None:
    """Ten thousand choices among 5,000 Workers take at most 2 s, because choosing does not sort them."""
    made = schedule(5000)
    began = time.process_time()
    for turn in range(10_000):
        choice = made.choose(turn * 0.01)
        if isinstance(choice, Lookup):
            for tag in choice.tags:
                made.looked_up(tag, turn * 0.01, queued=False)
    assert time.process_time() - began < 2.0
