"""A tracker that resumes from marks."""

from builds_async.live.tracker import Tracker
from tests.live.watch.support import A, B, World, life


async def test_restart_is_cheap() -> None:
    """A resumed tracker lists no Worker whose newest build is still the marked one."""
    world = World(life("a", -99), life("b", -99, tag=B))
    first = Tracker(world, [A, B], world)
    await first.look_up(first.ids)
    world.asked.clear()
    second = Tracker(world, [A, B], world, first.marks)
    await second.look_up(second.ids)
    assert world.asked == ["latest"]
    assert second.marks == first.marks
