"""Arguments of a start that are rejected before anything is sent."""

from functools import partial

import pytest

from builds_async.models.seeds import SeedFile, SeedRepo
from tests.resources.starting.support import COMMIT, Shop
from tests.support.case import cases


@cases(
    ("arguments", "said"),
    [
        ({}, "a branch or a commit_hash"),
        ({"branch": None, "commit_hash": None}, "a branch or a commit_hash"),
        ({"branch": ""}, "a branch or a commit_hash"),
        ({"commit_hash": ""}, "a branch or a commit_hash"),
        ({"commit_hash": COMMIT[:7]}, "40 to 64 hex digits"),
        ({"commit_hash": COMMIT[:39]}, "40 to 64 hex digits"),
        ({"branch": "main", "commit_hash": COMMIT[:12]}, "40 to 64 hex digits"),
        ({"branch": "main", "commit_hash": ""}, "40 to 64 hex digits"),
    ],
    ids=["nothing", "nulls", "no branch", "no hash", "short", "39", "branch and short", "empty hash"],
)
@cases("where", ["trigger", "preview"])
async def test_refused_before(where: str, arguments: dict[str, str], said: str, shop: Shop) -> None:
    """A value that the API would reject now or later is a ValueError with the reason, and nothing is sent."""
    start = (
        partial(shop.triggers.start_build, shop.main)
        if where == "trigger"
        else partial(shop.previews.start_build, shop.tag, shop.preview)
    )
    with pytest.raises(ValueError, match=said):
        await start(**arguments)
    assert shop.wire.sent == []


@pytest.mark.parametrize("uuid", ["", "..", "a/b", "."])
async def test_invalid_id(uuid: str, shop: Shop) -> None:
    """A value that would leave its place in the path is not sent as a trigger's id."""
    with pytest.raises(ValueError, match="can't be an id"):
        await shop.triggers.start_build(uuid, branch="main")
    assert shop.wire.sent == []


@pytest.mark.parametrize("digits", [40, 64])
async def test_full_hash(digits: int, shop: Shop) -> None:
    """Full commit hashes of both of Git's lengths are accepted."""
    build = await shop.start(None, commit_hash="a" * digits)
    assert build.build_uuid == shop.wire.made[0]


def test_seed_of_three_files() -> None:
    """A seed with more than 2 files is rejected when it is constructed."""
    file = SeedFile(filename="a", content="b")
    with pytest.raises(ValueError, match="at most 2 files, not 3"):
        SeedRepo(provider="github", owner="acme", repository="shop", files=(file,) * 3)
