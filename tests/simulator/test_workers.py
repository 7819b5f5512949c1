"""The lists of Workers, the tokens that may see them, and the account's limits."""

import re
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from typing import Any

import msgspec
import pytest

from builds_async.simulator import Behaviour, BuildsSimulator, TokenKind, VirtualClock
from builds_async.simulator.endpoints import ROUTES
from builds_async.simulator.routing import Route

VERIFY = "/client/v4/user/tokens/verify"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
REFUSED, BUILDS_REFUSED = (403, 10000), (401, 12006)


def headers(sim: BuildsSimulator, kind: TokenKind) -> dict[str, str]:
    """Those of a new token of a kind."""
    return {"authorization": f"Bearer {sim.add_token(kind)}"}


def asked(ask: Any, path: str, **options: Any) -> Any:
    """200, or status and code of a refusal."""
    answer = ask(path, **options)
    return (
        200
        if answer.status == 200
        else (answer.status, msgspec.json.decode(answer.body)["errors"][0]["code"])
    )


def test_the_listing_has_names_as_ids(sim: BuildsSimulator, door: Any) -> None:
    """`id` is the name and `tag` the tag; lists that are not used are null; dates have microseconds."""
    tag = sim.add_worker("shop")
    (script,) = door(sim).result("/workers/scripts")
    assert (script["id"], script["tag"]) == ("shop", tag)
    assert [script[name] for name in ("tags", "routes", "tail_consumers")] == [None, None, None]
    assert STAMP.fullmatch(script["created_on"])
    assert STAMP.fullmatch(script["modified_on"])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", ["blog", "shop"]),
        ("live:yes", ["blog", "shop"]),
        ("live:yes,old:no", ["shop"]),
        ("old:yes", ["blog"]),
        ("live:no", []),
    ],
)
def test_the_listing_is_filtered_by_tags(
    tags: str, expected: list[str], sim: BuildsSimulator, door: Any
) -> None:
    """A Worker has each tag that is asked for with yes, and none of those with no."""
    sim.add_worker("shop", tags=["live"])
    sim.add_worker("blog", tags=["live", "old"])
    assert [script["id"] for script in door(sim).result("/workers/scripts", tags=tags)] == expected


@pytest.mark.parametrize("tags", ["live", "live:maybe", ":yes", "live:yes,"])
def test_a_filter_that_makes_no_sense_is_refused(tags: str, sim: BuildsSimulator, door: Any) -> None:
    """400 with 12013."""
    assert door(sim).error("/workers/scripts", tags=tags) == (400, 12013)


@pytest.mark.parametrize("found", [False, True])
def test_a_worker_that_was_never_deployed_is_not_listed(found: bool, clock: VirtualClock, door: Any) -> None:
    """The search has it or not, as the switch says; its triggers can be asked for."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(undeployed_search=found))
    tag = sim.add_worker("new", deployed=False)
    assert door(sim).result("/workers/scripts") == []
    assert len(door(sim).result("/workers/scripts-search")) == found
    assert len(door(sim).result(f"workers/{tag}/triggers")) == 1


def test_previews_are_no_workers_of_the_lists(sim: BuildsSimulator, door: Any) -> None:
    """Though a Preview has a Worker's tag."""
    tag = sim.add_worker("shop")
    sim.add_preview(tag, "feature")
    assert [script["tag"] for script in door(sim).result("/workers/scripts")] == [tag]
    assert [script["id"] for script in door(sim).result("/workers/scripts-search")] == [tag]


def test_the_search_has_tags_as_ids_and_comes_in_pages(sim: BuildsSimulator, door: Any) -> None:
    """`id` is the tag, ten to a page unless told otherwise, by name."""
    tags = {name: sim.add_worker(name) for name in (f"worker-{number:02}" for number in range(25, 0, -1))}
    body = door(sim).body("/workers/scripts-search", page=3)
    assert [(it["id"], it["script_name"]) for it in body["result"]] == [
        (tags[name], name) for name in sorted(tags)[20:]
    ]
    assert body["result_info"] == {
        "next_page": False,
        "page": 3,
        "per_page": 10,
        "count": 5,
        "total_count": 25,
        "total_pages": 3,
    }


def test_the_search_finds_a_part_of_a_name_and_a_whole_tag(sim: BuildsSimulator, door: Any) -> None:
    """A part of a tag finds nothing."""
    shop, _ = sim.add_worker("web-shop"), sim.add_worker("blog")

    def found(**query: str) -> list[str]:
        return [it["script_name"] for it in door(sim).result("/workers/scripts-search", **query)]

    assert found(name="shop") == ["web-shop"]
    assert found(id=shop) == ["web-shop"]
    assert found(id=shop[:-1]) == []
    assert found(id=shop, name="blog") == []


async def test_the_search_can_be_sorted(sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """By name unless told otherwise, by dates the oldest first."""
    for name in ("c", "a", "b"):
        sim.add_worker(name)
        await clock.sleep(1.0)

    def found(**query: str) -> str:
        return "".join(it["script_name"] for it in door(sim).result("/workers/scripts-search", **query))

    assert [found(), found(order_by="created_on"), found(order_by="modified_on")] == ["abc", "cab", "cab"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (TokenKind.FULL, [200, 200, 200, 200, 200]),
        (TokenKind.READ_ONLY, [200, 200, 200, 200, 200]),
        (TokenKind.NO_PERMISSION, [REFUSED, REFUSED, REFUSED, REFUSED, 200]),
        (TokenKind.NO_SCRIPTS, [200, REFUSED, REFUSED, 200, 200]),
        (TokenKind.NO_QUEUES, [200, 200, 200, REFUSED, 200]),
        (TokenKind.ACCOUNT_OWNED, [BUILDS_REFUSED, 200, 200, 200, (401, 1000)]),
    ],
)
def test_a_token_may_read_what_its_kind_says(
    kind: TokenKind, expected: list[Any], sim: BuildsSimulator, door: Any
) -> None:
    """Builds, Workers, event subscriptions, and whether it is a user's token at all."""
    shown, subscriptions = headers(sim, kind), "/event_subscriptions/subscriptions"
    paths = ("account/limits", "/workers/scripts", "/workers/scripts-search", subscriptions, VERIFY)
    assert [asked(door(sim), path, headers=shown) for path in paths] == expected


@pytest.mark.parametrize("route", ROUTES, ids=attrgetter("operation"))
def test_a_token_that_may_only_read_changes_nothing(route: Route, sim: BuildsSimulator, door: Any) -> None:
    """403 with 10000 for each route that needs more, and for no other."""
    path = re.sub(r"\{\w+\}", "x", route.path)
    path = f"/client/v4{path}" if route.scope == "root" else path
    status = door(sim)(path, method=route.method, headers=headers(sim, TokenKind.READ_ONLY)).status
    assert (status == 403) is route.permission.endswith(":write")


def test_an_account_owned_token_is_told_so_on_every_path_of_builds(sim: BuildsSimulator, door: Any) -> None:
    """401 with 12006, also where there is no route, and where somebody else would be told 404."""
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("nowhere", "tokens", f"triggers/{'0' * 32}", "workers/shop/deploy_hooks"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED
    assert door(sim).error("/nowhere", headers=shown) == (404, 12000)


def test_queues_may_refuse_account_owned_tokens(clock: VirtualClock, door: Any) -> None:
    """A switch, for nobody knows."""
    sim = BuildsSimulator(clock=clock, behaviour=Behaviour(account_owned_queues=False))
    shown = headers(sim, TokenKind.ACCOUNT_OWNED)
    for path in ("/event_subscriptions/subscriptions", f"/queues/{sim.add_queue()}/messages/pull"):
        assert door(sim).error(path, headers=shown) == BUILDS_REFUSED


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic x"},
        {"x-auth-email": "a", "x-auth-key": "k"},
    ],
    ids=["nothing", "unknown", "basic", "key"],
)
def test_only_a_token_can_be_verified(shown: dict[str, str], clock: VirtualClock, door: Any) -> None:
    """401 with 1000 for everything else, the global key among it."""
    sim = BuildsSimulator(clock=clock, api_email="a", api_key="k")
    assert door(sim).error(VERIFY, headers=shown) == (401, 1000)


def test_a_token_has_an_id(sim: BuildsSimulator, door: Any) -> None:
    """The same each time, another for each token; the messages of this answer are objects."""
    first, second = door(sim).body(VERIFY), door(sim).body(VERIFY)
    other = door(sim).result(VERIFY, headers=headers(sim, TokenKind.READ_ONLY))
    assert first == second
    assert first["result"] == {"id": first["result"]["id"], "status": "active"}
    assert re.fullmatch("[0-9a-f]{32}", first["result"]["id"])
    assert other["id"] != first["result"]["id"]
    assert set(first["messages"][0]) == {"code", "message", "type"}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (None, (False, "2026-12-01T00:00:00.000Z")),
        ((True, datetime(2026, 11, 30, 12, tzinfo=UTC)), (True, "2026-11-30T12:00:00.000Z")),
        (
            (False, datetime(2026, 12, 1, tzinfo=timezone(timedelta(hours=1)))),
            (False, "2026-11-30T23:00:00.000Z"),
        ),
        ((None, None), (None, None)),
    ],
    ids=["free", "used up", "zone", "paid"],
)
def test_the_limits_are_as_they_were_set(limits: Any, expected: Any, clock: VirtualClock, door: Any) -> None:
    """A free plan with minutes left and the next month to come, unless told otherwise."""
    sim = BuildsSimulator(clock=clock, epoch=datetime(2026, 11, 21, tzinfo=UTC))
    if limits is not None:
        sim.set_limits(*limits)
    assert door(sim).result("account/limits") == {
        "has_reached_build_minutes_limit": expected[0],
        "build_minutes_refresh_on": expected[1],
    }
