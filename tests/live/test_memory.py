"""What live verbs hold while nothing happens."""

from tests.support import BUILD_UUID, tags
from tests.support.weight import GROWTH, PER_FOLLOWER, PER_WORKER, weigh


async def test_idle_followers() -> None:
    """A follower that waits is small, and 500 polls later no larger."""
    before, after = await weigh(lambda client: client.follow(BUILD_UUID), sleeps=(100, 600), count=10)
    assert before <= 10 * PER_FOLLOWER
    assert after - before <= GROWTH


async def test_watched_workers() -> None:
    """A Worker that is watched takes a few KiB, and dozens of passes later no more."""
    before, after = await weigh(lambda client: client.watch(tags(40)), sleeps=(20, 120))
    assert before <= 40 * PER_WORKER
    assert after - before <= GROWTH
