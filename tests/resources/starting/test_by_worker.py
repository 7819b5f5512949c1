"""`builds.start` and `builds.retry`: they find the trigger and start the build once."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from builds_async import Build, BuildsClient, BuildsConnectionError, NotFoundError
from tests.resources.starting.support import COMMIT, LOST, Shop
from tests.support import BUILD_UUID, TAG, MockApi, envelope

Start = Callable[[Shop], Awaitable[Build]]

START: dict[str, Start] = {
    "start": lambda shop: shop.builds.start(shop.tag, branch="main", commit_hash=COMMIT),
    "retry": lambda shop: shop.builds.retry(
        shop.sim.add_finished_build(external_script_id=shop.tag, commit_hash=COMMIT).build_uuid
    ),
}


@pytest.mark.parametrize(
    ("said", "is_main", "branch", "commit"),
    [
        pytest.param({"branch": "main"}, True, "main", "", id="main"),
        pytest.param({"branch": "feature/x"}, False, "feature/x", "", id="another branch"),
        pytest.param({}, True, "main", "", id="nothing"),
        pytest.param({"branch": "dev", "commit_hash": COMMIT}, False, "dev", COMMIT, id="both"),
    ],
)
async def test_start(said: dict[str, Any], is_main: bool, branch: str, commit: str, shop: Shop) -> None:
    """Two requests start a build of the branch and commit by the right trigger."""
    build = await shop.builds.start(shop.tag.upper(), **said)
    trigger = shop.main if is_main else shop.others
    assert (build.trigger and build.trigger.trigger_uuid) == trigger
    metadata = build.build_trigger_metadata
    assert metadata is not None
    assert (metadata.branch, metadata.commit_hash) == (branch, commit)
    assert shop.wire.sent == [
        ("GET", f"/builds/workers/{shop.tag}/triggers"),
        ("POST", f"/builds/triggers/{trigger}/builds"),
    ]


@pytest.mark.parametrize("start", START.values(), ids=START)
@pytest.mark.parametrize("how", LOST)
async def test_lost_response(how: str, start: Start, shop: Shop) -> None:
    """The build behind a lost response is found with one lookup of its Worker, and is sent for once."""
    shop.lose(how)
    build = await start(shop)
    assert build.build_uuid == shop.wire.made[0]
    assert [method for method, _ in shop.wire.sent] == ["GET", "POST", "GET"]
    assert shop.wire.sent[-1][1] == "/builds/builds/latest"


@pytest.mark.parametrize("start", START.values(), ids=START)
async def test_no_build(start: Start, shop: Shop) -> None:
    """If no build is found after a lost response, the error says so, and nothing is sent twice."""
    shop.lose(arrived=False)
    with pytest.raises(
        BuildsConnectionError, match="It is unknown whether the build started: no build of branch"
    ):
        await start(shop)
    assert shop.wire.posts == 1


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"external_script_id": "shop"}, id="a name"),
        pytest.param(
            {"external_script_id": TAG, "branch": "main", "commit_hash": "abc1234"}, id="short hash"
        ),
        pytest.param({"external_script_id": TAG, "commit_hash": ""}, id="empty hash"),
    ],
)
async def test_bad_arguments(said: dict[str, Any], shop: Shop) -> None:
    """An invalid argument is a ValueError, and nothing is sent."""
    with pytest.raises(ValueError, match=r"not the tag|full hash"):
        await shop.builds.start(**said)
    assert shop.wire.sent == []


async def test_branch_without_a_trigger(shop: Shop) -> None:
    """Without a trigger for the branch, nothing is started."""
    alone = shop.sim.add_worker("alone")
    with pytest.raises(NotFoundError, match="no trigger of the Worker builds the branch 'x'"):
        await shop.builds.start(alone, branch="x")
    assert shop.wire.posts == 0


@pytest.mark.parametrize("commit", ["", COMMIT], ids=["without a commit", "of a commit"])
@pytest.mark.parametrize("branch", ["main", "feature"])
async def test_retry(branch: str, commit: str, shop: Shop) -> None:
    """A retry is a new build of the same trigger, branch and commit."""
    first = await shop.builds.start(shop.tag, branch=branch, commit_hash=commit or None)
    again = await shop.builds.retry(first.build_uuid.upper())
    assert again.build_uuid != first.build_uuid
    assert (again.branch, again.commit_hash) == (first.branch, first.commit_hash) == (branch, commit or None)
    assert first.trigger is not None
    assert again.trigger is not None
    assert again.trigger.trigger_uuid == first.trigger.trigger_uuid
    assert shop.wire.posts == 2


@pytest.mark.parametrize(
    ("part", "said"),
    [
        pytest.param({"trigger": None}, "does not name its trigger", id="no trigger"),
        pytest.param({"trigger": {"trigger_name": "x"}}, "does not name its trigger", id="no trigger id"),
        pytest.param({"build_trigger_metadata": None}, "neither its branch nor its commit", id="no metadata"),
        pytest.param(
            {"build_trigger_metadata": {"branch": "", "commit_hash": ""}}, "neither", id="empty metadata"
        ),
        pytest.param(
            {"build_trigger_metadata": {"branch": "main", "commit_hash": "0123456789ab"}},
            "full hash of '0123456789ab'",
            id="short hash",
        ),
    ],
)
async def test_not_repeatable(part: dict[str, Any], said: str, client: BuildsClient, api: MockApi) -> None:
    """A build with incomplete data is not retried, because that could start a different build."""
    whole = {
        "build_uuid": BUILD_UUID,
        "trigger": {"trigger_uuid": TAG, "external_script_id": TAG},
        "build_trigger_metadata": {"branch": "main", "commit_hash": COMMIT},
    }
    api.on("GET", f"/builds/builds/{BUILD_UUID}", json=envelope({**whole, **part}))
    with pytest.raises(NotFoundError, match=re.escape(said)):
        await client.builds.retry(BUILD_UUID)


async def test_retry_of_a_missing_build(shop: Shop) -> None:
    """A retry of a build that does not exist is a NotFoundError, and nothing is started."""
    with pytest.raises(NotFoundError):
        await shop.builds.retry(BUILD_UUID)
    assert shop.wire.posts == 0
