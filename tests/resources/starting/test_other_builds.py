"""A call never returns a build of another client or of an earlier call."""

import pytest

from builds_async import (
    BuildsConnectionError,
)
from builds_async.simulator import (
    Fault,
)
from tests.resources.starting.support import COMMIT, Shop
from tests.support import FakeClock, drive

FOREIGN: tuple[dict[str, object], ...] = (
    {"source": "push"},
    {"source": "push_event"},
    {"source": "pull_request"},
    {"source": "deploy_hook", "deploy_hook_name": "nightly"},
    {"branch": "other"},
    {"branch": "Main", "trigger_uuid": "main"},
    {"branch": "main", "trigger_uuid": "others"},
    {"source": "api", "branch": "feature/main", "trigger_uuid": "others"},
)


def test_own_first_build(shop: Shop) -> None:
    """A second start whose request never arrived does not return the first one's build."""
    drive(shop.know())
    first = drive(shop.start())
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        drive(shop.start())
    shop.lose()
    third = drive(shop.start())
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        drive(shop.start())
    assert [first.build_uuid, None, third.build_uuid, None] == shop.wire.made


def test_own_first_build_of_a_preview(shop: Shop) -> None:
    """A second start of a preview does not return the first one's build either."""
    first = drive(shop.start_preview())
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        drive(shop.start_preview())
    assert [first.build_uuid, None] == shop.wire.made


@pytest.mark.parametrize("foreign", FOREIGN, ids=[" ".join(map(str, it.values())) for it in FOREIGN])
@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
async def test_concurrent_build_of_another_client(
    arrived: bool, foreign: dict[str, object], shop: Shop
) -> None:
    """A concurrent build of another client is not returned, and does not hide the call's own."""
    await shop.know()
    uuids = {"main": shop.main, "others": shop.others}
    if "trigger_uuid" in foreign:
        foreign = {**foreign, "trigger_uuid": uuids[str(foreign["trigger_uuid"])]}
    added = shop.meanwhile(**foreign)
    shop.lose(arrived=arrived)
    if arrived:
        assert (await shop.start()).build_uuid == shop.wire.made[0]
    else:
        with pytest.raises(BuildsConnectionError):
            await shop.start()
    assert len(added) == 1
    assert shop.wire.posts == 1


async def test_commit(shop: Shop) -> None:
    """If a commit is given, a build of another commit, or of none, does not match."""
    await shop.know()
    shop.meanwhile(commit_hash="0" * 40)
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError, match=f"no build of branch main and commit {COMMIT} was"):
        await shop.start(commit_hash=COMMIT)
    shop.lose()
    assert (await shop.start(commit_hash=COMMIT)).build_uuid == shop.wire.made[1]
    shop.meanwhile(commit_hash="")
    shop.lose()
    assert (await shop.start(None, commit_hash=COMMIT)).build_uuid == shop.wire.made[2]


@pytest.mark.parametrize("ago", [1.0, 3.0, 60.0, 7200.0])
async def test_build_from_before(ago: float, shop: Shop) -> None:
    """A build started before the request does not match."""
    await shop.know()
    shop.add(commit_hash="")
    assert isinstance(shop.clock, FakeClock)
    shop.clock.advance(ago)
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()


async def test_build_from_a_wait_before(shop: Shop) -> None:
    """A build from a 429's waiting time is older than the lost request, so it does not match."""
    await shop.know()
    shop.sim.fault(Fault("rate_limited", method="POST", retry_after=30))
    shop.meanwhile(commit_hash="")
    shop.wire.losses.append(None)
    shop.lose(arrived=False)
    with pytest.raises(BuildsConnectionError):
        await shop.start()
    assert shop.wire.posts == 2
