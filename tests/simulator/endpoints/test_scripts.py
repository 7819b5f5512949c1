"""The lists of Workers."""

import re
from typing import Any

import pytest

from builds_async.simulator import Behavior, BuildsSimulator, VirtualClock

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_listing_has_names_as_ids(sim: BuildsSimulator, door: Any) -> None:
    """The list has names as `id`, tags as `tag`, null for unused lists, and dates in microseconds."""
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
    """A listed Worker has every tag that is "yes" in the filter and none that is "no"."""
    sim.add_worker("shop", tags=["live"])
    sim.add_worker("blog", tags=["live", "old"])
    assert [script["id"] for script in door(sim).result("/workers/scripts", tags=tags)] == expected


@pytest.mark.parametrize("tags", ["live", "live:maybe", ":yes", "live:yes,"])
def test_an_invalid_filter_is_refused(tags: str, sim: BuildsSimulator, door: Any) -> None:
    """An invalid filter is a 400 with 12013."""
    assert door(sim).error("/workers/scripts", tags=tags) == (400, 12013)


@pytest.mark.parametrize("found", [False, True])
def test_a_worker_that_was_never_deployed_is_not_listed(found: bool, clock: VirtualClock, door: Any) -> None:
    """A Worker that was never deployed is not listed; the search has it if the switch says so."""
    sim = BuildsSimulator(clock=clock, behavior=Behavior(undeployed_search=found))
    tag = sim.add_worker("new", deployed=False)
    assert door(sim).result("/workers/scripts") == []
    assert len(door(sim).result("/workers/scripts-search")) == found
    assert len(door(sim).result(f"workers/{tag}/triggers")) == 1


def test_previews_are_not_in_the_lists_of_workers(sim: BuildsSimulator, door: Any) -> None:
    """Previews are not in the lists of Workers, although a Preview has its own tag."""
    tag = sim.add_worker("shop")
    sim.add_preview(tag, "feature")
    assert [script["tag"] for script in door(sim).result("/workers/scripts")] == [tag]
    assert [script["id"] for script in door(sim).result("/workers/scripts-search")] == [tag]


def test_the_search_has_tags_as_ids_and_is_paged(sim: BuildsSimulator, door: Any) -> None:
    """The search has the tag as `id` and is paged by name, ten per page by default."""
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
    """The search finds part of a name or a whole tag, but not part of a tag."""
    shop, _ = sim.add_worker("web-shop"), sim.add_worker("blog")

    def found(**query: str) -> list[str]:
        return [it["script_name"] for it in door(sim).result("/workers/scripts-search", **query)]

    assert found(name="shop") == ["web-shop"]
    assert found(id=shop) == ["web-shop"]
    assert found(id=shop[:-1]) == []
    assert found(id=shop, name="blog") == []


async def test_the_search_can_be_sorted(sim: BuildsSimulator, clock: VirtualClock, door: Any) -> None:
    """The search sorts by name by default; by a date, the oldest is first."""
    for name in ("c", "a", "b"):
        sim.add_worker(name)
        await clock.sleep(1.0)

    def found(**query: str) -> str:
        return "".join(it["script_name"] for it in door(sim).result("/workers/scripts-search", **query))

    assert [found(), found(order_by="created_on"), found(order_by="modified_on")] == ["abc", "cab", "cab"]
